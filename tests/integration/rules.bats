# Who may say what the placement rules are, and what a rule may do: rowfs.placement is a table in somebody's database, read by
# every mount each second and written to by whoever types `rowfs place`, often a superuser.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
	sql_of_all "CREATE ROLE app LOGIN; CREATE ROLE other LOGIN; CREATE ROLE stranger LOGIN"
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	redis FLUSHALL >/dev/null
	sql "CREATE TABLE goods (id int PRIMARY KEY, stock int NOT NULL, note text NOT NULL);
		INSERT INTO goods SELECT i, i % 10, 'good ' || i FROM generate_series(1, 100) i;
		GRANT SELECT ON goods TO app, other; CREATE TABLE ran (what text); GRANT INSERT ON ran TO PUBLIC"
}

teardown() {
	feed_teardown
}

sql_of_all() {
	psql -X -q -d postgres -v ON_ERROR_STOP=1 -c "$1"
}

# place_as ROLE ARGUMENT...
place_as() {
	"$ROWFS" place "$(source_of "$1")" "${@:2}"
}

source_of() {
	echo "host=$PGHOST user=$1 dbname=$PGDATABASE"
}

place() {
	place_as postgres "$@"
}

where() {
	"$ROWFS" where "$HARNESS/$1/public/goods/$2.json" | sed -n "s/^$3: //p"
}

where_is() {
	[[ $(where "$1" "$2" "$3") == "$4" ]]
}

log_of() {
	cat "$HARNESS/mounts/$1.log"
}

# The table as rowfs makes it, of this role.
rules_of() {
	sql "CREATE SCHEMA IF NOT EXISTS rowfs AUTHORIZATION ${1:-postgres}; GRANT USAGE ON SCHEMA rowfs TO PUBLIC;
		CREATE TABLE rowfs.placement (relation text PRIMARY KEY, rule text NOT NULL);
		ALTER TABLE rowfs.placement OWNER TO ${1:-postgres}; GRANT SELECT ON rowfs.placement TO PUBLIC"
}

# spoiled_by SQL TEXT: with that, nothing is written to it, the message has this text, and mounts have no rules.
spoiled_by() {
	sql "DROP SCHEMA IF EXISTS rowfs CASCADE"
	rules_of
	sql "CREATE OR REPLACE FUNCTION public.run() RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END \$\$;
		CREATE OR REPLACE FUNCTION public.run_for_row() RETURNS trigger LANGUAGE plpgsql AS
		\$\$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN NEW; END \$\$;
		INSERT INTO rowfs.placement VALUES ('public.goods', 'place=off')"
	sql "$1"
	fails_with "rowfs.placement is not used: $2" place public.goods hash=1/2
	fails_with "rowfs.placement is not used: $2" place public.goods --drop
	fails_with "rowfs.placement is not used: $2" place --show
	assert_equal "$(sql 'SELECT count(*) FROM ran')" 0
	wait_until 10 feed_says a placement "rowfs.placement is not used: $2"
	where_is a 1 rule_of ""
}

