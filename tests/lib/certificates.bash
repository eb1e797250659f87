# Certificates of a test's own, made by openssl: NAME.crt and NAME.key in the folder $CERTIFICATES.

# certificate_authority NAME
certificate_authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1 CA" -days 2 \
		-keyout "$CERTIFICATES/$1.key" -out "$CERTIFICATES/$1.crt" 2>/dev/null
}

# certificate NAME CA ALTERNATIVE_NAMES [OPTION OF openssl ca...]: of a server, for two days if no option says otherwise.
certificate() {
	local dir

	dir=$(mktemp -d "$CERTIFICATES/ca.XXXXXX")
	touch "$dir/issued"
	printf '%s\n' "[ca]" "default_ca = ours" "[ours]" "database = $dir/issued" "new_certs_dir = $dir" \
		"rand_serial = yes" "default_md = sha256" "policy = any" "x509_extensions = names" "[any]" \
		"commonName = supplied" "[names]" "subjectAltName = $3" >"$dir/config"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-keyout "$CERTIFICATES/$1.key" -out "$dir/request" 2>/dev/null
	openssl ca -batch -notext -config "$dir/config" -cert "$CERTIFICATES/$2.crt" -keyfile "$CERTIFICATES/$2.key" \
		-days 2 "${@:4}" -in "$dir/request" -out "$CERTIFICATES/$1.crt" 2>/dev/null
	rm -rf "$dir"
}

# A TCP port on 127.0.0.1 that nobody has.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
