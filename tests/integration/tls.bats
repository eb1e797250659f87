# TLS to Redis and to PostgreSQL, with certificates that are good and such that are not.

load ../lib/rowfs
load ../lib/certificates

setup_file() {
	harness_start "wal_level = logical"
	export CERTIFICATES=$HARNESS/certificates
	mkdir "$CERTIFICATES"
	certificate_authority our
	certificate_authority other
	certificate good our "DNS:localhost,IP:127.0.0.1"
	certificate elsewhere our "DNS:elsewhere.example,IP:192.0.2.1"
	certificate expired our "DNS:localhost,IP:127.0.0.1" -startdate 20190101000000Z -enddate 20190201000000Z
	certificate stranger other "DNS:localhost,IP:127.0.0.1"
	if ((EUID == 0)); then
		chmod 755 "$CERTIFICATES"
		install -o postgres -m 600 "$CERTIFICATES/good.key" "$CERTIFICATES/postgres.key"
	else
		install -m 600 "$CERTIFICATES/good.key" "$CERTIFICATES/postgres.key"
	fi
	PGPORT=$(free_port)
	export PGPORT
	cluster_stop "$HARNESS/postgres"
	cluster_configure "$HARNESS/postgres" "listen_addresses = '127.0.0.1'" "port = $PGPORT" "ssl = on" \
		"ssl_cert_file = '$CERTIFICATES/good.crt'" "ssl_key_file = '$CERTIFICATES/postgres.key'"
	# What comes by TCP comes by TLS.
	as_server sed -i 's/^host /hostssl /' "$HARNESS/postgres/data/pg_hba.conf"
	cluster_start "$HARNESS/postgres"
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE pages (id int PRIMARY KEY, body text);
		INSERT INTO pages SELECT i, 'page ' || i FROM generate_series(1, 30) i"
}

teardown() {
	mounts_end
	redis_stop "$HARNESS/tls" KILL
}

# redis_tls CERTIFICATE [OPTION...]: a Redis that speaks TLS on $TLS_PORT, and plainly on $PLAIN_PORT.
redis_tls() {
	local name=$1

	shift
	TLS_PORT=$(free_port)
	PLAIN_PORT=$(free_port)
	redis_start "$HARNESS/tls" --bind 127.0.0.1 --port "$PLAIN_PORT" --tls-port "$TLS_PORT" \
		--tls-cert-file "$CERTIFICATES/$name.crt" --tls-key-file "$CERTIFICATES/$name.key" \
		--tls-ca-cert-file "$CERTIFICATES/our.crt" --tls-auth-clients no "$@"
}

feed_is_live() {
	grep -qx 'feed: live' "$HARNESS/${1:-mnt}/.rowfs/status"
}

# counter NAME MOUNT
counter() {
	sed -n "s/^$1: //p" "$HARNESS/$2/.rowfs/status"
}

