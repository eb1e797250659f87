# What goes in wrong and what comes out: one clear line and an exit code when a mount cannot start; the
# designed errno, the reason, an untouched row and the kept text when a save is refused.

load ../lib/rowfs

setup_file() {
	harness_start
	psql -X -q -d postgres <<-SQL
		CREATE ROLE secret LOGIN PASSWORD 'correct horse';
		CREATE ROLE reader LOGIN;
		CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';
		CREATE DATABASE things TEMPLATE template0;
	SQL
	psql -X -q -d things -v ON_ERROR_STOP=1 <<-'SQL'
		CREATE TYPE colour AS ENUM ('red', 'green');
		CREATE TABLE owners (name text PRIMARY KEY);
		INSERT INTO owners VALUES ('ada'), ('bob');
		CREATE TABLE things (
			id int PRIMARY KEY,
			label varchar(20) NOT NULL,
			amount smallint CHECK (amount < 1000),
			owner text REFERENCES owners,
			code text UNIQUE,
			colour colour,
			period daterange,
			double_amount int GENERATED ALWAYS AS (amount * 2) STORED,
			EXCLUDE USING gist (period WITH &&));
		INSERT INTO things VALUES
			(1, 'one', 10, 'ada', 'A', 'red', '[2025-01-01,2025-02-01)'),
			(2, 'two', 20, NULL, 'B', NULL, '[2025-03-01,2025-04-01)');
		CREATE TABLE guarded (id int PRIMARY KEY, note text);
		INSERT INTO guarded VALUES (1, 'stays'), (2, 'stays too');
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF NEW.note = 'raise' THEN
					RAISE EXCEPTION 'the auditor says no' USING HINT = 'ask the auditor';
				END IF;
				RETURN NULL;
			END $$;
		CREATE TRIGGER refuse BEFORE UPDATE ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
		CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
		CREATE TRIGGER swallow BEFORE DELETE ON guarded FOR EACH ROW EXECUTE FUNCTION swallow();
		GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
	SQL
	mkdir "$HARNESS/point" "$HARNESS/mounts"
}

teardown_file() {
	harness_end
}

setup() {
	export PGDATABASE=things
	POINT=$HARNESS/point
}

teardown() {
	redis_stop "$HARNESS/locked"
	mounts_end
}

# Starting

# refuses_to_start EXIT_CODE PATTERN ARGUMENT...: one line on stderr that matches, that exit code, and
# nothing mounted.
refuses_to_start() {
	local code=$1 pattern=$2 status=0

	shift 2
	(
		sanitizer_options
		timeout 60 "$ROWFS" "$@"
	) >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- || status=$?
	cat "$BATS_TEST_TMPDIR/out" >&2
	assert_equal "$status" "$code"
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/out")" 1
	grep -qE -- "$pattern" "$BATS_TEST_TMPDIR/out"
	! is_mounted "$POINT"
}

with() {
	echo "redis=none,state_dir=$HARNESS/state/point${1:+,$1}"
}

@test "no arguments" {
	refuses_to_start 2 'rowfs SOURCE MOUNTPOINT'
}

@test "one argument" {
	refuses_to_start 2 'mount point' "$(source_string)"
}

@test "an unknown option, which was probably another" {
	refuses_to_start 2 'unknown option "schemas".*schema' "$(source_string)" "$POINT" -o "$(with schemas=x)"
}

@test "an option whose value is none" {
	refuses_to_start 2 'ttl=soon' "$(source_string)" "$POINT" -o "$(with ttl=soon)"
}

@test "a bad line in the configuration file is named by file and line" {
	printf '# rowfs\nttl = 1\n\ntable "public.things" {\n\tkee = id\n}\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	refuses_to_start 2 'rowfs.conf:5: .*kee' "$(source_string)" "$POINT" \
		-o "$(with "config=$BATS_TEST_TMPDIR/rowfs.conf")"
	printf 'ttl = 1\ntttl = 5\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	refuses_to_start 2 'rowfs.conf:2: .*tttl' "$(source_string)" "$POINT" \
		-o "$(with "config=$BATS_TEST_TMPDIR/rowfs.conf")"
}

