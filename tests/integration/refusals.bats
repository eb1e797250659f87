# What a refusal says, and where: each limit names itself and its option, each reason is the one that helps,
# and what cannot mean anything in a configuration is said at the mount.

load ../lib/rowfs

setup_file() {
	harness_start
	psql -X -q -d postgres <<-SQL
		CREATE ROLE clerk LOGIN;
		CREATE DATABASE things TEMPLATE template0;
	SQL
	psql -X -q -d things -v ON_ERROR_STOP=1 <<-'SQL'
		CREATE TABLE notes (id int PRIMARY KEY, note text, secret text);
		INSERT INTO notes SELECT n, 'note ' || n, 'secret' FROM generate_series(1, 9) AS n;
		CREATE TABLE loose (n int);
		CREATE TABLE frozen (id int PRIMARY KEY, email text, tags text[], doc json);
		INSERT INTO frozen VALUES (1, 'ada@example.org', '{a}', '{}'), (2, NULL, NULL, NULL);
		CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
		CREATE TRIGGER keep BEFORE UPDATE ON frozen FOR EACH ROW EXECUTE FUNCTION keep();
		CREATE TABLE lowered (id int PRIMARY KEY, email text);
		INSERT INTO lowered VALUES (1, 'ada@example.org');
		CREATE FUNCTION lower_email() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN NEW.email = lower(NEW.email); RETURN NEW; END $$;
		CREATE TRIGGER lower_email BEFORE UPDATE ON lowered FOR EACH ROW EXECUTE FUNCTION lower_email();
		CREATE VIEW shown AS SELECT * FROM lowered;
		CREATE FUNCTION through_view() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN UPDATE lowered SET email = NEW.email WHERE id = NEW.id; RETURN OLD; END $$;
		CREATE TRIGGER through_view INSTEAD OF UPDATE ON shown FOR EACH ROW EXECUTE FUNCTION through_view();
		GRANT SELECT ON notes, loose TO clerk;
		GRANT UPDATE (note) ON notes TO clerk;
		GRANT INSERT (id, note) ON notes TO clerk;
	SQL
}

teardown_file() {
	harness_end
}

setup() {
	export PGDATABASE=things
}

teardown() {
	mounts_end
}

save() {
	python3 "$TOP/tests/lib/save.py" "$@"
}

# Lines in `errors` so far.
lines() {
	wc -l <"$MNT/.rowfs/errors"
}

kept_texts() {
	find "$MNT/.rowfs/rejected" "$MNT/.rowfs/conflicts" -type f -name "*.json" | wc -l
}

# A row's text of so many MiB and a bit more.
large_text() {
	printf '{"note": "'
	head -c $(($1 * 1048576)) /dev/zero | tr '\0' x
	printf '"}'
}

# Limits

@test "a save over 64 MiB is refused once, by write and close, and its half is not kept" {
	mount_rowfs
	assert_equal "$(save write "$MNT/public/notes/1.json" <<<'{"nothing": 1}')" 'write EINVAL close EINVAL'
	assert_equal "$(kept_texts)" 1
	before=$(lines)
	assert_equal "$(large_text 64 | save write "$MNT/public/notes/1.json")" 'write EFBIG close EFBIG'
	assert_contains "$(last_error)" 'public/notes/1.json: EFBIG: a row'"'"'s text may have 64 MiB'
	assert_contains "$(last_error)" 'not kept'
	assert_equal "$(($(lines) - before))" 1
	assert_equal "$(kept_texts)" 1
	assert_equal "$(sql 'SELECT note FROM notes WHERE id = 1')" 'note 1'
	# The handle that was cut off may begin anew.
	python3 - "$MNT/public/notes/1.json" <<-'END'
		import errno, os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
		os.write(fd, b'{"note": ')
		try:
		    os.pwrite(fd, b'"x"}', 64 << 20)
		    sys.exit("no error")
		except OSError as e:
		    assert e.errno == errno.EFBIG
		os.ftruncate(fd, 0)
		os.pwrite(fd, b'{"note": "note 1"}', 0)
		os.close(fd)
	END
}

