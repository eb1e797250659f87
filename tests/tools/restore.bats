# A table that was changed is, after a restore from a backup, what it was, to the byte.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE things (kind text, number int, name text NOT NULL, price numeric(20,4), made timestamptz,
			tags text[] NOT NULL DEFAULT '{}', more jsonb, bytes bytea, note text, PRIMARY KEY (kind, number));
		INSERT INTO things SELECT 'a/b', i, 'thing ' || i, i * 1234567.8901, timestamptz '2024-02-29 12:00:00.5+01' + i * interval '1 h',
			CASE WHEN i % 3 > 0 THEN ARRAY['x', NULL, i::text] ELSE '{}' END, jsonb_build_object('i', i, 'list', '[1, null]'::jsonb),
			decode(md5(i::text), 'hex'), CASE i % 4 WHEN 0 THEN '' WHEN 1 THEN E'two\nlines, \"quoted\" \\\\ é' END
		FROM generate_series(1, 60) i"
	mount_rowfs mnt consistency=strong
	THINGS=$MNT/public/things BACKUP=$BATS_TEST_TMPDIR/backup
	database_rows >"$BATS_TEST_TMPDIR/before"
}

teardown() {
	mounts_end
}

# Some rows are changed, among them one to a text of the same length, some are gone, some are new.
change_the_table() {
	sql "UPDATE things SET name = 'gniht ' || number WHERE number % 7 = 0;
		UPDATE things SET note = NULL, price = -price, tags = '{}', more = 'null' WHERE number % 11 = 0;
		DELETE FROM things WHERE number % 13 = 0;
		INSERT INTO things (kind, number, name) VALUES ('new', 1, 'not in the backup'), ('a/b', 1000, 'nor this')"
}

# As tools that remove a file before they write it anew have it in mind: one UPDATE of each row.
with_grace() {
	unmount_rowfs
	mount_rowfs mnt consistency=strong,delete_grace=200
}

restore_by_tar() {
	mkdir "$BACKUP"
	tar -C "$THINGS" -cf "$BATS_TEST_TMPDIR/things.tar" .
	tar -C "$BACKUP" -xf "$BATS_TEST_TMPDIR/things.tar"
	change_the_table
	rm "$THINGS/new,1.json" "$THINGS/a%2Fb,1000.json"
	tar -C "$THINGS" -xf "$BATS_TEST_TMPDIR/things.tar"
	assert_restored
}

restore_by_git() {
	export GIT_DIR=$BATS_TEST_TMPDIR/git GIT_WORK_TREE=$THINGS HOME=$BATS_TEST_TMPDIR
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
	cd "$THINGS"
	git init -q
	git add -A
	git commit -qm "the table"
	mkdir "$BACKUP"
	cp ./*.json "$BACKUP/"
	change_the_table
	assert_equal "$(git status --porcelain | cut -c 1-2 | sort | uniq -c | xargs)" "4 D 13 M 2 ??"
	git checkout -qf -- .
	git clean -fdq
	assert_equal "$(git status --porcelain)" ""
	cd /
	assert_restored
}

assert_restored() {
	sync "$THINGS" # what waits to be deleted is
	assert_equal "$(rows_changed "$BATS_TEST_TMPDIR/before")" ""
	same_trees "$BACKUP" "$THINGS"
	assert_equal "$(cat "$MNT/.rowfs/errors")" ""
}

@test "rsync -a --delete restores a table that was changed, by UPDATEs of what differs" {
	rsync -a "$THINGS/" "$BACKUP/"
	change_the_table
	mark=$(log_mark)
	rsync -a --delete "$BACKUP/" "$THINGS/"
	assert_restored
	assert_equal "$(writes_since "$mark" | tr ' ' '\n' | sort | uniq -c | xargs)" "2 DELETE 4 INSERT 13 UPDATE"
}

@test "tar x restores what was changed and what is gone" {
	restore_by_tar
}

@test "tar x restores with delete_grace=200, too" {
	with_grace
	restore_by_tar
}

@test "tar x --overwrite does so without removing a row" {
	mkdir "$BACKUP"
	tar -C "$THINGS" -cf "$BATS_TEST_TMPDIR/things.tar" .
	tar -C "$BACKUP" -xf "$BATS_TEST_TMPDIR/things.tar"
	change_the_table
	rm "$THINGS/new,1.json" "$THINGS/a%2Fb,1000.json"
	mark=$(log_mark)
	tar -C "$THINGS" --overwrite -xf "$BATS_TEST_TMPDIR/things.tar"
	assert_restored
	assert_equal "$(writes_since "$mark" | grep -c DELETE)" 0
}

@test "git checkout and git clean restore a table" {
	restore_by_git
}

@test "git checkout and git clean restore with delete_grace=200, too" {
	with_grace
	restore_by_git
}
