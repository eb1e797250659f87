"""Measurements beside the floor; see tests/bench/floor.

    floor.py PLACE [--rounds N] [--work WORD]... [SIZE]...

PLACE has the servers, and room for mounts. PG* name the cluster.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time

from mounted import of_process, process_of, run, sql, status

ROWFS, BENCH = os.environ["ROWFS"], os.environ["ROWFS_BENCH"]
SIZES = {"10k": (10_000, 250), "100k": (100_000, 250), "1m": (1_000_000, 250), "wide": (10_000, 100_000)}
READS, SAVES = 20_000, 5_000
MEMORY = "/dev/shm"  # where copies go: a disk would take most of the time, and now more, now less
WALKED = 100_000  # what copies each file is done for tables of so many rows at most


def timed(*words):
    """Milliseconds that a command takes, whose output nobody needs."""
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1e3


def forget():
    """The kernel forgets names, attributes and pages of all mounts."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("2")


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain: {condition.__name__}")
        time.sleep(0.02)


class Mount:
    """One that is compared: of rowfs, or of floorfs."""

    def __init__(self, place, name):
        self.path = f"{place}/{name}"
        self.rows = f"{self.path}/public/items"
        self.process = None

    def client(self, *words):
        """What the client prints: microseconds in all, the median, the 99.9th percentile."""
        return [float(word) for word in run(f"{BENCH}/client", self.rows, *map(str, words)).split()]

    def forget(self):
        """Nothing is left in memory, the kernel's or its own."""
        forget()

    def end(self):
        run("fusermount3", "-u", self.path)
        if self.process:
            self.process.wait()


class Floor(Mount):
    def __init__(self, place, name, rows, size, *words):
        super().__init__(place, name)
        os.makedirs(self.path, exist_ok=True)
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([f"{BENCH}/floorfs", self.path, str(rows), str(size), *words])
        wait_for(lambda: os.path.isdir(self.rows))


class Rowfs(Mount):
    def __init__(self, place, name, *options):
        super().__init__(place, name)
        os.makedirs(self.path, exist_ok=True)
        common = f"redis=unix:{place}/redis/redis.sock,state_dir={place}/state-{name},log={place}/{name}.log,changes=wal"
        self.options = ",".join([common, *options])
        self.begin()

    def begin(self):
        run(ROWFS, f"host={os.environ['PGHOST']} user=postgres dbname=bench", self.path, "-o", self.options)
        wait_for(self.is_live)

    def end(self):
        process = process_of(self.path)
        super().end()
        wait_for(lambda: not os.path.exists(f"/proc/{process}"))

    def forget(self):
        self.end()
        forget()
        self.begin()

    def is_live(self):
        """Without Redis there is no feed."""
        return status(self.path).get("feed", "live").startswith("live")

    def resident(self):
        """MiB"""
        return of_process(process_of(self.path), "VmRSS") / 1024


class Table:
    """Lines of work, each with what it took here and there, and the bar."""

    def __init__(self, size):
        self.size, self.lines = size, []

    def add(self, work, floor, rowfs, bar, unit="ms", beside=0.0):
        """`beside`: what else is allowed for, in the same unit."""
        floor, rowfs, beside = (statistics.median(x) if isinstance(x, list) else x for x in (floor, rowfs, beside))
        ratio = rowfs / (floor + beside)
        self.lines.append((self.size, work, ratio))
        shown = f"{floor:.4g}" + (f" + {beside:.4g}" if beside else "")
        print(f"| {work} | {shown} {unit} | {rowfs:.4g} {unit} | {ratio:.2f} | "
              f"{f'≤ {bar}' if bar else ''}{'' if not bar or ratio <= bar else ' **missed**'} |", flush=True)


