# rowfs warm: rows that nobody has read are put into Redis, taken out, and counted there; and why some are not.

load ../lib/rowfs
load ../lib/feed
load ../lib/terminal

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	redis FLUSHALL >/dev/null
	redis CONFIG SET maxmemory 0 >/dev/null
	sql "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL);
		INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 600) i;
		CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1), (2)"
}

teardown() {
	terminals_end
	feed_teardown
}

# mount_live NAME [OPTIONS [SOURCE]]
mount_live() {
	mount_rowfs "$@"
	feed_live "$1"
	ITEMS=$HARNESS/$1/public/items
}

# warm STATUS EXPECTED ARGUMENT…: what it prints, and how it ends.
warm() {
	local out status=0

	out=$("$ROWFS" warm "${@:3}" 2>"$BATS_TEST_TMPDIR/said") || status=$?
	assert_equal "$status: $out" "$1: $2" || {
		cat "$BATS_TEST_TMPDIR/said" >&2
		return 1
	}
}

# keys_are N [TABLE]: so many of its rows are in Redis.
keys_are() {
	[[ $(redis --scan --pattern "rf:*:r:$(sql "SELECT 'public.${2:-items}'::regclass::oid"):*" | wc -l) == "$1" ]]
}

where() {
	"$ROWFS" where "$1" | sed -n "s/^$2: //p"
}

@test "a table is loaded, counted and evicted, and others read it without asking PostgreSQL" {
	mount_live a
	mount_live b
	warm 16 "0 there
600 not there" "$ITEMS" --check
	warm 0 "600 loaded" "$ITEMS"
	keys_are 600
	warm 0 "0 loaded
600 there already" "$ITEMS/"
	warm 0 "600 there" --check "$HARNESS/a/public/items"
	warm 0 "600 evicted" --evict "$HARNESS/a/public/items"
	wait_until 5 keys_are 0
	warm 0 "0 evicted
600 not there" --evict "$ITEMS"
	warm 16 "0 there
600 not there" --check "$ITEMS"
	warm 0 "600 loaded" "$ITEMS"
	# That was no read.
	assert_equal "$(where "$ITEMS/7.json" rule), $(where "$ITEMS/7.json" reads_lately)" "lazy, admitted, 0"
	mark=$(log_mark)
	for id in 1 256 257 600; do
		assert_equal "$(jq -r .name "$HARNESS/a/public/items/$id.json")" "item $id"
	done
	assert_equal "$(statements_since "$mark" | grep -c 'FROM ONLY "public"."items"' || true)" 0
	# They are as fresh as other copies.
	sql "UPDATE items SET name = 'changed' WHERE id = 300"
	seen_by public/items/300.json name changed a b
}

@test "rows, directories and patterns" {
	sql "CREATE TABLE odd (id text PRIMARY KEY); INSERT INTO odd VALUES ('[1]'), ('1')"
	mount_live a
	cd "$ITEMS"
	warm 0 "1 loaded" 7.json
	warm 0 "2 loaded
1 there already" ./7.json "$ITEMS/8.json" 9.json
	warm 0 "10 loaded" '1?.json'
	keys_are 13
	warm 0 "2 loaded" "$HARNESS/a/*/not*/*.json"
	keys_are 2 notes
	warm 0 "0 loaded
2 there already" "$HARNESS/a/public/n*"
	# What looks like a pattern and is a row's name.
	warm 0 "1 loaded" '../odd/[1].json'
	warm 0 "1 loaded" ../odd/1.json
	# All there is.
	warm 0 "587 loaded
17 there already" "$HARNESS/a"
	# Editors' files are no rows.
	echo text >"$ITEMS/.7.json.swp"
	echo text >"$ITEMS/notes.txt"
	warm 0 "600 there" "$ITEMS" --check
}

@test "names of any length fill their batches" {
	sql "CREATE TABLE long (id text PRIMARY KEY); INSERT INTO long SELECT repeat('x', 200) || i FROM generate_series(1, 300) i"
	mount_live a
	warm 0 "300 loaded" "$HARNESS/a/public/long"
	keys_are 300 long
}

