"""Cases of posix_cases.py: one file, its bytes, times, mode and owner."""

import contextlib
import errno
import fcntl
import mmap
import os
import stat

from posix_check import (
    AT_SYMLINK_NOFOLLOW, ROOT, UTIME_NOW, UTIME_OMIT, case, child, content, ended, equal, fallocate, make, mode, opened,
    refused, supported, umask, utimensat)

# Opening


@case
def creat_makes_an_empty_file():
    with opened("f", os.O_WRONLY | os.O_CREAT):
        equal(os.stat("f").st_size, 0)
    equal(os.stat("f").st_nlink, 1)


@case
def creat_keeps_what_is_there():
    make("f", b"here")
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        equal(os.read(fd, 10), b"here")


@case
def excl_refuses_what_is_there():
    make("f")
    os.mkdir("d")
    os.symlink("nowhere", "s")
    for name in "f", "d", "s":
        refused(errno.EEXIST, os.open, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    equal(os.path.lexists("nowhere"), False)


@case
def excl_lets_one_of_two_processes_win():
    def race(out):
        for i in range(60):
            with contextlib.suppress(FileExistsError):
                os.close(os.open(f"f{i}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                os.write(out, b"%d\n" % i)

    read, write = os.pipe()
    with open(read, "rb") as won:
        pids = [child(race, write) for _ in range(2)]
        os.close(write)
        equal(sorted(int(line) for line in won), list(range(60)))
    for pid in pids:
        ended(pid)


@case
def creat_goes_through_a_dangling_symlink():
    os.symlink("target", "s")
    make("s", b"there")
    equal(content("target"), b"there")
    equal(os.readlink("s"), "target")


@case
def creat_takes_off_the_umask():
    for mask, asked, expected in (0o022, 0o666, 0o644), (0o077, 0o777, 0o700), (0, 0o640, 0o640), (0, 0, 0):
        with umask(mask), opened(f"f{mask}{asked}", os.O_WRONLY | os.O_CREAT, asked):
            equal(mode(f"f{mask}{asked}"), expected)


@case
def creat_readonly_file_is_written_through_its_handle():
    with opened("f", os.O_WRONLY | os.O_CREAT, 0o444) as fd:
        os.write(fd, b"text")
        os.ftruncate(fd, 2)
    equal(content("f"), b"te")


@case
def trunc_empties_the_same_file():
    make("f", b"content")
    number = os.stat("f").st_ino
    with opened("f", os.O_WRONLY | os.O_TRUNC) as fd:
        equal(os.fstat(fd).st_size, 0)
        equal(os.fstat(fd).st_ino, number)
    equal(content("f"), b"")


@case
def append_goes_to_the_end_wherever_one_has_sought():
    make("f", b"12345")
    with opened("f", os.O_RDWR | os.O_APPEND) as fd:
        os.lseek(fd, 1, os.SEEK_SET)
        os.write(fd, b"67")
        equal(os.lseek(fd, 0, os.SEEK_CUR), 7)
    equal(content("f"), b"1234567")


@case
def append_goes_to_the_end_that_another_has_made():
    with opened("f", os.O_WRONLY | os.O_CREAT | os.O_APPEND) as one, opened("f", os.O_WRONLY | os.O_APPEND) as two:
        os.write(one, b"a" * 5000)
        os.write(two, b"b")
        os.ftruncate(one, 2)
        os.write(two, b"c")
    equal(content("f"), b"aac")


@case
def append_by_two_processes_loses_nothing():
    def append(letter):
        with opened("f", os.O_WRONLY | os.O_APPEND) as fd:
            for i in range(200):
                equal(os.write(fd, b"%c%05d\n" % (letter, i)), 7)

    make("f")
    for pid in [child(append, letter) for letter in b"xy"]:
        ended(pid)
    lines = content("f").split(b"\n")[:-1]
    for letter in b"xy":
        equal([line for line in lines if line[0] == letter], [b"%c%05d" % (letter, i) for i in range(200)])


@case
def nofollow_refuses_a_symlink():
    make("f")
    os.symlink("f", "s")
    refused(errno.ELOOP, os.open, "s", os.O_RDONLY | os.O_NOFOLLOW)
    with opened("f", os.O_RDONLY | os.O_NOFOLLOW):
        pass


@case
def directory_flag_refuses_what_is_none():
    make("f")
    os.mkdir("d")
    os.symlink("d", "s")
    refused(errno.ENOTDIR, os.open, "f", os.O_RDONLY | os.O_DIRECTORY)
    refused(errno.ENOTDIR, os.open, "s", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    for name in "d", "s":
        with opened(name, os.O_RDONLY | os.O_DIRECTORY):
            pass


@case
def path_descriptor_stays_with_its_file():
    make("f", b"text")
    with opened("f", os.O_PATH) as fd:
        refused(errno.EBADF, os.read, fd, 1)
        os.rename("f", "g")
        equal(os.fstat(fd).st_size, 4)
        equal(content(f"/proc/self/fd/{fd}"), b"text")


@case
def path_descriptor_of_a_symlink():
    os.symlink("nowhere", "s")
    with opened("s", os.O_PATH | os.O_NOFOLLOW) as fd:
        equal(stat.S_ISLNK(os.fstat(fd).st_mode), True)
        equal(os.readlink("", dir_fd=fd), "nowhere")


@case
def tmpfile_has_no_name():
    def use():
        with opened(".", os.O_TMPFILE | os.O_RDWR) as fd:
            os.write(fd, b"text")
            equal(os.fstat(fd).st_nlink, 0)

    supported("O_TMPFILE", use)


@case
def open_refuses():
    make("f")
    os.mkdir("d")
    refused(errno.ENOENT, os.open, "missing", os.O_RDONLY)
    refused(errno.ENOENT, os.open, "missing/f", os.O_WRONLY | os.O_CREAT)
    refused(errno.ENOTDIR, os.open, "f/g", os.O_WRONLY | os.O_CREAT)
    refused((errno.ENOTDIR, errno.EISDIR), os.open, "g/", os.O_WRONLY | os.O_CREAT)
    for flags in os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_RDONLY | os.O_CREAT:
        refused(errno.EISDIR, os.open, "d", flags)


@case
def handles_do_what_they_were_opened_for():
    make("f", b"text")
    with opened("f", os.O_RDONLY) as fd:
        refused(errno.EBADF, os.write, fd, b"x")
        refused(errno.EINVAL, os.ftruncate, fd, 1)
    with opened("f", os.O_WRONLY) as fd:
        refused(errno.EBADF, os.read, fd, 1)
    with opened(".", os.O_RDONLY) as fd:
        refused(errno.EISDIR, os.read, fd, 1)


@case
def direct_and_synchronous_writes():
    with mmap.mmap(-1, 8192) as page:
        page.write(b"d" * 8192)
        with opened("f", os.O_RDWR | os.O_CREAT | os.O_DIRECT) as fd:
            equal(os.pwrite(fd, page, 0), 8192)
            equal(os.preadv(fd, [page], 4096), 4096)
        with opened("f", os.O_WRONLY | os.O_DIRECT) as fd:
            equal(os.pwrite(fd, page, 4096), 8192)
    for flag in os.O_SYNC, os.O_DSYNC:
        with opened("f", os.O_WRONLY | flag) as fd:
            os.write(fd, b"s")
    equal(content("f"), b"s" + b"d" * 12287)


@case
def permissions_are_kept():
    make("f", b"text")
    os.mkdir("d")
    make("d/f", b"text")
    if ROOT:
        return
    os.chmod("f", 0o200)
    refused(errno.EACCES, os.open, "f", os.O_RDONLY)
    with opened("f", os.O_WRONLY) as fd:
        os.write(fd, b"TEXT")
    os.chmod("f", 0o400)
    refused(errno.EACCES, os.open, "f", os.O_WRONLY)
    refused(errno.EACCES, os.truncate, "f", 0)
    equal(content("f"), b"TEXT")
    os.chmod("d", 0o300)
    refused(errno.EACCES, os.listdir, "d")
    make("d/g", b"more")
    equal(content("d/g"), b"more")
    os.unlink("d/g")
    os.mkdir("d/e")
    os.rename("d/e", "d/h")
    os.chmod("d", 0o400)
    equal(sorted(os.listdir("d")), ["f", "h"])
    refused(errno.EACCES, os.stat, "d/f")
    os.chmod("d", 0o500)
    equal(content("d/f"), b"text")
    refused(errno.EACCES, os.unlink, "d/f")
    refused(errno.EACCES, os.open, "d/g", os.O_WRONLY | os.O_CREAT)
    refused(errno.EACCES, os.mkdir, "d/g")
    os.chmod("d", 0o700)


@case
def a_handle_outlives_the_permission_it_was_opened_with():
    make("f", b"text")
    with opened("f", os.O_RDWR) as fd:
        os.chmod("f", 0)
        os.pwrite(fd, b"T", 0)
        os.ftruncate(fd, 3)
        equal(os.pread(fd, 9, 0), b"Tex")
        os.ftruncate(fd, 5)
        equal(os.fstat(fd).st_size, 5)
        os.fchmod(fd, 0o600)


# Sizes and bytes


@case
def truncate_grows_with_zeros_and_cuts():
    make("f", b"12345678")
    os.truncate("f", 4)
    equal(content("f"), b"1234")
    os.truncate("f", 10)
    equal(content("f"), b"1234" + b"\0" * 6)
    with opened("f", os.O_RDWR) as fd:
        os.lseek(fd, 3, os.SEEK_SET)
        os.ftruncate(fd, 2)
        equal(os.lseek(fd, 0, os.SEEK_CUR), 3)
        equal(os.read(fd, 9), b"")
        os.write(fd, b"x")
    equal(content("f"), b"12\0x")


@case
def truncate_to_the_same_size_changes_nothing_else():
    make("f", b"text")
    os.truncate("f", 4)
    equal(content("f"), b"text")


@case
def truncate_refuses():
    os.mkdir("d")
    os.symlink("nowhere", "s")
    make("f")
    refused(errno.EISDIR, os.truncate, "d", 0)
    refused(errno.ENOENT, os.truncate, "missing", 0)
    refused(errno.ENOENT, os.truncate, "s", 0)
    refused(errno.EINVAL, os.truncate, "f", -1)


@case
def holes_read_as_zeros():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"end", 1 << 20)
        equal(os.fstat(fd).st_size, (1 << 20) + 3)
        equal(os.pread(fd, 4096, 300000), bytes(4096))
        equal(os.pread(fd, 9, (1 << 20) - 3), b"\0\0\0end")
        data = os.lseek(fd, 0, os.SEEK_DATA)
        equal(0 <= data <= 1 << 20, True)
        equal(os.lseek(fd, 1 << 20, os.SEEK_DATA), 1 << 20)
        equal(os.lseek(fd, 1 << 20, os.SEEK_HOLE), (1 << 20) + 3)
        refused(errno.ENXIO, os.lseek, fd, (1 << 20) + 3, os.SEEK_DATA)
        refused(errno.ENXIO, os.lseek, fd, (1 << 20) + 3, os.SEEK_HOLE)


@case
def space_is_allocated():
    make("f", b"text")
    with opened("f", os.O_RDWR) as fd:
        os.posix_fallocate(fd, 0, 9000)
        equal(os.fstat(fd).st_size, 9000)
        if supported("fallocate", fallocate, fd, 0, 0, 20000):
            equal(os.fstat(fd).st_size, 20000)
        equal(os.pread(fd, 6, 0), b"text\0\0")


@case
def read_and_write_beyond_the_end():
    make("f", b"1")
    with opened("f", os.O_RDWR) as fd:
        equal(os.pread(fd, 9, 100), b"")
        equal(os.pwrite(fd, b"2", 5), 1)
        equal(os.pwrite(fd, b"", 50), 0)
        equal(os.lseek(fd, 0, os.SEEK_CUR), 0)
        os.lseek(fd, 9, os.SEEK_SET)
        equal(os.fstat(fd).st_size, 6)
        equal(os.writev(fd, [b"3", b"45"]), 3)
        refused(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)
    equal(content("f"), b"1\0\0\0\x002\0\0\x00345")


@case
def large_writes_and_every_alignment():
    with opened("f", os.O_RDWR | os.O_CREAT) as fd:
        expected = bytearray()
        for i, length in enumerate((1, 4095, 4096, 4097, 131072, 131073, 1 << 20, 3)):
            expected += bytes([65 + i]) * length
            equal(os.write(fd, expected[-length:]), length)
        os.pwrite(fd, b"!" * 5000, 4090)
        expected[4090:9090] = b"!" * 5000
        equal(os.pread(fd, len(expected) + 1, 0), bytes(expected))


@case
def copying_within_the_kernel():
    make("f", b"0123456789" * 1000)
    with opened("f") as source, opened("g", os.O_RDWR | os.O_CREAT) as target:
        equal(os.copy_file_range(source, target, 5000, 10, 0), 5000)
        os.lseek(target, 5000, os.SEEK_SET)
        equal(os.sendfile(target, source, 0, 3), 3)
    equal(content("g"), b"0123456789" * 500 + b"012")


@case
def mapped_shared_pages_are_the_file():
    make("f", b"a" * 10000)
    with opened("f", os.O_RDWR) as fd:
        with mmap.mmap(fd, 10000) as pages:
            pages[5000:5004] = b"MMAP"
            equal(os.pread(fd, 6, 4999), b"aMMAPa")
            os.pwrite(fd, b"WRITE", 9000)
            equal(pages[9000:9005], b"WRITE")
            pages.flush()
        with mmap.mmap(fd, 10000, prot=mmap.PROT_READ) as pages:
            equal(pages[5000:5004], b"MMAP")
    equal(content("f"), b"a" * 5000 + b"MMAP" + b"a" * 3996 + b"WRITE" + b"a" * 995)


@case
def mapped_pages_outlive_close_and_unlink():
    make("f", b"a" * 5000)
    with opened("f", os.O_RDWR) as fd:
        pages = mmap.mmap(fd, 5000)
    pages[0:1] = b"b"
    os.rename("f", "g")
    pages[1:2] = b"c"
    equal(content("g")[:3], b"bca")
    os.unlink("g")
    pages[2:3] = b"d"
    equal((pages[0:4], pages[4999:]), (b"bcda", b"a"))
    pages.close()


@case
def mapped_private_pages_are_not_the_file():
    make("f", b"a" * 10000)
    with opened("f") as fd:
        with mmap.mmap(fd, 10000, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as pages:
            pages[0:4] = b"MINE"
    equal(content("f"), b"a" * 10000)


@case
def fsync_of_whatever_is_open():
    os.mkdir("d")
    for name, flags in ("f", os.O_WRONLY | os.O_CREAT), ("f", os.O_RDONLY), ("d", os.O_RDONLY), (".", os.O_RDONLY):
        with opened(name, flags) as fd:
            os.fsync(fd)
            os.fdatasync(fd)


@case
def locks_exclude_other_handles_and_processes():
    make("f", b"text")
    with opened("f", os.O_RDWR) as one, opened("f", os.O_RDWR) as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        refused(errno.EWOULDBLOCK, fcntl.flock, two, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_SH)
        fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with opened("f", os.O_RDWR) as fd:
        def other():
            with opened("f", os.O_RDWR) as own:
                refused((errno.EACCES, errno.EAGAIN), fcntl.lockf, own, fcntl.LOCK_EX | fcntl.LOCK_NB, 2, 1)
                fcntl.lockf(own, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 3)

        fcntl.lockf(fd, fcntl.LOCK_EX, 2, 0)
        ended(child(other))
        fcntl.lockf(fd, fcntl.LOCK_UN)
        ended(child(lambda: fcntl.lockf(os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)))


# Times, modes, owners


@case
def times_are_set_to_the_nanosecond():
    make("f")
    os.mkdir("d")
    for name in "f", "d":
        for seconds in 0, 1, 1000000000, 4000000000, -86400:
            utimensat(name, (seconds, 123456789), (seconds + 5, 999999999))
            found = os.stat(name)
            equal((found.st_atime_ns, found.st_mtime_ns),
                  (seconds * 10**9 + 123456789, (seconds + 5) * 10**9 + 999999999))


@case
def times_now_and_left_alone():
    make("f")
    utimensat("f", (1, 1), (2, 2))
    utimensat("f", (0, UTIME_OMIT), (3, 3))
    equal((os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns), (10**9 + 1, 3 * 10**9 + 3))
    utimensat("f", (4, 4), (0, UTIME_OMIT))
    utimensat("f", (0, UTIME_OMIT), (0, UTIME_OMIT))
    equal((os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns), (4 * 10**9 + 4, 3 * 10**9 + 3))
    utimensat("f", (0, UTIME_OMIT), (0, UTIME_NOW))
    equal((os.stat("f").st_atime_ns, os.stat("f").st_mtime > 10**9), (4 * 10**9 + 4, True))
    utimensat("f", (5, 5), (6, 6))
    os.utime("f")
    equal((os.stat("f").st_atime > 10**9, os.stat("f").st_mtime > 10**9), (True, True))
    refused(errno.EINVAL, utimensat, "f", (0, 10**9), (0, 0))
    refused(errno.ENOENT, os.utime, "missing")


@case
def times_of_a_symlink_are_its_own():
    make("f")
    os.symlink("f", "s")
    os.symlink("nowhere", "t")
    utimensat("f", (1, 0), (1, 0))
    for name in "s", "t":
        utimensat(name, (7, 7), (8, 8), AT_SYMLINK_NOFOLLOW)
        equal(os.lstat(name).st_mtime_ns, 8 * 10**9 + 8)
    equal(os.stat("f").st_mtime, 1)
    utimensat("s", (9, 0), (9, 0))
    equal((os.stat("f").st_mtime, os.lstat("s").st_mtime_ns), (9, 8 * 10**9 + 8))


@case
def times_follow_what_is_done():
    make("f", b"text")
    os.mkdir("d")

    def moves(name, act, moved=True):
        utimensat(name, (1, 0), (1, 0))
        act()
        equal(os.stat(name).st_mtime != 1, moved)

    def write():
        with opened("f", os.O_WRONLY) as fd:
            os.write(fd, b"x")

    moves("f", write)
    moves("f", lambda: os.truncate("f", 2))
    moves("f", lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC)))
    moves("f", lambda: content("f"), False)
    moves("f", lambda: os.chmod("f", 0o600), False)
    moves("f", lambda: os.rename("f", "g") or os.rename("g", "f"), False)
    moves("d", lambda: make("d/f"))
    moves("d", lambda: make("d/f", b"more"), False)
    moves("d", lambda: os.rename("d/f", "d/g"))
    moves("d", lambda: os.unlink("d/g"))
    moves("d", lambda: os.mkdir("d/e"))
    moves("d", lambda: make("d/e/f"), False)
    moves("d", lambda: os.symlink("x", "d/s"))
    changed = os.stat("f").st_ctime_ns
    os.chmod("f", 0o640)
    equal(os.stat("f").st_ctime_ns >= changed, True)


@case
def modes_are_what_was_asked_for():
    make("f")
    os.mkdir("d")
    for bits in 0o777, 0o640, 0o400, 0o4755, 0o1600, 0:
        os.chmod("f", bits)
        equal(mode("f"), bits)
    for bits in 0o1777, 0o2775, 0o755:
        os.chmod("d", bits)
        equal(mode("d"), bits)
    os.symlink("f", "s")
    os.chmod("s", 0o604)
    equal(mode("f"), 0o604)
    with opened("f", os.O_RDWR) as fd:
        os.fchmod(fd, 0o611)
    equal(mode("f"), 0o611)
    refused(errno.ENOENT, os.chmod, "missing", 0o600)


@case
def modes_of_new_directories():
    for mask, asked, expected in (0, 0o777, 0o777), (0o022, 0o777, 0o755), (0o077, 0o755, 0o700), \
            (0, 0o1777, 0o1777), (0, 0o705, 0o705), (0o027, 0o777, 0o750):
        with umask(mask):
            os.mkdir(f"d{mask}{asked}", asked)
        equal(mode(f"d{mask}{asked}"), expected)


@case
def what_is_made_belongs_to_its_maker():
    make("f")
    os.mkdir("d")
    os.symlink("x", "s")
    for name in "f", "d", "s":
        equal((os.lstat(name).st_uid, os.lstat(name).st_gid), (os.geteuid(), os.getegid()))


@case
def what_is_made_in_a_setgid_directory_has_its_group():
    os.mkdir("d")
    if ROOT:
        os.chown("d", -1, 1234)
    os.chmod("d", 0o2777)
    make("d/f")
    os.mkdir("d/e")
    os.symlink("x", "d/s")
    for name in "d/f", "d/e", "d/s":
        equal(os.lstat(name).st_gid, os.stat("d").st_gid)
    equal((mode("d/e") & stat.S_ISGID, mode("d/f") & stat.S_ISGID), (stat.S_ISGID, 0))


@case
def owners():
    make("f")
    os.mkdir("d")
    os.symlink("f", "s")
    if not ROOT:
        refused(errno.EPERM, os.chown, "f", 0, 0)
        os.chown("f", -1, -1)
        return
    os.chown("f", 123, 456)
    os.chown("f", -1, 789)
    equal((os.stat("f").st_uid, os.stat("f").st_gid), (123, 789))
    os.chown("d", 5, -1)
    equal((os.stat("d").st_uid, os.stat("d").st_gid), (5, os.getegid()))
    os.lchown("s", 11, 12)
    equal((os.lstat("s").st_uid, os.stat("f").st_uid), (11, 123))
    os.chmod("f", 0o6755)
    os.chown("f", 1, 1)
    equal(mode("f"), 0o755)
