# A feed in normal life: what others commit is seen on every mount within the bound, and while nothing changes the
# kernel answers by itself.
#
# How requests are counted. FUSE: a thread of the daemon reads one request with one read() from /dev/fuse and its name
# (opcode) is the second word of what it read; strace prints those reads. SQL: the servers' own log, without psql's and
# the worker's (application_name "rowfs sync") and the catalog's poll, which names no table of the user's. Redis:
# MONITOR, in which a row's read or fill names a key of a row, r:; the worker's and the follower's commands (TIME, PING,
# heartbeats) name none.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	pages_new
	feed_mount a
	feed_mount b
}

teardown() {
	feed_teardown
	[[ ! -s $BATS_TEST_TMPDIR/strace.pid ]] || end_process "$(<"$BATS_TEST_TMPDIR/strace.pid")"
	[[ ! -s $BATS_TEST_TMPDIR/monitor.pid ]] || end_process "$(<"$BATS_TEST_TMPDIR/monitor.pid")"
}

listing_is() {
	[[ $(ls "$HARNESS/$1/public/pages" | paste -sd ' ') == "$2" ]]
}

listed_by() {
	local expected=$1 name

	shift
	for name in "$@"; do
		wait_until 2 listing_is "$name" "$expected" || {
			echo "$name lists: $(ls "$HARNESS/$name/public/pages" | paste -sd ' ')" >&2
			return 1
		}
	done
}

size_is() {
	[[ $(stat -c %s "$HARNESS/$1/public/pages/$2" 2>/dev/null) == "$3" ]]
}

@test "psql's UPDATE is seen by cat and by stat, on both mounts" {
	for n in 1 22 333 4444; do
		for name in a b; do stat "$HARNESS/$name/public/pages/3.json" >/dev/null; done
		sql "UPDATE pages SET n = $n WHERE id = 3"
		for name in a b; do wait_until 2 size_is "$name" 3.json "$(printf '{\n  "id": 3,\n  "n": %d\n}\n' "$n" | wc -c)"; done
		seen_by public/pages/3.json n "$n" a b
	done
}

@test "psql's INSERT and DELETE are seen by ls and cat, also where the name was known to be absent" {
	listed_by "1.json 2.json 3.json 4.json 5.json 6.json 7.json 8.json" a b
	for name in a b; do fails_with "No such file" cat "$HARNESS/$name/public/pages/9.json"; done
	sql "INSERT INTO pages VALUES (9, 90)"
	listed_by "1.json 2.json 3.json 4.json 5.json 6.json 7.json 8.json 9.json" a b
	seen_by public/pages/9.json n 90 a b
	sql "DELETE FROM pages WHERE id IN (1, 2, 3, 4, 5, 6, 7)"
	listed_by "8.json 9.json" a b
	gone() { [[ ! -e $HARNESS/$1/public/pages/5.json ]]; }
	wait_until 2 gone a
	wait_until 2 gone b
	fails_with "No such file" cat "$HARNESS/a/public/pages/5.json"
}

