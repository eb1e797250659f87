# Redis killed, stopped, emptied, full, or another one than before, under two mounts that hear a feed: nothing but
# speed is lost, and all comes back by itself.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	redis_end_others
	harness_end
}

setup() {
	pages_new
	feed_mount a
	feed_mount b
}

teardown() {
	feed_teardown
	redis_end_others
	[[ -f $HARNESS/redis/redis.pid ]] && redis PING >/dev/null || redis_start "$HARNESS/redis"
	redis CONFIG SET maxmemory 0 >/dev/null
}

redis_end_others() {
	local dir

	for dir in "$HARNESS"/redis-*/; do
		redis_stop "$dir" KILL
		rm -rf "$dir"
	done
}

# What is committed now is seen although Redis is no help.
seen_without_redis() {
	local n=$((RANDOM + 1000000))

	sql "INSERT INTO pages VALUES ($n, $n)"
	seen_by "public/pages/$n.json" n "$n" a b
	sql "DELETE FROM pages WHERE id = $n"
}

not_live() {
	local name

	for name in "$@"; do
		! feed_is "$name" feed live || return 1
	done
}

@test "Redis is killed, and restarted empty: reads ask PostgreSQL meanwhile, then a new epoch begins" {
	witness_start a b
	epoch=$(feed_epoch a)
	redis_stop "$HARNESS/redis" KILL
	wait_until 10 not_live a b
	wait_until 10 feed_is a redis unreachable
	assert_equal "$(feed_get a feed) $(feed_get b feed)" "not connected not connected"
	seen_without_redis
	redis_start "$HARNESS/redis"
	wait_new_epoch a "$epoch"
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "Redis is stopped for 3 s: reads ask PostgreSQL after 50 ms, and what Redis says late proves nothing" {
	witness_start a b
	epoch=$(feed_epoch a)
	kill -STOP "$(<"$HARNESS/redis/redis.pid")"
	began=$SECONDS
	wait_until 10 not_live a b
	seen_without_redis
	wait_until 10 feed_is a redis unreachable
	passed() { ((SECONDS - began > 3)); }
	wait_until 20 passed
	kill -CONT "$(<"$HARNESS/redis/redis.pid")"
	wait_new_epoch a "$epoch"
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "Redis is emptied by FLUSHALL again and again: each time a new epoch begins" {
	witness_start a b
	for _ in 1 2 3 4 5; do
		epoch=$(feed_epoch a)
		redis FLUSHALL >/dev/null
		wait_new_epoch a "$epoch"
		feed_live a b
	done
	witness_recovered
	witness_end
	witness_no_errors
}

@test "Redis is full and refuses to write: no heartbeat, reads ask PostgreSQL; with room again it goes on" {
	witness_start a b
	redis CONFIG SET maxmemory-policy noeviction >/dev/null
	redis CONFIG SET maxmemory 1mb >/dev/null
	fails_with OOM redis -e SET something "$(printf '%0100000d' 0)"
	wait_until 10 not_live a b
	seen_without_redis
	status=$(cat "$HARNESS/$(feed_leader a b)/.rowfs/status")
	assert_contains "$status" "OOM"
	redis CONFIG SET maxmemory 0 >/dev/null
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "Redis evicts whatever it likes, heartbeat and epochs included: no more than misses" {
	witness_start a b
	redis CONFIG SET maxmemory-policy allkeys-random >/dev/null
	limit=$(redis INFO memory | tr -d '\r' | sed -n 's/^used_memory:\([0-9]*\)$/\1/p')
	redis CONFIG SET maxmemory $((limit + 100000)) >/dev/null
	for i in $(seq 40); do
		redis SET "filler:$i" "$(printf '%010000d' "$i")" >/dev/null
		redis DEL "filler:$i" >/dev/null
		redis SET "more:$i" "$(printf '%010000d' "$i")" >/dev/null
	done
	(($(redis INFO stats | tr -d '\r' | sed -n 's/^evicted_keys://p') > 0))
	seen_without_redis
	redis CONFIG SET maxmemory 0 >/dev/null
	redis CONFIG SET maxmemory-policy noeviction >/dev/null
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

# another_redis NAME [OPTION...]: a second server, in $HARNESS/redis-NAME.
another_redis() {
	local name=$1

	shift
	redis_start "$HARNESS/redis-$name" "$@"
}

# take_its_place NAME: from now on whoever connects reaches that server; the old one dies.
take_its_place() {
	mv "$HARNESS/redis-$1/redis.sock" "$HARNESS/redis/redis.sock"
	redis_stop "$HARNESS/redis" KILL
	mv "$HARNESS/redis-$1/redis.pid" "$HARNESS/redis/redis.pid"
}

@test "another Redis stands at the address: its epoch is another, and the old one's copies are of no use" {
	another_redis new
	witness_start a b
	epoch=$(feed_epoch a)
	take_its_place new
	wait_new_epoch a "$epoch"
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "another Redis stands at the address, while connections to the old one live on" {
	another_redis new
	witness_start a b
	epoch=$(feed_epoch a)
	# Old connections stay with the old server, which goes on beating; a new mount asks the new one.
	mv "$HARNESS/redis/redis.sock" "$HARNESS/redis/old.sock"
	mv "$HARNESS/redis-new/redis.sock" "$HARNESS/redis/redis.sock"
	mount_rowfs c
	n=424242
	sql "INSERT INTO pages VALUES ($n, $n)"
	seen_by "public/pages/$n.json" n "$n" a b c
	for n in 11 12 13; do
		sql "UPDATE pages SET n = $n WHERE id = 424242"
		seen_by "public/pages/424242.json" n "$n" a b c
	done
	redis_stop "$HARNESS/redis" KILL
	mv "$HARNESS/redis-new/redis.pid" "$HARNESS/redis/redis.pid"
	wait_new_epoch a "$epoch"
	feed_live a b c
	sql "DELETE FROM pages WHERE id = 424242"
	witness_recovered
	witness_end
	witness_no_errors
	rm "$HARNESS/redis/old.sock"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A replica of the harness' Redis, which has all that it has.
replica() {
	local port

	port=$(free_port)
	redis CONFIG SET bind 127.0.0.1 >/dev/null
	redis CONFIG SET port "$port" >/dev/null
	another_redis replica --replicaof 127.0.0.1 "$port" --repl-diskless-sync-delay 0
	wait_until "$PATIENCE" replica_has_all
}

of_replica() {
	redis-cli -s "$HARNESS/redis-replica/redis.sock" "$@"
}

replica_has_all() {
	[[ $(of_replica INFO replication) == *master_link_status:up* ]] && of_replica --scan | grep -q ':r:'
}

@test "a replica is promoted in its place, with the heartbeat still standing in it: nothing goes back" {
	cat "$HARNESS"/{a,b}/public/pages/*.json >/dev/null
	redis CONFIG SET repl-diskless-sync-delay 0 >/dev/null
	witness_start a b
	replica
	epoch=$(feed_epoch a)
	of_replica REPLICAOF NO ONE >/dev/null
	take_its_place replica
	wait_new_epoch a "$epoch"
	feed_live a b
	witness_recovered
	witness_end
	witness_no_errors
}

@test "a replica with old data is promoted in its place: none of it is shown" {
	redis CONFIG SET repl-diskless-sync-delay 0 >/dev/null
	cat "$HARNESS"/{a,b}/public/pages/*.json >/dev/null
	held() { redis --scan | grep -q ':r:'; }
	wait_until 10 held
	replica
	of_replica REPLICAOF NO ONE >/dev/null
	sql "UPDATE pages SET n = 700 + id"
	# Rows 5 to 8 are not read between their change and the switch: nothing but the proof keeps their old copies away.
	for id in 1 2 3 4; do seen_by "public/pages/$id.json" n $((700 + id)) a b; done
	of_replica --scan | grep -q ':r:.*:8'
	epoch=$(feed_epoch a)
	began=$SECONDS
	passed() { ((SECONDS - began > 2)); }
	wait_until 20 passed
	take_its_place replica
	for _ in $(seq 20); do
		for name in a b; do
			assert_equal "$(cat "$HARNESS/$name"/public/pages/[1-6].json | jq -s -c 'map(.n)')" "[701,702,703,704,705,706]"
		done
	done
	wait_new_epoch a "$epoch"
	feed_live a b
	# And the last two not before Redis is asked again.
	for name in a b; do
		assert_equal "$(cat "$HARNESS/$name"/public/pages/[78].json | jq -s -c 'map(.n)')" "[707,708]"
	done
}

@test "both servers are killed at once and come back: EIO meanwhile, then all is right without a remount" {
	witness_start a b
	redis_stop "$HARNESS/redis" KILL
	cluster_stop "$HARNESS/postgres" immediate
	reads_fail() { ! cat "$HARNESS/a/public/pages/1.json" >/dev/null 2>&1; }
	wait_until 10 reads_fail
	fails_with "Input/output error" cat "$HARNESS/b/public/pages/2.json"
	cluster_start "$HARNESS/postgres"
	redis_start "$HARNESS/redis"
	feed_live a b
	witness_recovered
	witness_end
}
