"""Cases of posix_cases.py: names, and the directories that have them."""

import contextlib
import errno
import mmap
import os
import select
import shutil
import stat

from posix_check import (
    RENAME_EXCHANGE, RENAME_NOREPLACE, case, child, content, ended, equal, make, opened, refused, renameat2,
    supported)

# Renaming


@case
def rename_keeps_file_and_content():
    make("f", b"text")
    before = os.stat("f")
    os.rename("f", "g")
    refused(errno.ENOENT, os.stat, "f")
    equal((os.stat("g").st_ino, os.stat("g").st_mtime_ns, content("g")), (before.st_ino, before.st_mtime_ns, b"text"))


@case
def rename_replaces_a_file():
    make("f", b"from")
    make("g", b"to")
    number = os.stat("f").st_ino
    os.rename("f", "g")
    equal((os.stat("g").st_ino, content("g")), (number, b"from"))
    refused(errno.ENOENT, os.stat, "f")


@case
def rename_leaves_the_replaced_file_to_its_handles():
    make("f", b"from")
    make("g", b"replaced")
    with opened("g", os.O_RDWR) as fd:
        os.rename("f", "g")
        equal(os.fstat(fd).st_nlink, 0)
        equal(os.read(fd, 20), b"replaced")
        os.write(fd, b"!")
        equal(os.fstat(fd).st_size, 9)
    equal(content("g"), b"from")


@case
def rename_goes_on_under_an_open_handle():
    make("f", b"12")
    with opened("f", os.O_RDWR | os.O_APPEND) as fd:
        os.rename("f", "g")
        os.write(fd, b"3")
        equal(os.fstat(fd).st_size, 3)
        equal(os.stat("g").st_size, 3)
        make("f", b"another")
        os.write(fd, b"4")
    equal((content("g"), content("f")), (b"1234", b"another"))


@case
def rename_onto_itself_does_nothing():
    make("f", b"text")
    os.mkdir("d")
    os.rename("f", "f")
    os.rename("d", "d")
    equal(content("f"), b"text")
    equal(os.path.isdir("d"), True)


@case
def rename_replaces_an_empty_directory():
    os.mkdir("d")
    make("d/f", b"text")
    os.mkdir("e")
    number = os.stat("d").st_ino
    os.rename("d", "e")
    equal(os.stat("e").st_ino, number)
    equal(content("e/f"), b"text")
    refused(errno.ENOENT, os.stat, "d")


@case
def rename_refuses():
    make("f", b"f")
    for name in "d", "e", "e/in":
        os.mkdir(name)
    refused((errno.ENOTEMPTY, errno.EEXIST), os.rename, "d", "e")
    refused((errno.ENOTEMPTY, errno.EEXIST), os.rename, "e/in", "e")
    refused(errno.ENOTDIR, os.rename, "d", "f")
    refused(errno.EISDIR, os.rename, "f", "d")
    refused(errno.EINVAL, os.rename, "e", "e/in/below")
    refused(errno.EINVAL, os.rename, "d", "d/below")
    refused(errno.ENOENT, os.rename, "missing", "g")
    refused(errno.ENOENT, os.rename, "f", "missing/g")
    refused(errno.ENOENT, os.rename, "f", "")
    refused(errno.ENOTDIR, os.rename, "f", "f/g")
    refused(errno.ENOTDIR, os.rename, "f", "g/")
    refused((errno.EINVAL, errno.EBUSY), os.rename, "d/.", "g")
    refused((errno.EINVAL, errno.EBUSY, errno.ENOTEMPTY), os.rename, "f", "d/..")
    equal(content("f"), b"f")
    equal(os.listdir("e"), ["in"])


@case
def rename_noreplace():
    make("f", b"f")
    os.mkdir("d")
    os.symlink("nowhere", "s")
    for name in "f", "d", "s":
        refused(errno.EEXIST, renameat2, "f", name, RENAME_NOREPLACE)
    renameat2("f", "g", RENAME_NOREPLACE)
    renameat2("d", "e", RENAME_NOREPLACE)
    equal((content("g"), os.path.isdir("e")), (b"f", True))


