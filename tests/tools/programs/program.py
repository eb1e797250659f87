"""How a program saves a row: by a script of a shell, or by keys on a terminal."""

import dataclasses
import errno
import os
import re
import shlex
import subprocess

from terminal import Terminal
from world import Trouble, wait_for

ERRNO_TEXTS = "|".join([*(re.escape(os.strerror(number)) for number in errno.errorcode), r"^\[?Error: "])


@dataclasses.dataclass
class Said:
    """What the user was told: in words; if anything at all; that his save was refused. Was he asked before, is the
    text still before him?"""
    saw: str
    told: bool
    refused: bool
    asked: bool = False
    buffer: bool = False
    again: bool = False     # was it saved at the second try?


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    name: str
    needs: str = ""                 # a program that may be missing
    key: int = 42
    sends: tuple = ("UPDATE",)      # a good save
    leaves: tuple = ()              # its own files, beside the row
    keeps: tuple = ()               # and more where the save was refused
    source: str = ""                # what it only read the text from, so that it is there still
    reasons: dict = dataclasses.field(default_factory=dict)
    without: tuple = ()             # situations that it cannot be in
    own_file: str = ""              # where outside it has put its text


def telling_line(words):
    """The first that names an errno, with the one before where it does nothing else; else the last."""
    lines = [re.sub(r"\s+", " ", line.strip(" {")) for line in words.splitlines()]
    for number, line in enumerate(lines):
        if re.fullmatch(ERRNO_TEXTS, line, re.I) and number:
            return f"{lines[number - 1]} {line}"
        if re.search(ERRNO_TEXTS, line, re.I):
            return line
    return lines[-1]


def one_message(line, patterns):
    """Without what stands elsewhere on the same line, and frames."""
    parts = [part.strip() for part in re.split(r"\s{3,}|[│┌─┐]+|(?<=\]) \d", line)]
    return next(part for part in parts if re.search("|".join(patterns), part))


@dataclasses.dataclass(frozen=True, eq=False)
class Command(Program):
    script: str = ""
    shell: str = "bash"


    def perform(self, trial):
        holding = trial.situation.server or trial.situation.theirs and "MIDDLE" not in self.script
        if holding:
            trial.hold_the_save()
        with subprocess.Popen([self.shell, "-c", self.script], cwd=trial.folder, env=self.environment(trial), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              errors="replace") as process:
            if holding:
                trial.let_it_happen()
            try:
                words = process.communicate(timeout=60)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                raise Trouble(f"{self.name} does not end: {process.communicate()[0]}") from None
        trial.mend()
        words = words.replace(trial.outside + "/", "").replace(trial.folder + "/", "").strip()
        status = f"exit {process.returncode}"
        told = bool(process.returncode or words)
        return Said(f"{status}: `{telling_line(words)}`" if words else status, told, told)

    def environment(self, trial):
        situation = trial.situation
        value = f'"{situation.new}"' if situation.column == "sealed" else situation.new
        return {**os.environ, "ROW": trial.row, "OLD": situation.old, "NEW": situation.new, "COLUMN": situation.column,
                "VALUE": value, "EDITED": trial.edited(), "OUT": trial.outside, "MIDDLE": f"{trial.outside}/middle"}


@dataclasses.dataclass(frozen=True, eq=False)
class Editor(Program):
    command: str = ""
    prepare: tuple = ()         # keys after it was opened
    edit: tuple = ()            # keys, with {old} and {new}
    save: tuple = ()
    saved: str = ""             # what the screen shows then
    refused: str = ""
    asks: dict = dataclasses.field(default_factory=dict)    # what it may ask, and the keys that say yes
    confirms: dict = dataclasses.field(default_factory=dict)    # what it always asks
    calm: tuple = ()            # keys that take the message away
    dismiss: dict = dataclasses.field(default_factory=dict)     # or of messages that need others
    leave: tuple = ()
    asked_to_leave: dict = dataclasses.field(default_factory=dict)
    first: bool = False         # has it saved something before?
    draft: tuple = ()           # keys that make it save a draft, and the names that are there then
    draft_names: tuple = ()

    def perform(self, trial):
        terminal = Terminal(f"{self.command} {shlex.quote(trial.row)}", trial.folder, f"{trial.outside}/tmux")
        try:
            return self.use(terminal, trial)
        finally:
            terminal.end()

    def use(self, terminal, trial):
        situation = trial.situation
        terminal.wait_for('"sealed": "wax"')
        if self.first:
            self.change(terminal, "Tent", "Test")
            self.keep(terminal)
            self.change(terminal, "Test", "Tent")
            self.keep(terminal)
            trial.count_from_here()
        trial.do_theirs()
        asked = self.change(terminal, situation.old, situation.new)
        if self.draft:
            terminal.type(*self.draft)
            wait_for("the draft", lambda: set(self.draft_names) <= set(trial.scratch()))
        if situation.server:
            trial.hold_the_save()
            self.press_save(terminal)
            trial.let_it_happen()
        else:
            self.press_save(terminal)
        said = self.listen(terminal, situation.new, asked)
        trial.mend()
        if situation.server == "stopped" and said.refused:
            again = self.keep(terminal)
            said.saw += f"; when it is saved once more: {again.saw}"
            said.again = not again.refused
        self.go(terminal)
        return said

    def change(self, terminal, old, new):
        """Returns what it asked."""
        terminal.type(*(key.format(old=old, new=new) if isinstance(key, str) else key for key in self.edit))
        _, asked = self.answer(terminal, rf'": "?{new}\b')
        return asked

    def keep(self, terminal):
        self.press_save(terminal)
        return self.listen(terminal, "", [])

    def press_save(self, terminal):
        terminal.type(*self.save)
        for question, keys in self.confirms.items():
            terminal.wait_for(question)
            terminal.type(*keys)

    def answer(self, terminal, pattern):
        """The line that has this, and what was asked until it came; each question is answered with yes."""
        questions, asked = dict(self.asks), []
        while True:
            line = terminal.wait_for("|".join([*questions, pattern]))
            question = next((question for question in questions if re.search(question, line)), None)
            if not question:
                return line, asked
            asked.append(line)
            terminal.type(*questions.pop(question))

    def listen(self, terminal, new, asked):
        """Until it says whether it has saved; and is the text on the screen then?"""
        line, more = self.answer(terminal, f"{self.saved}|{self.refused}")
        refused = not re.search(self.saved, line)
        own = next((pattern for pattern in self.dismiss if re.search(pattern, line)), None)
        if own or self.calm:
            terminal.type(*(self.dismiss[own] if own else self.calm))
            wait_for("a calm screen", lambda: not terminal.finds(own or f"{self.saved}|{self.refused}"))
        asked = asked + more
        patterns = [pattern.strip() for pattern in (*self.asks, self.saved, self.refused)]
        saw = "; ".join([f"asked: `{one_message(question, patterns)}`" for question in asked] +
                        [f"`{one_message(line, patterns)}`"])
        return Said(saw, refused or bool(asked), refused, bool(asked),
                    bool(new) and refused and bool(terminal.finds(rf"{new}\b")))

    def go(self, terminal):
        terminal.type(*self.leave)
        questions = dict(self.asked_to_leave)
        while questions:
            terminal.wait_for("|".join(questions), or_end=True)
            question = next((question for question in questions if terminal.finds(question)), None)
            if not question:
                break
            terminal.type(*questions.pop(question))
        terminal.wait_for_end()
