"""Measurements of change capture; see tests/bench/feed.

    feed.py PLACE [visible|bulk|steady]...

PLACE/a and PLACE/b are mounts of the database that PG* names; one of their processes is the sync worker.
"""

import os
import subprocess
import sys
import tempfile
import time

from mounted import of_process, process_of, sql, status

PLACE = sys.argv[1]
BULK_ROWS = 1_000_000


def worker():
    """The mount whose process is the worker, and that process's id."""
    for mount in "ab":
        if status(f"{PLACE}/{mount}")["worker_here"] == "leading":
            return mount, process_of(f"{PLACE}/{mount}")
    raise SystemExit("no mount is the worker")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_caught_up(mount):
    """Until a heartbeat covers what is committed now: one that was begun after this moment."""
    begun = int(status(f"{PLACE}/{mount}")["sync_beats"])
    while int(status(f"{PLACE}/{mount}")["sync_beats"]) < begun + 2:
        time.sleep(0.005)


class Psql:
    """One session, kept open; a statement has been committed when it returns."""

    def __init__(self):
        self.process = subprocess.Popen(["psql", "-XAtq"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def run(self, query):
        self.process.stdin.write(query + ";\n\\echo done\n")
        self.process.stdin.flush()
        while self.process.stdout.readline().strip() != "done":
            pass

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def print_distribution(title, ms):
    ms.sort()

    def at(share):
        return ms[min(len(ms) - 1, int(len(ms) * share))]

    print(f"{title}: n {len(ms)}, p50 {at(.5):.2f}, p90 {at(.9):.2f}, p99 {at(.99):.2f}, max {ms[-1]:.2f} ms")
    low = 0.0
    for high in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000, 10000):
        n = sum(low <= m < high for m in ms)
        if n:
            print(f"  {low:7g} to {high:7g} ms {n:6d} {'#' * (60 * n // len(ms))}")
        low = high


def visible():
    """Commit by psql, until cat on the mount that is not the worker shows it. The server's own way from the
    commit to psql's caller is not counted; opening the file again and again is."""
    mount = "b" if worker()[0] == "a" else "a"
    path = f"{PLACE}/{mount}/public/rows/1.json"
    sql("INSERT INTO rows VALUES (1, 0, 'x') ON CONFLICT DO NOTHING")
    session, times = Psql(), []
    for i in range(1, 1001):
        session.run(f"UPDATE rows SET v = {i} WHERE id = 1")
        began = time.perf_counter()
        while True:
            with open(path, encoding="utf-8") as f:
                if f'"v": {i},' in f.read():
                    break
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.01)
    session.close()
    print_distribution("commit to visible on another mount", times)


def bulk():
    """One UPDATE of a million rows: how long after its commit the worker has handled it, beside pg_recvlogical that
    throws the same stream away, and the worker's memory."""
    sql(f"""INSERT INTO rows SELECT i, 0, repeat('x', 50) FROM generate_series(10, {BULK_ROWS + 9}) i
            ON CONFLICT DO NOTHING""")
    sql("VACUUM ANALYZE rows")
    mount, pid = worker()
    wait_caught_up(mount)
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")
    idle = of_process(pid, "VmRSS")
    began = time.perf_counter()
    sql("UPDATE rows SET v = v + 1 WHERE id >= 10")
    committed = time.perf_counter()
    wait_caught_up(mount)
    ended = time.perf_counter()
    peak = of_process(pid, "VmHWM")
    print(f"bulk: UPDATE of {BULK_ROWS} rows {committed - began:.1f} s; the worker had handled it "
          f"{ended - began:.1f} s after it began, {ended - committed:.1f} s after its commit")
    print(f"  memory of the worker's process: idle {idle / 1024:.1f} MiB, at most {(peak - idle) / 1024:.1f} MiB more")
    recvlogical()


def recvlogical():
    sql("VACUUM rows")
    command = ["pg_recvlogical", "-d", os.environ["PGDATABASE"], "-S", "bench"]
    subprocess.run(command + ["--create-slot", "-P", "pgoutput"], check=True)
    sql("UPDATE rows SET v = v + 1 WHERE id >= 10")
    end = sql("SELECT pg_current_wal_flush_lsn()")
    began = time.perf_counter()
    subprocess.run(command + ["--start", "-f", "/dev/null", "--no-loop", f"--endpos={end}", "-o", "proto_version=1",
                              "-o", "publication_names=rowfs"], check=True)
    print(f"  pg_recvlogical of the same to /dev/null, from when it was committed: "
          f"{time.perf_counter() - began:.1f} s")
    subprocess.run(command + ["--drop-slot"], check=True)


def steady():
    """Single-row updates as fast as they go, for 20 s: the worker's lag and processor time."""
    sql("INSERT INTO rows SELECT i, 0, 'x' FROM generate_series(10, 10009) i ON CONFLICT DO NOTHING")
    mount, pid = worker()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\\set id random(10, 10009)\nUPDATE rows SET v = v + 1 WHERE id = :id;\n")
        script.flush()
        os.chmod(script.name, 0o644)
        before, changes = cpu_seconds(pid), int(status(f"{PLACE}/{mount}")["sync_changes"])
        bench = subprocess.Popen(["pgbench", "-n", "-c", "4", "-T", "20", "-M", "prepared", "-f", script.name],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lags = []
        began = time.perf_counter()
        while bench.poll() is None:
            time.sleep(0.1)
            lags.append(float(status(f"{PLACE}/{mount}")["worker_lag_ms"]))
        seconds = time.perf_counter() - began
    rate = (int(status(f"{PLACE}/{mount}")["sync_changes"]) - changes) / seconds
    used = (cpu_seconds(pid) - before) / seconds
    print_distribution("steady load: age of the newest heartbeat when it was set", lags)
    print(f"  {rate:.0f} changes/s handled; its process used {100 * used:.0f} % of one core, "
          f"that is {100 * used * 5000 / rate:.0f} % per 5,000 changes/s")


for name in sys.argv[2:] or ["visible", "bulk", "steady"]:
    {"visible": visible, "bulk": bulk, "steady": steady}[name]()
    sys.stdout.flush()
