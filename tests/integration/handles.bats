# Files that are renamed, removed or interrupted while they are open: what was acknowledged is never lost, goes
# where the file went, and is seen by nobody who may not.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE notes (id int PRIMARY KEY, a text, b text);
		INSERT INTO notes SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 60) i"
	mount_rowfs
	NOTES=$MNT/public/notes
}

teardown() {
	mounts_end
}

note() {
	sql "SELECT a, b FROM notes WHERE id = $1"
}

# Moved aside

@test "what was written while its row was moved aside is in the file that was moved" {
	python3 - "$NOTES" <<-'END'
		import os, sys, threading, time
		block = b"x" * 4096
		handles = {i: os.open(f"{sys.argv[1]}/{i}.json", os.O_RDWR) for i in range(1, 61)}
		time.sleep(1.2)
		for i, f in handles.items():
		    state = {"end": 0, "go": True}
		    def write():
		        while state["go"] and state["end"] < 2 << 20:
		            os.pwrite(f, block, state["end"])
		            state["end"] += len(block)
		    writer = threading.Thread(target=write)
		    writer.start()
		    time.sleep(0.004)
		    os.rename(f"{sys.argv[1]}/{i}.json", f"{sys.argv[1]}/{i}.bak")
		    time.sleep(0.002)
		    state["go"] = False
		    writer.join()
		    found = open(f"{sys.argv[1]}/{i}.bak", "rb").read()
		    assert found == block * (state["end"] // len(block)), (i, state["end"], len(found))
		    os.close(f)
		    os.unlink(f"{sys.argv[1]}/{i}.bak")
	END
	assert_equal "$(sql "SELECT count(*) FROM notes WHERE a = 'a' || id AND b = 'b' || id")" 60
}

@test "a handle saves nothing into a row that was moved away from it" {
	python3 - "$NOTES" <<-'END'
		import os, sys, time
		f = os.open(sys.argv[1] + "/3.json", os.O_RDWR)
		text = os.pread(f, 4096, 0)
		time.sleep(1.2)
		os.rename(sys.argv[1] + "/3.json", sys.argv[1] + "/3.bak")
		new = text.replace(b'"a3"', b'"changed"')
		os.pwrite(f, new, 0)
		assert os.fstat(f).st_size == len(new), os.fstat(f).st_size
		os.fsync(f)
		os.close(f)
		assert open(sys.argv[1] + "/3.bak", "rb").read() == new
		os.unlink(sys.argv[1] + "/3.bak")
	END
	assert_equal "$(note 3)" 'a3|b3'
}

@test "a handle that was moved aside and back saves into the row again" {
	mark=$(log_mark)
	python3 - "$NOTES" <<-'END'
		import os, sys
		f = os.open(sys.argv[1] + "/4.json", os.O_RDWR)
		text = os.pread(f, 4096, 0)
		os.rename(sys.argv[1] + "/4.json", sys.argv[1] + "/4.bak")
		os.rename(sys.argv[1] + "/4.bak", sys.argv[1] + "/4.json")
		os.pwrite(f, text.replace(b'"a4"', b'"A4"'), 0)
		os.close(f)
	END
	assert_equal "$(note 4)" 'A4|b4'
	assert_writes "$mark" UPDATE
}

@test "of two handles that are moved aside the one that wrote nothing takes nothing away" {
	python3 - "$NOTES" <<-'END'
		import os, sys
		path = sys.argv[1] + "/5"
		first = os.open(path + ".json", os.O_RDWR)
		text = os.pread(first, 4096, 0)
		os.pwrite(first, text.replace(b'"a5"', b'"A5"'), 0)
		second = os.open(path + ".json", os.O_RDWR)
		os.rename(path + ".json", path + ".bak")
		assert b'"A5"' in open(path + ".bak", "rb").read()
		os.close(first)
		os.close(second)
		os.unlink(path + ".bak")
	END
	assert_equal "$(note 5)" 'a5|b5'
}

@test "a handle that is closed while its row is moved aside harms nobody" {
	python3 - "$NOTES" <<-'END'
		import os, sys, threading, time
		def path(n):
		    return f"{sys.argv[1]}/{n}.json"
		for first in 1, 21, 41:
		    # A text that is nothing to be saved, and takes a while to be moved.
		    handles = {n: os.open(path(n), os.O_RDWR | os.O_TRUNC) for n in range(first, first + 20)}
		    for f in handles.values():
		        os.pwrite(f, b" " * (8 << 20), 0)
		    time.sleep(1.2)
		    for n, f in handles.items():
		        # The name has another node by now, and the handle's goes when it is closed.
		        os.stat(path(n))
		        closer = threading.Timer(n % 20 * 0.0005, os.close, (f,))
		        closer.start()
		        os.rename(path(n), path(n) + "~")
		        closer.join()
		        os.unlink(path(n) + "~")
	END
	wait_until 10 grep -q a9 "$NOTES/9.json"
}

@test "the file that was moved aside and the one in its place are two, for handles and for names" {
	python3 - "$NOTES" <<-'END'
		import os, sys
		row, aside = sys.argv[1] + "/12.json", sys.argv[1] + "/12.json~"
		before = os.stat(row).st_ino
		text = open(row, "rb").read()
		moved = os.open(row, os.O_RDONLY)
		os.rename(row, aside)
		assert not os.path.exists(row)
		assert os.fstat(moved).st_size == len(text) == os.stat(aside).st_size
		made = os.open(row, os.O_RDWR | os.O_CREAT | os.O_EXCL)
		assert os.fstat(made).st_ino == os.stat(row).st_ino == before
		assert os.stat(aside).st_ino != before
		os.write(made, text.replace(b'"a12"', b'"A12, longer"'))
		os.fsync(made)
		assert os.pread(moved, 4096, 0) == text == open(aside, "rb").read()
		assert b"longer" in os.pread(made, 4096, 0) and b"longer" in open(row, "rb").read()
		os.close(made)
		# And back: the row takes the file's text, and who has the replaced one open goes on with that.
		replaced = os.open(row, os.O_RDONLY)
		os.rename(aside, row)
		assert b"longer" in os.pread(replaced, 4096, 0)
		assert os.pread(moved, 4096, 0) == text == open(row, "rb").read()
		os.rename(row, aside)
		os.rename(aside, row)
		assert os.pread(moved, 4096, 0) == text == open(row, "rb").read()
		assert os.stat(row).st_ino == before
	END
	assert_equal "$(note 12)" 'a12|b12'
}

@test "who reads a row goes on with what he opened, whatever becomes of it" {
	python3 - "$NOTES" <<-'END'
		import os, subprocess, sys
		def path(n):
		    return f"{sys.argv[1]}/{n}.json"
		readers, texts = {}, {}
		for n in range(13, 18):
		    readers[n] = os.open(path(n), os.O_RDONLY)
		    texts[n] = os.pread(readers[n], 4096, 0)
		def write(name, text):
		    with open(name, "wb") as f:
		        f.write(text)
		os.rename(path(13), path(13) + "~")              # an editor's save
		write(path(13), b'{"a": "saved by an editor"}')
		os.unlink(path(13) + "~")
		write(path(14) + ".tmp", b'{"a": "renamed onto it"}')
		os.rename(path(14) + ".tmp", path(14))
		os.rename(path(15), path(16))                    # a row onto a row
		os.unlink(path(17))
		write(path(17), b'{"a": "made anew"}')
		for n, f in readers.items():
		    assert os.pread(f, 4096, 0) == texts[n], n
		    assert os.fstat(f).st_size == len(texts[n]), (n, os.fstat(f).st_size)
		for n, now in {13: b"by an editor", 14: b"renamed", 16: b"a15", 17: b"anew"}.items():
		    assert now in open(path(n), "rb").read(), n
	END
	assert_equal "$(note 16)" 'a15|b15'
}

@test "a row that was moved aside and forgotten shows again, and nothing was sent" {
	mount_rowfs grace detach_grace=0.5
	notes=$MNT/public/notes mark=$(log_mark)
	ls "$notes" >"$BATS_TEST_TMPDIR/before"
	mv "$notes/18.json" "$notes/18.bak"
	[[ ! -e $notes/18.json ]]
	listed() { ls "$notes" | grep -qx 18.json; }
	wait_until 10 listed
	assert_contains "$(cat "$notes/18.json")" '"a18"'
	assert_contains "$(cat "$notes/18.bak")" '"a18"'
	rm "$notes/18.bak"
	assert_equal "$(ls "$notes")" "$(cat "$BATS_TEST_TMPDIR/before")"
	assert_writes "$mark"
}

@test "a kill while a row is moved aside leaves the row, and the file that it was moved to" {
	mv "$NOTES/19.json" "$NOTES/19.json~"
	echo '{"a": "replacing", ' >"$NOTES/.19.swp"
	exec 5>"$NOTES/19.json"
	echo '{"a": "never committed"' >&5
	kill -KILL "$(rowfs_pid)"
	wait_until 10 test -s "$HARNESS/mounts/mnt.exit"
	exec 5>&- || true
	unmount "$MNT"
	rm -f "$HARNESS/mounts/mnt".*
	mount_rowfs
	assert_contains "$(cat "$NOTES/19.json")" '"a19"'
	assert_equal "$(cat "$NOTES/19.json~")" "$(cat "$NOTES/19.json")"
	assert_contains "$(cat "$NOTES/.19.swp")" replacing
	assert_equal "$(note 19)" 'a19|b19'
}

# One moves the row aside and makes it anew, the other renames a temporary file to it; each counts what was acknowledged.
# (Were both to move it aside, one would take the other's uncommitted file, here as anywhere.)
# save.py TABLE COLUMN SAVES [each]: count a column of row 20 up, a by moving the row aside and b by renaming onto it. With
# `each` every try is a program of its own, which has read the row once.
write_save_py() {
	cat >"$BATS_TEST_TMPDIR/save.py" <<-'END'
		import json, os, sys
		row, column, saves = sys.argv[1] + "/20.json", sys.argv[2], int(sys.argv[3])
		aside, saved, tries = row + ".aside", 0, 0
		def put(name, flags, text):
		    f = os.open(name, os.O_WRONLY | os.O_CREAT | flags)
		    try:
		        os.write(f, text)
		        os.fsync(f)
		    finally:
		        os.close(f)
		def move_aside(text):
		    os.rename(row, aside)
		    try:
		        put(row, os.O_EXCL, text)
		    except OSError:
		        os.rename(aside, row)
		        raise
		    os.unlink(aside)
		def rename_onto(text):
		    put(row + ".tmp", os.O_TRUNC, text)
		    os.rename(row + ".tmp", row)
		def save():
		    try:
		        value = json.load(open(row))
		        value[column] = str(int(value[column]) + 1)
		        (move_aside if column == "a" else rename_onto)(json.dumps(value).encode())
		        return True
		    except (OSError, ValueError):   # the other has it aside, or has just made it
		        return False
		def save_once():
		    child = os.fork()
		    if not child:
		        os._exit(not save())
		    return os.waitpid(child, 0)[1] == 0
		while saved < saves:
		    tries += 1
		    assert tries < 20000, saved
		    saved += (save_once if sys.argv[4:] == ["each"] else save)()
		print(saved, "saved,", tries, "tries", file=sys.stderr)
	END
}

@test "two programs that save one row at once, each in its way, lose no save and no row" {
	sql "UPDATE notes SET a = '0', b = '0' WHERE id = 20"
	write_save_py
	python3 "$BATS_TEST_TMPDIR/save.py" "$NOTES" a 25 3>&- &
	first=$!
	python3 "$BATS_TEST_TMPDIR/save.py" "$NOTES" b 25
	wait "$first"
	assert_equal "$(note 20)" '25|25'
	assert_equal "$(sql "SELECT count(*) FROM notes")" 60
}

@test "programs that read a row once and save it lose nothing of what a program saves that moves it aside" {
	sql "UPDATE notes SET a = '0', b = '0' WHERE id = 20"
	write_save_py
	python3 "$BATS_TEST_TMPDIR/save.py" "$NOTES" a 200 3>&- &
	first=$!
	python3 "$BATS_TEST_TMPDIR/save.py" "$NOTES" b 200 each
	wait "$first"
	assert_equal "$(note 20)" '200|200'
	assert_equal "$(sql "SELECT count(*) FROM notes")" 60
}

@test "two programs that have a row open when it is moved aside see what each other writes to it" {
	python3 - "$NOTES" <<-'END'
		import os, sys
		row, aside = sys.argv[1] + "/8.json", sys.argv[1] + "/8.aside"
		one = os.open(row, os.O_RDWR)
		turn = os.pipe(), os.pipe()
		child = os.fork()
		os.close(turn[bool(child)][0])
		os.close(turn[not child][1])
		if not child:
		    other = os.open(row, os.O_RDWR)
		    assert os.pread(other, 4096, 0)
		    os.write(turn[0][1], b".")
		    for n in range(100):
		        os.read(turn[1][0], 1)
		        assert os.pread(other, 4096, 0) == b"%03d" % n, n
		        os.pwrite(other, b"%04d" % n, 0)
		        os.write(turn[0][1], b".")
		    os._exit(0)
		os.read(turn[0][0], 1)
		assert os.pread(one, 4096, 0)
		os.rename(row, aside)
		os.truncate(aside, 0)
		for n in range(100):
		    os.ftruncate(one, 0)
		    os.pwrite(one, b"%03d" % n, 0)
		    assert os.pread(one, 4096, 0) == b"%03d" % n
		    os.write(turn[1][1], b".")
		    os.read(turn[0][0], 1)
		    assert os.pread(one, 4096, 0) == b"%04d" % n, n
		assert os.wait()[1] == 0
		os.rename(aside, row + ".away")
	END
	assert_equal "$(note 8)" 'a8|b8'
}

# Temporary files that become rows

@test "a handle of a temporary file that has become a row says its size, is cut and saves" {
	python3 - "$NOTES" <<-'END'
		import os, sys
		temporary, row = sys.argv[1] + "/.tmp", sys.argv[1] + "/6.json"
		text = open(row, "rb").read().replace(b'"a6"', b'"A6"')
		f = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
		reader = os.open(temporary, os.O_RDONLY)
		os.write(f, text)
		os.rename(temporary, row)
		assert os.fstat(f).st_size == len(text), os.fstat(f).st_size
		assert os.fstat(reader).st_size == len(text), os.fstat(reader).st_size
		assert os.pread(f, 4096, 0) == text
		assert os.pread(reader, 4096, 0) == text
		os.ftruncate(f, 0)
		assert os.fstat(f).st_size == 0
		short = b'{"a":"short"}\n'
		os.pwrite(f, short, 0)
		assert os.fstat(f).st_size == len(short), os.fstat(f).st_size
		os.fsync(f)
		os.close(f)
		assert b'"short"' in open(row, "rb").read()
		os.close(reader)
	END
	assert_equal "$(note 6)" 'short|b6'
}

@test "what a temporary file's handle saves after it became a row reverts nobody's change" {
	mark=$(log_mark)
	python3 - "$NOTES" <<-'END'
		import os, subprocess, sys
		temporary, row = sys.argv[1] + "/.tmp", sys.argv[1] + "/7.json"
		text = open(row, "rb").read()
		f = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
		os.write(f, text.replace(b'"a7"', b'"A7"'))
		os.rename(temporary, row)
		os.fsync(f)
		subprocess.run(["psql", "-Xqc", "UPDATE notes SET b = 'theirs' WHERE id = 7"], check=True)
		os.pwrite(f, text.replace(b'"a7"', b'"7A"'), 0)
		os.close(f)
	END
	assert_equal "$(note 7)" '7A|theirs'
	assert_writes "$mark" UPDATE UPDATE
}

@test "a temporary file becomes a row while it is written, and nothing of it is lost" {
	python3 - "$NOTES" <<-'END'
		import json, os, subprocess, sys, threading
		for n in range(8, 40):
		    temporary, row = f"{sys.argv[1]}/.tmp{n}", f"{sys.argv[1]}/{n}.json"
		    f = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
		    os.pwrite(f, b'{"a": "%06d"}\n' % 0, 0)
		    done, last = threading.Event(), [0]
		    def write():
		        while not done.is_set():
		            last[0] += 1
		            os.pwrite(f, b"%06d" % last[0], 7)
		    writer = threading.Thread(target=write)
		    writer.start()
		    os.rename(temporary, row)
		    done.set()
		    writer.join()
		    os.close(f)
		    found = subprocess.run(["psql", "-XAtqc", f"SELECT a FROM notes WHERE id = {n}"],
		                           capture_output=True, text=True, check=True).stdout.strip()
		    assert found == "%06d" % last[0], (n, found, last[0])
	END
}

@test "a private temporary file of somebody else is not shown through a row" {
	((EUID == 0)) || skip "needs two users"
	mount_rowfs shared allow_other,umask=000
	notes=$MNT/public/notes
	as_server sh -c "umask 077; echo '{\"a\": \"private\"}' >$notes/.secret"
	assert_equal "$(stat -c '%U %a' "$notes/.secret")" 'postgres 600'
	fails_with "Permission denied" runuser -u nobody -- mv -f "$notes/.secret" "$notes/8.json"
	fails_with "Permission denied" runuser -u nobody -- mv -f "$notes/.secret" "$notes/77.json"
	assert_equal "$(note 8)" 'a8|b8'
	assert_equal "$(sql "SELECT count(*) FROM notes WHERE id = 77")" 0
	assert_equal "$(find "$MNT/.rowfs/rejected" -type f)" ""
	# Its owner may, one who may read it may, and so may root.
	as_server mv -f "$notes/.secret" "$notes/8.json"
	assert_equal "$(note 8)" 'private|b8'
	as_server sh -c "umask 022; echo '{\"a\": \"public\"}' >$notes/.open"
	runuser -u nobody -- mv -f "$notes/.open" "$notes/9.json"
	assert_equal "$(note 9)" 'public|b9'
	as_server sh -c "umask 077; echo '{\"a\": \"roots\"}' >$notes/.secret"
	mv -f "$notes/.secret" "$notes/10.json"
	assert_equal "$(note 10)" 'roots|b10'
}

# Rows that are being made and removed

@test "rm of a row that is just being made leaves none where it says that it removed it" {
	python3 - "$NOTES" <<-'END'
		import errno, os, subprocess, sys, threading, time
		removed, delay = [], 0.002
		def make(path):
		    try:
		        f = os.open(path, os.O_CREAT | os.O_WRONLY)
		        os.write(f, b'{"a": "q"}\n')
		        os.close(f)
		    except OSError:
		        pass
		for n in range(3000, 3600):
		    path = f"{sys.argv[1]}/{n}.json"
		    maker = threading.Thread(target=make, args=(path,))
		    maker.start()
		    until = time.monotonic() + delay
		    while time.monotonic() < until:
		        pass
		    # As near as may be to the moment at which the commit ends.
		    try:
		        os.unlink(path)
		        removed.append(n)
		        delay = max(delay - 0.00002, 0)
		    except OSError as e:
		        delay += 0.00002
		    maker.join()
		there = subprocess.run(["psql", "-XAtqc", "SELECT id FROM notes WHERE id >= 3000"],
		                       capture_output=True, text=True, check=True).stdout.split()
		left = [n for n in removed if str(n) in there]
		print(len(removed), "removed, delay", delay, file=sys.stderr)
		assert removed and not left, left
	END
}

# What is said

@test "fsync of half a text fails, also in a child that inherited the file" {
	mark=$(log_mark)
	python3 - "$NOTES/11.json" <<-'END'
		import errno, os, sys
		f = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
		os.set_inheritable(f, True)
		child = os.fork()
		if child == 0:
		    os.write(f, b'{"a": "half')
		    try:
		        os.fsync(f)
		    except OSError as e:
		        os._exit(e.errno)
		    os._exit(0)
		said = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
		assert said == errno.EIO, said
		os.write(f, b' and whole"}\n')
		os.close(f)
	END
	assert_equal "$(note 11)" 'half and whole|b11'
	assert_writes "$mark" UPDATE
}

@test "a reader that is killed after another signal has come is gone at once" {
	hold 'LOCK TABLE notes'
	python3 - "$NOTES/50.json" <<-'END'
		import os, signal, sys, time
		signal.signal(signal.SIGUSR1, lambda *a: 0)
		child = os.fork()
		if child == 0:
		    try:
		        open(sys.argv[1]).read()
		    finally:
		        os._exit(0)
		time.sleep(0.5)
		os.kill(child, signal.SIGUSR1)
		time.sleep(0.2)
		assert os.waitpid(child, os.WNOHANG) == (0, 0), "the first signal ended it"
		begin = time.monotonic()
		os.kill(child, signal.SIGKILL)
		os.waitpid(child, 0)
		assert time.monotonic() - begin < 1, time.monotonic() - begin
	END
	release
}

@test "a file that has no content yet takes its handles along when it is renamed" {
	python3 - "$NOTES" <<-'END'
		import os, sys
		def path(number):
		    return f"{sys.argv[1]}/{number}.json"
		first = os.open(path(101), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
		os.rename(path(101), path(102))
		os.write(first, b'{"a": "made"}\n')
		os.close(first)
		# Also one that holds a text already, and one that was made where a row had been moved away.
		second = os.open(path(103), os.O_WRONLY | os.O_CREAT)
		os.write(second, b'{"a": "written"}\n')
		os.rename(path(103), path(104))
		os.close(second)
		os.rename(path(1), path(1) + "~")
		third = os.open(path(1), os.O_WRONLY | os.O_CREAT)
		os.rename(path(1), path(105))
		os.write(third, b'{"a": "beside"}\n')
		os.close(third)
		os.rename(path(1) + "~", path(1))
	END
	assert_equal "$(sql 'SELECT id, a FROM notes WHERE id > 100 OR id = 1 ORDER BY id' | paste -sd ' ')" \
		'1|a1 102|made 104|written 105|beside'
}

@test "rm of a file that cannot be removed just now takes nothing away from its other handles" {
	hold 'INSERT INTO notes VALUES (200)'
	python3 - "$NOTES/200.json" "$HELD" <<-'END'
		import errno, os, subprocess, sys, threading, time
		path, holder = sys.argv[1:]
		# Started before there is a file that it would inherit, and flush.
		psql = subprocess.Popen(["psql", "-XAtq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		def sql(query):
		    psql.stdin.write(f"SELECT count(*) FROM ({query}) q;\n")
		    psql.stdin.flush()
		    return int(psql.stdout.readline())
		first = os.open(path, os.O_CREAT | os.O_WRONLY)
		second = os.open(path, os.O_WRONLY)
		third = os.open(path, os.O_WRONLY)
		# Its end first, so that close saves it: rm would wait for a write.
		def save(fd, text):
		    try:
		        os.pwrite(fd, text[3:], 3)
		        os.pwrite(fd, text[:3], 0)
		        os.close(fd)
		        return "saved"
		    except OSError as e:
		        return errno.errorcode[e.errno]
		said = []
		saver = threading.Thread(target=lambda: said.append(save(second, b'{"a": "second"}\n')))
		saver.start()
		while not said and not sql("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
		    time.sleep(0.02)
		try:
		    os.unlink(path)
		    raise SystemExit("removed")
		except OSError as e:
		    assert e.errno == errno.EBUSY, e
		sql(f"SELECT pg_terminate_backend({holder})")
		saver.join()
		assert said == ["saved"], said
		for fd in first, third:
		    said.append(save(fd, b'{"a": "other"}\n'))
		assert said == ["saved", "EEXIST", "EEXIST"], said
	END
	trap '' PIPE # psql has lost its server, and may be gone before it has read all
	release || true
	trap - PIPE
	assert_equal "$(note 200)" 'second|'
}

@test "mv of a row onto itself changes nothing, also while it is open for writing" {
	mark=$(log_mark)
	python3 - "$NOTES/1.json" <<-'END'
		import os, sys
		reader = os.open(sys.argv[1], os.O_RDONLY)
		writer = os.open(sys.argv[1], os.O_WRONLY)
		os.rename(sys.argv[1], sys.argv[1])
	END
	assert_writes "$mark"
	assert_equal "$(note 1)" 'a1|b1'
}

@test "a temporary file that was there, and is opened for writing only, becomes a row while it is open" {
	python3 - "$NOTES" <<-'END'
		import os, sys
		temporary = f"{sys.argv[1]}/note.tmp"
		open(temporary, "w").close()
		f = os.open(temporary, os.O_WRONLY)
		os.write(f, b'{"a": "one"}\n')
		os.rename(temporary, f"{sys.argv[1]}/1.json")
		os.pwrite(f, b'{"a": "two"}\n', 0)
		os.close(f)
	END
	assert_equal "$(note 1)" 'two|b1'
}
