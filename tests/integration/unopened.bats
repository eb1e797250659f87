# Mounts that are read only: the kernel sends no OPEN, and what is read is as fresh, and as whole, as on any other.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	redis FLUSHALL >/dev/null
	sql "CREATE TABLE pages (id int PRIMARY KEY, n int NOT NULL, body text);
		INSERT INTO pages SELECT i, 0, repeat('x', 200) FROM generate_series(1, 300) i"
}

teardown() {
	feed_teardown
}

# requests MOUNT WHAT: how many of these the kernel has sent.
requests() {
	sed -n "s/^rowfs_request_seconds_count{what=\"$2\"} //p" "$HARNESS/$1/.rowfs/metrics"
}

# mount_unopened NAME [OPTIONS]: and it is so.
mount_unopened() {
	mount_rowfs "$1" "ro,admit=first${2:+,$2}"
	feed_live "$1"
	cat "$HARNESS/$1/public/pages/1.json" "$HARNESS/$1/public/pages/2.json" >/dev/null
	assert_equal "$(requests "$1" OPEN)" 1 # which says that none is wanted
}

script() {
	python3 - "$HARNESS" "$@" 3>&- <<<"
import errno, os, subprocess, sys, time

harness = sys.argv[1]

def sql(statement):
    return subprocess.run(['psql', '-XAtqc', statement], check=True, capture_output=True, text=True).stdout.strip()

def path(mount, row):
    return f'{harness}/{mount}/public/pages/{row}.json'

def read(mount, row):
    with open(path(mount, row)) as f:
        return f.read()

def wait(condition):
    end = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.01)

$(cat)"
}

