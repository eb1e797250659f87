"""Real programs on a real mount: each program in each situation.

    python3 tests/tools/programs [--suite | --programs NAME --situations NAME …] [--page FILE [--check]]

Prints a line a trial, as TAP. --suite chooses what belongs to every run of the tests: a good save of each program that
writers.bats does not have, and refused ones of editors. --page writes what was seen; with --check it only compares.
ROWFS is the program under test. Exit status 1 if a fault was seen, or the page is not what was seen."""

import argparse
import difflib
import multiprocessing
import shutil
import signal
import sys

from page import page
from programs import PROGRAMS
from situations import SITUATIONS
from trial import TROUBLES, Outcome, Trial, table_name
from world import Trouble, World

# By writers.bats or, but for a detail, by another one of the list.
ELSEWHERE = ("vim", "vim, backupcopy=yes", "sed -i", "perl -i", "cp", "cp -a", "tee", "bash, echo >", "dash, echo >",
             "python, open and close", "python, os.replace", "rsync", "rsync --inplace", "nano", "emacs",
             "vim, backupcopy=no", "node, writeFile", "rsync --delete", "rsync --partial")
REFUSED = {"constraint": ("vim", "emacs", "nano"), "conflict": ("vim, nofsync", "emacs, a later save", "nano -B")}


def arguments():
    parser = argparse.ArgumentParser(description="Real programs on a real mount.")
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--programs", nargs="+", choices=[program.name for program in PROGRAMS], metavar="NAME")
    parser.add_argument("--situations", nargs="+", choices=[situation.name for situation in SITUATIONS])
    parser.add_argument("--jobs", type=int, default=4, help="so many at a time; most wait most of the time")
    parser.add_argument("--page")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def in_suite(program, situation):
    if situation.name == "good":
        return program.name not in ELSEWHERE
    return program.name in REFUSED.get(situation.name, ())


def wanted(args, program, situation):
    if situation.name in program.without or args.suite and not in_suite(program, situation):
        return False
    return program.name in (args.programs or [program.name]) and situation.name in (args.situations or [situation.name])


def one_trial(world, program, situation):
    """What was seen, or what went wrong with the trial itself."""
    if program.needs and not shutil.which(program.needs):
        return f"skip no {program.needs}"
    try:
        return Trial(world, program, situation).run()
    except Trouble as trouble:
        return str(trouble)


def work(pairs, results):
    """In a process of its own, with a world of its own. Each result goes into the queue; last, how its world ended."""
    world = World()
    wrong = ["it could not be started, or was ended"]
    try:
        world.start([table_name(*pair) for _, *pair in pairs],
                    [table_name(*pair) for _, *pair in pairs if pair[1].closed])
        for number, program, situation in pairs:
            results.put((number, one_trial(world, program, situation)))
        wrong = []
    finally:
        results.put((None, wrong + world.end()))


def trials(pairs, jobs):
    """Run them. Returns what was seen, and how many were not as they must be."""
    results, seen, bad, printed = multiprocessing.Queue(), {}, 0, 0
    numbered = [(number, *pair) for number, pair in enumerate(pairs)]
    workers = [multiprocessing.Process(target=work, args=(numbered[job::jobs], results)) for job in range(jobs)]
    print(f"1..{len(pairs)}", flush=True)
    try:
        for worker in workers:
            worker.start()
        ended = 0
        while ended < jobs:
            number, result = results.get()
            if number is None:
                ended += 1
                bad += len(result)
                print(*(f"# {line}\n" for text in result for line in text.splitlines()), sep="", end="", flush=True)
                continue
            seen[number] = result
            while printed in seen:
                bad += report(printed, *pairs[printed], seen[printed])
                printed += 1
    finally:
        for worker in workers:
            worker.terminate()  # of no effect on one that is through
            worker.join()
    return {pairs[number]: result for number, result in seen.items() if isinstance(result, Outcome)}, bad


def report(number, program, situation, result):
    """Its line. Returns whether it was not as it must be."""
    name = f"{number + 1} - {program.name}: {situation.heading[0].lower()}{situation.heading[1:]}"
    if isinstance(result, Outcome):
        faults = [f"{kind}: {TROUBLES[kind]}" for kind in result.faults()]
        said = [*faults, str(result)] if faults else []
    elif result.startswith("skip "):
        name, said = f"{name} # {result}", []
    else:
        said = result.splitlines()
    print(("not ok " if said else "ok ") + name, *(f"# {line}" for line in said), sep="\n", flush=True)
    return bool(said)


def same_page(file, text):
    with open(file, encoding="utf-8") as f:
        before = f.read()
    sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), file, "seen", n=0))
    return before == text


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pairs = [(program, situation) for situation in SITUATIONS for program in PROGRAMS
             if wanted(args, program, situation)]
    outcomes, bad = trials(pairs, min(args.jobs, len(pairs)))
    if args.page:
        text = page(PROGRAMS, SITUATIONS, outcomes)
        if args.check:
            bad += not same_page(args.page, text)
        else:
            with open(args.page, "w", encoding="utf-8") as f:
                f.write(text)
    sys.exit(1 if bad else 0)


main()
