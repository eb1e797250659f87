# What a program has read is what its save is compared with, however it saves: others' changes of other columns stay, a
# column that both have changed is a conflict, and the text that was refused is kept.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE notes (id int PRIMARY KEY, a text, b text, seal text GENERATED ALWAYS AS (a || b) STORED);
		INSERT INTO notes (id, a, b) SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 20) i"
	mount_rowfs mnt consistency=strong
	NOTES=$MNT/public/notes
}

teardown() {
	mounts_end
}

note() {
	sql "SELECT a, b FROM notes WHERE id = $1"
}

# script <<'PYTHON': one program, with `path(ID)` of a note, read(path), and ways to save a text: saves.
script() {
	python3 - "$NOTES" 3>&- <<<"
import errno, json, os, subprocess, sys, threading

def path(number):
    return f'{sys.argv[1]}/{number}.json'

def read(path):
    with open(path) as f:
        return json.load(f)

def overwrite(path, text):
    with open(path, 'w') as f:
        f.write(text)

def replace(path, text):
    other = os.path.join(os.path.dirname(path), f'.{os.getpid()}.tmp')
    overwrite(other, text)
    os.rename(other, path)

def aside(path, text):
    os.rename(path, path + '~')
    try:
        with open(path, 'x') as f:
            f.write(text)
    except OSError:
        os.rename(path + '~', path)
        raise
    os.unlink(path + '~')

def cut(path, text):
    f = os.open(path, os.O_WRONLY)
    os.ftruncate(f, 0)
    os.write(f, text.encode())
    os.close(f)

saves = overwrite, replace, aside, cut

def refused(save, path, text):
    try:
        save(path, text)
    except OSError as e:
        return e.errno
    return 0

def sql(statement):
    subprocess.run(['psql', '-XAtqc', statement], check=True)

$(cat)"
}

@test "a whole text changes what its program has changed, and takes nobody else's change back" {
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    row = read(path(number))
	    sql(f"UPDATE notes SET b = 'theirs' WHERE id = {number}")
	    row["a"] = "mine"
	    save(path(number), json.dumps(row, indent=2) + "\n")
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" 'mine|theirs'; done
}

