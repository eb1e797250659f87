# The sync worker killed, stopped, doubled, or a process of its own: mounts show what is right throughout.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
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

# Two mounts; $LEADER is the worker, $OTHER is not.
two_mounts() {
	feed_mount a
	feed_mount b
	LEADER=$(feed_leader a b)
	OTHER=$([[ $LEADER == a ]] && echo b || echo a)
}

# kill_mount NAME: its process, at once; what it leaves in the kernel goes too.
kill_mount() {
	kill -KILL "$(rowfs_pid "$1")" 2>/dev/null || true
	wait_until 20 test -s "$HARNESS/mounts/$1.exit"
	rm -f "$HARNESS/mounts/$1".*
	unmount "$HARNESS/$1"
}

@test "the worker is killed: within 2 s of its end another mount has taken over" {
	two_mounts
	witness_start "$OTHER"
	epoch=$(feed_epoch "$OTHER")
	kill -KILL "$(rowfs_pid "$LEADER")"
	began=${EPOCHREALTIME/[.,]/}
	wait_new_epoch "$OTHER" "$epoch"
	took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
	echo "# taken over after $took ms" >&3
	feed_is "$OTHER" worker_here leading
	kill_mount "$LEADER"
	witness_recovered
	witness_end
	witness_no_errors
	((took < 2000))
}

@test "the worker is killed while a write transaction is open: until that ends, mounts ask PostgreSQL and status names it" {
	two_mounts
	hold 'UPDATE pages SET n = n WHERE id = 8'
	kill_mount "$LEADER"
	wait_until "$PATIENCE" feed_says "$OTHER" worker_waits_for "$HELD"
	feed_is "$OTHER" worker_here starting
	feed_is "$OTHER" feed "no heartbeat"
	for n in 101 102 103; do
		sql "UPDATE pages SET n = $n WHERE id = 1"
		seen_by public/pages/1.json n "$n" "$OTHER"
	done
	release 'UPDATE pages SET n = 104 WHERE id = 8; COMMIT'
	seen_by public/pages/8.json n 104 "$OTHER"
	feed_live "$OTHER"
	assert_equal "$(feed_get "$OTHER" worker_here)$(feed_get "$OTHER" worker_waits_for)" leading
}

@test "killing every mount leaves no slot, no lock and no write-ahead log that somebody keeps" {
	two_mounts
	assert_equal "$(sql "SELECT count(*) FROM pg_replication_slots WHERE temporary AND active")" 1
	kill_mount "$LEADER"
	kill_mount "$OTHER"
	wait_until 10 nothing_left
	assert_equal "$(sql "SELECT count(*) FROM pg_stat_replication")" 0
}

@test "the worker is stopped for 10 s: the other mount stays right, and so is the worker's when it goes on" {
	two_mounts
	witness_start a b
	kill -STOP "$(rowfs_pid "$LEADER")"
	began=$SECONDS
	lapsed() { ! feed_is "$OTHER" feed live; }
	wait_until 10 lapsed
	ten_seconds_passed() { ((SECONDS - began > 10)); }
	# It holds the lock, so nobody takes over; reads ask PostgreSQL meanwhile.
	wait_until 5 feed_is "$OTHER" worker_here waiting
	wait_until 20 ten_seconds_passed
	kill -CONT "$(rowfs_pid "$LEADER")"
	feed_live a b
	witness_recovered
	witness_end
	assert_equal "$(witness_count "$OTHER" eio)" 0
}

@test "a mount that is not the worker is stopped for 3 s: it is right at once when it goes on" {
	two_mounts
	witness_start a b
	kill -STOP "$(rowfs_pid "$OTHER")"
	began=$SECONDS
	passed() { ((SECONDS - began > 3)); }
	wait_until 20 passed
	kill -CONT "$(rowfs_pid "$OTHER")"
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "rowfs sync and another begin at the very same time, and the other one makes the publication" {
	psql -XAtqc "BEGIN; CREATE PUBLICATION rowfs WITH (publish_via_partition_root = true); SELECT pg_sleep(0.6); COMMIT" \
		3>&- >/dev/null &
	wait_until 5 publication_waits
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	wait $!
	feed_mount a noworker
	sql "UPDATE pages SET n = 5 WHERE id = 1"
	seen_by public/pages/1.json n 5 a
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
}

publication_waits() {
	[[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1 ]]
}

@test "two mounts and rowfs sync at once: one of them is the worker, and takes over in turn" {
	two_mounts
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	assert_equal "$(sql "SELECT count(*) FROM pg_replication_slots")" 1
	witness_start "$OTHER"
	kill_mount "$LEADER"
	feed_live "$OTHER"
	witness_recovered
	witness_end
	# It, or rowfs sync; the other one is next.
	wait_until 10 slots_are 1
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	assert_equal "$(cat "$HARNESS/mounts/sync.exit")" 0
	rm -f "$HARNESS/mounts/sync".*
	wait_until "$PATIENCE" feed_is "$OTHER" worker_here leading
	feed_live "$OTHER"
}

slots_are() {
	[[ $(sql "SELECT count(*) FROM pg_replication_slots") == "$1" ]]
}

@test "rowfs sync as a process of its own serves mounts that say noworker, and they outlive its end" {
	start_sync() { rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"; }
	start_sync
	feed_mount a noworker
	feed_mount b noworker
	assert_equal "$(feed_get a worker_here) $(feed_get b worker_here)" "off off"
	assert_contains "$(feed_get a worker)" "process $(rowfs_pid sync)"
	witness_start a b
	kill -KILL "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync.exit"
	wait_until 10 feed_is a feed "no heartbeat"
	wait_until 10 nothing_left
	start_sync
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
	wait_until 10 nothing_left
}

@test "rowfs sync itself is stopped and goes on: what it says late proves nothing" {
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	feed_mount a noworker
	witness_start a
	for _ in 1 2 3; do
		kill -STOP "$(rowfs_pid sync)"
		wait_until 10 feed_is a feed "no heartbeat"
		kill -CONT "$(rowfs_pid sync)"
		feed_live a
	done
	witness_recovered
	witness_end
	witness_no_errors
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
}
