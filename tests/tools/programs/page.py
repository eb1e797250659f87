"""The page that is made of what was seen: docs/programs.md."""

import textwrap

ROWS = {"mine": "saved", "before": "as before", "theirs": "theirs", "both": "both changes", "gone": "gone"}
HEAD = """# Programs

What real programs show when they save a row, made by `tests/programs`: each program runs on a real mount, editors on a
terminal, and what the user sees, what PostgreSQL has afterwards, and what it was sent is noted as it is.

The row is `42.json`, with a title, a price that a CHECK keeps above 0, and a column `sealed`. "Sent" is what changes
data, in order, from the server's log. "The text" says where what the user wrote can be had back from.

| in the overview | |
|---|---|
| saved | and the program says so |
| told | not saved; the user is told, and the text is kept |
| asked | the program asked first, and the user said yes |
| silent | not saved, and the program says nothing |
| overwritten | saved, and what somebody else had changed meanwhile was taken back |
| gone | the row was removed, and is not there any more |
| lost | not saved, and the text is nowhere |

Where it says silent, overwritten, gone or lost, the last column of the tables below has the reason. A save that is
refused is always in `.rowfs/last-error`, whatever the program says.
"""


def words(outcome):
    """An outcome in a word or two."""
    kinds = [kind for kind in ("silent", "lost", "overwritten", "gone", "wrong", "false", "sent", "litter", "hidden")
             if kind in outcome.troubles and not (kind == "wrong" and "silent" in outcome.troubles)]
    if kinds:
        return ", ".join(f"**{kind}**" if not outcome.troubles[kind] else kind for kind in kinds)
    if outcome.again:
        return "told, then saved"
    if outcome.asked:
        return {"mine": "asked, overwritten", "both": "asked, saved"}.get(outcome.row, "asked, told")
    return "saved" if outcome.row in ("mine", "both") else "told"


def cell(text):
    return text.replace("|", "\\|") or "–"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]) + "\n"


def overview(programs, situations, outcomes):
    return table(["program", *(situation.name for situation in situations)],
                 [[program.name, *(words(outcomes[program, situation]) if (program, situation) in outcomes else ""
                                   for situation in situations)] for program in programs])


def remarks(outcome):
    """The reasons, each once, with what they are the reason for."""
    by_reason = {}
    for kind, reason in outcome.troubles.items():
        by_reason.setdefault(reason or "A FAULT", []).append(kind)
    return "; ".join(f"{', '.join(kinds)}: {reason}" for reason, kinds in by_reason.items())


def section(situation, programs, outcomes):
    rows = []
    for program in programs:
        outcome = outcomes.get((program, situation))
        if outcome:
            saved = outcome.row in ("mine", "both") and not outcome.again
            places = "the row" if saved else ", ".join(outcome.places)
            rows.append([program.name, outcome.saw, ROWS.get(outcome.row, outcome.row),
                         ", ".join(outcome.sent), places, ", ".join(f"`{name}`" for name in outcome.left),
                         remarks(outcome)])
    return f"## {situation.heading}\n\n{textwrap.fill(situation.about, 115)}\n\n" + table(
        ["program", "what the user saw", "the row", "sent", "the text", "left beside the row", "because"], rows)


def page(programs, situations, outcomes):
    parts = [HEAD, "## Overview\n\n" + overview(programs, situations, outcomes)]
    return "\n".join(parts + [section(situation, programs, outcomes) for situation in situations])
