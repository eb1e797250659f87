# Skewed reads, with a Redis that has room for a twentieth of the rows: it holds the right ones, and a walk through the
# table does not push them out. ROWFS_ZIPF_ROWS, _WARM and _READS make it larger. No part of tests/run, since it measures;
# `tests/campaign zipf` runs it.

load ../lib/rowfs
load ../lib/feed

ROWS=${ROWFS_ZIPF_ROWS:-50000}
WARM=${ROWFS_ZIPF_WARM:-250000}
READS=${ROWFS_ZIPF_READS:-100000}

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	redis FLUSHALL >/dev/null
	redis CONFIG SET maxmemory 0 >/dev/null
	redis CONFIG SET maxmemory-policy volatile-lfu >/dev/null
	redis CONFIG SET lfu-log-factor 1 >/dev/null
	redis CONFIG SET maxmemory-samples 10 >/dev/null
	sql "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, note text NOT NULL);
		INSERT INTO items SELECT i, 'item ' || i, repeat(md5(i::text), 4) FROM generate_series(1, $ROWS) i"
	sql "VACUUM ANALYZE items"
	export REDIS="redis-cli -s $HARNESS/redis/redis.sock"
}

teardown() {
	redis CONFIG SET maxmemory 0 >/dev/null
	mounts_end
}

used_memory() {
	redis INFO memory | tr -d '\r' | sed -n 's/^used_memory://p'
}

# make_room NAME: for a twentieth of the rows, beside what mounts tell each other.
make_room() {
	local each

	cat "$HARNESS/$1/public/items/1.json" >/dev/null
	cat "$HARNESS/$1/public/items/1.json" >/dev/null
	found() { [[ -n $(redis --scan --pattern '*:[ra]:*') ]]; }
	wait_until 10 found
	each=$(redis MEMORY USAGE "$(redis --scan --pattern '*:[ra]:*' | head -n 1)")
	echo "# a copy takes $each bytes" >&3
	redis CONFIG SET maxmemory $(($(used_memory) + 100000 + (each + 100) * ROWS / 20)) >/dev/null
}

# phase NAME FIELD, of what zipf.py printed
phase() {
	jq -r "select(.phase == \"$1\") | .$2" "$BATS_TEST_TMPDIR/zipf"
}

zipf_share() {
	python3 "$TOP/tests/lib/zipf.py" share "$HARNESS/$1" public/items "$ROWS" "$WARM" "$READS" "${@:2}" \
		>"$BATS_TEST_TMPDIR/zipf"
	sed 's/^/# /' "$BATS_TEST_TMPDIR/zipf" >&3
}

# points NAME: what the phase's share is below the best, in hundredths of a point.
points() {
	jq "select(.phase == \"$1\") | (.best - .share) * 10000 | round" "$BATS_TEST_TMPDIR/zipf"
}

# With a feed, as most mounts are. What the mount has in memory is little here, and in Redis as well: so the answers of both
# are those of Redis.
@test "a Redis with room for 5 % of the rows answers what the best 5 % would, within three points; a scan costs less than one" {
	mount_rowfs mnt memory_max=1M
	feed_live mnt
	make_room mnt
	zipf_share mnt "grep -rq 'no such text' '$HARNESS/mnt/public/items'"
	(($(points warm) <= 300))
	(($(points after) <= 300))
	(($(points after) - $(points warm) < 100))
}

@test "for comparison: all that is read is admitted" {
	mount_rowfs mnt changes=ttl,ttl=3600,admit=first
	make_room mnt
	zipf_share mnt "find '$HARNESS/mnt/public/items' -name '*.json' -print0 | shuf -z | xargs -0 cat"
}

# fetches FROM TO: reads that PostgreSQL answered of a hundred, between these seconds after the kill.
fetches() {
	jq -s --argjson from "$1" --argjson to "$2" --argjson killed "$killed" \
		'map(select(.at - $killed > $from and .at - $killed <= $to)) |
			10000 * (map(.fetches) | add) / (map(.reads) | add) | round / 100' "$BATS_TEST_TMPDIR/load"
}

# With a feed: what the mount has in memory answers some reads, Redis most. The mount takes over the worker's part.
@test "the worker is killed under load: after three seconds PostgreSQL is asked at most 1.2 times what it was before" {
	"$ROWFS" sync "host=$HARNESS/postgres user=postgres dbname=$PGDATABASE" \
		-o "redis=unix:$HARNESS/redis/redis.sock,log=$BATS_TEST_TMPDIR/sync.log" </dev/null >/dev/null 2>&1 3>&- &
	worker=$!
	works() { grep -q 'this process is the worker' "$BATS_TEST_TMPDIR/sync.log"; }
	wait_until 20 works
	mount_rowfs mnt memory_max=1M
	feed_live mnt
	wait_until 5 feed_is mnt worker_here waiting
	make_room mnt
	python3 "$TOP/tests/lib/zipf.py" load "$HARNESS/mnt" public/items "$ROWS" "$((WARM / 5000 + 15))" \
		>"$BATS_TEST_TMPDIR/load" 3>&- &
	load=$!
	warm() { (($(jq -s 'map(.reads) | add' "$BATS_TEST_TMPDIR/load") >= WARM / 2)); }
	wait_until 120 warm
	kill -KILL "$worker"
	killed=$(date +%s.%N)
	wait "$load"
	wait "$worker" 2>/dev/null || true
	before=$(fetches -6 0) after=$(fetches 3 6)
	echo "# of 100 reads PostgreSQL answered $before before, $after after; each second:" >&3
	for second in 0 1 2 3 4 5; do echo "# $second: $(fetches "$second" $((second + 1)))" >&3; done
	grep -h 'a new epoch' "$HARNESS/mounts/mnt.log" | tail -n 1 | sed 's/^/# /' >&3
	jq -en --argjson before "$before" --argjson after "$after" '$after <= 1.2 * $before'
}
