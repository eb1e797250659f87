"""Random steps for model_run.py: what programs do in order, interleaved, with calls in between that make no sense.

A step is a list: a verb, the program that makes the call (or the handle, which says it), and the call's arguments.
It holds all that it needs, so that steps can be left out and the rest made again.
"""

import json

from model import DETACHED, PLAIN
from model_rows import COLUMNS, WRITABLE, row_text

ROWS = {key: {"title": f"title {key}", "body": None if key % 2 else f"body {key}", "code": f"c{key}" if key < 4 else None,
              "note": "draft"} for key in (1, 2, 3, 4)}
KEYS = (1, 2, 3, 4, 5, 6)
FILES = ("s1", "s2", ".1.json.swp", "2.json~", "sedAbCdEf")
FOLDERS = ("d1", ".~tmp~")
LINKS = ("l1", ".#3.json")
TARGETS = ("s1", "3.json", "gone", "user@host.123")
NO_NAMES = ("abc.json", "01.json", "7.yaml")
VALUES = {
    "title": ("one", "zwei", "drei zwei", "größer", "", 'a "quoted" one', "back\\slash", "two\nlines"),
    "body": (None, "", "x", "long " * 9, "{}", "{}", "}\n"),
    "code": (None, None, "c1", "c2", "c7", "c8"),
    "note": (None, "draft", "done", "done", "bad"),
}
WAYS = ("RDONLY", "RDONLY", "WRONLY", "RDWR", "WRONLY|TRUNC", "RDWR|TRUNC", "WRONLY|APPEND", "WRONLY|CREAT",
        "WRONLY|CREAT|TRUNC", "WRONLY|CREAT|EXCL", "RDWR|CREAT|EXCL", "RDONLY|CREAT", "WRONLY|CREAT|APPEND")