@test "a configuration file that is not there" {
	refuses_to_start 2 'missing.conf' "$(source_string)" "$POINT" -o "$(with config=/missing.conf)"
}

@test "a configured key that names no column" {
	printf 'table "public.things" {\n\tkey = nothing\n}\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	mount_rowfs mnt "config=$BATS_TEST_TMPDIR/rowfs.conf"
	grep -q nothing "$HARNESS/mounts/mnt.log"
}

@test "a state directory where others may write, or of somebody else, with a link to lead root astray" {
	mkdir "$HARNESS/astray" "$HARNESS/shared"
	chmod 777 "$HARNESS/shared"
	refuses_to_start 2 'shared.*others may write' "$(source_string)" "$POINT" \
		-o "redis=none,state_dir=$HARNESS/shared"
	chmod 700 "$HARNESS/shared"
	if ((EUID == 0)); then
		chown nobody "$HARNESS/shared"
		refuses_to_start 2 'shared.*somebody else' "$(source_string)" "$POINT" \
			-o "redis=none,state_dir=$HARNESS/shared"
		chown root "$HARNESS/shared"
	fi
	for name in rejected spool; do
		rm -rf "$HARNESS/shared/$name"
		ln -s "$HARNESS/astray" "$HARNESS/shared/$name"
		refuses_to_start 14 "shared/$name" "$(source_string)" "$POINT" -o "redis=none,state_dir=$HARNESS/shared"
		rm "$HARNESS/shared/$name"
	done
	assert_equal "$(ls -A "$HARNESS/astray")" ""
}

@test "a mount point that does not exist" {
	refuses_to_start 10 'does not exist' "$(source_string)" "$HARNESS/nowhere" -o "$(with)"
}

@test "a mount point that is a file" {
	touch "$BATS_TEST_TMPDIR/file"
	refuses_to_start 10 'not a directory' "$(source_string)" "$BATS_TEST_TMPDIR/file" -o "$(with)"
}

@test "a mount point that is not empty" {
	mkdir "$BATS_TEST_TMPDIR/full"
	touch "$BATS_TEST_TMPDIR/full/file"
	refuses_to_start 10 'not empty' "$(source_string)" "$BATS_TEST_TMPDIR/full" -o "$(with)"
}

@test "a mount point that is already mounted" {
	mount_rowfs
	refuses_to_start 10 'mounted.*already' "$(source_string)" "$MNT" -o "$(with)"
	is_mounted "$MNT"
	grep -q one "$MNT/public/things/1.json"
}

@test "no server" {
	refuses_to_start 11 '.' "host=$HARNESS/nothing dbname=things user=postgres" "$POINT" -o "$(with)"
}

@test "a connection string that is none" {
	refuses_to_start 11 '.' "host=$PGHOST nonsense=1" "$POINT" -o "$(with)"
}

@test "an unknown database" {
	refuses_to_start 11 'nothing' "host=$PGHOST user=postgres dbname=nothing" "$POINT" -o "$(with)"
}

@test "schema= that names no schema, or one that the role may not use" {
	refuses_to_start 11 'schema=nosuch: .*no schema of this name' "$(source_string)" "$POINT" \
		-o "$(with schema=nosuch)"
	psql -X -q -d things -c 'CREATE SCHEMA IF NOT EXISTS hidden'
	refuses_to_start 11 'schema=hidden: .*may use' "host=$PGHOST user=reader dbname=things" "$POINT" \
		-o "$(with schema=hidden)"
}

@test "an SQL_ASCII database" {
	refuses_to_start 11 'SQL_ASCII' "host=$PGHOST user=postgres dbname=ascii" "$POINT" -o "$(with)"
}