@test "what is wrong is said" {
	mount_live a
	warm 16 "0 loaded
2 not loaded: there is no such row" "$ITEMS/999.json" "$ITEMS/nonsense.json"
	warm 16 "0 there
1 not there" "$ITEMS/999.json" --check
	fails_with "nothing matches" "$ROWFS" warm "$ITEMS/x*.json"
	fails_with "No such file" "$ROWFS" warm "$HARNESS/a/public/nowhere"
	fails_with "it is in no rowfs" "$ROWFS" warm "$BATS_TEST_TMPDIR"
	fails_with "it is in no rowfs" "$ROWFS" warm "$BATS_TEST_TMPDIR/7.json"
	fails_with "there is no such table" "$ROWFS" warm "$HARNESS/a/public/7.json"
	fails_with "usage: rowfs warm" "$ROWFS" warm
	fails_with "usage: rowfs warm" "$ROWFS" warm --evict
	fails_with "usage: rowfs warm" "$ROWFS" warm "$ITEMS" --evict --check
	fails_with "usage: rowfs warm" "$ROWFS" warm "$ITEMS" --nonsense
	# What can be done is.
	fails_with "1 loaded" "$ROWFS" warm "$ITEMS/x*.json" "$ITEMS/7.json"
	# A lease for a row that was not there lasts three seconds.
	wait_until 10 keys_are 1
}

@test "rows that may not be in Redis are counted, with the reason" {
	sql "CREATE ROLE limited LOGIN; GRANT USAGE ON SCHEMA public TO limited; GRANT SELECT ON items, notes TO limited;
		ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON items TO limited USING (id < 5)"
	mount_live a
	"$ROWFS" place "$(source_string)" public.notes place=off
	is_off() { [[ $(where "$HARNESS/a/public/notes/1.json" rule) == off* ]]; }
	wait_until 20 is_off
	warm 16 "600 loaded
2 not loaded: place=off" "$HARNESS/a/public"
	mount_rowfs b "" "host=$HARNESS/postgres user=limited dbname=$PGDATABASE"
	feed_live b
	warm 16 "0 loaded
4 not loaded: row security shows each role other rows
2 not loaded: place=off" "$HARNESS/b/public"
	warm 16 "0 there
4 not there: row security shows each role other rows" "$HARNESS/b/public/items" --check
	mount_rowfs strong consistency=strong
	warm 16 "0 loaded
1 not loaded: consistency=strong" "$HARNESS/strong/public/items/7.json"
	mount_rowfs none redis=none
	warm 16 "0 loaded
1 not loaded: this mount has no Redis" "$HARNESS/none/public/items/7.json"
	sql "DROP OWNED BY limited; DROP ROLE limited"
}

@test "what is pinned is there, and stays" {
	mount_live a
	"$ROWFS" place "$(source_string)" public.items 'hot=id <= 100'
	wait_until 30 keys_are 100
	warm 0 "500 loaded
100 there already" "$ITEMS"
	warm 16 "500 evicted
100 not evicted: the table's placement rule pins it" --evict "$ITEMS"
	wait_until 5 keys_are 100
}

aged_are() {
	[[ $(redis --scan --pattern 'rf:*:a:*' | wc -l) == "$1" ]]
}

@test "what is too large for Redis, or finds no room there, is not loaded" {
	sql "INSERT INTO items VALUES (1001, repeat('x', 2000000));
		CREATE TABLE much (id int PRIMARY KEY, x text);
		INSERT INTO much SELECT i, repeat('x', 100000) FROM generate_series(1, 40) i"
	mount_live a
	warm 16 "0 loaded
1 not loaded: its text, or the part of it that columns= names, is too large for a copy" "$ITEMS/1001.json"
	mount_rowfs aged changes=ttl,ttl=600
	redis CONFIG SET maxmemory-policy noeviction >/dev/null
	redis CONFIG SET maxmemory $(($(redis INFO memory | tr -d '\r' | sed -n 's/^used_memory://p') + 2000000)) >/dev/null
	fails_with "not loaded: Redis did not take it: it is full" "$ROWFS" warm "$HARNESS/aged/public/much"
	# No more is said to be there than is.
	redis CONFIG SET maxmemory 0 >/dev/null
	found=$("$ROWFS" warm "$HARNESS/aged/public/much" --check | sed -n '1s/ there$//p')
	((found > 0 && found < 40))
	# Leases for the others last three seconds.
	wait_until 10 aged_are "$found"
	warm 0 "$((40 - found)) loaded
$found there already" "$HARNESS/aged/public/much"
}