class Steps:
    def __init__(self, rng, model, grace):
        self.rng, self.model, self.short = rng, model, grace < 30
        self.plans = {"a": None, "b": None}
        self.n = 0

    def next(self):
        while True:
            step = self.some()
            if step:
                return step

    def some(self):
        dice = self.rng.random()
        if dice < 0.7:
            return self.planned()
        if dice < 0.82:
            return self.by_sql()
        return self.wild()

    def planned(self):
        program = self.rng.choice(list(self.plans))
        if not self.plans[program]:
            plan = self.rng.choice(PLANS)
            self.plans[program] = plan(self, program, self.row())
        step = next(self.plans[program], None)
        if step is None:
            self.plans[program] = None
        return step

    # Names and handles

    def row(self):
        return f"{self.rng.choice(KEYS)}.json"

    def file(self):
        name = self.rng.choice(FILES)
        return name if self.rng.random() < 0.8 else f"{self.rng.choice(FOLDERS)}/{self.rng.choice(('x', '1.json'))}"

    def any_name(self):
        dice = self.rng.random()
        if dice < 0.5:
            return self.row()
        if dice < 0.85:
            return self.file()
        return self.rng.choice(FOLDERS + LINKS + NO_NAMES)

    def handle(self):
        self.n += 1
        return f"h{self.n}"

    def open_handle(self):
        return self.rng.choice(list(self.model.handles)) if self.model.handles else None

    # Texts

    def changes(self):
        columns = self.rng.sample(WRITABLE, self.rng.choice((0, 1, 1, 1, 2)))
        changes = {column: self.rng.choice(VALUES[column]) for column in columns}
        if "body" in changes and self.rng.random() < 0.1:     # more than a page
            changes["body"] = "b" * 5000
        return changes

    def base(self, program, name):
        """What the program starts from: what it knows, or the row, or nothing."""
        known = self.model.knows.get((program, name))
        row = self.model.table.rows.get(self.model.key(name))
        if known and self.rng.random() < 0.8:
            return known.values
        return row.values if row and self.rng.random() < 0.9 else {}

    def text(self, program, name):
        base, changes = self.base(program, name), self.changes()
        dice = self.rng.random()
        if dice < 0.12:
            return self.wrong_text(base, changes)
        values = {column: base[column] for column in COLUMNS if column in base}
        if dice < 0.45:
            kept = self.rng.sample(list(values), min(len(values), self.rng.choice((0, 1, 2))))
            values = {column: values[column] for column in kept}
        elif dice < 0.8:
            values.pop("size", None)
        values.update(changes)
        if not base and self.rng.random() < 0.8:
            values.setdefault("title", "made")
        return self.print(values)

    def print(self, values):
        if len(values) == len(COLUMNS) and self.rng.random() < 0.8:
            return row_text(values).decode()
        return json.dumps(values, ensure_ascii=False) + self.rng.choice(("\n", "", "  \n\n"))

    def wrong_text(self, base, changes):
        text = self.print({**base, **changes, "title": "wrong"})
        return self.rng.choice((
            text[:len(text) // 2], text + "}", " \n", "not JSON at all", '{"title": "t", "title": "u"}',
            '{"titel": "t"}', '{"title": 3}', '{"id": 99, "title": "t"}', '{"title": null}', '{"size": 99}', "[]", text + text))

    # What others do, and what nobody does

    def by_sql(self):
        key, dice = self.rng.choice(KEYS), self.rng.random()
        if key not in self.model.table.rows:
            return ["sql", "insert", key, {"title": "inserted", **self.changes()}] if dice < 0.7 else None
        if dice < 0.2:
            return ["sql", "delete", key, {}]
        changes = self.changes()
        return ["sql", "update", key, changes] if changes else None

    def wild(self):
        number = self.open_handle()
        if number and self.rng.random() < 0.5:
            return self.on_handle(number)
        program = self.rng.choice("ab")
        verb = self.rng.choice(("open", "open", "rename", "rename", "rename", "unlink", "truncate", "folder", "symlink",
                                "utime", "expire"))
        return getattr(self, f"wild_{verb}")(program)

    def on_handle(self, number):
        handle = self.model.handles[number]
        dice = self.rng.random()
        if dice < 0.4:
            return ["close", number]
        if dice < 0.55 or not handle.writes():
            return ["fsync", number]
        length = len(self.model.bytes_of(handle))
        if dice < 0.7:
            return ["ftruncate", number, self.rng.choice((0, length, max(0, length - 3), length + 2))]
        if dice < 0.85 and handle.edit:
            return ["write", number, 0, self.text(handle.process, handle.edit.name)]
        return ["write", number, self.rng.randint(0, length + 1), self.rng.choice(("x", " ", "}\n", '"', "y" * 5000))]

    def wild_open(self, program):
        if len(self.model.handles) > 8:
            return None
        return ["open", program, self.handle(), self.any_name(), self.rng.choice(WAYS)]

    def wild_rename(self, program):
        return ["rename", program, self.any_name(), self.any_name(), "NOREPLACE" if self.rng.random() < 0.15 else ""]

    def wild_unlink(self, program):
        return ["unlink", program, self.any_name()]

    def wild_truncate(self, program):
        return ["truncate", program, self.any_name(), self.rng.choice((0, 0, 7))]

    def wild_folder(self, program):
        return [self.rng.choice(("mkdir", "mkdir", "rmdir")), program, self.rng.choice(FOLDERS * 3 + (self.any_name(),))]

    def wild_symlink(self, program):
        path = self.rng.choice(LINKS) if self.rng.random() < 0.9 else self.any_name()
        return ["symlink", program, self.rng.choice(TARGETS), path]

    def wild_utime(self, program):
        return ["utime", program, self.any_name()]

    def wild_expire(self, _):
        hidden = [name for name, state in self.model.states.items() if state == DETACHED]
        return ["expire", self.rng.choice(hidden)] if hidden and self.short else None


# What programs do. Each plan is a generator of steps; it may look at what has become of the former ones.

def read(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, "RDONLY"]
    if steps.rng.random() < 0.8:
        yield ["close", number]


def fill(steps, program, number, name):
    """Write a text through a handle, in one piece or in two, and close it."""
    text = steps.text(program, name)
    cut = steps.rng.randint(0, len(text)) if steps.rng.random() < 0.3 else len(text)
    if text[:cut]:
        yield ["write", number, 0, text[:cut]]
    if text[cut:]:
        yield ["write", number, len(text[:cut].encode()), text[cut:]]
    if steps.rng.random() < 0.3:
        yield ["fsync", number]
    if steps.rng.random() < 0.15:
        yield from again(steps, program, number, name)
    if steps.rng.random() < 0.93:
        yield ["close", number]


def again(steps, program, number, name):
    """A second text through the same handle."""
    yield ["fsync", number]
    yield ["ftruncate", number, 0]
    yield ["write", number, 0, steps.text(program, name)]


def overwrite(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, steps.rng.choice(("WRONLY|TRUNC", "WRONLY|CREAT|TRUNC", "RDWR|CREAT|TRUNC"))]
    yield from fill(steps, program, number, name)


def cut_and_write(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, "WRONLY"]
    yield ["ftruncate", number, 0]
    yield from fill(steps, program, number, name)


def in_place(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, "RDWR"]
    handle = steps.model.handles.get(number)
    if handle and handle.edit:
        text = bytes(handle.edit.text).decode(errors="replace")
        edited = text.replace('"draft"', '"final"')
        yield ["write", number, 0, edited if edited != text else steps.text(program, name)]
        if steps.rng.random() < 0.7:
            yield ["ftruncate", number, len(edited.encode())]
    yield ["close", number]


def append(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, "WRONLY|APPEND"]
    yield ["write", number, 0, steps.rng.choice(("\n", " ", "x", steps.text(program, name)))]
    yield ["close", number]


def create(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, steps.rng.choice(("WRONLY|CREAT|EXCL", "RDWR|CREAT|EXCL", "WRONLY|CREAT"))]
    yield from fill(steps, program, number, name)


def touch(steps, program, name):
    number = steps.handle()
    yield ["open", program, number, name, "WRONLY|CREAT"]
    yield ["close", number]
    yield ["utime", program, name]


def beside(steps, program, name):
    """sed -i, rsync, most of what saves atomically."""
    number, other = steps.handle(), steps.file()
    yield ["open", program, number, other, steps.rng.choice(("WRONLY|CREAT|EXCL", "RDWR|CREAT|TRUNC"))]
    last = None
    for step in fill(steps, program, number, name):
        if step[0] == "close" and steps.rng.random() < 0.2:
            last = step     # renamed while it is open
        else:
            yield step
    yield ["rename", program, other, name, ""]
    if last:
        yield from again(steps, program, number, name)
        yield last


def aside(steps, program, name):
    """vim and emacs: move the row away, create it anew, remove the other; or bring it back."""
    number, other = steps.handle(), steps.file()
    if steps.rng.random() < 0.7:
        yield from read(steps, program, name)
    yield ["rename", program, name, other, ""]
    if steps.rng.random() < 0.2:
        yield ["rename", program, other, name, ""]
        return
    yield ["open", program, number, name, "WRONLY|CREAT|EXCL"]
    yield from fill(steps, program, number, name)
    if steps.model.state(name) == PLAIN:
        yield ["unlink", program, other]
    else:
        yield ["unlink", program, name]
        yield ["rename", program, other, name, ""]


def backup(steps, program, name):
    """Copy it beside itself and write in place."""
    number, other = steps.handle(), steps.file()
    yield from read(steps, program, name)
    yield ["open", program, number, other, "WRONLY|CREAT|TRUNC"]
    yield ["write", number, 0, "a copy"]
    yield ["close", number]
    yield from cut_and_write(steps, program, name)
    yield ["unlink", program, other]


def remove(steps, program, name):
    yield ["unlink", program, name]
    if steps.rng.random() < 0.5:
        yield from create(steps, program, name)


def move(steps, program, name):
    yield ["rename", program, name, steps.row(), steps.rng.choice(("", "", "NOREPLACE"))]


def read_and_save(steps, program, name):
    yield from read(steps, program, name)
    yield from steps.rng.choice((overwrite, cut_and_write, beside, aside))(steps, program, name)


PLANS = (read, overwrite, cut_and_write, in_place, append, create, touch, beside, beside, aside, aside, backup, remove, move,
         read_and_save, read_and_save, read_and_save)
