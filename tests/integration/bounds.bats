# Nothing grows without bound.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
}

teardown() {
	mounts_end
}

status_of() {
	sed -n "s/^$1: \([0-9]*\).*/\1/p" "$MNT/.rowfs/status"
}

@test "a row that was only looked at does not take the memory for good" {
	sql "CREATE TABLE big (id int PRIMARY KEY, x text);
		INSERT INTO big SELECT i, repeat(md5(i::text), 20 * 1024 * 1024 / 32) FROM generate_series(1, 6) i"
	mount_rowfs mnt memory_max=30M
	for id in 1 2 3; do
		assert_equal "$(stat -c %s "$MNT/public/big/$id.json")" 20971545
		assert_equal "$(wc -c <"$MNT/public/big/$id.json")" 20971545
	done
	# A few at once are too many, and that passes.
	for id in 1 2 3 4 5 6; do
		stat -c %s "$MNT/public/big/$id.json" >/dev/null 2>&1 3>&- &
	done
	wait
	no_memory_held() { [[ $(status_of memory) == 0 ]]; }
	wait_until 10 no_memory_held
	assert_equal "$(wc -c <"$MNT/public/big/5.json")" 20971545
}

@test "who reads a table that somebody has locked is told, each of many" {
	sql "CREATE TABLE locked (id int PRIMARY KEY, x text); INSERT INTO locked SELECT i, 'x' FROM generate_series(1, 60) i"
	mount_rowfs
	ls "$MNT/public/locked" >/dev/null
	hold 'LOCK TABLE locked'
	for id in $(seq 1 40); do
		cat "$MNT/public/locked/$id.json" >/dev/null 2>"$BATS_TEST_TMPDIR/reader.$id" 3>&- &
	done
	all_told() { (($(cat "$BATS_TEST_TMPDIR"/reader.* | grep -c 'Device or resource busy') == 40)); }
	wait_until 60 all_told
	release
	cat "$MNT/public/locked/1.json" >/dev/null
}

memory_kb() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(rowfs_pid)/status"
}

@test "a listing holds a page, whatever comes after the rows that it has seen" {
	sql "CREATE TABLE mixed (id int PRIMARY KEY, x text);
		INSERT INTO mixed SELECT i, 'x' FROM generate_series(1, 2500) i;
		INSERT INTO mixed SELECT i, repeat(md5(i::text), 1024 * 1024 / 32) FROM generate_series(10001, 10200) i"
	mount_rowfs mnt memory_max=64M
	before=$(memory_kb)
	assert_equal "$(find "$MNT/public/mixed" -name '*.json' | wc -l)" 2700
	assert_equal "$(find "$MNT/public/mixed" -name '*.json' -size +1024k | wc -l)" 200
	[[ -n ${ROWFS_SANITIZED:-} ]] || (($(memory_kb) - before < 30000))
}

@test "truncate, empty files, links and directories keep to scratch_max, and give back what they took" {
	sql "CREATE TABLE notes (id int PRIMARY KEY, x text); INSERT INTO notes VALUES (1, 'x')"
	mount_rowfs mnt scratch_max=1M
	cd "$MNT/public/notes"
	fails_with 'No space left' truncate -s 2M .big
	assert_equal "$(stat -c %s .big)" 0
	truncate -s 900K .big
	fails_with 'No space left' dd if=/dev/zero of=more bs=200K count=1 status=none
	for i in $(seq 1 20); do # each time in place of the last, faster than anything is measured
		head -c 900K /dev/zero >.big
		head -c 60K /dev/zero >other
		mv other another
		rm another
	done
	rm .big more
	for kind in "touch f" "ln -s nowhere l" "mkdir d"; do
		n=0
		while ((n < 400)) && $kind$n 2>"$BATS_TEST_TMPDIR/said"; do n=$((n + 1)); done
		assert_contains "$(cat "$BATS_TEST_TMPDIR/said")" 'No space left'
		assert_equal "$n" 256
		find . -name '[fld][0-9]*' -delete
		assert_equal "$(status_of scratch)" 0
	done
	assert_equal "$(cat 1.json | jq -r .x)" x
}

@test "files that are no rows leave descriptors for what is" {
	sql "CREATE TABLE notes (id int PRIMARY KEY, x text);
		INSERT INTO notes SELECT i, 'x' FROM generate_series(1, 20) i"
	ulimit -n 300
	mount_rowfs mnt
	cat "$MNT/public/notes/1.json" >/dev/null
	fails_with 'No space left' touch "$MNT"/public/notes/.f{1..320}
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rowfs'" >/dev/null
	for id in $(seq 2 20); do
		assert_equal "$(jq -r .x "$MNT/public/notes/$id.json")" x
	done
	ls "$MNT/public/notes" >/dev/null
}

@test "kept texts that were taken away make room for others" {
	sql "CREATE TABLE notes (id int PRIMARY KEY, x text); INSERT INTO notes VALUES (1, 'x')"
	# A text, what it was made of, and why it was refused take a block each.
	mount_rowfs mnt rejected_max=48K
	for i in $(seq 1 6); do
		echo "{\"nothing\": $i}" >"$MNT/public/notes/1.json" || true
	done
	assert_equal "$(ls "$MNT/.rowfs/rejected" | grep -c 'json$')" 4
	rm "$MNT/.rowfs/rejected/"*
	assert_equal "$(ls "$MNT/.rowfs/rejected" | wc -l)" 0
	for i in $(seq 1 4); do
		echo "{\"nothing\": $i}" >"$MNT/public/notes/1.json" || true
	done
	assert_equal "$(ls "$MNT/.rowfs/rejected" | grep -c 'json$')" 4
}
