# Tables and keys at the edge: no key, views, partitions, inheritance, identity, domains, keys that compare equal, names that
# are cut, 1,600 columns, large values. What is refused says why and changes no row.

load ../lib/rowfs

setup_file() {
	harness_start
	psql -X -q -d postgres -c 'CREATE DATABASE edges TEMPLATE template0'
	psql -X -q -d edges -v ON_ERROR_STOP=1 -o /dev/null -f "$TOP/tests/lib/edges.sql"
}

teardown_file() {
	harness_end
}

setup() {
	database_new edges
	note_rows
}

teardown() {
	mounts_end
}

save() {
	python3 "$TOP/tests/lib/save.py" "$@"
}

note_rows() {
	ROWS=$(sql 'SELECT everything()')
}

# How many refusals were told, into $TOLD.
count_told() {
	local lines

	mapfile -t lines <"$MNT/.rowfs/errors"
	TOLD=${#lines[@]}
}

# refused ANSWER REASON HOW FILE [TEXT [FILE]]: this save fails so, and the reason is told (both are patterns); no row of any
# table is another than after what was saved last.
refused() {
	local answer=$1 reason=$2 how=$3 file=$MNT/public/$4 found told

	count_told
	told=$TOLD
	found=$(save "$how" "$file" ${6:+"$MNT/public/$6"} <<<"${5:-}")
	[[ $found =~ ^($answer)$ ]] || assert_equal "$found" "$answer"
	count_told
	((TOLD > told))
	[[ $(last_error) =~ $reason ]] || assert_equal "$(last_error)" "$reason"
	assert_equal "$(sql 'SELECT everything()')" "$ROWS"
}

# saved HOW FILE [TEXT [FILE]]
saved() {
	local found

	found=$(save "$1" "$MNT/public/$2" ${4:+"$MNT/public/$4"} <<<"${3:-}")
	assert_equal "$found" ok || {
		last_error >&2
		return 1
	}
	note_rows
}

# The files of a table in one line.
listed() {
	LC_ALL=C ls "$MNT/public/$1" | paste -sd ' '
}

configure() {
	local view

	for view; do
		printf 'table "public.%s" { key = id }\n' "$view"
	done >"$BATS_TEST_TMPDIR/rowfs.conf"
	mount_rowfs mnt "config=$BATS_TEST_TMPDIR/rowfs.conf"
}

# Tables and views

@test "a table without a key can be read; every change is refused, and told what the table wants" {
	mount_rowfs
	for row in heap/'(0%2C1)' nullable/'(0%2C1)' heap_parted/"$(sql "SELECT 'heap_low'::regclass::oid"),(0%2C1)"; do
		assert_contains "$(cat "$MNT/public/$row.json")" '"value": 1'
		refused 'write EACCES close EACCES' 'no key.*primary key' write "$row.json" '{"value": 7}'
		refused 'rename EACCES' 'no key.*primary key' rename "$row.json" '{"value": 7}'
		refused 'unlink EACCES' 'no key.*primary key' unlink "$row.json"
		refused 'rename EIO' 'no key.*primary key' move "$row.json" '' "${row%/*}/7.json"
		refused 'write EACCES close EACCES' 'no key.*primary key' write "${row%/*}/.new.json" '{"value": 7}'
	done
	unmount_rowfs
	mount_rowfs mnt ro
	assert_equal "$(save write "$MNT/public/heap/(0%2C1).json" <<<'{"value": 7}')" 'open EROFS'
	assert_equal "$(save unlink "$MNT/public/heap/(0%2C1).json")" 'unlink EROFS'
}

@test "a view that PostgreSQL can update: what it refuses is told" {
	configure updatable
	saved write updatable/1.json '{"note": "saved"}'
	saved insert updatable/7.json '{"value": 7}'
	saved unlink updatable/2.json
	assert_equal "$(sql 'SELECT id, value, note FROM base ORDER BY 1' | paste -sd ' ')" '1|10|saved 3|30|three 7|7|'
	refused 'write EPERM close EPERM' '44000' write updatable/1.json '{"value": 700}'
	refused 'write EPERM close EPERM' '44000' insert updatable/8.json '{"value": 800}'
	refused 'write ENOTSUP close ENOTSUP' 'cannot update column "twice" of view' write updatable/1.json '{"twice": 2}'
	assert_equal "$(save write "$MNT/public/updatable/1.json" <<<'{"twice": 20, "value": 11}')" ok
	assert_contains "$(cat "$MNT/public/updatable/1.json")" '"twice": 22'
}

@test "a view with INSTEAD OF triggers is changed by them, and one without says that it wants some" {
	configure triggered fixed
	saved write triggered/1.json '{"value": 11}'
	saved rename triggered/1.json '{"value": 12}'
	saved insert triggered/7.json '{"value": 7}'
	saved unlink triggered/2.json
	assert_equal "$(sql 'SELECT id, value FROM base ORDER BY 1' | paste -sd ' ')" '1|12 3|30 7|7'
	refused 'write EPERM close EPERM' 'the trigger says no' write triggered/1.json '{"value": 13}'
	refused 'write ENOTSUP close ENOTSUP' 'cannot update view "fixed".*INSTEAD OF UPDATE' write fixed/1.json '{"value": 8}'
	refused 'rename ENOTSUP' 'cannot update view "fixed".*INSTEAD OF UPDATE' rename fixed/1.json '{"value": 8}'
	refused 'write ENOTSUP close ENOTSUP' 'cannot insert into view "fixed".*INSTEAD OF INSERT' insert fixed/9.json '{"value": 9}'
	refused 'unlink ENOTSUP' 'cannot delete from view "fixed".*INSTEAD OF DELETE' unlink fixed/1.json
	refused 'rename ENOTSUP' 'cannot update view "fixed".*INSTEAD OF UPDATE' move fixed/1.json '' fixed/9.json
}

@test "a save that moves the row to another partition: the name stays, and it is one row" {
	configure shelves
	python3 - "$MNT/public/shelves/1.json" <<-'END'
		import os, re, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		text = os.read(fd, 10000)
		for shelf in 15, 2, 12:
		    os.ftruncate(fd, 0)
		    os.pwrite(fd, re.sub(rb'"shelf": \d+', b'"shelf": %d' % shelf, text), 0)
		    os.fsync(fd)
		os.close(fd)
	END
	assert_equal "$(sql 'SELECT tableoid::regclass, * FROM shelf')" 'shelf_high|1|12|one'
	assert_equal "$(listed shelves)" 1.json
	sed -i 's/"shelf": 12/"shelf": 3/; s/one/uno/' "$MNT/public/shelves/1.json"
	assert_equal "$(sql 'SELECT tableoid::regclass, * FROM shelf')" 'shelf_low|1|3|uno'
	assert_contains "$(cat "$MNT/public/shelves/1.json")" '"shelf": 3'
	note_rows
	refused 'write EPERM close EPERM' 'no partition of relation "shelf"' write shelves/1.json '{"shelf": 99}'
	# Where the partition is of the key, mv does it.
	saved move parted/1,n.json '' parted/1,s.json
	assert_equal "$(sql 'SELECT tableoid::regclass, * FROM parted')" 'parted_s|1|s|1'
	refused 'rename EPERM' 'no partition of relation "parted"' move parted/1,s.json '' parted/1,w.json
	assert_equal "$(listed parted)" 1,s.json
}

@test "a parent and its child have each their own row of one key" {
	mount_rowfs
	saved write parent/1.json '{"value": 11}'
	saved rename child/1.json '{"value": 12}'
	assert_equal "$(sql 'SELECT tableoid::regclass, id, value FROM parent ORDER BY 1' | paste -sd ' ')" 'parent|1|11 child|1|12'
	saved move parent/1.json '' parent/5.json
	saved insert parent/2.json '{"value": 2}'
	saved unlink child/1.json
	assert_equal "$(listed parent)/$(listed child)" '2.json 5.json/'
	assert_equal "$(sql 'SELECT tableoid::regclass, id, value FROM parent ORDER BY 2' | paste -sd ' ')" 'parent|2|2 parent|5|11'
}

@test "identity columns: ALWAYS is not to be updated, and may be given at the beginning" {
	mount_rowfs
	refused 'write EINVAL close EINVAL' 'column "n" can only be updated to DEFAULT.*428C9' write always/1.json '{"n": 5}'
	refused 'fsync EIO close (EIO|EINVAL)' 'column "n"' fsync always/1.json '{"n": 5}'
	refused 'rename EIO' 'column "id" can only be updated to DEFAULT' move always/1.json '' always/9.json
	saved write always/1.json '{"n": 1, "v": "same n"}'
	saved insert always/50.json '{"n": 51, "v": "given"}'
	saved insert always/60.json '{"v": "not given"}'
	saved write always/.new.json '{"v": "new"}'
	assert_equal "$(cat "$MNT/.rowfs/last-insert")" public/always/2.json
	saved move always/50.json '' always/60.json
	assert_equal "$(sql 'SELECT * FROM always ORDER BY 1' | paste -sd ' ')" '1|1|same n 2|3|new 60|2|given'
	saved write by_default/1.json '{"n": 5}'
	saved move by_default/1.json '' by_default/9.json
	saved insert by_default/7.json '{"n": 70}'
	assert_equal "$(sql 'SELECT * FROM by_default ORDER BY 1' | paste -sd ' ')" '7|70 9|5'
}

@test "a domain's check is named, in a value, in an array, and in a key" {
	mount_rowfs
	refused 'write EPERM close EPERM' 'domain code.*"code_is_upper".*23514' write domains/1.json '{"c": "b"}'
	refused 'write EPERM close EPERM' 'domain code does not allow null.*23502' write domains/1.json '{"c": null}'
	refused 'write EPERM close EPERM' 'domain positive.*"positive_check"' write domains/1.json '{"ps": [1, -1]}'
	refused 'rename EPERM' 'domain positive.*"positive_check"' rename domains/1.json '{"ps": [1, -1]}'
	refused 'write EPERM close EPERM' 'domain positive.*"positive_check"' insert domains/-7.json '{"c": "C"}'
	refused 'rename EPERM' 'domain positive.*"positive_check"' move domains/1.json '' domains/-1.json
	refused 'write EINVAL close EINVAL' 'column "ps"' write domains/1.json '{"ps": ["many"]}'
	fails_with 'No such file' cat "$MNT/public/domains/-7.json"
}

# Keys

# another TABLE NAME OTHER: the row is NAME; OTHER is another spelling of its key, is no file, takes nobody's place, and is
# what the row is called after mv.
another() {
	local table=$1 name=$2 other=$3

	assert_equal "$(listed "$table")" "$name.json"
	fails_with 'No such file' cat "$MNT/public/$table/$other.json"
	fails_with 'No such file' rm "$MNT/public/$table/$other.json"
	refused 'write EEXIST close EEXIST' 23505 insert "$table/$other.json" '{"v": 2}'
	refused 'rename EEXIST' 23505 rename "$table/$other.json" '{"v": 2}'
	refused 'write EEXIST close EEXIST' 23505 write "$table/.new.json" "{\"k\": \"$other\", \"v\": 2}"
	refused 'write EINVAL close EINVAL' 'is the key' write "$table/$name.json" "{\"k\": \"${4:-x}\", \"v\": 2}"
	saved move "$table/$name.json" '' "$table/$other.json"
	assert_equal "$(listed "$table")" "$other.json"
	fails_with 'No such file' cat "$MNT/public/$table/$name.json"
	saved write "$table/$other.json" '{"v": 3}'
	saved rename "$table/$other.json" '{"v": 4}'
	assert_equal "$(sql "SELECT k, v FROM \"$table\"")" "$other|4"
}