@test "a column that both have changed is a conflict, and the refused text is kept" {
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    row = read(path(number))
	    sql(f"UPDATE notes SET a = 'theirs' WHERE id = {number}")
	    row["a"] = f"mine {number}"
	    assert refused(save, path(number), json.dumps(row)) in (errno.ESTALE, errno.EIO)
	    assert read(path(number))["a"] == "theirs"
	    row = read(path(number))
	    row["a"] = "mine after all"
	    assert refused(save, path(number), json.dumps(row)) == 0
	PYTHON
	for id in 1 2 3 4; do
		assert_equal "$(note "$id")" "mine after all|b$id"
		grep -l "mine $id" "$MNT"/.rowfs/conflicts/*.json
	done
	grep -q 'column \\"a\\" was changed by somebody else' "$MNT/.rowfs/errors"
}

@test "what a program has saved it knows: its next save is its next change" {
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    row = read(path(number))
	    row["a"] = "first"
	    save(path(number), json.dumps(row))
	    sql(f"UPDATE notes SET b = 'theirs' WHERE id = {number}")
	    row["a"] = "second"
	    save(path(number), json.dumps(row))
	    sql(f"UPDATE notes SET a = 'theirs' WHERE id = {number}")
	    assert refused(save, path(number), json.dumps(row)) in (errno.ESTALE, errno.EIO), save
	    row["a"] = "third"
	    assert refused(save, path(number), json.dumps(row)) in (errno.ESTALE, errno.EIO), save
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" 'theirs|theirs'; done
}

@test "what a trigger makes of a save is nobody else's change" {
	sql "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN NEW.a := lower(NEW.a); NEW.b := 'stamped ' || coalesce(NEW.a, ''); RETURN NEW; END \$\$;
		CREATE TRIGGER tidy BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION tidy()"
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    row = read(path(number))
	    for text in "ONE", "TWO", "THREE":
	        row["a"] = text
	        save(path(number), json.dumps(row))
	    sql(f"UPDATE notes SET a = 'THEIRS' WHERE id = {number}")
	    row["a"] = "FOUR"
	    assert refused(save, path(number), json.dumps(row)) in (errno.ESTALE, errno.EIO)
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" 'theirs|stamped theirs'; done
}

@test "a program that reads in one thread and saves in another is one program; two processes are two" {
	script <<-'PYTHON'
	def in_a_thread(work, *arguments):
	    thread = threading.Thread(target=work, args=arguments)
	    thread.start()
	    thread.join()

	rows = {}
	kept = threading.Event()
	def reader(number):
	    rows[number] = read(path(number))
	    kept.wait(20)
	for number, save in enumerate(saves, 1):
	    thread = threading.Thread(target=reader, args=(number,))
	    thread.start()
	    while number not in rows:
	        pass
	    sql(f"UPDATE notes SET a = 'theirs' WHERE id = {number}")
	    rows[number]["a"] = "mine"
	    assert refused(save, path(number), json.dumps(rows[number])) in (errno.ESTALE, errno.EIO)
	    kept.set()
	    thread.join()
	    kept.clear()
	# Another process, that has read nothing, has the row as it is when it opens it.
	read(path(5))
	sql("UPDATE notes SET a = 'theirs' WHERE id = 5")
	subprocess.run(["sh", "-c", 'echo \'{"a": "ours"}\' > "$0"', path(5)], check=True)
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" "theirs|b$id"; done
	assert_equal "$(note 5)" 'ours|b5'
}

@test "a text that is what was read, and others have changed the row since: neither silence nor theirs taken back" {
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    text = json.dumps({column: read(path(number))[column] for column in ("a", "b")})
	    save(path(number), text)
	    save(path(number), text)
	    sql(f"UPDATE notes SET b = 'theirs' WHERE id = {number}")
	    assert refused(save, path(number), text) in (errno.ESTALE, errno.EIO)
	    read(path(number))
	    save(path(number), text)
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" "a$id|b$id"; done
	grep -q 'the text is what this program had read' "$MNT/.rowfs/errors"
}

@test "vim and emacs, while somebody else changes the row: his column stays, the same column is a conflict" {
	theirs=$BATS_TEST_TMPDIR/theirs
	printf '#!/bin/sh\nexec psql -X -q -c "UPDATE notes SET $2 = '"'theirs'"' WHERE id = $1"\n' >"$theirs"
	chmod +x "$theirs"
	vim_saves() {
		# It asks whether to write although the file has changed.
		yes y | head -n 9 | vim -u DEFAULTS -es -c '%s/"a'"$1"'"/"mine"/' -c "call system('$theirs $1 $2')" -c 'w!' -c 'q!' "$NOTES/$1.json" 3>&-
	}
	emacs_saves() {
		emacs --batch -Q "$NOTES/$1.json" --eval "(progn (search-forward \"\\\"a$1\\\"\") (replace-match \"\\\"mine\\\"\")
			(call-process \"$theirs\" nil nil nil \"$1\" \"$2\") (set-visited-file-modtime) (save-buffer))" 3>&- 2>&1
	}
	vim_saves 1 b
	emacs_saves 2 b
	for id in 1 2; do assert_equal "$(note "$id")" 'mine|theirs'; done
	vim_saves 3 a || true
	emacs_saves 4 a || true
	for id in 3 4; do
		assert_equal "$(note "$id")" "theirs|b$id"
		grep -l '"mine"' "$MNT"/.rowfs/conflicts/*"notes+$id.json"
	done
}

@test "a program that sets a few columns: what it names is so afterwards, or it is told" {
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    read(path(number))
	    save(path(number), '{"a": "up"}')
	    sql(f"UPDATE notes SET b = 'theirs' WHERE id = {number}")
	    for _ in range(3):
	        save(path(number), '{"a": "up"}')              # it is so, whatever became of b
	    sql(f"UPDATE notes SET a = 'down' WHERE id = {number}")
	    assert refused(save, path(number), '{"a": "up"}') in (errno.ESTALE, errno.EIO)
	    assert refused(save, path(number), '{"a": "up", "b": "mine"}') in (errno.ESTALE, errno.EIO)
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" 'down|theirs'; done
}

@test "threads that have read and saved and ended, and others that poll the row" {
	script <<-'PYTHON'
	def in_a_thread(work, *arguments):
	    result = []
	    thread = threading.Thread(target=lambda: result.append(work(*arguments)))
	    thread.start()
	    thread.join()
	    return result[0]

	for number, save in enumerate(saves, 1):
	    row = in_a_thread(read, path(number))
	    sql(f"UPDATE notes SET b = 'theirs' WHERE id = {number}")
	    for _ in range(20):
	        subprocess.run(["cat", path(number)], stdout=subprocess.DEVNULL)
	    for value in "one", "two":
	        row["a"] = value
	        assert in_a_thread(refused, save, path(number), json.dumps(row)) == 0
	    with open(path(number), "r+") as f:
	        row = json.load(f)
	    row["b"] = "mine"
	    assert refused(save, path(number), json.dumps(row)) == 0
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" 'two|mine'; done
}

@test "a shell that only writes sets what it says, whoever was there before" {
	for n in 1 2 3; do
		sql "UPDATE notes SET a = 'theirs $n' WHERE id = 1"
		echo "{\"a\": \"ours $n\"}" >"$NOTES/1.json"
		assert_equal "$(note 1)" "ours $n|b1"
	done
}

@test "a program that reads many rows is no editor, and pushes no editor's rows out" {
	sql "CREATE TABLE many (id int PRIMARY KEY, a text, b text);
		INSERT INTO many SELECT i, 'a', 'b' FROM generate_series(1, 6000) i"
	wait_until 5 test -d "$MNT/public/many"
	script <<-'PYTHON'
	row = read(path(1))
	for _ in range(2):
	    subprocess.run(["grep", "-rc", "nothing", f"{sys.argv[1]}/../many"], stdout=subprocess.DEVNULL)
	sql("UPDATE notes SET a = 'theirs' WHERE id = 1")
	row["a"] = "mine"
	assert refused(overwrite, path(1), json.dumps(row)) == errno.ESTALE
	PYTHON
}

@test "what others changed before a save is not overwritten by the save after it, unseen" {
	script <<-'PYTHON'
	for number, save in enumerate(saves, 1):
	    row = read(path(number))
	    sql(f"UPDATE notes SET b = 'theirs' WHERE id = {number}")
	    row["a"] = "mine"
	    save(path(number), json.dumps(row))
	    row["b"] = "mine, too"
	    assert refused(save, path(number), json.dumps(row)) in (errno.ESTALE, errno.EIO), save
	# The same through one handle: what was left as it was read is not taken back.
	row = read(path(5))
	sql("UPDATE notes SET b = 'theirs' WHERE id = 5")
	with open(path(5), "w") as f:
	    for value in "one", "two":
	        row["a"] = value
	        f.seek(0)
	        f.truncate()
	        f.write(json.dumps(row))
	        f.flush()
	        os.fsync(f.fileno())
	PYTHON
	for id in 1 2 3 4; do assert_equal "$(note "$id")" 'mine|theirs'; done
	assert_equal "$(note 5)" 'two|theirs'
}

@test "a row that somebody has deleted is a conflict, also for a text that says what it was" {
	script <<-'PYTHON'
	def as_it_was(number, text):
	    with open(path(number), "w") as f:
	        sql(f"DELETE FROM notes WHERE id = {number}")
	        f.write(text)

	def as_it_was_aside(number, text):
	    os.rename(path(number), path(number) + "~")
	    sql(f"DELETE FROM notes WHERE id = {number}")
	    overwrite(path(number), text)

	for number, save in (1, as_it_was), (2, as_it_was_aside):
	    text = '{"a": "a%d", "b": "b%d"}' % (number, number)
	    assert refused(save, number, text) == errno.ESTALE, save
	PYTHON
	grep -l '"b1"' "$MNT"/.rowfs/conflicts/*.json
}

@test "a few columns that are as they were read, where others have made something else of them, are a conflict after a merge, too" {
	script <<-'PYTHON'
	row = read(path(1))
	sql("UPDATE notes SET b = 'theirs' WHERE id = 1")
	overwrite(path(1), '{"a": "mine"}')
	assert refused(overwrite, path(1), '{"b": "b1"}') == errno.ESTALE
	# All that it knows, once more, is nothing.
	overwrite(path(1), '{"a": "mine", "b": "b1"}')
	PYTHON
	assert_equal "$(note 1)" 'mine|theirs'
}

@test "a generated column may stand there as it was read, or as it has become since" {
	script <<-'PYTHON'
	row = read(path(1))
	with open(path(1), "w") as f:
	    for value in "one", "two":
	        row["a"] = value
	        f.seek(0)
	        f.truncate()
	        f.write(json.dumps(row))
	        f.flush()
	        os.fsync(f.fileno())
	overwrite(path(1), json.dumps({**row, "a": "three"}))
	text = subprocess.run(["cat", path(1)], stdout=subprocess.PIPE, check=True).stdout
	overwrite(path(1), json.dumps({**json.loads(text), "a": "four"}))
	assert refused(overwrite, path(1), json.dumps({**row, "seal": "another"})) == errno.EINVAL
	PYTHON
	assert_equal "$(note 1)" 'four|b1'
}

@test "what others were changing while a save waited for them is not overwritten by the next one" {
	hold "UPDATE notes SET b = 'theirs' WHERE id = 1"
	script <<-'PYTHON' &
	row = read(path(1))
	row["a"] = "mine"
	overwrite(path(1), json.dumps(row))
	row["b"] = "mine, too"
	assert refused(overwrite, path(1), json.dumps(row)) == errno.ESTALE
	PYTHON
	saver=$!
	waits() { [[ -n $(sql "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'") ]]; }
	wait_until 10 waits
	release COMMIT
	wait "$saver"
	assert_equal "$(note 1)" 'mine|theirs'
}
