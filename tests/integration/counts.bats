# What a read and a save cost, counted by the servers themselves, on a second mount that has never read
# the row. The catalog's own queries, which run in the background, name no table of the user's.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_from_shop
	sql 'CREATE EXTENSION pg_stat_statements SCHEMA public'
	redis FLUSHALL >/dev/null
	mount_rowfs first ttl=60
	mount_rowfs second ttl=60
	ROW=shop/products/TENT-003.json
}

teardown() {
	mounts_end
}

# Statements about products since the mark, by the log; and since the reset, by pg_stat_statements.
product_statements() {
	statements_since "$1" | grep -c '"products"' || true
}

product_calls() {
	sql "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
		WHERE query LIKE '%\"products\"%' AND query NOT LIKE '%pg_stat_statements%'
		AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
}

price() {
	sed -n 's/^  "price": \(.*\),$/\1/p' "$1"
}

redis_holds() {
	redis --scan | grep -q "TENT-003"
}

# put_into_redis MOUNT: by the second read.
put_into_redis() {
	cat "$HARNESS/$1/$ROW" >/dev/null
	cat "$HARNESS/$1/$ROW" >/dev/null
	wait_until 5 redis_holds
}

# The mounts have just told each other what is read, and do so again in five seconds only.
just_exchanged() {
	local before

	before=$(redis_calls_all)
	exchanged() { (($(redis_calls_all) >= before + 32)); }
	wait_until 10 exchanged
	quiet() {
		before=$(redis_calls_all)
		sleep 0.2
		[[ $(redis_calls_all) == "$before" ]]
	}
	wait_until 10 quiet
}

@test "a row that Redis holds costs one Redis command and no SQL" {
	put_into_redis first
	cat "$HARNESS/first/$ROW" >"$BATS_TEST_TMPDIR/first"
	unmount_rowfs first
	ls "$HARNESS/second/shop" >/dev/null
	just_exchanged
	mark=$(log_mark)
	sql 'SELECT pg_stat_statements_reset()' >/dev/null
	commands=$(redis_calls_all)
	cat "$HARNESS/second/$ROW" >"$BATS_TEST_TMPDIR/second"
	assert_equal "$(($(redis_calls_all) - commands))" 1
	assert_equal "$(product_statements "$mark")" 0
	assert_equal "$(product_calls)" 0
	cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
}

@test "a row that Redis does not hold costs one SELECT" {
	mark=$(log_mark)
	sql 'SELECT pg_stat_statements_reset()' >/dev/null
	cat "$HARNESS/second/$ROW" >/dev/null
	assert_equal "$(product_statements "$mark")" 1
	assert_equal "$(product_calls)" 1
}

@test "a third read within the ttl costs no SQL" {
	put_into_redis second
	mark=$(log_mark)
	for _ in 1 2 3; do cat "$HARNESS/second/$ROW" >/dev/null; done
	assert_equal "$(product_statements "$mark")" 0
}

@test "a save costs one SQL statement" {
	put_into_redis first
	mark=$(log_mark)
	sql 'SELECT pg_stat_statements_reset()' >/dev/null
	echo '{"price": 199.00}' | tee "$HARNESS/second/$ROW" >/dev/null
	assert_equal "$(product_statements "$mark")" 1
	assert_equal "$(product_calls)" 1
	assert_writes "$mark" UPDATE
	assert_equal "$(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'")" 199.00
}

@test "a save takes the row out of Redis" {
	put_into_redis first
	echo '{"price": 199.00}' | tee "$HARNESS/second/$ROW" >/dev/null
	not_held() { ! redis_holds; }
	wait_until 5 not_held
	assert_equal "$(price "$HARNESS/second/$ROW")" 199.00
}

# twenty_readers MOUNT
twenty_readers() {
	python3 - "$HARNESS/$1/$ROW" <<-'END'
		import sys, threading
		barrier = threading.Barrier(20)
		texts = []
		def read():
		    barrier.wait()
		    texts.append(open(sys.argv[1]).read())
		threads = [threading.Thread(target=read) for _ in range(20)]
		for t in threads: t.start()
		for t in threads: t.join()
		assert len(texts) == 20 and len(set(texts)) == 1
	END
}

# The look-up's SELECT puts the row into Redis with admit=first, and is the only one. Else who comes before anybody has read
# it shares one, as do those who come while one of them puts it there; never each his own.
@test "twenty readers at once of a row that nobody has share a few SELECTs; with admit=first, one" {
	mount_rowfs eager ttl=60,admit=first
	mark=$(log_mark)
	twenty_readers second
	count=$(product_statements "$mark")
	echo "# $count SELECTs" >&3
	((count <= 10))
	redis FLUSHALL >/dev/null
	mark=$(log_mark)
	twenty_readers eager
	assert_equal "$(product_statements "$mark")" 1
}

