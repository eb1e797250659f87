# Keys of every kind as file names, values of every type as text: equal to what an independent reading
# of COPY gives, unchanged when written back, and exact when written anew.

load ../lib/rowfs

setup_file() {
	harness_start
	psql -X -q -d postgres -c 'CREATE DATABASE template_types TEMPLATE template0'
	psql -X -q -d template_types -v ON_ERROR_STOP=1 -o /dev/null -f "$TOP/tests/lib/types.sql"
	psql -X -q -d postgres -c 'CREATE DATABASE template_keys TEMPLATE template0'
	psql -X -q -d template_keys -v ON_ERROR_STOP=1 -o /dev/null -f "$TOP/tests/lib/keys.sql"
}

teardown_file() {
	harness_end
}

teardown() {
	mounts_end
}

expected() {
	python3 "$TOP/tests/lib/expected.py" "$HARNESS/expected.$BATS_TEST_NUMBER" "$@"
}

# The tables whose rows have a key: as SQL spells them, a tab, as their directory is called.
keyed_tables() {
	sql "SELECT quote_ident(tablename) || E'\\t' || replace(replace(tablename, '%', '%25'), '/', '%2F')
		FROM pg_tables WHERE schemaname = 'keys' AND tablename NOT IN
			('no_key', 'empty_table', 'parent', 'child', 'parted_low', 'parted_high') ORDER BY 1"
}

# rewrite_all FOLDER: write every file's own text back to it, in place and by a rename.
rewrite_all() {
	python3 - "$1" <<-'END'
		import os, sys
		for folder, _, names in os.walk(sys.argv[1]):
		    for name in names:
		        path = os.path.join(folder, name)
		        with open(path, "rb") as f: text = f.read()
		        with open(path, "wb") as f: f.write(text)
		        temporary = os.path.join(folder, "rewrite.tmp")
		        with open(temporary, "wb") as f: f.write(text)
		        os.rename(temporary, path)
	END
}

@test "every built-in type, its arrays and domains, byte for byte" {
	database_new template_types
	count=$(expected --schema types)
	((count > 150))
	mount_rowfs
	same_trees "$HARNESS/expected.$BATS_TEST_NUMBER/types" "$MNT/types"
	echo "# $count rows of $(ls "$MNT/types" | wc -l) types compared" >&3
}

@test "every row is JSON, with its columns in order" {
	database_new template_types
	mount_rowfs
	find "$MNT/types" -name '*.json' -print0 | xargs -0 jq -e 'keys_unsorted == ["id", "v", "a"]' >/dev/null
}

@test "every value written back as it was read sends nothing" {
	database_new template_types
	mount_rowfs
	mark=$(log_mark)
	rewrite_all "$MNT/types"
	assert_writes "$mark"
}

@test "every value written into a new row is the same value" {
	database_new template_types
	mount_rowfs
	python3 - "$MNT/types" <<-'END'
		import os, re, sys
		for folder, _, names in os.walk(sys.argv[1]):
		    for name in names:
		        text = open(os.path.join(folder, name), encoding="utf-8", newline="").read()
		        number = int(name.removesuffix(".json"))
		        copy = re.sub(r'\A{\n  "id": \d+,', '{\n  "id": %d,' % (number + 1000), text)
		        with open(os.path.join(folder, f"{number + 1000}.json"), "x", encoding="utf-8", newline="") as f:
		            f.write(copy)
	END
	for table in $(sql "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'types'"); do
		assert_equal "$(sql "SELECT count(*) FROM types.$table WHERE id > 1000")" \
			"$(sql "SELECT count(*) FROM types.$table WHERE id < 1000")"
		same="(a.v::text, a.a::text) IS NOT DISTINCT FROM (b.v::text, b.a::text)"
		assert_equal "$(sql "SELECT a.id, a.v, b.v, a.a, b.a FROM types.$table a JOIN types.$table b
			ON b.id = a.id + 1000 WHERE NOT ($same)")" ""
	done
}

