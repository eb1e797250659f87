# What `rowfs hot` says of the reads on two mounts, and what follows from it.

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
	sql "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL);
		INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 400) i;
		CREATE TABLE notes (id int PRIMARY KEY)"
}

teardown() {
	mounts_end
}

# hot NAME FIELD [TABLE]
hot() {
	"$ROWFS" hot "$HARNESS/$1" "${3:-items}" --json | jq -r ".$2"
}

hot_is() {
	[[ $(hot "$1" "$2") == "$3" ]]
}

in_redis() {
	redis --scan --pattern "rf:*:r:*:$1" | grep -q .
}

mount_pair() {
	mount_rowfs a
	feed_live a
	mount_rowfs b
	feed_live b
}

@test "each mount says what was read on both, and from where" {
	mount_pair
	for _ in 1 2 3; do cat "$HARNESS/a/public/items/7.json" >/dev/null; done
	cat "$HARNESS/a/public/items/8.json" >/dev/null
	assert_equal "$(hot a 'reads, .memory, .redis, .postgresql' | tr '\n' ' ')" '4 2 0 2 '
	for _ in 1 2; do cat "$HARNESS/b/public/items/7.json" >/dev/null; done
	wait_until 20 hot_is a reads 6
	wait_until 20 hot_is b reads 6
	assert_equal "$(hot b mounts)" 2
	assert_equal "$(hot b 'hottest[] | [.row, .reads] | @csv')" '"7.json",5
"8.json",1'
	assert_contains "$("$ROWFS" hot "$HARNESS/b" public.items)" "       5  7.json"
	assert_contains "$("$ROWFS" hot "$HARNESS/b")" "proposed: place=lazy (6 reads are too few to tell)"
	assert_contains "$("$ROWFS" hot "$HARNESS/b" notes)" "nothing was read of notes yet"
	assert_equal "$("$ROWFS" hot "$HARNESS/b" public/notes --json)" ""
}

@test "a row that is read again from memory is put into Redis; one that was read once is not" {
	mount_pair
	cat "$HARNESS/a/public/items/7.json" "$HARNESS/a/public/items/8.json" >/dev/null
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	wait_until 20 in_redis 7
	cat "$HARNESS/b/public/items/7.json" >/dev/null
	assert_equal "$(hot b redis)" 1
	if in_redis 8; then return 1; fi
}

@test "what another mount has read counts as the first time" {
	mount_pair
	cat "$HARNESS/a/public/items/9.json" >/dev/null
	wait_until 20 hot_is b reads 1
	cat "$HARNESS/b/public/items/9.json" >/dev/null
	wait_until 5 in_redis 9
}

@test "a new epoch: the rows that are read most are in Redis again, without a reader" {
	mount_pair
	for id in 1 2 3 4 5; do
		for _ in 1 2; do cat "$HARNESS/a/public/items/$id.json" >/dev/null; done
	done
	wait_until 20 in_redis 5
	wait_until 20 hot_is b reads 10
	redis FLUSHALL >/dev/null
	for id in 1 2 3 4 5; do wait_until 20 in_redis "$id"; done
	cat "$HARNESS/b/public/items/3.json" >/dev/null
	assert_equal "$(hot b redis)" 1
}

@test "an unmount cancels the load that is under way" {
	mount_rowfs a
	feed_live a
	# More than once, so that the statement is prepared.
	cat "$HARNESS"/a/public/items/{5,6,7}.json >/dev/null
	hold "LOCK TABLE items"
	# From memory, so that it is to be loaded.
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	loading() { [[ $(sql "SELECT count(*) FROM pg_locks WHERE relation = 'items'::regclass AND NOT granted") -gt 0 ]]; }
	wait_until 20 loading
	mark=$(log_mark)
	unmount_rowfs a
	tail -c "+$((mark + 1))" "$HARNESS/postgres/log" | grep -a "canceling statement" >"$BATS_TEST_TMPDIR/canceled"
	assert_contains "$(<"$BATS_TEST_TMPDIR/canceled")" "due to user request"
	release
}

