# PostgreSQL restarted, failed over, or taking the worker's stream away, under two mounts that hear a feed: what is
# read is right or EIO, and all comes back by itself.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start "max_slot_wal_keep_size = 16MB" "min_wal_size = 32MB" "max_wal_size = 32MB" "wal_sender_timeout = 1s"
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
	[[ ! -s $BATS_TEST_TMPDIR/stopped ]] || kill -CONT "$(<"$BATS_TEST_TMPDIR/stopped")" 2>/dev/null || true
	feed_teardown
	[[ -f $HARNESS/postgres/data/postmaster.pid ]] || cluster_start "$HARNESS/postgres"
}

postgres_gone() {
	! cat "$HARNESS/a/public/pages/1.json" >/dev/null 2>&1
}

restart() {
	witness_start a b
	epoch=$(feed_epoch a)
	cluster_stop "$HARNESS/postgres" "$1"
	wait_until 10 postgres_gone
	fails_with "Input/output error" cat "$HARNESS/b/public/pages/1.json"
	wait_until 10 feed_is a postgresql unreachable
	feed_is a feed "no heartbeat"
	# Whatever the log says of it, it says why.
	if grep -E ': *$' "$HARNESS"/mounts/[ab].log; then return 1; fi
	cluster_start "$HARNESS/postgres"
	wait_new_epoch a "$epoch"
	feed_live a b
	witness_recovered
	witness_end
}

@test "PostgreSQL is shut down and started again: the stream does not hold up the shutdown" {
	restart fast
}

@test "PostgreSQL loses all its processes at once" {
	restart immediate
}

@test "a backend is killed, which restarts the others" {
	witness_start a b
	epoch=$(feed_epoch a)
	kill -KILL "$(sql "SELECT pid FROM pg_stat_replication")"
	wait_new_epoch a "$epoch"
	feed_live a b
	witness_recovered
	witness_end
}

@test "the walsender is terminated: the slot goes with it, and a new one begins with a new epoch" {
	witness_start a b
	slot=$(sql "SELECT slot_name FROM pg_replication_slots")
	# It cannot be dropped from under its user.
	fails_with "is active" sql "SELECT pg_drop_replication_slot('$slot')"
	for _ in 1 2 3; do
		epoch=$(feed_epoch a)
		sql "SELECT pg_terminate_backend(pid) FROM pg_stat_replication" >/dev/null
		wait_new_epoch a "$epoch"
		feed_live a b
		assert_equal "$(sql "SELECT count(*) FROM pg_replication_slots")" 1
	done
	witness_recovered
	witness_end
	witness_no_errors
}

@test "the connection that holds the worker's lock is terminated: one worker again, with a new epoch" {
	witness_start a b
	epoch=$(feed_epoch a)
	sql "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted" >/dev/null
	wait_new_epoch a "$epoch"
	feed_live a b
	feed_leader a b
	assert_equal "$(sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" 1
	witness_recovered
	witness_end
	witness_no_errors
}

