# delete_grace: rm, and a new file of the name (mv from outside, tar x, git checkout), are one UPDATE; and rm alone is a
# DELETE, whatever happens until it is made.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

# Every change that is committed leaves a line in `changes`; what is tried and taken back leaves none.
setup() {
	database_new
	sql "CREATE TABLE notes (id int PRIMARY KEY, a text, b text);
		INSERT INTO notes SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 9) i;
		CREATE TABLE refs (id int PRIMARY KEY, note int REFERENCES notes DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO refs VALUES (1, 9);
		CREATE TABLE changes (verb text, id int);
		CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
			INSERT INTO changes VALUES (TG_OP, coalesce(old.id, new.id)); RETURN NULL; END \$\$;
		CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON notes
			FOR EACH ROW EXECUTE FUNCTION note_change()"
}

teardown() {
	mounts_end
}

# mount_grace MS
mount_grace() {
	mount_rowfs mnt "delete_grace=$1"
	NOTES=$MNT/public/notes
}

# No test lasts so long.
mount_long() {
	mount_grace 600000
}

note() {
	sql "SELECT a, b FROM notes WHERE id = $1"
}

changes() {
	sql "SELECT verb, id FROM changes ORDER BY ctid" | paste -sd ' '
}

waiting() {
	sed -n 's/^names_removed: //p' "$MNT/.rowfs/status"
}

recreated() {
	sed -n 's/^names_recreated: //p' "$MNT/.rowfs/status"
}

is_gone() {
	[[ -z $(note "$1") ]]
}

is_there() {
	[[ -f $NOTES/$1.json ]]
}

# As if the grace were over now: whatever may be deleted is.
end_grace() {
	sync "$NOTES"
}

# Removed and created anew

@test "mv from outside over a row is one UPDATE" {
	mount_long
	sed 's/"a1"/"A1"/' "$NOTES/1.json" >"$BATS_TEST_TMPDIR/1.json"
	mv -f "$BATS_TEST_TMPDIR/1.json" "$NOTES/1.json"
	assert_equal "$(note 1)" 'A1|b1'
	assert_equal "$(changes)" 'UPDATE|1'
	assert_equal "$(waiting) $(recreated)" '0 0'
	assert_contains "$(cat "$NOTES/1.json")" '"A1"'
}

@test "tar x over a table is one UPDATE for each row that differs" {
	sql "DELETE FROM refs"
	mount_long
	tar -C "$NOTES" -cf "$BATS_TEST_TMPDIR/notes.tar" .
	sql "UPDATE notes SET b = 'lost' WHERE id IN (2, 3); TRUNCATE changes"
	tar -C "$NOTES" -xf "$BATS_TEST_TMPDIR/notes.tar"
	assert_equal "$(changes)" 'UPDATE|2 UPDATE|3'
	assert_equal "$(sql "SELECT count(*) FROM notes WHERE a = 'a' || id AND b = 'b' || id")" 9
	assert_equal "$(waiting) $(recreated)" '0 0'
}

@test "git checkout of an earlier state is one UPDATE for each row that differs" {
	sql "DELETE FROM refs"
	mount_long
	export GIT_DIR=$BATS_TEST_TMPDIR/git GIT_WORK_TREE=$NOTES GIT_CONFIG_GLOBAL=/dev/null
	export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
	git -c safe.directory='*' init -q
	git add -A
	git commit -qm first
	sql "UPDATE notes SET b = 'later' WHERE id IN (4, 5); TRUNCATE changes"
	seen() { [[ $(git status --porcelain | wc -l) == 2 ]]; }
	wait_until 5 seen
	git checkout -q -f HEAD -- .
	assert_equal "$(changes)" 'UPDATE|4 UPDATE|5'
	assert_equal "$(sql "SELECT count(*) FROM notes WHERE b = 'b' || id")" 9
	assert_equal "$(git status --porcelain)" ""
}

@test "columns that the new text does not name stay as they were, and the same text changes nothing" {
	mount_long
	cp "$NOTES/2.json" "$BATS_TEST_TMPDIR/2.json"
	rm "$NOTES/1.json" "$NOTES/2.json"
	echo '{"a": "only"}' >"$NOTES/1.json"
	cp "$BATS_TEST_TMPDIR/2.json" "$NOTES/2.json"
	assert_equal "$(note 1)" 'only|b1'
	assert_equal "$(changes)" 'UPDATE|1'
	assert_equal "$(waiting) $(recreated)" '0 0'
	cmp "$BATS_TEST_TMPDIR/2.json" "$NOTES/2.json"
}

