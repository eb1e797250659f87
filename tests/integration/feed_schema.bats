# DDL under two mounts that hear a feed: what they show follows it.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	pages_new
}

teardown() {
	feed_teardown
}

two_mounts() {
	feed_mount a
	feed_mount b
	cat "$HARNESS"/{a,b}/public/*/*.json >/dev/null
}

# The catalog is looked at every second, so what DDL changes is seen after that and the bound.
follows() {
	wait_until 5 "$@" || {
		echo "not after 5 s: $* (${FOUND:-})" >&2
		return 1
	}
}

# both COMMAND NAME…: on a and on b
on_both() {
	follows "$1" a "${@:2}" && follows "$1" b "${@:2}"
}

text_is() {
	FOUND=$(jq -c . "$HARNESS/$1/$2" 2>&1)
	[[ $FOUND == "$3" ]]
}

listing_is() {
	[[ $(ls "$HARNESS/$1/$2" 2>/dev/null | paste -sd ' ') == "$3" ]]
}

is_absent() {
	[[ ! -e $HARNESS/$1/$2 ]]
}

@test "ALTER TABLE ADD COLUMN DEFAULT: every row shows the column, though no row was changed" {
	two_mounts
	sql "ALTER TABLE pages ADD COLUMN color text DEFAULT 'red'"
	for id in $(seq 8); do on_both text_is "public/pages/$id.json" "{\"id\":$id,\"n\":0,\"color\":\"red\"}"; done
	sql "UPDATE pages SET color = 'blue' WHERE id = 3"
	seen_by public/pages/3.json color blue a b
	sql "ALTER TABLE pages DROP COLUMN color"
	on_both text_is public/pages/3.json '{"id":3,"n":0}'
	sql "UPDATE pages SET n = 9 WHERE id = 3"
	seen_by public/pages/3.json n 9 a b
}

@test "a column's type is changed, which writes the table anew" {
	two_mounts
	sql "ALTER TABLE pages ALTER COLUMN n TYPE text USING 'is ' || n"
	on_both text_is public/pages/5.json '{"id":5,"n":"is 0"}'
	sql "UPDATE pages SET n = 'other' WHERE id = 5"
	seen_by public/pages/5.json n other a b
}

@test "a column and a table are renamed" {
	two_mounts
	sql "ALTER TABLE pages RENAME COLUMN n TO number"
	on_both text_is public/pages/1.json '{"id":1,"number":0}'
	sql "ALTER TABLE pages RENAME TO leaves"
	on_both text_is public/leaves/1.json '{"id":1,"number":0}'
	on_both is_absent public/pages
	sql "UPDATE leaves SET number = 4 WHERE id = 1"
	seen_by public/leaves/1.json number 4 a b
	sql "ALTER SCHEMA public RENAME TO library"
	on_both text_is library/leaves/1.json '{"id":1,"number":4}'
	sql "UPDATE library.leaves SET number = 5 WHERE id = 1"
	seen_by library/leaves/1.json number 5 a b
}

@test "a table is dropped, and another made under the same name: none of the old rows is shown" {
	two_mounts
	sql "BEGIN; DROP TABLE pages; CREATE TABLE pages (id int PRIMARY KEY, n int);
		INSERT INTO pages VALUES (1, 1000), (9, 1009); COMMIT"
	on_both text_is public/pages/1.json '{"id":1,"n":1000}'
	on_both listing_is public/pages "1.json 9.json"
	on_both is_absent public/pages/2.json
	feed_live a b
	sql "UPDATE pages SET n = 1001 WHERE id = 1; DELETE FROM pages WHERE id = 9"
	seen_by public/pages/1.json n 1001 a b
	on_both listing_is public/pages "1.json"
}

@test "two tables change names" {
	sql "CREATE TABLE other (id int PRIMARY KEY, n int); INSERT INTO other SELECT id, 500 + id FROM pages"
	two_mounts
	sql "BEGIN; ALTER TABLE pages RENAME TO aside; ALTER TABLE other RENAME TO pages;
		ALTER TABLE aside RENAME TO other; COMMIT"
	for id in 1 8; do
		on_both text_is "public/pages/$id.json" "{\"id\":$id,\"n\":$((500 + id))}"
		on_both text_is "public/other/$id.json" "{\"id\":$id,\"n\":0}"
	done
	sql "UPDATE pages SET n = 1; UPDATE other SET n = 2"
	seen_by public/pages/8.json n 1 a b
	seen_by public/other/8.json n 2 a b
}

@test "tables come and go while mounts have a feed: a new one is captured, too" {
	two_mounts
	for i in 1 2 3; do
		sql "CREATE TABLE new$i (id int PRIMARY KEY, n int); INSERT INTO new$i VALUES (1, 0)"
		on_both text_is "public/new$i/1.json" '{"id":1,"n":0}'
		sql "UPDATE new$i SET n = 5"
		seen_by "public/new$i/1.json" n 5 a b
	done
	sql "DROP TABLE new2"
	on_both is_absent public/new2
	captured() { feed_says "$(feed_leader a b)" worker_tables "3 wal"; }
	wait_until "$PATIENCE" captured
	sql "UPDATE new3 SET n = 6"
	seen_by public/new3/1.json n 6 a b
}

@test "the key is changed: the old name goes, the new one comes" {
	two_mounts
	sql "ALTER TABLE pages ADD COLUMN name text; UPDATE pages SET name = 'page ' || id"
	sql "ALTER TABLE pages DROP CONSTRAINT pages_pkey, ADD PRIMARY KEY (name)"
	on_both text_is "public/pages/page 3.json" '{"id":3,"n":0,"name":"page 3"}'
	sql "UPDATE pages SET n = 33 WHERE name = 'page 3'"
	seen_by "public/pages/page 3.json" n 33 a b
}

partitioned() {
	sql "CREATE TABLE parts (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
		CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (100);
		CREATE TABLE high PARTITION OF parts FOR VALUES FROM (100) TO (200);
		INSERT INTO parts SELECT i, 0 FROM unnest(ARRAY[1, 2, 101, 102]) i"
}

@test "rows of a partitioned table change, through the root, in the partition, and from one to the other" {
	partitioned
	two_mounts
	sql "UPDATE parts SET n = 1 WHERE id = 1"
	seen_by public/parts/1.json n 1 a b
	sql "UPDATE low SET n = 2 WHERE id = 1"
	seen_by public/parts/1.json n 2 a b
	sql "UPDATE parts SET id = 150 WHERE id = 2"
	seen_by public/parts/150.json n 0 a b
	on_both is_absent public/parts/2.json
	on_both listing_is public/parts "1.json 101.json 102.json 150.json"
}

@test "ATTACH and DETACH PARTITION: the rows come and go" {
	partitioned
	two_mounts
	sql "CREATE TABLE more (id int PRIMARY KEY, n int); INSERT INTO more VALUES (201, 0), (202, 0);
		ALTER TABLE parts ATTACH PARTITION more FOR VALUES FROM (200) TO (300)"
	on_both text_is public/parts/201.json '{"id":201,"n":0}'
	on_both listing_is public/parts "1.json 101.json 102.json 2.json 201.json 202.json"
	sql "UPDATE parts SET n = 7 WHERE id = 201"
	seen_by public/parts/201.json n 7 a b
	sql "ALTER TABLE parts DETACH PARTITION high"
	on_both is_absent public/parts/101.json
	on_both listing_is public/parts "1.json 2.json 201.json 202.json"
	sql "UPDATE high SET n = 8 WHERE id = 101"
	on_both text_is public/high/101.json '{"id":101,"n":8}'
	sql "ALTER TABLE parts ATTACH PARTITION high FOR VALUES FROM (100) TO (200)"
	on_both text_is public/parts/101.json '{"id":101,"n":8}'
}

@test "TRUNCATE of one partition empties that one" {
	partitioned
	two_mounts
	sql "TRUNCATE high"
	on_both is_absent public/parts/101.json
	on_both listing_is public/parts "1.json 2.json"
	sql "INSERT INTO parts VALUES (101, 55)"
	seen_by public/parts/101.json n 55 a b
	sql "TRUNCATE parts"
	on_both listing_is public/parts ""
}

@test "a table without a primary key: the application's UPDATEs go on working, and mounts show them" {
	sql "CREATE TABLE loose (n int, text text); INSERT INTO loose VALUES (1, 'one'), (2, 'two')"
	two_mounts
	sql "UPDATE loose SET text = 'changed' WHERE n = 2; DELETE FROM loose WHERE n = 1"
	shows() { [[ $(cat "$HARNESS/$1"/public/loose/* 2>/dev/null | jq -c '[.n, .text]') == '[2,"changed"]' ]]; }
	on_both shows
	sql "ALTER TABLE pages DROP CONSTRAINT pages_pkey"
	# Until the worker has taken it out of the publication: the server's rule, and this test's next.
	updates_work() { sql "UPDATE pages SET n = n" 2>/dev/null; }
	follows updates_work
	sql "UPDATE pages SET n = 5; DELETE FROM pages WHERE id = 1; INSERT INTO pages VALUES (20, 20)"
	sql "ALTER TABLE pages ADD PRIMARY KEY (id)"
	on_both text_is public/pages/2.json '{"id":2,"n":5}'
	sql "UPDATE pages SET n = 6 WHERE id = 2"
	seen_by public/pages/2.json n 6 a b
}

@test "the primary key goes while the table is captured: no UPDATE of the application fails for longer than a moment" {
	two_mounts
	sql "ALTER TABLE pages DROP CONSTRAINT pages_pkey"
	updates_work() { sql "UPDATE pages SET n = n + 1" 2>/dev/null; }
	follows updates_work
	sql "UPDATE pages SET n = 90; DELETE FROM pages WHERE id = 2"
	for _ in 1 2 3; do sql "UPDATE pages SET n = n + 1 WHERE id = 1"; done
}

@test "what a type prints changes: a label of an enum is renamed" {
	sql "CREATE TYPE mood AS ENUM ('good', 'bad'); ALTER TABLE pages ADD COLUMN mood mood DEFAULT 'good'"
	two_mounts
	text_is a public/pages/1.json '{"id":1,"n":0,"mood":"good"}'
	sql "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'"
	for id in 1 8; do on_both text_is "public/pages/$id.json" "{\"id\":$id,\"n\":0,\"mood\":\"fine\"}"; done
}