@test "keys that compare equal: one spelling is the row's file, and no other becomes another row" {
	mount_rowfs
	another case_key Foo foo foo
	another loose_key Straße STRASSE STRASSE
	another numeric_key 1.0 1.00 2
	another float_key -0 0 0
}

@test "a key that PostgreSQL would spell differently cannot be created" {
	mount_rowfs
	python3 - "$MNT/public" <<-'END'
		import errno, os, sys
		kinds = {
		    "numeric_key": ["01.0", "1e0", "+2", "nan"],
		    "float_key": ["-0.0", "nan", "inf", "+Infinity", "1e5"],
		    "time_key": ["2024-02-29 12:00:00+05", "2024-02-29 07:00:00", "now", "2024-02-29T07:00:00Z"],
		    "char_key": ["a", "a  ", "abcde", "%"],
		    "bytea_key": ["\\x00FF", "a", "\\x0"],
		    "uuid_key": ["6B29FC40-CA47-1067-B31D-00DD010662DA", "6b29fc40ca471067b31d00dd010662da"],
		    "enum_key": ["SAD", "happy"],
		}
		for table, names in kinds.items():
		    for name in names:
		        path = f"{sys.argv[1]}/{table}/{name}.json"
		        assert not os.path.exists(path), path
		        try:
		            os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
		            sys.exit(f"{path} was created")
		        except OSError as e:
		            assert e.errno == errno.EINVAL, (path, e)
	END
	assert_equal "$(sql 'SELECT everything()')" "$ROWS"
	for name in time_key/'2024-02-29 07:00:00+00' char_key/'a   ' bytea_key/'\x00ff' enum_key/sad \
		uuid_key/6b29fc40-ca47-1067-b31d-00dd010662da; do
		saved write "$name.json" '{"v": 9}'
		saved unlink "$name.json"
		saved insert "$name.json" '{"v": 10}'
	done
	assert_equal "$(sql "SELECT v FROM time_key UNION ALL SELECT v FROM char_key UNION ALL SELECT v FROM bytea_key
		UNION ALL SELECT v FROM enum_key UNION ALL SELECT v FROM uuid_key" | paste -sd ' ')" '10 10 10 10 10'
}

