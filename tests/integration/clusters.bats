# One Redis may serve mounts of several PostgreSQL clusters: rows are kept apart by which database
# they are of, not by what it is called.

load ../lib/rowfs

setup_file() {
	harness_start
	cluster_create "$HARNESS/other" another
	cluster_start "$HARNESS/other"
}

teardown_file() {
	harness_end
}

teardown() {
	mounts_end
}

fill() {
	psql -X -q -h "$1" -d "$2" -v ON_ERROR_STOP=1 -c "
		CREATE TABLE things (id int PRIMARY KEY, name text);
		INSERT INTO things SELECT i, '$3 ' || i FROM generate_series(1, 50) i"
}

@test "two clusters with the same database oid and relation oids on one Redis" {
	for dir in "$HARNESS/postgres" "$HARNESS/other"; do
		psql -X -q -h "$dir" -d postgres -c 'CREATE DATABASE twin TEMPLATE template0 OID 100000'
		fill "$dir" twin "$(basename "$dir")"
	done
	oids() {
		psql -X -Atq -h "$1" -d twin -c "SELECT oid, 'things'::regclass::oid
			FROM pg_database WHERE datname = 'twin'"
	}
	assert_equal "$(oids "$HARNESS/postgres")" "$(oids "$HARNESS/other")"
	export PGDATABASE=twin
	mount_rowfs one ttl=60
	mount_rowfs two ttl=60 "host=$HARNESS/other user=postgres dbname=twin"
	for _ in 1 2; do
		assert_equal "$(cat "$HARNESS"/one/public/things/*.json | jq -r .name)" \
			"$(for i in $(seq 50 | LC_ALL=C sort); do echo "postgres $i"; done)"
		assert_equal "$(cat "$HARNESS"/two/public/things/*.json | jq -r .name)" \
			"$(for i in $(seq 50 | LC_ALL=C sort); do echo "other $i"; done)"
	done
	# Both did use it; a busy machine's Redis may have been too slow for one at first.
	both_fill() {
		cat "$HARNESS"/{one,two}/public/things/*.json >/dev/null
		[[ $(redis --scan --pattern '*:a:*' | cut -d: -f2 | LC_ALL=C sort -u | wc -l) == 2 ]]
	}
	wait_until 20 both_fill
}

@test "namespace= keeps a cloned cluster's rows apart" {
	psql -X -q -d postgres -c 'CREATE DATABASE original TEMPLATE template0'
	fill "$HARNESS/postgres" original here
	cluster_stop "$HARNESS/postgres"
	as_server cp -aH "$HARNESS/postgres/data" "$HARNESS/postgres/clone"
	as_server mkdir "$HARNESS/clone" 2>/dev/null || { mkdir "$HARNESS/clone"; chown postgres "$HARNESS/clone"; }
	as_server mv "$HARNESS/postgres/clone" "$HARNESS/clone/data"
	as_server sed -i "s|$HARNESS/postgres|$HARNESS/clone|" "$HARNESS/clone/data/postgresql.conf"
	cluster_start "$HARNESS/postgres"
	cluster_start "$HARNESS/clone"
	psql -X -q -h "$HARNESS/clone" -d original -c "UPDATE things SET name = 'there ' || id"
	export PGDATABASE=original
	mount_rowfs one ttl=60
	mount_rowfs two ttl=60,namespace=clone "host=$HARNESS/clone user=postgres dbname=original"
	for _ in 1 2; do
		assert_equal "$(jq -r .name "$HARNESS/one/public/things/7.json")" "here 7"
		assert_equal "$(jq -r .name "$HARNESS/two/public/things/7.json")" "there 7"
	done
}
