"""The race's own PostgreSQL, Redis, proxies and mounts, in a folder below /var/tmp; and what its processes share."""

import collections
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from race_rows import SCHEMA, seed_sql

HERE = os.path.dirname(os.path.realpath(__file__))
SETTINGS = ("wal_level = logical", "max_prepared_transactions = 20", "max_wal_senders = 20",
            "max_replication_slots = 20", "max_connections = 100", "lc_messages = 'C'", "log_line_prefix = '%m [%p] %a '")


class Trouble(Exception):
    """The harness cannot go on: no verdict on rowfs."""


def shell(function, *args, check=True):
    """A function of servers.bash."""
    done = subprocess.run(["bash", "-c", f'source "{HERE}/servers.bash"; "$@"', "race", function, *args],
                          check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if check and done.returncode:
        raise Trouble(f"{function} {' '.join(args)}: status {done.returncode}")
    return done.returncode == 0


def sql(*statements, patient=True):
    """What psql prints. Patient: a server that is just being started again is waited for."""
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
    for statement in statements:
        command += ["-c", statement]
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(command, check=False, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode == 0:
            return done.stdout
        if not patient or done.returncode == 1 or time.monotonic() > deadline:
            raise Trouble(f"psql: {done.stderr.strip()}")
        time.sleep(0.05)


class Mount:
    def __init__(self, world, number, links, options):
        self.world, self.number, self.links, self.options = world, number, links, options
        self.name = f"m{number}"
        self.place = f"{world.folder}/{self.name}"
        self.process = None
        os.mkdir(self.place)

    def start(self, give_up=None):
        """Mounted, also if PostgreSQL is away just now; unless give_up() says that it is no longer wanted."""
        deadline = time.monotonic() + 60
        while not self.try_start():
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} cannot be mounted: {self.log()[-600:]}")
            if give_up and give_up():
                return
            time.sleep(0.1)
        self.world.lives[self.number] += 1

    def try_start(self):
        host = self.world.link_folder(self.number) if "postgres" in self.links else os.environ["PGHOST"]
        redis = f"{self.world.link_folder(self.number) if 'redis' in self.links else self.world.redis}/redis.sock"
        options = f"redis=unix:{redis},state_dir={self.place}.state"
        if self.options:
            options += "," + self.options
        with open(f"{self.place}.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.world.program, f"host={host} user=postgres dbname=race", self.place, "-o", options, "-f"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while self.process.poll() is None:
            if is_mounted(self.place):
                return True
            time.sleep(0.02)
        return False

    def log(self):
        with open(f"{self.place}.log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9. From here on nothing that is read there counts."""
        self.world.lives[self.number] += 1
        self.process.kill()
        self.process.wait()
        self.unmount_dead()

    def unmount_dead(self):
        subprocess.run(["fusermount3", "-q", "-u", "-z", self.place], check=False, stderr=subprocess.DEVNULL)

    def end(self):
        """Unmount and wait. Returns what was wrong with its end."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            shell("unmount", self.place, check=False)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "none: it hung"
        self.unmount_dead()
        return None if status == 0 else f"{self.name} ended with status {status}: {self.log()[-1500:]}"

    def status(self):
        """.rowfs/status as a dictionary; empty if it does not answer."""
        try:
            done = subprocess.run(["cat", f"{self.place}/.rowfs/status"], check=False, timeout=2, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return {}
        return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


def is_mounted(place):
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return any(line.split(" ")[1] == place for line in f)


class World:
    """Everything that must be ended. Handed to readers and writers, too, which are forked from here."""

    def __init__(self, args, links, options, saves, listings, is_read_only):
        self.saves = saves          # do writers write through mounts, too?
        self.is_read_only = is_read_only    # not through this one
        self.listings = listings    # their share of the reads
        self.program = os.environ.get("ROWFS", os.path.join(HERE, "../../build/rowfs"))
        if not os.access(self.program, os.X_OK):
            raise Trouble(f"no program to test: {self.program}")
        self.seed, self.pace = args.seed, args.pace
        self.mounts_wanted, self.readers_wanted, self.writers_wanted = args.mounts, args.readers, args.writers
        self.folder = tempfile.mkdtemp(prefix="rowfs-race.", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.records = f"{self.folder}/records"
        self.redis, self.postgres = f"{self.folder}/redis", f"{self.folder}/postgres"
        os.mkdir(self.records)
        os.environ.update(PGHOST=self.postgres, PGUSER="postgres", PGDATABASE="race", PGCONNECT_TIMEOUT="10",
                          LC_ALL="C.UTF-8", ASAN_OPTIONS=f"log_path={self.folder}/asan",
                          UBSAN_OPTIONS=f"log_path={self.folder}/asan:halt_on_error=1:print_stacktrace=1")
        self.ends = multiprocessing.Event()
        self.lives = multiprocessing.Array("i", [1] * (args.mounts + 1), lock=False)    # odd: not mounted
        self.link_numbers, self.proxy = {}, None
        self.mounts = [Mount(self, n, links.get(n, ()), options(n)) for n in range(args.mounts)]
        self.counts_file = f"{self.folder}/counts"

    # For the processes

    def mountpoint(self, number):
        return f"{self.folder}/m{number}"

    def life(self, number):
        return self.lives[number]

    def count(self, what):
        with open(self.counts_file, "a", encoding="utf-8") as f:
            f.write(what + "\n")

    def keep(self, name, text):
        with open(f"{self.records}/{name}.text", "a", encoding="utf-8") as f:
            f.write(text)

    def counts(self):
        if not os.path.exists(self.counts_file):
            return collections.Counter()
        with open(self.counts_file, encoding="utf-8") as f:
            return collections.Counter(f.read().splitlines())

    # Servers

    def link_folder(self, number):
        return f"{self.folder}/link{number}"

    def start(self):
        shell("cluster_create", self.postgres)
        shell("cluster_configure", self.postgres, *SETTINGS)
        shell("cluster_start", self.postgres)
        shell("redis_start", self.redis)
        subprocess.run(["createdb", "-T", "template0", "race"], check=True)
        sql(SCHEMA, seed_sql())
        self.start_proxy()
        for mount in self.mounts:
            mount.start()

    def start_proxy(self):
        names = []
        for mount in self.mounts:
            if mount.links:
                os.mkdir(self.link_folder(mount.number))
            for server in mount.links:
                socket = "redis.sock" if server == "redis" else ".s.PGSQL.5432"
                target = self.redis if server == "redis" else self.postgres
                self.link_numbers[(mount.number, server)] = len(names) // 2
                names += [f"{self.link_folder(mount.number)}/{socket}", f"{target}/{socket}"]
        if names:
            self.proxy = subprocess.Popen([sys.executable, f"{HERE}/race_proxy.py", *names], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True, bufsize=1)
            if self.proxy.stdout.readline() != "ready\n":
                raise Trouble("the proxy does not start")

    def link(self, mount, server, *words):
        """Set what the proxy does between this mount and this server."""
        self.proxy.stdin.write(f"{self.link_numbers[(mount, server)]} {' '.join(map(str, words))}\n")
        self.proxy.stdin.flush()

    def redis_says(self, script):
        return subprocess.run(["redis-cli", "-s", f"{self.redis}/redis.sock", "EVAL", script, "0"], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()

    def worker(self):
        """The mount that has the sync worker; None if none says so."""
        for mount in self.mounts:
            if self.lives[mount.number] % 2 == 0 and mount.status().get("worker_here") == "leading":
                return mount
        return None

    def end(self):
        """Whatever happened. Returns what was wrong with the ends of the mounts."""
        self.ends.set()
        wrong = [mount.end() for mount in self.mounts]
        if self.proxy:
            self.proxy.stdin.close()
            self.proxy.wait()
        shell("redis_stop", self.redis, "KILL", check=False)
        shell("cluster_stop", self.postgres, "immediate", check=False)
        for name in sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else ():
            if name.startswith("asan."):
                with open(f"{self.folder}/{name}", encoding="utf-8", errors="replace") as f:
                    wrong.append(f.read())
        return [text for text in wrong if text]

    def remove(self):
        if not any(is_mounted(mount.place) for mount in self.mounts):
            shell("cluster_remove", self.postgres, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)
