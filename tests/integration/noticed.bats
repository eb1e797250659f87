# What others do to the schema is seen soon. Alone, since soon is a time.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

teardown() {
	mounts_end
}

@test "new tables, new columns, dropped tables and changed grants appear within two seconds" {
	# A sanitized program on a busy machine gets more time.
	soon=$([[ -n ${ROWFS_SANITIZED:-} ]] && echo 6 || echo 2)
	database_new
	sql "CREATE TABLE pages (id int PRIMARY KEY, body text)"
	mount_rowfs
	[[ ! -e $MNT/public/notes ]]
	sql "CREATE TABLE notes (id int PRIMARY KEY, text text); INSERT INTO notes VALUES (1, 'here')"
	wait_until "$soon" test -e "$MNT/public/notes/1.json"
	sql "ALTER TABLE notes ADD COLUMN author text NOT NULL DEFAULT 'ada'"
	wait_until "$soon" grep -q '"author": "ada"' "$MNT/public/notes/1.json"
	sql 'ALTER TABLE notes RENAME COLUMN text TO words'
	wait_until "$soon" grep -q '"words": "here"' "$MNT/public/notes/1.json"
	sql 'DROP TABLE notes'
	gone() { [[ ! -e $MNT/public/notes && $(ls "$MNT/public") == pages ]]; }
	wait_until "$soon" gone
	sql 'CREATE SCHEMA more; CREATE TABLE more.rows (id int PRIMARY KEY)'
	wait_until "$soon" test -d "$MNT/more/rows"
}
