"""The same random calls in two directories: each must end alike in both, and both must look alike.

    posix_random.py [--seed N] [--steps N] DIRECTORY REFERENCE

The reference is on the file system that the other's spool is on, since these differ in what POSIX leaves open: ext4
takes truncate(2) to the same size for a change, tmpfs does not. Names, links and directories are few, so that calls
meet; files stay open while their names change. Prints the seed; where the directories differ, the calls that led
there, and exits with status 1.
"""

import argparse
import collections
import errno
import hashlib
import os
import random
import stat
import sys

from posix_check import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2, utimensat

NAMES = [f"{prefix}{name}" for prefix in ("", "a/", "b/", "a/c/", "link/") for name in ("a", "b", "c", "file", "link")]
HANDLES = 6
LARGEST = 100000
OPEN = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)
OPEN_MORE = (0, 0, os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC, os.O_CREAT | os.O_TRUNC, os.O_APPEND,
             os.O_CREAT | os.O_APPEND, os.O_NOFOLLOW, os.O_DIRECTORY)


def attributes(st):
    """What two file systems agree on."""
    size = 0 if stat.S_ISDIR(st.st_mode) else st.st_size
    links = 0 if stat.S_ISDIR(st.st_mode) else st.st_nlink
    return stat.filemode(st.st_mode), size, links, st.st_mtime_ns if st.st_mtime_ns < 10**18 else "now"


def look(path):
    return attributes(os.lstat(path))


class Side:
    """One of the directories, with its open files."""

    def __init__(self, top):
        self.top = top
        self.open = [None] * HANDLES

    def path(self, name):
        return os.path.join(self.top, name)

    def do_open(self, slot, name, flags, mode):
        self.do_close(slot)
        self.open[slot] = os.open(self.path(name), flags, mode)

    def do_close(self, slot):
        if self.open[slot] is not None:
            os.close(self.open[slot])
        self.open[slot] = None

    def handle(self, slot):
        if self.open[slot] is None:
            raise OSError(errno.EBADF, "not open")
        return self.open[slot]

    def do_write(self, slot, data):
        return os.write(self.handle(slot), data)

    def do_pwrite(self, slot, data, offset):
        return os.pwrite(self.handle(slot), data, offset)

    def do_read(self, slot, size):
        return os.read(self.handle(slot), size)

    def do_pread(self, slot, size, offset):
        return os.pread(self.handle(slot), size, offset)

    def do_ftruncate(self, slot, size):
        os.ftruncate(self.handle(slot), size)

    def do_fstat(self, slot):
        return attributes(os.fstat(self.handle(slot)))

    def do_fchmod(self, slot, mode):
        os.fchmod(self.handle(slot), mode)

    def do_truncate(self, name, size):
        os.truncate(self.path(name), size)

    def do_rename(self, name, other, flags):
        renameat2(self.path(name), self.path(other), flags)

    def do_unlink(self, name):
        os.unlink(self.path(name))

    def do_mkdir(self, name, mode):
        os.mkdir(self.path(name), mode)

    def do_rmdir(self, name):
        os.rmdir(self.path(name))

    def do_symlink(self, target, name):
        os.symlink(target, self.path(name))

    def do_readlink(self, name):
        return os.readlink(self.path(name))

    def do_chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def do_utime(self, name, seconds):
        utimensat(self.path(name), (seconds, 1), (seconds, 2))

    def do_stat(self, name):
        return attributes(os.stat(self.path(name)))

    def do_lstat(self, name):
        return look(self.path(name))

    def do_list(self, name):
        return sorted((entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink())
                      for entry in os.scandir(self.path(name)))

    def call(self, name, arguments):
        """Its result, or the errno it failed with."""
        try:
            return getattr(self, "do_" + name)(*arguments)
        except OSError as e:
            return errno.errorcode[e.errno]

    def tree(self):
        found = []
        for folder, folders, files in os.walk(self.top):
            for name in folders + files:
                path = os.path.join(folder, name)
                what = look(path)
                if what[0][0] == "-":
                    with open(path, "rb") as f:
                        what += hashlib.sha256(f.read()).hexdigest(),
                elif what[0][0] == "l":
                    what += os.readlink(path),
                found.append((os.path.relpath(path, self.top), what))
        return sorted(found)


def choose(rng):
    """One call and its arguments."""
    def name():
        return rng.choice(NAMES)

    def slot():
        return rng.randrange(HANDLES)

    def data():
        return bytes([rng.randrange(65, 91)]) * rng.choice((1, 10, 4096, rng.randrange(1, 30000)))

    def size():
        return rng.choice((0, 1, 4096, rng.randrange(LARGEST)))

    calls = {
        "open": (10, lambda: (slot(), name(), rng.choice(OPEN) | rng.choice(OPEN_MORE), rng.choice((0o644, 0o600)))),
        "close": (3, lambda: (slot(),)),
        "write": (6, lambda: (slot(), data())),
        "pwrite": (3, lambda: (slot(), data(), size())),
        "read": (3, lambda: (slot(), size())),
        "pread": (3, lambda: (slot(), size(), size())),
        "ftruncate": (2, lambda: (slot(), size())),
        "fstat": (3, lambda: (slot(),)),
        "fchmod": (1, lambda: (slot(), rng.choice((0o600, 0o755, 0o444)))),
        "truncate": (2, lambda: (name(), size())),
        "rename": (8, lambda: (name(), name(), rng.choice((0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE)))),
        "unlink": (4, lambda: (name(),)),
        "mkdir": (4, lambda: (name(), rng.choice((0o755, 0o700, 0o1777)))),
        "rmdir": (2, lambda: (name(),)),
        "symlink": (2, lambda: (rng.choice(NAMES), name())),
        "readlink": (1, lambda: (name(),)),
        "chmod": (2, lambda: (name(), rng.choice((0o600, 0o755, 0o4711)))),
        "utime": (2, lambda: (name(), rng.randrange(10**9))),
        "stat": (3, lambda: (name(),)),
        "lstat": (3, lambda: (name(),)),
        "list": (2, lambda: (rng.choice(("", "a", "b", "a/c", "link")),)),
    }
    what = rng.choices(list(calls), [weight for weight, _ in calls.values()])[0]
    return what, calls[what][1]()


def shown(value):
    text = repr(value)
    return text if len(text) < 100 else f"{text[:80]}… ({len(value)})"


def report(history, what):
    for number, (name, arguments, result) in history:
        print(f"{number:6} {name}({', '.join(shown(argument) for argument in arguments)}) = {shown(result)}")
    print(what)
    sys.exit(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("directory")
    parser.add_argument("reference")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    ours, theirs = Side(options.directory), Side(options.reference)
    history = collections.deque(maxlen=60)
    os.umask(0o022)
    for number in range(options.steps):
        name, arguments = choose(rng)
        found, expected = ours.call(name, arguments), theirs.call(name, arguments)
        history.append((number, (name, arguments, found)))
        if found != expected:
            report(history, f"expected {shown(expected)}")
        if number % 100 == 99:
            differ = dict(ours.tree()).items() ^ dict(theirs.tree()).items()
            if differ:
                report(history, f"the trees differ: {differ}")
    for slot in range(HANDLES):
        ours.do_close(slot)
        theirs.do_close(slot)


if __name__ == "__main__":
    main()
