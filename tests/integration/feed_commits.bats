# Transactions that are large, or are told by the stream before anybody can see them, or that began before the worker:
# two mounts that hear a feed show what PostgreSQL shows.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start "logical_decoding_work_mem = 64kB" "max_wal_size = 4GB"
}

teardown_file() {
	harness_end
}

setup() {
	pages_new
}

teardown() {
	set_standbys ''
	[[ -z ${RECEIVER:-} ]] || end_process "$RECEIVER"
	feed_teardown
	for gid in $(sql "SELECT gid FROM pg_prepared_xacts"); do sql "ROLLBACK PREPARED '$gid'"; done
}

# set_standbys NAMES: synchronous_standby_names, from now on.
set_standbys() {
	sql "ALTER SYSTEM SET synchronous_standby_names = '$1'"
	sql "SELECT pg_reload_conf()" >/dev/null
	standbys_are() { [[ $(sql "SHOW synchronous_standby_names") == "$1" ]]; }
	wait_until 10 standbys_are "$1"
}

two_mounts() {
	feed_mount a
	feed_mount b
}

# The rows 1 to 8, as two mounts show them.
numbers() {
	cat "$HARNESS/$1"/public/pages/[1-8].json | jq -s -c 'map(.n)'
}

assert_numbers() {
	assert_equal "$(numbers a)" "$1"
	assert_equal "$(numbers b)" "$1"
}

@test "a commit that waits for a synchronous standby is not visible, and not shown until it is" {
	two_mounts
	sql "UPDATE pages SET n = 1"
	seen_by public/pages/8.json n 1 a b
	set_standbys missing
	psql -X -q -c "UPDATE pages SET n = 2" 3>&- &
	waiter=$!
	waits() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1 ]]; }
	wait_until 10 waits
	# The stream tells of it; the barrier holds the worker there.
	no_heartbeat() { feed_is a feed "no heartbeat" && feed_is b feed "no heartbeat"; }
	wait_until 10 no_heartbeat
	leader=$(feed_leader a b)
	(($(feed_get "$leader" sync_waits) > 0))
	for _ in $(seq 10); do assert_numbers "[1,1,1,1,1,1,1,1]"; done
	set_standbys ''
	wait "$waiter"
	for id in $(seq 8); do seen_by "public/pages/$id.json" n 2 a b; done
	feed_live a b
	assert_numbers "[2,2,2,2,2,2,2,2]"
}

@test "a commit whose wait for a standby is cancelled becomes visible, and is shown" {
	two_mounts
	assert_numbers "[0,0,0,0,0,0,0,0]"
	set_standbys missing
	for n in 1 2 3; do
		psql -X -q -c "UPDATE pages SET n = $n" 2>/dev/null 3>&- &
		waits() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1 ]]; }
		wait_until 10 waits
		assert_numbers "[$((n - 1)),$((n - 1)),$((n - 1)),$((n - 1)),$((n - 1)),$((n - 1)),$((n - 1)),$((n - 1))]"
		sql "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
		wait $!
		for id in $(seq 8); do seen_by "public/pages/$id.json" n "$n" a b; done
	done
	feed_live a b
}

