# Placement rules: which part of a table lives in Redis. What the servers count says where a read went: rowfs' SELECTs in
# PostgreSQL's log, and the keys r:<oid>:<name> in Redis, of which those without expiry are pinned.

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
	goods_new
}

teardown() {
	feed_teardown
}

@test "rowfs place: rules are kept, shown, replaced and dropped" {
	assert_equal "$(place --show)" ""
	place public.goods 'hot=stock > 0'
	place public.goods place=off
	sql "CREATE TABLE \"odd.na me\" (id int PRIMARY KEY, stock int)"
	place 'public.odd.na me' hash=1/4 'hot=stock > 0 AND t.stock < 5'
	assert_equal "$(place --show)" "public.goods: place=off
public.odd.na me: hash=1/4 hot=stock > 0 AND t.stock < 5"
	place public.goods --drop
	assert_equal "$(place --show)" "public.odd.na me: hash=1/4 hot=stock > 0 AND t.stock < 5"
	fails_with "no placement rule for \"public.goods\"" place public.goods --drop
}

@test "the words of a rule may come in any order" {
	place public.goods hot=stock '>' 5 columns=stock hash=1/4
	assert_equal "$(place --show)" "public.goods: hash=1/4 columns=stock hot=stock > 5"
}

@test "rowfs place: what is wrong is refused, and nothing is kept" {
	sql "CREATE VIEW seen AS SELECT * FROM goods;
		CREATE TABLE guarded (id int PRIMARY KEY); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
		CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id);
		CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)"
	fails_with "there is no table \"public.nothing\"" place public.nothing place=off
	fails_with "write \"schema.name\"" place goods place=off
	fails_with "column \"stok\" does not exist" place public.goods 'hot=stok > 0'
	fails_with "syntax error" place public.goods 'hot=stock >'
	fails_with "must be type boolean" place public.goods 'hot=stock'
	fails_with "syntax error" place public.goods 'hot=true); DROP TABLE goods; SELECT (true'
	fails_with "more buckets than there are" place public.goods hash=5/4
	fails_with "there must be 1 to 1000000 buckets" place public.goods hash=1/0
	fails_with "contradict" place public.goods place=off hash=1/4
	fails_with "\"warm\" is no placement rule" place public.goods warm
	fails_with "is no table" place public.seen hash=1/2
	fails_with "has row security" place public.guarded hash=1/2
	fails_with "is a partition" place public.part hash=1/2
	fails_with "usage: rowfs place" place public.goods
	fails_with "usage: rowfs place" place --show public.goods
	assert_equal "$(place --show)" ""
	assert_equal "$(sql "SELECT count(*) FROM goods")" 1000
}

@test "place=off: no row is ever in Redis, from the moment it is said, and lazy again when it is not" {
	local mark

	feed_mount a
	for id in 1 2 3; do read_row $id; done
	wait_until 5 keys_are 3
	place public.goods place=off
	wait_until 10 keys_are 0
	mark=$(log_mark)
	for id in 1 2 3 4; do read_row $id; done
	sleep 1.5
	for id in 1 2 3 4; do read_row $id; done
	assert_equal "$(reads_since "$mark")" 8
	assert_equal "$(count_keys)" 0
	place public.goods --drop
	wait_until 10 is_cached 5
	assert_equal "$(cat "$MNT/public/goods/5.json")" '{
  "id": 5,
  "stock": 5,
  "note": "good 5"
}'
}

@test "place=off in the configuration file holds for that mount, whatever the database says" {
	cat >"$BATS_TEST_TMPDIR/off.conf" <<-'CONF'
		table "public.goods" { place = off }
	CONF
	feed_mount a "config=$BATS_TEST_TMPDIR/off.conf"
	place public.goods place=lazy
	for id in 1 2 3; do read_row $id; done
	sleep 1.5
	for id in 1 2 3; do read_row $id; done
	assert_equal "$(count_keys)" 0
	feed_mount b
	wait_until 10 is_cached 5
}

