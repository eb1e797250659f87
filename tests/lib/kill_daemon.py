"""kill -9 of rowfs under writers, again and again: who was told that his text is saved finds it in PostgreSQL, and who
was not told so finds it there, among the kept texts or in the spool; or has been told that it failed.

    kill_daemon.py [--kills N] [--seed N]

Each writer has rows of its own, which nobody else touches, and saves them in every way that programs have. After each
kill the next mount over the same state directory must list what was left, and say so in its log. Exit status 1 if a
text is lost, 2 if the harness could not go on.
"""

import argparse
import collections
import errno
import json
import multiprocessing
import os
import random
import sys
import time

from model_world import Trouble, World

WRITERS, ROWS = 4, 8
SCHEMA = f"""
CREATE TABLE item (id integer PRIMARY KEY, value text);
INSERT INTO item SELECT i, 'first ' || i FROM generate_series(0, {WRITERS * ROWS - 1}) i"""


class Lost(Exception):
    pass


class Save:
    """One text on its way into one row, and what its writer was told."""

    def __init__(self, key, value):
        self.key, self.value = key, value
        self.begun, self.acknowledged, self.told = False, False, []

    def attempt(self, call, *args):
        try:
            return call(*args)
        except OSError as e:
            self.told.append(f"{call.__name__} {errno.errorcode.get(e.errno, e.errno)}")
            return None