@test "a role that does not see a row is not told its key" {
	sql "CREATE ROLE limited LOGIN; GRANT USAGE ON SCHEMA public TO limited; GRANT SELECT ON items, notes TO limited;
		INSERT INTO notes VALUES (1);
		ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON items TO limited USING (id < 5)"
	mount_rowfs a
	feed_live a
	mount_rowfs b "" "host=$HARNESS/postgres user=limited dbname=$PGDATABASE"
	feed_live b
	cat "$HARNESS/a/public/items/7.json" "$HARNESS/a/public/notes/1.json" >/dev/null
	cat "$HARNESS/b/public/items/3.json" >/dev/null
	told() { [[ $(hot b 'hottest[].row' notes) == 1.json ]]; }
	wait_until 20 told
	assert_equal "$(hot b 'hottest[].row')" 3.json
	# What b has read of a table that it may have no copies of is not told to anybody by way of Redis, either.
	summaries() { redis --scan --pattern '*:hot:*' | while read -r key; do redis GET "$key"; done; }
	assert_equal "$(summaries | sed -n 's/^r .* //p' | sort | paste -sd ' ')" '1.json 7.json'
	sql "DROP OWNED BY limited; DROP ROLE limited"
}

# where NAME ROW FIELD
where() {
	"$ROWFS" where "$HARNESS/$1/public/items/$2.json" | sed -n "s/^$3: //p"
}

@test "rowfs where names the tier and its version, and is no read" {
	mount_pair
	for _ in 1 2 3; do
		assert_equal "$(where a 7 tier) $(where a 7 reads_lately)" "postgresql 0"
	done
	assert_equal "$(where a 7 redis)" "no copy"
	assert_equal "$(where a 7 xmin)" "$(sql "SELECT xmin FROM items WHERE id = 7")"
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	wait_until 10 tier_is a 7 memory
	assert_equal "$(where a 7 reads_lately)" 1
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	wait_until 20 tier_is b 7 redis
	assert_equal "$(where b 7 redis_xmin)" "$(where b 7 xmin)"
	sql "UPDATE items SET name = 'changed' WHERE id = 7"
	wait_until 5 tier_is b 7 postgresql
	assert_equal "$(where b 7 xmin)" "$(sql "SELECT xmin FROM items WHERE id = 7")"
	fails_with "there is no such row" "$ROWFS" where "$HARNESS/a/public/items/999.json"
	fails_with "it is in no rowfs" "$ROWFS" where "$BATS_TEST_TMPDIR/7.json"
}

tier_is() {
	[[ $(where "$1" "$2" tier) == "$3" ]]
}

@test "rowfs where: without a feed a copy has an age and an end" {
	mount_rowfs mnt changes=ttl,ttl=60
	cat "$HARNESS/mnt/public/items/7.json" >/dev/null
	cat "$HARNESS/mnt/public/items/7.json" >/dev/null
	wait_until 5 tier_is mnt 7 redis
	"$ROWFS" where "$HARNESS/mnt/public/items/7.json" | awk '{ is[$1] = $2 } END { age = is["redis_age_seconds:"]
		end = is["redis_ends_in_seconds:"]; exit !(age >= 0 && end > 0 && end <= 60 && age + end > 59.8 && age + end < 60.2) }'
	mount_rowfs strong ttl=60,consistency=strong
	assert_equal "$(where strong 7 tier), $(where strong 7 rule)" "postgresql, never in Redis: consistency=strong"
}

rule_is() {
	[[ $(where "$1" "$2" rule) == "$3" ]]
}

place() {
	"$ROWFS" place "$(source_string)" public.items "$@"
}