@test "the change log's removal leaves the rules, and goes on as before without them" {
	place public.goods hash=1/2
	"$ROWFS" sync install "$(source_string)" | grep -q 'goods: logged'
	"$ROWFS" sync uninstall "$(source_string)"
	assert_equal "$(place --show)" "public.goods: hash=1/2"
	assert_equal "$(sql "SELECT count(*) FROM pg_proc p WHERE pronamespace = 'rowfs'::regnamespace")" 0
	assert_equal "$(sql "SELECT to_regclass('rowfs.changes') IS NULL")" t
	assert_equal "$(sql "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'goods'::regclass")" 0
	sql "DROP SCHEMA rowfs CASCADE"
	"$ROWFS" sync install "$(source_string)" | grep -q 'goods: logged'
	"$ROWFS" sync uninstall "$(source_string)"
	assert_equal "$(sql "SELECT to_regnamespace('rowfs') IS NULL")" t
}

@test "hot: the rows that satisfy it are pinned, read without SQL, and others are lazy" {
	local mark

	place public.goods 'hot=stock > 5'
	feed_mount a
	pins_become "stock > 5"
	assert_contains "$(feed_get a pins)" "public.goods: 400 rows pinned"
	mark=$(log_mark)
	for id in 6 7 8 9 16 999; do
		assert_equal "$(cat "$MNT/public/goods/$id.json")" "$(printf '{\n  "id": %d,\n  "stock": %d,\n  "note": "good %d"\n}' "$id" "$((id % 10))" "$id")"
	done
	assert_equal "$(reads_since "$mark")" 0
	read_row 5
	assert_equal "$(reads_since "$mark")" 1
	wait_until 5 keys_are 401
	assert_equal "$(pinned | wc -l)" 400
}

# shared N M NAMES...: those of them whose bucket is pinned by hash=N/M, as model/placement.c has it (XXH64).
shared() {
	python3 - "$@" <<-'PYTHON'
		import sys

		M = (1 << 64) - 1
		P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
		                      0x27D4EB2F165667C5)

		def rotl(x, r):
		    return (x << r | x >> 64 - r) & M

		def xxh64(b):  # of less than 32 bytes
		    h, i = P5 + len(b) & M, 0
		    while i + 8 <= len(b):
		        k = rotl(int.from_bytes(b[i:i + 8], "little") * P2 & M, 31) * P1 & M
		        h, i = rotl(h ^ k, 27) * P1 + P4 & M, i + 8
		    if i + 4 <= len(b):
		        h ^= int.from_bytes(b[i:i + 4], "little") * P1 & M
		        h, i = rotl(h, 23) * P2 + P3 & M, i + 4
		    for c in b[i:]:
		        h = rotl(h ^ c * P5 & M, 11) * P1 & M
		    h ^= h >> 33
		    h = h * P2 & M
		    h ^= h >> 29
		    h = h * P3 & M
		    return h ^ h >> 32

		n, m = int(sys.argv[1]), int(sys.argv[2])
		for name in sys.argv[3:]:
		    if xxh64(f"{name}.json".encode()) % m < n:
		        print(name)
	PYTHON
}

@test "hash: N of M buckets are pinned, and with hot those of them that satisfy it" {
	local mark share

	place public.goods hash=1/4
	feed_mount a
	# shellcheck disable=SC2046
	share=$(shared 1 4 $(sql "SELECT id FROM goods ORDER BY id::text COLLATE \"C\""))
	(($(wc -l <<<"$share") > 200 && $(wc -l <<<"$share") < 300))
	wait_until 15 pinned_is "$share"
	mark=$(log_mark)
	for id in $(head -n 20 <<<"$share"); do read_row "$id"; done
	assert_equal "$(reads_since "$mark")" 0
	place public.goods hash=1/4 'hot=stock > 5'
	# shellcheck disable=SC2046
	share=$(shared 1 4 $(selected "stock > 5"))
	wait_until 15 pinned_is "$share"
}

