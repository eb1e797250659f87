# Servers that are killed at random, and many writers: reads give the right content or EIO, every
# acknowledged save is in the database, and the mount recovers by itself.

load ../lib/rowfs

setup_file() {
	harness_start
	cat >"$HARNESS/control" <<-END
		#!/bin/bash
		source "$TOP/tests/lib/servers.bash"
		case \$1 in
		redis)
			redis_stop "$HARNESS/redis" KILL
			redis_start "$HARNESS/redis"
			;;
		postgres)
			# One in three loses a backend, which restarts the others; the rest lose the server.
			if ((RANDOM % 3 == 0)); then
				pid=\$(psql -XAtq -d postgres -c "SELECT pid FROM pg_stat_activity
					WHERE application_name NOT IN ('psql', '') AND datname IS NOT NULL
					ORDER BY random() LIMIT 1")
				[[ -z \$pid ]] || kill -KILL "\$pid"
			else
				cluster_stop "$HARNESS/postgres" immediate
				cluster_start "$HARNESS/postgres"
			fi
			answers() { psql -XAtq -d postgres -c 'SELECT 1' >/dev/null 2>&1; }
			wait_until 30 answers
			;;
		esac
	END
	chmod +x "$HARNESS/control"
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE pages (id int PRIMARY KEY, value text NOT NULL, touched int NOT NULL DEFAULT 0,
			seal text GENERATED ALWAYS AS (md5(value || '/' || touched)) STORED);
		CREATE TABLE audit (id int, old_value text, new_value text);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \$\$
			BEGIN
				INSERT INTO audit VALUES (NEW.id, OLD.value, NEW.value);
				RETURN NULL;
			END \$\$;
		INSERT INTO pages SELECT i, 'first ' || i FROM generate_series(1, 100) i;
		CREATE TRIGGER note AFTER UPDATE OF value ON pages FOR EACH ROW EXECUTE FUNCTION note()"
	mount_rowfs mnt admit=first
}

teardown() {
	mounts_end
}

# A daemon that dies may leave its callers waiting in the kernel, whom only a forced unmount lets go.
traffic() {
	local driver status=0

	python3 "$TOP/tests/lib/fault_traffic.py" "$1" "$MNT/public/pages" "$HARNESS/control" \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	driver=$!
	wait_until 500 either_gone "$driver" "$(rowfs_pid)" || true
	if ! wait_until 10 process_gone "$driver"; then
		echo "the traffic hangs" >&2
		unmount "$MNT" || true
		status=1
	fi
	wait "$driver" || status=1
	if ((status == 0)); then
		sed 's/^/# /' "$BATS_TEST_TMPDIR/out" >&3
		return 0
	fi
	cat "$BATS_TEST_TMPDIR/out" >&2
	tail -n 30 "$HARNESS/mounts/mnt.log" >&2
	return 1
}

either_gone() {
	process_gone "$1" || process_gone "$2"
}

@test "20 kills of Redis and 20 of PostgreSQL during 20000 reads and 2000 saves while rows change" {
	traffic kills
}

@test "1000 saves by 4 writers on different rows are all in the audit table" {
	traffic saves
}

@test "400 saves by 4 writers on one row are all in the audit table, each on top of what it had read" {
	traffic one
}

@test "without PostgreSQL a read is EIO, never ENOENT, and never an empty listing; it comes back by itself" {
	[[ -e $MNT/public/pages/1.json ]]
	cluster_stop "$HARNESS/postgres" immediate
	# What Redis and the kernel may still show is a second old at most.
	reads_fail() { ! cat "$MNT/public/pages/50.json" >/dev/null 2>&1; }
	wait_until 10 reads_fail
	fails_with "Input/output error" cat "$MNT/public/pages/50.json"
	fails_with "Input/output error" cat "$MNT/public/pages/5000.json"
	fails_with "Input/output error" ls "$MNT/public/pages"
	fails_with "Input/output error" sh -c 'echo "{\"value\": \"x\"}" > "$1"' - "$MNT/public/pages/50.json"
	cat "$MNT/.rowfs/status" >/dev/null
	cluster_start "$HARNESS/postgres"
	wait_until 10 grep -q 'first 50' "$MNT/public/pages/50.json"
	assert_equal "$(ls "$MNT/public/pages" | wc -l)" 100
	fails_with "No such file" cat "$MNT/public/pages/5000.json"
}

@test "a Redis that is flushed, or filled with garbage, changes no content" {
	read_each "$MNT"/public/pages/*.json >"$BATS_TEST_TMPDIR/before"
	redis FLUSHALL >/dev/null
	read_each "$MNT"/public/pages/*.json | cmp - "$BATS_TEST_TMPDIR/before"
	for key in $(redis --scan); do redis SET "$key" "garbage" >/dev/null; done
	read_each "$MNT"/public/pages/*.json | cmp - "$BATS_TEST_TMPDIR/before"
	for key in $(redis --scan); do
		redis DEL "$key" >/dev/null
		redis RPUSH "$key" list >/dev/null
	done
	read_each "$MNT"/public/pages/*.json | cmp - "$BATS_TEST_TMPDIR/before"
}
