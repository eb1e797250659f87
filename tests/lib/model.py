"""The reference model: one table's directory as docs/filesystem.md promises it, in memory.

A Model is told each call that was made and what it returned. It raises Mismatch where the documentation allows
something else only; where that leaves a choice, it follows what happened. Between two calls it says what there is to
see: names() and content() by path, what each open handle shows, and the rows that SQL has. It knows nothing of how
rowfs does it, and does no I/O; model_run.py drives it along a real mount.

A row's name has one of four states: PLAIN, DETACHED (its row was renamed to a temporary name), REPLACING (created over
a detached name), PENDING (created where there is no row).
"""

import dataclasses
import re

from model_files import Directory, File, Link, Tree
from model_rows import Known, Table, blank, progress, row_text

ROW_NAME = re.compile(r"(0|-?[1-9][0-9]{0,8})\.json")
NO_NAME = re.compile(r"[^./][^/]*\.(json|yaml|csv|tsv)")
PLAIN, DETACHED, REPLACING, PENDING = "plain", "detached", "replacing", "pending"
LINKS_MAX = 40
PAGE = 4096


class Mismatch(Exception):
    pass


def expect(seen, *allowed):
    if seen not in allowed:
        raise Mismatch(f"returned {seen}; allowed: {' '.join(sorted(allowed))}")


@dataclasses.dataclass(eq=False)
class Edit:
    """What a handle that was opened for writing holds of a row."""
    name: str
    base: Known | None              # None: there was no row
    belief: Known | None = None     # what its program had read, while the text is not its own from the beginning
    believed: bool = False          # the base is that
    created: bool = False           # this handle made the name
    text: bytearray = dataclasses.field(default_factory=bytearray)
    dirty: bool = False
    sequential: bool = False        # all of the text was written, piece after piece
    committed: bool = False
    saved: bytes | None = None      # the text that was sent last, if it was saved
    error: str | None = None        # of the refusal that sticks
    dropped: bool = False           # its name was removed before it had a row
    unnamed: bool = False           # its row was removed, and what has the name is another's

    def changed(self):
        self.dirty, self.error = True, None

    def repeats(self, offset, data):
        """Why the text was refused, if that has these bytes already."""
        if not data or offset + len(data) > len(self.text) or self.text[offset:offset + len(data)] != data:
            return None
        return "EINVAL" if self.sequential and progress(self.text) == "broken" else self.error

    def follows(self, offset):
        if offset == 0 and not self.text:
            self.sequential = True
        elif offset != len(self.text):
            self.sequential = False
        return self.sequential

    def is_saved(self):
        """White space after a text makes no other of it."""
        return self.saved is not None and self.text.startswith(self.saved) and blank(self.text[len(self.saved):])

    def own_text(self):
        """Nothing of what the handle showed is left."""
        if self.belief and not self.committed:
            self.base, self.belief, self.believed = self.belief, None, True


@dataclasses.dataclass(eq=False)
class Handle:
    process: str
    access: str                     # RDONLY, WRONLY, RDWR
    append: bool
    name: str = ""
    text: bytes | None = None       # one of these three: the version of a row that it sees,
    edit: Edit | None = None        # what it makes of one,
    file: File | None = None        # or a temporary file
    aside: File | None = None       # where the row that it sees was moved to
    loose: bool = False             # what it shows is not foretold

    def shows(self):
        """None: that is not foretold. A reader whose row was moved to a temporary name may see what is done to that."""
        if self.loose:
            return None
        if self.aside and bytes(self.aside.content) != self.text:
            self.text = None
        if self.edit:
            return bytes(self.edit.text)
        return bytes(self.file.content) if self.file else self.text

    def writes(self):
        return self.access != "RDONLY"