@test "hot: 10,000 random changes by SQL, and membership is right; what is read is what PostgreSQL has" {
	place public.goods 'hot=stock > 5'
	feed_mount a
	pins_become "stock > 5"
	sql "SELECT setseed(0.5); CREATE PROCEDURE change(n int) LANGUAGE plpgsql AS \$\$
		DECLARE id_ int; what float;
		BEGIN FOR i IN 1..n LOOP
			id_ := 1 + floor(random() * 1200); what := random();
			IF what < 0.1 THEN DELETE FROM goods WHERE id = id_;
			ELSIF what < 0.2 THEN UPDATE goods SET id = 2000 + i WHERE id = id_;
			ELSIF what < 0.3 THEN UPDATE goods SET id = id_ WHERE id = (SELECT max(id) FROM goods)
				AND NOT EXISTS (SELECT FROM goods WHERE id = id_);
			ELSE INSERT INTO goods VALUES (id_, floor(random() * 10), 'change ' || i)
				ON CONFLICT (id) DO UPDATE SET stock = excluded.stock, note = excluded.note;
			END IF; COMMIT;
		END LOOP; END \$\$"
	reads_begin "$MNT/public/goods"
	sql "CALL change(10000)"
	pins_become "stock > 5"
	reads_end
	pins_become "stock > 5"
	local mark
	mark=$(log_mark)
	for id in $(selected "stock > 5" | head -n 100); do
		assert_equal "$(sql "SELECT format(E'{\n  \"id\": %s,\n  \"stock\": %s,\n  \"note\": \"%s\"\n}', id, stock, note)
			FROM goods WHERE id = $id")" "$(cat "$MNT/public/goods/$id.json")"
	done
	assert_equal "$(reads_since "$mark")" 0
}

@test "rules that change under load, and that go" {
	feed_mount a
	while :; do
		sql "UPDATE goods SET stock = floor(random() * 10) WHERE id = 1 + floor(random() * 1000)" || true
		read_row $((RANDOM % 1000 + 1))
	done >/dev/null 2>&1 &
	local load=$!
	for predicate in "stock > 5" "stock < 2" "id % 2 = 0 AND stock = 3" "stock > 7"; do
		place public.goods "hot=$predicate"
		sleep 1.5
	done
	kill "$load"
	wait "$load" || true
	pins_become "stock > 7"
	place public.goods --drop
	pins_become false
	assert_equal "$(feed_get a pins)" ""
}

@test "a new epoch, TRUNCATE, a large transaction, other columns: what is pinned is what is there" {
	local epoch

	place public.goods 'hot=stock > 5'
	feed_mount a
	feed_mount b
	pins_become "stock > 5"
	sql "UPDATE goods SET stock = 9 - stock"
	sql "INSERT INTO goods SELECT i, i % 10, 'more' FROM generate_series(1001, 8000) i"
	pins_become "stock > 5"
	sql "ALTER TABLE goods ADD COLUMN extra int DEFAULT 7"
	sleep 2
	pins_become "stock > 5"
	wait_until 10 has_extra
	sql "TRUNCATE goods"
	pins_become false
	sql "INSERT INTO goods SELECT i, i % 10, 'again' FROM generate_series(1, 100) i"
	pins_become "stock > 5"
	redis FLUSHALL >/dev/null
	pins_become "stock > 5"
	unmount_rowfs "$(feed_leader a b)"
	sql "UPDATE goods SET stock = 9 - stock WHERE id > 50"
	pins_become "stock > 5"
}

has_extra() {
	redis GET "$(keys_of goods | head -n 1)" | grep -q '"extra": 7'
}