@test "a text that is refused undoes the rm, whoever made the file, and however the text comes" {
	mount_long
	rm "$NOTES/1.json" "$NOTES/2.json"
	touch "$NOTES/1.json"
	fails_with "Invalid argument" tee "$NOTES/1.json" <<<'{"nothing": 1}'
	echo '{"nothing": 1}' >"$NOTES/.tmp"
	fails_with "Input/output error" mv "$NOTES/.tmp" "$NOTES/2.json"
	assert_equal "$(waiting) $(recreated)" '0 0'
	assert_contains "$(cat "$NOTES/1.json")$(cat "$NOTES/2.json")" '"a1"'
	end_grace
	assert_equal "$(note 1) $(note 2)" 'a1|b1 a2|b2'
}

@test "an open file without content that is renamed to a removed name makes the row anew" {
	mount_long
	python3 - "$NOTES" <<-'END'
		import os, sys
		os.unlink(sys.argv[1] + "/1.json")
		f = os.open(sys.argv[1] + "/77.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
		os.rename(sys.argv[1] + "/77.json", sys.argv[1] + "/1.json")
		os.write(f, b'{"a": "A1"}')
		os.close(f)
	END
	assert_equal "$(note 1)" 'A1|b1'
	assert_equal "$(changes)" 'UPDATE|1'
}

@test "a removed name is created with O_EXCL, and what is then removed again is a row that waits" {
	mount_long
	python3 - "$NOTES/1.json" <<-'END'
		import os, sys
		os.unlink(sys.argv[1])
		f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
		assert os.fstat(f).st_size == 0
		assert os.stat(sys.argv[1]).st_size == 0
		assert os.listdir(os.path.dirname(sys.argv[1])).count("1.json") == 1
		os.unlink(sys.argv[1])
		assert not os.path.exists(sys.argv[1])
		os.write(f, b'{"a": "nobody"}')
		os.close(f)
		f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
		os.write(f, b'{"a": "second"}')
		os.close(f)
	END
	assert_equal "$(note 1)" 'second|b1'
	assert_equal "$(changes)" 'UPDATE|1'
}

@test "a temporary file that is renamed to a removed row is an UPDATE, and so is another row" {
	mount_long
	rm "$NOTES/1.json" "$NOTES/2.json"
	echo '{"a": "temporary"}' >"$NOTES/.tmp"
	mv -n "$NOTES/.tmp" "$NOTES/1.json"
	assert_equal "$(note 1)" 'temporary|b1'
	mv -n "$NOTES/3.json" "$NOTES/2.json"
	assert_equal "$(note 2)" 'a3|b3'
	is_gone 3
	assert_equal "$(waiting) $(recreated)" '0 0'
	# The source of a mv goes in its statement, as without a grace.
	assert_equal "$(sql "SELECT string_agg(verb || id, ' ' ORDER BY verb, id) FROM changes")" 'DELETE3 UPDATE1 UPDATE2'
}

@test "a file without content that is renamed to a removed row is its successor" {
	mount_long
	rm "$NOTES/1.json"
	touch "$NOTES/100.json"
	mv "$NOTES/100.json" "$NOTES/1.json"
	assert_equal "$(recreated)" 1
	echo '{"a": "filled"}' >"$NOTES/1.json"
	assert_equal "$(note 1)" 'filled|b1'
	assert_equal "$(changes)" 'UPDATE|1'
}

@test "a refused text leaves the row, and is kept" {
	mount_long
	rm "$NOTES/1.json"
	fails_with "Invalid argument" tee "$NOTES/1.json" <<<'{"nonsense": 1}'
	assert_equal "$(note 1)" 'a1|b1'
	assert_contains "$(cat "$NOTES/1.json")" '"a1"'
	assert_contains "$(cat "$MNT/.rowfs/rejected/"*)" nonsense
	assert_equal "$(changes)" ''
	assert_equal "$(waiting) $(recreated)" '0 0'
}

@test "a column that others change in the grace is a conflict, another one is not" {
	mount_long
	rm "$NOTES/1.json" "$NOTES/2.json"
	sql "UPDATE notes SET b = 'theirs' WHERE id IN (1, 2)"
	fails_with "Stale" tee "$NOTES/1.json" <<<'{"b": "mine"}'
	echo '{"a": "mine"}' >"$NOTES/2.json"
	assert_equal "$(note 1)" 'a1|theirs'
	assert_equal "$(note 2)" 'mine|theirs'
}

# Removed

@test "a removed row is not there, and is deleted when the grace is over" {
	mount_grace 300
	rm "$NOTES/1.json"
	[[ ! -e $NOTES/1.json ]]
	assert_equal "$(ls "$NOTES" | wc -l)" 8
	fails_with "No such file" rm "$NOTES/1.json"
	fails_with "No such file" mv "$NOTES/1.json" "$NOTES/2.json"
	wait_until 10 is_gone 1
	wait_until 10 test "$(waiting)" = 0
	assert_equal "$(changes)" 'DELETE|1'
	assert_equal "$(cat "$MNT/.rowfs/errors")" ""
	echo '{"a": "anew"}' >"$NOTES/1.json"
	assert_equal "$(note 1)" 'anew|'
	assert_equal "$(changes)" 'DELETE|1 INSERT|1'
}

@test "until then it is there for others, and no lock is held" {
	mount_long
	rm "$NOTES/1.json"
	assert_equal "$(note 1)" 'a1|b1'
	assert_equal "$(waiting)" 1
	sql "SET lock_timeout = 1; SELECT FROM notes WHERE id = 1 FOR UPDATE" >/dev/null
	assert_equal "$(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")" 0
}

