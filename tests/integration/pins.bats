# What befalls pinned rows: failures of the worker, of PostgreSQL and of Redis while rows are being pinned, tables in trouble,
# large rows, and time. What is pinned when all is well is placement.bats'.

load ../lib/rowfs
load ../lib/feed
load ../lib/placement

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	servers_reset
	goods_new
}

teardown() {
	feed_teardown
}

# A function that a predicate may wait in, as long as somebody has the lock; no lock_timeout ends that.
gate_new() {
	sql "CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN
			WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.05); END LOOP;
			RETURN true;
		END \$\$"
}

# How many leases are out.
leases() {
	redis EVAL 'local n = 0 for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
		local v = redis.pcall("GET", key) if type(v) == "string" and string.sub(v, 1, 2) == "L:" then n = n + 1 end end
		return n' 0 "rf:*:r:*"
}

leases_are() {
	[[ $(leases) == "$1" ]]
}

leased() {
	(($(leases) > 0))
}

# The connections that have waited for two seconds after an EXEC: those of who pins.
pinners() {
	redis CLIENT LIST | sed -n 's/^id=\([0-9]*\) .* idle=\([0-9]*\) .* cmd=\(exec\|msetnx\) .*/\1 \2/p' | awk '$2 >= 2 { print $1 }'
}

pinner_waits() {
	[[ -n $(pinners) ]]
}

@test "the connection breaks while rows are leased: the leases are given back, in the same epoch" {
	local epoch

	gate_new
	place public.goods 'hot=stock > 5 AND (id <> 6 OR public.gate())'
	feed_mount a
	pins_become "stock > 5"
	epoch=$(feed_epoch a)
	hold "SELECT pg_advisory_xact_lock(7)"
	# Of these rows none is to be pinned any more but the one that is waited for, so nothing would take their leases.
	sql "UPDATE goods SET note = 'x', stock = CASE WHEN id = 6 THEN 9 ELSE 0 END WHERE stock > 5"
	wait_until 10 leased
	wait_until 10 pinner_waits
	redis CLIENT KILL ID "$(pinners)" >/dev/null
	release
	wait_until 20 leases_are 0
	pins_become "stock > 5"
	assert_equal "$(feed_epoch a)" "$epoch"
	wait_until 10 is_cached 28
	held_is 28 '"note": "x"'
}

@test "the worker is killed while rows are leased: the next one gives the leases back" {
	gate_new
	place public.goods 'hot=stock > 5 AND (id <> 6 OR public.gate())'
	feed_mount a
	pins_become "stock > 5"
	hold "SELECT pg_advisory_xact_lock(7)"
	sql "UPDATE goods SET note = 'x' WHERE stock > 5"
	wait_until 10 leased
	kill -KILL "$(rowfs_pid a)"
	fusermount3 -q -u -z "$HARNESS/a"
	rm -f "$HARNESS"/mounts/a.*
	release
	assert_equal "$(leases)" 400
	place public.goods --drop
	feed_mount b
	wait_until 20 leases_are 0
	assert_equal "$(pinned)" ""
	wait_until 10 is_cached 28
	held_is 28 '"note": "x"'
}

# A table of which a page is being put: 2000 rows are there, some hundred are read, and the rest is waited for until
# release. Its rows are read along the key, so they come in its order.
page_begin() {
	gate_new
	sql "CREATE TABLE many (id int PRIMARY KEY, note text NOT NULL); INSERT INTO many SELECT i, 'first' FROM generate_series(1, 3000) i;
		ALTER DATABASE $PGDATABASE SET enable_seqscan = off; ALTER DATABASE $PGDATABASE SET enable_bitmapscan = off;
		ALTER DATABASE $PGDATABASE SET enable_sort = off"
	place public.many 'hot=id <> 2500 OR public.gate()'
	hold "SELECT pg_advisory_xact_lock(7)"
	feed_mount a
	wait_until 20 many_pinned many 2000
	relation_leased
}

relation_leased() {
	[[ $(held "l:$(oid many)") == L:P:* ]]
}

relation_free() {
	[[ -z $(held "l:$(oid many)") ]]
}

@test "rows that change while their page is being put are pinned as they are then" {
	page_begin
	# One that is there, one that was read, one that will be, as it was.
	sql "UPDATE many SET note = 'second' WHERE id IN (1100, 2100, 2600)"
	wait_until 10 relation_free
	wait_until 10 held_is_nothing 1100 many
	release
	wait_until 20 feed_says a pins "public.many: 3000 rows pinned"
	many_pinned many 3000
	for id in 1100 2100 2600; do
		held_is $id '"note": "second"' many
	done
	held_is 2101 '"note": "first"' many
	relation_free
	# And what the connection watched is of no account any more.
	sql "UPDATE many SET note = 'third' WHERE id = 1100"
	wait_until 10 held_is 1100 '"note": "third"' many
}