@test "a new row over 64 MiB is no row, and leaves no empty file" {
	mount_rowfs
	assert_equal "$(large_text 64 | save insert "$MNT/public/notes/50.json")" 'write EFBIG close EFBIG'
	[[ ! -e $MNT/public/notes/50.json ]]
	assert_equal "$(kept_texts)" 0
}

@test "truncating a row beyond 64 MiB, by descriptor and by path, names the limit" {
	mount_rowfs
	fails_with 'File too large' truncate -s 100M "$MNT/public/notes/1.json"
	assert_contains "$(last_error)" '64 MiB'
	assert_equal "$(lines)" 1
	fails_with 'File too large' python3 -c 'import os, sys; os.truncate(sys.argv[1], 100 << 20)' \
		"$MNT/public/notes/1.json"
	assert_contains "$(last_error)" '64 MiB'
	assert_equal "$(lines) $(kept_texts)" "2 0"
}

@test "a temporary file over 64 MiB that is moved onto a row names the limit" {
	mount_rowfs
	large_text 64 >"$MNT/public/notes/large.tmp"
	fails_with 'File too large' mv "$MNT/public/notes/large.tmp" "$MNT/public/notes/1.json"
	assert_contains "$(last_error)" 'public/notes/1.json: EFBIG'
	assert_contains "$(last_error)" '64 MiB'
	assert_equal "$(lines)" 1
	[[ -e $MNT/public/notes/large.tmp ]]
	rm "$MNT/public/notes/large.tmp"
}

@test "a full spool says so once, and names scratch_max" {
	mount_rowfs mnt scratch_max=1M
	fails_with 'No space left' dd if=/dev/zero of="$MNT/public/notes/full.tmp" bs=64k count=64
	assert_contains "$(last_error)" 'public/notes/full.tmp: ENOSPC'
	assert_contains "$(last_error)" 'scratch_max=1M'
	assert_equal "$(lines)" 1
	# Who goes on writing is not told in the log again and again.
	python3 - "$MNT/public/notes/more.tmp" <<-'END'
		import os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
		for i in range(5):
		    try:
		        os.pwrite(fd, b"x" * 100000, i * 100000)
		        sys.exit("no error")
		    except OSError:
		        pass
	END
	assert_equal "$(lines)" 2
	fails_with 'No space left' truncate -s 2M "$MNT/public/notes/full.tmp"
	assert_contains "$(last_error)" 'scratch_max=1M'
	assert_equal "$(lines)" 3
	rm "$MNT/public/notes/full.tmp" "$MNT/public/notes/more.tmp"
}

@test "a name that the spool has no room for, and a byte far behind the end, name scratch_max" {
	mount_rowfs mnt scratch_max=10K
	cd "$MNT/public/notes"
	# One byte, but the hole before it counts.
	fails_with 'No space left' dd if=/dev/zero of=hole.tmp bs=1 count=1 seek=1M
	assert_contains "$(last_error)" 'public/notes/hole.tmp: ENOSPC'
	assert_contains "$(last_error)" 'scratch_max=10K'
	head -c 2000 /dev/zero >second.tmp
	assert_equal "$(lines)" 1
	for make in touch mkdir 'ln -s nowhere'; do
		fails_with 'No space left' $make third.tmp
		assert_contains "$(last_error)" 'public/notes/third.tmp: ENOSPC'
		assert_contains "$(last_error)" 'scratch_max=10K'
	done
	assert_equal "$(lines)" 4
	rm hole.tmp second.tmp
	cd "$TOP"
}

@test "a row that the spool has no room for stays where it is" {
	mount_rowfs mnt scratch_max=1K
	sql "UPDATE notes SET note = repeat('long ', 1000) WHERE id = 2"
	fails_with 'No space left' mv "$MNT/public/notes/2.json" "$MNT/public/notes/2.json~"
	assert_contains "$(last_error)" 'scratch_max=1K'
	assert_contains "$(cat "$MNT/public/notes/2.json")" 'long long'
	sql "UPDATE notes SET note = 'note 2' WHERE id = 2"
}

