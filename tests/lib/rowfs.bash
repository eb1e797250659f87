# The harness of the bats files: a real PostgreSQL, a real Redis and real mounts, private to one file,
# in a folder that goes when the file is done, however it ends.
#
#   load ../lib/rowfs
#   setup_file()    { harness_start; }
#   teardown_file() { harness_end; }
#   setup()         { database_from_shop; mount_rowfs; }
#   teardown()      { mounts_end; }
#
# $ROWFS is the program under test. Mounts are under /var/tmp: vim and emacs make no backups under
# /tmp, and a test of editors there would test less than it seems to.

# shellcheck source=servers.bash
source "$(dirname "${BASH_SOURCE[0]}")/servers.bash"

TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
: "${ROWFS:=$TOP/build/rowfs}"
export TOP ROWFS LC_ALL=C.UTF-8

# Servers, for setup_file and teardown_file

# harness_start [POSTGRESQL SETTING...]
harness_start() {
	[[ -c /dev/fuse ]] || skip "no /dev/fuse"
	[[ -x $ROWFS ]] || {
		echo "no program to test: $ROWFS" >&2
		return 1
	}
	HARNESS=$(mktemp -d /var/tmp/rowfs-test.XXXXXX)
	chmod 755 "$HARNESS"
	export HARNESS PGHOST=$HARNESS/postgres PGUSER=postgres PGCONNECT_TIMEOUT=10
	unset PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE
	cluster_create "$HARNESS/postgres"
	# With a feed of changes the same must hold: ROWFS_TEST_CHANGES=wal.
	[[ ${ROWFS_TEST_CHANGES:-} != wal ]] || set -- "wal_level = logical" "$@"
	cluster_configure "$HARNESS/postgres" "log_statement = all" "log_line_prefix = '%m [%p] app=%a '" \
		"shared_preload_libraries = 'pg_stat_statements'" "lc_messages = 'C'" "$@"
	password_for secret
	cluster_start "$HARNESS/postgres"
	redis_start "$HARNESS/redis"
}

# The role needs a password; everyone else is trusted.
password_for() {
	as_server sed -i "1i local all $1 scram-sha-256" "$HARNESS/postgres/data/pg_hba.conf"
}