@test "who reads a row while its page is being put has his copy, and the rest of the page comes row by row" {
	page_begin
	feed_mount b
	grep -q first "$MNT"/public/many/2700.json
	wait_until 10 held_is 2700 '"note": "first"' many
	relation_free
	release
	wait_until 20 many_pinned many 3000
	relation_free
}

@test "a page is put while others fill Redis: when there is no room any more it ends, and evicts nothing" {
	page_begin
	redis CONFIG SET maxmemory-policy volatile-lru >/dev/null
	redis EVAL 'for i = 1, 480 do redis.call("SET", "foreign:" .. i, string.rep("x", 10000), "EX", 1000) end' 0 >/dev/null
	redis CONFIG SET maxmemory $(($(redis_used) + 40000)) >/dev/null
	assert_equal "$(evicted)" 0
	release
	wait_until 20 feed_says a pins "public.many: "
	sleep 1
	assert_equal "$(evicted)" 0
	assert_equal "$(foreign)" 480
}

@test "the worker is killed while a page is being put: the next one ends its lease" {
	page_begin
	place public.many --drop
	kill -KILL "$(rowfs_pid a)"
	fusermount3 -q -u -z "$HARNESS/a"
	rm -f "$HARNESS"/mounts/a.*
	relation_leased
	release
	feed_mount b
	wait_until 20 relation_free
	wait_until 20 many_pinned many 0
}

@test "the connection breaks while a page is being put: it is put again" {
	page_begin
	assert_equal "$(redis CLIENT KILL ID "$(redis CLIENT LIST | sed -n 's/^id=\([0-9]*\) .* cmd=get .*/\1/p' | head -n 1)")" 1
	release
	wait_until 20 feed_says a pins "public.many: 3000 rows pinned"
	many_pinned many 3000
	wait_until 10 relation_free
}

peak_kb() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(rowfs_pid "$1")/status"
}

@test "a key that is there twice, in an index that is broken, holds nothing up" {
	sql "CREATE TABLE a_twice (id int PRIMARY KEY, note text); INSERT INTO a_twice SELECT i, 'first' FROM generate_series(1, 100) i;
		UPDATE pg_index SET indisready = false WHERE indexrelid = 'a_twice_pkey'::regclass"
	sql "INSERT INTO a_twice VALUES (26, 'twice')"
	sql "UPDATE pg_index SET indisready = true WHERE indexrelid = 'a_twice_pkey'::regclass;
		ALTER DATABASE $PGDATABASE SET enable_indexscan = off"
	place public.a_twice hash=1/1
	place public.goods 'hot=stock > 5'
	feed_mount a
	wait_until 20 many_pinned a_twice 100
	pins_become "stock > 5"
}

@test "rows of 900 kB, after small ones: memory has some of them at a time" {
	[[ -z ${ROWFS_SANITIZED:-} ]] || skip "a sanitizer keeps what was freed"
	local mark

	sql "CREATE TABLE wide (id int PRIMARY KEY, pad text); INSERT INTO wide SELECT i, '' FROM generate_series(1, 1000) i;
		INSERT INTO wide SELECT i, repeat('0123456789', 90000) FROM generate_series(1001, 1700) i"
	place public.wide hash=1/1
	mark=$(log_mark)
	feed_mount a
	wait_until 60 feed_says a pins "public.wide: 1700 rows pinned"
	# Whoever else waits has his turn between pages.
	(($(statements_since "$mark" | grep -c 'FROM ONLY "public"."wide" .* ORDER BY') >= 8))
	(($(peak_kb a) < 200000)) || {
		peak_kb a >&2
		false
	}
	# Changes come many at a time, too.
	sql "UPDATE wide SET pad = repeat('1234567890', 90000) WHERE id > 1000"
	wait_until 60 wide_changed
	(($(peak_kb a) < 200000)) || {
		peak_kb a >&2
		false
	}
}