@test "a key that psql changes: the old name goes, and the new one comes" {
	listed_by "1.json 2.json 3.json 4.json 5.json 6.json 7.json 8.json" a b
	cat "$HARNESS"/{a,b}/public/pages/*.json >/dev/null
	sql "UPDATE pages SET id = 40 WHERE id = 4"
	listed_by "1.json 2.json 3.json 40.json 5.json 6.json 7.json 8.json" a b
	seen_by public/pages/40.json n 0 a b
	for name in a b; do fails_with "No such file" cat "$HARNESS/$name/public/pages/4.json"; done
}

@test "a save on one mount is seen on the other, and at once on its own" {
	for n in 10 11 12 13; do
		# What the other one believes for long must be taken back.
		for _ in $(seq 30); do cat "$HARNESS"/{a,b}/public/pages/1.json >/dev/null; done
		echo "{\"n\": $n}" | tee "$HARNESS/a/public/pages/1.json" >/dev/null
		assert_equal "$(value a public/pages/1.json n)" "$n"
		seen_by public/pages/1.json n "$n" b
		echo "{\"n\": 1$n}" | tee "$HARNESS/b/public/pages/1.json" >/dev/null
		assert_equal "$(value b public/pages/1.json n)" "1$n"
		seen_by public/pages/1.json n "1$n" a
	done
}

# trace_start NAME: from now on each request that the kernel sends the mount is a line of $REQUESTS.
trace_start() {
	command -v strace >/dev/null || skip "no strace"
	REQUESTS=$BATS_TEST_TMPDIR/requests
	strace -f -qq -e trace=read -e signal=none -xx -s 8 -P /dev/fuse -p "$(rowfs_pid "$1")" -o "$REQUESTS" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/strace.pid"
	# It is attached when it sees a request that nothing answers from memory.
	traced() { stat "$HARNESS/$1/.rowfs/$RANDOM" >/dev/null 2>&1; [[ -s $REQUESTS ]]; }
	wait_until 20 traced "$1"
}

# The opcodes since line $1: a little-endian word after the length.
opcodes_since() {
	tail -n "+$(($1 + 1))" "$REQUESTS" | sed -n 's/.*"\(\\x..\)\{4\}\\x\(..\)\\x\(..\).*= [0-9]*$/\3\2/p' |
		while read -r code; do
			case $((16#$code)) in
			1) echo LOOKUP ;; 2 | 42) echo FORGET ;; 3) echo GETATTR ;; 14) echo OPEN ;; 15) echo READ ;;
			18) echo RELEASE ;; 25) echo FLUSH ;; 27) echo OPENDIR ;; 28) echo READDIR ;;
			29) echo RELEASEDIR ;; 44) echo READDIRPLUS ;; 22) echo GETXATTR ;; 52) echo STATX ;;
			*) echo "opcode $((16#$code))" ;;
			esac
		done | grep -v FORGET | sort | uniq -c | awk '{print $2 $3 ":" $1}' | paste -sd ' '
}

# requests_of COMMAND...: what the kernel asks while it runs.
requests_of() {
	local before

	before=$(wc -l <"$REQUESTS")
	"$@" >/dev/null
	wait_until 10 quiet
	opcodes_since "$before"
}

# A RELEASE or RELEASEDIR comes after close() has returned.
quiet() {
	local lines

	lines=$(wc -l <"$REQUESTS")
	sleep 0.1
	[[ $lines == "$(wc -l <"$REQUESTS")" ]]
}

# Nothing is under way: the second invalidation of what was told lately comes a second after the first.
settled() {
	local before

	before=$(feed_get "$1" kernel_invalidations)$(feed_get "$1" kernel_epochs)$(feed_get "$1" feed_drops)
	cat "$HARNESS/$1"/public/pages/*.json >/dev/null
	ls -l "$HARNESS/$1/public/pages" >/dev/null
	# Its first wish for a time of birth, the kernel brings here and is told that there is none.
	stat "$HARNESS/$1/public/pages/1.json" >/dev/null
	sleep 1.5
	[[ $before == "$(feed_get "$1" kernel_invalidations)$(feed_get "$1" kernel_epochs)$(feed_get "$1" feed_drops)" ]]
}

@test "a repeated ls -l asks for OPENDIR and RELEASEDIR only, a repeated stat for nothing" {
	trace_start a
	wait_until "$PATIENCE" settled a
	assert_equal "$(requests_of ls -l "$HARNESS/a/public/pages")" "OPENDIR:1 RELEASEDIR:1"
	assert_equal "$(requests_of ls -l "$HARNESS/a/public/pages")" "OPENDIR:1 RELEASEDIR:1"
	# After a read, the kernel wants the time of access once.
	stat "$HARNESS/a/public/pages/5.json" >/dev/null
	assert_equal "$(requests_of stat "$HARNESS/a/public/pages/5.json")" ""
	assert_equal "$(requests_of stat "$HARNESS/a/public/pages/5.json")" ""
	# The pages are the kernel's, too.
	assert_equal "$(requests_of cat "$HARNESS/a/public/pages/5.json")" "OPEN:1 RELEASE:1"
	# And a foreign change is seen all the same.
	sql "INSERT INTO pages VALUES (77, 7)"
	listed_by "1.json 2.json 3.json 4.json 5.json 6.json 7.json 77.json 8.json" a b
	sql "UPDATE pages SET n = 12345 WHERE id = 5"
	seen_by public/pages/5.json n 12345 a b
}

@test "a repeated cat asks neither Redis nor PostgreSQL" {
	wait_until "$PATIENCE" settled a
	redis MONITOR >"$BATS_TEST_TMPDIR/monitor" 3>&- &
	echo $! >"$BATS_TEST_TMPDIR/monitor.pid"
	monitors() { grep -q "hb" "$BATS_TEST_TMPDIR/monitor"; }
	wait_until 10 monitors
	mark=$(log_mark)
	opens=$(feed_get a memory_opens)
	for _ in $(seq 20); do cat "$HARNESS/a/public/pages/5.json" >/dev/null; done
	assert_equal "$(statements_since "$mark" | grep -c 'pages')" 0
	assert_equal "$(grep -c ':r:' "$BATS_TEST_TMPDIR/monitor")" 0
	assert_equal "$(($(feed_get a memory_opens) - opens))" 20
	# The monitors do see a read that is none of the kernel's.
	sql "UPDATE pages SET n = 1 WHERE id = 5"
	seen_by public/pages/5.json n 1 a b
	(($(statements_since "$mark" | grep -c 'pages') > 0))
	grep -q ':r:' "$BATS_TEST_TMPDIR/monitor"
}

@test "rowfs status says what works and who, and as JSON the same" {
	leader=$(feed_leader a b)
	other=$([[ $leader == a ]] && echo b || echo a)
	"$ROWFS" status "$HARNESS/$leader" >"$BATS_TEST_TMPDIR/status"
	for line in "postgresql: reachable" "redis: reachable" "changes: feed" "feed: live" "worker_here: leading" \
		"worker_tables: 1 wal, 0 log, 0 none"; do
		grep -qx "$line" "$BATS_TEST_TMPDIR/status"
	done
	for key in feed_epoch feed_number feed_heartbeat_age_ms worker_lag_bytes worker_lag_ms worker_position; do
		grep -q "^$key: " "$BATS_TEST_TMPDIR/status"
	done
	assert_equal "$(feed_get "$other" worker_here)" waiting
	knows_worker() { feed_says "$other" worker "process $(rowfs_pid "$leader"); tables: 1 wal"; }
	wait_until 10 knows_worker
	"$ROWFS" status "$HARNESS/$leader" --json >"$BATS_TEST_TMPDIR/json"
	assert_equal "$(jq -r '.feed, .worker_here, (.cache_hits | type), (.feed_number | type)' \
		"$BATS_TEST_TMPDIR/json" | paste -sd ' ')" "live leading number number"
	# Every line is a member, in the same order.
	assert_equal "$(jq -r 'keys_unsorted[]' "$BATS_TEST_TMPDIR/json")" \
		"$(sed 's/: .*//' "$BATS_TEST_TMPDIR/status")"
	fails_with "no rowfs is mounted there" "$ROWFS" status "$HARNESS"
}