@test "every character below 300, and odd ones, alone and inside of a key" {
	mount_rowfs
	python3 "$TOP/tests/lib/expected.py" "$BATS_TEST_TMPDIR/expected" --schema odd >/dev/null
	same_trees "$BATS_TEST_TMPDIR/expected/odd" "$MNT/odd"
	count=$(sql 'SELECT count(*) FROM odd.characters')
	((count > 600))
	mark=$(log_mark)
	python3 - "$MNT/odd/characters" <<-'END'
		import os, re, sys
		for name in os.listdir(sys.argv[1].encode()):
		    path = os.path.join(sys.argv[1].encode(), name)
		    with open(path, "rb") as f: text = f.read()
		    with open(path, "wb") as f: f.write(re.sub(rb'"v": (\d+)', rb'"v": 1\1', text))
	END
	assert_equal "$(writes_since "$mark" | wc -w)" "$count"
	assert_equal "$(sql "SELECT count(*) FROM odd.characters WHERE v::text ~ '^1' AND v = ('1' || n)::int")" "$count"
}

@test "others' change of case is a change: a save does not take it back" {
	mount_rowfs mnt consistency=strong
	answer=$(python3 - "$MNT/public/spelled/1.json" <<-'END'
		import errno, os, subprocess, sys
		for column, theirs in ("ci", "ABC"), ("loose", "ABC"), ("iv", "30 days"), ("cis", "{ABC}"), ("c", "a "), ("n", "1.00"):
		    fd = os.open(sys.argv[1], os.O_RDWR)
		    text = os.read(fd, 10000).decode()
		    line = next(line for line in text.split("\n") if f'"{column}": ' in line)
		    subprocess.run(["psql", "-Xqc", f"UPDATE spelled SET {column} = '{theirs}'"], check=True)
		    os.truncate(fd, 0)
		    try:
		        os.pwrite(fd, text.replace(line, f'  "{column}": null,').encode(), 0)
		        print(column)
		    except OSError as e:
		        print(column, errno.errorcode[e.errno])
	END
	)
	assert_equal "$(paste -sd ' ' <<<"$answer")" 'ci ESTALE loose ESTALE iv ESTALE cis ESTALE c n'
	assert_equal "$(sql 'SELECT * FROM spelled')" '1|ABC|ABC|30 days|{ABC}|||'
}

