"""A witness: changes rows by psql and reads them on mounts, while a test does something to the servers.

    witness.py REPORT MOUNT...

Each MOUNT shows the table public.pages (id, n), which PG* names. Eight rows are changed in turn, each to a number that
was never there; each mount has a reader of its own. Until SIGTERM; then REPORT has a line for each mount, and the exit
status is 0 if no read broke the promise:

  * what is read is EIO or a row, whole; ESTALE only if the row changed twice within the open
  * a read that begins max_staleness after a commit was acknowledged has that commit (or EIO)
  * no read on a mount is older than one that had ended there before it began
"""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

ROWS = 8
STALENESS = 1.0
CHANGE_PAUSE, READ_PAUSE = 0.04, 0.004
END_TIMEOUT = 30


class Writer(threading.Thread):
    """Commits and when they were acknowledged. One whose answer is lost may have been committed or not."""

    def __init__(self, stop):
        super().__init__(daemon=True)
        self.stop = stop
        self.lock = threading.Lock()
        self.commits = {row: [(0.0, 0)] for row in range(1, ROWS + 1)}
        self.failed = 0
        self.psql = None

    def update(self, row, n):
        if not self.psql or self.psql.poll() is not None:
            self.psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=0"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.psql.stdin.write(f"UPDATE public.pages SET n = {n} WHERE id = {row} RETURNING n;\n\\echo .\n")
            self.psql.stdin.flush()
            answer = self.psql.stdout.readline().strip()
            good = answer == str(n)
            while answer not in (".", ""):
                answer = self.psql.stdout.readline().strip()
            return good
        except OSError:
            return False

    def run(self):
        n = int(subprocess.run(["psql", "-XAtqc", "SELECT max(n) FROM public.pages WHERE id <= 8"], check=True,
                               stdout=subprocess.PIPE, text=True).stdout)
        while not self.stop.is_set():
            n += 1
            row = n % ROWS + 1
            if self.update(row, n):
                with self.lock:
                    self.commits[row].append((time.monotonic(), n))
            else:
                self.failed += 1
                if self.psql.poll() is None:
                    self.psql.kill()
                self.psql.wait()
                time.sleep(0.1)
            time.sleep(CHANGE_PAUSE)
        if self.psql:
            self.psql.stdin.close()

    def due(self, row, at):
        """What a read that begins at `at` must have."""
        with self.lock:
            return max(n for when, n in self.commits[row] if when <= at - STALENESS)


class Reader(threading.Thread):
    def __init__(self, mount, writer, stop):
        super().__init__(daemon=True)
        self.mount, self.writer, self.stop = mount, writer, stop
        self.seen = {row: 0 for row in range(1, ROWS + 1)}
        self.reads = self.eio = self.estale = 0
        self.gap = 0.0
        self.violations = []

    def read(self, row):
        path = f"{self.mount}/public/pages/{row}.json"
        began = time.monotonic()
        try:
            with open(path, encoding="utf-8") as file:
                n = json.loads(file.read())["n"]
        except OSError as e:
            if e.errno == errno.EIO:
                self.eio += 1
            elif e.errno == errno.ESTALE:
                self.estale += 1
            else:
                self.violations.append(f"{path}: {e.strerror}")
            return False
        except (ValueError, KeyError) as e:
            self.violations.append(f"{path}: {e}")
            return False
        due = self.writer.due(row, began)
        took = time.monotonic() - began
        if n < due:
            self.violations.append(f"{path}: {n}, {due} was committed {STALENESS} s before (the read took {took:.3f} s)")
        if n < self.seen[row]:
            self.violations.append(f"{path}: {n}, {self.seen[row]} had been read before")
        self.seen[row] = max(n, self.seen[row])
        self.reads += 1
        return True

    def run(self):
        good, row = time.monotonic(), 0
        while not self.stop.is_set():
            row = row % ROWS + 1
            if self.read(row):
                self.gap = max(self.gap, time.monotonic() - good)
                good = time.monotonic()
            time.sleep(READ_PAUSE)
        self.gap = max(self.gap, time.monotonic() - good)


def main(report, mounts):
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    writer = Writer(stop)
    readers = [Reader(mount, writer, stop) for mount in mounts]
    for thread in [writer, *readers]:
        thread.start()
    while not stop.wait(0.2):
        pass
    end = time.monotonic() + END_TIMEOUT
    hanging = []
    for thread in [writer, *readers]:
        thread.join(max(0.1, end - time.monotonic()))
        if thread.is_alive():
            hanging.append(getattr(thread, "mount", "the writer"))
    with open(report, "w", encoding="utf-8") as file:
        commits = sum(len(list_) - 1 for list_ in writer.commits.values())
        file.write(f"commits: {commits} failed: {writer.failed}\n")
        for r in readers:
            file.write(f"{os.path.basename(r.mount)}: reads: {r.reads} eio: {r.eio} estale: {r.estale} "
                       f"gap_ms: {int(r.gap * 1000)} violations: {len(r.violations)}\n")
        for r in readers:
            file.writelines(f"  {violation}\n" for violation in r.violations[:10])
        file.writelines(f"  hangs: {who}\n" for who in hanging)
    os._exit(1 if hanging or any(r.violations for r in readers) else 0)


main(sys.argv[1], sys.argv[2:])
