"""Readers and writers of the race, each a process of its own, which notes what it saw in a file of records.

Most of them follow the wave: for a moment all write and read one line, then the next. A line that the wave has
left is at peace until it comes round again, so a copy that should not be there stays, and is found by
those who keep reading the lines of a few seconds ago.
"""

import errno
import json
import os
import random
import subprocess
import time

from race_history import CONTENT, EMPTY, LISTING, NEVER, READ, STAT, TORN, WRITE
from race_rows import CALM, GOING, KEYS, MOVING, OTHERS, WAVE, row_text, table_of, who_number, who_text

WAVE_SECONDS = 0.15         # of each line; so a line has 4.35 s of peace
SQL = -1                    # no mount


def hot_line(back=0):
    return WAVE[(int(time.monotonic() / WAVE_SECONDS) - back) % len(WAVE)]


class Process:
    """What readers and writers have in common. `race`: the mounts' places and lives, when to end, and where
    records go (race_world.py)."""

    def __init__(self, race, number):
        self.race, self.number = race, number
        self.chance = random.Random(race.seed * 1000 + number)
        # One call a record: what a process noted is there, wherever it is stuck now.
        self.reads = open(f"{race.records}/{number}.reads", "wb", buffering=0)
        self.writes = open(f"{race.records}/{number}.writes", "wb", buffering=0)
        self.count = 0

    def run(self):
        while not self.race.ends.is_set():
            self.step()

    def pause(self, seconds):
        time.sleep(self.chance.random() * 2 * seconds)

    def path(self, mount, key):
        return f"{self.race.mountpoint(mount)}/public/{table_of(key)}/{key}.json"

    def choose_key(self):
        chance = self.chance.random()
        if chance < 0.45:
            return hot_line()
        if chance < 0.55:
            return hot_line(-self.chance.randint(1, 6))
        if chance < 0.85:
            return hot_line(self.chance.randint(6, len(WAVE) - 3))
        return self.chance.choice(KEYS)

    # Reading

    def note(self, began, life, mount, key, kind, err, version=0, who=0):
        """One record; none if the mount was taken away meanwhile."""
        if life == self.race.life(mount) and life % 2 == 0:
            self.reads.write(READ.pack(began, time.monotonic(), version, who, key, err, mount, life, self.number,
                                       kind))
        if err and err != errno.ENOENT:
            time.sleep(0.02)

    def cat(self, mount, key):
        life, began = self.race.life(mount), time.monotonic()
        try:
            with open(self.path(mount, key), encoding="utf-8") as f:
                text = f.read()
            err = 0
        except OSError as e:
            text, err = "", e.errno
        except UnicodeDecodeError:
            text, err = "", TORN
        version = who = 0
        if not err and not text:
            err = EMPTY
        elif not err:
            try:
                row = json.loads(text)
                version, who = row["v"], who_number(row["who"])
                err = 0 if text == row_text(key, version, who) else TORN
            except (ValueError, KeyError, TypeError):
                err = TORN
            if err == TORN:
                self.race.keep(f"torn-{self.number}-{key}", text)
        self.note(began, life, mount, key, CONTENT, err, version, who)

    def stat(self, mount, key):
        life, began = self.race.life(mount), time.monotonic()
        try:
            size, err = os.stat(self.path(mount, key)).st_size, 0
        except OSError as e:
            size, err = 0, e.errno
        self.note(began, life, mount, key, STAT, err, size)

    def list(self, mount, table):
        life, began = self.race.life(mount), time.monotonic()
        sizes, failed, vanished = {}, 0, set()
        try:
            for entry in os.scandir(f"{self.race.mountpoint(mount)}/public/{table}"):
                try:
                    sizes[entry.name] = entry.stat().st_size
                except FileNotFoundError:
                    vanished.add(entry.name)
        except OSError as e:
            failed = e.errno
        for key in KEYS:
            if table_of(key) == table:
                size = sizes.get(f"{key}.json")
                err = failed or (errno.ENOENT if size is None else 0)
                kind = STAT if f"{key}.json" in vanished else LISTING
                self.note(began, life, mount, key, kind, err, size or 0)
                if failed:
                    break


