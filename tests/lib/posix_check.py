"""What the cases of posix_cases.py are made of: a registry, expectations, and calls that Python has no name for."""

import contextlib
import ctypes
import errno
import os
import stat
import traceback

# What rowfs does not do, by docs/filesystem.md, and the errno that it says so with.
DIFFERENCES = {
    "link": errno.EPERM,
    "mknod": errno.EPERM,
    "O_TMPFILE": errno.EOPNOTSUPP,
    "fallocate": errno.EOPNOTSUPP,
}

AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
ROOT = os.geteuid() == 0

libc = ctypes.CDLL(None, use_errno=True)
cases = {}
on_rowfs = False  # set by posix_cases.py


def case(function):
    cases[function.__name__] = function
    return function


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"expected {expected!r}, found {found!r}")


def refused(number, call, *arguments, **named):
    """The call fails with this errno, or one of these."""
    numbers = number if isinstance(number, tuple) else (number,)
    try:
        result = call(*arguments, **named)
    except OSError as e:
        if e.errno not in numbers:
            raise AssertionError(f"expected {errno.errorcode[numbers[0]]}, found {errno.errorcode[e.errno]}") from e
        return
    raise AssertionError(f"expected {errno.errorcode[numbers[0]]}, found {result!r}")


def supported(what, call, *arguments):
    """True once the call was made; False where it was refused as DIFFERENCES says."""
    if on_rowfs:
        refused(DIFFERENCES[what], call, *arguments)
        return False
    call(*arguments)
    return True


@contextlib.contextmanager
def opened(name, flags=os.O_RDONLY, mode=0o666):
    fd = os.open(name, flags, mode)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def make(name, content=b""):
    with open(name, "wb") as f:
        f.write(content)


def content(name):
    with open(name, "rb") as f:
        return f.read()


def mode(name):
    return stat.S_IMODE(os.lstat(name).st_mode)


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def renameat2(before, after, flags):
    checked(libc.renameat2(AT_FDCWD, os.fsencode(before), AT_FDCWD, os.fsencode(after), flags))


def fallocate(fd, mode, offset, length):
    checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def utimensat(name, atime, mtime, flags=0):
    times = ((ctypes.c_long * 2) * 2)(atime, mtime)
    checked(libc.utimensat(AT_FDCWD, os.fsencode(name), times, flags))


def child(function, *arguments):
    """Another process, which runs this; its pid, for ended()."""
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return pid


def ended(pid):
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
