"""Random sequences of calls against a real mount and against the reference model; see model.py and docs/testing.md.

    model_run.py [--steps N] [--seed N]... [--grace SECONDS]    both must agree after every step
    model_run.py --replay FILE [--grace SECONDS]                the steps of a script, which a failure prints

A sequence in which they do not agree is made shorter while they still do not, and printed as a script. Exit status 1
then, 2 if the harness could not go on.
"""

import argparse
import errno
import json
import os
import random
import re
import stat
import sys
import time

from model import DETACHED, Mismatch, Model
from model_files import Directory, File, Link
from model_rows import COLUMNS, SCHEMA
from model_steps import ROWS, Steps
from model_world import Failed, Program, Trouble, World, literal

EPISODE = 1000      # steps before everything begins anew
LOOK_AT_ALL = 50    # steps between two looks at everything


class Late(Exception):
    """A grace ran out while nobody looked: no verdict."""


class Episode:
    """A fresh mount, two programs, the model, and the steps so far."""

    def __init__(self, world, grace):
        self.world, self.grace = world, grace
        world.clear()
        world.sql.run("TRUNCATE item")
        for key, values in ROWS.items():
            world.sql.run(insert(key, values))
        self.model = Model(ROWS)
        self.done, self.xmins, self.detached, self.kept = [], {}, {}, set()
        world.mount()
        self.waiting = world.waiting_file()
        self.programs = {}
        for name in ("a", "b"):
            self.programs[name] = Program(world.place, self.programs.values())
        self.look_at_rows()

    def end(self):
        for program in self.programs.values():
            program.end()
        wrong = self.world.unmount()
        if wrong:
            raise Mismatch(wrong)

    # One step

    def step(self, step):
        """Make it, tell the model, compare. False if it has no sense any more (a handle that is not open)."""
        self.grow_old()
        verb, *words = step
        touched = None if self.through_link(words) else self.run(verb, words)
        if touched is None:
            return False
        self.done.append(step)
        self.note_detached()
        self.settle()
        self.look(touched if len(self.done) % LOOK_AT_ALL else None)
        return True

    def through_link(self, words):
        """A directory that is a link is left out."""
        return any(isinstance(word, str) and isinstance(self.model.tree.root.get(word.partition("/")[0]), Link)
                   for word in words if isinstance(word, str) and "/" in word)

    def run(self, verb, words):
        model = self.model
        if verb == "sql":
            model.sql(*words, self.run_sql(*words))
            return [f"{words[1]}.json"]
        if verb == "expire":
            return self.wait_expiry(words[0])
        if verb in ("write", "ftruncate", "fsync", "close"):
            return self.run_on_handle(verb, words)
        program, *arguments = words
        seen = self.programs[program].call(verb, *arguments)
        if verb == "open":
            model.open(program, *arguments, seen)
            return [arguments[1]]
        if verb == "truncate":
            model.truncate(*arguments, seen)
            return [arguments[0]]
        getattr(model, verb)(program, *arguments, seen)
        return [word for word in arguments if isinstance(word, str) and word not in ("", "NOREPLACE")]

    def run_on_handle(self, verb, words):
        handle = self.model.handles.get(words[0])
        if not handle or (verb in ("write", "ftruncate") and not handle.writes()):
            return None
        if verb == "write" and handle.append and handle.loose:
            return None     # the end that the kernel knows is that of what the handle shows
        names = [handle.edit.name] if handle.edit else []
        seen = self.programs[handle.process].call(verb, *words)
        getattr(self.model, verb)(*words, seen)
        return names

    def run_sql(self, verb, key, values):
        if verb == "insert":
            statement = insert(key, values)
        elif verb == "delete":
            statement = f"DELETE FROM item WHERE id = {key}"
        else:
            changes = ", ".join(f"{column} = {literal(value)}" for column, value in values.items())
            statement = f"UPDATE item SET {changes} WHERE id = {key}"
        try:
            self.world.sql.run(statement)
        except Failed:
            return "ERROR"
        return "OK"

    # The grace of detached names

    def note_detached(self):
        now = time.monotonic()
        self.detached = {name: self.detached.get(name, now) for name, state in self.model.states.items()
                         if state == DETACHED}

    def grow_old(self):
        """A grace that is about to run out is waited for, so that no step meets its end."""
        for name, since in list(self.detached.items()):
            if time.monotonic() - since > self.grace / 2:
                self.wait_expiry(name)
                self.note_detached()

    def wait_expiry(self, name):
        if name not in self.detached:
            return None
        deadline = time.monotonic() + self.grace + 30
        there = self.model.key(name) in self.model.table.rows
        while there and not os.path.exists(f"{self.world.place}/{name}"):
            if time.monotonic() > deadline:
                raise Mismatch(f"{name} stays hidden")
            time.sleep(0.01)
        if not there:   # nothing will be seen of it
            time.sleep(max(0, self.detached[name] + self.grace + 0.05 - time.monotonic()))
        self.model.expire(name)
        return [name]

    # Comparing

    def settle(self):
        """Until all that the kernel has asked is answered: a RELEASE comes after close() has returned."""
        while self.waiting:
            with open(self.waiting, encoding="ascii") as f:
                if int(f.read()) == 0:
                    return
            time.sleep(0.0002)

    def look(self, touched):
        """Compare what can have changed; everything if `touched` is None."""
        try:
            self.look_at_rows()
            names = set(os.listdir(self.world.place))
            self.same("the listing", sorted(names), sorted(self.model.names()))
            for path in self.paths() if touched is None else touched:
                self.look_at_path(path)
            self.look_at_handles()
            self.look_at_refused()
        except Mismatch as e:
            late = [name for name, since in self.detached.items() if time.monotonic() - since > self.grace * 0.9]
            raise Late(str(e)) if late else e

    def same(self, what, seen, expected):
        if seen != expected:
            raise Mismatch(f"{what}: {shorten(seen)}; expected {shorten(expected)}")

    def paths(self):
        children = (f"{name}/{child}" for name, entry in self.model.tree.root.items() if isinstance(entry, Directory)
                    for child in entry)
        return [*self.model.names(), *(f"{key}.json" for key in ROWS), *children]

    def look_at_rows(self):
        rows = self.world.sql.run("SELECT *, xmin FROM item ORDER BY id")
        seen = {int(row[0]): dict(zip(COLUMNS, (int(row[0]), *row[1:5], int(row[5])))) for row in rows}
        expected = self.model.table.rows
        self.same("the keys", sorted(seen), sorted(expected))
        for key, values in seen.items():
            self.same(f"row {key}", values, expected[key].values)
        if self.model.table.undecided:
            written = {int(row[0]) for row in rows if row[6] != self.xmins[int(row[0])][0]}
            self.model.table.decide(written.__contains__)
        xmins = {}
        for row in rows:
            key, xmin, version = int(row[0]), row[6], expected[int(row[0])].version
            before = self.xmins.get(key)
            if before and (before[1] == version) != (before[0] == xmin):
                raise Mismatch(f"row {key}: " + ("written without a reason" if before[1] == version else "not written"))
            xmins[key] = (xmin, version)
        self.xmins = xmins

    def look_at_path(self, path):
        model = self.model
        place = f"{self.world.place}/{path}"
        try:
            status = os.lstat(place)
        except OSError as e:
            status = None
            if model.there(path) or e.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise Mismatch(f"{path}: {errno.errorcode[e.errno]}") from e
        if status and not model.there(path):
            raise Mismatch(f"{path} is there")
        if not status:
            return
        entry = None if model.kind(path) == "row" else model.tree.get(path)
        if isinstance(entry, Directory):
            self.same(f"the listing of {path}", sorted(os.listdir(place)), sorted(entry))
        elif isinstance(entry, Link):
            self.same(f"the target of {path}", os.readlink(place), entry.target)
        else:
            self.look_at_file(path, place, status, entry)

    def look_at_file(self, path, place, status, file):
        if not stat.S_ISREG(status.st_mode):
            raise Mismatch(f"{path} is no file")
        try:
            with open(place, "rb", 0) as f:
                content = f.read()
                size = os.fstat(f.fileno()).st_size
        except OSError as e:
            raise Mismatch(f"{path} cannot be read: {errno.errorcode[e.errno]}") from e
        if file:
            self.choose(file, content)
        self.same(f"what {path} holds", content, bytes(file.content) if file else self.model.content(path))
        self.same(f"the size of {path}", (status.st_size, size), (len(content), len(content)))

    @staticmethod
    def choose(file, content):
        if file.candidates and content in file.candidates:
            file.content[:] = content
        file.candidates = None

    def look_at_handles(self):
        asked = {}
        for number, handle in self.model.handles.items():
            if (handle.file and handle.file.candidates) or handle.shows() is None:
                continue
            asked.setdefault(handle.process, []).append((number, handle.access != "WRONLY"))
        for process, numbers in asked.items():
            shown = self.programs[process].call("shown", numbers)
            if isinstance(shown, str):
                raise Mismatch(f"a handle cannot be read: {shown}")
            for number, (size, content) in shown.items():
                expected = self.model.handles[number].shows()
                if content is not None:
                    self.same(f"what handle {number} shows", content, expected)
                self.same(f"the size of handle {number}", size, len(expected))

    def look_at_refused(self):
        """A text that was refused is kept."""
        kept = self.newly_kept() if self.model.refused else []
        for text in self.model.refused:
            if text not in kept and text:
                raise Mismatch(f"a refused text was not kept: {shorten(text)}; kept: {shorten(kept)}")
        self.model.refused.clear()

    def newly_kept(self):
        names = {f"{self.world.state}/{place}/{name}" for place in ("rejected", "conflicts")
                 for name in os.listdir(f"{self.world.state}/{place}")}
        texts = []
        for name in names - self.kept:
            with open(name, "rb") as f:
                texts.append(f.read())
        self.kept = names
        return texts