class Writer:
    def __init__(self, place, number, seed):
        self.place, self.number = place, number
        self.rng = random.Random(f"{seed}/{number}")
        self.saves, self.n = [], 0

    def save(self):
        self.n += 1
        way = self.rng.choice((self.overwrite, self.overwrite, self.beside, self.aside))
        key = self.number * ROWS + self.rng.randrange(ROWS)
        if way != self.aside and self.rng.random() < 0.2:   # a row that is not there yet
            key = 1_000_000 * (self.number + 1) + self.n
        save = Save(key, f"writer {self.number} text {self.n} " + "x" * self.rng.choice((0, 50, 20000)))
        save.acknowledged = way(save, f"{self.place}/{key}.json")
        if save.begun:
            self.saves.append(save)

    def write(self, save, path, flags):
        """True when close() has said that all is well."""
        fd = save.attempt(os.open, path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
        if fd is None:
            return False
        save.begun = True
        text = json.dumps({"value": save.value}).encode() + b"\n"
        half = self.rng.randrange(len(text))
        for piece in text[:half], text[half:]:
            save.attempt(os.write, fd, piece)
        if self.rng.random() < 0.3:
            save.attempt(os.fsync, fd)
        save.attempt(os.close, fd)
        return not save.told

    def overwrite(self, save, path):
        return self.write(save, path, os.O_TRUNC)

    def beside(self, save, path):
        other = f"{self.place}/.{save.key}.json.{self.number}"
        if not self.write(save, other, os.O_TRUNC):
            return False
        save.attempt(os.rename, other, path)
        return not save.told

    def aside(self, save, path):
        save.attempt(os.rename, path, path + "~")
        if save.told:
            return False
        if not self.write(save, path, os.O_EXCL):
            return False
        try:
            os.unlink(path + "~")
        except OSError:
            pass    # it is saved all the same
        return True

    def run(self, pipe, stop):
        """Save while one may; then tell what was saved, and wait for the next mount."""
        while pipe.recv():
            self.saves = []
            while not stop.is_set():
                self.save()
                if not os.path.exists(self.place):
                    stop.wait()
            pipe.send(self.saves)


class Killing:
    def __init__(self, world, args):
        self.world, self.rng = world, random.Random(args.seed)
        self.stop = multiprocessing.Event()
        self.pipes, self.counts = [], collections.Counter()
        self.writers = []
        for number in range(WRITERS):
            ours, theirs = multiprocessing.Pipe()
            writer = Writer(world.place, number, args.seed)
            process = multiprocessing.Process(target=writer.run, args=(theirs, self.stop), daemon=True)
            process.start()
            theirs.close()
            self.pipes.append(ours)
            self.writers.append(process)

    def end(self):
        self.stop.set()
        for pipe, process in zip(self.pipes, self.writers):
            if process.is_alive():
                pipe.send(False)
            process.join(10)

    def once(self):
        """A mount, writers, and its end."""
        said = len(self.world.log())
        left = self.left()
        self.world.mount()
        self.look_at_left(left, self.world.log()[said:])
        before = self.rows()
        self.stop.clear()
        for pipe in self.pipes:
            pipe.send(True)
        time.sleep(self.rng.uniform(0.02, 0.3))
        self.world.kill()
        self.stop.set()
        try:
            saves = [save for pipe in self.pipes for save in pipe.recv()]
        except EOFError as e:
            raise Trouble("a writer has ended") from e
        self.wait_for_servers()
        self.judge(before, self.rows(), saves)

    def look_once_more(self):
        left, said = self.left(), len(self.world.log())
        self.world.mount()
        self.look_at_left(left, self.world.log()[said:])
        wrong = self.world.unmount()
        if wrong:
            raise Lost(wrong)

    def rows(self):
        return {int(key): value for key, value in self.world.sql.run("SELECT id, value FROM item")}

    def wait_for_servers(self):
        """What was sent before the kill may still be on its way to its COMMIT."""
        deadline = time.monotonic() + 30
        while self.world.sql.run("SELECT FROM pg_stat_activity WHERE backend_type = 'client backend'"
                                 " AND pid <> pg_backend_pid()"):
            if time.monotonic() > deadline:
                raise Trouble("PostgreSQL does not notice that rowfs is gone")
            time.sleep(0.01)

    # What is on the disk

    def left(self):
        """The kept texts and the temporary files: name → content."""
        found = {"rejected": {}, "conflicts": {}, "spool": {}}
        for kind, files in found.items():
            for folder, _, names in os.walk(f"{self.world.state}/{kind}"):
                for name in names:
                    if name.startswith(".rowfs-"):
                        continue    # a text on its way to another name, of which the next mount clears away what is left
                    with open(f"{folder}/{name}", "rb") as f:
                        files[name] = f.read()
        return found

    def look_at_left(self, left, said):
        listed = {name for name in os.listdir(self.world.place) if not name.endswith(".json")}
        if listed != set(left["spool"]):
            raise Lost(f"temporary files that were left: {sorted(left['spool'])}; listed: {sorted(listed)}")
        if bool(listed) != ("temporary files of an earlier mount are still in their places" in said):
            raise Lost(f"{len(listed)} temporary files were left; the log says: {said}")
        if listed and not any(name in said for name in listed):
            raise Lost(f"the log names none of {sorted(listed)}: {said}")
        for place in ("rejected", "conflicts"):
            kept = set(os.listdir(f"{self.world.mountpoint}/.rowfs/{place}"))
            if kept != set(left[place]):
                raise Lost(f"texts that were kept: {sorted(left[place])}; listed: {sorted(kept)}")
        for name in listed:
            with open(f"{self.world.place}/{name}", "rb") as f:
                if f.read() != left["spool"][name]:
                    raise Lost(f"{name} is not what it was")
            os.unlink(f"{self.world.place}/{name}")
        self.counts["temporary files found again"] += len(listed)

    # The verdict

    def judge(self, before, now, saves):
        left = self.left()
        texts = b"\n".join([text for files in left.values() for text in files.values()])
        rows = collections.defaultdict(list)
        for save in saves:
            rows[save.key].append(save)
        for key, attempts in rows.items():
            self.judge_row(key, before.get(key), now.get(key), attempts)
        for save in saves:
            there = now.get(save.key) == save.value or f'"{save.value}"'.encode() in texts
            if not save.acknowledged and not there and not save.told:
                raise Lost(f"row {save.key}: nobody was told that this is lost: {save.value[:60]}")
            self.counts["acknowledged" if save.acknowledged else "told, and there" if there else "told"] += 1
        for key in now.keys() - rows.keys():
            if now[key] != before.get(key):
                raise Lost(f"row {key}, which nobody saved: {before.get(key)!r} has become {now[key]!r}")

    @staticmethod
    def judge_row(key, before, now, attempts):
        """A row has what was acknowledged last, or an attempt after that."""
        allowed = [before]
        for save in attempts:
            allowed = [save.value] if save.acknowledged else allowed + [save.value]
        if now not in allowed:
            raise Lost(f"row {key} has {str(now)[:60]!r}; allowed: {[str(value)[:60] for value in allowed]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", default=str(random.randrange(1 << 32)))
    args = parser.parse_args()
    world = killing = None
    try:
        world = World(SCHEMA, 5)
        killing = Killing(world, args)
        for _ in range(args.kills):
            killing.once()
        killing.look_once_more()
        counts = killing.counts
        print(f"{args.kills} kills, seed {args.seed}: " + ", ".join(f"{counts[what]} {what}" for what in sorted(counts)))
        if not counts["told, and there"] or not counts["acknowledged"]:
            raise Trouble("nobody was interrupted, so this shows nothing")
        return 0
    except Lost as e:
        print(f"LOST, seed {args.seed}: {e}")
        return 1
    except Trouble as e:
        print(f"TROUBLE: {e}")
        return 2
    finally:
        if killing:
            killing.end()
        if world:
            world.end()


if __name__ == "__main__":
    sys.exit(main())