@test "open files that hold memory_max say so, and name it" {
	mount_rowfs mnt memory_max=1M
	assert_equal "$(large_text 2 | save write "$MNT/public/notes/1.json")" 'write ENOMEM close ENOMEM'
	assert_contains "$(last_error)" 'memory_max=1M'
	assert_equal "$(lines) $(kept_texts)" "1 0"
	sql "UPDATE notes SET note = repeat('x', 2000000) WHERE id = 3"
	fails_with 'Cannot allocate memory' cat "$MNT/public/notes/3.json"
	assert_contains "$(last_error)" 'memory_max=1M'
	# The text fits, but not a second time, for the edit.
	sql "UPDATE notes SET note = repeat('x', 700000) WHERE id = 3"
	fails_with 'Cannot allocate memory' dd if=/dev/null of="$MNT/public/notes/3.json" conv=notrunc
	assert_contains "$(last_error)" 'memory_max=1M'
	sql "UPDATE notes SET note = 'note 3' WHERE id = 3"
}

@test "a row over 64 MiB that came by SQL is listed, cannot be read, and can be removed" {
	mount_rowfs mnt consistency=strong
	sql "INSERT INTO notes VALUES (60, repeat('x', 70000000))"
	ls "$MNT/public/notes" | grep -qx 60.json
	fails_with 'File too large' stat "$MNT/public/notes/60.json"
	fails_with "60.json': File too large" ls -l "$MNT/public/notes"
	ls -l "$MNT/public/notes" 2>/dev/null | grep -q '^-?????????.*60.json'
	fails_with 'File too large' cat "$MNT/public/notes/60.json"
	assert_contains "$(last_error)" 'public/notes/60.json: EFBIG'
	assert_contains "$(last_error)" '64 MiB'
	rm "$MNT/public/notes/60.json"
	sql "INSERT INTO notes VALUES (61, repeat('x', 70000000))"
	assert_equal "$(save unlink "$MNT/public/notes/61.json")" ok
	assert_equal "$(sql 'SELECT count(*) FROM notes WHERE id >= 60')" 0
	fails_with 'No such file' stat "$MNT/public/notes/60.json"
}

@test "temporary files of a dropped table: the end says where they are, and promises nothing" {
	sql 'CREATE TABLE doomed (id int PRIMARY KEY)'
	mount_rowfs
	echo draft >"$MNT/public/doomed/draft.txt"
	oid=$(sql "SELECT 'doomed'::regclass::oid")
	sql 'DROP TABLE doomed'
	wait_until 10 test ! -e "$MNT/public/doomed"
	unmount "$MNT"
	wait_until 60 test -s "$HARNESS/mounts/mnt.exit"
	cat "$HARNESS/mounts/mnt.log" >&2
	grep -q "draft.txt.*$HARNESS/state/mnt/spool/[^/]*/$oid" "$HARNESS/mounts/mnt.log"
	lacks 'the next mount shows' "$HARNESS/mounts/mnt.log"
	mount_rowfs
	echo note >"$MNT/public/notes/note.txt"
	grep -q "no table.*draft.txt" "$HARNESS/mounts/mnt.log"
	unmount "$MNT"
	wait_until 60 test -s "$HARNESS/mounts/mnt.exit"
	grep 'the next mount shows' "$HARNESS/mounts/mnt.log" | grep -q 'note.txt'
	grep -q "draft.txt.*$HARNESS/state/mnt/spool/[^/]*/$oid" "$HARNESS/mounts/mnt.log"
}

# Names