@test "rowfs where says by which rule a row is where it is" {
	mount_rowfs a
	feed_live a
	assert_equal "$(where a 7 rule)" "lazy, not admitted yet: its second read will put it there"
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	assert_equal "$(where a 7 rule)" "lazy, not admitted yet: its next read will put it there"
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	wait_until 20 rule_is a 7 "lazy, admitted"
	place 'hot=id < 300
		AND name IS NOT NULL'
	wait_until 30 rule_is a 8 "pinned by hot=id < 300   AND name IS NOT NULL"
	assert_equal "$(where a 301 rule)" "lazy, not pinned by hot=id < 300   AND name IS NOT NULL\
 (it does not satisfy that, or is not loaded yet), not admitted yet: its second read will put it there"
	place hash=1/4
	wait_until 30 are_parted
	((PINNED > 10 && PINNED < 50))
	place place=off
	wait_until 20 rule_is a 8 "off (place=off)"
	place "hot=name <> '$(printf '\u00e4%.0s' {1..400})'"
	wait_until 20 says_cut a 8
	place --drop
	sql "ALTER TABLE items ADD COLUMN kind regclass"
	wait_until 20 rule_is a 8 "never in Redis: the text of its rows depends on the search_path"
}

# Each of the rows 301 to 400, which nobody has read, is pinned or in another bucket; how many are PINNED.
are_parted() {
	local rules others

	rules=$(cd "$HARNESS/a/public/items" && "$ROWFS" where {301..400}.json | grep '^rule: ')
	PINNED=$(grep -cx 'rule: pinned by hash=1/4' <<<"$rules" || true)
	others=$(grep -c 'rule: lazy, not pinned by hash=1/4 (it is in another bucket), not admitted yet' <<<"$rules" || true)
	((PINNED > 0 && PINNED + others == 100))
}

# The rule is cut, between two characters.
says_cut() {
	local rule

	rule=$(where "$1" "$2" rule)
	[[ $rule == "pinned by hot=name <> 'ä"*"ä…" ]] && printf %s "$rule" | iconv -f UTF-8 -t UTF-8 >/dev/null
}

@test "rowfs where: without Redis, or without a feed, nothing is there or pinned" {
	place 'hot=id < 300'
	mount_rowfs none redis=none
	assert_equal "$(where none 7 rule)" "never in Redis: there is none"
	mount_rowfs mnt changes=ttl,ttl=60
	assert_equal "$(where mnt 7 rule)" "lazy, not pinned by hot=id < 300 (that needs a feed of changes),\
 not admitted yet: its second read will put it there"
}

@test "summaries that are forged or broken add nothing" {
	mount_pair
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	prefix=$(redis --scan --pattern 'rf:*:epoch')
	prefix=${prefix%epoch}
	redis SET "${prefix}hot:20" garbage >/dev/null
	redis SET "${prefix}hot:21" $'0123456789abcdef\nrowfs-hot 1\nr 1 2' >/dev/null
	redis RPUSH "${prefix}hot:22" list >/dev/null
	redis SET "${prefix}hot:23" "$(printf '0123456789abcdef\nrowfs-hot 1\nr 99999 5 10 x.json\n ')" >/dev/null
	wait_until 20 hot_is b reads 1
	assert_equal "$(hot b mounts)" 2
	[[ $(cat "$HARNESS/b/public/items/7.json" | jq .id) == 7 ]]
}

# read_many MOUNT FROM TO TIMES: by one program, at random, so that it is no walk; each is an open.
read_many() {
	python3 - "$HARNESS/$1/public/items" "${@:2}" <<'PYTHON'
import random, sys
directory, first, last, times = sys.argv[1], *map(int, sys.argv[2:])
ids = [i for i in range(first, last + 1) for _ in range(times)]
random.Random(1).shuffle(ids)
for i in ids:
    open(f"{directory}/{i}.json").read()
PYTHON
}

apply_rule() {
	"$ROWFS" hot "$HARNESS/$1" "${2:-items}" --apply
}

rules() {
	"$ROWFS" place "$(source_string)" --show
}