# Names that are cut

@test "a row with a long key: made, read, saved, in conflict, moved, removed" {
	mount_rowfs mnt consistency=strong
	key=$(printf 'k/%.0s' {1..200})
	saved write long/.new.json "{\"k\": \"$key\", \"v\": \"one\"}"
	name=$(listed long)
	assert_equal "$(cat "$MNT/.rowfs/last-insert")" "public/long/$name"
	((${#name} <= 200))
	assert_contains "$name" '%~'
	assert_equal "$(jq -r .k "$MNT/public/long/$name")" "$key"
	saved write "long/$name" '{"v": "two"}'
	saved rename "long/$name" '{"v": "three"}'
	saved fsync "long/$name" "$(sed s/three/four/ "$MNT/public/long/$name")"
	refused 'write EINVAL close EINVAL' 'is the key' write "long/$name" "{\"k\": \"${key}x\", \"v\": \"x\"}"
	answer=$(python3 - "$MNT/public/long/$name" <<-'END'
		import errno, os, subprocess, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		text = os.read(fd, 10000)
		subprocess.run(["psql", "-Xqc", "UPDATE long SET v = 'theirs'"], check=True)
		os.pwrite(fd, text.replace(b'four', b'ours'), 0)
		try:
		    os.close(fd)
		except OSError as e:
		    print(errno.errorcode[e.errno])
	END
	)
	assert_equal "$answer $(sql 'SELECT v FROM long')" 'ESTALE theirs'
	note_rows
	# What a name only stands for must be in the text; mv has none.
	refused 'write EINVAL close EINVAL' 'long key, which the text must have' insert "long/j${name#k}" '{"v": "x"}'
	refused 'write EINVAL close EINVAL' 'not the one that the name stands for' insert "long/j${name#k}" "{\"k\": \"$key\", \"v\": \"x\"}"
	fails_with 'No such file' rm "$MNT/public/long/j${name#k}"
	saved move "long/$name" '' long/short.json
	refused 'rename EIO' 'short enough' move long/short.json '' "long/$name"
	saved insert "long/$name" "{\"k\": \"$key\", \"v\": \"again\"}"
	saved move long/short.json '' "long/$name"
	assert_equal "$(sql 'SELECT length(k), v FROM long')" '400|theirs'
	saved unlink "long/$name"
	assert_equal "$(listed long)$(sql 'SELECT count(*) FROM long')" 0
}

@test "a row that is too large for a file is listed, and rm and mv take it, also by a name that is cut" {
	sql "INSERT INTO long SELECT k, repeat('x', 65 * 1024 * 1024) FROM unnest(ARRAY[repeat('k', 300), repeat('m', 300)]) k"
	mount_rowfs
	read -ra names <<<"$(listed long)"
	assert_equal "${#names[@]}" 2
	fails_with 'File too large' cat "$MNT/public/long/${names[0]}"
	saved unlink "long/${names[0]}"
	saved move "long/${names[1]}" '' long/moved.json
	assert_equal "$(sql 'SELECT k, length(v) FROM long')" 'moved|68157440'
	saved unlink long/moved.json
}

# Size

@test "1,600 columns: listed, read, saved, and inserted" {
	mount_rowfs
	assert_equal "$(jq -c length "$MNT/public/wide/1.json")" 1600
	mark=$(log_mark)
	sed -i 's/"c2": 5/"c2": 6/' "$MNT/public/wide/1.json"
	assert_writes "$mark" UPDATE
	assert_equal "$(sql 'SELECT c1, c2, c3, c1600 FROM wide')" '1|6||x'
	python3 - "$MNT/public/wide" <<-'END'
		import json, sys
		row = {f"c{i}": "t" if i % 4 == 0 else 7 for i in range(1, 1601)}
		for key, mode in (1, "w"), (2, "x"):
		    with open(f"{sys.argv[1]}/{key}.json", mode) as f:
		        json.dump(row | {"c1": key}, f)
	END
	assert_equal "$(sql "SELECT count(*), count(DISTINCT to_jsonb(wide) - 'c1') FROM wide")" '2|1'
	assert_equal "$(sql 'SELECT c1, c2, c4, c1600 FROM wide ORDER BY 1' | paste -sd ' ')" '1|7|t|t 2|7|t|t'
}

memory_kb() {
	sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$(rowfs_pid)/status"
}

@test "large values: read to the byte, appended to, saved by sed, and left alone by a save of another column" {
	# tests/campaign has sixty.
	mb=${ROWFS_LARGE_MB:-12}
	bytes=${mb}000000
	sql "ALTER DATABASE $PGDATABASE SET log_statement = none"
	sql "INSERT INTO big SELECT 1, repeat(md5('1'), $bytes / 32), NULL, 1;
		INSERT INTO big SELECT 2, NULL, decode(repeat(md5('2'), $bytes / 32), 'hex'), 1"
	mount_rowfs mnt memory_max=256M
	before=$(memory_kb VmHWM)
	assert_equal "$(jq -r .t "$MNT/public/big/1.json" | tr -d '\n' | md5sum)" "$(sql "SELECT md5(t) FROM big WHERE id = 1")  -"
	assert_equal "$(jq -r .b "$MNT/public/big/2.json" | tail -c +3 | python3 -c '
import hashlib, sys
print(hashlib.md5(bytes.fromhex(sys.stdin.read())).hexdigest())')" "$(sql "SELECT md5(b) FROM big WHERE id = 2")"
	read_peak=$(memory_kb VmHWM)
	echo '{"n": 2}' | tee "$MNT/public/big/1.json" >/dev/null
	python3 - "$MNT/public/big/1.json" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(-40, 2)
		    tail = f.read()
		    at = tail.index(b'",\n  "b"')
		    f.seek(at - 40, 2)
		    f.write(b" appended" + tail[at:])
	END
	sed -i 's/^  "b": "..x../  "b": "\\\\xff/; s/"n": 1/"n": 2/' "$MNT/public/big/2.json" || {
		last_error >&2
		return 1
	}
	assert_equal "$(sql 'SELECT id, n, length(t), right(t, 9), length(b), left(b::text, 4) FROM big ORDER BY 1' | paste -sd ' ')" \
		"1|2|$((bytes + 9))| appended|| 2|2|||$((bytes / 2))|\xff"
	assert_equal "$(sql "SELECT md5(left(t, -9)) = md5(repeat(md5('1'), $bytes / 32)) FROM big WHERE id = 1")" t
	echo "# the program: $before kB at the mount, at most $read_peak kB while reading and $(memory_kb VmHWM) kB while saving," \
		"$(memory_kb VmRSS) kB after that" >&3
	# Texts and libpq's buffers of one save; nothing of them stays.
	[[ -n ${ROWFS_SANITIZED:-} ]] || (($(memory_kb VmHWM) - before < mb * 8000 + 16000 && $(memory_kb VmRSS) - before < 20000))
}
