#!/usr/bin/python3
"""The race: several mounts, many writers and readers, faults all the time, and the proof that no read was wrong.

    race.py [--seconds 60] [--mounts 3] [--writers 8] [--readers 16] [--seed N]
            [--schedule NAME] [--faults LIST|all|none] [--mount-options OPTIONS] [--rules]
            [--columns] [--read-only]

ROWFS is the program under test. What is promised of each read and write is race_history.py; the rows are
race_rows.py; who reads and writes how, race_traffic.py; what goes wrong, race_faults.py. At the end, two seconds
after the last fault and the last write, every mount and what Redis holds must show what PostgreSQL has.

A bound has a slack, for the request itself on a machine that does other things: 0.25 s. How stale reads really
were is printed.

Exit status: 0 all promises were kept, 1 one was broken (what happened around it is printed), 2 no verdict.
Faults and choices follow the seed; when things happen does not, so a seed repeats the kind of run, not the run.
"""

import argparse
import errno
import glob
import multiprocessing
import random
import signal
import subprocess
import sys
import time

import race_history
from race_faults import GENERAL, SCHEDULES, Faults
from race_history import History, Violation, explain, journal_of, reads_of, writes_of
from race_quiet import differences
from race_traffic import readers_of, writers_of
from race_world import Trouble, World, sql

SLACK = 0.25
CHECK_SECONDS = 5
# A record is on file at once; so long its process may be kept from writing it.
SETTLE_SECONDS = 1
# Transactions are over after that, so their lines of the journal need not be looked for any more.
TRANSACTION_SECONDS = 30
# What --rules chooses from: most pin something, so that it is changed, dropped and pinned again.
RULES = ("hot=v % 2 = 0", "hot=true", "hash=1/2", "hash=2/3 hot=id % 3 > 0", "hot=1 / (v % 50) >= 0", "place=lazy",
         "place=off")
# What --columns chooses from: Redis has some columns of a row, and one UPDATE writes both some of these and some others.
COLUMNS = ("columns=v", "columns=v,who hot=true", "columns=echo,seal", "columns=pad hot=v % 2 = 0", "columns=id", "hot=true",
           "place=lazy")


def arguments():
    parser = argparse.ArgumentParser(description="The race: see the text on top of race.py.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--mounts", type=int, default=3)
    parser.add_argument("--writers", type=int, help="8, or the schedule's")
    parser.add_argument("--readers", type=int, help="16, or the schedule's")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--schedule", choices=SCHEDULES, default="all", help="faults made to measure")
    parser.add_argument("--faults", help=f"all, none, or some of {','.join(GENERAL)}")
    parser.add_argument("--fault-gap", type=float, help="seconds between faults, on average")
    parser.add_argument("--runners", type=int, default=2, help="faults that may be on at the same time")
    parser.add_argument("--mount-options", default="")
    parser.add_argument("--bound", type=float, help="max_staleness of the mounts; 1, or the schedule's")
    parser.add_argument("--pace", type=float, help="pauses between reads, as a factor")
    parser.add_argument("--rules", action="store_true", help="pin rows, by placement rules that change")
    parser.add_argument("--columns", action="store_true", help="the same, by rules that keep some columns of a row")
    parser.add_argument("--read-only", action="store_true", help="the last mount is; its writers use psql")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and records")
    return parser.parse_args()


