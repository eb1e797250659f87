# A save that met others' changes is not lost: what was typed, what it was made of and what the row is now are kept, are
# shown, and can be saved after all. So can a text that was refused for another reason.

load ../lib/rowfs
load ../lib/terminal

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE notes (id int PRIMARY KEY, a text, b text, n numeric CHECK (n >= 0));
		INSERT INTO notes SELECT i, 'a' || i, 'b' || i, i FROM generate_series(1, 9) i"
	mount_rowfs mnt consistency=strong
	NOTES=$MNT/public/notes
	KEPT=$MNT/.rowfs
}

teardown() {
	terminals_end
	mounts_end
}

note() {
	sql "SELECT a, b, n FROM notes WHERE id = $1"
}

# meanwhile ID STATEMENT EXPRESSION: one program reads the note, somebody runs the statement, and it saves the row with
# what the Python expression makes of it. Prints the errno's name, or "saved".
meanwhile() {
	python3 - "$NOTES/$1.json" "$2" "$3" 3>&- <<-'PYTHON'
	import errno, json, subprocess, sys
	path, statement, change = sys.argv[1:]
	with open(path) as f:
	    row = json.load(f)
	subprocess.run(["psql", "-XAtqc", statement], check=True, stdout=subprocess.DEVNULL)
	exec(change)
	try:
	    with open(path, "w") as f:
	        f.write(json.dumps(row, indent=2) + "\n")
	    print("saved")
	except OSError as e:
	    print(errno.errorcode[e.errno])
	PYTHON
}

# The newest text there; those beside it have its name and one word more.
newest() {
	find "$KEPT/$1" -name '*.json' | LC_ALL=C sort | tail -n 1
}

kept_files() {
	find "$KEPT/rejected" "$KEPT/conflicts" -type f -printf '%f\n' | sed 's/^[0-9TZ]*-[0-9]*-//' | LC_ALL=C sort | paste -sd ' '
}

@test "a conflict keeps what was typed, what it was made of, and what others have made of it" {
	assert_equal "$(meanwhile 3 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 3" 'row["a"] = "mine"')" ESTALE
	assert_equal "$(note 3)" "theirs|too|3"
	assert_equal "$(kept_files)" \
		"public+notes+3.json public+notes+3.json.base public+notes+3.json.error public+notes+3.json.theirs"
	file=$(newest conflicts)
	assert_equal "$(jq -c . "$file")" '{"id":3,"a":"mine","b":"b3","n":3}'
	assert_equal "$(jq -c . "$file.base")" '{"id":3,"a":"a3","b":"b3","n":3}'
	assert_equal "$(jq -c . "$file.theirs")" '{"id":3,"a":"theirs","b":"too","n":3}'
	assert_equal "$(jq -r '.path, .errno, .field' "$file.error" | paste -sd ' ')" "public/notes/3.json ESTALE a"
	assert_equal "$(jq -r .kept "$file.error")" "${file#"$MNT/"}"
	assert_contains "$(last_error)" "(the text is kept in ${file#"$MNT/"})"
	assert_equal "$(stat -c '%a %U' "$file" "$file.base" "$file.theirs" "$file.error" | sort -u)" "600 root"
}

@test "rowfs diff shows the three, column by column" {
	meanwhile 3 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 3" 'row["a"] = "mine"; row["n"] = 7'
	run "$ROWFS" diff "$(newest conflicts)"
	assert_equal "$status" 0
	assert_contains "$output" 'public/notes/3.json
conflict: column "a" was changed by somebody else meanwhile'
	assert_contains "$output" '  a
    base    "a3"
    theirs  "theirs"
    mine    "mine"
  b
    base    "b3"
    theirs  "too"
  n
    base    3
    mine    7'
	# Any of the files will do; nothing else will.
	assert_equal "$("$ROWFS" diff "$(newest conflicts).base")" "$output"
	fails_with "is not in a mount's .rowfs/rejected or .rowfs/conflicts" "$ROWFS" diff "$NOTES/3.json"
	fails_with "No such file or directory" "$ROWFS" diff "$KEPT/conflicts/none.json"
}

