"""One program in one situation: what the user saw, what the database holds, what was sent, where the text is."""

import dataclasses
import json
import os
import re
import shutil

from world import Holder, Trouble, sql

BEFORE = {"title": "Tent", "price": 105, "sealed": "wax"}
# What each kind of trouble means; a program may have a reason for it, else it is a fault.
TROUBLES = {
    "silent": "the save was refused, and nobody was told",
    "lost": "the text that was refused is nowhere",
    "overwritten": "what somebody else had changed was taken back, and nobody was asked",
    "gone": "the row was deleted, and is not there any more",
    "wrong": "the row is not what it must be",
    "false": "saved, but something else was said",
    "sent": "other SQL was sent than one UPDATE",
    "litter": "files were left that are not the program's own",
    "hidden": "the mount does not show what the database holds",
}
# Random parts of the names of temporary files.
MASKS = ((r"\bsed[A-Za-z0-9]{6}\b", "sedXXXXXX"), (r"\.42\.json\.[A-Za-z0-9]{6}\b", ".42.json.XXXXXX"),
         (r"\bXX[A-Za-z0-9_]{6}\b", "XXXXXXXX"), (r"\b42\.json\.o[A-Za-z0-9]{6}\b", "42.json.oXXXXXX"),
         (r"\bcpio[A-Za-z0-9]{6}\b", "cpioXXXXXX"),
         (r"\b(pid|line) \d+", r"\1 N"))


@dataclasses.dataclass
class Outcome:
    saw: str
    row: str
    sent: list
    places: list
    left: list
    asked: bool
    again: bool         # saved, but only at the second try
    troubles: dict      # kind: the reason, or ""

    def faults(self):
        return [kind for kind, reason in self.troubles.items() if not reason]