@test "rowfs place: what somebody has made of the table is not run, and mounts do not read it" {
	feed_mount a
	spoiled_by "CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON rowfs.placement FOR EACH ROW EXECUTE FUNCTION run_for_row()" \
		'it has a trigger "mine"'
	spoiled_by "CREATE RULE mine AS ON INSERT TO rowfs.placement DO ALSO SELECT run()" 'it has a rule "mine"'
	spoiled_by "CREATE POLICY mine ON rowfs.placement USING (run())" 'it has a policy "mine"'
	spoiled_by "ALTER TABLE rowfs.placement ENABLE ROW LEVEL SECURITY" "it has row security"
	spoiled_by "ALTER TABLE rowfs.placement ALTER rule SET DEFAULT run()::text" "a column has a default"
	spoiled_by "ALTER TABLE rowfs.placement ADD more text" 'it has the column "more"'
	spoiled_by "ALTER TABLE rowfs.placement ALTER rule TYPE varchar" "its columns are not relation and rule"
	spoiled_by "ALTER TABLE rowfs.placement ADD CONSTRAINT mine CHECK (run()) NOT VALID" 'it has the constraint "mine"'
	spoiled_by "CREATE FUNCTION public.same(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT \$1';
		CREATE INDEX mine ON rowfs.placement (same(rule))" 'it has the index "rowfs.mine"'
	spoiled_by "CREATE TABLE rowfs.part () INHERITS (rowfs.placement)" "it inherits, or is inherited from"
	spoiled_by "ALTER TABLE rowfs.placement DROP CONSTRAINT placement_pkey" "its primary key is not relation"
	spoiled_by "ALTER TABLE rowfs.placement RENAME TO real;
		CREATE VIEW rowfs.placement AS SELECT relation, rule FROM rowfs.real WHERE public.run()" "it is no table"
	spoiled_by "ALTER TABLE rowfs.placement OWNER TO stranger" "it belongs to stranger, who is neither a superuser nor"
	spoiled_by "ALTER SCHEMA rowfs OWNER TO stranger" "schema rowfs belongs to stranger, who is neither"
	# Nothing wrong, and it is used. Each was said once.
	sql "ALTER SCHEMA rowfs OWNER TO postgres"
	wait_until 10 where_is a 1 rule "off (place=off)"
	assert_equal "$(feed_get a placement)" ""
	place public.goods hash=1/2
	assert_equal "$(place --show)" "public.goods: hash=1/2"
	assert_equal "$(log_of a | grep -c 'it has a trigger "mine"')" 1
}

@test "rowfs place: whose the table is" {
	sql "ALTER DATABASE $PGDATABASE OWNER TO app"
	# Neither the database's owner nor a superuser makes one, though he may.
	sql "GRANT CREATE ON DATABASE $PGDATABASE TO other"
	fails_with "schema rowfs belongs to other, who is neither a superuser nor the database's owner" \
		place_as other public.goods place=off
	assert_equal "$(sql "SELECT to_regnamespace('rowfs') IS NULL")" t
	# Its owner does; and what is his a superuser only reads.
	place_as app public.goods place=off
	fails_with "belongs to app, who could have this role run anything: connect as that role" place public.goods hash=1/2
	assert_equal "$(place --show)" "public.goods: place=off"
	# A schema that is somebody else's already.
	sql "DROP SCHEMA rowfs CASCADE; CREATE SCHEMA rowfs AUTHORIZATION stranger"
	fails_with "schema rowfs is not used: schema rowfs belongs to stranger" place public.goods place=off
	assert_equal "$(sql "SELECT to_regclass('rowfs.placement') IS NULL")" t
}

@test "rowfs place: somebody makes the schema at the same time" {
	local placing

	hold "CREATE SCHEMA rowfs AUTHORIZATION stranger"
	place public.goods place=off >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	placing=$!
	wait_until 10 somebody_waits
	release COMMIT
	if wait "$placing"; then false; fi
	assert_equal "$(sql "SELECT to_regclass('rowfs.placement') IS NULL")" t
	fails_with "schema rowfs belongs to stranger" place public.goods place=off
}

somebody_waits() {
	[[ $(sql "SELECT count(*) FROM pg_locks WHERE NOT granted") != 0 ]]
}

@test "rowfs place: a trigger that is made while it waits for the table is seen" {
	local placing

	place public.goods place=off
	hold "CREATE TRIGGER mine BEFORE INSERT OR UPDATE ON rowfs.placement FOR EACH ROW
		EXECUTE FUNCTION suppress_redundant_updates_trigger()"
	place public.goods hash=1/2 >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	placing=$!
	wait_until 10 somebody_waits
	release COMMIT
	if wait "$placing"; then false; fi
	assert_contains "$(cat "$BATS_TEST_TMPDIR/out")" 'it has a trigger "mine"'
	assert_equal "$(sql "SELECT rule FROM rowfs.placement")" place=off
}

@test "all mounts come to one answer, whatever their role; hot= of the database's owner is no SQL for a superuser" {
	sql "ALTER DATABASE $PGDATABASE OWNER TO app; CREATE TABLE things (id int PRIMARY KEY);
		GRANT SELECT ON things TO app, other; ALTER TABLE things OWNER TO app; INSERT INTO things VALUES (1)"
	place_as app public.goods place=off
	place_as app public.things 'hot=true'
	feed_mount a
	mount_rowfs b noworker,admit=first "$(source_of app)"
	mount_rowfs c noworker,admit=first "$(source_of other)"
	for name in a b c; do
		wait_until 10 where_is "$name" 1 rule "off (place=off)"
		where_is "$name" 1 rule_of "the database"
	done
	wait_until 10 feed_says a pins "public.things: lazy, since hot= is SQL, and rowfs.placement belongs neither to"
	assert_contains "$(log_of a)" "rule of \"public.things\" is ignored: hot= is SQL"
	lacks "is ignored: hot= is SQL" "$HARNESS/mounts/b.log"
}

