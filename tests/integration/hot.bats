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
	assert_equal "$(where strong 7 tier), $(where strong 7 rule)" "postgresql, never in Redis"
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
