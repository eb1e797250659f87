# Where changes come from, where there is no logical decoding, or not for this role.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	# As PostgreSQL comes; and one with logical decoding, for roles that may not use it.
	ROWFS_TEST_CHANGES='' harness_start "max_prepared_transactions = 5"
	cluster_create "$HARNESS/logical" another
	cluster_configure "$HARNESS/logical" "wal_level = logical"
	cluster_start "$HARNESS/logical"
	psql -X -q -h "$HARNESS/logical" -d postgres -c "CREATE ROLE plain LOGIN; CREATE ROLE replicator LOGIN REPLICATION"
	psql -X -q -d postgres -c "CREATE ROLE plain LOGIN"
}

teardown_file() {
	harness_end
}

setup() {
	pages_new
}

teardown() {
	feed_teardown
}

sync_command() {
	"$ROWFS" sync "$1" "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
}

# What can be seen of rowfs in the database.
traces() {
	sql "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE '%rowfs%'
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
		UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE '%rowfs%'
		UNION ALL SELECT 'publication ' || pubname FROM pg_publication
		UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots"
}

# refused EXIT_STATUS TEXT OPTIONS [SOURCE]
refused() {
	local out status=0

	mkdir -p "$HARNESS/refused"
	out=$("$ROWFS" "${4:-$(source_string)}" "$HARNESS/refused" -f \
		-o "redis=unix:$HARNESS/redis/redis.sock,state_dir=$HARNESS/state/refused,$3" 2>&1 3>&-) || status=$?
	assert_equal "$status" "$1" || {
		echo "$out" >&2
		return 1
	}
	assert_contains "$out" "$2"
	if is_mounted "$HARNESS/refused"; then return 1; fi
}

@test "changes=wal where the server has no logical decoding: refused at mount, with what is needed" {
	refused 11 "wal_level=logical on the server" changes=wal
	assert_equal "$(traces)" ""
}

@test "changes=log before rowfs sync install: refused at mount, with what is needed" {
	refused 11 "rowfs sync install" changes=log
	assert_equal "$(traces)" ""
}

@test "neither is there: copies count by their age, and status says what would be better" {
	mount_rowfs a
	mount_rowfs b
	assert_equal "$(feed_get a changes)" "ttl=1"
	assert_contains "$(feed_get a changes_better)" "wal_level=logical"
	assert_contains "$(feed_get a changes_better)" "rowfs sync install"
	for n in 1 2 3; do
		sql "UPDATE pages SET n = $n WHERE id = 1"
		wait_until 4 has_value a public/pages/1.json n "$n"
		wait_until 4 has_value b public/pages/1.json n "$n"
	done
	witness_start a b
	witness_recovered
	witness_end || {
		# Pages of a second in Redis and one more in the kernel are what ttl means: never back, though.
		lacks "had been read before" "$BATS_TEST_TMPDIR/witness"
	}
}

@test "the change log: after rowfs sync install mounts have a feed; uninstall leaves nothing" {
	before=$(traces)
	sync_command install >"$BATS_TEST_TMPDIR/install"
	sync_command status >"$BATS_TEST_TMPDIR/status"
	assert_contains "$(cat "$BATS_TEST_TMPDIR/status")" pages
	feed_mount a
	feed_mount b changes=log,noworker
	wait_until 10 feed_is a worker_tables "0 wal, 1 log, 0 none"
	assert_contains "$(feed_get a changes_better)" "wal_level=logical"
	witness_start a b
	for n in 1 2 3; do
		sql "INSERT INTO pages VALUES (100, $n) ON CONFLICT (id) DO UPDATE SET n = $n"
		seen_by public/pages/100.json n "$n" a b
	done
	sql "UPDATE pages SET id = 101 WHERE id = 100"
	seen_by public/pages/101.json n 3 a b
	gone() { [[ ! -e $HARNESS/$1/public/pages/100.json ]]; }
	wait_until 2 gone a
	wait_until 2 gone b
	witness_recovered
	witness_end
	witness_no_errors
	sql "TRUNCATE pages"
	empty() { [[ -z $(ls "$HARNESS/$1/public/pages") ]]; }
	wait_until 2 empty a
	wait_until 2 empty b
	# Mounts that hear it outlive its end: they ask PostgreSQL.
	sync_command uninstall >/dev/null
	assert_equal "$(traces)" "$before"
	for n in 7 8 9; do
		sql "INSERT INTO pages VALUES (1, $n) ON CONFLICT (id) DO UPDATE SET n = $n"
		seen_by public/pages/1.json n "$n" a b
	done
}

