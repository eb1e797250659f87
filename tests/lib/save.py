"""Save the text of standard input in one way, and print what each failing call said.

    save.py HOW PATH [PATH2]

HOW is write (truncate and write), insert (create, which must be new), fsync, rename (a temporary file
beside it, renamed onto it), truncate, unlink, move (PATH to PATH2), mkdir, rmdir, link, mknod.
Prints "ok", or for each call that failed its name and errno, in order: "write EINVAL close EINVAL".
"""

import errno
import os
import sys

failures = []


def attempt(name, call, *args):
    try:
        return call(*args)
    except OSError as e:
        failures.append(f"{name} {errno.errorcode[e.errno]}")
        return None


def write(path, flags, text, sync):
    fd = attempt("open", os.open, path, flags, 0o644)
    if fd is None:
        return False
    while text:
        written = attempt("write", os.write, fd, text)
        if written is None:
            break
        text = text[written:]
    if sync:
        attempt("fsync", os.fsync, fd)
    attempt("close", os.close, fd)
    return not failures


def save(how, path, other=None):
    truncating = os.O_WRONLY | os.O_TRUNC
    creating = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    if how == "write":
        write(path, truncating, sys.stdin.buffer.read(), False)
    elif how == "insert":
        write(path, creating, sys.stdin.buffer.read(), False)
    elif how == "fsync":
        # Without truncation nothing is tried before fsync.
        text = sys.stdin.buffer.read()
        fd = attempt("open", os.open, path, os.O_WRONLY)
        attempt("write", os.pwrite, fd, text, 0)
        attempt("ftruncate", os.ftruncate, fd, len(text))
        attempt("fsync", os.fsync, fd)
        attempt("close", os.close, fd)
    elif how == "rename":
        temporary = os.path.join(os.path.dirname(path), "save.tmp")
        if write(temporary, creating, sys.stdin.buffer.read(), False):
            attempt("rename", os.rename, temporary, path)
        if os.path.exists(temporary):
            os.unlink(temporary)
    elif how == "truncate":
        attempt("truncate", os.truncate, path, 0)
    elif how == "unlink":
        attempt("unlink", os.unlink, path)
    elif how == "move":
        attempt("rename", os.rename, path, other)
    elif how == "mkdir":
        attempt("mkdir", os.mkdir, path)
    elif how == "rmdir":
        attempt("rmdir", os.rmdir, path)
    elif how == "link":
        attempt("link", os.link, path, other)
    elif how == "mknod":
        attempt("mknod", os.mkfifo, path)
    else:
        sys.exit(f"save.py: what is {how}?")


save(*sys.argv[1:])
print(" ".join(failures) or "ok")