@test "a wrong password, and none, which are not repeated" {
	refuses_to_start 12 'password' "host=$PGHOST user=secret password=battery dbname=things" "$POINT" -o "$(with)"
	lacks battery "$BATS_TEST_TMPDIR/out"
	refuses_to_start 12 'password' "host=$PGHOST user=secret dbname=things" "$POINT" -o "$(with)"
}

@test "an unknown role" {
	refuses_to_start 12 'nobody_here' "host=$PGHOST user=nobody_here dbname=things" "$POINT" -o "$(with)"
}

@test "Redis that refuses the password" {
	redis_start "$HARNESS/locked" --requirepass sesame
	refuses_to_start 13 'Redis' "$(source_string)" "$POINT" \
		-o "state_dir=$HARNESS/state/point,redis=unix:$HARNESS/locked/redis.sock"
	echo wrong >"$BATS_TEST_TMPDIR/passfile"
	chmod 600 "$BATS_TEST_TMPDIR/passfile"
	refuses_to_start 13 'Redis' "$(source_string)" "$POINT" \
		-o "state_dir=$HARNESS/state/point,redis=unix:$HARNESS/locked/redis.sock,redis_passfile=$BATS_TEST_TMPDIR/passfile"
	lacks wrong "$BATS_TEST_TMPDIR/out"
	echo sesame >"$BATS_TEST_TMPDIR/passfile"
	mount_rowfs mnt "redis=unix:$HARNESS/locked/redis.sock,redis_passfile=$BATS_TEST_TMPDIR/passfile"
	grep -q one "$MNT/public/things/1.json"
}

@test "no Redis is a warning, and an error with redis_required" {
	refuses_to_start 13 'Redis' "$(source_string)" "$POINT" \
		-o "state_dir=$HARNESS/state/point,redis=unix:$HARNESS/none.sock,redis_required"
	mount_rowfs mnt "redis=unix:$HARNESS/none.sock"
	grep -q 'warning.*Redis' "$HARNESS/mounts/mnt.log"
	grep -q one "$MNT/public/things/1.json"
}

@test "no /dev/fuse" {
	((EUID == 0)) || skip "needs root to hide the device"
	refuses_without_device() {
		unshare -m bash -c '
			mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 &&
			exec "$@"' - "$ROWFS" "$@"
	}
	status=0
	refuses_without_device "$(source_string)" "$POINT" -o "$(with)" >"$BATS_TEST_TMPDIR/out" 2>&1 || status=$?
	assert_equal "$status" 14
	assert_equal "$(wc -l <"$BATS_TEST_TMPDIR/out")" 1
	assert_contains "$(cat "$BATS_TEST_TMPDIR/out")" /dev/fuse
}

# Saving

save() {
	python3 "$TOP/tests/lib/save.py" "$@"
}

# refused EXPECTED REASON HOW FILE TEXT: saving TEXT fails as this pattern says; last-error gives the
# reason; no row anywhere has changed; the text is kept.
refused() {
	local expected=$1 reason=$2 how=$3 file=$4 text=$5 kept answer

	database_rows >"$BATS_TEST_TMPDIR/before"
	printf '%s' "$text" >"$BATS_TEST_TMPDIR/text"
	kept=$(kept_texts)
	answer=$(save "$how" "$MNT/public/$file" <"$BATS_TEST_TMPDIR/text")
	[[ $answer =~ ^$expected$ ]] || assert_equal "$answer" "$expected"
	last_error >&2
	[[ $(last_error) =~ $reason ]]
	assert_contains "$(last_error)" "public/$file"
	assert_equal "$(rows_changed "$BATS_TEST_TMPDIR/before")" ""
	(($(kept_texts) > kept))
	cmp "$BATS_TEST_TMPDIR/text" "$(newest_kept)"
}

kept_texts() {
	find "$MNT/.rowfs/rejected" "$MNT/.rowfs/conflicts" -type f -name "*.json" | wc -l
}