class Reader(Process):
    def __init__(self, race, number, mount):
        super().__init__(race, number)
        self.mount = mount

    def step(self):
        what = self.chance.random()
        if what < self.race.listings:
            self.list(self.mount, self.chance.choice(("rows", "rows", "others")))
        elif what < 0.2:
            self.stat(self.mount, self.choose_key())
        else:
            self.cat(self.mount, self.choose_key())
        self.pause(0.005 * self.race.pace)


class Writer(Process):
    def next_who(self):
        self.count += 1
        return self.number * 10_000_000 + self.count

    def note_write(self, who, sent, acked, ended, key=0, mount=SQL, life=0, how=0):
        self.writes.write(WRITE.pack(who, sent, acked, ended, key, mount, life, how))


class MountWriter(Writer):
    """Saves files, in the ways that programs do, and reads them again at once."""

    def __init__(self, race, number, mount):
        super().__init__(race, number)
        self.mount = mount

    def step(self):
        key = hot_line() if self.chance.random() < 0.9 else self.chance.choice(CALM + GOING)
        path, who = self.path(self.mount, key), self.next_who()
        self.cat(self.mount, key)
        how = self.chance.choice((self.overwrite, self.overwrite, self.edit, self.replace))
        life, sent = self.race.life(self.mount), time.monotonic()
        self.note_write(who, sent, NEVER, NEVER, key, self.mount, life)
        try:
            how(path, json.dumps({"who": who_text(who)}))
            acked = ended = time.monotonic()
        except (OSError, ValueError) as e:
            acked, ended = NEVER, time.monotonic()
            self.race.count(f"saves: {errno.errorcode[e.errno] if isinstance(e, OSError) else 'no text'}")
        self.note_write(who, sent, acked, ended, key, self.mount, life)
        self.cat(self.mount, key)
        self.pause(0.03)

    @staticmethod
    def overwrite(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    @staticmethod
    def edit(path, text):
        with open(path, "r+", encoding="utf-8") as f:
            row = json.loads(f.read())
            row["who"] = json.loads(text)["who"]
            f.seek(0)
            f.truncate()
            f.write(json.dumps(row, indent=2))

    def replace(self, path, text):
        """As sed -i does."""
        temporary = os.path.join(os.path.dirname(path), f".race{self.number}.tmp")
        with open(path, encoding="utf-8") as f:
            row = json.loads(f.read())
        row["who"] = json.loads(text)["who"]
        self.overwrite(temporary, json.dumps(row, indent=2) + "\n")
        os.rename(temporary, path)


class Gone(Exception):
    """The connection was lost: whether the last statement was committed is not known."""


class Psql:
    """psql, kept open; one statement a line."""

    def __init__(self):
        environment = dict(os.environ, PGOPTIONS="-c lock_timeout=3s", PGAPPNAME="psql race")
        self.process = subprocess.Popen(["psql", "-XAtq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=environment, bufsize=1)

    def run(self, statements):
        """Did all succeed?"""
        good = True
        try:
            for statement in statements:
                self.process.stdin.write(f"{statement}\n\\echo = :ERROR\n")
                self.process.stdin.flush()
                for line in self.process.stdout:
                    if line.startswith("= "):
                        good = good and line == "= false\n"
                        break
                else:
                    raise Gone
        except BrokenPipeError as e:
            raise Gone from e
        return good

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class SqlWriter(Writer):
    """Transactions of every kind."""

    def __init__(self, race, number):
        super().__init__(race, number)
        self.psql = None

    def update(self, who, key):
        return f"UPDATE {table_of(key)} SET who = '{who_text(who)}' WHERE id = {key};"

    def one(self, who):
        return [self.update(who, hot_line())]

    def many(self, who):
        keys = sorted({hot_line(), hot_line(1)} | set(self.chance.sample(CALM, 3)))
        return ["BEGIN;", *(self.update(who, key) for key in keys), "COMMIT;"]

    def savepoint(self, who):
        a, b, c = sorted(self.chance.sample(CALM, 2) + [hot_line()])
        return ["BEGIN;", self.update(who, a), "SAVEPOINT s;", self.update(who, b), "ROLLBACK TO s;",
                self.update(who, c), "COMMIT;"]

    def roll_back(self, who):
        return ["BEGIN;", self.update(who, hot_line()), "SELECT pg_sleep(0.02);", "ROLLBACK;"]

    def prepared(self, who):
        return ["BEGIN;", self.update(who, hot_line()), f"PREPARE TRANSACTION '{who_text(who)}';",
                "SELECT pg_sleep(0.05);", f"COMMIT PREPARED '{who_text(who)}';"]

    def move(self, who):
        line = self.chance.choice(MOVING)
        return [f"UPDATE rows SET id = 2 * {line} + 1000 - id, who = '{who_text(who)}' "
                f"WHERE id IN ({line}, {line} + 1000);"]

    def remove(self, who):
        """Fails if there is no such row, so that what succeeds is in the journal."""
        return ["BEGIN;", f"SET LOCAL harness.who = '{who_text(who)}';",
                f"DO $$ BEGIN DELETE FROM rows WHERE id = {self.chance.choice(GOING)}; "
                "IF NOT FOUND THEN RAISE 'none'; END IF; END $$;", "COMMIT;"]

    def copy_in(self, who):
        """psql does not say that COPY failed; the statement after it does."""
        row = f"{self.chance.choice(GOING)}\t{who_text(who)}"
        return ["BEGIN;", f"COPY rows (id, who) FROM STDIN;\n{row}\n\\.", "SELECT;", "COMMIT;"]

    def truncate(self, who):
        rows = ",".join(f"({key}, '{who_text(who)}')" for key in OTHERS)
        return ["BEGIN;", f"SET LOCAL harness.who = '{who_text(who)}';", "TRUNCATE others;",
                f"INSERT INTO others (id, who) VALUES {rows};", "COMMIT;"]

    def all_rows(self, who):
        """In an order that all share, since each row stays locked until the end."""
        return [f"UPDATE rows SET who = '{who_text(who)}' FROM (SELECT id AS i FROM rows WHERE id > {CALM[0]} "
                "ORDER BY id FOR UPDATE) ordered WHERE id = i;"]

    KINDS = ((one, 60), (many, 10), (savepoint, 6), (roll_back, 4), (prepared, 4), (move, 5), (remove, 4),
             (copy_in, 5), (truncate, 1), (all_rows, 1))

    def step(self):
        kinds, weights = zip(*self.KINDS)
        kind = self.chance.choices(kinds, weights)[0]
        who = self.next_who()
        try:
            if not self.psql:
                self.psql = Psql()
                self.finish_prepared()
            sent = time.monotonic()
            good = self.psql.run(kind(self, who))
            acked = time.monotonic() if good and kind != SqlWriter.roll_back else NEVER
            if not good:
                self.psql.run(["ROLLBACK;"])
                self.race.count(f"writes failed: {kind.__name__}")
            self.note_write(who, sent, acked, time.monotonic(), how=[k for k, _ in self.KINDS].index(kind))
        except Gone:
            self.psql.end()
            self.psql = None
            time.sleep(0.1)
        self.pause(0.03)

    def finish_prepared(self):
        """What a lost connection left prepared would be locked for ever."""
        self.psql.run([f"SELECT format('COMMIT PREPARED %L', gid) FROM pg_prepared_xacts "
                       f"WHERE gid LIKE '{self.number:02d}.%' \\gexec"])

    def run(self):
        super().run()
        if self.psql:
            self.psql.end()


def readers_of(race):
    return [Reader(race, 50 + n, n % race.mounts_wanted) for n in range(race.readers_wanted)]


def writers_of(race):
    """Every second one writes through a mount, unless they are not wanted."""
    def writer(n):
        mount = n // 2 % race.mounts_wanted
        through = n % 2 and race.saves and not race.is_read_only(mount)
        return MountWriter(race, 1 + n, mount) if through else SqlWriter(race, 1 + n)

    return [writer(n) for n in range(race.writers_wanted)]
