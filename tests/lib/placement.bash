# What the tests of placement rules share. Loaded after feed.bash.

# A fresh database, and a Redis that is empty and has no bound.
servers_reset() {
	database_new
	redis FLUSHALL >/dev/null
	redis CONFIG SET maxmemory 0 >/dev/null
	redis CONFIG SET maxmemory-policy noeviction >/dev/null
}

# The table of most of them.
goods_new() {
	sql "CREATE TABLE goods (id int PRIMARY KEY, stock int NOT NULL, note text NOT NULL);
		INSERT INTO goods SELECT i, i % 10, 'good ' || i FROM generate_series(1, 1000) i"
}

place() {
	"$ROWFS" place "$(source_string)" "$@"
}

oid() {
	sql "SELECT 'public.${1:-goods}'::regclass::oid"
}

# keys_of TABLE: its rows in Redis, leases aside.
keys_of() {
	redis --scan --pattern "rf:*:r:$(oid "$1"):*"
}

count_keys() {
	keys_of "${1:-goods}" | wc -l
}

# reads_since MARK: how many rows rowfs has read one by one.
reads_since() {
	statements_since "$1" | grep -c 'FROM ONLY "public"."goods" AS t WHERE t."id"' || true
}

read_row() {
	cat "$MNT/public/goods/$1.json" >/dev/null
}

keys_are() {
	[[ $(count_keys "${2:-goods}") == "$1" ]]
}

# pinned TABLE: the names of its rows in Redis that do not expire, sorted. One command, so that it is of one moment.
pinned() {
	redis EVAL 'local out = {} for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
		if redis.call("PTTL", key) == -1 then out[#out + 1] = string.match(key, ":r:%d+:(.*)$") end end
		table.sort(out) return out' 0 "rf:*:r:$(oid "${1:-goods}"):*" | sed '/^$/d'
}

# The keys that the predicate selects, as names.
selected() {
	sql "SELECT id FROM goods WHERE $1 ORDER BY id::text COLLATE \"C\""
}

pinned_are() {
	[[ $(pinned) == "$(selected "$1")" ]]
}

# pins_become PREDICATE: soon exactly these are pinned.
pins_become() {
	wait_until 15 pinned_are "$1" || {
		diff <(pinned) <(selected "$1") | head -n 20 >&2
		grep -E '^(pins|worker|feed)' "$MNT/.rowfs/status" >&2
		return 1
	}
}

pinned_is() {
	[[ $(pinned) == "$1" ]]
}

many_pinned() {
	[[ $(pinned "$1" | wc -l) == "$2" ]]
}

# Bytes that Redis uses.
redis_used() {
	redis INFO memory | tr -d '\r' | sed -n 's/^used_memory://p'
}

evicted() {
	redis INFO stats | tr -d '\r' | sed -n 's/^evicted_keys://p'
}

pins_say() {
	[[ $(feed_get a pins) == "$1" ]]
}

# held KEY: what is in Redis under a key, whose prefix is added.
held() {
	redis GET "$(redis --scan --pattern 'rf:*:epoch' | sed 's/epoch$//')$1"
}

# held_is ID VALUE [TABLE]: that is in Redis for the row: how its copy or a lease begins, or holds.
held_is() {
	[[ $(held "r:$(oid "${3:-goods}"):$1") == *"$2"* ]]
}

held_is_nothing() {
	[[ -z $(held "r:$(oid "${2:-goods}"):$1") ]]
}

waiting_at_gate() {
	[[ $(sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1 ]]
}

# The server processes that run a statement with this text.
backends_with() {
	sql "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%$1%' AND pid <> pg_backend_pid()"
}

backend_with() {
	[[ -n $(backends_with "$1") ]]
}

# A read of it comes to Redis.
is_cached() {
	read_row "$1"
	redis --scan --pattern "rf:*:r:$(oid):$1" | grep -q .
}

# reads_begin DIR: somebody reads its rows all the time, so that they come lazily, too.
reads_begin() {
	rm -f "$BATS_TEST_TMPDIR/reads_end"
	until [[ -e $BATS_TEST_TMPDIR/reads_end ]]; do cat "$1"/*.json || true; done >/dev/null 2>&1 3>&- &
	READER=$!
}

# He has read the last one; and for max_staleness after that the mount does not use copies that may be older than what he saw.
reads_end() {
	touch "$BATS_TEST_TMPDIR/reads_end"
	wait "$READER"
	sleep 1.5
}
