# Certificates of a test's own, made by openssl: NAME.crt and NAME.key in the folder $CERTIFICATES.

# certificate_authority NAME
certificate_authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1 CA" -days 2 \
		-keyout "$CERTIFICATES/$1.key" -out "$CERTIFICATES/$1.crt" 2>/dev/null
}

# certificate NAME CA ALTERNATIVE_NAMES [DAYS]: of a server; with -1 days it has expired.
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-keyout "$CERTIFICATES/$1.key" -out "$CERTIFICATES/$1.csr" 2>/dev/null
	openssl x509 -req -in "$CERTIFICATES/$1.csr" -CA "$CERTIFICATES/$2.crt" -CAkey "$CERTIFICATES/$2.key" \
		-days "${4:-2}" -extfile <(echo "subjectAltName=$3") -out "$CERTIFICATES/$1.crt" 2>/dev/null
}

# A TCP port on 127.0.0.1 that nobody has.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
