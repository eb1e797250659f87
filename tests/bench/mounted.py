"""What the measurements ask of the database and of mounts. PG* name the database."""

import contextlib
import glob
import subprocess


def run(*words, **settings):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **settings).stdout.strip()


def sql(query):
    return run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query)


def status(path):
    """Of the mount there."""
    with open(f"{path}/.rowfs/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(": ", 1) for line in f if ": " in line)


def process_of(path):
    """The process that serves the mount there."""
    for command in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(command, "rb") as f:
            words = f.read().split(b"\0")
            if words[0].endswith(b"rowfs") and path.encode() in words:
                return int(command.split("/")[2])
    raise SystemExit(f"{path} has no process")


def of_process(pid, name):
    """A number of its status, as VmRSS in KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))