@test "mv of a row onto a hidden name shows it at once" {
	mount_rowfs mnt detach_grace=60
	mv "$MNT/public/notes/4.json" "$MNT/public/notes/4.json~"
	[[ ! -e $MNT/public/notes/4.json ]]
	mv "$MNT/public/notes/5.json" "$MNT/public/notes/4.json"
	assert_contains "$(cat "$MNT/public/notes/4.json")" 'note 5'
	assert_equal "$(sql 'SELECT id, note FROM notes WHERE id IN (4, 5)')" '4|note 5'
	rm "$MNT/public/notes/4.json~"
	# The same where only a name that is free will do.
	mv "$MNT/public/notes/4.json" "$MNT/public/notes/4.json~"
	mv -n "$MNT/public/notes/6.json" "$MNT/public/notes/4.json"
	assert_contains "$(cat "$MNT/public/notes/4.json")" 'note 6'
	rm "$MNT/public/notes/4.json~"
	sql "DELETE FROM notes WHERE id = 4; INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(4, 6) AS n"
}

@test "whether a name is free is a question, and the answer no refusal" {
	mount_rowfs mnt detach_grace=60
	echo '{"note": "x"}' >"$MNT/public/notes/x.tmp"
	touch "$MNT/public/notes/70.json"
	# The kernel asks nobody about a name that it knows: this one is hidden.
	mv "$MNT/public/notes/4.json" "$MNT/public/notes/4.json~"
	python3 - "$MNT/public/notes" <<-'END'
		import ctypes, errno, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		os.chdir(sys.argv[1])
		for old, new in (("x.tmp", "1.json"), ("2.json", "1.json"), ("x.tmp", "70.json"), ("70.json", "4.json")):
		    r = libc.renameat2(-100, old.encode(), -100, new.encode(), 1)
		    assert r == -1 and ctypes.get_errno() == errno.EEXIST, (old, new, r)
	END
	assert_equal "$(lines)" 0
	mv "$MNT/public/notes/4.json~" "$MNT/public/notes/4.json"
	rm "$MNT/public/notes/x.tmp" "$MNT/public/notes/70.json"
}

# Shells do not report what close says

@test "a shell that redirects is told of a refusal, and saves with one UPDATE" {
	sql "CREATE TABLE told (id int PRIMARY KEY, note text CHECK (note <> 'bad')); INSERT INTO told VALUES (1, 'x')"
	mount_rowfs mnt consistency=strong
	row=$MNT/public/told/1.json
	for shell in bash dash; do
		for text in '{"note": "bad"}' '{"nothing": 1}' 'no row' '{"note": "x"} and more'; do
			kept=$(kept_texts)
			fails_with "write error" "$shell" -c 'echo "$1" >"$2"' - "$text" "$row" ||
				fails_with "I/O error" "$shell" -c 'echo "$1" >"$2"' - "$text" "$row"
			(($(kept_texts) > kept))
		done
		fails_with "cat: write error" "$shell" -c 'cat >"$1"' - "$row" <<<'{"note": "bad"}'
		fails_with "writing output failed" "$shell" -c 'jq -n "{note: \"bad\"}" >"$1"' - "$row"
		mark=$(log_mark)
		"$shell" -c '{ echo "{"; echo "\"note\": \"by $1\""; echo "}"; } >"$2"' - "$shell" "$row"
		assert_writes "$mark" UPDATE
		assert_equal "$(jq -r .note "$row")" "by $shell"
	done
}

@test "a text that is long for one write is told of, too" {
	sql "CREATE TABLE short (id int PRIMARY KEY, note text CHECK (length(note) < 1000)); INSERT INTO short VALUES (1, 'x')"
	mount_rowfs mnt consistency=strong
	kept=$(kept_texts)
	assert_equal "$(large_text 3 | save write "$MNT/public/short/1.json")" "write EPERM close EPERM"
	assert_equal "$(kept_texts)" $((kept + 1))
	cmp <(large_text 3) "$(find "$MNT/.rowfs/rejected" -name '*.json' -size +1M)"
}

# Triggers