@test "every value put in the place of NULL is the same value, and NULL in its place is NULL" {
	database_new template_types
	mount_rowfs
	python3 - "$MNT/types" <<-'END'
		import os, sys
		for folder, _, names in os.walk(sys.argv[1]):
		    for name in names:
		        path = os.path.join(folder, name)
		        text = open(path, encoding="utf-8", newline="").read()
		        try:
		            with open(path, "w") as f: f.write('{"v": null, "a": null}')
		        except OSError as e:
		            sys.exit(f"{path}: {e}: " + open(sys.argv[1] + "/../.rowfs/last-error").read())
		        assert open(path).read().endswith('"v": null,\n  "a": null\n}\n'), path
		        with open(path, "w", encoding="utf-8", newline="") as f: f.write(text)
		        assert open(path, encoding="utf-8", newline="").read() == text, path
	END
	count=$(expected --schema types)
	((count > 150))
	same_trees "$HARNESS/expected.$BATS_TEST_NUMBER/types" "$MNT/types"
}

@test "keys of every kind are names, and the names are the rows" {
	database_new template_keys
	count=$(expected --schema keys)
	((count > 100))
	mount_rowfs
	same_trees "$HARNESS/expected.$BATS_TEST_NUMBER/keys" "$MNT/keys"
	assert_equal "$(find "$MNT/keys" -type f | wc -l)" "$count"
	assert_equal "$(find "$MNT/keys" -type f -printf '%f\n' | awk 'length > 200' | wc -l)" 0
}