def insert(key, values):
    columns = {"id": key, **values}
    return (f"INSERT INTO item ({', '.join(columns)}) VALUES "
            f"({', '.join(literal(value) for value in columns.values())})")


def shorten(value):
    text = repr(value)
    return text if len(text) < 600 else f"{text[:300]}… {len(text)} characters …{text[-200:]}"


# A run

def play(world, grace, steps):
    """Steps as they are given. None, or what did not agree."""
    episode = Episode(world, grace)
    try:
        for step in steps:
            episode.step(step)
        return None
    except Mismatch as e:
        return str(e)
    finally:
        try:
            episode.end()
        except Mismatch as e:
            print(f"at its end: {e}", file=sys.stderr)


def shrink(world, grace, steps, wrong, deadline):
    """Fewer steps that do not agree in the same way: runs of them are left out, shorter and shorter ones."""
    size = len(steps) // 2
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(steps) and time.monotonic() < deadline:
            fewer = steps[:at] + steps[at + size:]
            if fewer and alike(wrong, play_in_time(world, grace, fewer)):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps


def play_in_time(world, grace, steps):
    try:
        return play(world, grace, steps)
    except Late:
        return None


def alike(wrong, other):
    """The same kind of thing: what a call returned, or what was looked at; not its name or number."""
    def kind(text):
        return re.sub(r"[\w.~#/]*\d[\w.~#/]*", "", text.split(":")[0] if not text.startswith("returned") else text)
    return other is not None and kind(wrong) == kind(other)


