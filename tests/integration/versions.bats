# One open sees one version of the row, whole; the next open sees the new one, also when it has grown or
# shrunk. Tools trust the size they were told, so a wrong one would cut or pad.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE pages (id int PRIMARY KEY, body text NOT NULL, other int NOT NULL DEFAULT 0);
		INSERT INTO pages SELECT i, repeat('a', 200) FROM generate_series(1, 40) i"
	mount_rowfs
	PAGE=$MNT/public/pages/1.json
}

teardown() {
	exec 7<&- 8<&- || true
	mounts_end
}

# body_is LETTER COUNT: somebody else writes that body.
body_is() {
	sql "UPDATE pages SET body = repeat('$1', $2) WHERE id = 1"
}

page_text() {
	printf '{\n  "id": 1,\n  "body": "%s",\n  "other": 0\n}\n' "$(printf "%$2s" '' | tr ' ' "$1")"
}

# Every reader is asked until it shows the new row, at most 5 s: Redis' and the kernel's copies may be a
# second old. What it shows until then must be the old row, whole.
reader_goes() {
	local old=$1 new=$2 out

	shift 2
	for _ in $(seq 500); do
		out=$("$@")
		[[ $out == "$new" ]] && return
		assert_equal "$out" "$old" || return 1
		sleep 0.01
	done
	echo "never saw the new row: $*" >&2
	return 1
}

# check_reader OLD NEW READER: the row goes from one "LETTER COUNT" to the other under the reader.
check_reader() {
	local from=$1 to=$2

	shift 2
	body_is "${from% *}" "${from#* }"
	wait_until 5 grep -qx "  \"body\": \"$(printf "%${from#* }s" '' | tr ' ' "${from% *}")\"," "$PAGE"
	# shellcheck disable=SC2086 # a letter and a number
	page_text $from >"$BATS_TEST_TMPDIR/old"
	# shellcheck disable=SC2086
	page_text $to >"$BATS_TEST_TMPDIR/new"
	body_is "${to% *}" "${to#* }"
	reader_goes "$("$@" "$BATS_TEST_TMPDIR/old")" "$("$@" "$BATS_TEST_TMPDIR/new")" "$@" "$PAGE"
}

count_bytes() { wc -c "$1" | cut -d' ' -f1; }
tail_bytes() { tail -c 40 "$1"; }
tarred_file() { tar -c --transform 's/.*/x/' -P -f - "$1" 2>/dev/null | tar -x -O -f -; }
rsynced() {
	rm -rf "$BATS_TEST_TMPDIR/rsynced"
	rsync -a "$1" "$BATS_TEST_TMPDIR/rsynced" && cat "$BATS_TEST_TMPDIR/rsynced"
}
mapped() {
	python3 -c 'import mmap, sys
with open(sys.argv[1], "rb") as f:
	sys.stdout.buffer.write(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)[:])' "$1"
}

all_readers() {
	check_reader "$1" "$2" cat
	check_reader "$1" "$2" count_bytes
	check_reader "$1" "$2" tail_bytes
	check_reader "$1" "$2" tarred_file
	check_reader "$1" "$2" rsynced
	check_reader "$1" "$2" mapped
}

@test "readers see a row that grew" {
	all_readers "a 200" "b 500"
}

@test "readers see a row that grew over a page of memory" {
	all_readers "a 200" "b 9000"
}

@test "readers see a row that shrank" {
	all_readers "a 9000" "b 53"
}

@test "readers see a row that kept its length" {
	all_readers "a 200" "b 200"
}

@test "an open file keeps its version while others change the row, and the next open has the new one" {
	python3 - "$PAGE" <<-'END'
		import os, subprocess, sys, time
		def update(letter, count):
		    subprocess.run(["psql", "-Xqc", f"UPDATE pages SET body = repeat('{letter}', {count}) WHERE id = 1"], check=True)
		def text(letter, count):
		    return ('{\n  "id": 1,\n  "body": "%s",\n  "other": 0\n}\n' % (letter * count)).encode()
		def opened(expected):
		    deadline = time.monotonic() + 5
		    while time.monotonic() < deadline:
		        f = open(sys.argv[1], "rb", buffering=0)
		        if os.pread(f.fileno(), 100000, 0) == expected: return f
		        f.close()
		    raise SystemExit("the new version never came")
		sizes = [("a", 200), ("b", 9000), ("c", 10), ("d", 4096), ("e", 0)]
		files = [opened(text(*sizes[0]))]
		for letter, count in sizes[1:]:
		    update(letter, count)
		    files.append(opened(text(letter, count)))
		    # All that were opened before still have theirs: from the start, and in pieces.
		    for f, size in zip(files, sizes):
		        whole = text(*size)
		        assert os.pread(f.fileno(), 100000, 0) == whole, size
		        assert b"".join(os.pread(f.fileno(), 97, at) for at in range(0, len(whole), 97)) == whole
	END
}

@test "a reader that has read half keeps its version to the end" {
	body_is a 20000
	wait_until 5 grep -q aaaaaaaaaa "$PAGE"
	longer_than() { (($(stat -c %s "$PAGE") > $1)); }
	wait_until 5 longer_than 20000
	exec 7<"$PAGE"
	head -c 5000 <&7 >"$BATS_TEST_TMPDIR/found"
	body_is b 300
	reader_goes "$(page_text a 20000)" "$(page_text b 300)" cat "$PAGE"
	cat <&7 >>"$BATS_TEST_TMPDIR/found"
	cmp "$BATS_TEST_TMPDIR/found" <(page_text a 20000)
}

@test "a row that is changed all the time is never seen torn by many readers" {
	python3 - "$PAGE" <<-'END'
		import json, subprocess, sys, threading
		stop = threading.Event()
		torn = []
		def write():
		    p = subprocess.Popen(["psql", "-Xqo", "/dev/null"], stdin=subprocess.PIPE, text=True)
		    for n in range(1500):
		        size = (n * 7919) % 9000
		        p.stdin.write(f"UPDATE pages SET body = repeat('{chr(97 + n % 26)}', {size}), other = {size} WHERE id = 1; SELECT pg_sleep(0.002);\n")
		    p.stdin.close(); p.wait(); stop.set()
		seen = set()
		def read():
		    while not stop.is_set():
		        data = open(sys.argv[1]).read()
		        try:
		            row = json.loads(data)
		            good = len(row["body"]) == row["other"] or row["other"] == 0
		            good = good and len(set(row["body"])) <= 1 and data.endswith("\n}\n")
		        except ValueError:
		            good = False
		        seen.add(row["other"])
		        if not good: torn.append(data)
		threads = [threading.Thread(target=read) for _ in range(4)] + [threading.Thread(target=write)]
		for t in threads: t.start()
		for t in threads: t.join()
		assert not torn, (len(torn), torn[0][:300], torn[0][-100:])
		assert len(seen) > 1, "the readers never saw a change"
	END
}

@test "a row that somebody deletes is gone, and one that somebody inserts is there" {
	[[ -e $MNT/public/pages/2.json ]]
	[[ ! -e $MNT/public/pages/99.json ]]
	sql "DELETE FROM pages WHERE id = 2; INSERT INTO pages VALUES (99, 'new')"
	row_gone() { ! cat "$MNT/public/pages/2.json" 2>/dev/null; }
	wait_until 5 row_gone
	wait_until 5 grep -q new "$MNT/public/pages/99.json"
	listed() { [[ $(ls "$MNT/public/pages" | grep -cx -e 2.json -e 99.json) == 1 ]]; }
	wait_until 5 listed
}