class Race:
    def __init__(self, args):
        schedule = SCHEDULES[args.schedule]
        self.args = args
        args.bound = args.bound or schedule["bound"]
        args.readers = args.readers or schedule["readers"]
        args.writers = args.writers or schedule["writers"]
        args.pace = args.pace or schedule["pace"]
        self.world = World(args, schedule["links"], lambda n: ",".join(filter(None, [
            # What a protection is for needs copies in Redis; one mount puts them there as users' mounts do.
            "admit=first" if n != 1 else "", args.mount_options, f"max_staleness={args.bound}",
            "noworker" if n in schedule["noworker"] else "", "ro" if self.is_read_only(n) else ""])), schedule["saves"],
            schedule["listings"], self.is_read_only)
        names = {None: schedule["faults"], "all": GENERAL, "none": []}.get(args.faults)
        self.faults = Faults(self.world, names if names is not None else args.faults.split(","), args.seed,
                             args.fault_gap or schedule["gap"], schedule["sizes"])
        self.history = History(args.bound + SLACK, self.allows, self.faults.spares)
        self.chance, self.rules = random.Random(args.seed), 0
        self.processes = []
        self.offsets = {}           # file → how much of it has been judged
        self.waiting = []           # reads that ended too recently
        self.marks = [(0.0, 0)]     # when the journal was read, and its last number then

    def is_read_only(self, number):
        return self.args.read_only and number == self.args.mounts - 1

    def allows(self, read):
        """On a mount that is read only the row may change between the open, of which nobody is told, and the read."""
        return (self.is_read_only(read.mount) and read.errno == errno.ESTALE and read.kind == race_history.CONTENT) or \
            self.faults.allows(read)

    # Running

    def start(self):
        self.world.start()
        for process in readers_of(self.world) + writers_of(self.world):
            self.processes.append(multiprocessing.Process(target=run_quietly, args=(process,), daemon=True))
            self.processes[-1].start()
        self.faults.start(self.args.runners)

    def run(self):
        """Until time is up or something is wrong."""
        end = time.monotonic() + self.args.seconds
        while time.monotonic() < end:
            if self.args.rules or self.args.columns:
                self.change_rules()
            time.sleep(min(CHECK_SECONDS, max(0.1, end - time.monotonic())))
            if self.faults.failure:
                raise self.faults.failure
            wrong = self.crashes() or self.judge(time.monotonic() - SETTLE_SECONDS)
            if wrong:
                return wrong
        return []

    def change_rules(self):
        """PostgreSQL may be away just now: then they stay."""
        for table in ("rows", "others"):
            self.rules += subprocess.run([self.world.program, "place", "dbname=race", f"public.{table}",
                                          self.chance.choice(COLUMNS if self.args.columns else RULES)], check=False, stdin=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL).returncode == 0

    def crashes(self):
        """Mounts whose process ended by itself."""
        return [Violation("alive", None, f"{mount.name} ended by itself, status {mount.process.returncode}: "
                          f"{mount.log()[-1500:]}")
                for mount in self.world.mounts
                if self.world.life(mount.number) % 2 == 0 and mount.process.poll() is not None and
                self.world.life(mount.number) % 2 == 0]

    def stop_processes(self):
        self.world.ends.set()
        deadline = time.monotonic() + 30
        for process in self.processes:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.exitcode is None:
                raise Trouble(f"process {process.pid} does not end: it waits for a mount or for PostgreSQL")

    # Judging

    def new_bytes(self, pattern, size):
        for name in sorted(glob.glob(f"{self.world.records}/{pattern}")):
            with open(name, "rb") as f:
                f.seek(self.offsets.get(name, 0))
                data = f.read()
            data = data[:len(data) // size * size]
            self.offsets[name] = self.offsets.get(name, 0) + len(data)
            yield data

    def read_journal(self):
        now = time.monotonic()
        old = [seq for when, seq in self.marks if when < now - TRANSACTION_SECONDS]
        lines = sql("SELECT key, v, who, xid, live FROM harness.journal WHERE seq > "
                    f"{old[-1] if old else 0} ORDER BY seq")
        for line in journal_of(lines):
            self.history.journal(*line)
        self.marks = self.marks[max(0, len(old) - 1):]
        self.marks.append((now, int(sql("SELECT coalesce(max(seq), 0) FROM harness.journal"))))

    def judge(self, horizon):
        for data in self.new_bytes("*.reads", race_history.READ.size):
            self.waiting += reads_of(data)
        for data in self.new_bytes("*.writes", race_history.WRITE.size):
            for write in writes_of(data):
                self.history.write(write)
        # After the records: what they tell of is committed, and so is its line of the journal.
        self.read_journal()
        wrong = self.history.settle()
        ready = [read for read in self.waiting if read.ended < horizon]
        self.waiting = [read for read in self.waiting if read.ended >= horizon]
        return wrong + self.history.judge(ready)

    def rest(self):
        """All is healed, nobody writes: two seconds later all must agree."""
        time.sleep(2)
        wrong = self.judge(time.monotonic() + 1)
        wrong += [Violation("quiet", None, text) for text in differences(self.world)]
        return wrong + self.crashes()

    # Saying

    def all_reads(self):
        for name in glob.glob(f"{self.world.records}/*.reads"):
            with open(name, "rb") as f:
                data = f.read()
            yield from reads_of(data[:len(data) // race_history.READ.size * race_history.READ.size])

    def report(self, wrong):
        first = {violation.promise: violation for violation in reversed(wrong)}
        for violation in first.values():
            key = violation.read.key if violation.read else None
            print(explain(violation, self.history, [read for read in self.all_reads() if read.key == key],
                          self.faults.all()))
        if wrong:
            print(f"{len(wrong)} violations, of {sorted({violation.promise for violation in wrong})}")
            for fault in [f for f in self.faults.all() if f.ended > time.monotonic() - 30]:
                print(f"  fault {fault.name} {fault.target} {fault.began:.3f} to {fault.ended:.3f}")

    def summary(self):
        history, args = self.history, self.args
        counts = history.counts
        acked = [write for write in history.writes.values() if write.acked < race_history.NEVER]
        late = sorted(history.stale_by)
        print(f"schedule {args.schedule}, seed {args.seed}, {args.mounts} mounts, {args.writers} writers, "
              f"{args.readers} readers, {self.world.mounts[0].status().get('changes', 'changes not known')}")
        print(f"reads: {counts['content']} contents, {counts['stat']} stats, {counts['listing']} names in listings; "
              f"{counts['spared']} spared, {counts['sizes that went back']} sizes that went back; errors that are allowed: "
              f"{', '.join(f'{counts[name]} {name}' for name in ('EIO', 'EBUSY', 'ESTALE'))}")
        print(f"saves acknowledged: {sum(write.mount >= 0 for write in acked)}, foreign transactions: "
              f"{sum(write.mount < 0 for write in acked)}, outcome not told: {len(history.writes) - len(acked)}")
        print("refused: " + (", ".join(f"{n} {what}" for what, n in sorted(self.world.counts().items())) or "none"))
        kinds = [fault.name for fault in self.faults.all()]
        print("faults: " + (", ".join(f"{kinds.count(name)} {name}" for name in sorted(set(kinds))) or "none"))
        if late:
            points = ", ".join(f"{name} {late[min(len(late) - 1, int(len(late) * part))] * 1000:.0f} ms"
                               for name, part in (("p50", .5), ("p90", .9), ("p99", .99), ("p99.9", .999)))
            print(f"superseded when the read began: {len(late)} reads; by {points}; worst {late[-1] * 1000:.0f} ms "
                  f"(bound {self.history.bound * 1000:.0f} ms)")
        if args.rules or args.columns:
            print(f"placement rules set: {self.rules}; " +
                  "; ".join(status["pins"] for mount in self.world.mounts if "pins" in (status := mount.status())))
        for mount in self.world.mounts:
            status = mount.status()
            print(f"{mount.name}: worker {status.get('worker_here', '-')}, " +
                  ", ".join(f"{name} {status.get(name, '-')}" for name in (
                      "cache_hits", "cache_misses", "cache_fills", "cache_rejected", "cache_joined", "cache_unjoined", "store_fetches", "memory_opens",
                      "stale_opens", "feed_gaps", "feed_lapses", "sync_epochs", "sync_waits")))


def run_quietly(process):
    """One process of the race; the race ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    process.run()


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    race = Race(args)
    status = 2
    try:
        print(f"race: seed {args.seed}", flush=True)
        race.start()
        wrong = race.run()
        race.faults.stop()
        if not wrong:
            race.stop_processes()
            wrong = race.rest()
        race.report(wrong)
        race.summary()
        status = 1 if wrong else 0
    except (Trouble, subprocess.CalledProcessError) as e:
        print(f"TROUBLE: {e}")
    finally:
        race.faults.done.set()
        for thread in race.faults.threads:
            thread.join(30)     # it heals what it broke
        for process in race.processes:
            process.kill()
        ends = race.world.end()
        for text in ends:
            print(f"AT THE END: {text}")
        if args.keep or status:
            print(f"kept: {race.world.folder}")
        else:
            race.world.remove()
    return status or bool(ends)


if __name__ == "__main__":
    sys.exit(main())
