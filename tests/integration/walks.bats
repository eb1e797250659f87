# Who walks through a table is given the rows' texts that came with its listing: they are as fresh as any read, and whoever
# does not walk reads as ever, so that Redis has what is wanted again.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	redis FLUSHALL >/dev/null
	sql "CREATE TABLE items (id int PRIMARY KEY, note text);
		INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 300) i"
}

teardown() {
	feed_teardown
}

# mount_live NAME [OPTIONS]: rows enter Redis when they are read for the second time.
mount_live() {
	mount_rowfs "$@"
	feed_live "$1"
	ITEMS=$HARNESS/$1/public/items
}

# row_reads MARK: how many rows were read one by one.
row_reads() {
	statements_since "$1" | grep -c 'FROM ONLY "public"."items" AS t WHERE t."id"' || true
}

keys_are() {
	[[ $(redis --scan --pattern 'rf:*:r:*' | wc -l) == "$1" ]]
}

has_note() {
	[[ $(jq -r .note "$1") == "$2" ]]
}

# script ARGUMENT... <<'PYTHON': with the table's folder as `table`.
script() {
	PYTHONPATH=$TOP/tests/lib python3 - "$ITEMS" "$@" 3>&- <<<"
import os, signal, subprocess, sys, time

table = sys.argv[1]

def sql(statement):
    return subprocess.run(['psql', '-XAtqc', statement], check=True, capture_output=True, text=True).stdout

def read(name):
    with open(f'{table}/{name}') as f:
        return f.read()

$(cat)"
}

@test "grep -r and tar read no row but with the listing, and leave Redis as it was" {
	local mark

	mount_live a
	mark=$(log_mark)
	assert_equal "$(grep -rc item "$ITEMS" | grep -c ':1$')" 300
	tar -C "$ITEMS" -c . | tar -x -O | grep -c '"note"' | grep -qx 300
	assert_equal "$(row_reads "$mark")" 0
	keys_are 0
	(($(feed_get a memory_opens) >= 300))
}

@test "a second mount's walk through rows of 20 kB reads none by itself either" {
	local mark

	sql "UPDATE items SET note = repeat('item ', 4000)"
	mount_live a
	ls -l "$ITEMS" >/dev/null
	mount_live b
	mark=$(log_mark)
	assert_equal "$(grep -rlc item "$ITEMS" | wc -l)" 300
	assert_equal "$(row_reads "$mark")" 0
}

@test "what was listed is for who walks: rows that others read enter Redis when they are read again" {
	local mark id

	mount_live a
	ls -l "$ITEMS" >/dev/null
	mark=$(log_mark)
	for id in 1 2 3; do cat "$ITEMS/$id.json" >/dev/null; done
	assert_equal "$(row_reads "$mark")" 3
	for id in 1 2 3; do dd iflag=direct if="$ITEMS/$id.json" status=none >/dev/null; done
	mount_live b
	for id in 1 2 3; do cat "$ITEMS/$id.json" >/dev/null; done
	wait_until 5 keys_are 3
}

@test "a row that has changed since it was listed is read anew" {
	mount_live a
	ls -l "$ITEMS" >/dev/null
	sql "UPDATE items SET note = 'changed' WHERE id % 3 = 0"
	wait_until 2 has_note "$ITEMS/3.json" changed
	assert_equal "$(grep -rl changed "$ITEMS" | wc -l)" 100
	# While it is walked through, too.
	script <<'PYTHON'
names = sorted(name for name in os.listdir(table) if name.endswith('.json'))
sql("UPDATE items SET note = 'again'")
time.sleep(1.2)
old = [name for name in names if '"again"' not in read(name)]
assert not old, old
PYTHON
}

