# Tables of large rows: Redis remembers how large each is, and `ls -l` by whoever lists the table next reads keys alone.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	redis FLUSHALL >/dev/null
	sql "CREATE TABLE pages (book text, page int, body text, updated_at timestamptz, PRIMARY KEY (book, page));
		INSERT INTO pages SELECT CASE WHEN i % 2 = 0 THEN 'Ä, b' ELSE 'a/b' END, i, repeat('x', 70000 + i),
			timestamptz '2020-01-01' + i * interval '1 hour'
		FROM generate_series(1, 600) i"
}

teardown() {
	feed_teardown
}

# mount_live NAME
mount_live() {
	mount_rowfs "$1"
	feed_live "$1"
	PAGES=$HARNESS/$1/public/pages
}

# What `ls -l` shows of each row, to the byte and the nanosecond.
listed() {
	find "$HARNESS/$1/public/pages" -type f -printf '%f %s %T@\n'
}

# The sizes that are said are those that are read.
sizes_are_true() {
	python3 - "$HARNESS/$1/public/pages" 3>&- <<-'PYTHON'
	import os, sys

	names = os.listdir(sys.argv[1])
	assert names
	for name in names:
	    path = f"{sys.argv[1]}/{name}"
	    size = os.stat(path).st_size
	    with open(path, "rb") as f:
	        assert len(f.read()) == size, (name, size)
	PYTHON
}

sizes_in_redis() {
	redis --scan --pattern 'rf:*:s:*' | wc -l
}

no_sizes_in_redis() {
	[[ $(sizes_in_redis) == 0 ]]
}

# whole_reads MARK: SELECTs of more than keys.
whole_reads() {
	statements_since "$1" | grep 'FROM ONLY "public"."pages" AS t' | grep -c 't."body"' || true
}

@test "the next mount's ls -l of large rows reads none, and shows what the first has shown" {
	local mark

	mount_live a
	listed a >"$BATS_TEST_TMPDIR/a"
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/a")" 600
	assert_equal "$(feed_get a sizes_known)" 0
	mount_live b
	mark=$(log_mark)
	listed b >"$BATS_TEST_TMPDIR/b"
	assert_equal "$(whole_reads "$mark")" 0
	assert_equal "$(feed_get b sizes_known)" 600
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	sizes_are_true b
}

@test "rows that have changed since, came or went are read, and no other" {
	mount_live a
	listed a >/dev/null
	sql "UPDATE pages SET body = 'short' WHERE page = 301;
		UPDATE pages SET body = repeat('y', 190000) WHERE page = 302;
		DELETE FROM pages WHERE page BETWEEN 400 AND 404;
		INSERT INTO pages VALUES ('a/b', 1000, repeat('z', 80000)), ('between', 1, repeat('z', 80000))"
	mount_live b
	assert_equal "$(listed b | wc -l)" 597
	assert_equal "$(feed_get b sizes_known)" 593
	sizes_are_true b
}

# PostgreSQL touches no row for it, so each has the xmin that it had.
@test "a column that is added is in the size of each row" {
	mount_live a
	listed a >/dev/null
	sql "ALTER TABLE pages ADD COLUMN price int NOT NULL DEFAULT 42"
	mount_live b
	assert_equal "$(listed b | wc -l)" 600
	assert_equal "$(feed_get b sizes_known)" 0
	sizes_are_true b
	mount_live c
	assert_equal "$(listed c | wc -l)" 600
	assert_equal "$(feed_get c sizes_known)" 600
	sizes_are_true c
}

@test "of a table that is not to be in Redis, nothing is" {
	"$ROWFS" place "$(source_string)" public.pages place=off
	mount_live a
	assert_equal "$(listed a | wc -l)" 600
	assert_equal "$(sizes_in_redis)" 0
	"$ROWFS" place "$(source_string)" public.pages --drop
	mount_live b
	listed b >/dev/null
	(($(sizes_in_redis) > 0))
	"$ROWFS" place "$(source_string)" public.pages place=off
	wait_until 20 no_sizes_in_redis
}

@test "without Redis, and with one that forgets, every listing is whole" {
	mount_live a
	listed a >"$BATS_TEST_TMPDIR/a"
	redis FLUSHALL >/dev/null
	mount_live b
	listed b >"$BATS_TEST_TMPDIR/b"
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
	mount_rowfs c redis=none
	listed c >"$BATS_TEST_TMPDIR/c"
	cmp "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/c"
}