# Their names begin with the time and a number.
newest_kept() {
	find "$MNT/.rowfs/rejected" "$MNT/.rowfs/conflicts" -type f -name "*.json" -printf '%f/%p\n' |
		LC_ALL=C sort | tail -n 1 | cut -d / -f 2-
}

# by_close ERRNO …: close says so at the latest; a write may have said it before.
by_close() {
	local errno=$1

	shift
	refused "(write $errno )?close $errno" "$@"
}

@test "broken JSON" {
	mount_rowfs
	by_close EINVAL 'line 1, column' write things/1.json '{"label": oops}'
	by_close EINVAL 'line 2, column' write things/1.json $'{\n  "label": "x",,\n}'
	by_close EINVAL '.' write things/1.json 'not a row'
	by_close EINVAL '.' write things/1.json '[1, 2]'
	by_close EINVAL '.' write things/1.json '{"label": "x"} and more'
}

@test "JSON that stops in the middle" {
	mount_rowfs
	refused "close EINVAL" '.' write things/1.json '{"label": "x"'
}

@test "a top-level key twice" {
	mount_rowfs
	by_close EINVAL 'line 3, column.*label' write things/1.json $'{\n"label": "x",\n"label": "y"}'
}

@test "an unknown column" {
	mount_rowfs
	by_close EINVAL 'line 2, column.*lable' write things/1.json $'{\n"lable": "x"}'
}

@test "a value of the wrong type" {
	mount_rowfs
	by_close EINVAL 'amount' write things/1.json '{"amount": "many"}'
	by_close EINVAL 'amount' write things/1.json '{"amount": {"a": 1}}'
	by_close EINVAL 'amount' write things/1.json '{"amount": 1.5}'
	by_close EINVAL 'colour' write things/1.json '{"colour": "blue"}'
	by_close EINVAL '.' write things/1.json '{"period": "[2025-13-01,)"}'
}

@test "a number out of range, a text too long" {
	mount_rowfs
	by_close EINVAL 'amount' write things/1.json '{"amount": 99999}'
	by_close EINVAL '22001' write things/1.json '{"label": "a label of more than twenty letters"}'
}

@test "NUL in a string, a lone surrogate, invalid UTF-8" {
	mount_rowfs
	by_close EINVAL 'line 1, column' write things/1.json '{"label": "a\u0000b"}'
	by_close EINVAL 'line 1, column' write things/1.json '{"label": "a\ud800b"}'
	by_close EINVAL 'line 1, column' write things/1.json $'{"label": "a\xffb"}'
}

@test "a key that does not match the name" {
	mount_rowfs
	by_close EINVAL 'id' write things/1.json '{"id": 2, "label": "x"}'
	by_close EINVAL 'id' insert things/3.json '{"id": 4, "label": "x"}'
	[[ ! -e $MNT/public/things/3.json ]]
}

@test "a generated column that was changed, and one that was not" {
	mount_rowfs
	by_close EINVAL 'double_amount' write things/1.json '{"double_amount": 21}'
	assert_equal "$(save write "$MNT/public/things/1.json" <<<'{"double_amount": 20, "label": "one"}')" ok
	# The same of a row that there shall be.
	by_close EINVAL 'a generated column would not be what the text says' insert things/3.json \
		'{"label": "x", "amount": 4, "double_amount": 9}'
	assert_contains "$(tail -n 1 "$MNT/.rowfs/errors")" '"field": "double_amount"'
	assert_equal "$(save insert "$MNT/public/things/3.json" <<<'{"label": "x", "amount": 4, "double_amount": 8}')" ok
	assert_equal "$(save write "$MNT/public/things/.new.json" <<<'{"id": 4, "label": "x", "amount": 4, "double_amount": 8}')" ok
	sql "DELETE FROM things WHERE id IN (3, 4)"
}

