# Nothing freezes: with every write connection stuck behind somebody's idle transaction, what needs no
# write answers at once, and the stuck saves are told.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE pages (id int PRIMARY KEY, body text NOT NULL);
		INSERT INTO pages SELECT i, 'page ' || i FROM generate_series(1, 100) i"
	mount_rowfs mnt ttl=60
	PAGES=$MNT/public/pages
	# A sanitized program is many times slower.
	LIMIT_MS=$([[ -n ${ROWFS_SANITIZED:-} ]] && echo 1000 || echo 100)
}

teardown() {
	mounts_end
}

stuck() {
	sql "SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'"
}

# Time in ms that each of these takes, each in a fresh open; the slowest is printed.
slowest_answer() {
	python3 - "$MNT" <<-'END'
		import os, sys, time
		root = sys.argv[1]
		pages = root + "/public/pages/"
		def scratch():
		    with open(pages + "notes.txt", "a") as f: f.write("a line\n")
		work = {
		    "ls /": lambda: os.listdir(root),
		    "ls of the tables": lambda: os.listdir(root + "/public"),
		    "cat of a cached row": lambda: open(pages + "50.json").read(),
		    "a scratch write": scratch,
		    "cat .rowfs/status": lambda: open(root + "/.rowfs/status").read(),
		}
		worst = 0
		for _ in range(5):
		    for name, call in work.items():
		        begin = time.monotonic()
		        call()
		        ms = (time.monotonic() - begin) * 1000
		        print(f"{name}: {ms:.1f} ms", file=sys.stderr)
		        worst = max(worst, ms)
		print(round(worst))
	END
}

@test "with every writer stuck, reads, scratch files and status answer within 100 ms; stuck saves get EBUSY" {
	cat "$PAGES/50.json" >/dev/null
	hold 'UPDATE pages SET body = body WHERE id <= 20'
	for id in $(seq 1 8); do
		{
			echo '{"body": "changed"}' | tee "$PAGES/$id.json" >/dev/null
		} 2>"$BATS_TEST_TMPDIR/save.$id" 3>&- &
	done
	all_writers_stuck() { (($(stuck) >= 4)); }
	wait_until 10 all_writers_stuck
	worst=$(slowest_answer)
	# The measure counts only if they are still stuck.
	(($(stuck) >= 4))
	((worst < LIMIT_MS))
	for id in $(seq 1 8); do
		wait_until 30 grep -q "Device or resource busy" "$BATS_TEST_TMPDIR/save.$id"
	done
	assert_contains "$(last_error)" EBUSY
	assert_contains "$(last_error)" 55P03
	release
	assert_equal "$(sql "SELECT count(*) FROM pages WHERE body = 'changed'")" 0
	echo '{"body": "changed"}' | tee "$PAGES/1.json" >/dev/null
	assert_equal "$(sql "SELECT count(*) FROM pages WHERE body = 'changed'")" 1
}

@test "a save that waits for a lock which is released in time succeeds" {
	hold 'UPDATE pages SET body = body WHERE id = 3'
	echo '{"body": "changed"}' | tee "$PAGES/3.json" >/dev/null 3>&- &
	saving=$!
	one_stuck() { (($(stuck) == 1)); }
	wait_until 10 one_stuck
	release
	wait "$saving"
	assert_equal "$(sql "SELECT body FROM pages WHERE id = 3")" changed
}

@test "Redis that is stopped in its tracks does not hold up a read" {
	cat "$PAGES/7.json" >/dev/null
	kill -STOP "$(cat "$HARNESS/redis/redis.pid")"
	worst=$(python3 - "$PAGES" <<-'END'
		import sys, time
		worst = 0
		for n in range(1, 60):
		    begin = time.monotonic()
		    assert f'"page {n}"' in open(f"{sys.argv[1]}/{n}.json").read()
		    worst = max(worst, (time.monotonic() - begin) * 1000)
		print(round(worst))
	END
	)
	kill -CONT "$(cat "$HARNESS/redis/redis.pid")"
	((worst < LIMIT_MS)) || {
		echo "a read took $worst ms" >&2
		return 1
	}
}

@test "a reader that is killed is gone at once, and its query is cancelled" {
	sql "CREATE VIEW slow AS SELECT 1 AS id, (SELECT pg_sleep(25))::text AS nap"
	printf 'table "public.slow" {\n\tkey = "id"\n}\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	mount_rowfs slow "config=$BATS_TEST_TMPDIR/rowfs.conf"
	napping() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "$1" ]]; }
	cat "$MNT/public/slow/1.json" >/dev/null 2>&1 3>&- &
	reader=$!
	wait_until 10 napping 1
	kill -KILL "$reader"
	wait_until 1 process_gone "$reader"
	wait_until 2 napping 0
}

@test "a table that somebody has locked does not hold up the others" {
	sql "CREATE TABLE locked (id int PRIMARY KEY, x text); CREATE TABLE free (id int PRIMARY KEY, x text);
		INSERT INTO locked SELECT i, 'x' FROM generate_series(1, 60) i;
		INSERT INTO free SELECT i, 'x' FROM generate_series(1, 60) i"
	unmount_rowfs
	mount_rowfs
	ls "$MNT/public/locked" >/dev/null
	hold 'LOCK TABLE locked'
	for id in $(seq 1 40); do
		cat "$MNT/public/locked/$id.json" >/dev/null 2>&1 3>&- &
	done
	readers_stuck() { (($(stuck) >= 3)); }
	wait_until 10 readers_stuck
	assert_equal "$(stuck)" 3
	worst=0
	for id in $(seq 1 20); do
		begin=${EPOCHREALTIME/[.,]/}
		cat "$MNT/public/free/$id.json" >/dev/null
		took=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
		((took <= worst)) || worst=$took
	done
	echo "# the slowest took $worst ms" >&3
	# The measure counts only if they are still stuck.
	wait_until 10 readers_stuck
	((worst < 500))
	release
	cat "$MNT/public/locked/1.json" >/dev/null
}