harness_end() {
	local dir status=0

	[[ -n ${HARNESS:-} ]] || return 0
	mounts_end || status=1
	for dir in "$HARNESS"/*/; do
		redis_stop "$dir" KILL
		cluster_remove "$dir" || true
	done
	rm -rf --one-file-system "$HARNESS"
	return "$status"
}

# same_trees EXPECTED FOUND: diff -r finds nothing; of a lot it shows the beginning.
same_trees() {
	diff -r "$1" "$2" >"$BATS_TEST_TMPDIR/diff" 2>&1 && return 0
	head -n 40 "$BATS_TEST_TMPDIR/diff" >&2
	return 1
}

# Databases

# hold SQL: a transaction that runs it and stays open until release. HELD is its server process.
hold() {
	coproc HOLDER { psql -X -Atq -v ON_ERROR_STOP=1 3>&-; }
	# Bash forgets its own when the process ends.
	HOLDER_PROCESS=$HOLDER_PID HOLDER_INPUT=${HOLDER[1]}
	printf 'BEGIN; %s; SELECT pg_backend_pid();\n' "$1" >&"$HOLDER_INPUT"
	# shellcheck disable=SC2034 # the tests'
	read -r -t 10 HELD <&"${HOLDER[0]}"
}

# release [STATEMENTS]: end it with these, or ROLLBACK.
release() {
	printf '%s;\n\\q\n' "${1:-ROLLBACK}" >&"$HOLDER_INPUT"
	wait "$HOLDER_PROCESS" || return 1
	HOLDER_PROCESS=
}

sql() {
	psql -X -Atq -v ON_ERROR_STOP=1 -c "$1"
}

# database_new [TEMPLATE]: a fresh database for this test; psql and mounts use it from now on.
database_new() {
	# In setup_file the number is missing, or negative.
	export PGDATABASE="test_${BATS_TEST_NUMBER#-}_$RANDOM"
	psql -X -q -d postgres -c "CREATE DATABASE $PGDATABASE TEMPLATE ${1:-template0} STRATEGY file_copy"
}

# The example's shop, loaded once for the file and copied for each test.
database_from_shop() {
	if ! psql -X -q -d shop -c '' 2>/dev/null; then
		psql -X -q -d postgres -c 'CREATE DATABASE shop TEMPLATE template0'
		psql -X -q -d shop -v ON_ERROR_STOP=1 -o /dev/null -f "$TOP/mnt-example/shop.sql"
	fi
	database_new shop
}

# Every row of every table of the database, one a line: what a whole-table comparison compares.
database_rows() {
	local table

	for table in $(sql "SELECT format('%I.%I', nspname, relname) FROM pg_class c
		JOIN pg_namespace n ON n.oid = relnamespace
		WHERE relkind IN ('r', 'p') AND NOT relispartition
		AND nspname !~ '^pg_|^information_schema$' ORDER BY 1"); do
		sql "SELECT '$table ' || t::text FROM $table t ORDER BY t::text COLLATE \"C\""
	done
}

# rows_changed FILE: how the database differs from what database_rows wrote into FILE, as diff -U0
# shows it, without the headers.
rows_changed() {
	diff -U0 "$1" <(database_rows) | grep '^[-+][^-+]' || true
}

# The servers' own count of what was asked

# A place in the server's log; statements are logged before they are answered.
log_mark() {
	stat -c %s "$HARNESS/postgres/log"
}

# statements_since MARK: the SQL that rowfs sent, one statement a line; psql's is left out.
statements_since() {
	tail -c "+$(($1 + 1))" "$HARNESS/postgres/log" | awk '
		function out() {
			if (line ~ / app=[^ ]* LOG:  (execute [^:]*|statement): / && line !~ / app=psql /) {
				sub(/^.* LOG:  (execute [^:]*|statement): /, "", line)
				print line
			}
		}
		/^\t/ { sub(/^\t+/, " "); line = line $0; next }
		{ out(); line = $0 }
		END { out() }'
}

# writes_since MARK: the verbs of those that change data, space-separated, in order. Quoted names and
# strings are no verbs, and SELECT … FOR UPDATE changes nothing.
writes_since() {
	statements_since "$1" | sed -E "s/'[^']*'//g; s/\"[^\"]*\"//g; s/FOR (NO KEY )?UPDATE//Ig" |
		grep -owiE 'INSERT|UPDATE|DELETE|TRUNCATE|MERGE|COPY' | tr "[:lower:]" "[:upper:]" | paste -sd ' '
}

# assert_writes MARK VERB...
assert_writes() {
	local mark=$1 expected

	shift
	expected=$*
	assert_equal "$(writes_since "$mark")" "$expected" || {
		statements_since "$mark" >&2
		return 1
	}
}

# redis_calls COMMAND: how often Redis has run it.
redis_calls() {
	redis INFO commandstats | tr -d '\r' | sed -n "s/^cmdstat_$1:calls=\([0-9]*\),.*/\1/p" | grep . || echo 0
}

# All commands so far except those that only a person or this harness gives.
redis_calls_all() {
	redis INFO commandstats | tr -d '\r' |
		awk -F '[:=,]' '/^cmdstat_/ && $1 !~ /_(info|config|flushall|client.*|hello|ping|auth|select)$/ {
			sum += $3 } END { print sum + 0 }'
}

redis() {
	redis-cli -s "$HARNESS/redis/redis.sock" "$@"
}

# Mounts

# read_each FILE…: each by a program of its own, since one that reads many in their order puts none into Redis.
read_each() {
	local file

	for file in "$@"; do
		cat "$file" || return 1
	done
}

# What rowfs is given to connect with.
source_string() {
	echo "host=$PGHOST user=$PGUSER dbname=$PGDATABASE"
}

# mount_rowfs [NAME [OPTIONS [SOURCE]]]: mount the test's database at $HARNESS/NAME (default: mnt),
# which is also $MNT. OPTIONS add to, and win over, redis=the harness' own.
mount_rowfs() {
	local name=${1:-mnt} options=${2:-} from=${3:-}

	MNT=$HARNESS/$name
	mkdir -p "$MNT"
	rowfs_background "$name" "${from:-$(source_string)}" "$MNT" \
		-o "redis=unix:$HARNESS/redis/redis.sock,state_dir=$HARNESS/state/$name${options:+,$options}"
	wait_until 30 mount_ready "$name" || {
		cat "$HARNESS/mounts/$name.log" >&2
		return 1
	}
	is_mounted "$MNT" || {
		cat "$HARNESS/mounts/$name.log" >&2
		return 1
	}
}

