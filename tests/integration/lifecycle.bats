# Mounting, running and leaving: from the shell, from mount(8), by signals; and what must not be seen.

load ../lib/rowfs

setup_file() {
	harness_start
	psql -X -q -d postgres -c "CREATE ROLE secret SUPERUSER LOGIN PASSWORD 'correct-horse'"
	mkdir "$HARNESS/mounts"
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE pages (id int PRIMARY KEY, body text);
		INSERT INTO pages SELECT i, 'page ' || i FROM generate_series(1, 30) i"
	MNT=$HARNESS/point
	mkdir -p "$MNT"
	OPTIONS=redis=unix:$HARNESS/redis/redis.sock,state_dir=$HARNESS/state/point,log=$HARNESS/point.log
	URI="postgresql:///$PGDATABASE?host=$PGHOST&user=postgres"
}

teardown() {
	local pid

	pid=$(daemon_pid)
	unmount "$MNT"
	[[ -z $pid ]] || wait_until 30 process_gone "$pid" || kill -KILL "$pid"
	mounts_end
	rm -f "$HARNESS/point.log"
}

# The process whose argument is the mount point.
daemon_pid() {
	local process

	for process in $(pgrep -x rowfs); do
		if tr '\0' '\n' 2>/dev/null <"/proc/$process/cmdline" | grep -qx "$MNT"; then
			echo "$process"
		fi
	done
}

# start [MORE OPTIONS [SOURCE]]: as from a shell, into the background.
start() {
	(
		sanitizer_options
		timeout 60 "$ROWFS" "${2:-$URI}" "$MNT" -o "$OPTIONS${1:+,$1}" 3>&-
	)
}

@test "the command returns when the mount answers" {
	start
	assert_equal "$(ls "$MNT/public/pages" | wc -l)" 30
	assert_equal "$(daemon_pid | wc -w)" 1
}

@test "rowfs mount is the same command" {
	(sanitizer_options && "$ROWFS" mount "$URI" "$MNT" -o "$OPTIONS" 3>&-)
	grep -q 'page 7' "$MNT/public/pages/7.json"
}

@test "--help and --version" {
	assert_contains "$("$ROWFS" --help)" redis_required
	assert_contains "$("$ROWFS" --help)" 13
	assert_contains "$("$ROWFS" --version)" rowfs
}

@test "fusermount3 -u ends the program" {
	start
	pid=$(daemon_pid)
	fusermount3 -u "$MNT"
	wait_until 10 process_gone "$pid"
	assert_equal "$(ls -A "$MNT")" ""
}

@test "SIGTERM unmounts and ends the program" {
	start
	pid=$(daemon_pid)
	kill -TERM "$pid"
	wait_until 10 process_gone "$pid"
	if is_mounted "$MNT"; then return 1; fi
}

@test "SIGTERM finishes a save that is under way" {
	start
	pid=$(daemon_pid)
	hold 'UPDATE pages SET body = body WHERE id = 3'
	{ echo '{"body": "saved"}' | tee "$MNT/public/pages/3.json" >/dev/null; echo $? >"$BATS_TEST_TMPDIR/status"; } 3>&- &
	saving() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == 1 ]]; }
	wait_until 10 saving
	kill -TERM "$pid"
	release
	wait_until 10 test -s "$BATS_TEST_TMPDIR/status"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/status")" 0
	wait_until 10 process_gone "$pid"
	assert_equal "$(sql 'SELECT body FROM pages WHERE id = 3')" saved
}

@test "a second mount on the same place is refused, the first goes on" {
	start
	status=0
	start 2>"$BATS_TEST_TMPDIR/out" || status=$?
	assert_equal "$status" 10
	grep -q 'page 7' "$MNT/public/pages/7.json"
}

@test "passwords are in neither ps, /proc/mounts, the log nor status" {
	start "" "postgresql://secret:correct-horse@/$PGDATABASE?host=$PGHOST"
	grep -q 'page 7' "$MNT/public/pages/7.json"
	grep " $MNT " /proc/self/mounts >"$BATS_TEST_TMPDIR/seen"
	ps axww -o args= | grep -F "$MNT" | grep -v grep >>"$BATS_TEST_TMPDIR/seen"
	cat "$MNT/.rowfs/status" "$HARNESS/point.log" >>"$BATS_TEST_TMPDIR/seen"
	lacks correct-horse "$BATS_TEST_TMPDIR/seen"
}

@test "a password in key=value form is not seen in ps either" {
	start "" "host=$PGHOST dbname=$PGDATABASE user=secret password=correct-horse"
	ps axww -o args= >"$BATS_TEST_TMPDIR/seen"
	lacks correct-horse "$BATS_TEST_TMPDIR/seen"
	grep -q 'page 7' "$MNT/public/pages/7.json"
}

@test "a service file and PGPASSFILE" {
	printf '[shop]\nhost=%s\ndbname=%s\nuser=secret\n' "$PGHOST" "$PGDATABASE" >"$BATS_TEST_TMPDIR/service"
	echo '*:*:*:secret:correct-horse' >"$BATS_TEST_TMPDIR/pgpass"
	chmod 600 "$BATS_TEST_TMPDIR/pgpass"
	PGSERVICEFILE=$BATS_TEST_TMPDIR/service PGPASSFILE=$BATS_TEST_TMPDIR/pgpass start "" service=shop
	grep -q 'page 7' "$MNT/public/pages/7.json"
}

# installed COMMAND: run it where rowfs is installed, as mount(8) finds programs in the system's folders
# only: in a mount namespace of its own, so that the machine is left alone. What it mounts ends with it.
installed() {
	sanitizer_options
	unshare -m bash -euc 'mount -t tmpfs none /usr/local/bin && cp "$1" /usr/local/bin/rowfs
		eval "$2"' - "$ROWFS" "$1" 3>&-
}