@test "a save on a mount is pinned again" {
	place public.goods 'hot=stock > 5'
	feed_mount a
	pins_become "stock > 5"
	for ten in 1 2 3 4 5; do
		sed -i 's/"note": "good/"note": "saved/' "$MNT/public/goods/${ten}6.json"
		sed -i 's/"stock": 5/"stock": 9/' "$MNT/public/goods/${ten}5.json"
		sed -i 's/"stock": 8/"stock": 1/' "$MNT/public/goods/${ten}8.json"
	done
	sleep 1
	pins_become "stock > 5"
	assert_equal "$(selected "stock > 5" | wc -l)" 400
	[[ $(redis GET "$(keys_of goods | grep ':16$')") == *'"note": "saved 16"'* ]]
}

@test "rowfs sync pins, too; a table with a key of several columns, a partitioned one" {
	sql "CREATE TABLE pairs (a text, b int, v int, PRIMARY KEY (a, b));
		INSERT INTO pairs SELECT chr(34) || chr(92) || '{' || i || ',NULL}', i, i % 2 FROM generate_series(1, 50) i;
		CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
		CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (0) TO (50);
		CREATE TABLE part2 PARTITION OF parted FOR VALUES FROM (50) TO (100);
		INSERT INTO parted SELECT i, i % 5 FROM generate_series(1, 99) i"
	place public.pairs 'hot=v = 1 -- the odd ones'
	place public.parted 'hot=v = 1'
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	feed_mount a noworker
	wait_until 15 many_pinned pairs 25
	wait_until 15 many_pinned parted 20
	wait_until 10 feed_says a worker "public.pairs: 25 rows pinned; public.parted: 20 rows pinned"
	sql "UPDATE pairs SET v = 1 WHERE b <= 10; UPDATE parted SET v = 0 WHERE id < 50"
	wait_until 15 many_pinned pairs 30
	wait_until 15 many_pinned parted 10
	kill "$(rowfs_pid sync)"
	wait_until 10 test -s "$HARNESS/mounts/sync.exit"
	assert_equal "$(cat "$HARNESS/mounts/sync.exit")" 0
}

@test "a predicate that fails for some row: said in status and log, that table is lazy, nothing else suffers" {
	local mark

	sql "CREATE TABLE others (id int PRIMARY KEY, stock int); INSERT INTO others SELECT i, i % 10 FROM generate_series(1, 100) i;
		UPDATE goods SET stock = 10 WHERE stock = 0"
	place public.goods 'hot=100 / stock > 20'
	place public.others 'hot=stock = 0'
	feed_mount a
	pins_become "100 / stock > 20"
	wait_until 15 many_pinned others 10
	sql "UPDATE goods SET stock = 0 WHERE id = 500"
	wait_until 15 feed_says a pins "public.goods: lazy, since its rule fails: 22012 division_by_zero"
	pins_become false
	assert_contains "$(cat "$HARNESS/mounts/a.log")" "placement: public.goods: lazy, since its rule fails: 22012 division_by_zero: division by zero"
	# Once, however often it is tried.
	sql "UPDATE goods SET note = 'x' WHERE id < 10"
	sleep 1
	assert_equal "$(grep -c 'since its rule fails' "$HARNESS/mounts/a.log")" 1
	is_cached 1
	mark=$(log_mark)
	read_row 1
	assert_equal "$(reads_since "$mark")" 0
	# The other table does not notice.
	sql "UPDATE others SET stock = 0 WHERE id = 1"
	wait_until 15 many_pinned others 11
	assert_equal "$(feed_get a feed)" live
	# Another rule for it, and a load that fails from the start.
	place public.goods 'hot=stock > 5'
	pins_become "stock > 5"
	place public.goods 'hot=100 / stock > 20'
	wait_until 15 feed_says a pins "public.goods: lazy, since its rule fails: 22012 division_by_zero"
	pins_become false
	wait_until 15 many_pinned others 11
	sql "UPDATE goods SET stock = 1 WHERE id = 500"
	place public.goods 'hot=100 / stock > 21'
	pins_become "100 / stock > 21"
}

