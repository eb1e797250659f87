# columns= of a placement rule: Redis holds the key and these columns of a row. What PostgreSQL was asked is in its log, what
# Redis holds under r:<oid>:<name>. The cold column is large and random, so that nothing makes it small.

load ../lib/rowfs
load ../lib/feed
load ../lib/placement

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	servers_reset
	sql "CREATE TABLE docs (id int PRIMARY KEY, stock int NOT NULL, body text NOT NULL, \"Kind of\" text);
		CREATE FUNCTION noise(n int) RETURNS text LANGUAGE sql VOLATILE AS
			\$\$ SELECT string_agg(md5(random()::text), '') FROM generate_series(1, n / 32) \$\$;
		INSERT INTO docs SELECT i, i % 10, noise(100000), 'kind ' || i FROM generate_series(1, 40) i"
}

teardown() {
	feed_teardown
}

keys_of() {
	redis --scan --pattern "rf:*:r:$(sql "SELECT 'public.${1:-docs}'::regclass::oid"):*"
}

keys_are() {
	[[ $(keys_of | wc -l) == "$1" ]]
}

# selects_since MARK: what rowfs has asked of the table.
selects_since() {
	statements_since "$1" | grep 'FROM ONLY "public"."docs"' || true
}

copy_of() {
	redis GET "$(keys_of | grep ":$1\$")"
}

# The file as PostgreSQL has the row.
row_of() {
	sql "SELECT format(E'{\n  \"id\": %s,\n  \"stock\": %s,\n  \"body\": \"%s\",\n  \"Kind of\": \"%s\"\n}', id, stock, body,
		\"Kind of\") FROM docs WHERE id = $1"
}

copies_are() {
	local id

	for id in "${@:2}"; do
		[[ $(copy_of "$id" | sed 1d) == "$1"* ]] || return 1
	done
}

# loaded MOUNT: all rows are in Redis. Who reads them one after another puts them there no more than a grep does.
loaded() {
	"$ROWFS" warm "$HARNESS/$1/public/docs" 2>/dev/null
	keys_are 40
}

@test "rowfs place: columns are kept as SQL writes them, and what is wrong is refused" {
	place public.docs 'columns=ID, "stock" ,"Kind of"' 'hot=stock > 0'
	assert_equal "$(place --show)" 'public.docs: columns=id,stock,"Kind of" hot=stock > 0'
	place public.docs hash=1/2 columns=stock
	assert_equal "$(place --show)" 'public.docs: hash=1/2 columns=stock'
	place public.docs columns=stock
	assert_equal "$(place --show)" 'public.docs: columns=stock'
	sql "CREATE VIEW seen AS SELECT * FROM docs"
	fails_with 'there is no column "stok"' place public.docs columns=id,stok
	fails_with 'there is no column "kind"' place public.docs columns=Kind
	fails_with '"stock" is there twice' place public.docs 'columns=stock,id,"stock"'
	fails_with "needs names" place public.docs columns=
	fails_with "expected a column's name at \"\"" place public.docs columns=id,
	fails_with "stands in double quotes" place public.docs columns=1a
	fails_with "place=off and columns= contradict" place public.docs place=off columns=id
	fails_with "have no xmin" place public.seen columns=id
	assert_equal "$(place --show)" 'public.docs: columns=stock'
}

@test "ls -l and stat ask no SQL; cat asks for the other columns of the row, once, and shows the whole" {
	local mark sizes id

	place public.docs 'columns=stock'
	feed_mount a
	loaded a
	feed_mount b noworker
	mark=$(log_mark)
	sizes=$(stat -c '%n %s %Y' "$MNT"/public/docs/{1..40}.json)
	ls -l "$MNT"/public/docs/{1..40}.json >/dev/null
	ls -l "$MNT"/public/docs/{1..40}.json >/dev/null
	assert_equal "$(selects_since "$mark")" ""
	assert_equal "${sizes//$HARNESS\/b/}" "$(stat -c '%n %s %Y' "$HARNESS"/a/public/docs/{1..40}.json | sed "s|$HARNESS/a||")"
	for id in 7 8 9; do
		mark=$(log_mark)
		assert_equal "$(cat "$MNT/public/docs/$id.json")" "$(row_of "$id")"
		assert_equal "$(selects_since "$mark" | wc -l)" 1
		assert_contains "$(selects_since "$mark")" 'SELECT t.xmin, t."body", t."Kind of" FROM'
	done
	assert_equal "$(stat -c %s "$MNT/public/docs/7.json")" "$(cat "$MNT/public/docs/7.json" | wc -c)"
	assert_equal "$(feed_get b cache_joined)" 3
	assert_equal "$(feed_get b cache_unjoined)" 0
	assert_equal "$(copy_of 7 | sed 1d)" '{
  "id": 7,
  "stock": 7
}'
}