@test "mount -t fuse.rowfs, with the words of mount" {
	((EUID == 0)) || skip "mount(8) needs root"
	installed "mount -t fuse.rowfs '$URI' '$MNT' -o '$OPTIONS,rw,noatime,_netdev'
		grep -q 'page 7' '$MNT/public/pages/7.json'
		grep ' $MNT fuse.rowfs ' /proc/self/mounts
		umount '$MNT'" >"$BATS_TEST_TMPDIR/mounts"
	grep nosuid "$BATS_TEST_TMPDIR/mounts" | grep -q nodev
}

@test "an fstab line" {
	((EUID == 0)) || skip "mount(8) needs root"
	printf '%s %s fuse.rowfs %s,ro,nofail,x-systemd.automount 0 0\n' "$URI" "$MNT" "$OPTIONS" >"$BATS_TEST_TMPDIR/fstab"
	installed "mount -T '$BATS_TEST_TMPDIR/fstab' '$MNT'
		grep -q 'page 7' '$MNT/public/pages/7.json'
		grep ' $MNT fuse.rowfs ro,' /proc/self/mounts
		umount '$MNT'"
}

daemon_gone() {
	[[ -z $(daemon_pid) ]]
}

@test "uid, gid, umask and allow_other: who may look" {
	((EUID == 0)) || skip "needs another user"
	chmod 755 "$HARNESS"
	start
	assert_equal "$(stat -c '%a %u' "$MNT/public/pages")" "700 0"
	fails_with "Permission denied" as_server cat "$MNT/public/pages/7.json"
	fusermount3 -u "$MNT"
	wait_until 10 daemon_gone
	start "allow_other,uid=postgres,gid=postgres,umask=027"
	assert_equal "$(stat -c '%a %U %G' "$MNT/public/pages/7.json")" "640 postgres postgres"
	as_server grep -q 'page 7' "$MNT/public/pages/7.json"
}

@test "scratch files and empty new files that remain are reported at the end" {
	start
	echo note >"$MNT/public/pages/notes.txt"
	touch "$MNT/public/pages/99.json"
	pid=$(daemon_pid)
	fusermount3 -u "$MNT"
	wait_until 10 process_gone "$pid"
	grep -q 'notes.txt' "$HARNESS/point.log"
	grep -q "never given a row's text" "$HARNESS/point.log"
	assert_equal "$(sql 'SELECT count(*) FROM pages')" 30
}

@test "scratch files survive a daemon that is killed" {
	start
	echo note >"$MNT/public/pages/notes.txt"
	kill -KILL "$(daemon_pid)"
	fusermount3 -u "$MNT" || fusermount3 -u -z "$MNT"
	start
	assert_equal "$(cat "$MNT/public/pages/notes.txt")" note
	rm "$MNT/public/pages/notes.txt"
}

@test "status says what is going on" {
	start
	cat "$MNT/public/pages/7.json" >/dev/null
	cat "$MNT/.rowfs/status" >"$BATS_TEST_TMPDIR/status"
	grep -q store_fetches "$BATS_TEST_TMPDIR/status"
	grep -qi redis "$BATS_TEST_TMPDIR/status"
	# It exists, but no walk of the tree meets it.
	assert_equal "$(find "$MNT" -name .rowfs)" ""
}

# busy_hour: some of everything.
busy_hour() {
	local n

	ls -lR "$MNT" >/dev/null
	cat "$MNT"/public/pages/*.json >/dev/null
	for n in 1 2 3; do
		sed -i "s/page/leaf/" "$MNT/public/pages/$n.json"
		echo "{\"body\": \"new $n\"}" >"$MNT/public/pages/10$n.json"
		rm "$MNT/public/pages/10$n.json"
		echo '{"bodi": 1}' 2>/dev/null >"$MNT/public/pages/$n.json" || true
		echo '{"body": 1' >"$MNT/public/pages/$n.json" || true
	done
	echo '{"id": 200}' >"$MNT/public/pages/.new.json"
	cat "$MNT"/.rowfs/{status,last-error,errors,last-insert} >/dev/null
	mv "$MNT/public/pages/200.json" "$MNT/public/pages/201.json"
	mv "$MNT/public/pages/5.json" "$MNT/public/pages/6.json"
	cp -r "$MNT/public" "$BATS_TEST_TMPDIR/copy"
	vim -u DEFAULTS -es -c '%s/page/leaf/' -c wq "$MNT/public/pages/9.json" </dev/null
	sql 'ALTER TABLE pages ADD COLUMN extra int'
	wait_until 20 grep -q extra "$MNT/public/pages/9.json"
}

@test "valgrind finds no leak and no error after mount, traffic and unmount" {
	[[ -z ${ROWFS_SANITIZED:-} ]] || skip "the sanitizers of this build look for the same"
	RUNNER="valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect --error-exitcode=99" \
		mount_rowfs
	busy_hour
	sleep 1 # the kernel says later that a file was closed, and what is open at the end is not freed
	unmount_rowfs
}

@test "nothing stays open or grows after much traffic" {
	mount_rowfs
	busy_hour 
	pid=$(rowfs_pid)
	descriptors=$(ls "/proc/$pid/fd" | wc -l)
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		cat "$MNT"/public/pages/*.json >/dev/null
		sed -i 's/leaf/page/; s/page/leaf/' "$MNT/public/pages/8.json"
		ls -lR "$MNT" >/dev/null
	done
	(($(ls "/proc/$pid/fd" | wc -l) <= descriptors + 8))
}