@test "a trigger that returns OLD refuses like one that returns NULL" {
	mount_rowfs mnt consistency=strong
	for text in '{"email": "eve@example.org"}' '{"tags": ["b"]}' '{"doc": {"a": 1}}' \
		'{"email": null, "tags": null, "doc": null}'; do
		assert_equal "$(save write "$MNT/public/frozen/1.json" <<<"$text")" 'write EPERM close EPERM'
		assert_contains "$(last_error)" 'kept the row as it was'
	done
	for text in '{"email": "eve@example.org"}' '{"tags": [], "doc": {}}'; do
		assert_equal "$(save write "$MNT/public/frozen/2.json" <<<"$text")" 'write EPERM close EPERM'
	done
	assert_equal "$(sql 'SELECT * FROM frozen ORDER BY id' | paste -sd ' ')" '1|ada@example.org|{a}|{} 2|||'
}

@test "a trigger that makes something else of a value is no refusal" {
	mount_rowfs mnt consistency=strong
	mark=$(log_mark)
	assert_equal "$(save write "$MNT/public/lowered/1.json" <<<'{"email": "EVE@example.org"}')" ok
	assert_writes "$mark" UPDATE
	assert_equal "$(sql 'SELECT email FROM lowered')" eve@example.org
	# An INSTEAD OF trigger may do what was asked, and return anything.
	printf 'table "public.shown" { key = id }\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	mount_rowfs view "consistency=strong,config=$BATS_TEST_TMPDIR/rowfs.conf"
	assert_equal "$(save write "$MNT/public/shown/1.json" <<<'{"email": "ada@example.org"}')" ok
	assert_equal "$(sql 'SELECT email FROM lowered')" ada@example.org
}

# Words

@test "a row that somebody holds: the hint says what to do" {
	mount_rowfs
	psql -X -q 3>&- >/dev/null <<-SQL &
		BEGIN; UPDATE notes SET note = 'held' WHERE id = 7; SELECT pg_sleep(60);
	SQL
	holder=$!
	wait_until 10 grep -q t <(sql "SELECT 't' FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()") ||
		wait_until 10 grep -q t <(sql "SELECT 't' FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'")
	assert_equal "$(save write "$MNT/public/notes/7.json" <<<'{"note": "mine"}')" 'write EBUSY close EBUSY'
	assert_contains "$(last_error)" 'open transaction'
	assert_contains "$(last_error)" 'try again'
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
	wait "$holder" || true
}

@test "a grant on some columns: the ones that the save may not change are named" {
	mount_rowfs mnt "" "host=$PGHOST user=clerk dbname=things"
	assert_equal "$(save write "$MNT/public/notes/1.json" <<<'{"note": "x", "secret": "y"}')" 'write EACCES close EACCES'
	assert_contains "$(last_error)" 'column "secret"'
	lacks '"note"' <(last_error)
	assert_equal "$(save insert "$MNT/public/notes/80.json" <<<'{"note": "x", "secret": "y"}')" 'open EACCES' ||
		assert_contains "$(last_error)" 'column "secret"'
	assert_equal "$(jq -r .field <(tail -n 1 "$MNT/.rowfs/errors"))" secret
}

@test "a reserved name, and any name where there is no key, are refused for what they are" {
	mount_rowfs
	for name in 7.yaml 7.csv 7.tsv; do
		assert_equal "$(save insert "$MNT/public/notes/$name" <<<x)" 'open EINVAL'
		assert_contains "$(last_error)" reserved
	done
	assert_equal "$(save insert "$MNT/public/loose/7.json" <<<'{"n": 1}')" 'open EINVAL'
	assert_contains "$(last_error)" 'no key'
	lacks 'PostgreSQL would print' <(last_error)
	assert_equal "$(save insert "$MNT/public/notes/abc.json" <<<'{}')" 'open EINVAL'
	assert_contains "$(last_error)" 'no key that PostgreSQL would print'
}

@test "mv of a row to a name that is no key says that" {
	mount_rowfs
	assert_equal "$(save move "$MNT/public/notes/1.json" "$MNT/public/notes/abc.json")" 'rename EIO'
	assert_contains "$(last_error)" 'no key that PostgreSQL would print'
	assert_equal "$(save move "$MNT/public/notes/1.json" "$MNT/public/notes/1.yaml")" 'rename EIO'
	assert_contains "$(last_error)" reserved
}