@test "synchronous_standby_names = '*', set while the worker runs: it ends, and nobody's commit waits for it" {
	two_mounts
	# A standby that came later than the worker.
	mkdir "$BATS_TEST_TMPDIR/wal"
	"$(postgres_bin)/pg_receivewal" --synchronous -D "$BATS_TEST_TMPDIR/wal" 3>&- &
	RECEIVER=$!
	senders() { [[ $(sql "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "$1" ]]; }
	wait_until "$PATIENCE" senders 2
	set_standbys '*'
	timeout 20 psql -X -q -c "UPDATE pages SET n = 7"
	for id in $(seq 8); do seen_by "public/pages/$id.json" n 7 a b; done
	senders 1
	said() { grep -q "synchronous_standby_names" "$HARNESS"/[ab]/.rowfs/status; }
	wait_until 10 said
	set_standbys ''
	feed_live a b
}

@test "a prepared transaction is shown when it is committed, not when it is prepared" {
	two_mounts
	witness_start a b
	sql "INSERT INTO pages VALUES (100, 1)"
	seen_by public/pages/100.json n 1 a b
	sql "BEGIN; UPDATE pages SET n = 2 WHERE id = 100; PREPARE TRANSACTION 'later'"
	sql "INSERT INTO pages VALUES (101, 1)"
	seen_by public/pages/101.json n 1 a b
	assert_equal "$(value a public/pages/100.json n) $(value b public/pages/100.json n)" "1 1"
	sql "COMMIT PREPARED 'later'"
	seen_by public/pages/100.json n 2 a b
	sql "BEGIN; UPDATE pages SET n = 3 WHERE id = 100; PREPARE TRANSACTION 'never'"
	sql "ROLLBACK PREPARED 'never'"
	sql "UPDATE pages SET n = 2 WHERE id = 101"
	seen_by public/pages/101.json n 2 a b
	assert_equal "$(value a public/pages/100.json n)" 2
	feed_live a b
	witness_end
	witness_no_errors
}

@test "a transaction that was prepared before the worker came holds it up: status names it, mounts are right" {
	sql "BEGIN; UPDATE pages SET n = 5 WHERE id = 1; PREPARE TRANSACTION 'from before'"
	mount_rowfs a
	mount_rowfs b
	names_it() { feed_says a worker_waits_for "from before" || feed_says b worker_waits_for "from before"; }
	wait_until "$PATIENCE" names_it
	assert_equal "$(feed_get a feed)" "no heartbeat"
	for n in 11 12 13; do
		sql "UPDATE pages SET n = $n WHERE id = 2"
		seen_by public/pages/2.json n "$n" a b
	done
	assert_equal "$(value a public/pages/1.json n)" 0
	sql "COMMIT PREPARED 'from before'"
	seen_by public/pages/1.json n 5 a b
	feed_live a b
	names_none() { [[ -z $(feed_get a worker_waits_for)$(feed_get b worker_waits_for) ]]; }
	wait_until 10 names_none
}

@test "an open transaction does not hold up others' commits, nor the heartbeat" {
	two_mounts
	hold 'INSERT INTO pages VALUES (300, 1)'
	witness_start a b
	sql "INSERT INTO pages VALUES (200, 1)"
	for n in 2 3 4 5; do
		sql "UPDATE pages SET n = $n WHERE id = 200"
		seen_by public/pages/200.json n "$n" a b
		assert_equal "$(feed_get a feed) $(feed_get b feed)" "live live"
	done
	release COMMIT
	seen_by public/pages/300.json n 1 a b
	witness_end
	witness_no_errors
}

@test "a transaction with savepoints and a rollback shows what was committed of it" {
	two_mounts
	assert_numbers "[0,0,0,0,0,0,0,0]"
	sql "BEGIN; UPDATE pages SET n = 1 WHERE id = 1; SAVEPOINT s; UPDATE pages SET n = 2 WHERE id = 2;
		ROLLBACK TO s; UPDATE pages SET n = 3 WHERE id = 3; COMMIT"
	seen_by public/pages/3.json n 3 a b
	assert_numbers "[1,0,3,0,0,0,0,0]"
	sql "BEGIN; UPDATE pages SET n = 9; ROLLBACK"
	sql "UPDATE pages SET n = 4 WHERE id = 4"
	seen_by public/pages/4.json n 4 a b
	assert_numbers "[1,0,3,4,0,0,0,0]"
}

@test "COPY of 20,000 rows: the listing has them all" {
	two_mounts
	lists() { [[ $(ls "$HARNESS/$1/public/pages" | wc -l) == "$2" ]]; }
	for _ in 1 2 3; do lists a 8 && lists b 8; done
	seq 1001 21000 | awk '{print $1 "\t" $1}' | psql -X -q -c "COPY pages FROM STDIN"
	seen_by public/pages/21000.json n 21000 a b
	wait_until 3 lists a 20008
	wait_until 3 lists b 20008
	feed_live a b
}

@test "TRUNCATE CASCADE empties both tables on both mounts" {
	sql "CREATE TABLE notes (id int PRIMARY KEY, page int REFERENCES pages, text text);
		INSERT INTO notes SELECT id, id, 'note' FROM pages"
	two_mounts
	cat "$HARNESS"/{a,b}/public/{pages,notes}/*.json >/dev/null
	sql "TRUNCATE pages CASCADE"
	empty() { [[ -z $(ls "$HARNESS/$1/public/pages")$(ls "$HARNESS/$1/public/notes") ]]; }
	wait_until 2 empty a
	wait_until 2 empty b
	for name in a b; do
		fails_with "No such file" cat "$HARNESS/$name/public/pages/1.json"
		fails_with "No such file" cat "$HARNESS/$name/public/notes/1.json"
	done
	sql "INSERT INTO pages VALUES (1, 77)"
	seen_by public/pages/1.json n 77 a b
	assert_equal "$(ls "$HARNESS/a/public/pages") $(ls "$HARNESS/b/public/pages")" "1.json 1.json"
}

# Its highest resident memory, in kB, since it was reset.
peak_reset() {
	echo 5 >"/proc/$1/clear_refs"
}

peak() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

@test "an UPDATE of 1,000,000 rows: the worker's memory stays small, and the mounts are right throughout" {
	[[ -z ${ROWFS_SANITIZED:-} ]] || skip "the sanitizers' own memory is not bounded"
	sql "CREATE TABLE big (id int PRIMARY KEY, n int NOT NULL, filler text) WITH (fillfactor = 50);
		INSERT INTO big SELECT i, 0, 'filler ' || i FROM generate_series(1, 1000000) i"
	two_mounts
	witness_start a b
	ids=(1 17 4711 123456 500000 999999 1000000)
	for id in "${ids[@]}"; do seen_by "public/big/$id.json" n 0 a b; done
	worker=$(rowfs_pid "$(feed_leader a b)")
	peak_reset "$worker"
	before=$(peak "$worker")
	psql -X -q -c "UPDATE big SET n = 1" 3>&- &
	writer=$!
	# Before its commit nobody shows it; its neighbours' commits are seen meanwhile.
	while ! process_gone "$writer"; do
		for name in a b; do
			numbers=$(cd "$HARNESS/$name/public/big" && jq .n "${ids[@]/%/.json}")
			[[ ${numbers//[[:space:]]/} == 0000000 ]] || process_gone "$writer" ||
				[[ $(sql "SELECT n FROM big WHERE id = 1") == 1 ]]
		done
		sleep 0.05
	done
	wait "$writer"
	for id in "${ids[@]}"; do seen_by "public/big/$id.json" n 1 a b; done
	feed_live a b
	witness_recovered
	after=$(peak "$worker")
	echo "# the worker had $before kB, and $after kB at most" >&3
	((after - before <= 65536))
	sql "UPDATE big SET n = 2 WHERE id = 4711"
	seen_by public/big/4711.json n 2 a b
	witness_end
	witness_no_errors
}