@test "what the database would refuse is told to rm at once" {
	mount_long
	fails_with "Operation not permitted" rm "$NOTES/9.json"
	assert_contains "$(last_error)" 'violates foreign key constraint'
	sql "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER keep BEFORE DELETE ON notes FOR EACH ROW WHEN (old.id = 8) EXECUTE FUNCTION keep()"
	fails_with "Operation not permitted" rm "$NOTES/8.json"
	assert_contains "$(last_error)" 'a trigger or rule refused it'
	sql "DELETE FROM notes WHERE id = 7"
	fails_with "No such file" rm "$NOTES/7.json"
	sql "CREATE ROLE $PGDATABASE LOGIN; GRANT SELECT, INSERT, UPDATE ON notes TO $PGDATABASE"
	mount_rowfs poor delete_grace=600000 "$(source_string | sed "s/user=[^ ]*/user=$PGDATABASE/")"
	fails_with "Permission denied" rm -f "$MNT/public/notes/6.json"
	MNT=$HARNESS/mnt
	assert_equal "$(waiting)" 0
	assert_equal "$(ls "$NOTES" | wc -l)" 8
	assert_equal "$(sql "SELECT count(*) FROM notes")" 8
}

@test "a row that others change or need in the grace shows again, with the reason" {
	mount_long
	rm "$NOTES"/[1-3].json
	sql "UPDATE notes SET b = 'theirs' WHERE id = 1; INSERT INTO refs VALUES (2, 2); DELETE FROM notes WHERE id = 3;
		TRUNCATE changes"
	[[ ! -e $NOTES/1.json ]]
	fails_with "Input/output error" end_grace
	assert_contains "$(cat "$NOTES/1.json")" theirs
	assert_contains "$(cat "$NOTES/2.json")" '"a2"'
	# That others have deleted it is no failure.
	[[ ! -e $NOTES/3.json ]]
	assert_equal "$(wc -l <"$MNT/.rowfs/errors")" 2
	assert_contains "$(head -n 1 "$MNT/.rowfs/errors")" '"path": "public/notes/1.json", "errno": "ESTALE"'
	assert_contains "$(last_error)" 'public/notes/2.json: EPERM: '
	assert_contains "$(last_error)" 'violates foreign key constraint'
	assert_equal "$(changes)" ''
	assert_equal "$(ls "$NOTES" | wc -l)" 8
}

@test "an unmount in the grace deletes" {
	mount_long
	rm "$NOTES"/[1-5].json
	touch "$NOTES/1.json"
	echo '{"a": "kept"}' >"$NOTES/2.json"
	unmount_rowfs
	assert_equal "$(sql "SELECT string_agg(id || a, ' ' ORDER BY id) FROM notes")" '2kept 6a6 7a7 8a8 9a9'
}

@test "a kill in the grace leaves the row" {
	mount_long
	rm "$NOTES/1.json"
	kill -KILL "$(rowfs_pid)"
	wait_until 10 test -s "$HARNESS/mounts/mnt.exit"
	unmount "$MNT"
	rm -f "$HARNESS/mounts/mnt".*
	assert_equal "$(note 1)" 'a1|b1'
	mount_long
	is_there 1
}

@test "fsync of the directory deletes what waits" {
	mount_long
	rm "$NOTES/1.json" "$NOTES/2.json" "$NOTES/3.json"
	end_grace
	assert_equal "$(changes)" 'DELETE|1 DELETE|2 DELETE|3'
}