@test "without Redis, and without PostgreSQL" {
	mount_live a
	warm 0 "2 loaded" "$HARNESS/a/public/notes"
	cluster_stop "$HARNESS/postgres" immediate
	status=0
	"$ROWFS" warm "$ITEMS"/{1..300}.json >"$BATS_TEST_TMPDIR/out" 2>&1 || status=$?
	cluster_start "$HARNESS/postgres"
	assert_equal "$status" 16
	grep -q "^300 not loaded: " "$BATS_TEST_TMPDIR/out" || {
		cat "$BATS_TEST_TMPDIR/out" >&2
		return 1
	}
	feed_live a
	redis_stop "$HARNESS/redis" KILL
	status=0
	"$ROWFS" warm "$ITEMS"/{1..300}.json >"$BATS_TEST_TMPDIR/out" 2>&1 || status=$?
	redis_start "$HARNESS/redis"
	assert_equal "$status" 16
	grep -qE "^300 not loaded: (Redis does not answer|no copy would count now)" "$BATS_TEST_TMPDIR/out" || {
		cat "$BATS_TEST_TMPDIR/out" >&2
		return 1
	}
	feed_live a
	warm 0 "600 loaded" "$ITEMS"
}

@test "it is interrupted at once, though PostgreSQL does not answer; readers are answered meanwhile" {
	mount_live a
	hold "LOCK TABLE items"
	for n in 1 2 3 4 5 6; do
		"$ROWFS" warm "$ITEMS/$n.json" "$ITEMS/7.json" >/dev/null 2>&1 3>&- &
		pids[n]=$!
	done
	waits() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") -ge 2 ]]; }
	wait_until 10 waits
	timeout 5 cat "$HARNESS/a/public/notes/1.json" >/dev/null
	kill -TERM "${pids[@]}"
	for n in 1 2 3 4 5 6; do wait_until 5 process_gone "${pids[n]}"; done
	release
	# Whoever was interrupted has left his lease.
	loads() { "$ROWFS" warm "$ITEMS"; }
	wait_until 10 loads
}

@test "on a terminal a bar moves; elsewhere lines say how far it is" {
	sql "INSERT INTO items SELECT i, 'item' FROM generate_series(601, 20000) i"
	mount_live a
	"$ROWFS" warm "$ITEMS" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/said"
	# One whose copy Redis was slow to take is asked for again, and there already.
	assert_equal "$(awk '/ (loaded|there already)$/ { n += $1 } END { print n }' "$BATS_TEST_TMPDIR/out")" 20000
	keys_are 20000
	grep -qE '^rowfs: [0-9]+ of 20000 rows, [0-9]+ a second, [0-9]+ s left$' "$BATS_TEST_TMPDIR/said"
	lacks $'\r' "$BATS_TEST_TMPDIR/said"
	warm 0 "20000 evicted" --evict "$ITEMS"
	on_terminal bash -c "'$ROWFS' warm '$ITEMS'; read"
	screen_shows '^\[#*-*\] [0-9]* of 20000 rows, [0-9]* a second, [0-9]* s left'
	wait_until 120 screen_has '^[0-9]* loaded'
	keys_are 20000
	screen_shows '^\[########################################\] 20000 of 20000 rows'
	type_keys Enter
}

@test "all who may read may load, root and the mount's owner may evict" {
	[[ $EUID == 0 ]] || skip "needs root"
	mount_live a allow_other,umask=022
	install -m 755 "$ROWFS" "$HARNESS/program"
	assert_equal "$(runuser -u nobody -- "$HARNESS/program" warm "$ITEMS")" "600 loaded"
	fails_with "Operation not permitted" runuser -u nobody -- "$HARNESS/program" warm "$ITEMS" --evict
	keys_are 600
	warm 0 "600 evicted" "$ITEMS" --evict
	rm "$HARNESS/program"
}

@test "without a feed copies are loaded for as long as they live" {
	mount_rowfs mnt changes=ttl,ttl=60
	warm 0 "600 loaded" "$HARNESS/mnt/public/items"
	assert_equal "$(redis --scan --pattern 'rf:*:a:*' | wc -l)" 600
	assert_equal "$(where "$HARNESS/mnt/public/items/7.json" tier)" redis
	warm 0 "600 evicted" --evict "$HARNESS/mnt/public/items"
}