@test "the change log: a transaction of 20,000 rows, one that is rolled back, and a partition" {
	sql "CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
		CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (50000);
		INSERT INTO parts SELECT i, 0 FROM generate_series(1, 20000) i"
	sync_command install >/dev/null
	feed_mount a
	feed_mount b
	for id in 1 777 20000; do seen_by "public/parts/$id.json" n 0 a b; done
	sql "UPDATE parts SET n = 1"
	for id in 1 777 20000; do seen_by "public/parts/$id.json" n 1 a b; done
	sql "BEGIN; UPDATE parts SET n = 2; ROLLBACK"
	sql "UPDATE low SET n = 3 WHERE id = 777"
	seen_by public/parts/777.json n 3 a b
	for id in 1 20000; do seen_by "public/parts/$id.json" n 1 a b; done
	# A partition that comes later has no trigger of its own until somebody installs anew; what is shown is right.
	sql "CREATE TABLE high PARTITION OF parts FOR VALUES FROM (50000) TO (60000)"
	for n in 1 2 3; do
		sql "INSERT INTO parts VALUES (50001, $n) ON CONFLICT (id) DO UPDATE SET n = $n"
		wait_until 4 has_value a public/parts/50001.json n "$n"
		wait_until 4 has_value b public/parts/50001.json n "$n"
	done
	sync_command uninstall >/dev/null
	assert_equal "$(traces)" ""
}

@test "the change log: the worker is killed, and nobody writes to the log after that" {
	sync_command install >/dev/null
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	feed_mount a noworker
	witness_start a
	kill -KILL "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
	wait_until 10 feed_is a feed "no heartbeat"
	wait_until 10 nothing_left
	logged=$(sql "SELECT count(*) FROM rowfs.changes")
	witness_recovered
	assert_equal "$(sql "SELECT count(*) FROM rowfs.changes")" "$logged"
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	feed_live a
	witness_recovered
	witness_end
	witness_no_errors
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
	sync_command uninstall >/dev/null
}

@test "a role without REPLICATION: told what is needed; it hears the worker of a role that may" {
	export PGHOST=$HARNESS/logical
	pages_new
	sql "GRANT SELECT, UPDATE ON pages TO plain"
	plain="host=$PGHOST user=plain dbname=$PGDATABASE"
	refused 11 "a role with REPLICATION" changes=wal "$plain"
	mount_rowfs p "" "$plain"
	assert_equal "$(feed_get p changes)" "ttl=1"
	assert_contains "$(feed_get p changes_better)" "a role with REPLICATION"
	# Its worker is postgres', in another process.
	feed_mount a
	wait_until "$PATIENCE" feed_is p changes feed
	feed_live p
	witness_start a p
	witness_recovered
	witness_end
	witness_no_errors
	assert_equal "$(feed_get a worker_here)" leading
}

@test "a role that may replicate, but owns no table: told that the publication is missing" {
	export PGHOST=$HARNESS/logical
	pages_new
	sql "GRANT SELECT ON pages TO replicator"
	refused 11 "publication" changes=wal "host=$PGHOST user=replicator dbname=$PGDATABASE"
	# Its owner makes it; then the role may be the worker.
	sql "CREATE PUBLICATION rowfs FOR TABLE pages (id) WITH (publish_via_partition_root)"
	feed_mount r changes=wal "host=$PGHOST user=replicator dbname=$PGDATABASE"
	wait_until 10 feed_is r worker_tables "1 wal, 0 log, 0 none"
	sql "UPDATE pages SET n = 3"
	seen_by public/pages/3.json n 3 r
}
