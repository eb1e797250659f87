"""What goes wrong during the race, each by real means, each healed by itself."""

import collections
import errno
import math
import random
import signal
import threading
import time

from race_traffic import Gone, Psql
from race_world import Trouble, shell, sql

# PostgreSQL is out of reach: for so long afterwards a read may still be told EIO.
RECONNECT_SECONDS = 5
# After a stop: until the mount has told the kernel to forget.
AWAKE_SECONDS = 0.5

STOPS = ("mount-stop", "worker-stop")
# What may make a request wait: at the server, or for a directory that the kernel locks during a rename.
WAITS = ("postgres-link", "redis-link", "stamp", "standby", "drain", "late-worker", "far-worker", "far-postgres")
CUTS = ("postgres-restart", "backends", "postgres-link")

Fault = collections.namedtuple("Fault", "name target began ended")


class Faults:
    def __init__(self, world, names, seed, gap, sizes):
        self.world, self.gap, self.sizes = world, gap, sizes
        self.names = names
        self.seed = seed
        self.log = []
        self.on = {}                # thread → fault that is on
        self.busy = collections.defaultdict(threading.Lock)
        self.done = threading.Event()
        self.failure = None
        self.threads = []
        self.chance = random.Random(seed)

    def start(self, runners):
        for n in range(runners if self.names else 0):
            thread = threading.Thread(target=self.run, args=(random.Random(self.seed + n),))
            thread.start()
            self.threads.append(thread)

    def stop(self):
        """Waits until all is healed."""
        self.done.set()
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure

    def run(self, chance):
        while not self.done.wait(chance.random() * 2 * self.gap):
            name = chance.choice(self.names)
            try:
                getattr(self, name.replace("-", "_"))(chance)
            except Gone:
                pass        # a session of the fault's own fell to another fault
            except Exception as e:  # pylint: disable=broad-except
                self.failure = e if isinstance(e, Trouble) else Trouble(f"{name}: {type(e).__name__}: {e}")
                self.done.set()

    def all(self):
        """Those that are over, and those that are on."""
        return self.log + [fault for fault in list(self.on.values()) if fault]

    def during(self, name, target, needs, fault):
        """Run fault() as a fault of this name, if nobody else is at what it needs."""
        locks = [self.busy[need] for need in sorted(needs)]
        taken = []
        try:
            for lock in locks:
                if not lock.acquire(blocking=False):
                    return
                taken.append(lock)
            began = time.monotonic()
            self.on[threading.get_ident()] = Fault(name, target, began, math.inf)
            try:
                fault()
            finally:
                self.log.append(Fault(name, target, began, time.monotonic()))
                self.on[threading.get_ident()] = None
        finally:
            for lock in taken:
                lock.release()

    def hold(self, chance, least, most):
        self.done.wait(least + chance.random() * (most - least))

    # What errors they excuse

    def allows(self, read):
        """EIO while PostgreSQL is out of the mount's reach. EBUSY from a lock that a commit holds which is
        waiting for its standby (TRUNCATE's). ESTALE if the mount stood still, or waited for its servers, between
        the LOOKUP and the OPEN by which the kernel repeats an open of a row that has changed."""
        if read.errno == errno.EBUSY:
            return read.key % 1000 > 500
        if read.errno == errno.ESTALE:
            return self.was_on(read, STOPS + WAITS, 0)
        return read.errno == errno.EIO and self.was_on(read, CUTS, RECONNECT_SECONDS)

    def was_on(self, read, names, afterwards):
        return any(fault.name in names and fault.target in (None, read.mount) and
                   fault.began < read.ended and read.began < fault.ended + afterwards for fault in self.all())

    def spares(self, read):
        """Of stats and listings: what the kernel holds for a mount that is stopped."""
        return not self.sizes or self.was_on(read, STOPS, AWAKE_SECONDS)

    # Redis

    def redis_kill(self, chance):
        def fault():
            shell("redis_stop", self.world.redis, "KILL")
            self.hold(chance, 0, 0.5)
            shell("redis_start", self.world.redis)
        self.during("redis-kill", None, ["redis"], fault)

    def redis_stop(self, chance):
        def fault():
            with open(f"{self.world.redis}/redis.pid", encoding="utf-8") as f:
                pid = f.read().strip()
            shell("kill", "-STOP", pid)
            self.hold(chance, 0.05, 2)
            shell("kill", "-CONT", pid)
        self.during("redis-stop", None, ["redis"], fault)

    def redis_flush(self, _):
        self.during("redis-flush", None, ["redis"],
                    lambda: shell("redis-cli", "-s", f"{self.world.redis}/redis.sock", "FLUSHALL"))

    # Mounts

    def stop_mount(self, name, mount, chance, most):
        # What its kernel holds that goes on to show.
        if self.world.is_read_only(mount.number):
            return

        def fault():
            mount.signal(signal.SIGSTOP)
            try:
                self.hold(chance, 0.05, most)
            finally:
                mount.signal(signal.SIGCONT)
        self.during(name, mount.number, [mount.name], fault)

    def kill_mount(self, name, mount, chance):
        def fault():
            mount.kill()
            self.hold(chance, 0, 1)
            mount.start()
        self.during(name, mount.number, [mount.name], fault)

    def worker_stop(self, chance):
        worker = self.world.worker()
        if worker:
            self.stop_mount("worker-stop", worker, chance, 3)

    def worker_kill(self, chance):
        worker = self.world.worker()
        if worker:
            self.kill_mount("worker-kill", worker, chance)

    def mount_stop(self, chance):
        self.stop_mount("mount-stop", chance.choice(self.world.mounts), chance, 2)

    def mount_kill(self, chance):
        self.kill_mount("mount-kill", chance.choice(self.world.mounts), chance)

    # PostgreSQL

    def walsender(self, _):
        self.during("walsender", None, ["postgres"],
                    lambda: sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication"))

    def backends(self, _):
        self.during("backends", None, ["postgres"],
                    lambda: sql("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE "
                                "application_name LIKE 'rowfs%' AND backend_type = 'client backend' "
                                "ORDER BY random() LIMIT 5) a"))

    def postgres_restart(self, chance):
        def fault():
            stopped = any(on and on.name in ("worker-stop", "mount-stop") for on in self.on.values())
            # Fast waits until a walsender is rid of all it has: for ever, if its worker is stopped.
            how = "immediate" if stopped or chance.random() < 0.5 else "fast"
            if not shell("cluster_stop", self.world.postgres, how, check=False):
                shell("cluster_stop", self.world.postgres, "immediate")
            self.hold(chance, 0, 0.5)
            shell("cluster_start", self.world.postgres)
        self.during("postgres-restart", None, ["postgres"], fault)

    def standby(self, chance):
        """Commits are in the stream, but not visible until the standby is no longer asked for."""
        def fault():
            sql("ALTER SYSTEM SET synchronous_standby_names = 'missing'", "SELECT pg_reload_conf()")
            try:
                self.hold(chance, 0.2, 1.2)
            finally:
                sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        self.during("standby", None, ["postgres"], fault)

    def long(self, chance):
        """A write transaction that stays open."""
        def fault():
            session = Psql()
            session.run(["BEGIN;", "UPDATE ballast SET n = n + 1 WHERE id = 1;"])
            self.hold(chance, 1, 5)
            session.run(["COMMIT;"])
            session.end()
        self.during("long", None, ["long"], fault)

    def bulk(self, _):
        self.during("bulk", None, ["bulk"], lambda: sql("UPDATE ballast SET n = n + 1 WHERE id > 1"))

    # The network

    def trouble_link(self, server, chance):
        links = [mount for mount, link in self.world.link_numbers if link == server]
        if not links:
            return
        mount = chance.choice(links)

        def fault():
            how = chance.choice(("delay", "slow", "hold", "cut", "lag"))
            words = (how, round(chance.random() * 0.2, 3)) if how in ("delay", "slow", "lag") else (how,)
            self.world.link(mount, server, *words)
            self.hold(chance, 0.05, 2)
            # What was held goes on, or is lost with its connection.
            if how == "hold" and chance.random() < 0.5:
                self.world.link(mount, server, "cut")
            self.world.link(mount, server, "pass")
        self.during(f"{server}-link", mount, [f"{server}{mount}"], fault)

    def redis_link(self, chance):
        self.trouble_link("redis", chance)

    def postgres_link(self, chance):
        self.trouble_link("postgres", chance)

    # Made to measure, for one protection each (SCHEDULES)

    def drain(self, _):
        """A commit that lies before the new worker's stream, and becomes visible after the new epoch: the
        slot's second phase waits for one transaction (`last`), during which all others commit without
        their standby."""
        def fault():
            first, last = Psql(), Psql()
            first.run(["BEGIN;", "UPDATE ballast SET n = n + 1 WHERE id = 1;"])
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
            self.until(SLOT_WAITS)
            last.run(["BEGIN;", "UPDATE ballast SET n = n + 1 WHERE id = 2;"])
            first.run(["ROLLBACK;"])
            time.sleep(0.3)
            self.until(SLOT_WAITS)
            sql("ALTER SYSTEM SET synchronous_standby_names = 'missing'", "SELECT pg_reload_conf()")
            try:
                time.sleep(0.3)
                last.run(["ROLLBACK;"])
                # The new epoch's first heartbeat, and then some time for fills.
                self.wait_for(lambda: self.world.redis_says(BEATS) == "1", 4)
                time.sleep(0.6)
            finally:
                sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
            first.end()
            last.end()
            self.done.wait(2.5)
        self.during("drain", None, ["postgres"], fault)

    def until(self, query):
        self.wait_for(lambda: sql(query) == "t\n", 5)

    def wait_for(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline and not self.done.is_set():
            time.sleep(0.01)

    def stamp(self, _):
        """SELECTs whose answers are on the way while one worker goes and the next one comes. Redis has evicted
        all copies, so that there are such SELECTs."""
        def fault():
            self.world.link(2, "postgres", "slow", 2.5)
            self.world.redis_says(EVICT)
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
            self.done.wait(2.7)
            self.world.link(2, "postgres", "pass")
            self.done.wait(2.5)
        self.during("stamp", 2, ["postgres"], fault)

    def late_worker(self, _):
        """The worker hears late of what has happened, and how far PostgreSQL is: heartbeats that count from
        when they are set would vouch for copies that it cannot know to be old."""
        self.keep_far("late-worker", self.world.worker(), "postgres", "slow", 0.8)

    def far_worker(self, _):
        """The worker is late, so that copies stay for a while that other mounts know to be old."""
        self.keep_far("far-worker", self.world.worker(), "redis", "slow", 0.06)

    def far_postgres(self, chance):
        """Answers take their time, so that rows change between a SELECT and its fill."""
        mounts = [self.world.mounts[mount] for mount, _ in self.world.link_numbers]
        self.keep_far("far-postgres", chance.choice(mounts), "postgres", "delay", 0.06)

    def keep_far(self, name, mount, server, *words):
        """Until the end."""
        def fault():
            self.world.link(mount.number, server, *words)
            self.done.wait()
            self.world.link(mount.number, server, "pass")
        if mount:
            self.during(name, mount.number, [f"{server}{mount.number}"], fault)


SLOT_WAITS = ("SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'walsender' "
              "AND wait_event_type = 'Lock'")

BEATS = "return #redis.call('KEYS', '*:hb')"
EVICT = "for _, key in ipairs(redis.call('KEYS', '*:r:*')) do redis.call('UNLINK', key) end"

GENERAL = ["redis-kill", "redis-stop", "redis-flush", "worker-stop", "worker-kill", "mount-stop", "mount-kill",
           "walsender", "backends", "postgres-restart", "standby", "long", "bulk", "redis-link", "postgres-link"]

BOTH, REDIS, POSTGRES = ("redis", "postgres"), ("redis",), ("postgres",)

def schedule(faults, gap, links, noworker=(), **more):
    return {"faults": faults, "gap": gap, "links": links, "noworker": noworker,
            "bound": 1.0, "saves": True, "readers": 16, "writers": 8, "pace": 1, "listings": 0.03, "sizes": False, **more}


# What provokes the fault that each protection is against: which faults, how often, which mounts are reached
# through a proxy, which may not have the worker; max_staleness; do mounts save (which drops copies, too); and are
# sizes judged: attributes are as old as the request that brought them, and that may be long here.
SCHEDULES = {
    "all": schedule(GENERAL, 0.7, {1: REDIS, 2: BOTH}, sizes=True),
    "lease": schedule(["far-postgres"], 2, {1: POSTGRES, 2: POSTGRES}, (1, 2)),
    "barrier": schedule(["standby"], 0.4, {}),
    "drain": schedule(["drain"], 0.2, {}),
    "stamp": schedule(["stamp"], 0.2, {2: POSTGRES}, (2,), saves=False),
    # Few reads: what a mount has just read of PostgreSQL protects it, too.
    "deadline": schedule(["late-worker"], 5, {0: POSTGRES}, (1, 2), saves=False, readers=6, pace=3, listings=0),
    "own": schedule(["far-worker"], 2, {0: REDIS}, (1, 2)),
}