@test "a lock on the table of rules stops no mount and no catalog: the last rules count" {
	place public.goods place=off
	feed_mount a
	wait_until 10 where_is a 1 rule "off (place=off)"
	hold "LOCK TABLE rowfs.placement IN ACCESS EXCLUSIVE MODE"
	wait_until 10 feed_says a placement "rowfs.placement cannot be read now: canceling statement due to lock timeout"
	sql "ALTER TABLE goods ADD more int DEFAULT 5"
	wait_until 5 has_more
	where_is a 1 rule "off (place=off)"
	# A mount that has not seen them begins without, and gets them.
	feed_mount b
	assert_contains "$(where b 1 rule)" lazy
	release
	wait_until 10 where_is b 1 rule "off (place=off)"
	wait_until 10 feed_is a placement ""
	where_is a 1 rule "off (place=off)"
	assert_equal "$(log_of a | grep -c 'rowfs.placement cannot be read now, so')" 1
	assert_equal "$(log_of a | grep -c 'rowfs.placement can be read again')" 1
	fails_with "lock timeout" held_place
}

@test "a server that is slow when the mount begins: its rules count from the start" {
	place public.goods place=off
	sql "SET allow_system_table_mods = on; DO \$\$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_roles AS '
		|| replace(pg_get_viewdef('pg_roles'::regclass), 'FROM (pg_authid', 'FROM pg_sleep(1.1) AS slow, (pg_authid'); END \$\$"
	mount_rowfs a noworker
	where_is a 1 rule "off (place=off)"
}

has_more() {
	grep -q '"more": 5' "$HARNESS/a/public/goods/1.json"
}

held_place() {
	local status=0

	hold "LOCK TABLE rowfs.placement IN ACCESS EXCLUSIVE MODE"
	place public.goods hash=1/2 || status=$?
	release
	return "$status"
}