class Trial:
    def __init__(self, world, program, situation):
        self.world, self.program, self.situation = world, program, situation
        self.table = table_name(program, situation)
        self.folder = f"{world.mountpoint}/{self.table}"
        self.row = f"{program.key}.json"
        self.outside = f"{world.folder}/outside/{self.table}"
        self.holder, self.since, self.stopped = None, 0, False
        self.kept_before = self.kept()

    def count_from_here(self):
        self.since = self.world.server_log_size()

    # What happens meanwhile

    def middle(self):
        """What the program's script runs between reading and saving."""
        if not self.situation.theirs:
            return "true"
        return f"psql -Xqc \"UPDATE work.{self.table} SET {self.situation.theirs} WHERE id = 42\""

    def do_theirs(self):
        if self.situation.theirs:
            sql(f"UPDATE work.{self.table} SET {self.situation.theirs} WHERE id = 42")

    def hold_the_save(self):
        """Until something happens to the server, or to the row."""
        if self.situation.server and self.program.key != 42:
            self.holder = Holder(f"INSERT INTO work.{self.table} VALUES ({self.program.key}, 'Held', 1)")
        elif self.situation.server:
            self.holder = Holder(f"SELECT FROM work.{self.table} WHERE id = 42 FOR UPDATE")
        else:
            self.holder = Holder(f"UPDATE work.{self.table} SET {self.situation.theirs} WHERE id = 42")

    def let_it_happen(self):
        """When the save waits."""
        waiting = self.holder.waiter()
        if self.situation.server == "killed":
            self.world.kill_backend(waiting)
        elif self.situation.server == "stopped":
            self.stopped = True
            self.world.stop_server()
        self.holder.end("ROLLBACK" if self.situation.server else "COMMIT")
        self.holder = None

    def mend(self):
        """Whatever the program says now."""
        if self.stopped:
            self.world.start_server()
            self.stopped = False

    # Files

    def prepare(self):
        os.makedirs(f"{self.outside}/edited")
        shutil.copytree(self.folder, f"{self.outside}/tree")
        with open(f"{self.folder}/42.json", encoding="utf-8") as f:
            text = f.read()
        if text.count(self.situation.old) != 1:
            raise Trouble(f"{self.table}: {self.situation.old} must be there once: {text}")
        for place in "edited", "tree":
            with open(f"{self.outside}/{place}/42.json", "w", encoding="utf-8") as f:
                f.write(text.replace(self.situation.old, self.situation.new))
        with open(f"{self.outside}/middle", "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n{self.middle()}\n")
        os.chmod(f"{self.outside}/middle", 0o755)

    def edited(self):
        return f"{self.outside}/edited/42.json"

    def text(self):
        """What the program was to save; a script that makes its own text leaves it in `wrote`."""
        wrote = f"{self.outside}/wrote"
        with open(wrote if os.path.exists(wrote) else f"{self.outside}/text", "rb") as f:
            return f.read()

    def kept(self):
        """The files with refused texts, and where they are."""
        return {os.path.join(at, name): place for place in ("rejected", "conflicts")
                for at, _, names in os.walk(f"{self.world.mountpoint}/.rowfs/{place}") for name in names}

    def places(self, said):
        """Where the text can be had back."""
        text, found = self.text(), []
        if said.buffer:
            found.append("the editor")
        if self.program.source and os.path.exists(self.edited()):
            found.append(self.program.source)
        if self.program.own_file:
            own = content(f"{self.outside}/{self.program.own_file}")
            found.append("the file outside" if own == text else "there is none yet")
        for name in self.scratch():
            if os.path.isfile(f"{self.folder}/{name}") and content(f"{self.folder}/{name}") == text:
                found.append(f"`{mask(name)}`")
        for path, place in sorted(self.kept().items()):
            if path not in self.kept_before and content(path) == text and f"`.rowfs/{place}/`" not in found:
                found.append(f"`.rowfs/{place}/`")
        return found

    def scratch(self):
        return sorted(name for name in os.listdir(self.folder) if not re.fullmatch(r"\d+\.json", name))

    # The row

    def in_database(self):
        return sql(f"SELECT to_jsonb(t) - 'id' FROM work.{self.table} t WHERE id = {self.program.key}").strip()

    def states(self):
        before = BEFORE if self.program.key == 42 else None
        mine = {**BEFORE, self.situation.column: changed(self.situation)}
        theirs = theirs_of(self.situation)
        return {"mine": mine, "before": before, "theirs": {**BEFORE, **theirs}, "both": {**mine, **theirs}}

    def row_state(self, found):
        """The name of the state that the row is in; `mine` if mine and both are one."""
        if not found:
            return "before" if self.program.key != 42 else "gone"
        row = json.loads(found)
        for name, state in self.states().items():
            if row == state:
                return name
        return found

    def shown(self, found):
        """Does the mount show all that, too, and no row that is not there?"""
        path = f"{self.folder}/{self.row}"
        if not found:
            return not os.path.exists(path)
        row = json.loads(content(path) or b"{}")
        return {**row, **json.loads(found)} == row and self.row in os.listdir(self.folder)

    # All of it

    def run(self):
        self.prepare()
        shutil.copy(self.edited(), f"{self.outside}/text")
        self.count_from_here()
        try:
            said = self.program.perform(self)
        finally:
            self.mend()
        found = self.in_database()
        state = self.row_state(found)
        outcome = Outcome(mask(said.saw.replace(f"{self.folder}/", "")), state,
                          self.world.writes(self.table, self.since), self.places(said),
                          [mask(name) for name in self.scratch()], said.asked, said.again, {})
        self.judge(outcome, said, found)
        return outcome

    def judge(self, outcome, said, found):
        saved, expected = outcome.row in ("mine", "both"), "mine" if said.again else self.situation.row
        clean = saved and not said.again
        kinds = {
            "silent": not saved and not said.told,
            "lost": not saved and not outcome.places,
            "overwritten": self.situation.theirs and outcome.row == "mine" and not said.asked,
            "gone": outcome.row == "gone",
            "wrong": outcome.row not in (expected, "gone") and not (self.situation.theirs and outcome.row == "mine"),
            "false": saved and said.refused and not said.again,
            "sent": not self.sent_rightly(outcome.sent),
            "litter": not set(outcome.left) <= {*self.program.leaves, *(() if clean else self.program.keeps)},
            "hidden": not self.shown(found) or self.others_changed(),
        }
        outcome.troubles = {kind: self.program.reasons.get(kind, "") for kind, is_so in kinds.items() if is_so}

    def sent_rightly(self, sent):
        if self.situation.name == "good":
            return tuple(sent) == self.program.sends
        return "DELETE" not in sent or "DELETE" in self.program.sends

    def others_changed(self):
        return sql(f"SELECT id, title, price, sealed FROM work.{self.table} WHERE id IN (41, 43) ORDER BY id") != \
            "41|Lamp|104|wax\n43|Stove|106|wax\n"


def changed(situation):
    return int(situation.new) if situation.new.lstrip("-").isdigit() else situation.new


def theirs_of(situation):
    if not situation.theirs:
        return {}
    column, value = situation.theirs.split(" = ")
    return {column: int(value) if value.isdigit() else value.strip("'")}


def table_name(program, situation):
    return re.sub(r"\W+", "_", program.name.lower()).strip("_") + "_in_" + situation.name


def content(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return None


def mask(text):
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text
