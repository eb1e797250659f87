# Rights that change under a feed, and roles with different rights on one Redis: nobody is shown a copy of what only
# another may see.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
	psql -X -q -d postgres -c "CREATE ROLE reader LOGIN REPLICATION; CREATE ROLE other LOGIN"
}

teardown_file() {
	harness_end
}

setup() {
	pages_new
	sql "GRANT SELECT ON pages TO reader, other"
}

teardown() {
	feed_teardown
}

# mount_as NAME ROLE
mount_as() {
	feed_mount "$1" "" "host=$PGHOST user=$2 dbname=$PGDATABASE"
}

# A postgres', whose worker has all tables; a reader's and another's.
three_mounts() {
	feed_mount owner
	mount_as reader reader
	mount_as other other
	cat "$HARNESS"/{owner,reader,other}/public/pages/*.json >/dev/null
}

denied() {
	local out

	out=$(cat "$HARNESS/$1/$2" 2>&1) && return 1
	[[ $out == *"Permission denied"* || $out == *"No such file"* ]]
}

text_is() {
	FOUND=$(jq -c . "$HARNESS/$1/$2" 2>&1)
	[[ $FOUND == "$3" ]]
}

holds_copy() {
	redis --scan | grep -q ':r:'
}

@test "REVOKE SELECT: the role's cat fails, though Redis, the kernel and the daemon have the row" {
	three_mounts
	wait_until 10 holds_copy
	for _ in $(seq 5); do cat "$HARNESS/other/public/pages/1.json" >/dev/null; done
	sql "REVOKE SELECT ON pages FROM other"
	wait_until 5 denied other public/pages/1.json
	wait_until 5 denied other public/pages/2.json
	# The others' go on, and put the row into Redis again.
	for _ in $(seq 5); do
		assert_equal "$(value owner public/pages/1.json n) $(value reader public/pages/1.json n)" "0 0"
		denied other public/pages/1.json
	done
	sql "UPDATE pages SET n = 4 WHERE id = 1"
	seen_by public/pages/1.json n 4 owner reader
	denied other public/pages/1.json
	sql "GRANT SELECT ON pages TO other"
	wait_until 5 text_is other public/pages/1.json '{"id":1,"n":4}'
}

@test "REVOKE of a role that the role is a member of" {
	sql "CREATE ROLE team_$BATS_TEST_NUMBER; GRANT team_$BATS_TEST_NUMBER TO other; REVOKE SELECT ON pages FROM other;
		GRANT SELECT ON pages TO team_$BATS_TEST_NUMBER"
	three_mounts
	wait_until 10 holds_copy
	sql "REVOKE team_$BATS_TEST_NUMBER FROM other"
	wait_until 5 denied other public/pages/1.json
	assert_equal "$(value owner public/pages/1.json n)" 0
	denied other public/pages/1.json
	sql "DROP OWNED BY team_$BATS_TEST_NUMBER; DROP ROLE team_$BATS_TEST_NUMBER"
}

@test "ENABLE ROW LEVEL SECURITY: each role sees its own rows, and no copy of the other's" {
	sql "ALTER TABLE pages ADD COLUMN who text; UPDATE pages SET who = CASE WHEN id % 2 = 0 THEN 'reader' ELSE 'other' END"
	three_mounts
	wait_until 10 holds_copy
	sql "BEGIN; CREATE POLICY own ON pages USING (who = current_user);
		ALTER TABLE pages ENABLE ROW LEVEL SECURITY; COMMIT"
	wait_until 5 denied reader public/pages/1.json
	wait_until 5 denied other public/pages/2.json
	for _ in 1 2 3; do
		assert_equal "$(ls "$HARNESS/reader/public/pages" | paste -sd ' ')" "2.json 4.json 6.json 8.json"
		assert_equal "$(ls "$HARNESS/other/public/pages" | paste -sd ' ')" "1.json 3.json 5.json 7.json"
		for id in 1 3 5 7; do
			denied reader "public/pages/$id.json"
			assert_equal "$(value other "public/pages/$id.json" who)" other
			assert_equal "$(value owner "public/pages/$id.json" who)" other
		done
		for id in 2 4 6 8; do
			denied other "public/pages/$id.json"
			assert_equal "$(value reader "public/pages/$id.json" who)" reader
		done
	done
	# A row changes hands.
	sql "UPDATE pages SET who = 'other' WHERE id = 2"
	seen_by public/pages/2.json who other other
	wait_until 2 denied reader public/pages/2.json
	# The policy goes, and with it the difference.
	sql "ALTER TABLE pages DISABLE ROW LEVEL SECURITY"
	wait_until 5 text_is reader public/pages/1.json '{"id":1,"n":0,"who":"other"}'
}

@test "row security from the start: two roles, one Redis, none of the other's rows" {
	sql "ALTER TABLE pages ADD COLUMN who text; UPDATE pages SET who = CASE WHEN id % 2 = 0 THEN 'reader' ELSE 'other' END;
		CREATE POLICY own ON pages USING (who = current_user); ALTER TABLE pages ENABLE ROW LEVEL SECURITY"
	feed_mount owner
	mount_as reader reader
	mount_as other other
	for _ in 1 2 3; do
		cat "$HARNESS"/owner/public/pages/*.json >/dev/null
		assert_equal "$(cat "$HARNESS"/reader/public/pages/*.json | jq -r .id | paste -sd ' ')" "2 4 6 8"
		assert_equal "$(cat "$HARNESS"/other/public/pages/*.json | jq -r .id | paste -sd ' ')" "1 3 5 7"
		denied reader public/pages/1.json
		denied other public/pages/2.json
	done
	# The owner's mount, which sees all, may share them with its like; these two neither fill nor ask.
	assert_equal "$(feed_get reader cache_fills) $(feed_get other cache_fills)" "0 0"
	assert_equal "$(feed_get reader cache_hits) $(feed_get other cache_hits)" "0 0"
}

@test "a role that may see some columns only is shown those, and no copy of the others" {
	sql "ALTER TABLE pages ADD COLUMN secret text DEFAULT 'hidden';
		REVOKE SELECT ON pages FROM other; GRANT SELECT (id, n) ON pages TO other"
	three_mounts
	wait_until 10 holds_copy
	for _ in 1 2 3; do
		text_is other public/pages/1.json '{"id":1,"n":0}'
		text_is owner public/pages/1.json '{"id":1,"n":0,"secret":"hidden"}'
		text_is reader public/pages/1.json '{"id":1,"n":0,"secret":"hidden"}'
	done
	sql "UPDATE pages SET n = 8, secret = 'other' WHERE id = 1"
	seen_by public/pages/1.json n 8 other owner reader
	text_is other public/pages/1.json '{"id":1,"n":8}'
	# One more column is taken away from a role that had all.
	sql "REVOKE SELECT ON pages FROM reader; GRANT SELECT (id, n) ON pages TO reader"
	wait_until 5 text_is reader public/pages/1.json '{"id":1,"n":8}'
	for _ in 1 2 3; do
		text_is owner public/pages/1.json '{"id":1,"n":8,"secret":"other"}'
		text_is reader public/pages/1.json '{"id":1,"n":8}'
	done
}