@test "retry makes what was changed to what others have made of the row" {
	meanwhile 3 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 3" 'row["a"] = "mine"'
	mark=$(log_mark)
	assert_equal "$("$ROWFS" retry "$(newest conflicts)")" "public/notes/3.json is saved"
	assert_equal "$(note 3)" "mine|too|3"
	assert_writes "$mark" UPDATE
	assert_equal "$(kept_files)" ""
	assert_equal "$(jq -c . "$NOTES/3.json")" '{"id":3,"a":"mine","b":"too","n":3}'
}

@test "a retry that meets other changes again is refused again, and shows them; the next is made to those" {
	meanwhile 3 "UPDATE notes SET a = 'theirs' WHERE id = 3" 'row["a"] = "mine"'
	file=$(newest conflicts)
	sql "UPDATE notes SET a = 'again', n = 8 WHERE id = 3"
	run "$ROWFS" retry "$file"
	assert_equal "$status" 15
	assert_contains "$output" 'is refused again
conflict: column "a" was changed by somebody else meanwhile'
	assert_equal "$(note 3)" "again|b3|8"
	assert_equal "$(newest conflicts)" "$file"
	assert_equal "$(jq -r .a "$file.theirs" "$file.base" "$file" | paste -sd ' ')" "again a3 mine"
	"$ROWFS" retry "$file"
	assert_equal "$(note 3)" "mine|b3|8"
	assert_equal "$(kept_files)" ""
}

@test "of a row that others have deleted, retry makes a new one" {
	# It is told to who has the file open; under a free name a text is a new row.
	python3 - "$NOTES/4.json" 3>&- <<-'PYTHON'
	import errno, os, subprocess, sys
	handle = os.open(sys.argv[1], os.O_RDWR)
	subprocess.run(["psql", "-XAtqc", "DELETE FROM notes WHERE id = 4"], check=True)
	os.ftruncate(handle, 0)
	try:
	    os.write(handle, b'{"id": 4, "a": "mine", "b": "b4", "n": 4}')
	    sys.exit("was saved")
	except OSError as e:
	    assert e.errno == errno.ESTALE, e
	PYTHON
	file=$(newest conflicts)
	assert_contains "$file" "+4.json"
	assert_equal "$(stat -c %s "$file.theirs")" 0
	assert_contains "$("$ROWFS" diff "$file")" "theirs: the row is deleted"
	"$ROWFS" retry "$file"
	assert_equal "$(note 4)" "mine|b4|4"
}

@test "a text that the database refused is saved by retry once it may be, and takes nothing back" {
	assert_equal "$(meanwhile 5 "SELECT 1" 'row["n"] = -5; row["a"] = "mine"')" EPERM
	file=$(newest rejected)
	assert_contains "$(jq -r .message "$file.error")" "violates check constraint"
	run "$ROWFS" retry "$file"
	assert_equal "$status" 15
	assert_contains "$output" "violates check constraint"
	sql "ALTER TABLE notes DROP CONSTRAINT notes_n_check; UPDATE notes SET b = 'theirs' WHERE id = 5"
	assert_equal "$("$ROWFS" retry "$file")" "public/notes/5.json is saved"
	assert_equal "$(note 5)" "mine|theirs|-5"
	assert_equal "$(kept_files)" ""
	assert_equal "$(grep -c . "$KEPT/errors")" 2
}

@test "a text that was refused can be mended where it is kept" {
	assert_equal "$(meanwhile 5 "SELECT 1" 'row["n"] = -5; row["a"] = "mine"')" EPERM
	file=$(newest rejected)
	sed -i 's/-5/55/' "$file"
	"$ROWFS" retry "$file"
	assert_equal "$(note 5)" "mine|b5|55"
	assert_equal "$(kept_files)" ""
}

