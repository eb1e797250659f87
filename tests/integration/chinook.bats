# A whole real database: every row of Chinook equals what its COPY text says.
# $ROWFS_CHINOOK is the path of chinook.sql; without it and without a copy beside the checkout, skipped.

load ../lib/rowfs

setup_file() {
	CHINOOK=${ROWFS_CHINOOK:-$TOP/../shared/data/chinook.sql}
	[[ -f $CHINOOK ]] || return 0
	harness_start
	psql -X -q -d postgres -c 'CREATE DATABASE chinook TEMPLATE template0'
	export PGDATABASE=chinook
	# The script may make a database of its own and connect to it: its tables go here instead.
	sed -E '/^(DROP DATABASE|CREATE DATABASE|\\c)/d' "$CHINOOK" |
		psql -X -q -v ON_ERROR_STOP=1 -o /dev/null
}

teardown_file() {
	[[ -z ${HARNESS:-} ]] || harness_end
}

setup() {
	[[ -n ${HARNESS:-} ]] || skip "no chinook.sql; its path goes in ROWFS_CHINOOK"
}

teardown() {
	mounts_end
}

@test "all 15607 rows of Chinook equal what COPY says" {
	count=$(python3 "$TOP/tests/lib/expected.py" "$HARNESS/expected")
	assert_equal "$count" 15607
	mount_rowfs
	same_trees "$HARNESS/expected" "$MNT"
	files=$(find "$MNT" -type f | wc -l)
	assert_equal "$files" "$count"
	# Once more, from Redis and the kernel.
	same_trees "$HARNESS/expected" "$MNT"
	echo "# $files rows compared, byte for byte" >&3
}

@test "all of Chinook, read by name before any listing" {
	python3 "$TOP/tests/lib/expected.py" "$HARNESS/expected2"
	mount_rowfs
	(cd "$HARNESS/expected2" && find . -type f -print0) | (cd "$MNT" && xargs -0 md5sum) |
		(cd "$HARNESS/expected2" && md5sum --check --quiet)
}