@test "who opened the directory before the table has changed reads rows as they are" {
	mount_live a
	script <<'PYTHON'
fd = os.open(table, os.O_RDONLY)
sql('ALTER TABLE items ADD COLUMN added int DEFAULT 7')
end = time.monotonic() + 10
while '"added": 7' not in read('1.json'):
    assert time.monotonic() < end
names = [entry.name for entry in os.scandir(fd) if entry.name.endswith('.json')]
assert len(names) == 300
old = [name for name in names if '"added": 7' not in read(name)]
assert not old, old
PYTHON
}

@test "of a table that is not to be cached nothing is kept, also if that was said after the directory was opened" {
	local mark

	mount_live a
	mark=$(log_mark)
	script "$ROWFS" place "$(source_string)" public.items place=off <<'PYTHON'
fd = os.open(table, os.O_RDONLY)
subprocess.run(sys.argv[2:], check=True)
time.sleep(2.5)
for entry in os.scandir(fd):
    read(entry.name)
PYTHON
	(($(row_reads "$mark") >= 300))
}

# The worker is held up, so that Redis has what was. Who has walked past what is, is not shown that.
@test "after a walk nobody on the mount is shown an older copy that is in Redis still" {
	rowfs_background sync sync "$(source_string)" -o "redis=unix:$HARNESS/redis/redis.sock"
	mount_live b "noworker,admit=first"
	cat "$ITEMS/7.json" >/dev/null
	wait_until 5 keys_are 1
	mount_live a noworker
	script "$(rowfs_pid sync)" <<'PYTHON'
def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout

worker, walked_first = int(sys.argv[2]), 0
for attempt in range(8):
    note = f'attempt {attempt}.'
    os.kill(worker, signal.SIGSTOP)
    sql(f"UPDATE items SET note = '{note}' WHERE id = 7")
    walked = output_of('tar', '-C', table, '-c', '.')
    seen = output_of('cat', f'{table}/7.json')
    os.kill(worker, signal.SIGCONT)
    walked_first += note in walked
    assert note not in walked or note in seen, (attempt, seen)
    end = time.monotonic() + 10
    while note not in output_of('cat', f'{table}/../../../b/public/items/7.json'):
        assert time.monotonic() < end
    time.sleep(1.3)  # what was seen is remembered for a second
assert walked_first > 4
PYTHON
	kill -TERM "$(rowfs_pid sync)"
	wait_until 20 test -s "$HARNESS/mounts/sync.exit"
	rm -f "$HARNESS/mounts/sync".*
}

@test "a huge table is listed by names, beyond what programs list at a time; who wants more of its rows is given it" {
	local fetches

	sql "INSERT INTO items SELECT i, 'item ' || i FROM generate_series(301, 250000) i"
	mount_live a
	# shellcheck disable=SC2012
	assert_equal "$(ls -U "$ITEMS" | wc -l)" 250000
	assert_equal "$(feed_get a store_fetches)" 0
	stat -c %s "$ITEMS/1.json" "$ITEMS/131000.json"
	assert_equal "$(feed_get a store_fetches)" 0
	# Unless ls is slow just then, the last have come without.
	stat -c %s "$ITEMS"/24999?.json >/dev/null
	(($(feed_get a store_fetches) <= 10))
	assert_equal "$(cat "$ITEMS/250000.json")" "$(printf '{\n  "id": 250000,\n  "note": "item 250000"\n}')"
	unmount_rowfs a
	mount_live a
	assert_equal "$(find "$ITEMS" -name '*.json' -size +0 | wc -l)" 250000
	fetches=$(feed_get a store_fetches)
	((fetches < 100)) || { echo "$fetches"; false; }
	unmount_rowfs a
	mount_live a
	# shellcheck disable=SC2012
	assert_equal "$(ls -lU "$ITEMS" | awk '{ size += $5 } END { print size }')" \
		"$(sql "SELECT sum(length(format(E'{\n  \"id\": %s,\n  \"note\": \"%s\"\n}\n', id, note))) FROM items")"
	fetches=$(feed_get a store_fetches)
	((fetches < 10000)) || { echo "$fetches"; false; }
}
