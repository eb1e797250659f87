# Clocks that step, and a worker that is stopped for longer than the server waits for it.
#
# Redis' clock is stepped by a library in front of libc's (tests/lib/clock_step.c). PostgreSQL's is not: no promise rests on
# it. Nor the machine's, which the mounts read through clocks that nobody can set.

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
	[[ ! -f $HARNESS/redis/faked ]] || { redis_stop "$HARNESS/redis"; rm "$HARNESS/redis/faked"; redis_start "$HARNESS/redis"; }
}

# Redis as before, with a clock that step() sets.
redis_with_steps() {
	command -v cc >/dev/null || skip "no C compiler"
	cc -shared -fPIC -O1 -o "$HARNESS/redis/clock_step.so" "$TOP/tests/lib/clock_step.c"
	redis_stop "$HARNESS/redis"
	touch "$HARNESS/redis/faked"
	step 0
	LD_PRELOAD=$HARNESS/redis/clock_step.so CLOCK_STEP=$HARNESS/redis/step redis_start "$HARNESS/redis"
}

# In place, since the server has it mapped.
step() {
	python3 -c 'import sys; sys.stdout.buffer.write(int(sys.argv[1]).to_bytes(8, sys.byteorder, signed=True))' "$1" |
		dd of="$HARNESS/redis/step" conv=notrunc status=none
}

# Seconds that Redis is ahead of this machine.
ahead() {
	echo $(($(redis TIME | head -n 1) - EPOCHSECONDS))
}

is_ahead() {
	local seconds

	seconds=$(ahead)
	((seconds >= $1 - 2 && seconds <= $1 + 2))
}

@test "Redis' clock steps forward by an hour, back by two, and to and fro" {
	redis_with_steps
	feed_mount a
	feed_mount b
	witness_start a b
	for offset in 3600 -3600 60 0 -60 0; do
		step "$offset"
		wait_until 10 is_ahead "$offset"
		# Heartbeats go on under the new time.
		beats=$(feed_get a feed_number)
		beaten() { (($(feed_get a feed_number) > beats + 5)) && feed_is a feed live && feed_is b feed live; }
		wait_until "$PATIENCE" beaten
		sql "INSERT INTO pages VALUES (50, 1) ON CONFLICT (id) DO UPDATE SET n = pages.n + 1"
		seen_by public/pages/50.json n "$(sql "SELECT n FROM pages WHERE id = 50")" a b
	done
	witness_recovered
	witness_end
	witness_no_errors
}

@test "the worker is stopped for more than a minute: the server takes its lock and slot, and another takes over" {
	feed_mount a
	feed_mount b
	leader=$(feed_leader a b)
	other=$([[ $leader == a ]] && echo b || echo a)
	epoch=$(feed_epoch "$other")
	witness_start a b
	kill -STOP "$(rowfs_pid "$leader")"
	taken_over() { has_new_epoch "$other" "$epoch" && feed_is "$other" worker_here leading; }
	wait_until 100 taken_over
	# The slot of the stopped one, too, goes in its time.
	slots() { [[ $(sql "SELECT count(*) FROM pg_replication_slots") == 1 ]]; }
	wait_until 30 slots
	kill -CONT "$(rowfs_pid "$leader")"
	feed_live a b
	assert_equal "$(feed_leader a b)" "$other"
	witness_recovered
	witness_end
	assert_equal "$(witness_count "$other" eio)" 0
}