@test "a directory that was listed once is listed again without SQL" {
	local mark

	place public.docs columns=stock
	feed_mount a
	loaded a
	ls -l "$MNT/public/docs" >/dev/null
	mark=$(log_mark)
	ls -l "$MNT/public/docs" >/dev/null
	ls -l "$MNT/public/docs" >/dev/null
	assert_equal "$(selects_since "$mark")" ""
}

@test "pinned with columns=: membership, contents and sizes are right after random changes by SQL" {
	local id

	place public.docs 'columns=stock,"Kind of"' 'hot=stock > 5'
	feed_mount a
	wait_until 15 pinned_are "stock > 5"
	sql "SELECT setseed(0.25); CREATE PROCEDURE change(n int) LANGUAGE plpgsql AS \$\$
		DECLARE id_ int; what float;
		BEGIN FOR i IN 1..n LOOP
			id_ := 1 + floor(random() * 50); what := random();
			IF what < 0.1 THEN DELETE FROM docs WHERE id = id_;
			ELSIF what < 0.5 THEN UPDATE docs SET body = noise(1000 + i) WHERE id = id_;
			ELSE INSERT INTO docs VALUES (id_, floor(random() * 10), noise(2000 + i), 'change ' || i)
				ON CONFLICT (id) DO UPDATE SET stock = excluded.stock, \"Kind of\" = excluded.\"Kind of\";
			END IF; COMMIT;
		END LOOP; END \$\$"
	reads_begin "$MNT/public/docs"
	sql "CALL change(1000)"
	wait_until 15 pinned_are "stock > 5"
	reads_end
	pinned_are "stock > 5"
	for id in $(sql "SELECT id FROM docs"); do
		assert_equal "$(stat -c %s "$MNT/public/docs/$id.json")" "$(($(row_of "$id" | wc -c)))"
		assert_equal "$(cat "$MNT/public/docs/$id.json")" "$(row_of "$id")"
	done
	for id in $(sql "SELECT id FROM docs WHERE stock > 5"); do
		assert_equal "$(copy_of "$id" | sed 1d)" "$(sql "SELECT format(E'{\n  \"id\": %s,\n  \"stock\": %s,\n  \"Kind of\": \"%s\"\n}',
			id, stock, \"Kind of\") FROM docs WHERE id = $id")"
	done
	(($(feed_get a cache_joined) > 10))
}

