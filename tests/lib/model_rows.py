"""What a save makes of a row: the part of the reference model (model.py) that knows the table.

One table is enough: an integer key, text columns of which one must be there, one is unique, one has a default and a
check, and a generated one. A save is judged by docs/filesystem.md, "Writing" and "Conflicts": the judgement names
every outcome that these allow, which nearly always is one.
"""

import dataclasses
import json

SCHEMA = """
CREATE TABLE item (
    id integer PRIMARY KEY,
    title text NOT NULL,
    body text,
    code text UNIQUE,
    note text DEFAULT 'draft' CHECK (note <> 'bad'),
    size integer GENERATED ALWAYS AS (char_length(title)) STORED)"""
COLUMNS = ("id", "title", "body", "code", "note", "size")
WRITABLE = ("title", "body", "code", "note")
DEFAULTS = {"title": None, "body": None, "code": None, "note": "draft"}


@dataclasses.dataclass
class Row:
    values: dict
    version: int


@dataclasses.dataclass
class Known:
    """What a save is based on: values, perhaps not of all columns, and which version of the row has them."""
    values: dict
    version: int
    merged: bool = False    # others had changed that version before, unseen


@dataclasses.dataclass
class Verdict:
    """What may come of a save: success, if `ok`, with the row then being `row` (None: no SQL), or one of `errors`."""
    ok: bool = False
    row: dict | None = None
    errors: set = dataclasses.field(default_factory=set)
    nothing: bool = False   # it differs from its base in nothing
    either: bool = False    # whether there is SQL, which changes nothing, is not said


def row_text(values):
    lines = (f'  "{column}": {json.dumps(values[column], ensure_ascii=False)}' for column in COLUMNS)
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def blank(text):
    return not text.strip(b" \t\r\n")


def progress(text):
    """Of a text by its braces and quotes: "", "begun", "complete" or "broken"."""
    depth, string, escape, state = 0, False, False, ""
    for byte in text.decode("latin-1"):
        if string:
            string, escape = escape or byte != '"', not escape and byte == "\\"
        elif byte in "{[":
            if depth == 0 and (byte != "{" or state == "complete"):
                return "broken"
            depth, state = depth + 1, "begun"
        elif byte in "}]":
            if depth == 0:
                return "broken"
            depth -= 1
            state = state if depth else "complete"
        elif byte not in " \t\r\n":
            if depth == 0:
                return "broken"
            string = byte == '"'
    return state


def complete(values):
    """A row with what the server computes."""
    return {**values, "size": None if values["title"] is None else len(values["title"])}


def refuse_number(_):
    raise ValueError


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def parse(text, key):
    """The columns that a text names; None if it is no text of this row."""
    try:
        patch = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=refuse_number,
                           parse_float=refuse_number)
    except ValueError:
        return None
    if not isinstance(patch, dict) or not patch.keys() <= set(COLUMNS) or patch.get("id", key) != key:
        return None
    for column, value in patch.items():
        if column in WRITABLE and not (value is None or isinstance(value, str)):
            return None
        if column == "size" and (value is None or isinstance(value, (str, bool))):
            return None
    return patch