wide_changed() {
	[[ $(redis EVAL 'local n = 0 for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
		if redis.call("STRLEN", key) > 900000 and string.find(redis.call("GETRANGE", key, 0, 300), "123456789012", 1, true) then
		n = n + 1 end end return n' 0 "rf:*:r:$(oid wide):*") == 700 ]]
}

foreign() {
	redis --scan --pattern 'foreign:*' | wc -l
}

@test "Redis is full: rows that come to be pinned evict nothing, those that change come back, and the feed goes on" {
	local epoch before

	sql "CREATE TABLE large (id int PRIMARY KEY, hot boolean, pad text); INSERT INTO large
		SELECT i, i % 2 = 0, repeat(md5(i::text), 30) FROM generate_series(1, 4000) i"
	place public.large 'hot=hot'
	feed_mount a
	wait_until 30 many_pinned large 2000
	epoch=$(feed_epoch a)
	for policy in volatile-lru noeviction; do
		redis EVAL 'for i = 1, 3000 do redis.call("SET", "foreign:" .. i, string.rep("x", 500), "EX", 10000) end' 0 >/dev/null
		redis CONFIG SET maxmemory-policy "$policy" maxmemory $(($(redis_used) + 2000000)) >/dev/null
		before=$(evicted)
		sql "UPDATE large SET hot = true WHERE id % 2 = 1"
		wait_until 20 feed_says a pins "stopped: Redis has no room for more"
		# What was pinned changes, and comes back.
		sql "UPDATE large SET pad = upper(pad) WHERE id % 2 = 0 AND id < 1000"
		wait_until 20 upper_pinned 499
		sleep 2
		assert_equal "$(evicted)" "$before"
		assert_equal "$(foreign)" 3000
		many_pinned large 2000
		assert_equal "$(feed_epoch a)" "$epoch" || {
			cat "$HARNESS/mounts/a.log" >&2
			false
		}
		assert_equal "$(feed_get a feed)" live
		redis CONFIG SET maxmemory 0 >/dev/null
		wait_until 40 many_pinned large 4000
		sql "UPDATE large SET hot = false WHERE id % 2 = 1; UPDATE large SET pad = lower(pad) WHERE pad <> lower(pad)"
		wait_until 20 many_pinned large 2000
		wait_until 20 upper_pinned 0
	done
	redis CONFIG SET maxmemory-policy noeviction >/dev/null
}

# How many of the large rows were pinned with letters A to F.
upper_pinned() {
	[[ $(redis EVAL 'local n = 0 for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
		if redis.call("PTTL", key) == -1 and string.find(redis.call("GET", key), "\"pad\": \"[0-9]*[A-F]") then n = n + 1 end end
		return n' 0 "rf:*:r:$(oid large):*") == "$1" ]]
}

@test "a table that somebody holds, and one whose rule fails, do not keep others from being pinned" {
	sql "CREATE TABLE a_locked (id int PRIMARY KEY); INSERT INTO a_locked VALUES (1);
		CREATE TABLE a_failing (id int PRIMARY KEY); INSERT INTO a_failing VALUES (0)"
	place public.a_locked hash=1/1
	place public.a_failing 'hot=1 / id > 0'
	feed_mount a
	wait_until 15 many_pinned a_locked 1
	hold "LOCK a_locked IN ACCESS EXCLUSIVE MODE"
	redis DEL "$(redis --scan --pattern "rf:*:t:$(oid a_locked)")" >/dev/null
	wait_until 15 feed_says a pins "public.a_locked: loading, 0 rows so far, waits: 55P03 lock_not_available"
	place public.goods 'hot=stock > 5'
	pins_become "stock > 5"
	feed_says a pins "public.a_failing: lazy, since its rule fails: 22012 division_by_zero"
	# It is tried now and then only.
	for _ in 1 2 3; do
		sql "UPDATE goods SET stock = 9 - stock"
		pins_become "stock > 5"
	done
	release
	wait_until 90 many_pinned a_locked 1
	wait_until 5 feed_says a pins "public.a_locked: 1 rows pinned; "
}

@test "a look at the rows that is cancelled is made again, and what is pinned stays" {
	gate_new
	place public.goods 'hot=stock > 5 AND public.gate()'
	feed_mount a pins_audit=2
	pins_become "stock > 5"
	hold "SELECT pg_advisory_xact_lock(7)"
	wait_until 15 backend_with 'gate()'
	sql "SELECT pg_cancel_backend($(backends_with 'gate()' | head -n 1))"
	wait_until 10 grep -q "waits: canceling statement due to user request" "$HARNESS/mounts/a.log"
	release
	pinned_are "stock > 5"
	lacks "its rule fails" "$HARNESS/mounts/a.log"
}

@test "rows that come and go leave nothing behind, not even a name" {
	local names

	place public.goods 'hot=stock > 5'
	feed_mount a
	pins_become "stock > 5"
	names=$(redis --scan --pattern "rf:*:p:$(oid)")
	assert_equal "$(redis SCARD "$names")" 400
	for i in 1 2 3 4; do
		sql "INSERT INTO goods SELECT i, 9, 'comes' FROM generate_series(2001, 2250) i"
		((i % 2)) || pins_become "stock > 5"
		sql "DELETE FROM goods WHERE id > 2000"
	done
	pins_become "stock > 5"
	wait_until 10 names_are "$names" 400
}

names_are() {
	[[ $(redis SCARD "$1") == "$2" ]]
}

@test "a rule that speaks of the time: rows leave and come at the next audit, though they have not changed" {
	sql "ALTER TABLE goods ADD COLUMN until timestamptz; UPDATE goods SET until = now() + '1 day' WHERE stock > 5;
		UPDATE goods SET until = now() + '12 s' WHERE stock = 5"
	place public.goods 'hot=until > now()'
	feed_mount a pins_audit=1
	wait_until 8 pinned_are "stock >= 5"
	wait_until 30 pinned_are "stock > 5"
	# They leave for good, and nothing else does.
	sleep 3
	pinned_are "stock > 5"
	wait_until 5 feed_says a pins "public.goods: 400 rows pinned"
	sql "UPDATE goods SET until = NULL WHERE stock = 6; UPDATE goods SET until = now() + '1 hour' WHERE stock = 0"
	wait_until 10 pinned_are "stock > 6 OR stock = 0"
	place public.goods "hot=until > now() AND until < now() + '59 minutes 55 seconds'"
	wait_until 30 pinned_are "stock = 0"
}

# A standby of the servers', which shows late what the primary does.
standby_start() {
	local standby=$HARNESS/standby

	mkdir "$standby"
	chown postgres "$standby" 2>/dev/null || true
	as_server "$(postgres_bin)/pg_basebackup" -h "$HARNESS/postgres" -U postgres -D "$standby/data" -R -c fast
	cluster_configure "$standby" "unix_socket_directories = '$standby'"
	cluster_start "$standby"
}

@test "a worker that reads a standby pins nothing, and says why" {
	standby_start
	place public.goods 'hot=stock > 5'
	caught_up() { [[ $(psql -X -Atq -h "$HARNESS/standby" -c "SELECT count(*) FROM rowfs.placement" 2>/dev/null) == 1 ]]; }
	wait_until 20 caught_up
	rowfs_background sync sync "host=$HARNESS/standby user=$PGUSER dbname=$PGDATABASE" \
		-o "redis=unix:$HARNESS/redis/redis.sock,direct=$(source_string)"
	feed_mount a noworker
	wait_until 15 feed_says a worker "public.goods: lazy, since the worker reads a standby"
	sleep 1
	assert_equal "$(pinned)" ""
	kill "$(rowfs_pid sync)"
	wait_until 10 test -s "$HARNESS/mounts/sync.exit"
	cluster_stop "$HARNESS/standby" immediate
}

# The postmaster and all of its children.
all_of_postgres() {
	local postmaster

	postmaster=$(head -n 1 "$HARNESS/postgres/data/postmaster.pid")
	echo "$postmaster"
	pgrep -P "$postmaster"
}

# ends_soon NAME: it has ended a few seconds after it was told to; left to itself, PostgreSQL's answer is awaited for 35.
ends_soon() {
	kill "$(rowfs_pid "$1")"
	wait_until 5 test -s "$HARNESS/mounts/$1.exit" || return 1
	assert_equal "$(cat "$HARNESS/mounts/$1.exit")" 0
}

# ends_soon_without NAME PID...: with these processes stopped.
ends_soon_without() {
	local name=$1 status=0

	shift
	kill -STOP "$@"
	ends_soon "$name" || status=1
	kill -CONT "$@"
	return "$status"
}

@test "a mount and a worker end soon although PostgreSQL has stopped answering while rows are being pinned" {
	local many

	gate_new
	hold "SELECT pg_advisory_xact_lock(7)"
	place public.goods 'hot=stock > 5 AND public.gate()'
	feed_mount a
	wait_until 15 backend_with 'gate()'
	# shellcheck disable=SC2046
	ends_soon_without a $(backends_with 'gate()')
	for name in a sync; do
		if [[ $name == a ]]; then
			feed_mount a
		else
			rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
		fi
		wait_until 30 backend_with 'gate()'
		mapfile -t many < <(all_of_postgres)
		ends_soon_without "$name" "${many[@]}"
	done
	release
}

@test "a mount ends soon although PostgreSQL has stopped answering while a row is loaded for rowfs warm" {
	# The directory that rowfs warm has open then is not closed any more, which is reported as a leak.
	[[ -z ${ROWFS_SANITIZED:-} ]] || skip "what is open at the end is not freed"
	feed_mount a
	hold "LOCK goods IN ACCESS EXCLUSIVE MODE"
	"$ROWFS" warm "$MNT/public/goods/1.json" >/dev/null 2>&1 3>&- &
	wait_until 15 backend_with 'FROM ONLY "public"."goods" AS t WHERE t."id"'
	# shellcheck disable=SC2046
	ends_soon_without a $(backends_with 'FROM ONLY "public"."goods"')
	release
}