@test "a new file without content lets the row go, not before its handles are closed" {
	mount_long
	rm "$NOTES"/[1-4].json
	exec 5>"$NOTES/1.json"       # made, and open
	: >"$NOTES/2.json"
	exec 6>"$NOTES/2.json"       # made, and opened by another handle
	exec 7>"$NOTES/3.json"
	rm "$NOTES/3.json"           # made, and removed again: open, but nobody's
	echo '{"a": "nobody"}' >&7
	end_grace
	assert_equal "$(changes)" 'DELETE|3 DELETE|4'
	assert_equal "$(recreated)" 2
	echo '{"a": "late"}' >&6
	exec 5>&- 6>&- 7>&-
	assert_equal "$(note 2)" 'late|b2'
	end_grace
	# The empty file is a new row's now.
	assert_equal "$(stat -c %s "$NOTES/1.json")" 0
	echo '{"a": "anew"}' >"$NOTES/1.json"
	assert_equal "$(changes)" 'DELETE|3 DELETE|4 UPDATE|2 DELETE|1 INSERT|1'
	assert_equal "$(cat "$MNT/.rowfs/errors")" ""
}

@test "a rename to a removed row that takes longer than the grace is an UPDATE, too" {
	sql "CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN PERFORM pg_sleep(1); RETURN new; END';
		CREATE TRIGGER take_long BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION take_long()"
	mount_long
	echo '{"a": "temporary"}' >"$NOTES/.tmp"
	rm "$NOTES/1.json"
	mv "$NOTES/.tmp" "$NOTES/1.json" 3>&- &
	saving() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1 ]]; }
	wait_until 10 saving
	end_grace
	wait $!
	assert_equal "$(note 1)" 'temporary|b1'
	assert_equal "$(changes)" 'UPDATE|1'
	assert_equal "$(cat "$MNT/.rowfs/errors")" ""
}

@test "a handle that is open on the row when it is removed saves what is refused or seen" {
	mount_long
	python3 - "$NOTES" <<-'END'
		import os, sys
		f = os.open(sys.argv[1] + "/1.json", os.O_RDWR)
		text = os.pread(f, 4096, 0)
		reader = os.open(sys.argv[1] + "/2.json", os.O_RDONLY)
		os.unlink(sys.argv[1] + "/1.json")
		path = os.open(sys.argv[1] + "/3.json", os.O_PATH)
		os.unlink(sys.argv[1] + "/2.json")
		os.unlink(sys.argv[1] + "/3.json")
		try:
		    os.open(f"/proc/self/fd/{path}", os.O_RDONLY)
		    assert False, "it was opened"
		except FileNotFoundError:
		    pass
		os.pwrite(f, text.replace(b'"a1"', b'"A1"'), 0)
		os.close(f)
		assert b'"a2"' in os.pread(reader, 4096, 0)
		assert os.fstat(reader).st_size == len(text)
		os.close(reader)
	END
	fails_with "Input/output error" end_grace
	assert_contains "$(cat "$NOTES/1.json")" '"A1"'
	assert_contains "$(last_error)" ESTALE
	assert_equal "$(sql "SELECT verb, id FROM changes ORDER BY id" | paste -sd ' ')" 'UPDATE|1 DELETE|2 DELETE|3'
}

@test "a handle of the row that was removed has no part in the file that is made in its place" {
	mount_long
	python3 - "$NOTES" <<-'END'
		import os, sys
		row, aside = sys.argv[1] + "/1.json", sys.argv[1] + "/1.aside"
		f = os.open(row, os.O_RDWR)
		os.pwrite(f, b"what is left of it", 0)
		os.unlink(row)
		new = os.open(row, os.O_RDWR | os.O_CREAT | os.O_EXCL)
		os.write(new, b'{"a": ')
		os.rename(row, aside)
		os.write(new, b'"new"}')
		assert open(aside, "rb").read() == b'{"a": "new"}'
		assert os.pread(f, 4, 0) == b"what"
		os.rename(aside, row)
		os.close(new)
		try:
		    os.close(f)
		except OSError:
		    pass
	END
	assert_equal "$(note 1)" 'new|b1'
	assert_equal "$(waiting) $(recreated)" '0 0'
}

# ROWFS_GRACE_ROWS=10000 for more.
@test "removing a whole table's rows ends with all of them deleted" {
	sql "INSERT INTO notes SELECT i, 'a', 'b' FROM generate_series(10, ${ROWFS_GRACE_ROWS:-2000}) i; TRUNCATE refs"
	mount_grace 200
	find "$NOTES" -name '*.json' -delete
	assert_equal "$(ls "$NOTES")" ""
	emptied() { [[ $(sql "SELECT count(*) FROM notes") == 0 ]]; }
	wait_until 60 emptied
	assert_equal "$(ls "$NOTES")" ""
	assert_equal "$(cat "$MNT/.rowfs/errors")" ""
}

@test "without the option rm is a DELETE at once" {
	mount_rowfs
	NOTES=$MNT/public/notes
	mark=$(log_mark)
	rm "$NOTES/1.json"
	assert_writes "$mark" DELETE
	is_gone 1
	lacks "BEGIN; SET CONSTRAINTS" <(statements_since "$mark")
}