@test "constraints: not null, foreign key, check, exclusion" {
	mount_rowfs
	by_close EPERM 23502 write things/1.json '{"label": null}'
	by_close EPERM 23503 write things/1.json '{"owner": "eve"}'
	by_close EPERM 23514 write things/1.json '{"amount": 1000}'
	by_close EPERM 23P01 write things/1.json '{"period": "[2025-03-05,2025-03-06)"}'
	by_close EPERM 23502 insert things/3.json '{"amount": 1}'
}

@test "a value that another row has" {
	mount_rowfs
	by_close EEXIST 23505 write things/1.json '{"code": "B"}'
}

@test "a trigger that raises, and one that swallows" {
	mount_rowfs
	by_close EPERM 'P0001' write guarded/1.json '{"note": "raise"}'
	assert_contains "$(last_error)" 'the auditor says no'
	assert_contains "$(last_error)" 'ask the auditor'
	by_close EPERM '.' write guarded/1.json '{"note": "quietly"}'
}

@test "the same refusals by fsync and by rename say EIO, since editors and mv misread EINVAL" {
	mount_rowfs
	refused "fsync EIO close (EIO|EINVAL)" 'amount' fsync things/1.json '{"amount": "many"}'
	refused "rename EIO" 'amount' rename things/1.json '{"amount": "many"}'
	refused "rename EPERM" 23514 rename things/1.json '{"amount": 1000}'
}

@test "no grant" {
	mount_rowfs mnt "" "host=$PGHOST user=reader dbname=things"
	assert_equal "$(stat -c %A "$MNT/public/things/1.json")" -r--------
	if ((EUID == 0)); then
		# The kernel lets root pass; PostgreSQL does not.
		by_close EACCES '42501|read-only' write things/1.json '{"amount": 3}'
		assert_equal "$(save unlink "$MNT/public/things/1.json")" 'unlink EACCES'
	else
		assert_equal "$(save write "$MNT/public/things/1.json" <<<'{"amount": 3}')" 'open EACCES'
	fi
}

@test "a read-only mount" {
	mount_rowfs mnt ro
	assert_equal "$(save write "$MNT/public/things/1.json" <<<'{"amount": 3}')" 'open EROFS'
	assert_equal "$(save unlink "$MNT/public/things/1.json")" 'unlink EROFS'
	assert_equal "$(save insert "$MNT/public/things/3.json" <<<'{"label": "x"}')" 'open EROFS'
	grep -q one "$MNT/public/things/1.json"
}

@test "a server that only reads" {
	mount_rowfs mnt "" "$(source_string) options='-c default_transaction_read_only=on'"
	by_close EROFS 25006 write things/1.json '{"amount": 3}'
}

@test "somebody else changed the same column" {
	mount_rowfs mnt consistency=strong
	kept=$(kept_texts)
	answer=$(python3 - "$MNT/public/things/2.json" <<-'END'
		import errno, subprocess, sys
		try:
		    with open(sys.argv[1], "r+") as f:
		        text = f.read()
		        subprocess.run(["psql", "-Xqc", "UPDATE things SET label = 'theirs' WHERE id = 2"], check=True)
		        f.seek(0); f.truncate(); f.write(text.replace('"two"', '"ours"'))
		    print("ok")
		except OSError as e:
		    print(errno.errorcode[e.errno])
	END
	)
	assert_equal "$answer" ESTALE
	assert_equal "$(sql 'SELECT label FROM things WHERE id = 2')" theirs
	assert_contains "$(last_error)" label
	(($(kept_texts) > kept))
	grep -q ours "$(newest_kept)"
	sql "UPDATE things SET label = 'two' WHERE id = 2"
}

@test "somebody else changed another column: both changes stay" {
	mount_rowfs mnt consistency=strong
	python3 - "$MNT/public/things/2.json" <<-'END'
		import subprocess, sys
		with open(sys.argv[1], "r+") as f:
		    text = f.read()
		    subprocess.run(["psql", "-Xqc", "UPDATE things SET amount = 21 WHERE id = 2"], check=True)
		    f.seek(0); f.truncate(); f.write(text.replace('"two"', '"ours"'))
	END
	assert_equal "$(sql 'SELECT label, amount FROM things WHERE id = 2')" 'ours|21'
	sql "UPDATE things SET label = 'two', amount = 20 WHERE id = 2"
}