@case
def rename_exchange():
    make("f", b"f")
    make("g", b"ggg")
    os.mkdir("d")
    make("d/in", b"in")
    with opened("f") as f, opened("g") as g:
        renameat2("f", "g", RENAME_EXCHANGE)
        equal((content("f"), content("g")), (b"ggg", b"f"))
        equal((os.stat("f").st_ino, os.stat("g").st_ino), (os.fstat(g).st_ino, os.fstat(f).st_ino))
        equal((os.fstat(f).st_nlink, os.read(f, 9), os.read(g, 9)), (1, b"f", b"ggg"))
    renameat2("f", "d/in", RENAME_EXCHANGE)
    equal((content("f"), content("d/in")), (b"in", b"ggg"))
    renameat2("d", "g", RENAME_EXCHANGE)
    equal((content("d"), content("g/in")), (b"f", b"ggg"))
    make("g/more", b"more")
    equal(sorted(os.listdir("g")), ["in", "more"])
    os.unlink("d")
    refused(errno.ENOENT, os.stat, "d")
    refused(errno.ENOENT, renameat2, "g", "missing", RENAME_EXCHANGE)
    refused(errno.ENOENT, renameat2, "missing", "g", RENAME_EXCHANGE)
    refused(errno.EINVAL, renameat2, "g", "g/more", RENAME_EXCHANGE)
    refused(errno.EINVAL, renameat2, "g", "f", RENAME_EXCHANGE | RENAME_NOREPLACE)


@case
def rename_moves_a_symlink_itself():
    make("f", b"f")
    make("g", b"g")
    os.symlink("f", "s")
    os.rename("s", "t")
    equal((os.readlink("t"), content("f")), ("f", b"f"))
    os.rename("g", "t")
    equal((content("t"), content("f"), os.path.islink("t")), (b"g", b"f", False))


@case
def rename_between_directories():
    for name in "d", "e", "d/sub":
        os.mkdir(name)
    make("d/sub/f", b"text")
    os.rename("d/sub", "e/sub")
    equal((os.listdir("d"), os.listdir("e"), content("e/sub/f")), ([], ["sub"], b"text"))
    os.rename("e/sub/f", "f")
    os.rename("f", "d/f")
    equal((content("d/f"), os.listdir("e/sub")), (b"text", []))


@case
def rename_of_a_directory_with_open_files_below():
    os.makedirs("d/sub")
    make("d/sub/f", b"12")
    here = os.open(".", os.O_RDONLY)
    with opened("d/sub/f", os.O_RDWR | os.O_APPEND) as fd, opened("d/sub") as sub:
        os.chdir("d/sub")
        os.rename("../../d", "../../e")
        os.write(fd, b"3")
        equal(content("f"), b"123")
        make("g")
        equal(sorted(os.listdir(sub)), ["f", "g"])
        equal(os.path.basename(os.path.dirname(os.getcwd())), "e")
        os.fchdir(here)
    os.close(here)
    equal(content("e/sub/f"), b"123")


