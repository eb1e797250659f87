"""Traffic on a mount while its servers are killed, and what must hold throughout.

    fault_traffic.py kills  PAGES CONTROL     20,000 good reads, 2,000 acknowledged saves, 20 + 20 kills
    fault_traffic.py saves  PAGES CONTROL     1,000 saves by 4 writers on rows of their own
    fault_traffic.py one    PAGES CONTROL     400 saves by 4 writers on one row

PAGES is the mounted directory of the table pages (id, value, touched, seal), where seal is generated
from value and touched, and every UPDATE leaves (id, old value, new value) in audit. CONTROL is a
program: `CONTROL redis` and `CONTROL postgres` kill that server and start it again. PG* names the
database. Random, but with a fixed seed: what happens when differs a little, what is chosen does not.
"""

import collections
import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time

ROWS = 100
READS, SAVES, KILLS = 20_000, 2_000, 20


class Failed(Exception):
    pass


def sql(query):
    return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def seal(value, touched):
    return hashlib.md5(f"{value}/{touched}".encode()).hexdigest()


def parse(text):
    """The row of a text; raises if the text is not a whole row as the database made it."""
    try:
        row = json.loads(text)
        good = row["seal"] == seal(row["value"], row["touched"]) and text.endswith("\n}\n")
    except (ValueError, KeyError) as e:
        raise Failed(f"no row: {e}: {text!r}") from e
    if not good:
        raise Failed(f"torn: {text!r}")
    return row


