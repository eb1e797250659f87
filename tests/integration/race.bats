# Three mounts, many readers and writers, all faults: nothing that was read was older than promised. What is
# promised is tests/lib/race_history.py; the long run is tests/campaign.

load ../lib/rowfs

@test "the checker finds each broken promise in a small history, and nothing in a right one" {
	python3 "$TOP/tests/lib/race_test.py"
}

@test "40 seconds of reads, saves, foreign transactions and faults on three mounts break no promise" {
	run_race --seconds 40
}

@test "the same in 25 seconds, with rows that are pinned by rules that change" {
	run_race --seconds 25 --rules
}

@test "the same with rows of which Redis has some columns, by rules that change" {
	run_race --seconds 25 --columns
	# Not in vain: most mounts live long enough to have joined some.
	grep -Eq '^m[0-9].* cache_joined [1-9]' "$BATS_TEST_TMPDIR/out"
}

@test "the same with a mount that is read only, of which the kernel says nothing when a row is opened" {
	run_race --seconds 25 --read-only
}

run_race() {
	local race status=0

	[[ -c /dev/fuse ]] || skip "no /dev/fuse"
	# In the background, so that a test that is ended ends it, too.
	python3 "$TOP/tests/lib/race.py" "$@" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	race=$!
	echo "$race" >"$BATS_TEST_TMPDIR/pid"
	wait "$race" || status=$?
	if ((status)); then
		cat "$BATS_TEST_TMPDIR/out" >&2
		return 1
	fi
	sed 's/^/# /' "$BATS_TEST_TMPDIR/out" >&3
}

# It ends its servers and mounts itself.
teardown() {
	[[ ! -f $BATS_TEST_TMPDIR/pid ]] || end_process "$(<"$BATS_TEST_TMPDIR/pid")"
}