@test "a row that could not be inserted: retry inserts it, and overwrites nobody's that came before" {
	fails_with "Operation not permitted" dd of="$NOTES/20.json" status=none <<<'{"a": "mine", "n": -1}'
	fails_with "Operation not permitted" dd of="$NOTES/21.json" status=none <<<'{"a": "mine", "n": -1}'
	sql "ALTER TABLE notes DROP CONSTRAINT notes_n_check; INSERT INTO notes VALUES (21, 'theirs', 'theirs', 1)"
	run "$ROWFS" retry "$KEPT"/rejected/*+20.json "$KEPT"/rejected/*+21.json
	assert_equal "$status" 15
	assert_contains "$output" "public/notes/20.json is saved"
	assert_contains "$output" "duplicate key value"
	assert_equal "$(note 20)" "mine||-1"
	assert_equal "$(note 21)" "theirs|theirs|1"
	assert_equal "$(kept_files)" "public+notes+21.json public+notes+21.json.base public+notes+21.json.error"
}

@test "a text for .new.json is tried again, too" {
	sql "CREATE TABLE log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int CHECK (n > 0))"
	wait_until 10 test -d "$MNT/public/log"
	fails_with "Operation not permitted" dd of="$MNT/public/log/.new.json" status=none <<<'{"n": 0}'
	sql "ALTER TABLE log DROP CONSTRAINT log_n_check"
	assert_equal "$("$ROWFS" retry "$(newest rejected)")" "public/log/.new.json is saved"
	assert_equal "$(sql 'SELECT n FROM log')" 0
	assert_equal "$(kept_files)" ""
}

@test "mv is a retry where the path is the row's, and a plain save of another's" {
	meanwhile 3 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 3" 'row["a"] = "mine"'
	meanwhile 4 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 4" 'row["a"] = "mine"'
	mv "$KEPT"/conflicts/*+3.json "$NOTES/3.json"
	assert_equal "$(note 3)" "mine|too|3"
	sed -i '/"id"/d' "$KEPT"/conflicts/*+4.json
	mv "$KEPT"/conflicts/*+4.json "$NOTES/5.json"
	assert_equal "$(note 5)" "mine|b4|4"
}

@test "what is kept, is kept for the next mount" {
	meanwhile 3 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 3" 'row["a"] = "mine"'
	kill -KILL "$(rowfs_pid)"
	wait_until 10 test -s "$HARNESS/mounts/mnt.exit"
	umount -l "$MNT"
	mount_rowfs mnt consistency=strong
	assert_contains "$("$ROWFS" diff "$(newest conflicts)")" 'theirs  "too"'
	"$ROWFS" retry "$(newest conflicts)"
	assert_equal "$(note 3)" "mine|too|3"
}

as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

@test "texts are their writers': each saves, moves and removes his own" {
	unmount_rowfs
	mount_rowfs mnt consistency=strong,allow_other,umask=000
	for id in 3 4 5; do
		fails_with "Operation not permitted" as_nobody dd of="$NOTES/$id.json" status=none <<<'{"n": -1, "a": "mine"}'
	done
	fails_with "Operation not permitted" dd of="$NOTES/6.json" status=none <<<'{"n": -1}'
	sql "ALTER TABLE notes DROP CONSTRAINT notes_n_check"
	cp "$ROWFS" "$HARNESS/rowfs"
	assert_equal "$(as_nobody "$HARNESS/rowfs" retry "$KEPT"/rejected/*+3.json)" "public/notes/3.json is saved"
	as_nobody mv "$KEPT"/rejected/*+4.json "$NOTES/4.json"
	as_nobody rm "$KEPT"/rejected/*+5.json*
	fails_with "Permission denied" as_nobody "$HARNESS/rowfs" retry "$KEPT"/rejected/*+6.json
	fails_with "not permitted" as_nobody rm -f "$KEPT"/rejected/*+6.json
	assert_equal "$(note 3) $(note 4) $(note 6)" 'mine|b3|-1 mine|b4|-1 a6|b6|6'
	assert_equal "$(kept_files)" "public+notes+6.json public+notes+6.json.base public+notes+6.json.error"
}

@test "a text whose .error names another place is not saved there; what others put beside it does not count" {
	unmount_rowfs
	mount_rowfs mnt consistency=strong,allow_other,umask=000
	fails_with "Operation not permitted" as_nobody dd of="$NOTES/3.json" status=none <<<'{"n": -1, "a": "mine"}'
	file=$(newest rejected)
	cp "$file.error" "$BATS_TEST_TMPDIR/error"
	for path in public/notes/4.json ../../../etc/passwd /etc/passwd public/../public/notes/3.json; do
		jq -c --arg path "$path" '.path = $path' "$BATS_TEST_TMPDIR/error" >"$file.error"
		fails_with "names another row" "$ROWFS" retry "$file"
	done
	cp "$BATS_TEST_TMPDIR/error" "$file.error"
	rm "$file.base"
	fails_with "nobody knows what" "$ROWFS" retry "$file"
	echo '{"id": 3, "a": "a3", "b": "x", "n": 3}' >"$file.base"
	sql "ALTER TABLE notes DROP CONSTRAINT notes_n_check"
	mv "$file" "$NOTES/3.json"
	assert_equal "$(note 3)" 'mine|b3|-1'
	assert_equal "$(kept_files)" ""
}

@test "who comes to terms with what others have made in the kept text can save that" {
	assert_equal "$(meanwhile 3 "UPDATE notes SET a = 'theirs', b = 'too' WHERE id = 3" 'row["a"] = "mine"')" ESTALE
	file=$(newest conflicts)
	sed -i 's/"mine"/"theirs"/' "$file"
	assert_equal "$("$ROWFS" retry "$file")" "public/notes/3.json is saved"
	assert_equal "$(note 3) $(kept_files)" "theirs|too|3 "
}

@test "a large text is kept though it is larger than the bound, also for the next mount" {
	unmount_rowfs
	mount_rowfs mnt consistency=strong,rejected_max=64K
	for id in 3 4; do
		{ printf '{"n": -%d, "a": "' "$id"; head -c 200000 /dev/zero | tr '\0' x; echo '"}'; } >"$BATS_TEST_TMPDIR/$id.json"
		fails_with "Operation not permitted" cp "$BATS_TEST_TMPDIR/$id.json" "$NOTES/$id.json"
	done
	assert_equal "$(find "$KEPT/rejected" -name '*.json' | wc -l)" 1
	unmount_rowfs
	mount_rowfs mnt consistency=strong,rejected_max=64K
	cmp "$BATS_TEST_TMPDIR/4.json" "$(newest rejected)"
}

@test "conflict=fail refuses any change of others, conflict=last none" {
	unmount_rowfs
	mount_rowfs mnt consistency=strong,conflict=fail
	assert_equal "$(meanwhile 3 "UPDATE notes SET b = 'theirs' WHERE id = 3" 'row["a"] = "mine"')" ESTALE
	assert_contains "$(last_error)" 'column "b" was changed by somebody else'
	assert_equal "$(note 3)" "a3|theirs|3"
	assert_equal "$(meanwhile 4 "SELECT 1" 'row["a"] = "mine"')" saved
	unmount_rowfs
	mount_rowfs mnt consistency=strong,conflict=last
	assert_equal "$(meanwhile 5 "UPDATE notes SET a = 'theirs', b = 'theirs' WHERE id = 5" 'row["a"] = "mine"')" saved
	assert_equal "$(note 5)" "mine|theirs|5"
	# Without a base to compare with, what a trigger keeps is noticed all the same.
	sql "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
		CREATE TRIGGER keep BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION keep()"
	assert_equal "$(meanwhile 6 "SELECT 1" 'row["a"] = "mine"')" EPERM
}

@test "jsonb and arrays are one column each" {
	sql "CREATE TABLE docs (id int PRIMARY KEY, doc jsonb, tags text[]);
		INSERT INTO docs VALUES (1, '{\"x\": 1, \"y\": 2}', '{p,q}')"
	wait_until 10 test -d "$MNT/public/docs"
	NOTES=$MNT/public/docs
	assert_equal "$(meanwhile 1 "UPDATE docs SET tags = '{p,q,r}'" 'row["doc"]["x"] = 10')" saved
	assert_equal "$(sql "SELECT doc, tags FROM docs")" '{"x": 10, "y": 2}|{p,q,r}'
	assert_equal "$(meanwhile 1 "UPDATE docs SET doc = doc || '{\"y\": 20}'" 'row["doc"]["x"] = 11')" ESTALE
	assert_contains "$("$ROWFS" diff "$(newest conflicts)")" '  doc
    base    {"x": 10, "y": 2}
    theirs  {"x": 10, "y": 20}
    mine    {"x": 11, "y": 2}'
}

@test "rowfs errors tells what was refused, to each his own; --follow what comes" {
	assert_equal "$("$ROWFS" errors "$MNT")" ""
	"$ROWFS" errors "$MNT" --follow >"$BATS_TEST_TMPDIR/followed" 3>&- &
	follower=$!
	meanwhile 5 "SELECT 1" 'row["n"] = -5'
	wait_until 10 grep -q 'kept: ' "$BATS_TEST_TMPDIR/followed"
	fails_with "Invalid argument" dd of="$NOTES/6.json" status=none <<<'{"n": "much"}'
	wait_until 10 grep -q 'column: n' "$BATS_TEST_TMPDIR/followed"
	kill "$follower"
	diff "$BATS_TEST_TMPDIR/followed" <("$ROWFS" errors "$MNT")
	run "$ROWFS" errors "$MNT"
	assert_contains "$output" " public/notes/5.json: EPERM, SQLSTATE 23514 (pid "
	assert_contains "$output" "
    new row for relation \"notes\" violates check constraint \"notes_n_check\"
    detail: Failing row contains (5, a5, b5, -5).
    kept: $(newest rejected | sed 's/+6\.json$//; s/-[0-9]*-[^-]*$//' | cut -c "-$((${#KEPT} + 10))")"
	assert_contains "$output" "    in the text: line 1, character 7"
	assert_equal "$("$ROWFS" errors --json "$MNT")" "$(cat "$KEPT/errors")"
	fails_with "no rowfs is mounted there" "$ROWFS" errors "$HARNESS"
	fails_with "usage: rowfs errors" "$ROWFS" errors
}

# Two people have the note open, and the first has saved.
two_vims() {
	TERMINAL=ada on_terminal vim -u DEFAULTS "$NOTES/7.json"
	TERMINAL=ada screen_shows '"a": "a7"'
	# Without a swap file, or vim would ask whether he knows of her.
	TERMINAL=bob on_terminal vim -u DEFAULTS -n "$NOTES/7.json"
	TERMINAL=bob screen_shows '"a": "a7"'
	TERMINAL=ada type_keys ':%s/a7/ada/ | w' Enter
	TERMINAL=ada screen_shows 'written'
	assert_equal "$(note 7)" "ada|b7|7"
}

@test "two vims on one row: what they changed in different columns is there, from both" {
	two_vims
	TERMINAL=bob type_keys ':%s/b7/bob/ | w!' Enter
	TERMINAL=bob screen_shows 'written'
	assert_equal "$(note 7)" "ada|bob|7"
}

@test "two vims on one row: in the same column the second is told, and retry saves what he typed" {
	two_vims
	TERMINAL=bob type_keys ':%s/a7/bob/ | w!' Enter
	TERMINAL=bob screen_shows 'E667\|E512\|E514'
	assert_equal "$(note 7)" "ada|b7|7"
	assert_contains "$("$ROWFS" diff "$(newest conflicts)")" '  a
    base    "a7"
    theirs  "ada"
    mine    "bob"'
	"$ROWFS" retry "$(newest conflicts)"
	assert_equal "$(note 7)" "bob|b7|7"
}