pinned() {
	redis EVAL 'local out = {} for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
		if redis.call("PTTL", key) == -1 and string.sub(redis.call("GET", key), 1, 2) ~= "L:" then
		out[#out + 1] = string.match(key, ":r:%d+:(.*)$") end end
		table.sort(out) return out' 0 "rf:*:r:$(sql "SELECT 'public.docs'::regclass::oid"):*" | sed '/^$/d'
}

pinned_are() {
	[[ $(pinned) == "$(sql "SELECT id FROM docs WHERE $1 ORDER BY id::text COLLATE \"C\"")" ]]
}

@test "another rule: pinned copies are loaded again, lazy ones give way as they are read" {
	place public.docs 'hot=stock > 5'
	feed_mount a
	wait_until 15 pinned_are "stock > 5"
	copies_are $'{\n  "id": 16,\n  "stock": 6,\n  "body"' 16
	place public.docs columns=stock 'hot=stock > 5'
	wait_until 15 copies_are $'{\n  "id": 16,\n  "stock": 6\n}' 16
	wait_until 15 pinned_are "stock > 5"
	place public.docs 'columns="Kind of"' 'hot=stock > 5'
	wait_until 15 copies_are $'{\n  "id": 16,\n  "Kind of": "kind 16"\n}' 16
	wait_until 15 pinned_are "stock > 5"
	place public.docs 'hot=stock > 5'
	wait_until 15 copies_are $'{\n  "id": 16,\n  "stock": 6,\n  "body"' 16
	wait_until 15 pinned_are "stock > 5"
}

# reads ID TEXT: a mount that has read nothing reads the row, whose copy then begins so.
reads() {
	feed_mount b noworker || return 1
	assert_equal "$(cat "$HARNESS/b/public/docs/$1.json")" "$(row_of "$1")"
	wait_until 5 copies_are "$2" "$1"
	assert_equal "$(feed_get b cache_garbage)" 0
	unmount_rowfs b
}

@test "another rule: lazy copies give way as they are read, but a whole one is as good as ever" {
	place public.docs columns=stock
	feed_mount a
	loaded a
	place public.docs 'columns="Kind of"'
	reads 4 $'{\n  "id": 4,\n  "Kind of": "kind 4"\n}'
	copies_are $'{\n  "id": 5,\n  "stock": 5\n}' 5
	place public.docs --drop
	reads 5 $'{\n  "id": 5,\n  "stock": 5,\n  "body"'
	place public.docs columns=stock
	reads 5 $'{\n  "id": 5,\n  "stock": 5,\n  "body"'
	reads 4 $'{\n  "id": 4,\n  "stock": 4\n}'
}

@test "rowfs where and rowfs warm know of columns; rows too large for a whole copy are there in part" {
	local where

	sql "UPDATE docs SET body = noise(3000000) WHERE id = 1"
	place public.docs 'columns=stock,"Kind of"'
	feed_mount a
	"$ROWFS" warm "$MNT/public/docs"
	wait_until 10 keys_are 40
	"$ROWFS" warm "$MNT/public/docs" --check
	where=$("$ROWFS" where "$MNT/public/docs/1.json")
	assert_contains "$where" "redis: a copy of the columns id, stock, Kind of"
	assert_contains "$where" "tier: redis and postgresql"
	assert_equal "$(stat -c %s "$MNT/public/docs/1.json")" "$(row_of 1 | wc -c)"
	assert_equal "$(md5sum <"$MNT/public/docs/1.json")" "$(row_of 1 | md5sum)"
}

# spoil SCRIPT: a value in Redis, changed by sed, on another mount's back.
spoil() {
	local key

	key=$(keys_of | grep ":$1\$")
	redis GET "$key" | sed "$2" | head -c -1 | redis -x SET "$key" >/dev/null
}

@test "a copy in part that was damaged, or forged, is ignored, replaced and counted" {
	place public.docs columns=stock
	feed_mount a
	loaded a
	feed_mount b noworker
	spoil 1 's/"stock": 1/"stock": 9/'
	spoil 2 '1s/ \([0-9]*\) \([0-9a-f]*\)$/ 5 \2/'
	spoil 3 '$d'
	assert_equal "$(stat -c %s "$MNT/public/docs/2.json")" "$(row_of 2 | wc -c)"
	for id in 1 2 3 4; do
		assert_equal "$(cat "$MNT/public/docs/$id.json")" "$(row_of "$id")"
	done
	assert_equal "$(feed_get b cache_garbage)" 3
	copies_are $'{\n  "id": 1,\n  "stock": 1\n}' 1
	copies_are $'{\n  "id": 3,\n  "stock": 3\n}' 3
}

@test "a copy that is behind is not joined: the row is read whole" {
	place public.docs columns=stock
	feed_mount a
	loaded a
	feed_mount b noworker
	stat "$MNT/public/docs/5.json" >/dev/null
	# The worker stands still; for as long as its heartbeat lasts, copies count.
	kill -STOP "$(rowfs_pid a)"
	sql "UPDATE docs SET body = 'new', stock = 55 WHERE id = 5"
	assert_equal "$(cat "$MNT/public/docs/5.json")" "$(row_of 5)"
	assert_equal "$(feed_get b cache_unjoined)" 1
	kill -CONT "$(rowfs_pid a)"
}

@test "without a feed copies in part count by their age" {
	local mark

	place public.docs columns=stock
	mount_rowfs a "admit=first,changes=ttl,ttl=20"
	"$ROWFS" warm "$MNT/public/docs"
	mount_rowfs b "admit=first,changes=ttl,ttl=20"
	mark=$(log_mark)
	ls -l "$MNT"/public/docs/{1..5}.json >/dev/null
	assert_equal "$(selects_since "$mark")" ""
	assert_equal "$(cat "$MNT/public/docs/5.json")" "$(row_of 5)"
	assert_contains "$(selects_since "$mark")" 'SELECT t.xmin, t."body", t."Kind of" FROM'
	assert_equal "$(selects_since "$mark" | wc -l)" 1
}

@test "columns in the configuration file hold for that mount; what is wrong there is said" {
	printf 'table "public.docs" { columns = "stock, \\"Kind of\\"" }\n' >"$BATS_TEST_TMPDIR/conf"
	assert_contains "$("$ROWFS" --show-config -o "config=$BATS_TEST_TMPDIR/conf")" "columns = 'stock, \"Kind of\"'"
	place public.docs place=off
	feed_mount a "config=$BATS_TEST_TMPDIR/conf"
	loaded a
	copies_are $'{\n  "id": 5,\n  "stock": 5,\n  "Kind of": "kind 5"\n}' 5
	printf 'table "public.docs" { columns = "stock,stok" }\n' >"$BATS_TEST_TMPDIR/conf"
	feed_mount b "noworker,config=$BATS_TEST_TMPDIR/conf"
	assert_contains "$(cat "$HARNESS/mounts/b.log")" 'rule of "public.docs" is ignored: columns=: there is no column "stok"'
	printf 'table "public.docs" { columns = "stock,stock" }\n' >"$BATS_TEST_TMPDIR/conf"
	fails_with '"stock" is there twice' "$ROWFS" --show-config -o "config=$BATS_TEST_TMPDIR/conf"
}

@test "saves of cold and of kept columns, and a table whose rule names a column that was dropped" {
	place public.docs columns=stock
	feed_mount a
	loaded a
	sed -i 's/"stock": 7/"stock": 70/' "$MNT/public/docs/7.json"
	sed -i 's/"Kind of": "kind 8"/"Kind of": "saved"/' "$MNT/public/docs/8.json"
	assert_equal "$(sql "SELECT stock FROM docs WHERE id = 7")" 70
	assert_equal "$(sql "SELECT \"Kind of\" FROM docs WHERE id = 8")" saved
	for id in 7 8; do assert_equal "$(cat "$MNT/public/docs/$id.json")" "$(row_of "$id")"; done
	sql "ALTER TABLE docs DROP COLUMN stock"
	wait_until 10 grep -q 'rule of "public.docs" is ignored: columns=: there is no column "stock"' "$HARNESS/mounts/a.log"
	wait_until 10 says_kind 9
}

says_kind() {
	[[ $(cat "$MNT/public/docs/$1.json") == *'"Kind of": "kind 9"'* && $(cat "$MNT/public/docs/$1.json") != *'"stock"'* ]]
}

@test "keys of several columns, names that are hashes, and every kind of value are put together to the byte" {
	local file mark

	sql "CREATE TABLE odd (a text, n numeric, j json, jb jsonb, xs int[], t timestamptz, b bool, f float8, bytes bytea, cold text,
			PRIMARY KEY (a, n));
		INSERT INTO odd SELECT CASE WHEN i % 3 = 0 THEN repeat('long' || i, 90) ELSE E'a/\"\\\\' || i END, i / 7.0,
			'{ \"x\":  [1,2.50, null] }', '{\"y\": {\"%\": 1e400}}', ARRAY[[i,NULL],[2,3]], now(), i % 2 = 0,
			CASE WHEN i % 4 = 0 THEN 'NaN' ELSE i / 3.0 END, decode(md5(i::text), 'hex'), noise(2000) FROM generate_series(1, 12) i"
	place public.odd columns=a,j,jb,xs,t,b,f,bytes
	feed_mount a
	for file in "$MNT"/public/odd/*.json; do cat "$file"; done >"$BATS_TEST_TMPDIR/first"
	"$ROWFS" warm "$MNT/public/odd"
	feed_mount b noworker
	mark=$(log_mark)
	for file in "$MNT"/public/odd/*.json; do cat "$file"; done >"$BATS_TEST_TMPDIR/second"
	cmp "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second"
	assert_equal "$(feed_get b cache_joined)" 12
	assert_equal "$(statements_since "$mark" | grep -c 'SELECT t.xmin, t."cold" FROM ONLY "public"."odd" AS t WHERE t."a"')" 12
}

@test "a mount with a rule of its own reads what another rule has pinned, and leaves it as it is" {
	place public.docs columns=stock 'hot=stock > 5'
	feed_mount a
	wait_until 15 pinned_are "stock > 5"
	printf 'table "public.docs" { place = lazy }\n' >"$BATS_TEST_TMPDIR/lazy.conf"
	feed_mount b "noworker,config=$BATS_TEST_TMPDIR/lazy.conf"
	for id in $(sql "SELECT id FROM docs"); do
		assert_equal "$(cat "$HARNESS/b/public/docs/$id.json")" "$(row_of "$id")"
	done
	(($(feed_get b cache_foreign) > 0))
	pinned_are "stock > 5"
}