@test "ls -l of a table reads pages, not rows" {
	mark=$(log_mark)
	assert_equal "$(ls -l "$HARNESS/second/shop/products" | grep -c json)" 240
	statements=$(product_statements "$mark")
	((statements >= 1 && statements < 120)) || {
		echo "$statements statements" >&2
		return 1
	}
}

@test "consistency=strong asks PostgreSQL each time and never shows an old row" {
	mount_rowfs strong ttl=60,consistency=strong
	for price in 11.00 12.00 13.00; do
		sql "UPDATE shop.products SET price = $price WHERE sku = 'TENT-003'"
		assert_equal "$(price "$HARNESS/strong/$ROW")" "$price"
	done
}

@test "redis=none works from PostgreSQL alone" {
	unmount_rowfs first
	unmount_rowfs second
	commands=$(redis_calls_all)
	mount_rowfs without redis=none
	assert_equal "$(price "$HARNESS/without/$ROW")" 311.95
	echo '{"price": 5}' | tee "$HARNESS/without/$ROW" >/dev/null
	assert_equal "$(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'")" 5.00
	assert_equal "$(redis_calls_all)" "$commands"
}

# calls_of WHAT: so often, by the last profile; 0 if it does not name it.
calls_of() {
	awk -v what="$1" 'index($0, what " ") == 1 { sub(what, ""); found = $1 } END { print found + 0 }' "$BATS_TEST_TMPDIR/profile"
}

is_held() {
	[[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.6)%' AND wait_event = 'PgSleep'") == 1 ]]
}

@test "rowfs profile says what the kernel asked, how long that took, and what was waited for" {
	local profile n=0

	"$ROWFS" profile "$HARNESS/first" 6 >"$BATS_TEST_TMPDIR/profile" &
	profile=$!
	sleep 0.5
	for ((; n < 20; n++)); do cat "$HARNESS/first/$ROW" >/dev/null; done
	cat "$HARNESS/first"/shop/customers/*.json >/dev/null
	sed -i 's/"price": .*,$/"price": 198.00,/' "$HARNESS/first/$ROW"
	# A save waits for a row that somebody holds, and the profile says for how long.
	sql "BEGIN; SELECT FROM shop.products WHERE sku = 'TENT-003' FOR UPDATE; SELECT pg_sleep(0.6)" >/dev/null 3>&- &
	wait_until 5 is_held
	sed -i 's/"price": .*,$/"price": 197.00,/' "$HARNESS/first/$ROW"
	wait "$profile"
	cat "$BATS_TEST_TMPDIR/profile"
	grep -qx '6\.[0-9] seconds' "$BATS_TEST_TMPDIR/profile"
	(($(calls_of OPEN) >= 21 && $(calls_of RELEASE) >= 21 && $(calls_of READ) >= 1))
	(($(calls_of "PostgreSQL, reading") >= 2 && $(calls_of Redis) >= 1))
	assert_equal "$(calls_of "PostgreSQL, writing")" 2
	assert_equal "$(calls_of UNLINK)" 0
	grep -Eq '^PostgreSQL, writing +2 .* ([1-9][0-9]{2} ms|[0-9.]+ s ) +[0-9]+ %$' "$BATS_TEST_TMPDIR/profile"
}

@test "rowfs profile ends early when it is interrupted, and says what it was not given" {
	local profile

	# Background jobs of a shell without job control ignore SIGINT, unless somebody sees to it.
	python3 - "$ROWFS" "$HARNESS/first" >"$BATS_TEST_TMPDIR/profile" 3>&- <<-'END'
		import signal, subprocess, sys, time
		began = time.monotonic()
		profile = subprocess.Popen([sys.argv[1], "profile", sys.argv[2], "60"])
		time.sleep(1)
		profile.send_signal(signal.SIGINT)
		assert profile.wait(10) == 0 and time.monotonic() - began < 10
	END
	grep -q ' seconds$' "$BATS_TEST_TMPDIR/profile"
	for seconds in 0 -1 x 1x 86401 ""; do
		fails_with "usage: rowfs profile MOUNTPOINT [SECONDS]" "$ROWFS" profile "$HARNESS/first" "$seconds"
	done
	fails_with "usage: rowfs profile MOUNTPOINT [SECONDS]" "$ROWFS" profile
	fails_with "no rowfs is mounted there" "$ROWFS" profile "$HARNESS" 1
}

@test "whoever traces the program meets a probe when something was timed" {
	[[ -e /usr/include/sys/sdt.h || -n $(find /usr/include -path '*/sys/sdt.h') ]] || skip "no systemtap-sdt-dev"
	readelf -n "$ROWFS" | grep -A1 'Provider: rowfs' | grep -q 'Name: took'
}
