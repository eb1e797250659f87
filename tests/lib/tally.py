"""Count single tests in meson's testlog.json, show what failed in full, name what was skipped.

    tally.py LABEL TESTLOG COUNTS

Appends "LABEL passed failed skipped" to COUNTS. Exit status 1 if something failed or nothing ran.
A program that ends badly without a "not ok" line of its own (a crash, a timeout) is one failure.
"""

import json
import re
import sys

LINE = re.compile(r"^(not )?ok\b[ \t]*\d*[ \t]*(?:-[ \t]*)?(.*?)(?:#[ \t]*(skip|todo)\b[ \t]*(.*))?$", re.I)


def count(entry):
    """(passed, failed, skipped, reasons) of one program."""
    passed = failed = 0
    reasons = []
    for line in (entry.get("stdout") or "").splitlines():
        match = LINE.match(line)
        if not match:
            continue
        if match.group(3):
            reasons.append(f"{match.group(2).strip()}: {match.group(4).strip()}")
        elif match.group(1):
            failed += 1
        else:
            passed += 1
    if entry["result"] == "SKIP" and not reasons:
        reasons.append("the whole program")
    if entry["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and failed == 0:
        failed = 1
    return passed, failed, reasons


def main(label, testlog, counts):
    total = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        entries = [json.loads(line) for line in open(testlog, encoding="utf-8")]
    except FileNotFoundError:
        entries = []
    for entry in entries:
        passed, failed, reasons = count(entry)
        total["passed"] += passed
        total["failed"] += failed
        total["skipped"] += len(reasons)
        for reason in reasons:
            print(f"skipped: {entry['name']}: {reason}")
        if failed:
            print(f"\n---- {entry['name']}: {entry['result']}, {failed} failed; all its output:")
            print(entry.get("stdout") or "")
            print(entry.get("stderr") or "")
    with open(counts, "a", encoding="utf-8") as out:
        print(label, *total.values(), file=out)
    return 1 if total["failed"] or not total["passed"] else 0


sys.exit(main(*sys.argv[1:]))