@test "somebody else changed another column of a view between two saves of one handle" {
	sql 'CREATE VIEW seen AS SELECT id, label, amount FROM things'
	printf 'table "public.seen" {\n\tkey = id\n}\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	mount_rowfs mnt "config=$BATS_TEST_TMPDIR/rowfs.conf"
	python3 - "$MNT/public" <<-'END'
		import os, subprocess, sys
		def sql(text):
		    subprocess.run(["psql", "-Xqc", text], check=True)
		fd = os.open(sys.argv[1] + "/seen/2.json", os.O_RDWR)
		text = os.read(fd, 10000)
		os.pwrite(fd, text.replace(b'"two"', b'"our"'), 0); os.fsync(fd)
		sql("UPDATE things SET amount = 21 WHERE id = 2")
		os.pwrite(fd, text.replace(b'"two"', b'"ten"'), 0); os.fsync(fd)
		os.close(fd)
		fd = os.open(sys.argv[1] + "/things/9.json", os.O_RDWR | os.O_CREAT)
		os.pwrite(fd, b'{"label": "nine", "amount": 9}', 0); os.fsync(fd)
		sql("UPDATE things SET amount = 99 WHERE id = 9")
		os.pwrite(fd, b'{"label": "neun", "amount": 9}', 0); os.fsync(fd)
		os.close(fd)
	END
	assert_equal "$(sql 'SELECT label, amount FROM things WHERE id = 2')" 'ten|21'
	assert_equal "$(sql 'SELECT label, amount FROM things WHERE id = 9')" 'neun|99'
	sql "DROP VIEW seen; DELETE FROM things WHERE id = 9; UPDATE things SET label = 'two', amount = 20 WHERE id = 2"
}

@test "a copy in Redis that is older than what a save replaces" {
	mount_rowfs mnt ttl=20,admit=first
	sql "INSERT INTO things VALUES (8, 'first', 1)"
	cat "$MNT/public/things/8.json" >/dev/null
	sql "UPDATE things SET label = 'changed' WHERE id = 8"
	echo '{"label": "first"}' | tee "$MNT/public/things/8.json" >/dev/null
	assert_equal "$(sql 'SELECT label FROM things WHERE id = 8')" first
	cat "$MNT/public/things/8.json" >/dev/null
	sql 'DELETE FROM things WHERE id = 8'
	echo '{"id": 8, "label": "second"}' | tee "$MNT/public/things/.new.json" >/dev/null
	assert_contains "$(cat "$MNT/public/things/8.json")" second
	sql 'DELETE FROM things WHERE id = 8'
}

@test "two handles on a file that was new to both: the second is told" {
	mount_rowfs
	kept=$(kept_texts)
	answer=$(python3 - "$MNT/public/things/9.json" <<-'END'
		import errno, os, sys
		first = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
		second = os.open(sys.argv[1], os.O_WRONLY)
		os.write(first, b'{"label": "first"}')
		try:
		    os.write(second, b'{"label": "second"}')
		    print("ok")
		except OSError as e:
		    print(errno.errorcode[e.errno])
	END
	)
	assert_equal "$answer" EEXIST
	assert_equal "$(sql 'SELECT label FROM things WHERE id = 9')" first
	(($(kept_texts) > kept))
	grep -q second "$(newest_kept)"
	sql 'DELETE FROM things WHERE id = 9'
}