# A look at so many keys keeps Redis from anything else for a while.
large_pinned() {
	local i

	for i in {1..60}; do
		! many_pinned large "$1" || return 0
		sleep 1
	done
	pinned large | wc -l >&2
	return 1
}

@test "more hot rows than Redis has room for: it stops and says so, and nothing is evicted; with room it goes on" {
	local before

	sql "CREATE TABLE large (id int PRIMARY KEY, pad text); INSERT INTO large
		SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 20000) i"
	feed_mount a
	for id in 1 2 3 4 5; do read_row $id; done
	wait_until 5 keys_are 5
	redis EVAL 'for i = 1, 2000 do redis.call("SET", "foreign:" .. i, string.rep("x", 500), "EX", 10000) end' 0 >/dev/null
	for policy in volatile-lru noeviction; do
		redis CONFIG SET maxmemory-policy "$policy" maxmemory $(($(redis_used) + (6 << 20))) >/dev/null
		before=$(evicted)
		place public.large 'hot=true'
		wait_until 30 feed_says a pins "rows pinned, stopped: Redis has no room"
		sleep 2
		assert_equal "$(evicted)" "$before"
		assert_equal "$(redis --scan --pattern 'foreign:*' | wc -l)" 2000
		assert_equal "$(count_keys)" 5
		(($(pinned large | wc -l) > 500 && $(pinned large | wc -l) < 15000))
		assert_equal "$(feed_get a feed)" live
		assert_contains "$(cat "$HARNESS/mounts/a.log")" "placement: public.large: stopped: Redis has no room"
		redis CONFIG SET maxmemory 0 >/dev/null
		large_pinned 20000
		place public.large --drop
		large_pinned 0
	done
	redis CONFIG SET maxmemory-policy noeviction >/dev/null
}

# In no order, since who walks through a table puts nothing into Redis.
evicting() {
	seq 3000 | shuf | sed "s|.*|$MNT/public/large/&.json|" | xargs cat >/dev/null
	(($(evicted) > 100))
}

@test "a pinned row is not pushed out by rows that are read, and comes back after a change in a full Redis" {
	local epoch

	place public.goods 'hot=stock > 5'
	sql "CREATE TABLE large (id int PRIMARY KEY, pad text); INSERT INTO large
		SELECT i, repeat(md5(i::text), 100) FROM generate_series(1, 3000) i"
	feed_mount a
	pins_become "stock > 5"
	redis CONFIG SET maxmemory-policy volatile-lru maxmemory $(($(redis_used) + (3 << 20))) >/dev/null
	wait_until 60 evicting
	pins_become "stock > 5"
	sql "UPDATE goods SET note = 'changed' WHERE id < 100"
	pins_become "stock > 5"
	# That has cost others their place, or did not: what changed had made room.
	wait_until 5 feed_says a pins "public.goods: 400 rows pinned"
	# The heartbeat may have to go as well; what changes meanwhile is pinned when it is back.
	epoch=$(redis --scan --pattern 'rf:*:epoch')
	redis -r 3000 -i 0.0005 DEL "${epoch%:epoch}:hb" >/dev/null &
	sleep 0.3
	sql "UPDATE goods SET note = 'changed meanwhile' WHERE id < 100"
	wait $!
	pins_become "stock > 5"
	held_is 6 'changed meanwhile'
	# There is none for what is pinned for the first time.
	sql "UPDATE goods SET stock = 9 WHERE id % 10 = 1"
	wait_until 5 feed_says a pins "public.goods: 400 rows pinned, stopped: Redis has no room for more"
	pins_become "stock > 5 AND id % 10 <> 1"
	sql "UPDATE goods SET note = 'changed again' WHERE id < 100"
	pins_become "stock > 5 AND id % 10 <> 1"
	held_is 6 'changed again'
	redis CONFIG SET maxmemory-policy noeviction maxmemory 0 >/dev/null
	pins_become "stock > 5"
	wait_until 10 pins_say "public.goods: 500 rows pinned"
}