@test "the metrics are valid Prometheus text, and count what happens" {
	python3 - "$HARNESS/a/.rowfs/metrics" <<-'END'
		import re, sys
		helped, typed, values, histograms = set(), {}, {}, {}
		for line in open(sys.argv[1]):
		    assert line.endswith("\n"), line
		    line = line[:-1]
		    if m := re.fullmatch(r"# HELP ([a-z_:][a-z0-9_:]*) (\S.*)", line):
		        assert m[1] not in helped, line
		        helped.add(m[1])
		    elif m := re.fullmatch(r"# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)", line):
		        assert m[1] in helped and m[1] not in typed, line
		        typed[m[1]] = m[2]
		    else:
		        m = re.fullmatch(r"([a-z_:][a-z0-9_:]*)(\{[^}]*\})? (-?[0-9.e+-]+)", line)
		        assert m, line
		        name, part = m[1], None
		        if name not in typed:
		            name, part = re.fullmatch(r"(.*)_(bucket|sum|count)", name).groups()
		            assert typed[name] == "histogram", line
		            what = re.search(r'what="([^"]+)"', m[2])[1]
		            histograms.setdefault((name, what), []).append((part, m[2], float(m[3])))
		        values[name] = float(m[3])
		for (name, what), lines in histograms.items():
		    bounds = [float(re.search('le="(.*?)"', labels)[1]) for part, labels, _ in lines if part == "bucket"]
		    counts = [value for part, _, value in lines if part == "bucket"]
		    assert bounds == sorted(bounds) and bounds[-1] == float("inf") and len(set(bounds)) == len(bounds), what
		    assert counts == sorted(counts) and lines[-1][0] == "count" and lines[-1][2] == counts[-1] > 0, what
		    assert lines[-2][0] == "sum" and 0 < lines[-2][2], what
		assert {what for name, what in histograms if name.endswith("request_seconds")} >= {"LOOKUP", "OPEN", "READ"}
		assert {what for name, what in histograms if name.endswith("wait_seconds")} >= {"PostgreSQL, reading", "Redis"}
		assert set(values) == set(typed) == helped
		assert all(n.endswith("_total") == (t == "counter") for n, t in typed.items())
		assert values["rowfs_feed_live"] == 1 and values["rowfs_postgresql_up"] == 1 and values["rowfs_redis_up"] == 1
	END
	metric() { sed -n "s/^$1 //p" "$HARNESS/a/.rowfs/metrics"; }
	before=$(metric rowfs_feed_changes_total)
	sql "UPDATE pages SET n = 5"
	counted() { (($(metric rowfs_feed_changes_total) >= before + 8)); }
	wait_until 5 counted
}

@test "between two mounts and psql, eight rows changed in turn are never older than the bound" {
	witness_start a b
	for n in $(seq 30); do
		sql "INSERT INTO pages VALUES (500, $n) ON CONFLICT (id) DO UPDATE SET n = $n"
		seen_by public/pages/500.json n "$n" a b
	done
	witness_recovered
	witness_end
	witness_no_errors
}
