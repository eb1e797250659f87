# Tools that read: what they print equals what psql says, byte for byte. The expected tree is made by
# expected.py, which shares no code with rowfs.

load ../lib/rowfs

setup_file() {
	harness_start
	database_from_shop
	python3 "$TOP/tests/lib/expected.py" "$HARNESS/expected" --schema shop \
		--key shop.order_totals=order_id >"$HARNESS/expected.count"
	mount_rowfs mnt "config=$TOP/mnt-example/rowfs.conf"
	export MNT
}

teardown_file() {
	harness_end
}

setup() {
	EXPECTED=$HARNESS/expected/shop
	SHOP=$MNT/shop
	cd "$HARNESS" || return 1
}

# as_expected COMMAND...: run the command in the mounted and in the expected folder; it must succeed
# and print the same in both.
as_expected() {
	(cd "$SHOP" && "$@") >"$BATS_TEST_TMPDIR/found"
	(cd "$EXPECTED" && "$@") >"$BATS_TEST_TMPDIR/expected"
	[[ -s $BATS_TEST_TMPDIR/expected ]]
	cmp "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found"
}

@test "ls lists schemas, tables and rows" {
	assert_equal "$(ls "$MNT" | paste -sd ' ')" "public shop"
	as_expected ls
	as_expected ls products
	as_expected ls orders
	as_expected ls stock
}

@test "ls -l shows sizes that are the lengths of the texts" {
	as_expected find . -type f -printf '%P %s\n' | sort
	find "$SHOP" -type f -printf '%s %p\n' >"$BATS_TEST_TMPDIR/sizes"
	(($(wc -l <"$BATS_TEST_TMPDIR/sizes") == $(cat "$HARNESS/expected.count")))
	while read -r size path; do
		assert_equal "$(cat "$path" | wc -c)" "$size"
	done < <(shuf -n 200 --random-source="$TOP/mnt-example/shop.sql" "$BATS_TEST_TMPDIR/sizes")
}

@test "ls finds the same names in any order of reading, also with a directory read in small pieces" {
	python3 - "$SHOP/orders" "$EXPECTED/orders" <<-'END'
		import os, sys
		found, expected = ([e.name for e in os.scandir(d)] for d in sys.argv[1:])
		assert len(found) == len(set(found)), "a name was listed twice"
		assert sorted(found) == sorted(expected)
	END
}

@test "cat prints a row, by its name, without the directory having been listed" {
	assert_equal "$(cat "$SHOP/products/MAT-017.json" | md5sum)" \
		"$(md5sum <"$EXPECTED/products/MAT-017.json")"
	assert_equal "$(cat "$SHOP/products/MAT-017.json" | jq -r .name)" \
		"$(sql "SELECT name FROM shop.products WHERE sku = 'MAT-017'")"
}

@test "cat of every row of a table" {
	as_expected sh -c 'cat reviews/*.json'
}

@test "diff -r finds no difference in the whole tree" {
	same_trees "$EXPECTED" "$SHOP"
}

@test "grep -r finds the lines that the table has" {
	as_expected sh -c 'grep -r cow reviews | LC_ALL=C sort'
	assert_equal "$(grep -rl '"status": "paid"' "$SHOP/orders" | wc -l)" \
		"$(sql "SELECT count(*) FROM shop.orders WHERE status = 'paid'")"
}

@test "find by name, by type and by size" {
	as_expected sh -c 'find . -name "*north*" | LC_ALL=C sort'
	as_expected sh -c 'find . -type d | LC_ALL=C sort'
	as_expected sh -c 'find . -type f -size +330c | LC_ALL=C sort'
}

@test "wc counts lines and bytes" {
	as_expected sh -c 'wc orders/*.json'
}

@test "jq reads every row" {
	assert_equal "$(jq -r '"\(.sku) \(.price)"' "$SHOP"/products/*.json | LC_ALL=C sort)" \
		"$(sql "SELECT sku || ' ' || price FROM shop.products ORDER BY sku COLLATE \"C\"")"
	assert_equal "$(cat "$SHOP"/order_items/*.json | jq -s 'map(.total) | add * 100 | round')" \
		"$(sql 'SELECT (sum(total) * 100)::bigint FROM shop.order_items')"
}

@test "tar c packs what the tables hold" {
	mkdir "$BATS_TEST_TMPDIR/untarred"
	tar -c -C "$SHOP" . 2>"$BATS_TEST_TMPDIR/stderr" | tar -x -C "$BATS_TEST_TMPDIR/untarred"
	[[ ! -s $BATS_TEST_TMPDIR/stderr ]]
	same_trees "$EXPECTED" "$BATS_TEST_TMPDIR/untarred"
}

@test "cp -r copies what the tables hold" {
	cp -r "$SHOP" "$BATS_TEST_TMPDIR/copied"
	same_trees "$EXPECTED" "$BATS_TEST_TMPDIR/copied"
}

@test "head, tail and dd read pieces" {
	as_expected sh -c 'head -c 33 customers/7.json; tail -c 21 customers/7.json'
	as_expected sh -c 'dd if=products/BAG-003.json bs=7 skip=3 count=9 2>/dev/null'
}

@test "a row that does not exist is no file, and neither is another spelling of one that does" {
	fails_with "No such file" cat "$SHOP/orders/100000.json"
	fails_with "No such file" cat "$SHOP/orders/007.json"
	fails_with "No such file" cat "$SHOP/orders/abc.json"
	fails_with "No such file" cat "$SHOP/categories/tents%2ffamily.json"
	fails_with "No such file" ls "$MNT/nothing"
	fails_with "No such file" ls "$SHOP/nothing"
}

@test "df says something that is not nothing" {
	df "$MNT" | awk 'NR == 2 && $2 > 0 && $4 > 0 { ok = 1 } END { exit !ok }'
}
