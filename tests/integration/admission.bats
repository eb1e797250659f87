# What enters Redis: what is read again, and nothing that a program reads in passing through a table.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

# Copies live for a minute here, so that what is in Redis is what was put there.
setup() {
	database_new
	redis FLUSHALL >/dev/null
	sql "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL);
		INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 400) i"
	ITEMS=$HARNESS/mnt/public/items
}

teardown() {
	mounts_end
}

# read_twice ROW: by two programs, since one would be given the same text again.
read_twice() {
	cat "$ITEMS/$1.json" >/dev/null
	cat "$ITEMS/$1.json" >/dev/null
}

status_of() {
	sed -n "s/^$1: //p" "$HARNESS/mnt/.rowfs/status"
}

copies() {
	redis --scan --pattern 'rf:*:a:*' | wc -l
}

has_copies() {
	[[ $(copies) == "$1" ]]
}

@test "a row that was read once is not in Redis; the second read puts it there" {
	mount_rowfs mnt ttl=60
	cat "$ITEMS/7.json" >/dev/null
	cat "$ITEMS/8.json" >/dev/null
	cat "$ITEMS/8.json" >/dev/null
	# Fills are not awaited.
	wait_until 5 has_copies 1
	redis --scan --pattern 'rf:*:a:*:8' | grep -q .
	cat "$ITEMS/8.json" >/dev/null
	(($(status_of cache_hits) == 1))
	cat "$ITEMS/7.json" >/dev/null
	wait_until 5 has_copies 2
}

@test "looking at names, sizes and times is no read" {
	mount_rowfs mnt ttl=60
	for _ in 1 2 3; do
		ls -l "$ITEMS" >/dev/null
		stat "$ITEMS/7.json" >/dev/null
	done
	cat "$ITEMS/7.json" >/dev/null
	assert_equal "$(copies)" 0
	cat "$ITEMS/7.json" >/dev/null
	wait_until 5 has_copies 1
}

@test "grep -r, tar, cp -r, rsync and a loop of the shell put nothing into Redis, however often" {
	mount_rowfs mnt ttl=60
	for _ in 1 2; do
		grep -rq 'no such text' "$ITEMS" || true
		tar -cf - -C "$HARNESS/mnt" public/items | wc -c >/dev/null
		cp -r "$ITEMS" "$BATS_TEST_TMPDIR/copy"
		rsync -a "$ITEMS/" "$BATS_TEST_TMPDIR/mirror"
		rm -r "$BATS_TEST_TMPDIR/mirror"
		rm -r "$BATS_TEST_TMPDIR/copy"
		for file in "$ITEMS"/*; do
			read -r _ <"$file"
		done
	done
	assert_equal "$(copies)" 0
	(($(status_of walk_reads) >= 10 * 400))
	# Nor does it count as the first time.
	cat "$ITEMS/7.json" >/dev/null
	assert_equal "$(copies)" 0
	cat "$ITEMS/7.json" >/dev/null
	wait_until 5 has_copies 1
}

@test "programs that are given all names in their order are known after a few" {
	mount_rowfs mnt ttl=60
	for _ in 1 2; do
		find "$ITEMS" -name '*.json' -exec cat {} + >/dev/null
		(cd "$ITEMS" && cat -- *) >/dev/null
	done
	# Each counts for its first sixteen rows.
	(($(copies) <= 64))
	(($(status_of walk_reads) >= 4 * 380))
}

@test "a walk reads from Redis what is there" {
	mount_rowfs mnt ttl=60
	read_twice 7
	wait_until 5 has_copies 1
	tar -cf - -C "$HARNESS/mnt" public/items | wc -c >/dev/null
	(($(status_of cache_hits) == 1))
	assert_equal "$(copies)" 1
}

@test "admit=first: the first read puts it there, a walk does not" {
	mount_rowfs mnt ttl=60,admit=first
	tar -cf - -C "$HARNESS/mnt" public/items | wc -c >/dev/null
	assert_equal "$(copies)" 0
	cat "$ITEMS/7.json" >/dev/null
	wait_until 5 has_copies 1
}

@test "garbage under a row's name is replaced at the first read" {
	mount_rowfs mnt ttl=60
	read_twice 7
	wait_until 5 has_copies 1
	key=$(redis --scan --pattern 'rf:*:a:*:7')
	redis SET "$key" garbage >/dev/null
	cat "$ITEMS/7.json" | grep -q 'item 7'
	wait_until 5 redis_says "item 7" GET "$key"
	(($(status_of cache_garbage) == 1))
}

# redis_says TEXT COMMAND…
redis_says() {
	redis "${@:2}" | grep -qF -- "$1"
}
