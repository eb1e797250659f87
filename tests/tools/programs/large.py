"""A value of 60 MB, edited with sed -i and with vim, arrives whole; and what the daemon needs for that.

    python3 tests/tools/programs/large.py

ROWFS is the program under test. Prints TAP, and the peak of the daemon's resident memory with each."""

import os
import subprocess
import sys

from world import World, sql

LINE = "All work and no play makes a dull row. "
REPEATED = 60 * 1024 * 1024 // len(LINE)
# For each text: what is read, what is written, both as columns, and what libpq makes of them to send it.
PEAK_BYTES = 900 * 1024 * 1024
EDITS = (
    ("sed -i", ["sed", "-i", "s/before/between/", "44.json"], "between"),
    ("vim", ["vim", "-u", "DEFAULTS", "-es", "-c", "%s/between/after/", "-c", "wq", "44.json"], "after"),
)


def whole(end):
    return sql(f"SELECT title = repeat('{LINE}', {REPEATED}) || '{end}' FROM work.large WHERE id = 44") == "t\n"


def main():
    world, bad = World(), 0
    print(f"1..{len(EDITS)}", flush=True)
    try:
        world.start(["large"], [])
        # Else the server's log gets each of these texts several times, in the time that a statement may take.
        sql("ALTER SYSTEM SET log_statement = none", "SELECT pg_reload_conf()",
            f"INSERT INTO work.large VALUES (44, repeat('{LINE}', {REPEATED}) || 'before', 1)")
        for number, (name, command, end) in enumerate(EDITS, 1):
            with open(f"/proc/{world.daemon.pid}/clear_refs", "w", encoding="utf-8") as f:
                f.write("5")    # the peak begins anew
            done = subprocess.run(command, check=False, cwd=f"{world.mountpoint}/large", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            peak = world.peak_kilobytes() * 1024
            good = done.returncode == 0 and whole(end) and peak <= PEAK_BYTES and \
                sorted(os.listdir(f"{world.mountpoint}/large")) == ["41.json", "42.json", "43.json", "44.json"]
            bad += not good
            print(f"{'ok' if good else 'not ok'} {number} - {name} of a value of 60 MB",
                  f"# peak: {peak // 1048576} MB; exit {done.returncode} {done.stdout}", sep="\n", flush=True)
    finally:
        wrong = world.end()
    print(*(f"# {line}" for text in wrong for line in text.splitlines()), sep="\n")
    sys.exit(1 if bad or wrong else 0)


main()