class Model:
    def __init__(self, rows):
        self.table, self.tree = Table(), Tree()
        self.states, self.bases = {}, {}    # name → state; of a detached name the row that went
        self.handles = {}
        self.knows = {}                     # (process, name) → what it has read of the row, or made of it
        self.refused = []                   # texts of which somebody must have been told, since the last look
        for key, values in rows.items():
            self.table.put(key, values)

    # Names

    @staticmethod
    def kind(path):
        if "/" in path or path.startswith("."):
            return "temporary"
        if ROW_NAME.fullmatch(path):
            return "row"
        return "none" if NO_NAME.fullmatch(path) else "temporary"

    @staticmethod
    def key(name):
        return int(name.removesuffix(".json"))

    def state(self, name):
        return self.states.get(name, PLAIN)

    def there(self, path):
        if self.kind(path) != "row":
            return self.tree.get(path) is not None
        state = self.state(path)
        return self.key(path) in self.table.rows if state == PLAIN else state != DETACHED

    def content(self, path):
        """What a reader sees of a row's name that is there."""
        return row_text(self.table.rows[self.key(path)].values) if self.state(path) == PLAIN else b""

    def names(self):
        rows = {f"{key}.json" for key in self.table.rows} | self.states.keys()
        return {name for name in rows if self.there(name)} | self.tree.root.keys()

    def enter(self, name, state, base=None):
        if state == PLAIN:
            self.states.pop(name, None)
            self.bases.pop(name, None)
        else:
            self.states[name] = state
            if base:
                self.bases[name] = base

    def edits(self, name):
        return [handle.edit for handle in self.handles.values()
                if handle.edit and handle.edit.name == name and not handle.edit.dropped and not handle.edit.unnamed]

    def reveal(self):
        """An empty file that nobody has open does not hide a row that came into being since."""
        for name, state in list(self.states.items()):
            if state == PENDING and self.key(name) in self.table.rows and not self.edits(name):
                self.enter(name, PLAIN)

    def expire(self, name):
        """Nobody has created a detached name within the grace."""
        if self.state(name) == DETACHED:
            self.enter(name, PLAIN)

    def follow(self, path):
        """Where symbolic links lead from a path; None: in circles."""
        for _ in range(LINKS_MAX):
            entry = self.tree.get(path) if self.kind(path) == "temporary" else None
            if not isinstance(entry, Link):
                return path
            path = path[:path.rfind("/") + 1] + entry.target
        return None

    # Opening

    def open(self, process, number, path, words, seen):
        words = set(words.split("|"))
        access = next(iter(words & {"RDONLY", "WRONLY", "RDWR"}))
        if {"CREAT", "EXCL"} <= words and self.there(path):
            return expect(seen, "EEXIST")
        path = self.follow(path)
        if path is None:
            return expect(seen, "ELOOP")
        handle = Handle(process, access, "APPEND" in words, path)
        if self.kind(path) == "row":
            error = self.open_row(handle, path, words)
        else:
            error = self.open_temporary(handle, path, words)
        expect(seen, error or "OK")
        if not error and not isinstance(self.tree.get(path), Directory):
            self.handles[number] = handle
        return None

    def open_temporary(self, handle, path, words):
        directory, _ = self.tree.place(path)
        if isinstance(directory, str):
            return directory
        file = self.tree.get(path)
        if file is None:
            if "CREAT" not in words:
                return "ENOENT"
            if self.kind(path) == "none":
                return "EINVAL"
            file = File()
            self.tree.put(path, file)
        elif isinstance(file, Directory):
            return None if words == {"RDONLY"} else "EISDIR"
        elif "TRUNC" in words:
            file.content.clear()
        handle.file = file
        return None

    def open_row(self, handle, name, words):
        if not self.there(name):
            if "CREAT" not in words:
                return "ENOENT"
            self.create_row(handle, name)
        elif self.state(name) == PLAIN:
            self.open_plain(handle, name, words)
        elif handle.writes():
            base = self.bases.get(name)
            handle.edit = Edit(name, base, belief=self.believed(handle.process, name, base))
            handle.edit.own_text()
        else:
            handle.text = b""
        return None

    def believed(self, process, name, base):
        return self.knows.get((process, name)) if base else None

    def create_row(self, handle, name):
        base = self.bases.get(name)
        self.enter(name, REPLACING if self.state(name) == DETACHED else PENDING)
        handle.edit = Edit(name, base, belief=self.believed(handle.process, name, base), created=True)
        handle.edit.own_text()

    def open_plain(self, handle, name, words):
        known = self.table.known(self.key(name))
        reads = handle.access != "WRONLY" and "TRUNC" not in words
        if reads:
            self.knows[handle.process, name] = known
        if not handle.writes():
            handle.text = self.content(name)
            return
        belief = None if reads else self.knows.get((handle.process, name))
        handle.edit = Edit(name, known, belief=belief)
        if "TRUNC" in words:
            handle.edit.own_text()
        else:
            handle.edit.text += self.content(name)

    # Bytes

    def bytes_of(self, handle):
        return handle.edit.text if handle.edit else handle.file.content

    def write(self, number, offset, data, seen):
        handle = self.handles[number]
        text, data, edit = self.bytes_of(handle), data.encode(), handle.edit
        seen, _, size = seen.partition(" ")
        if handle.append:
            offset = len(text)
        if size and offset == len(text) and not handle.loose:
            data = data[:int(size) - offset]    # the kernel did not send the rest
        again = edit.repeats(offset, data) if edit else None
        # Of a write that the kernel cuts at the end of a page the first piece may be one that is there already.
        first = edit.repeats(offset, data[:PAGE - offset % PAGE]) if edit else None
        if again or (first and seen == first):
            return expect(seen, again or first)
        before, follows = bytes(text), edit and data and edit.follows(offset)
        text.extend(bytes(max(0, offset - len(text))))
        text[offset:offset + len(data)] = data
        if not follows:
            expect(seen, "OK")
            if edit and data:
                edit.changed()
            return None
        return self.write_next(handle, before, seen)

    def write_next(self, handle, before, seen):
        """A text that is written from its beginning on is saved by the write that completes it."""
        edit = handle.edit
        state, error = progress(edit.text), edit.error
        edit.changed()
        if state == "complete" and progress(before) == "complete" and error:
            edit.error = error
            return expect(seen, error)
        if state == "complete":
            return self.commit(handle, seen, {})
        return expect(seen, "EINVAL" if state == "broken" else "OK")

    def ftruncate(self, number, size, seen):
        handle = self.handles[number]
        text = self.bytes_of(handle)
        expect(seen, "OK")
        if handle.edit and size != len(text):
            handle.edit.changed()
        del text[size:]
        text.extend(bytes(size - len(text)))
        if handle.edit and size == 0:
            handle.edit.own_text()
        elif handle.edit:
            handle.edit.sequential = False

    def truncate(self, path, size, seen):
        path = self.follow(path)
        if path is None:
            return expect(seen, "ELOOP")
        if self.kind(path) == "row":
            if not self.there(path):
                return expect(seen, "ENOENT")
            # By its path a row can be cut to nothing, which changes nothing, and to nothing else.
            return expect(seen, *(("OK",) if size in (0, len(self.content(path))) else ("EINVAL", "EIO")))
        directory, _ = self.tree.place(path)
        file = self.tree.get(path)
        if isinstance(directory, str) or file is None or isinstance(file, Directory):
            return expect(seen, directory if isinstance(directory, str) else "EISDIR" if file is not None else "ENOENT")
        expect(seen, "OK")
        del file.content[size:]
        file.content.extend(bytes(size - len(file.content)))
        return None

    # Saving

    def fsync(self, number, seen):
        self.commit(self.handles[number], seen, {"EINVAL": "EIO"})

    def close(self, number, seen):
        handle = self.handles[number]
        self.commit(handle, seen, {})
        del self.handles[number]
        edit = handle.edit
        if (edit and edit.dirty and edit.created and not edit.committed and not edit.dropped and not edit.unnamed
                and not blank(edit.text)):
            self.drop(edit.name)
        self.reveal()

    def drop(self, name):
        """Whoever made the name could not save what it was made for."""
        self.enter(name, DETACHED if self.state(name) in (REPLACING, DETACHED) else PLAIN)

    def commit(self, handle, seen, said):
        edit = handle.edit
        if not edit or edit.dropped or not edit.dirty or (not edit.error and blank(edit.text)):
            return expect(seen, "OK")
        if edit.error:
            return expect(seen, said.get(edit.error, edit.error))
        if edit.is_saved():
            edit.dirty = False
            return expect(seen, "OK")
        key, text = self.key(edit.name), bytes(edit.text)
        if edit.base:
            verdict = self.table.judge_update(key, edit.base, edit.believed, text)
        else:
            verdict = self.table.judge_insert(key, text)
        self.judge(seen, verdict, said)
        if seen != "OK":
            edit.error = next(error for error in verdict.errors if said.get(error, error) == seen)
            self.refused.append(text)
            edit.saved = None
            return None
        now = self.table.saved(key, edit.base, text, verdict)
        if now is not edit.base:
            edit.believed = True
        edit.base, edit.dirty, edit.committed, edit.saved = now, False, True, text
        if not edit.unnamed:
            self.enter(edit.name, PLAIN)
        self.learn(handle.process, edit.name, now)
        return None

    @staticmethod
    def judge(seen, verdict, said):
        expect(seen, *(said.get(error, error) for error in verdict.errors), *(("OK",) if verdict.ok else ()))

    def learn(self, process, name, now):
        if (process, name) in self.knows:
            self.knows[process, name] = now

    # Renaming and removing

    def unlink(self, _process, path, seen):
        if self.kind(path) != "row":
            return expect(seen, self.tree.unlink(path))
        if not self.there(path):
            return expect(seen, "ENOENT")
        expect(seen, "OK")
        if self.state(path) == PLAIN:
            del self.table.rows[self.key(path)]
            for edit in self.edits(path):
                edit.unnamed = True
            return None
        for edit in self.edits(path):
            edit.dropped = True
        self.drop(path)
        self.reveal()
        return None

    def rename(self, process, path, to, word, seen):
        if not self.there(path):
            return expect(seen, "ENOENT", "ENOTDIR")
        if word == "NOREPLACE" and self.there(to):
            return expect(seen, "EEXIST")
        if path == to:
            return expect(seen, "OK")
        if path.startswith(to + "/"):
            return expect(seen, "ENOTEMPTY")
        if self.kind(to) == "none":
            # No such name is ever there, and none comes to be.
            return expect(seen, "EIO", "EINVAL", "EPERM")
        if self.kind(path) == "row":
            if self.kind(to) == "row":
                return self.rename_row(path, to, seen)
            return self.detach(path, to, seen)
        if self.kind(to) == "row":
            return self.rename_onto_row(process, path, to, seen)
        entry = self.tree.get(path)
        error = self.tree.refuse_replacing(entry, to)
        expect(seen, error or "OK")
        if not error and self.tree.get(to) is not entry:
            self.tree.remove(path)
            self.tree.put(to, entry)
        return None

    def detach(self, name, to, seen):
        error = self.tree.refuse_replacing(File(), to)
        expect(seen, error or "OK")
        if error:
            return
        state, file = self.state(name), File()
        if state == PLAIN:
            file.content += self.content(name)
            self.enter(name, DETACHED, self.table.known(self.key(name)))
        else:
            self.drop(name)
        edits = self.edits(name)
        writers = [edit for edit in edits if edit.dirty or not edit.text]
        if writers:     # of several nobody says whose text it is
            file.candidates = [bytes(edit.text) for edit in writers]
        for handle in self.handles.values():
            if handle.edit in edits:
                # It may go on seeing what it saw, where that is not what the file holds.
                handle.loose |= any(edit.text != (file.candidates or [file.content])[0] for edit in [handle.edit, *writers])
                handle.edit, handle.file = None, file
            elif handle.name == name and not (handle.edit or handle.file or handle.aside):
                handle.aside = file     # the first; what has the name since is another file
        self.tree.put(to, file)
        self.reveal()

    def rename_onto_row(self, process, path, name, seen):
        file, key = self.tree.get(path), self.key(name)
        if not isinstance(file, File):
            return expect(seen, "EPERM", *(("ENOTDIR",) if isinstance(file, Directory) else ()))
        text, state = bytes(file.content), self.state(name)
        base, believed, gone = self.base_of_rename(process, name, text)
        if base:
            verdict = self.table.judge_update(key, base, believed, text, gone)
        else:
            verdict = self.table.judge_insert(key, text)
        if base and key not in self.table.rows and state in (DETACHED, REPLACING):
            # A hidden row that somebody has deleted: back as it was is nothing; or a conflict; or a row anew.
            verdict.ok = "EINVAL" not in verdict.errors
        self.judge(seen, verdict, {"EINVAL": "EIO", "ESTALE": "EIO"})
        if seen != "OK":
            self.refused.append(text)
            return None
        now = self.table.saved(key, base, text, verdict)
        self.tree.remove(path)
        self.enter(name, PLAIN)
        if believed or now is not base:
            self.learn(process, name, now)
        several = [handle for handle in self.handles.values() if handle.file is file]
        for handle in several:
            handle.loose |= len(several) > 1    # each has its own text of the row now, and the kernel one size for all
        for handle in [handle for handle in self.handles.values() if handle.file is file]:
            handle.name, handle.file = name, None
            if handle.writes():
                handle.edit, file.written = Edit(name, now, believed=True, text=bytearray(text)), True
            else:
                handle.text = text
        for handle in self.handles.values():
            if handle.aside is file and file.written:
                handle.text = None
        return None

    def base_of_rename(self, process, name, text):
        state, key = self.state(name), self.key(name)
        if state == PLAIN:
            base = self.table.known(key) if key in self.table.rows else None
        else:
            base = self.bases.get(name)
        if not base or row_text(base.values) == text:
            return base, False, {"ESTALE"}
        known = self.knows.get((process, name))
        return known or base, known is not None, {"ESTALE"}

    def rename_row(self, name, to, seen):
        key, target = self.key(name), self.key(to)
        if self.state(name) != PLAIN:
            return self.rename_pending(name, to, seen)
        values = {column: value for column, value in self.table.rows[key].values.items() if column not in ("id", "size")}
        expect(seen, "OK")
        del self.table.rows[key]
        self.table.put(target, values)
        self.enter(to, PLAIN)
        self.reveal()
        return None

    def rename_pending(self, name, to, seen):
        """A file that has no content yet takes another name, and who has it open goes on there. A row it hides not."""
        edits = self.edits(name)
        if self.key(to) in self.table.rows or self.there(to):
            return expect(seen, "EEXIST")
        expect(seen, "OK", *(("EBUSY",) if edits else ()))
        if seen != "OK":
            return None
        self.enter(to, REPLACING if self.state(to) == DETACHED else PENDING)
        self.drop(name)
        for edit in edits:
            edit.name, edit.base, edit.belief, edit.believed = to, self.bases.get(to), None, False
        self.reveal()
        return None

    # Temporary names alone

    def refuse_made(self, path, seen):
        """A row is a file; a name that is no key is nothing."""
        if self.kind(path) == "none":
            return expect(seen, "EINVAL")
        return expect(seen, "EEXIST" if self.there(path) else "EPERM")

    def mkdir(self, _process, path, seen):
        if self.kind(path) == "temporary":
            return expect(seen, self.tree.make(path, Directory()))
        return self.refuse_made(path, seen)

    def symlink(self, _process, target, path, seen):
        if self.kind(path) == "temporary":
            return expect(seen, self.tree.make(path, Link(target)))
        return self.refuse_made(path, seen)

    def rmdir(self, _process, path, seen):
        if self.kind(path) == "temporary":
            return expect(seen, self.tree.rmdir(path))
        return expect(seen, *(("ENOTDIR",) if self.there(path) else ("ENOENT",)))

    def utime(self, _process, path, seen):
        path = self.follow(path)
        directory = self.tree.place(path)[0] if path else "ELOOP"
        expect(seen, directory if isinstance(directory, str) else "OK" if self.there(path) else "ENOENT")

    # Others, by SQL

    def sql(self, verb, key, values, seen):
        if verb == "delete":
            expect(seen, "OK")
            self.table.rows.pop(key, None)
            return
        if (key in self.table.rows) != (verb == "update"):
            return expect(seen, "ERROR" if verb == "insert" else "OK")
        before = self.table.rows[key].values if verb == "update" else {"title": None, "body": None, "code": None,
                                                                       "note": "draft"}
        row = {column: values.get(column, before[column]) for column in ("title", "body", "code", "note")}
        error = self.table.violation(key, row)
        expect(seen, "ERROR" if error else "OK")
        if not error:
            self.table.put(key, row)
            self.reveal()
        return None