@test "rowfs hot --apply sets what it proposes, and says so; the second time there is nothing to do" {
	sql "ALTER TABLE items RENAME id TO \"or\"\"der\""
	mount_rowfs a
	feed_live a
	assert_equal "$(apply_rule a)" "nothing was read of items yet"
	cat "$HARNESS/a/public/items/7.json" >/dev/null
	assert_equal "$(apply_rule a)" "public/items: nothing to do (1 reads are too few to tell)"
	assert_equal "$(rules)" ""
	# The newest tenth.
	read_many a 1 400 1
	read_many a 370 400 80
	proposed=$(hot a rule)
	[[ $proposed == 'hot="or""der" >= '3[5-9]? ]]
	assert_contains "$(apply_rule a public.items)" "public/items: set $proposed ("
	assert_equal "$(rules)" "public.items: $proposed"
	pinned() { [[ $(where a 400 rule) == "pinned by $proposed" ]]; }
	wait_until 30 pinned
	assert_contains "$("$ROWFS" hot "$HARNESS/a" --apply)" "; it has $proposed already)"
	assert_equal "$(rules)" "public.items: $proposed"
}

@test "rowfs hot --apply: each kind of proposal is one that place takes" {
	mount_rowfs a
	feed_live a
	# What is read once each.
	sql "INSERT INTO items SELECT i, 'item' FROM generate_series(401, 2400) i"
	read_many a 401 2400 1
	assert_contains "$(apply_rule a)" "public/items: set place=off (only 0 %"
	assert_equal "$(rules)" "public.items: place=off"
	off() { [[ $(where a 1 rule) == "off (place=off)" ]]; }
	wait_until 20 off
	assert_contains "$(apply_rule a)" "it has place=off already"
	# Evenly, and again; the rule that stands is no reason for another.
	read_many a 1 400 8
	assert_contains "$(apply_rule a)" "public/items: set place=lazy (the reads fall evenly"
	assert_equal "$(rules)" "public.items: place=lazy"
	lazy() { [[ $(where a 1 rule) == lazy* ]]; }
	wait_until 20 lazy
	assert_contains "$(apply_rule a)" "it has place=lazy already"
}

@test "rowfs hot --apply: what is large and read evenly is pinned in part" {
	sql "UPDATE items SET name = repeat('x', 400000)"
	mount_rowfs a
	feed_live a
	read_many a 1 300 4
	assert_contains "$(apply_rule a)" "public/items: set hash=1/4 ("
	assert_equal "$(rules)" "public.items: hash=1/4"
}

@test "rowfs hot --apply: columns that somebody has chosen stay" {
	"$ROWFS" place "$(source_string)" public.items columns=id
	mount_rowfs a
	feed_live a
	read_many a 1 400 1
	read_many a 370 400 80
	assert_contains "$(apply_rule a)" "public/items: set columns=id hot=\"id\" >= 3"
	[[ $(rules) == 'public.items: columns=id hot="id" >= 3'* ]]
	pinned() { [[ $(where a 400 rule) == "pinned by columns=id hot="* ]]; }
	wait_until 30 pinned
	assert_contains "$(apply_rule a)" "it has columns=id hot=\"id\" >= 3"
}

@test "rowfs hot --apply: what this mount cannot judge, or may not set, it does not" {
	place hash=1/2
	mount_rowfs strong ttl=60,consistency=strong
	cat "$HARNESS/strong/public/items/7.json" >/dev/null
	assert_contains "$(apply_rule strong)" "nothing to do (this mount cannot tell"
	echo 'table "public.items" { place = lazy }' >"$BATS_TEST_TMPDIR/file.conf"
	mount_rowfs file "config=$BATS_TEST_TMPDIR/file.conf,changes=ttl"
	read_many file 1 400 4
	assert_contains "$(apply_rule file)" "this mount's configuration file has a rule for it"
	mount_rowfs ro ro
	cat "$HARNESS/ro/public/items/7.json" >/dev/null
	fails_with "the mount is read-only" apply_rule ro
	sql "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA public TO reader; GRANT SELECT ON items TO reader"
	mount_rowfs reader changes=ttl "host=$HARNESS/postgres user=reader dbname=$PGDATABASE"
	read_many reader 1 400 4
	fails_with "place=lazy was not set: " apply_rule reader
	assert_equal "$(rules)" "public.items: hash=1/2"
	fails_with "usage: rowfs hot" "$ROWFS" hot "$HARNESS/ro" --json --apply
	sql "DROP OWNED BY reader; DROP ROLE reader"
}
