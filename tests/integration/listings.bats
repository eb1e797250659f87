# The kernel's copy of a listing: whoever reads a directory while others read it, and while it changes, is given each
# row that is there all the time, and once.

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
	sql "CREATE TABLE many (id int PRIMARY KEY); INSERT INTO many SELECT generate_series(1, 300)"
	feed_mount a
}

teardown() {
	feed_teardown
}

# script <<'PYTHON': with the table's folder as `table`, and what it needs to look at it.
script() {
	PYTHONPATH=$TOP/tests/lib python3 - "$HARNESS/a/public/many" 3>&- <<<"
import os, subprocess, sys, time
from stepwise import Stepwise

table = sys.argv[1]

def rows(ids):
    return [f'{i}.json' for i in ids]

def only_rows(names):
    return [name for name in names if name.endswith('.json')]

def sql(statement):
    subprocess.run(['psql', '-XAtqc', statement], check=True)

# How many changes the feed has told of.
def heard():
    return int(next(line for line in open(f'{table}/../../.rowfs/status') if line.startswith('feed_changes')).split()[1])

def wait_until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)

def same(found, expected):
    assert found == expected, (len(found), sorted(set(expected) - set(found)), [n for n in found if found.count(n) > 1])

$(cat)"
}

@test "two who read at the same time count the names differently, and see each row once" {
	script <<-'PYTHON'
	open(f"{table}/a.tmp", "w").close()
	first = Stepwise(table)
	names = first.some()
	assert "a.tmp" in names and len(names) < 10
	os.unlink(f"{table}/a.tmp")
	second = Stepwise(table)
	same(only_rows(second.rest()), rows(range(1, 301)))
	same(only_rows(names + first.rest()), rows(range(1, 301)))
	PYTHON
}

@test "rows that come and go while somebody reads the kernel's copy move no others out of his sight" {
	script <<-'PYTHON'
	for change, gone in ("DELETE FROM many WHERE id <= 20", 20), ("INSERT INTO many SELECT generate_series(1, 20)", 0):
	    os.listdir(table)
	    reader = Stepwise(table)
	    names = reader.some(2000)
	    assert 30 < len(names) < 100
	    told = heard() + 20
	    sql(change)
	    wait_until(lambda: heard() >= told)
	    before = only_rows(names)
	    same(before + only_rows(reader.rest()), before + rows(range(int(before[-1][:-5]) + 1, 301)))
	    reader.close()
	    same(only_rows(os.listdir(table)), rows(range(gone + 1, 301)))
	PYTHON
}

@test "who reads the copy and goes back sees the table as it is then" {
	script <<-'PYTHON'
	os.listdir(table)
	reader = Stepwise(table)
	reader.some(2000)
	told = heard() + 150
	sql("DELETE FROM many WHERE id % 2 = 0")
	wait_until(lambda: heard() >= told)
	reader.rewind()
	same(only_rows(reader.rest()), rows(range(1, 301, 2)))
	told = heard() + 50
	sql("DELETE FROM many WHERE id < 100")
	wait_until(lambda: heard() >= told)
	reader.rewind()
	same(only_rows(reader.rest()), rows(range(101, 301, 2)))
	PYTHON
}

@test "a listing that changed while it was read is not kept" {
	script <<-'PYTHON'
	reader = Stepwise(table)
	names = reader.some()
	told = heard() + 1
	sql("DELETE FROM many WHERE id = 1")
	wait_until(lambda: heard() >= told)
	names += reader.rest()
	assert len(only_rows(names)) >= 299
	same(only_rows(os.listdir(table)), rows(range(2, 301)))
	reader.rewind()
	same(only_rows(reader.rest()), rows(range(2, 301)))
	PYTHON
}

@test "a listing that is too long to be remembered is read anew, and whole" {
	sql "CREATE TABLE wide (id text PRIMARY KEY); INSERT INTO wide SELECT repeat('x', 235) || i FROM generate_series(1, 110000) i"
	wait_until 5 test -d "$HARNESS/a/public/wide"
	for _ in 1 2; do
		[[ $(find "$HARNESS/a/public/wide" -name 'x*.json' | sort -u | wc -l) == 110000 ]]
	done
	# Names that are cut, with a hash: which row they are, only PostgreSQL can tell.
	sql "CREATE TABLE cut (id text PRIMARY KEY); INSERT INTO cut SELECT repeat('x', 500) || i FROM generate_series(1, 200) i"
	wait_until 5 test -d "$HARNESS/a/public/cut"
	for _ in 1 2; do
		[[ $(find "$HARNESS/a/public/cut" -name 'x*.json' | sort -u | wc -l) == 200 ]]
	done
}

# asks_nothing FOLDER: ls of it reads no page from PostgreSQL.
asks_nothing() {
	local before=$(feed_get a store_pages)

	ls "$1" >/dev/null
	[[ $(feed_get a store_pages) == "$before" ]]
}

@test "the kernel answers again after somebody left a listing in the middle, and after one that changed meanwhile" {
	script <<-'PYTHON'
	reader = Stepwise(table)
	assert only_rows(reader.some() + reader.some(2000))
	reader.close()
	PYTHON
	for _ in 1 2 3; do ls "$HARNESS/a/public/many" >/dev/null; done
	asks_nothing "$HARNESS/a/public/many"
	script <<-'PYTHON'
	reader = Stepwise(table)
	assert only_rows(reader.some() + reader.some(2000))
	told = heard() + 1
	sql("DELETE FROM many WHERE id = 1")
	wait_until(lambda: heard() >= told)
	reader.rest()
	reader.close()
	reader = Stepwise(table)
	assert only_rows(reader.some() + reader.some(2000))
	told = heard() + 1
	sql("DELETE FROM many WHERE id = 2")
	wait_until(lambda: heard() >= told)
	reader.close()
	same(only_rows(os.listdir(table)), rows(range(3, 301)))
	PYTHON
	for _ in 1 2 3; do ls "$HARNESS/a/public/many" >/dev/null; done
	asks_nothing "$HARNESS/a/public/many"
}

@test "who goes back and forth after the copy was lost has his own numbers" {
	script <<-'PYTHON'
	os.listdir(table)
	reader = Stepwise(table)
	names = reader.some(2000)
	told = heard() + 20
	sql("DELETE FROM many WHERE id > 70 AND id <= 90")
	wait_until(lambda: heard() >= told)
	while len(names) < 90:
	    names += reader.some()
	place = os.lseek(reader.fd, 0, os.SEEK_CUR)
	rest = reader.rest()
	for _ in range(2):
	    os.lseek(reader.fd, place, os.SEEK_SET)
	    same(reader.rest(), rest)
	same(only_rows(names + rest), rows([*range(1, 71), *range(91, 301)]))
	PYTHON
}