@test "rules beyond all bounds are not read, and what is odd in them shows as one line" {
	rules_of
	sql "INSERT INTO rowfs.placement VALUES ('public.goods', 'hot=id < 5 ' || repeat('-', 100000000)),
		('public.ran', E'place=\\033[31moff'), (E'public.no\\nsuch', 'place=off'), (repeat('x', 2000), 'place=off')"
	feed_mount a
	wait_until 10 feed_says a pins "public.goods: lazy, since its rule is too long"
	feed_says a pins 'public.ran: lazy, since place=?[31moff: expected lazy or off'
	feed_says a pins 'public.no such: lazy, since there is no such table'
	assert_equal "$(place --show | sort)" "(too long): place=off
public.goods: (too long)
public.no such: place=off
public.ran: place=?[31moff"
	# Nobody has held the long one.
	(($(awk '/VmHWM/ { print $2 }' "/proc/$(rowfs_pid a)/status") < 80000)) || [[ -n ${ROWFS_SANITIZED:-} ]]
	sql "DELETE FROM rowfs.placement; INSERT INTO rowfs.placement SELECT 'public.t' || i, 'place=off'
		FROM generate_series(1, 10001) i"
	wait_until 20 feed_says a placement "rowfs.placement has more than 10000 rules: the others do not count"
	wait_until 10 feed_says a pins "; and 9980 tables more"
}

@test "a predicate that is none by itself is refused, and fails where it came otherwise" {
	fails_with "a predicate has no parameters, such as \$1" place public.goods 'hot=note = $1'
	fails_with "type" place public.goods 'hot=true) OR (true'
	fails_with "division by zero" place public.goods 'hot=id > 1/0'
	# In a text it is none.
	place public.goods "hot=note = '\$1'"
	feed_mount a
	wait_until 15 feed_says a pins "public.goods: 0 rows pinned"
	for rule in 'hot=note = $1' 'hot=id = $1'; do
		sql "UPDATE rowfs.placement SET rule = '$rule'"
		wait_until 15 feed_says a pins "public.goods: lazy, since its rule fails: 42P02 undefined_parameter"
		sql "UPDATE rowfs.placement SET rule = 'hot=id < 3'"
		wait_until 15 feed_says a pins "public.goods: 2 rows pinned"
	done
	assert_contains "$(log_of a)" "its rule fails: 42P02 undefined_parameter: a predicate has no parameters"
	for rule in 'hot=true) OR (true' 'hot=$1'; do
		sql "UPDATE rowfs.placement SET rule = 'hot=id < 3'"
		wait_until 15 feed_says a pins "public.goods: 2 rows pinned"
		sql "UPDATE rowfs.placement SET rule = '$rule'"
		wait_until 15 feed_says a pins "public.goods: lazy, since its rule fails: 42804 datatype_mismatch"
	done
}

@test "an error of a predicate may tell what rows hold: to the worker's own log alone" {
	sql "UPDATE goods SET note = 'secret' WHERE id = 7; UPDATE goods SET note = '1' WHERE id <> 7"
	place public.goods 'hot=note::int > 0'
	feed_mount a
	mount_rowfs b noworker
	wait_until 15 feed_says a pins "public.goods: lazy, since its rule fails: 22P02 invalid_text_representation"
	wait_until 15 feed_says b worker "public.goods: lazy, since its rule fails: 22P02 invalid_text_representation"
	lacks secret "$HARNESS/a/.rowfs/status"
	lacks secret "$HARNESS/b/.rowfs/status"
	lacks secret "$HARNESS/mounts/b.log"
	assert_contains "$(log_of a)" '22P02 invalid_text_representation: invalid input syntax for type integer: "secret"'
}

@test "a worker whose role may not read a table says so" {
	sql "CREATE TABLE closed (id int PRIMARY KEY); CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id);
		CREATE TABLE part PARTITION OF parted FOR VALUES IN (1);
		ALTER ROLE other REPLICATION; GRANT CREATE ON DATABASE $PGDATABASE TO other; CREATE PUBLICATION rowfs FOR TABLE goods"
	place public.closed hash=1/1
	sql "INSERT INTO rowfs.placement VALUES ('public.nothing', 'hash=1/1'), ('public.part', 'hash=1/1')"
	rowfs_background sync sync "$(source_of other)" -o "redis=unix:$HARNESS/redis/redis.sock"
	mount_rowfs a noworker
	wait_until 30 feed_says a worker "public.closed: lazy, since the worker's role may not read it"
	feed_says a worker "public.nothing: lazy, since there is no such table"
	feed_says a worker "public.part: lazy, since it is a partition"
	assert_contains "$(cat "$HARNESS/mounts/sync.log")" "placement: public.closed: lazy, since the worker's role may not read it"
	kill "$(rowfs_pid sync)"
	wait_until 10 test -s "$HARNESS/mounts/sync.exit"
	sql "ALTER ROLE other NOREPLICATION"
}

@test "a function in a predicate cannot make the worker's session write" {
	sql "CREATE FUNCTION public.evil() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN
		PERFORM set_config('default_transaction_read_only', 'off', false);
		PERFORM set_config('statement_timeout', '0', false);
		BEGIN PERFORM set_config('transaction_read_only', 'off', false); EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN INSERT INTO public.ran VALUES (current_setting('statement_timeout')); EXCEPTION WHEN OTHERS THEN NULL; END;
		RETURN true; END \$\$"
	place public.goods 'hot=public.evil()'
	feed_mount a
	wait_until 15 feed_says a pins "public.goods: 100 rows pinned"
	for note in one two three; do
		sql "UPDATE goods SET note = '$note'"
		sleep 1
	done
	wait_until 15 feed_says a pins "public.goods: 100 rows pinned"
	assert_equal "$(sql 'SELECT count(*) FROM ran')" 0
}

@test "rules count for all roles, whoever has made the schema" {
	"$ROWFS" sync install "$(source_string)" >/dev/null 3>&-
	place public.goods place=off
	mount_rowfs b "noworker" "$(source_of app)"
	where_is b 6 rule "off (place=off)"
	assert_equal "$(feed_get b placement)" ""
}

@test "where and status say whose rule counts, where a mount's file and the database differ" {
	place public.goods 'hot=stock > 5'
	cat >"$BATS_TEST_TMPDIR/off.conf" <<-'CONF'
		table "public.goods" { place = off }
	CONF
	cat >"$BATS_TEST_TMPDIR/lazy.conf" <<-'CONF'
		table "public.goods" { place = lazy }
	CONF
	feed_mount a
	wait_until 15 feed_says a pins "public.goods: 40 rows pinned"
	mount_rowfs b "noworker,config=$BATS_TEST_TMPDIR/off.conf"
	mount_rowfs c "noworker,config=$BATS_TEST_TMPDIR/lazy.conf"
	wait_until 10 feed_is b feed live
	wait_until 10 feed_is c feed live
	wait_until 10 where_is a 6 rule "pinned by hot=stock > 5"
	where_is a 6 rule_of "the database"
	where_is b 6 rule "off (place=off)"
	where_is b 6 rule_of "this mount's configuration file, instead of the database's rule"
	feed_is b placement_of_file "public.goods, instead of the database's rule"
	wait_until 10 where_is c 6 rule "pinned by the worker's rule, which is not this mount's"
	where_is c 6 rule_of "this mount's configuration file, instead of the database's rule"
	assert_equal "$(feed_get a placement_of_file)" ""
}

@test "another mtime= than the worker's: no wrong mtime is shown, and where and status say why copies are of no use" {
	sql "ALTER TABLE goods ADD made timestamptz DEFAULT '2001-02-03 04:05:06Z', ADD sold timestamptz DEFAULT '2011-12-13 14:15:16Z'"
	place public.goods 'hot=stock > 5'
	feed_mount a mtime=made
	wait_until 15 feed_says a pins "public.goods: 40 rows pinned"
	mount_rowfs b noworker,admit=first,mtime=sold
	wait_until 10 feed_is b feed live
	# Of a column that came shortly before the worker may still have to hear, and then it loads all anew.
	wait_until 15 where_is b 6 redis "a copy made with other columns or another mtime= than here, which is not used"
	for id in 6 7 8; do
		assert_equal "$(stat -c %Y "$HARNESS/a/public/goods/$id.json")" "$(date -d '2001-02-03 04:05:06Z' +%s)"
		assert_equal "$(stat -c %Y "$HARNESS/b/public/goods/$id.json")" "$(date -d '2011-12-13 14:15:16Z' +%s)"
		cat "$HARNESS"/{a,b}/public/goods/$id.json >/dev/null
		assert_equal "$(stat -c %Y "$HARNESS/b/public/goods/$id.json")" "$(date -d '2011-12-13 14:15:16Z' +%s)"
	done
	(($(feed_get b cache_foreign) >= 3))
	assert_equal "$(feed_get b cache_garbage)" 0
}

# swap: the table becomes a view while readers wait for it, and the table again.
swap() {
	sql "BEGIN; ALTER TABLE rowfs.placement RENAME TO real; CREATE VIEW rowfs.placement AS SELECT relation, rule,
		'1'::xid AS xmin, '(0,1)'::tid AS ctid FROM rowfs.real WHERE public.run();
		GRANT SELECT ON rowfs.placement TO PUBLIC; SELECT pg_sleep(0.06); COMMIT" >/dev/null
	sql "BEGIN; DROP VIEW rowfs.placement; ALTER TABLE rowfs.real RENAME TO placement; COMMIT"
}

@test "a table of rules that becomes a view while it is waited for is not read: its owner runs nothing as a superuser" {
	local mark

	sql "ALTER DATABASE $PGDATABASE OWNER TO app; CREATE FUNCTION public.run() RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN RAISE LOG 'run as %', current_user; RETURN true; END \$\$"
	place_as app public.goods place=off
	feed_mount a
	wait_until 10 where_is a 1 rule "off (place=off)"
	mark=$(log_mark)
	for _ in {1..100}; do swap; done
	assert_equal "$(tail -c "+$((mark + 1))" "$HARNESS/postgres/log" | grep -c 'run as postgres' || true)" 0
	wait_until 10 where_is a 1 rule "off (place=off)"
}
