# The network between mounts, Redis and PostgreSQL is cut, so that packets vanish, and healed (tests/lib/network.bash):
# what is read is right or EIO, and all comes back by itself.

load ../lib/rowfs
load ../lib/feed
load ../lib/network

setup_file() {
	((EUID == 0)) || skip "needs root"
	network_start a b c sync
	feed_start
	cluster_stop "$HARNESS/postgres"
	cluster_configure "$HARNESS/postgres" "listen_addresses = '$POSTGRES_ADDRESS'"
	as_server tee -a "$HARNESS/postgres/data/pg_hba.conf" >/dev/null <<<"host all all 10.77.0.0/16 trust"
	network_run postgres cluster_start "$HARNESS/postgres"
	redis_stop "$HARNESS/redis"
	network_run redis redis_start "$HARNESS/redis" --port 6379 --bind "$REDIS_ADDRESS" --protected-mode no
}

teardown_file() {
	harness_end
	network_end
}

setup() {
	pages_new
}

teardown() {
	local machine

	for machine in a b c sync; do
		heal "$machine" pg
		heal "$machine" redis
	done
	feed_teardown
}

tcp_source() {
	echo "host=$POSTGRES_ADDRESS user=postgres dbname=$PGDATABASE"
}

# feed_mount_on MACHINE [OPTIONS]: a mount of the same name there.
feed_mount_on() {
	RUNNER=$(network_enter "$1") feed_mount "$1" "redis=redis://$REDIS_ADDRESS${2:+,$2}" "$(tcp_source)"
}

# The first one is the worker.
mounts_on() {
	local machine

	feed_mount_on "$1"
	feed_leader "$1"
	for machine in "${@:2}"; do feed_mount_on "$machine"; done
}

is_not_live() {
	! feed_is "$1" feed live
}

# The mounts show what is committed now.
all_see() {
	local n=$((RANDOM + 1000000))

	sql "INSERT INTO pages VALUES ($n, $n)"
	seen_by "public/pages/$n.json" n "$n" "$@"
	sql "DELETE FROM pages WHERE id = $n"
}

finish() {
	feed_live "${WITNESSED[@]}"
	feed_leader "${WITNESSED[@]}"
	witness_recovered
	witness_end
}

@test "a mount loses Redis: it asks PostgreSQL, the others do not notice" {
	mounts_on a b
	witness_start a b
	cut b redis
	wait_until 20 is_not_live b
	wait_until 20 feed_is b redis unreachable
	wait_until 20 feed_is b feed "not connected"
	all_see a b
	assert_equal "$(feed_get a feed) $(feed_get a worker_here)" "live leading"
	heal b redis
	finish
	witness_no_errors
}

@test "a mount loses PostgreSQL: it shows what Redis proves fresh, else EIO; the others do not notice" {
	mounts_on a b
	witness_start a b
	cut b pg
	wait_until 30 feed_is b postgresql unreachable
	all_see a
	assert_equal "$(feed_get a feed) $(feed_get a worker_here)" "live leading"
	# The row is in Redis, by a's read; b shows it, without PostgreSQL.
	sql "INSERT INTO pages VALUES (99, 99)"
	fresh() { cat "$HARNESS/a/public/pages/99.json" >/dev/null; has_value b public/pages/99.json n 99; }
	wait_until 20 fresh
	assert_equal "$(feed_get b feed)" live
	fails_with "Input/output error" cat "$HARNESS/b/public/pages/98.json"
	heal b pg
	finish
	assert_equal "$(witness_count a eio)" 0
}

@test "the worker loses Redis: no heartbeats, all mounts ask PostgreSQL until somebody works again" {
	mounts_on a b
	witness_start a b
	cut a redis
	wait_until 20 is_not_live a
	wait_until 20 feed_is a redis unreachable
	all_see a b
	heal a redis
	finish
	witness_no_errors
}

@test "the worker loses PostgreSQL: another mount takes over when the server has noticed" {
	mounts_on a b
	witness_start a b
	epoch=$(feed_epoch b)
	cut a pg
	wait_until 20 is_not_live b
	all_see b
	wait_new_epoch b "$epoch"
	assert_equal "$(feed_get b worker_here)" leading
	# a hears it, by Redis, and shows what that proves.
	feed_live a
	heal a pg
	finish
	assert_equal "$(witness_count b eio)" 0
}

@test "the worker's machine loses both, and comes back" {
	mounts_on a b c
	witness_start a b c
	epoch=$(feed_epoch b)
	cut a pg
	cut a redis
	wait_new_epoch b "$epoch"
	feed_live b c
	all_see b c
	feed_leader b c >/dev/null
	assert_equal "$(feed_get a feed)" "not connected"
	heal a redis
	heal a pg
	finish
	assert_equal "$(witness_count b eio) $(witness_count c eio)" "0 0"
}

@test "three mounts: one is cut off from both and misses changes, two go on" {
	mounts_on a b c
	for name in a b c; do cat "$HARNESS/$name"/public/pages/*.json >/dev/null; done
	witness_start a b c
	cut c redis
	cut c pg
	wait_until 20 feed_is c feed "not connected"
	sql "INSERT INTO pages VALUES (50, 50)"
	seen_by public/pages/50.json n 50 a b
	fails_with "Input/output error" cat "$HARNESS/c/public/pages/50.json"
	sql "UPDATE pages SET n = 51 WHERE id = 50"
	heal c pg
	heal c redis
	wait_until "$PATIENCE" has_value c public/pages/50.json n 51
	finish
	assert_equal "$(witness_count a eio) $(witness_count b eio)" "0 0"
}

@test "rowfs sync on a machine of its own loses Redis, then PostgreSQL: mounts elsewhere ask PostgreSQL meanwhile" {
	RUNNER=$(network_enter sync) rowfs_background sync sync "$(tcp_source)" -o "redis=redis://$REDIS_ADDRESS"
	feed_mount_on a noworker
	feed_mount_on b noworker
	witness_start a b
	for network in redis pg; do
		cut sync "$network"
		wait_until 20 is_not_live a
		wait_until 20 is_not_live b
		all_see a b
		heal sync "$network"
		feed_live a b
	done
	witness_recovered
	witness_end
	witness_no_errors
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
}