# rowfs_background NAME ARGUMENT...: the program in front of a background shell, which notes its pid,
# what it says and how it ends in $HARNESS/mounts/NAME.{pid,log,exit}.
rowfs_background() {
	local file=$HARNESS/mounts/$1

	shift
	mkdir -p "$HARNESS/mounts"
	rm -f "$file.exit"
	(
		sanitizer_options
		# shellcheck disable=SC2086 # RUNNER is a command with its options
		${RUNNER:-} "$ROWFS" "$@" -f </dev/null >>"$file.log" 2>&1 3>&- &
		echo $! >"$file.pid"
		status=0
		wait $! || status=$?
		echo "$status" >"$file.exit"
	) </dev/null >/dev/null 2>&1 3>&- &
	disown
	wait_until 10 test -s "$file.pid"
}

# Mounted, or ended already.
mount_ready() {
	is_mounted "$HARNESS/$1" || [[ -f $HARNESS/mounts/$1.exit ]]
}

# Reports of the sanitizers go to files, which mounts_end looks for.
sanitizer_options() {
	local more=${ASAN_OPTIONS:+:$ASAN_OPTIONS}

	export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:log_path=$HARNESS/mounts/asan$more"
	export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:log_path=$HARNESS/mounts/asan"
	export LSAN_OPTIONS="log_path=$HARNESS/mounts/asan"
}

rowfs_pid() {
	cat "$HARNESS/mounts/${1:-mnt}.pid"
}

# unmount_rowfs [NAME]: unmount and wait until the program has ended; fails if it ended badly.
unmount_rowfs() {
	local name=${1:-mnt}

	unmount "$HARNESS/$name" || true
	wait_until 60 test -s "$HARNESS/mounts/$name.exit" || {
		echo "rowfs at $name did not end after it was unmounted" >&2
		kill -KILL "$(rowfs_pid "$name")"
		return 1
	}
	assert_equal "$(cat "$HARNESS/mounts/$name.exit")" 0 || {
		tail -n 50 "$HARNESS/mounts/$name.log" >&2
		return 1
	}
	# What the sanitizers cannot write elsewhere.
	lacks "runtime error: " "$HARNESS/mounts/$name.log" || return 1
	rm -f "$HARNESS/mounts/$name".{exit,pid,log}
}

# Unmount all, end what holds a lock, and look for reports of the sanitizers. For teardown.
mounts_end() {
	local pid name status=0

	[[ -n ${HARNESS:-} ]] || return 0
	[[ -z ${HOLDER_PROCESS:-} ]] || kill "$HOLDER_PROCESS" 2>/dev/null || true
	for pid in "$HARNESS"/mounts/*.pid; do
		[[ -f $pid ]] || continue
		name=$(basename "$pid" .pid)
		unmount_rowfs "$name" || status=1
		rm -f "$HARNESS/mounts/$name".*
	done
	for report in "$HARNESS"/mounts/asan.*; do
		[[ -f $report ]] || continue
		cat "$report" >&2
		rm -f "$report"
		status=1
	done
	rm -rf "$HARNESS/state"
	return "$status"
}

# Assertions: bats shows what they print when a test fails. (A bare `return` would answer with the failed
# test's status when it is called from a teardown, which bats runs in a trap.)

assert_equal() {
	[[ $1 == "$2" ]] && return 0
	printf 'expected: %s\nfound:    %s\n' "$2" "$1" >&2
	return 1
}

assert_contains() {
	[[ $1 == *"$2"* ]] && return 0
	printf 'expected to find: %s\nin: %s\n' "$2" "$1" >&2
	return 1
}

# lacks TEXT FILE: bats does not see the failure of a command that begins with `!`.
lacks() {
	if grep -qF -- "$1" "$2"; then
		printf 'did not expect: %s\nin: %s\n' "$1" "$(cat "$2")" >&2
		return 1
	fi
}

# fails_with ERRNO_TEXT COMMAND...: the command fails, and says this.
fails_with() {
	local text=$1 out status=0

	shift
	out=$("$@" 2>&1) || status=$?
	((status != 0)) || {
		echo "succeeded: $*" >&2
		return 1
	}
	assert_contains "$out" "$text"
}

last_error() {
	cat "$MNT/.rowfs/last-error"
}