class Traffic:
    def __init__(self, pages, seed):
        self.pages = pages
        self.seed = seed
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.failures = []
        self.acknowledged = []      # (id, value read, value saved)
        self.newest = {}            # id → highest `touched` that a read on this mount has returned
        self.pace = READS           # readers wait when they are so far …
        self.paced = False          # … and writers, with this, keep in step with them
        self.done = threading.Event()

    def path(self, number):
        return f"{self.pages}/{number}.json"

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n
            return self.counts[what]

    def fail(self, text):
        with self.lock:
            self.failures.append(text)
        self.done.set()

    def guarded(self, work, *args):
        try:
            work(*args)
        except Exception as e:  # pylint: disable=broad-except
            self.fail(f"{work.__name__}: {type(e).__name__}: {e}")

    def start(self, work, *args):
        thread = threading.Thread(target=self.guarded, args=(work, *args))
        thread.start()
        return thread

    # Reading: the right content or EIO, and never an older version than was read before.

    def read(self, number):
        with self.lock:
            least = self.newest.get(number, 0)
        try:
            with open(self.path(number), encoding="utf-8") as f:
                text = f.read()
        except OSError as e:
            if e.errno != errno.EIO:
                raise Failed(f"read of {number}: {errno.errorcode[e.errno]}") from e
            return None
        row = parse(text)
        if row["id"] != number:
            raise Failed(f"{number} has the text of another row: {text!r}")
        if row["touched"] < least:
            raise Failed(f"{number} went back from {least} to {row['touched']}")
        with self.lock:
            self.newest[number] = max(self.newest.get(number, 0), row["touched"])
        return row

    def list(self):
        try:
            names = os.listdir(self.pages)
        except OSError as e:
            if e.errno != errno.EIO:
                raise Failed(f"listing: {errno.errorcode[e.errno]}") from e
            return
        rows = [n for n in names if n.endswith(".json")]
        if len(rows) != ROWS or len(set(rows)) != ROWS:
            raise Failed(f"a listing had {len(rows)} of {ROWS} rows")
        self.count("listings")

    def reader(self, n):
        chance = random.Random(self.seed + n)
        while not self.done.is_set() and self.counts["reads"] < READS:
            while self.counts["reads"] > self.pace and not self.done.is_set():
                time.sleep(0.005)
            if not self.read(chance.randint(1, ROWS)):
                self.count("EIO reads")
                time.sleep(0.01)
            elif self.count("reads") % 100 == 0:
                self.list()

    # Saving: what was acknowledged must be in the audit table.

    def save(self, number, value):
        """The value read if the save was acknowledged, else None. One open reads and writes, so that
        what was read is what the save is based on."""
        try:
            with open(self.path(number), "r+", encoding="utf-8") as f:
                row = parse(f.read())
                f.seek(0)
                f.truncate()
                f.write(json.dumps({"value": value}))
        except OSError as e:
            self.count(f"{errno.errorcode[e.errno]} saves")
            if e.errno not in (errno.EIO, errno.ESTALE):
                raise Failed(f"save of {number}: {errno.errorcode[e.errno]}") from e
            return None
        with self.lock:
            self.acknowledged.append((number, row["value"], value))
        return row["value"]

    def writer(self, n, writers, saves, rows, until_acknowledged):
        chance = random.Random(self.seed + 1000 + n)
        # Rows of its own, unless all write the same.
        mine = [r for r in rows if r % writers == n] or list(rows)
        for i in range(saves):
            number = chance.choice(mine)
            while not self.done.is_set():
                if self.save(number, f"writer {n} save {i}") is not None or not until_acknowledged:
                    break
                time.sleep(chance.random() * 0.01)
            saved = self.count("saves")
            while self.paced and saved * READS > (self.counts["reads"] + 500) * SAVES and not self.done.is_set():
                time.sleep(0.005)

    # What others do meanwhile.

    def toucher(self):
        """Somebody else changes another column of the same rows, all the time."""
        chance = random.Random(self.seed + 2000)
        while not self.done.is_set():
            number = chance.randint(1, ROWS)
            query = f"UPDATE pages SET touched = touched + 1 WHERE id = {number}"
            if subprocess.run(["psql", "-Xqc", query], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                self.count("touches")
            time.sleep(0.01)

    def killer(self, control):
        chance = random.Random(self.seed + 3000)
        servers = ["redis"] * KILLS + ["postgres"] * KILLS
        chance.shuffle(servers)
        times = sorted(chance.randint(100, READS - 500) for _ in servers)
        for at, server in zip(times, servers):
            # Readers do not run far ahead, so that each kill meets traffic.
            self.pace = at + 300
            while self.counts["reads"] < at and not self.done.is_set():
                time.sleep(0.002)
            if self.done.is_set():
                return
            subprocess.run([control, server], check=True)
            self.count(f"{server} kills")
        self.pace = READS + 100

    def recovered(self):
        """Every row can be read, and is what the table holds, without a remount."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            rows = [self.read(number) for number in range(1, ROWS + 1)]
            held = {tuple(line.split("|")) for line in sql("SELECT id, value, touched FROM pages").splitlines()}
            if all(rows) and {(str(r["id"]), r["value"], str(r["touched"])) for r in rows} == held:
                self.list()
                return
            time.sleep(0.1)
        raise Failed("the mount did not recover in 30 s")

    def check_audit(self):
        audit = collections.Counter(tuple(line.split("|")) for line in
                                    sql("SELECT id, old_value, new_value FROM audit").splitlines())
        saved = {(number, new) for number, _, new in audit}
        for number, old, new in self.acknowledged:
            if (str(number), new) not in saved:
                raise Failed(f"acknowledged, but not in the audit table: {number} {new}")
            if (str(number), old, new) not in audit:
                raise Failed(f"a lost update: {number} {new} did not replace {old}, which it had read")
        for number in {a[0] for a in self.acknowledged}:
            parse(open(self.path(number), encoding="utf-8").read())

    def finish(self, threads):
        for thread in threads:
            thread.join()
        if self.failures:
            raise Failed("\n".join(self.failures[:5]))


def kills(traffic, control):
    traffic.paced = True
    readers = [traffic.start(traffic.reader, n) for n in range(4)]
    writers = [traffic.start(traffic.writer, n, 4, SAVES // 4, range(1, ROWS + 1), True) for n in range(4)]
    others = [traffic.start(traffic.toucher), traffic.start(traffic.killer, control)]
    for thread in readers + writers + others[1:]:
        thread.join()
    traffic.done.set()
    traffic.finish(others)
    traffic.recovered()
    for what, least in (("redis kills", KILLS), ("postgres kills", KILLS), ("reads", READS),
                        ("saves", SAVES), ("touches", 20), ("listings", 20)):
        if traffic.counts[what] < least:
            raise Failed(f"only {traffic.counts[what]} {what}")
    if len(traffic.acknowledged) != SAVES:
        raise Failed(f"{len(traffic.acknowledged)} of {SAVES} saves were acknowledged")


def saves(traffic, _):
    traffic.finish([traffic.start(traffic.writer, n, 4, 250, range(1, ROWS + 1), False) for n in range(4)])
    if len(traffic.acknowledged) != 1000:
        raise Failed(f"{len(traffic.acknowledged)} of 1,000 saves were acknowledged")


def one(traffic, _):
    traffic.finish([traffic.start(traffic.writer, n, 4, 100, [1], True) for n in range(4)])
    if len(traffic.acknowledged) != 400:
        raise Failed(f"{len(traffic.acknowledged)} of 400 saves were acknowledged")


def main(what, pages, control):
    traffic = Traffic(pages, seed=20251122)
    {"kills": kills, "saves": saves, "one": one}[what](traffic, control)
    traffic.check_audit()
    print(", ".join(f"{n} {what}" for what, n in sorted(traffic.counts.items())),
          f"{len(traffic.acknowledged)} acknowledged", sep=", ")


try:
    main(*sys.argv[1:])
except Failed as e:
    sys.exit(f"FAILED: {e}")
