"""Skewed reads of a table through a mount, and how many of them each tier answers.

    zipf.py share PLACE TABLE ROWS WARM READS [SCAN]   the share that Redis answers, beside the best that any fixed set of
                                                       so many rows could; SCAN: a command that runs in the middle
    zipf.py load  PLACE TABLE ROWS SECONDS             read, and print each quarter of a second what PostgreSQL was asked

PLACE is a mount whose TABLE has the files 1.json to ROWS.json. Which row is popular has nothing to do with its name.
Printed are JSON lines.
"""

import bisect
import collections
import itertools
import json
import os
import random
import subprocess
import sys
import time

EXPONENT = 0.99


class Zipf:
    def __init__(self, rows, seed):
        self.random = random.Random(seed)
        self.until = list(itertools.accumulate(i ** -EXPONENT for i in range(1, rows + 1)))
        self.names = list(range(1, rows + 1))
        random.Random(4711).shuffle(self.names)

    def next(self):
        return self.names[bisect.bisect(self.until, self.random.random() * self.until[-1])]


def read(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        assert os.read(fd, 1 << 16)
    finally:
        os.close(fd)


def tiers(place, table):
    with open(f"{place}/.rowfs/hot", encoding="utf-8") as f:
        for line in f:
            said = json.loads(line)
            if said["table"] == table:
                return said
    return collections.Counter()


def status(place, name):
    with open(f"{place}/.rowfs/status", encoding="utf-8") as f:
        return int(next(line.split(": ")[1] for line in f if line.startswith(name + ": ")))


def copies(table):
    """How many rows Redis holds: REDIS is the command that asks it."""
    found = subprocess.run(os.environ["REDIS"].split() + ["--scan", "--pattern", "rf:*:[ra]:*"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    return found.count("\n")


TRACE = collections.Counter()   # all that was read


def measure(place, table, zipf, reads):
    before, counts, began = tiers(place, table), collections.Counter(), time.monotonic()
    for _ in range(reads):
        number = zipf.next()
        counts[number] += 1
        read(f"{place}/{table}/{number}.json")
    seconds = time.monotonic() - began
    after, held = tiers(place, table), copies(table)
    # The rows that were read most in the whole trace until here; and those which the law says will be.
    TRACE.update(counts)
    best = sum(counts[number] for number, _ in TRACE.most_common(held)) / reads
    law = zipf.until[min(held, len(zipf.until)) - 1] / zipf.until[-1] if held else 0
    answered = {tier: after[tier] - before.get(tier, 0) for tier in ("redis", "memory")}
    return {"copies": held, "share": round(sum(answered.values()) / reads, 4),
            "memory": round(answered["memory"] / reads, 4), "best": round(best, 4),
            "law": round(law, 4), "reads_per_s": round(reads / seconds)}


def share(place, table, rows, warm, reads, scan=None):
    zipf = Zipf(int(rows), 1)
    print(json.dumps({"phase": "cold", **measure(place, table, zipf, int(warm))}), flush=True)
    print(json.dumps({"phase": "warm", **measure(place, table, zipf, int(reads))}), flush=True)
    if scan:
        began = time.monotonic()
        subprocess.run(scan, shell=True, check=False, stdout=subprocess.DEVNULL)
        print(json.dumps({"phase": "scan", "seconds": round(time.monotonic() - began, 1), "copies": copies(table)}),
              flush=True)
        print(json.dumps({"phase": "after", **measure(place, table, zipf, int(reads))}), flush=True)


def load(place, table, rows, seconds):
    zipf, end = Zipf(int(rows), 2), time.monotonic() + float(seconds)
    due, before, reads = time.monotonic() + 0.25, status(place, "store_fetches"), 0
    while time.monotonic() < end:
        read(f"{place}/{table}/{zipf.next()}.json")
        reads += 1
        if time.monotonic() >= due:
            now = status(place, "store_fetches")
            print(json.dumps({"at": round(time.time(), 2), "reads": reads, "fetches": now - before}), flush=True)
            due, before, reads = due + 0.25, now, 0


if __name__ == "__main__":
    {"share": share, "load": load}[sys.argv[1]](*sys.argv[2:])