@case
def rename_is_seen_as_a_whole():
    def replace():
        for i in range(200):
            make("next", b"%d" % i * 500)
            os.rename("next", "f")

    make("f", b"9" * 500)
    pid = child(replace)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        text = content("f")
        equal(len(text) % 500, 0)
        equal(text, text[:len(text) // 500] * 500)
    equal(content("f"), b"199" * 500)


# Links


@case
def link_makes_a_second_name():
    make("f", b"text")
    if supported("link", os.link, "f", "g"):
        equal(os.stat("g").st_nlink, 2)


@case
def mknod_makes_a_file():
    if supported("mknod", os.mknod, "f", stat.S_IFREG | 0o600):
        equal(os.stat("f").st_size, 0)


@case
def symlink_need_not_lead_anywhere():
    os.symlink("nowhere/at all", "s")
    equal(os.readlink("s"), "nowhere/at all")
    link = os.lstat("s")
    equal((stat.S_ISLNK(link.st_mode), link.st_size, link.st_nlink), (True, len("nowhere/at all"), 1))
    refused(errno.ENOENT, os.stat, "s")
    refused(errno.ENOENT, os.open, "s", os.O_RDONLY)
    os.unlink("s")
    equal(os.path.lexists("s"), False)


@case
def symlink_loops():
    os.symlink("b", "a")
    os.symlink("a", "b")
    os.symlink("self", "self")
    for name in "a", "self", "self/f":
        refused(errno.ELOOP, os.stat, name)
        refused(errno.ELOOP, os.open, name, os.O_WRONLY | os.O_CREAT)


@case
def symlink_of_every_length():
    for length in 1, 59, 60, 255, 1023, 4094, 4095:
        os.symlink("x" * length, f"s{length}")
        equal(os.readlink(f"s{length}"), "x" * length)
        equal(os.lstat(f"s{length}").st_size, length)
    refused(errno.ENAMETOOLONG, os.symlink, "x" * 4096, "s")
    refused(errno.ENOENT, os.symlink, "", "s")


@case
def symlink_leads_into_directories():
    os.makedirs("d/e")
    os.symlink("d/e", "s")
    make("s/f", b"text")
    equal(content("d/e/f"), b"text")
    os.symlink("../../d", "d/e/up")
    equal(content("s/up/e/f"), b"text")
    refused(errno.ENOTDIR, os.rmdir, "s")
    os.unlink("s")
    equal(content("d/e/f"), b"text")


@case
def symlink_and_readlink_refuse():
    make("f")
    os.mkdir("d")
    os.symlink("x", "s")
    for name in "f", "d", "s":
        refused(errno.EEXIST, os.symlink, "y", name)
    refused(errno.ENOENT, os.symlink, "y", "missing/s")
    refused(errno.EINVAL, os.readlink, "f")
    refused(errno.EINVAL, os.readlink, "d")
    refused(errno.ENOENT, os.readlink, "missing")


# Removing


@case
def unlink_leaves_an_open_file_whole():
    make("f", b"content")
    with opened("f", os.O_RDWR) as fd:
        number = os.fstat(fd).st_ino
        os.unlink("f")
        refused(errno.ENOENT, os.stat, "f")
        equal((os.fstat(fd).st_nlink, os.fstat(fd).st_ino, os.fstat(fd).st_size), (0, number, 7))
        equal(os.read(fd, 20), b"content")
        os.write(fd, b"more")
        equal(os.fstat(fd).st_size, 11)
        os.ftruncate(fd, 3)
        equal(os.pread(fd, 20, 0), b"con")
        os.ftruncate(fd, 5)
        equal(os.pread(fd, 20, 0), b"con\0\0")
        os.fchmod(fd, 0o640)
        equal(stat.S_IMODE(os.fstat(fd).st_mode), 0o640)
        os.fsync(fd)
        with mmap.mmap(fd, 5) as pages:
            pages[0:3] = b"CON"
        with opened(f"/proc/self/fd/{fd}") as again:
            equal(os.read(again, 20), b"CON\0\0")
        make("f", b"another")
        equal(os.stat("f").st_ino == number, False)
        equal(os.pread(fd, 20, 0), b"CON\0\0")
    equal(content("f"), b"another")


@case
def unlink_leaves_other_handles_alone():
    make("f", b"text")
    with opened("f") as one, opened("f", os.O_WRONLY) as two:
        os.unlink("f")
        os.write(two, b"TE")
        equal(os.read(one, 9), b"TExt")


@case
def unlink_refuses():
    make("f")
    os.mkdir("d")
    refused(errno.EISDIR, os.unlink, "d")
    refused(errno.ENOENT, os.unlink, "missing")
    refused(errno.ENOTDIR, os.unlink, "f/g")
    refused(errno.ENOTDIR, os.unlink, "f/")


@case
def unlink_and_create_under_the_eyes_of_others():
    def look(end):
        while not select.select([end], [], [], 0)[0]:
            with contextlib.suppress(FileNotFoundError):
                os.stat("f")

    end, stop = os.pipe()
    pids = [child(look, end) for _ in range(2)]
    for i in range(200):
        make("f", b"%d" % i)
        equal(content("f"), b"%d" % i)
        os.rename("f", "g")
        make("f", b"second %d" % i)
        equal((content("g"), content("f")), (b"%d" % i, b"second %d" % i))
        os.unlink("f")
        refused(errno.ENOENT, os.stat, "f")
    os.write(stop, b"x")
    for pid in pids:
        ended(pid)
    os.close(end)
    os.close(stop)


@case
def rmdir_refuses():
    os.makedirs("d/e")
    make("f")
    refused((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "d")
    refused(errno.ENOTDIR, os.rmdir, "f")
    refused(errno.ENOENT, os.rmdir, "missing")
    refused(errno.EINVAL, os.rmdir, "d/.")
    refused((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "d/e/..")
    os.rmdir("d/e")
    os.rmdir("d")
    equal(os.path.exists("d"), False)


@case
def rmdir_of_an_open_directory():
    os.mkdir("d")
    with opened("d") as fd:
        os.rmdir("d")
        equal(stat.S_ISDIR(os.fstat(fd).st_mode), True)
        refused(errno.ENOENT, os.open, "f", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
        refused(errno.ENOENT, os.mkdir, "e", dir_fd=fd)
        refused(errno.ENOENT, os.stat, "f", dir_fd=fd)
        os.mkdir("d")
        make("d/f")
        refused(errno.ENOENT, os.stat, "f", dir_fd=fd)


# Directories and names


@case
def mkdir_refuses():
    make("f")
    os.mkdir("d")
    os.symlink("nowhere", "s")
    for name in "f", "d", "s", ".", "d/..":
        refused(errno.EEXIST, os.mkdir, name)
    refused(errno.ENOENT, os.mkdir, "missing/d")
    refused(errno.ENOTDIR, os.mkdir, "f/d")


@case
def directories_nest():
    here = os.getcwd()
    deep = "/".join(["deep"] * 30)
    os.makedirs(deep)
    make(deep + "/f", b"text")
    equal(sum(len(files) for _, _, files in os.walk("deep")), 1)
    os.chdir(deep)
    equal(os.getcwd(), f"{here}/{deep}")
    os.chdir(here)
    shutil.rmtree("deep")
    equal(os.path.exists("deep"), False)


@case
def directories_have_the_links_that_walkers_count():
    os.makedirs("d/e")
    os.makedirs("d/f")
    make("d/g")
    # 2 and one for each directory in it; or 1, which says that they are not counted.
    equal(os.stat("d").st_nlink in (4, 1), True)


@case
def entries_say_type_and_number():
    make("f")
    os.mkdir("d")
    os.symlink("f", "s")
    found = {entry.name: entry for entry in os.scandir(".")}
    for name in "f", "d", "s":
        entry = found[name]
        equal((entry.is_file(follow_symlinks=False), entry.is_dir(follow_symlinks=False), entry.is_symlink()),
              (name == "f", name == "d", name == "s"))
        equal(entry.inode(), os.lstat(name).st_ino)


@case
def listing_changes_while_it_is_read():
    os.mkdir("d")
    for i in range(600):
        make(f"d/name of some length, so that a listing is many pages long {i:04}")
    stays = set(sorted(os.listdir("d"))[::2])
    seen = []
    with os.scandir("d") as entries:
        for number, entry in enumerate(entries):
            seen.append(entry.name)
            if number == 5:
                for name in set(os.listdir("d")) - stays:
                    os.unlink("d/" + name)
                for i in range(100):
                    make(f"d/later {i}")
    equal(len(seen), len(set(seen)))
    equal(stays - set(seen), set())
    equal(set(os.listdir("d")), stays | {f"later {i}" for i in range(100)})


@case
def listing_is_read_again_from_the_beginning():
    os.mkdir("d")
    make("d/a")
    with opened("d") as fd:
        equal(os.listdir(fd), ["a"])
        make("d/b")
        os.unlink("d/a")
        equal(os.listdir(fd), ["b"])


@case
def names_of_any_bytes():
    names = [b"a b", b"-x", b"\xff\xfe", b"new\nline", b"\\", b"%41", b"'\"$", "ä€😀".encode(), b"\x01\x7f", b"a,b",
             b"UPPER", b"upper", b"..x", b"...", b"tail ", b"dot."]
    for name in names:
        make(name, name)
    for name in names:
        equal(content(name), name)
    equal(set(names) - set(os.listdir(b".")), set())
    for name in names:
        os.rename(name, b"d" + name)
        os.unlink(b"d" + name)
        refused(errno.ENOENT, os.stat, name)


@case
def names_of_255_bytes():
    longest, other = "n" * 255, "ä" * 127 + "m"
    make(longest, b"text")
    equal(longest in os.listdir("."), True)
    os.rename(longest, other)
    equal(content(other), b"text")
    os.unlink(other)
    os.mkdir(longest)
    make(f"{longest}/{other}", b"in")
    equal(content(f"{longest}/{other}"), b"in")
    os.symlink("x", other)
    equal(os.readlink(other), "x")


@case
def names_of_more_bytes_are_refused():
    make("f")
    for length in 256, 300, 1024, 1100, 4000:
        name = "n" * length
        refused(errno.ENAMETOOLONG, os.open, name, os.O_WRONLY | os.O_CREAT)
        refused(errno.ENAMETOOLONG, os.mkdir, name)
        refused(errno.ENAMETOOLONG, os.symlink, "x", name)
        refused(errno.ENAMETOOLONG, os.rename, "f", name)
        refused(errno.ENAMETOOLONG, os.stat, name)
        refused(errno.ENAMETOOLONG, os.unlink, name)
        refused(errno.ENAMETOOLONG, os.rmdir, name)
    refused(errno.ENAMETOOLONG, os.stat, "./" * 2048 + "f")


@case
def pathconf_says_the_same():
    equal(os.pathconf(".", "PC_NAME_MAX"), 255)
    equal(os.statvfs(".").f_bavail > 0, True)