@test "every key can be looked up without a listing" {
	database_new template_keys
	expected --schema keys
	mount_rowfs
	(cd "$HARNESS/expected.$BATS_TEST_NUMBER/keys" && find . -type f -print0) |
		(cd "$MNT/keys" && xargs -0 md5sum -z) |
		(cd "$HARNESS/expected.$BATS_TEST_NUMBER/keys" && python3 -c '
import hashlib, sys
for record in sys.stdin.buffer.read().split(b"\0")[:-1]:
    digest, path = record[:32].decode(), record[34:]
    assert hashlib.md5(open(path, "rb").read()).hexdigest() == digest, path')
}

@test "a row under any key can be edited: exactly that row changes, by one UPDATE" {
	database_new template_keys
	mount_rowfs
	keyed_tables | while IFS=$'\t' read -r table folder; do
		rows=$(sql "SELECT count(*) FROM keys.$table")
		mark=$(log_mark)
		python3 - "$MNT/keys/$folder" <<-'END'
			import os, re, sys
			folder = sys.argv[1].encode()
			for name in os.listdir(folder):
			    path = os.path.join(folder, name)
			    value = int(re.search(r'"value": (\d+)', open(path, encoding="utf-8").read())[1])
			    with open(path, "w") as f: f.write('{"value": %d}' % (value + 1000))
		END
		assert_equal "$(sql "SELECT count(*), count(DISTINCT value), min(value) > 1000 FROM keys.$table")" \
			"$rows|$rows|t"
		assert_equal "$(writes_since "$mark" | wc -w)" "$rows"
		assert_equal "$(writes_since "$mark" | tr ' ' '\n' | sort -u)" UPDATE
	done
}

@test "a row under any key can be deleted, and inserted again under the same name" {
	database_new template_keys
	mount_rowfs
	keyed_tables | grep -v ^long | while IFS=$'\t' read -r table folder; do
		sql "SELECT t::text FROM keys.$table t ORDER BY 1" >"$BATS_TEST_TMPDIR/before"
		python3 - "$MNT/keys/$folder" <<-'END'
			import os, sys
			folder = sys.argv[1].encode()
			for name in os.listdir(folder):
			    path = os.path.join(folder, name)
			    text = open(path, "rb").read()
			    os.unlink(path)
			    assert not os.path.exists(path)
			    with open(path, "xb") as f: f.write(text)
		END
		sql "SELECT t::text FROM keys.$table t ORDER BY 1" >"$BATS_TEST_TMPDIR/after"
		diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	done
}

@test "only the canonical spelling of a key is a file" {
	database_new template_keys
	mount_rowfs
	for name in text_key/%41bc text_key/a%2fb uuid_key/6B29FC40-CA47-1067-B31D-00DD010662DA \
		date_key/2025-2-3 date_key/today numeric_key/01.50 bool_key/true int_key/+7 int_key/-0; do
		fails_with "No such file" cat "$MNT/keys/$name.json"
	done
	[[ -e "$MNT/keys/text_key/a%2Fb.json" && -e "$MNT/keys/date_key/2025-02-03.json" ]]
}

@test "a table without a key is read-only by ctid, and a view without one is not shown" {
	database_new template_keys
	mount_rowfs
	assert_equal "$(cat "$MNT"/keys/no_key/*.json | jq -r .value | sort -n | paste -sd ' ')" "1 2 3"
	assert_equal "$(stat -c %A "$MNT/keys/no_key/(0%2C1).json")" "-r--------"
	[[ ! -e $MNT/keys/a_view ]]
	grep -q a_view "$HARNESS/mounts/mnt.log"
}

@test "partitioned tables are one directory, partitions none; inheritance parents show their own rows" {
	database_new template_keys
	mount_rowfs
	assert_equal "$(ls "$MNT/keys/parted" | wc -l)" "$(sql 'SELECT count(*) FROM keys.parted')"
	[[ ! -e $MNT/keys/parted_low && ! -e $MNT/keys/parted_high ]]
	assert_equal "$(ls "$MNT/keys/parent" | paste -sd ' ')" 1.json
	assert_equal "$(ls "$MNT/keys/child" | paste -sd ' ')" 2.json
	# An edit may move a row to another partition.
	mark=$(log_mark)
	mv "$MNT/keys/parted/1.json" "$MNT/keys/parted/150.json"
	assert_writes "$mark" UPDATE
	assert_equal "$(sql 'SELECT tableoid::regclass FROM keys.parted WHERE id = 150')" keys.parted_high
}

@test "materialised views, foreign tables and views with a configured key" {
	database_new template_keys
	cat >"$BATS_TEST_TMPDIR/rowfs.conf" <<-'END'
		table "keys.a_view" {
			key = id
		}
		table "keys.a_foreign" {
			key = "id"
		}
	END
	mount_rowfs mnt "config=$BATS_TEST_TMPDIR/rowfs.conf"
	assert_equal "$(jq .value "$MNT/keys/a_view/7.json")" "$(sql 'SELECT value FROM keys.a_view WHERE id = 7')"
	assert_equal "$(jq .value "$MNT/keys/a_matview/7.json")" "$(sql 'SELECT value FROM keys.a_matview WHERE id = 7')"
	assert_equal "$(cat "$MNT/keys/a_foreign"/*.json | jq -r .name | paste -sd ' ')" "alpha beta"
	mark=$(log_mark)
	echo '{"value": 4711}' | tee "$MNT/keys/a_view/7.json" >/dev/null
	assert_writes "$mark" UPDATE
	assert_equal "$(sql 'SELECT value FROM keys.int_key WHERE id = 7')" 4711
}

@test "schema= shows one schema at the root" {
	database_new template_keys
	mount_rowfs mnt schema=keys
	[[ -e $MNT/int_key/7.json && ! -e $MNT/keys && ! -e $MNT/public ]]
}

@test "names that depend on the search_path have the same size and text in ls, stat and cat of each mount" {
	database_new
	sql "CREATE TABLE refers (id int PRIMARY KEY, c regclass);
		CREATE DOMAIN place AS regclass;
		CREATE TYPE pair AS (a int, b place[]);
		CREATE TABLE deep (id int PRIMARY KEY, p pair[]);
		INSERT INTO refers VALUES (1, 'public.refers');
		INSERT INTO deep VALUES (1, ARRAY[ROW(1, '{public.refers}')::pair])"
	redis FLUSHALL >/dev/null
	mount_rowfs near ttl=60 "$(source_string) options='-c search_path=public'"
	mount_rowfs far ttl=60 "$(source_string) options='-c search_path=pg_catalog'"
	for round in 1 2; do
		for name in near far; do
			for table in refers deep; do
				file=$HARNESS/$name/public/$table/1.json
				size=$(wc -c <"$file")
				assert_equal "$(stat -c %s "$file")" "$size"
				assert_equal "$(find "$HARNESS/$name/public/$table" -name 1.json -printf %s)" "$size"
			done
		done
	done
	assert_contains "$(cat "$HARNESS/near/public/refers/1.json")" '"c": "refers"'
	assert_contains "$(cat "$HARNESS/far/public/refers/1.json")" '"c": "public.refers"'
	assert_contains "$(cat "$HARNESS/far/public/deep/1.json")" 'public.refers'
	assert_equal "$(redis DBSIZE)" 0
}
