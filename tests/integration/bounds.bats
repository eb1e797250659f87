# Nothing grows without bound, and nobody takes what is there for all.

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
	[[ -z ${HOLDER_PID:-} ]] || kill "$HOLDER_PID" 2>/dev/null || true
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