@test "who renamed a file is not told to rename it" {
	mount_rowfs
	fails_with . cp "$MNT/public/notes/1.json" "$MNT/public/notes/90.json"
	assert_contains "$(last_error)" 'is the key'
	assert_contains "$(last_error)" 'eave the key out'
	lacks 'Rename' <(last_error)
	cp "$MNT/public/notes/1.json" "$MNT/public/notes/copy"
	fails_with . mv "$MNT/public/notes/copy" "$MNT/public/notes/2.json"
	assert_contains "$(last_error)" 'is the key'
	lacks 'Rename' <(last_error)
	rm "$MNT/public/notes/copy"
}

@test "a server that is gone: its two lines are joined by more than a blank" {
	mount_rowfs mnt consistency=strong
	cluster_stop "$HARNESS/postgres" immediate
	fails_with 'Input/output error' cat "$MNT/public/notes/1.json"
	wait_until 20 grep -q 'No such file or directory; Is the server running' "$MNT/.rowfs/last-error" || {
		fails_with . cat "$MNT/public/notes/1.json"
		assert_contains "$(last_error)" 'No such file or directory; Is the server running'
	}
	cluster_start "$HARNESS/postgres"
}

@test "once the server can be reached, no read tells of an old failure" {
	mount_rowfs mnt consistency=strong
	for _ in 1 2 3; do
		cluster_stop "$HARNESS/postgres" immediate
		for _ in {1..40}; do cat "$MNT/public/notes/1.json" 2>/dev/null && return 1; sleep 0.05; done
		cluster_start "$HARNESS/postgres"
		sql 'SELECT 1'
		grep -q note "$MNT/public/notes/1.json"
	done
}

@test "a report cannot be opened for writing, by root either" {
	mount_rowfs
	for report in status last-error errors last-insert; do
		assert_equal "$(save write "$MNT/.rowfs/$report" <<<x)" 'open EACCES'
		assert_equal "$(save truncate "$MNT/.rowfs/$report")" 'truncate EACCES'
	done
}

# Configuration

@test "a configuration that cannot mean anything is a warning at the mount" {
	cat >"$BATS_TEST_TMPDIR/rowfs.conf" <<-END
		table "public.notes" { key = nocol mtime = nocol }
		table "public.nosuch" { key = id }
		mtime = never
	END
	mount_rowfs mnt "config=$BATS_TEST_TMPDIR/rowfs.conf"
	log=$HARNESS/mounts/mnt.log
	assert_equal "$(grep -c 'warning.*"public.notes": key = nocol' "$log")" 1
	assert_equal "$(grep -c 'warning.*"public.notes": mtime = nocol' "$log")" 1
	assert_equal "$(grep -c 'warning.*"public.nosuch"' "$log")" 1
	assert_equal "$(grep -c 'warning.*mtime=never' "$log")" 1
	assert_contains "$(cat "$MNT/public/notes/1.json")" 'note 1'
	# A daemon says it before it leaves the terminal, and in its log.
	mkdir -p "$HARNESS/daemon"
	"$ROWFS" "$(source_string)" "$HARNESS/daemon" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- \
		-o "redis=none,state_dir=$HARNESS/state/daemon,log=$BATS_TEST_TMPDIR/log,config=$BATS_TEST_TMPDIR/rowfs.conf"
	unmount "$HARNESS/daemon"
	cat "$BATS_TEST_TMPDIR/stderr" >&2
	assert_equal "$(grep -c '^rowfs: warning: ' "$BATS_TEST_TMPDIR/stderr")" 4
	assert_equal "$(grep -c 'warning: ' "$BATS_TEST_TMPDIR/log")" 4
}

@test "memory_max below what a row needs is refused, with the smallest that is not" {
	fails_with 'memory_max=10: expected a size of at least 1M' "$ROWFS" "$(source_string)" "$HARNESS/point" -o memory_max=10
}
