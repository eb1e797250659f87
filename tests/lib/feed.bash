# What the tests of the change feed share: mounts that hear of others' commits, and a witness that reads and
# writes while something happens to them. Loaded after rowfs.bash.

# The longest wait for something that must happen: this machine may be busy.
PATIENCE=60

# feed_start [POSTGRESQL SETTING...]: the file's servers, with logical decoding.
feed_start() {
	harness_start "wal_level = logical" "max_prepared_transactions = 5" "max_wal_senders = 20" \
		"max_replication_slots = 20" "$@"
}

# The witness' table in a new database.
pages_new() {
	database_new
	redis FLUSHALL >/dev/null
	sql "CREATE TABLE pages (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
		INSERT INTO pages SELECT i FROM generate_series(1, 8) i"
}

# feed_mount NAME [OPTIONS [SOURCE]]: a mount that hears heartbeats. What is read is in Redis at once: most of these tests
# are of what becomes of it there.
feed_mount() {
	mount_rowfs "$1" "admit=first${2:+,$2}" "${@:3}" || return 1
	feed_live "$1"
}

# feed_live NAME...
feed_live() {
	local name

	for name in "$@"; do
		wait_until "$PATIENCE" feed_is "$name" feed live || {
			echo "$name has no feed:" >&2
			cat "$HARNESS/$name/.rowfs/status" >&2
			return 1
		}
	done
}

# feed_get NAME KEY: what the mount's status says.
feed_get() {
	sed -n "s/^$2: //p" "$HARNESS/$1/.rowfs/status"
}

# feed_is NAME KEY VALUE
feed_is() {
	[[ $(feed_get "$1" "$2") == "$3" ]]
}

# feed_says NAME KEY TEXT: the value has this text somewhere.
feed_says() {
	[[ $(feed_get "$1" "$2") == *"$3"* ]]
}

# The names of the mounts, of those given, whose process is the worker.
feed_leaders() {
	local name

	for name in "$@"; do
		! feed_is "$name" worker_here leading || echo "$name"
	done
}

# feed_leader NAME...: the one that is the worker.
feed_leader() {
	wait_until "$PATIENCE" one_leader "$@" || return 1
	feed_leaders "$@"
}

one_leader() {
	[[ $(feed_leaders "$@" | wc -l) == 1 ]]
}

# feed_epoch NAME, and wait_new_epoch NAME OLD: the mount hears another one, alive.
feed_epoch() {
	feed_get "$1" feed_epoch
}

has_new_epoch() {
	local epoch

	epoch=$(feed_epoch "$1")
	[[ -n $epoch && $epoch != "$2" ]] && feed_is "$1" feed live
}

wait_new_epoch() {
	wait_until "$PATIENCE" has_new_epoch "$@"
}

# value NAME PATH FIELD
value() {
	jq -r ".$3" "$HARNESS/$1/$2"
}

# jq takes a while to start, so it is asked when the answer seems to be there.
has_value() {
	grep -q "^  \"$3\": \"\?$4\"\?,\?$" "$HARNESS/$1/$2" 2>/dev/null &&
		[[ $(value "$1" "$2" "$3" 2>/dev/null) == "$4" ]]
}

# seen_by PATH FIELD VALUE NAME...: within two seconds, for the bound is one and this machine is busy. Exactly the
# bound is what the witness checks.
seen_by() {
	local path=$1 field=$2 expected=$3 name

	shift 3
	for name in "$@"; do
		wait_until 2 has_value "$name" "$path" "$field" "$expected" || {
			echo "$name/$path: $field is $(value "$name" "$path" "$field"), not $expected" >&2
			return 1
		}
	done
}

# What a process that is gone has left: nothing.
nothing_left() {
	[[ $(sql "SELECT (SELECT count(*) FROM pg_replication_slots) +
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')") == 0 ]]
}

# --- The witness (witness.py) ---

# witness_start NAME...
witness_start() {
	WITNESSED=("$@")
	newest_page WITNESS_BEGAN
	rm -f "$BATS_TEST_TMPDIR/witness"
	python3 "$TOP/tests/lib/witness.py" "$BATS_TEST_TMPDIR/witness" "${@/#/$HARNESS/}" \
		>"$BATS_TEST_TMPDIR/witness.out" 2>&1 3>&- &
	WITNESS=$!
	# It has read and written.
	wait_until "$PATIENCE" witness_works
}

witness_works() {
	local now

	newest_page now && ((now > WITNESS_BEGAN + 8))
}

# newest_page VARIABLE
newest_page() {
	local found

	found=$(sql "SELECT max(n) FROM public.pages WHERE id <= 8" 2>/dev/null) || return 1
	printf -v "$1" %d "$found"
}

# Go on until what is committed from now on has been seen on every mount: after a fault that is over.
witness_recovered() {
	local n

	wait_until "$PATIENCE" newest_page n || return 1
	wait_until "$PATIENCE" witness_past "$n"
}

witness_past() {
	local name

	for name in "${WITNESSED[@]}"; do
		(($(cat "$HARNESS/$name"/public/pages/[1-8].json 2>/dev/null | jq -s 'map(.n) | min // 0') > $1)) || return 1
	done
}

# witness_end: fails if the promise was broken, or a reader hangs.
witness_end() {
	local status=0

	[[ -n ${WITNESS:-} ]] || return 0
	kill -TERM "$WITNESS"
	wait_until 60 process_gone "$WITNESS" || {
		echo "the witness hangs" >&2
		kill -KILL "$WITNESS"
	}
	wait "$WITNESS" || status=1
	WITNESS=
	sed 's/^/# /' "$BATS_TEST_TMPDIR/witness" >&3 || status=1
	((status == 0)) || cat "$BATS_TEST_TMPDIR"/witness{,.out} >&2
	return "$status"
}

# witness_count NAME WHAT: reads, eio, estale, gap_ms
witness_count() {
	sed -n "s/^$1: .*\<$2: \([0-9]*\).*/\1/p" "$BATS_TEST_TMPDIR/witness"
}

# No read has failed: what happened has cost nothing but time.
witness_no_errors() {
	local name

	for name in "${WITNESSED[@]}"; do
		assert_equal "$name $(witness_count "$name" eio)" "$name 0" || return 1
	done
}

# teardown: nothing is left running, whatever failed.
feed_teardown() {
	local pid

	[[ -z ${WITNESS:-} ]] || kill -KILL "$WITNESS" 2>/dev/null || true
	WITNESS=
	for pid in "$HARNESS"/mounts/*.pid "$HARNESS/redis/redis.pid"; do
		[[ ! -s $pid ]] || kill -CONT "$(<"$pid")" 2>/dev/null || true
	done
	mounts_end
}