@test "somebody else deleted the row" {
	mount_rowfs mnt consistency=strong
	sql "INSERT INTO things VALUES (9, 'nine')"
	answer=$(python3 - "$MNT/public/things/9.json" <<-'END'
		import errno, os, subprocess, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		os.read(fd, 10000)
		subprocess.run(["psql", "-Xqc", "DELETE FROM things WHERE id = 9"], check=True)
		try:
		    os.ftruncate(fd, 0); os.pwrite(fd, b'{"label": "back"}', 0); os.fsync(fd)
		    print("ok")
		except OSError as e:
		    print(errno.errorcode[e.errno])
	END
	)
	assert_equal "$answer" ESTALE
	assert_equal "$(sql 'SELECT count(*) FROM things WHERE id = 9')" 0
}

@test "deleting a row that another one needs, and one that a trigger keeps" {
	mount_rowfs
	assert_equal "$(save unlink "$MNT/public/owners/ada.json")" 'unlink EPERM'
	assert_contains "$(last_error)" 23503
	assert_equal "$(save unlink "$MNT/public/guarded/1.json")" 'unlink EPERM'
	assert_equal "$(sql 'SELECT (SELECT count(*) FROM owners), (SELECT count(*) FROM guarded)')" '2|2'
	[[ -e $MNT/public/owners/ada.json && -e $MNT/public/guarded/1.json ]]
}

@test "a configured key that several rows share: none of them is changed" {
	sql 'CREATE VIEW shared AS SELECT amount / amount AS one, id, label FROM things'
	printf 'table "public.shared" {\n\tkey = one\n}\n' >"$BATS_TEST_TMPDIR/rowfs.conf"
	mount_rowfs mnt "config=$BATS_TEST_TMPDIR/rowfs.conf"
	by_close EPERM '2 rows have this key.*key = ' write shared/1.json '{"label": "all"}'
	refused 'rename EPERM' '2 rows have this key' rename shared/1.json '{"label": "all"}'
	fails_with 'Operation not permitted' rm "$MNT/public/shared/1.json"
	assert_equal "$(sql 'SELECT count(*) FROM things')" 2
	assert_equal "$(sql "SELECT count(*) FROM things WHERE label = 'all'")" 0
	sql 'DELETE FROM things WHERE id = 2'
	echo '{"label": "single"}' | tee "$MNT/public/shared/1.json" >/dev/null
	assert_equal "$(sql 'SELECT label FROM things')" single
	sql "UPDATE things SET label = 'one'; DROP VIEW shared;
		INSERT INTO things VALUES (2, 'two', 20, NULL, 'B', NULL, '[2025-03-01,2025-04-01)')"
}

@test "names that can be no key" {
	mount_rowfs
	assert_equal "$(save insert "$MNT/public/things/abc.json" <<<'{"label": "x"}')" 'open EINVAL'
	assert_equal "$(save insert "$MNT/public/things/007.json" <<<'{"label": "x"}')" 'open EINVAL'
	assert_equal "$(save insert "$MNT/public/things/7.yaml" <<<'label: x')" 'open EINVAL'
	assert_equal "$(sql 'SELECT count(*) FROM things')" 2
}

@test "directories, links and nodes cannot be made where only rows can be" {
	mount_rowfs
	assert_equal "$(save mkdir "$MNT/newschema")" 'mkdir EPERM'
	assert_equal "$(save mkdir "$MNT/public/newtable")" 'mkdir EPERM'
	assert_equal "$(save rmdir "$MNT/public/things")" 'rmdir EPERM'
	assert_equal "$(save link "$MNT/public/things/1.json" "$MNT/public/things/3.json")" 'link EPERM'
	assert_equal "$(save mknod "$MNT/public/things/3.json")" 'mknod EPERM'
	assert_equal "$(save move "$MNT/public/owners/bob.json" "$MNT/public/things/3.json")" 'rename EXDEV'
}

@test "last-error and errors are JSON and text that tell the same" {
	mount_rowfs
	by_close EPERM 23514 write things/1.json '{"amount": 1000}'
	assert_equal "$(tail -n 1 "$MNT/.rowfs/errors" | jq -r '.errno, .sqlstate, .path' | paste -sd ' ')" \
		"EPERM 23514 public/things/1.json"
	assert_equal "$(last_error | wc -l)" 1
}