def random_episode(world, grace, seed, n):
    """n steps. Returns how many were made, and what did not agree."""
    episode = Episode(world, grace)
    steps = Steps(random.Random(seed), episode.model, grace)
    wrong = None
    try:
        while len(episode.done) < n:
            step = steps.next()
            made = len(episode.done)
            try:
                episode.step(step)
            except Mismatch:
                if len(episode.done) == made:
                    episode.done.append(step)
                raise
        for number in list(episode.model.handles):
            episode.step(["close", number])
    except Mismatch as e:
        wrong = str(e)
    except Late:
        print(f"seed {seed}: too slow for a grace of {grace} s; what follows is left out", flush=True)
    finally:
        try:
            episode.end()
        except Mismatch as e:
            wrong = wrong or str(e)
    return episode.done, wrong


def report(world, grace, seed, done, wrong, seconds):
    print(f"MISMATCH, seed {seed}, step {len(done)}: {shorten(done[-1])}\n  {wrong}", flush=True)
    if not seconds:
        return
    fewer = shrink(world, grace, done, wrong, time.monotonic() + seconds)
    last = play(world, grace, fewer)
    print(f"shrunken to {len(fewer)} steps: {last}\n# replay with --grace {grace} --replay FILE")
    for step in fewer:
        print(json.dumps(step, ensure_ascii=False))


def run(world, args):
    if args.replay:
        with open(args.replay, encoding="utf-8") as f:
            steps = [json.loads(line) for line in f if line.startswith("[")]
        wrong = play(world, args.grace, steps)
        print(f"MISMATCH: {wrong}" if wrong else f"{len(steps)} steps: they agree")
        return 1 if wrong else 0
    for seed in args.seed:
        made, episode, began = 0, 0, time.monotonic()
        while made < args.steps and time.monotonic() - began < args.seconds:
            done, wrong = random_episode(world, args.grace, f"{seed}/{episode}", min(EPISODE, args.steps - made))
            if wrong:
                report(world, args.grace, f"{seed}/{episode}", done, wrong, args.shrink)
                print(f"after {made + len(done)} steps of seed {seed}")
                return 1
            made, episode = made + len(done), episode + 1
        print(f"seed {seed}: {made} steps agree, {made / (time.monotonic() - began):.0f} a second", flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3000, help="for each seed")
    parser.add_argument("--seed", action="append", help="may be given more than once")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each seed at most, and an episode more")
    parser.add_argument("--shrink", type=float, default=240, help="for so many seconds at most")
    parser.add_argument("--grace", type=float, default=600, help="detach_grace")
    parser.add_argument("--replay", help="a script of steps")
    args = parser.parse_args()
    args.seed = args.seed or [str(random.randrange(1 << 32))]
    world = None
    try:
        world = World(SCHEMA, args.grace)
        return run(world, args)
    except Trouble as e:
        print(f"TROUBLE: {e}")
        return 2
    finally:
        if world:
            world.end()


if __name__ == "__main__":
    sys.exit(main())
