"""Temporary files as POSIX has them: the part of the reference model (model.py) that knows no rows."""

import dataclasses


@dataclasses.dataclass(eq=False)
class File:
    content: bytearray = dataclasses.field(default_factory=bytearray)
    candidates: list | None = None      # the content is one of these; which, is to be seen
    written: bool = False               # by a handle, through which it now is a row's


@dataclasses.dataclass(eq=False)
class Link:
    target: str


class Directory(dict):
    def __hash__(self):
        return id(self)


class Tree:
    """Names with one slash at most."""

    def __init__(self):
        self.root = Directory()

    def place(self, path):
        """The directory that a path is in, or the errno of the way there; and its last part."""
        folder, slash, name = path.rpartition("/")
        if not slash:
            return self.root, name
        there = self.root.get(folder)
        if there is None:
            return "ENOENT", name
        return (there if isinstance(there, Directory) else "ENOTDIR"), name

    def get(self, path):
        directory, name = self.place(path)
        return None if isinstance(directory, str) else directory.get(name)

    def put(self, path, entry):
        directory, name = self.place(path)
        directory[name] = entry

    def remove(self, path):
        directory, name = self.place(path)
        return directory.pop(name)

    def refuse_replacing(self, entry, path):
        """Why `entry` may not be renamed to the path; None if it may."""
        directory, name = self.place(path)
        if isinstance(directory, str):
            return directory
        there = directory.get(name)
        if directory is entry:
            return "EINVAL"
        if isinstance(entry, Directory):
            if there is not None and not isinstance(there, Directory):
                return "ENOTDIR"
            return "ENOTEMPTY" if there else None
        return "EISDIR" if isinstance(there, Directory) else None

    def unlink(self, path):
        directory, name = self.place(path)
        if isinstance(directory, str):
            return directory
        if name not in directory:
            return "ENOENT"
        if isinstance(directory[name], Directory):
            return "EISDIR"
        del directory[name]
        return "OK"

    def rmdir(self, path):
        directory, name = self.place(path)
        if isinstance(directory, str):
            return directory
        there = directory.get(name)
        if there is None:
            return "ENOENT"
        if not isinstance(there, Directory):
            return "ENOTDIR"
        if there:
            return "ENOTEMPTY"
        del directory[name]
        return "OK"

    def make(self, path, entry):
        directory, name = self.place(path)
        if isinstance(directory, str):
            return directory
        if name in directory:
            return "EEXIST"
        directory[name] = entry
        return "OK"