# Rows that one mount has put into Redis are taken from there by the other, once it looks anew.
one_fills_other_hits() {
	cat "$HARNESS"/two/public/pages/*.json >/dev/null
	sql 'UPDATE pages SET body = body'
	cat "$HARNESS"/two/public/pages/*.json >/dev/null
	cat "$HARNESS"/mnt/public/pages/*.json >/dev/null
	(($(counter cache_fills two) > 0 && $(counter cache_hits mnt) > 0))
}

# works_without_redis CAUSE: the mount is there, reads PostgreSQL, and says why.
works_without_redis() {
	grep -q 'page 7' "$MNT/public/pages/7.json"
	echo '{"body": "saved"}' | tee "$MNT/public/pages/8.json" >/dev/null
	assert_equal "$(sql 'SELECT body FROM pages WHERE id = 8')" saved
	# On a busy machine the first attempts may take too long to learn it.
	says() { grep '^redis_error: ' "$MNT/.rowfs/status" | grep -qF "$1"; }
	wait_until 30 says "$1"
	assert_contains "$(cat "$HARNESS/mounts/mnt.log")" "Redis at redis"
}

# required OPTIONS CAUSE: with redis_required it is exit code 13, and one line with the cause.
required() {
	wait_until 30 ends_with_13 "$@" || {
		cat "$BATS_TEST_TMPDIR/out" >&2
		return 1
	}
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/out")" 1
}

ends_with_13() {
	local status=0

	mkdir -p "$HARNESS/refused"
	timeout 60 "$ROWFS" "$(source_string)" "$HARNESS/refused" -f \
		-o "state_dir=$HARNESS/state/refused,redis_required,$1" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- || status=$?
	((status == 13)) && grep -qF -- "$2" "$BATS_TEST_TMPDIR/out"
}

# refused ADDRESS CAUSE [CA]: neither is anything read from there, nor does it stop the mount.
refused() {
	local options="redis=$1,redis_ca=$CERTIFICATES/${3:-our}.crt"

	[[ $1 == rediss:* ]] || options=redis=$1
	required "$options" "$2"
	mount_rowfs mnt "$options"
	works_without_redis "$2"
}

@test "rediss://: reads, saves, the worker and the subscription" {
	redis_tls good
	mount_rowfs mnt "redis_ca=$CERTIFICATES/our.crt,redis=rediss://localhost:$TLS_PORT"
	wait_until 30 feed_is_live
	grep -q 'worker_here: leading' "$MNT/.rowfs/status"
	echo '{"body": "saved"}' | tee "$MNT/public/pages/7.json" >/dev/null
	assert_equal "$(sql 'SELECT body FROM pages WHERE id = 7')" saved
	sql "UPDATE pages SET body = 'by somebody else' WHERE id = 9"
	wait_until 10 grep -q 'by somebody else' "$MNT/public/pages/9.json"
	assert_contains "$(cat "$MNT/.rowfs/status")" "redis_address: rediss://localhost:$TLS_PORT/0"
	# Nobody came by the plain port.
	assert_equal "$(redis-cli -p "$PLAIN_PORT" CLIENT LIST | grep -v "cmd=client" | grep -c "laddr=127.0.0.1:$PLAIN_PORT ")" 0
}

@test "rediss://: a mount without a worker hears what another's worker says" {
	redis_tls good
	mount_rowfs two "redis_ca=$CERTIFICATES/our.crt,redis=rediss://127.0.0.1:$TLS_PORT/1"
	mount_rowfs mnt "redis_ca=$CERTIFICATES/our.crt,redis=rediss://127.0.0.1:$TLS_PORT/1,noworker"
	wait_until 30 feed_is_live
	wait_until 30 one_fills_other_hits
	sql "UPDATE pages SET body = 'by somebody else' WHERE id = 9"
	wait_until 10 grep -q 'by somebody else' "$MNT/public/pages/9.json"
}

@test "rediss://: Redis is killed and comes back" {
	redis_tls good
	mount_rowfs mnt "redis_ca=$CERTIFICATES/our.crt,redis=rediss://localhost:$TLS_PORT"
	wait_until 30 feed_is_live
	redis_stop "$HARNESS/tls" KILL
	grep -q 'page 7' "$MNT/public/pages/7.json"
	redis_start "$HARNESS/tls" --bind 127.0.0.1 --tls-port "$TLS_PORT" \
		--tls-cert-file "$CERTIFICATES/good.crt" --tls-key-file "$CERTIFICATES/good.key" \
		--tls-ca-cert-file "$CERTIFICATES/our.crt" --tls-auth-clients no
	wait_until 30 feed_is_live
}

@test "rediss://: TLS 1.2 is enough, TLS 1.1 is not" {
	redis_tls good --tls-protocols TLSv1.2
	mount_rowfs mnt "redis_ca=$CERTIFICATES/our.crt,redis=rediss://localhost:$TLS_PORT"
	wait_until 30 feed_is_live
	unmount_rowfs
	redis_stop "$HARNESS/tls"
	redis_tls good --tls-protocols TLSv1.1 --tls-ciphers DEFAULT:@SECLEVEL=0
	refused "rediss://localhost:$TLS_PORT" "TLS failed"
}

@test "rediss://: a certificate from another CA" {
	redis_tls stranger
	refused "rediss://localhost:$TLS_PORT" "its certificate is from an unknown CA"
}

@test "rediss://: the system's CAs do not know ours" {
	redis_tls good
	required "redis=rediss://localhost:$TLS_PORT" "its certificate is from an unknown CA"
}

@test "rediss://: a certificate for another host, by name and by number" {
	redis_tls elsewhere
	required "redis=rediss://localhost:$TLS_PORT,redis_ca=$CERTIFICATES/our.crt" "its certificate is for another host"
	refused "rediss://127.0.0.1:$TLS_PORT" "its certificate is for another address"
}

@test "rediss://: an expired certificate" {
	redis_tls expired
	refused "rediss://localhost:$TLS_PORT" "its certificate has expired"
}

@test "rediss://: a server that wants a certificate of ours" {
	redis_tls good --tls-auth-clients yes
	refused "rediss://localhost:$TLS_PORT" "it wants a certificate of its clients"
}

@test "rediss:// on the plain port" {
	redis_tls good
	refused "rediss://localhost:$PLAIN_PORT" "Redis at rediss://localhost:$PLAIN_PORT/0 does not speak TLS on this port"
}

@test "redis:// on the port with TLS" {
	redis_tls good
	refused "redis://localhost:$TLS_PORT" "Redis at redis://localhost:$TLS_PORT/0 speaks TLS on this port: use rediss://"
}

@test "redis_ca: no file, no certificates, no TLS" {
	required "redis=rediss://localhost:1,redis_ca=$HARNESS/none.crt" "redis_ca: $HARNESS/none.crt: No such file"
	echo nothing >"$HARNESS/empty.crt"
	required "redis=rediss://localhost:1,redis_ca=$HARNESS/empty.crt" "no certificate"
	required "redis=redis://localhost:1,redis_ca=$CERTIFICATES/our.crt" "redis_ca= needs TLS"
}

# PostgreSQL

# tcp_source [HOST [CA]]
tcp_source() {
	echo "host=${1:-localhost} port=$PGPORT user=postgres dbname=$PGDATABASE sslmode=verify-full" \
		"sslrootcert=$CERTIFICATES/${2:-our}.crt"
}

# How many sessions rowfs has, by TLS and in all: "3 of 3".
sessions_with_tls() {
	sql "SELECT count(*) FILTER (WHERE ssl) || ' of ' || count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
		WHERE application_name LIKE 'rowfs%'"
}

@test "PostgreSQL with sslmode=verify-full: mount, worker and its replication connection" {
	mount_rowfs mnt "" "$(tcp_source)"
	wait_until 30 feed_is_live
	grep -q 'worker_tables: 1 wal' "$MNT/.rowfs/status"
	grep -q 'page 7' "$MNT/public/pages/7.json"
	echo '{"body": "saved"}' | tee "$MNT/public/pages/8.json" >/dev/null
	sql "UPDATE pages SET body = 'by somebody else' WHERE id = 9"
	wait_until 10 grep -q 'by somebody else' "$MNT/public/pages/9.json"
	assert_equal "$(sql "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
		WHERE backend_type = 'walsender' AND ssl")" 1
	read -r with _ all <<<"$(sessions_with_tls)"
	((all >= 3))
	assert_equal "$with" "$all"
}

@test "direct= with sslmode=verify-full" {
	mount_rowfs mnt "direct=$(tcp_source 127.0.0.1)"
	wait_until 30 feed_is_live
	assert_equal "$(sql "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
		WHERE backend_type = 'walsender' AND ssl")" 1
}

# postgres_refused SOURCE CAUSE: exit code 11, and one line with the cause.
postgres_refused() {
	local status=0 out

	mkdir -p "$HARNESS/refused"
	out=$(timeout 60 "$ROWFS" "$1" "$HARNESS/refused" -f \
		-o "state_dir=$HARNESS/state/refused,redis=none" 2>&1 3>&-) || status=$?
	assert_equal "$status" 11
	assert_equal "$(wc -l <<<"$out")" 1
	assert_contains "$out" "cannot reach PostgreSQL"
	assert_contains "$out" "$2"
}

@test "PostgreSQL whose certificate does not count" {
	postgres_refused "$(tcp_source localhost other)" "certificate verify failed"
	postgres_refused "$(tcp_source localhost none)" "none.crt"
	postgres_refused "$(tcp_source elsewhere.example) hostaddr=127.0.0.1" "does not match host name"
}

@test "PostgreSQL without TLS, where it is demanded" {
	cluster_stop "$HARNESS/postgres"
	as_server sed -i 's/^hostssl /host /' "$HARNESS/postgres/data/pg_hba.conf"
	cluster_configure "$HARNESS/postgres" "ssl = off"
	cluster_start "$HARNESS/postgres"
	postgres_refused "$(tcp_source)" "server does not support SSL"
}