class Table:
    def __init__(self):
        self.rows = {}
        self.clock = 0
        self.undecided = None   # (key, Known) of a save that may have been written

    def put(self, key, values):
        self.clock += 1
        self.rows[key] = Row(complete({"id": key, **values}), self.clock)
        return self.rows[key]

    def known(self, key):
        row = self.rows[key]
        return Known(dict(row.values), row.version)

    def violation(self, key, values, leaving=None):
        """The errno of the first constraint that a row would break. `leaving`: the key of a row that goes with that."""
        if values["title"] is None or values["note"] == "bad":
            return "EPERM"
        if values["code"] is not None and any(row.values["code"] == values["code"] for other, row in self.rows.items()
                                              if other not in (key, leaving)):
            return "EEXIST"
        return None

    def judge_insert(self, key, text):
        patch = parse(text, key)
        if patch is None:
            return Verdict(errors={"EINVAL"})
        values = {**DEFAULTS, **{column: patch[column] for column in WRITABLE if column in patch}}
        error = self.violation(key, values)
        if not error and key in self.rows:
            error = "EEXIST"
        if not error and "size" in patch and patch["size"] != complete(values)["size"]:
            error = "EINVAL"
        return Verdict(errors={error}) if error else Verdict(ok=True, row=values)

    def judge_update(self, key, base, believed, text, gone=frozenset(("ESTALE",))):
        """A save over `base`; `believed`: that is what its program had read. `gone`: the errors if there is no row."""
        patch, row = parse(text, key), self.rows.get(key)
        if patch is None:
            return Verdict(errors={"EINVAL"} if row else {"EINVAL", *gone})
        if "size" in patch and patch["size"] != base.values.get("size"):
            if row and patch["size"] != row.values["size"]:
                return Verdict(errors={"EINVAL"})
            # As it is by now, though its program cannot know that; or the row is gone.
            verdict = self.judge_columns(key, base, believed, patch, gone)
            verdict.errors.add("EINVAL")
            return verdict
        return self.judge_columns(key, base, believed, patch, gone)

    def judge_columns(self, key, base, believed, patch, gone):
        row = self.rows.get(key)
        if row is None:
            return Verdict(errors=set(gone))
        # Of what its save left out the server has made something, which is nobody's change.
        same = row.version == base.version
        known = {**row.values, **base.values} if same and not base.merged else base.values
        named = {column: patch[column] for column in WRITABLE if column in patch}
        unknown = {column for column in named if column not in known}
        changed = {column: value for column, value in named.items() if column in unknown or known[column] != value}
        if not changed:
            # Who names all that he knows leaves again what his last save has left.
            seen = not base.merged or all(column in named for column in WRITABLE if column in known)
            return self.judge_unchanged(row, same and seen, believed, named)
        held = {}
        if believed and any(column in known and column not in named for column in WRITABLE):
            held = {column: value for column, value in named.items() if column not in changed}
        holds = all(row.values[column] == value for column, value in held.items())
        if holds and all(row.values[column] == value for column, value in changed.items()):
            return Verdict(ok=True, errors={"ESTALE"}, either=bool(unknown))    # they have made it what it was to become
        if holds and all(column in unknown or row.values[column] == known[column] for column in changed):
            verdict = self.judge_change(key, row, changed)
            if unknown:     # a default that somebody may have changed since: theirs or nobody's
                verdict.errors.add("ESTALE")
            return verdict
        return Verdict(errors={"ESTALE"})

    def judge_unchanged(self, row, same, believed, named):
        differs = any(row.values[column] != value for column, value in named.items())
        if same or not differs:
            return Verdict(ok=True, nothing=True)
        # Whether a program that never read the row meant it so is not said.
        return Verdict(errors={"ESTALE"}) if believed else Verdict(ok=True, errors={"ESTALE"}, nothing=True)

    def judge_change(self, key, row, changed):
        values = {column: changed.get(column, row.values[column]) for column in WRITABLE}
        error = self.violation(key, values)
        return Verdict(errors={error}) if error else Verdict(ok=True, row=values)

    def saved(self, key, base, text, verdict):
        """A save succeeded: enter it. What its program knows of the row from then on."""
        named = {column: value for column, value in parse(text, key).items() if column in WRITABLE}
        before = self.rows.get(key)
        if verdict.nothing or not before and verdict.row is None:
            return base
        if not base:
            return Known({"id": key, **named}, self.put(key, verdict.row).version)
        merged = base.merged or base.version != before.version
        # A generated column that the text has is one that its program knows.
        computed = {column: value for column, value in parse(text, key).items() if column == "size"}
        values = {**({} if merged else before.values), **base.values, **named, **computed}
        row = before if verdict.row is None else self.put(key, verdict.row)
        known = Known(values, row.version, merged)
        if verdict.either:
            self.undecided = key, known
        return known

    def decide(self, was_written):
        """What a save that changed nothing came to."""
        key, known = self.undecided
        self.undecided = None
        if was_written(key):
            values = self.rows[key].values
            known.version = self.put(key, {column: values[column] for column in WRITABLE}).version