@test "tables that cannot be pinned are lazy, and status says why" {
	sql "CREATE TABLE guarded (id int PRIMARY KEY); INSERT INTO guarded VALUES (1);
		CREATE TABLE keyless (id int); CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v int)"
	place public.guarded hash=1/1
	place public.keyless hash=1/1
	place public.unlogged hash=1/1
	sql "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY"
	feed_mount a
	wait_until 15 feed_says a pins "public.guarded: lazy, since it has row security"
	feed_says a pins "public.keyless: lazy, since it has no key"
	wait_until 15 feed_says a pins "public.unlogged: lazy, since no change feed covers it"
	assert_equal "$(pinned guarded)" ""
	sql "ALTER TABLE guarded DISABLE ROW LEVEL SECURITY"
	wait_until 15 many_pinned guarded 1
	sql "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY"
	wait_until 15 many_pinned guarded 0
}

@test "a row that changes while it is read to be pinned: what was read is not pinned, since its lease is gone" {
	sql "CREATE FUNCTION gate() RETURNS boolean LANGUAGE sql AS 'SELECT pg_advisory_xact_lock_shared(7) IS NOT NULL'"
	place public.goods 'hot=stock > 5 AND public.gate()'
	feed_mount a
	pins_become "stock > 5"
	hold "SELECT pg_advisory_xact_lock(7)"
	sql "UPDATE goods SET note = 'second' WHERE id = 6"
	wait_until 5 held_is 6 L:
	# The SELECT waits at the gate, and sees what was there when it began.
	wait_until 5 waiting_at_gate
	sql "UPDATE goods SET note = 'third' WHERE id = 6"
	wait_until 5 held_is_nothing 6
	release
	wait_until 10 held_is 6 '"note": "third"'
	pins_become "stock > 5"
	held_is 6 '"note": "third"'
}

# Status says how many rows satisfy it.
counted() {
	feed_says a pins "public.goods: $(sql "SELECT count(*) FROM goods WHERE $1") rows pinned"
}

@test "status counts the rows that are pinned after INSERT, UPDATE, DELETE and a key's change" {
	place public.goods 'hot=stock > 5'
	feed_mount a
	wait_until 15 counted "stock > 5"
	sql "INSERT INTO goods SELECT i, 7, 'more' FROM generate_series(2001, 2030) i"
	wait_until 15 counted "stock > 5"
	sql "DELETE FROM goods WHERE id > 900 AND stock = 9"
	wait_until 15 counted "stock > 5"
	sql "UPDATE goods SET stock = 1 WHERE id < 100 AND stock > 7; UPDATE goods SET stock = 8 WHERE id < 100 AND stock = 2"
	wait_until 15 counted "stock > 5"
	sql "UPDATE goods SET id = id + 5000 WHERE id < 200"
	wait_until 15 counted "stock > 5"
	rm "$MNT/public/goods/2001.json"
	wait_until 15 counted "stock > 5"
	pins_become "stock > 5"
}

@test "what a worker left behind is removed by the next, also when nothing is to be pinned any more" {
	place public.goods 'hot=stock > 5'
	feed_mount a
	pins_become "stock > 5"
	kill -KILL "$(rowfs_pid a)"
	fusermount3 -q -u -z "$HARNESS/a"
	rm -f "$HARNESS"/mounts/a.*
	# A lease that it could not give back.
	redis SET "$(redis --scan --pattern 'rf:*:epoch' | sed 's/epoch$//')r:$(oid):77" L:stuck >/dev/null
	redis SADD "$(redis --scan --pattern 'rf:*:p:*')" 77 >/dev/null
	place public.goods --drop
	feed_mount b
	wait_until 30 pinned_is ""
	wait_until 10 is_cached 77
	assert_equal "$(redis --scan --pattern 'rf:*:p:*')$(redis --scan --pattern 'rf:*:pins')" ""
}