@test "what was read once is read again without a request, until it changes" {
	mount_unopened a
	cat "$HARNESS"/a/public/pages/*.json >"$BATS_TEST_TMPDIR/first"
	sleep 1.1 # reports are a second old
	local before
	before=$(requests a READ)
	for n in 1 2 3; do cat "$HARNESS"/a/public/pages/*.json; done | cmp - <(for n in 1 2 3; do cat "$BATS_TEST_TMPDIR/first"; done)
	sleep 1.1
	assert_equal "$(requests a OPEN)" 1
	assert_equal "$(requests a RELEASE)" ""
	assert_equal "$(requests a FLUSH)" 1
	# Those of the reports.
	(($(requests a READ) <= before + 3))
	sql "UPDATE pages SET n = 7 WHERE id = 3"
	seen_by public/pages/3.json n 7 a
	sql "DELETE FROM pages WHERE id = 4"
	gone() { [[ ! -e $HARNESS/a/public/pages/4.json ]]; }
	wait_until 2 gone
	sql "INSERT INTO pages VALUES (4, 44, 'again')"
	seen_by public/pages/4.json n 44 a
}

@test "before a witness, beside a mount that saves, with and without Redis, nothing is older than the bound" {
	mount_unopened a
	feed_mount b
	witness_start a b
	sleep 3
	redis_stop "$HARNESS/redis"
	sleep 3
	redis_start "$HARNESS/redis"
	feed_live a b
	witness_recovered
	sleep 3
	witness_end
}

@test "who has a row open reads what he opened, however it changes; and if nobody has that any more, ESTALE" {
	mount_unopened a memory_max=4M
	script <<-'END'
		old = read('a', 9)
		one, unread = os.open(path('a', 9), os.O_RDONLY), os.open(path('a', 10), os.O_RDONLY)
		sql("UPDATE pages SET n = 77, body = repeat('longer', 1000) WHERE id IN (9, 10)")
		wait(lambda: '"n": 77' in read('a', 9) and '"n": 77' in read('a', 10))
		assert os.fstat(one).st_size == len(old) and os.read(one, 100000).decode() == old
		assert os.fstat(unread).st_size == len(old) + 1
		# That was read when it was looked up, and is kept: whatever the row is by now.
		looked_up = os.open(path('a', 11), os.O_RDONLY)
		sql("UPDATE pages SET n = 78 WHERE id = 11")
		wait(lambda: '"n": 78' in read('a', 11))
		assert '"n": 0' in os.read(looked_up, 100000).decode()
		# Other rows take the room of what was kept for him.
		sql("INSERT INTO pages SELECT i, 0, repeat('y', 900000) FROM generate_series(1001, 1020) i")
		wait(lambda: os.path.exists(path('a', 1020)))
		for row in range(1001, 1021):
		    assert len(read('a', row)) > 900000
		try:
		    text = os.read(unread, 100000).decode()
		    assert text == old.replace('9', '10', 1), text[:200]
		except OSError as e:
		    assert e.errno == errno.ESTALE, e
		os.close(one), os.close(unread)
	END
}

@test "rows of many megabytes are read whole, and once" {
	sql "INSERT INTO pages SELECT 500, 0, string_agg(md5(i::text), '') FROM generate_series(1, 300000) i"
	mount_unopened a
	local before
	sleep 1.1 # reports are a second old
	before=$(feed_get a store_fetches)
	assert_equal "$(jq -r .body "$HARNESS/a/public/pages/500.json" | md5sum)" "$(sql "SELECT body FROM pages WHERE id = 500" | md5sum)"
	sleep 1.1
	(($(feed_get a store_fetches) <= before + 2))
}

@test "large rows that are read at the same time, in little memory, are not read anew for each part" {
	sql "INSERT INTO pages SELECT 600 + k, 0, string_agg(md5(k || 'x' || i), '') FROM generate_series(1, 4) k,
		generate_series(1, 100000) i GROUP BY k"
	mount_unopened a memory_max=24M
	sleep 1.1 # reports are a second old
	local before id
	before=$(feed_get a store_fetches)
	for id in 601 602 603 604; do
		(jq -r .body "$HARNESS/a/public/pages/$id.json" | md5sum >"$BATS_TEST_TMPDIR/$id") &
	done
	wait
	for id in 601 602 603 604; do
		assert_equal "$(<"$BATS_TEST_TMPDIR/$id")" "$(sql "SELECT body FROM pages WHERE id = $id" | md5sum)"
	done
	cmp "$HARNESS/a/public/pages/601.json" "$HARNESS/a/public/pages/602.json" | grep -q differ
	sleep 1.1
	(($(feed_get a store_fetches) <= before + 16))
}

@test "a row that no file can hold cannot be opened" {
	sql "INSERT INTO pages SELECT 700, 0, repeat('x', 70000000)"
	mount_unopened a
	fails_with "File too large" cat "$HARNESS/a/public/pages/700.json"
	fails_with "File too large" stat "$HARNESS/a/public/pages/700.json"
	ls -l "$HARNESS/a/public/pages" >/dev/null || true
	fails_with "File too large" cat "$HARNESS/a/public/pages/700.json"
	grep -rl '"n": 0' "$HARNESS/a/public/pages" 2>&1 | grep -q '700.json: File too large'
}

@test "when the feed ends nothing of what the kernel holds is shown any longer than a second" {
	mount_unopened a
	cat "$HARNESS"/a/public/pages/{1,2,3}.json >/dev/null
	redis_stop "$HARNESS/redis"
	sql "UPDATE pages SET n = 5 WHERE id = 2"
	seen_by public/pages/2.json n 5 a
	sql "UPDATE pages SET n = 6 WHERE id = 2"
	seen_by public/pages/2.json n 6 a
	redis_start "$HARNESS/redis"
}

@test "while the program is stopped, what the kernel holds is shown for a second at most, once anything has changed" {
	mount_unopened a
	cat "$HARNESS"/a/public/pages/20.json >/dev/null
	sql "UPDATE pages SET n = 1 WHERE id = 20"
	seen_by public/pages/20.json n 1 a
	cat "$HARNESS"/a/public/pages/21.json >/dev/null
	kill -STOP "$(rowfs_pid a)"
	sql "UPDATE pages SET n = 9 WHERE id = 21"
	sleep 1.5
	# It is asked for, and waits.
	(cat "$HARNESS/a/public/pages/21.json" >"$BATS_TEST_TMPDIR/answer") 3>&- &
	sleep 0.5
	kill -CONT "$(rowfs_pid a)"
	wait
	grep -q '"n": 9' "$BATS_TEST_TMPDIR/answer"
}

@test "mount -o remount,rw makes nothing of it writable, and does no harm" {
	((EUID == 0)) || skip "needs root"
	mount_unopened a
	mount -i -o remount,rw "$HARNESS/a" 2>/dev/null || skip "this mount(8) does not remount FUSE"
	fails_with "" sh -c "echo '{}' >'$HARNESS/a/public/pages/1.json'"
	fails_with "" sh -c "echo '{}' >>'$HARNESS/a/public/pages/1.json'"
	assert_equal "$(sql "SELECT n FROM pages WHERE id = 1")" 0
	cat "$HARNESS/a/public/pages/1.json" >/dev/null
}

@test "reports have their size, change by the second, and are complete; every command works" {
	mount_unopened a
	script <<-'END'
		for name in ('status', 'metrics', 'hot', 'errors', 'last-error'):
		    for attempt in range(5):
		        with open(f'{harness}/a/.rowfs/{name}', 'rb', buffering=0) as f:
		            text, size = f.read(1 << 20), os.fstat(f.fileno()).st_size
		        if len(text) == size:
		            break
		    assert len(text) == size and text.endswith(b'\n') or name in ('errors', 'last-error'), (name, size, text[-80:])
	END
	"$ROWFS" status "$HARNESS/a" --json | jq -e '.feed == "live"' >/dev/null
	"$ROWFS" hot "$HARNESS/a" >/dev/null
	"$ROWFS" errors "$HARNESS/a"
	"$ROWFS" where "$HARNESS/a/public/pages/1.json" | grep -q '^memory:'
	"$ROWFS" warm --check "$HARNESS/a/public/pages" | grep -qx '298 not there'
	"$ROWFS" profile "$HARNESS/a" 2 | grep -q LOOKUP
	assert_equal "$(cat "$HARNESS/a/public/pages/.new.json")" ""
	assert_equal "$(stat -c %a "$HARNESS/a/.rowfs/errors")" 400
	fails_with "Read-only file system" touch "$HARNESS/a/public/pages/1.json"
	fails_with "Read-only file system" sh -c "echo >'$HARNESS/a/public/pages/x'"
}

@test "grep -r, tar and rsync of it are what they are elsewhere" {
	mount_unopened a
	feed_mount b
	diff -r "$HARNESS/a/public" "$HARNESS/b/public"
	rsync -a "$HARNESS/a/public/" "$BATS_TEST_TMPDIR/copy/"
	diff -r "$BATS_TEST_TMPDIR/copy" "$HARNESS/b/public"
	sql "UPDATE pages SET n = n + 1 WHERE id % 10 = 0"
	seen_by public/pages/300.json n 1 a b
	rsync -a --itemize-changes "$HARNESS/a/public/" "$BATS_TEST_TMPDIR/copy/" >"$BATS_TEST_TMPDIR/changed"
	assert_equal "$(grep -c '^>f' "$BATS_TEST_TMPDIR/changed")" 30
	diff -r "$BATS_TEST_TMPDIR/copy" "$HARNESS/b/public"
	assert_equal "$(grep -rl '"n": 1,' "$HARNESS/a/public/pages" | wc -l)" 30
}