class Bench:
    def __init__(self, place, arguments):
        self.place, self.rounds, self.words = place, arguments.rounds, arguments.work
        self.tables, self.seconds = [], {}

    def wanted(self, name):
        return not self.words or any(word in name for word in self.words)

    def redis(self, *words):
        return run("redis-cli", "-s", f"{self.place}/redis/redis.sock", *words)

    def fill(self, rows, size):
        """Rows whose files are as long as those of the floor."""
        around = len('{\n  "id": ,\n  "n": 0,\n  "note": ""\n}\n')
        sql(f"""SET client_min_messages TO warning;
            DROP TABLE IF EXISTS items;
            CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, note text NOT NULL);
            ALTER TABLE items ALTER note SET STORAGE EXTERNAL;
            INSERT INTO items SELECT i, 0, repeat('x', {size} - {around} - length(i::text)) FROM generate_series(1, {rows}) i""")
        sql("VACUUM ANALYZE items")
        sql("CHECKPOINT")

    def empty_redis(self):
        """Of rows; the feed goes on."""
        keys = self.redis("--scan", "--pattern", "*:r:*").split()
        for at in range(0, len(keys), 1000):
            self.redis("UNLINK", *keys[at:at + 1000])

    def size(self, name):
        rows, size = SIZES[name]
        print(f"\n### {rows:,} rows of {size:,} bytes\n\n| work | floor | rowfs | ratio | bar |\n|---|---|---|---|---|")
        self.fill(rows, size)
        table = Table(name)
        floor, rowfs = Floor(self.place, "floor", rows, size), Rowfs(self.place, "a", "admit=first")
        try:
            self.compare(table, rows, floor, rowfs)
        finally:
            rowfs.end()
            floor.end()
        if name != "wide" and self.wanted("ro"):
            self.read_only(table, rows, size)
        if name in ("10k", "wide") and self.wanted("second"):
            self.second_mount(name)
        if name == "1m" and self.wanted("memory"):
            self.memory()
        if name == "100k" and self.wanted("worst"):
            self.worst(rows)
        self.tables.append(table)

    def compare(self, table, rows, floor, rowfs):
        both = (floor, rowfs)
        works = {"readdir": self.readdir, "ls": self.long_listing, "read": self.reads, "walk": self.walks,
                 "save": self.saves}
        for name, work in works.items():
            if self.wanted(name):
                work(table, rows, both)

    def rounds_of(self, both, measure, before=None):
        """Per mount the figures of all rounds, which take turns. With nothing to be done before each, the kernel is to know
        what it may know."""
        figures = [[] for _ in both]
        for mount in both:
            if not before:
                measure(mount)
        for _ in range(self.rounds):
            for i, mount in enumerate(both):
                if before:
                    before(mount)
                figures[i].append(measure(mount))
        return figures

    def readdir(self, table, rows, both):
        copy = [timed("psql", "-Xq", "-c", "COPY (SELECT id FROM items ORDER BY id) TO '/dev/null'") for _ in range(self.rounds)]
        cold = self.rounds_of(both, lambda mount: mount.client("list")[0] / 1e3, lambda mount: forget())
        table.add("readdir, cold (beside: COPY of the keys)", *cold, 1.3, beside=copy)
        again = self.rounds_of(both, lambda mount: mount.client("list")[0] / 1e3)
        table.add("readdir, again", *again, None)

    def long_listing(self, table, rows, both):
        cold = self.rounds_of(both, lambda mount: timed("ls", "-U", "-l", mount.rows), lambda mount: forget())
        table.add("`ls -U -l`, cold", *cold, 1.8)
        again = self.rounds_of(both, lambda mount: timed("ls", "-U", "-l", mount.rows))
        table.add("`ls -U -l`, again", *again, 1.1)

    def reads(self, table, rows, both):
        n = min(READS, rows)
        # Another mount has put them there, and stays, so that they count: this one knows none of them.
        other = Rowfs(self.place, "b", "admit=first")
        both[1].forget()
        run(ROWFS, "warm", other.rows, stderr=subprocess.DEVNULL)
        first = self.rounds_of(both, lambda mount: mount.client("read", n, rows, 1)[0] / n, lambda mount: mount.forget())
        table.add("open, read, close at random, in Redis, kernel cold", *first, 1.6, "µs")
        other.end()
        wait_for(both[1].is_live)
        again = self.rounds_of(both, lambda mount: mount.client("read", n, rows, 1)[0] / n)
        table.add("the same, again", *again, 1.1, "µs")
        four = self.rounds_of(both, lambda mount: mount.client("read", n, rows, 1, 4)[0] / n / 4)
        table.add("the same by 4 processes, again", *four, 1.2, "µs")

    def walks(self, table, rows, both):
        if rows > WALKED:
            return

        def cold(mount):
            mount.forget()
            if mount is both[1]:
                self.empty_redis()

        def copy_to(mount):
            with tempfile.TemporaryDirectory(dir=MEMORY) as target:
                return timed("rsync", "-a", f"{mount.rows}/", target)

        grep = self.rounds_of(both, lambda mount: timed("sh", "-c", f"! grep -rq 'no such text' {mount.rows}"), cold)
        table.add("`grep -r`, Redis empty", *grep, 1.5)
        tar = self.rounds_of(both, lambda mount: timed("sh", "-c", f"tar c -C {mount.rows} . | cat"), cold)
        table.add("`tar c`, Redis empty", *tar, 1.5)
        rsync = self.rounds_of(both, copy_to, cold)
        table.add("`rsync -a` out, Redis empty", *rsync, 1.5)
        with tempfile.TemporaryDirectory(dir=self.place) as target:
            for mount in both:
                run("rsync", "-a", f"{mount.rows}/", f"{target}/{os.path.basename(mount.path)}/")
            again = self.rounds_of(both, lambda mount: timed("rsync", "-a", f"{mount.rows}/",
                                                            f"{target}/{os.path.basename(mount.path)}/"))
            table.add("`rsync -a` again, nothing changed", *again, 1.2)

    def update_us(self, rows, *pace):
        """Median of PostgreSQL's own prepared UPDATE, one after the other, or at pgbench's pace."""
        with tempfile.TemporaryDirectory(dir=self.place) as work:
            with open(f"{work}/script", "w", encoding="ascii") as f:
                f.write(f"\\set id random(1, {rows})\nUPDATE items SET n = 1 - n WHERE id = :id;\n")
            run("pgbench", "-n", "-M", "prepared", "-t", str(SAVES), "-l", f"--log-prefix={work}/log", "-f", f"{work}/script",
                *pace, stderr=subprocess.DEVNULL)
            log = next(name for name in os.listdir(work) if name.startswith("log"))
            with open(f"{work}/{log}", encoding="ascii") as f:
                # With a pace the 7th column is how long it has waited for its turn.
                return statistics.median(int(columns[2]) - int(columns[6] if pace else 0) for columns in map(str.split, f))

    def saves(self, table, rows, both):
        n = min(SAVES, rows)
        update = self.update_us(rows)
        figures = self.rounds_of(both, lambda mount: mount.client("save", n, rows, 2)[1])
        table.add("save, median (beside: prepared UPDATE)", *figures, 1.3, "µs", beside=update)
        pace = round(1e6 / statistics.median(figures[1]))
        print(f"| the UPDATE alone, {pace} times a second as these saves | | {self.update_us(rows, '-R', str(pace)):.4g} µs | | |", flush=True)

    def read_only(self, table, rows, size):
        n = min(READS, rows)
        both = (Floor(self.place, "noopen", rows, size, "noopen"), Rowfs(self.place, "ro", "ro", "admit=first"))
        try:
            figures = self.rounds_of(both, lambda mount: mount.client("read", n, rows, 1)[0] / n)
            table.add("`-o ro`: open, read, close, again (floor without OPEN)", *figures, 1.5, "µs")
        finally:
            for mount in both:
                mount.end()

    def second_mount(self, name):
        """What one mount has listed, another lists."""
        first = Rowfs(self.place, "a")
        figures = []
        try:
            timed("ls", "-U", "-l", first.rows)
            for _ in range(self.rounds):
                second = Rowfs(self.place, "b")
                figures.append(timed("ls", "-U", "-l", second.rows))
                second.end()
        finally:
            first.end()
        self.seconds[name] = statistics.median(figures)
        if len(self.seconds) == 2:
            table = Table(name)
            table.add("`ls -U -l` by a second mount (floor: the same of rows of 250 bytes)", self.seconds["10k"],
                      self.seconds["wide"], 2)
            self.tables.append(table)

    def memory(self):
        mount = Rowfs(self.place, "a")
        print("\n| resident memory of rowfs | MiB | bar |\n|---|---|---|")
        try:
            for work, bar in ("idle", 16), ("readdir", 48), ("`ls -l`", 220):
                if work == "readdir":
                    sum(1 for _ in os.scandir(mount.rows))
                elif work != "idle":
                    timed("ls", "-l", mount.rows)
                size = mount.resident()
                print(f"| {work} | {size:.0f} | ≤ {bar}{'' if size <= bar else ' **missed**'} |", flush=True)
        finally:
            mount.end()

    def worst(self, rows):
        """Reads while the table is scanned, updated as a whole and saved by four."""
        print("\n| reads while all else goes on, µs | median | p99.9 |\n|---|---|---|")
        for redis in True, False:
            mount = Rowfs(self.place, "a", *([] if redis else ["redis=none"]))
            quiet = mount.client("read", READS, rows, 1)
            writers = [subprocess.Popen([f"{BENCH}/client", mount.rows, "save", "2000", str(rows), str(seed)],
                                        stdout=subprocess.DEVNULL) for seed in range(1, 5)]
            scan = subprocess.Popen(["sh", "-c", f"! grep -rq 'no such text' {mount.rows}"])
            bulk = subprocess.Popen(["psql", "-Xq", "-c", "UPDATE items SET n = 1 - n WHERE id % 4 = 0"])
            busy = mount.client("read", READS, rows, 2)
            for process in [*writers, scan, bulk]:
                process.wait()
            mount.end()
            name = "with Redis" if redis else "without Redis"
            print(f"| {name}, alone | {quiet[1]:.0f} | {quiet[2]:.0f} |\n| {name}, with all else | {busy[1]:.0f} | {busy[2]:.0f} |",
                  flush=True)

    def growth(self):
        """Each line's ratio at 1,000,000 rows, beside that at 10,000."""
        ratios = {}
        for table in self.tables:
            for size, work, ratio in table.lines:
                ratios.setdefault(work, {})[size] = ratio
        lines = {work: found["1m"] / found["10k"] for work, found in ratios.items() if {"1m", "10k"} <= set(found)}
        if lines:
            print("\n| the ratio at 1,000,000 rows, by that at 10,000 | | bar |\n|---|---|---|")
        for work, growth in lines.items():
            print(f"| {work} | {growth:.2f} | ≤ 1.3{'' if growth <= 1.3 else ' **missed**'} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("place")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", action="append", default=[])
    parser.add_argument("size", nargs="*", default=list(SIZES))
    arguments = parser.parse_intermixed_args()
    if set(arguments.size) - set(SIZES):
        parser.error(f"a size is one of {', '.join(SIZES)}")
    run("psql", "-Xq", "-d", "postgres", "-c", "CREATE DATABASE bench")
    bench = Bench(arguments.place, arguments)
    for name in arguments.size:
        bench.size(name)
    bench.growth()


main()