@test "the walsender is stopped for 3 s: no heartbeats, and nothing old afterwards" {
	witness_start a b
	sender=$(sql "SELECT pid FROM pg_stat_replication")
	echo "$sender" >"$BATS_TEST_TMPDIR/stopped"
	kill -STOP "$sender"
	began=$SECONDS
	no_heartbeat() { feed_is a feed "no heartbeat" && feed_is b feed "no heartbeat"; }
	wait_until 10 no_heartbeat
	sql "INSERT INTO pages VALUES (99, 99)"
	seen_by public/pages/99.json n 99 a b
	passed() { ((SECONDS - began > 3)); }
	wait_until 20 passed
	kill -CONT "$sender"
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "wal_sender_timeout of 1 s: the worker has asked for its own, and outlives a stop of 4 s" {
	witness_start a b
	leader=$(feed_leader a b)
	other=$([[ $leader == a ]] && echo b || echo a)
	sender=$(sql "SELECT pid FROM pg_stat_replication")
	kill -STOP "$(rowfs_pid "$leader")"
	began=$SECONDS
	passed() { ((SECONDS - began > 4)); }
	wait_until 20 passed
	assert_equal "$(feed_get "$other" feed)" "no heartbeat"
	kill -CONT "$(rowfs_pid "$leader")"
	feed_live a b
	assert_equal "$(sql "SELECT pid FROM pg_stat_replication")" "$sender"
	witness_recovered
	witness_end
	witness_no_errors
}

@test "max_slot_wal_keep_size is exceeded by a stopped worker: its slot is lost, the next begins a new epoch" {
	leader=$(feed_leader a b)
	other=$([[ $leader == a ]] && echo b || echo a)
	epoch=$(feed_epoch "$other")
	sql "UPDATE pages SET n = 50 + id"
	seen_by public/pages/8.json n 58 a b
	kill -STOP "$(rowfs_pid "$leader")"
	sql "UPDATE pages SET n = 60 + id"
	slot_lost() {
		sql "SELECT count(pg_logical_emit_message(false, 'filler', repeat('x', 1000000)))
			FROM generate_series(1, 40)" >/dev/null
		sql "CHECKPOINT"
		[[ $(sql "SELECT count(*) FROM pg_replication_slots WHERE wal_status <> 'lost'") == 0 ]]
	}
	wait_until "$PATIENCE" slot_lost
	seen_by public/pages/8.json n 68 "$other"
	kill -CONT "$(rowfs_pid "$leader")"
	for id in $(seq 8); do seen_by "public/pages/$id.json" n $((60 + id)) a b; done
	wait_new_epoch "$other" "$epoch"
	feed_live a b
	witness_start a b
	witness_recovered
	witness_end
	witness_no_errors
}

# A primary and its standby, each with a socket of its own.
with_standby() {
	local standby=$HARNESS/standby

	cluster_create "$HARNESS/primary" another
	cluster_configure "$HARNESS/primary" "wal_level = logical"
	cluster_start "$HARNESS/primary"
	export PGHOST=$HARNESS/primary
	pages_new
	mkdir "$standby"
	chown postgres "$standby" 2>/dev/null || true
	as_server "$(postgres_bin)/pg_basebackup" -h "$HARNESS/primary" -U postgres -D "$standby/data" -R -c fast
	cluster_configure "$standby" "unix_socket_directories = '$standby'"
	cluster_start "$standby"
}

# From now on whoever connects to the primary's socket reaches the standby.
standby_takes_socket() {
	mv "$HARNESS/standby/.s.PGSQL.5432" "$HARNESS/primary/.s.PGSQL.5432"
}

@test "PostgreSQL fails over to a promoted standby, on a new timeline, at the same address" {
	with_standby
	feed_mount c
	feed_mount d
	witness_start c d
	epoch=$(feed_epoch c)
	# A clean switch: the standby gets all that was committed.
	cluster_stop "$HARNESS/primary" fast
	standby_takes_socket
	as_server "$(postgres_bin)/pg_ctl" -D "$HARNESS/standby/data" -w -s promote
	wait_new_epoch c "$epoch"
	feed_live c d
	assert_equal "$(sql "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")" 00000002
	assert_equal "$(sql "SELECT pg_is_in_recovery()")" f
	witness_recovered
	witness_end
	unmount_rowfs c
	unmount_rowfs d
	cluster_stop "$HARNESS/standby" immediate
}

@test "a standby that lags stands at PostgreSQL's address: what it has is not shown as the truth" {
	rm -rf "${HARNESS:?}"/{primary,standby}
	with_standby
	feed_mount c
	feed_mount d
	psql -X -Atq -h "$HARNESS/standby" -c "SELECT pg_wal_replay_pause()"
	sql "UPDATE pages SET n = 900 + id"
	for id in $(seq 8); do seen_by "public/pages/$id.json" n $((900 + id)) c d; done
	cluster_stop "$HARNESS/primary" immediate
	standby_takes_socket
	assert_equal "$(sql "SELECT n FROM pages WHERE id = 1")" 0
	not_live() { ! feed_is c feed live && ! feed_is d feed live; }
	wait_until 10 not_live
	wait_until 10 feed_says c postgresql_error "a standby answers"
	for _ in $(seq 10); do
		for id in $(seq 8); do
			n=$(value c "public/pages/$id.json" n 2>/dev/null) || n=EIO
			[[ -z $n || $n == EIO || $n == $((900 + id)) ]] || {
				echo "$id: $n" >&2
				false
			}
		done
	done
	psql -X -Atq -c "SELECT pg_wal_replay_resume()"
	as_server "$(postgres_bin)/pg_ctl" -D "$HARNESS/standby/data" -w -s promote
	feed_live c d
	for id in $(seq 8); do seen_by "public/pages/$id.json" n $((900 + id)) c d; done
	unmount_rowfs c
	unmount_rowfs d
	cluster_stop "$HARNESS/standby" immediate
}
