"""The model's own PostgreSQL and mount, and the programs that use it, in a folder below /var/tmp.

There are two programs, a and b, since what a save is compared with is a matter of the program that saves; and this
process, which only looks.
"""

import ctypes
import errno
import multiprocessing
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from race_world import Trouble, is_mounted, shell

libc = ctypes.CDLL(None, use_errno=True)

SETTINGS = ("lc_messages = 'C'", "synchronous_commit = off", "log_line_prefix = '%m [%p] %a '")


class Sql:
    """PostgreSQL's protocol, as far as one needs it who is trusted on a socket and asks simple questions."""

    def __init__(self, folder, database):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{folder}/.s.PGSQL.5432")
        self.stream = self.socket.makefile("rb")
        words = f"user\0postgres\0database\0{database}\0client_encoding\0UTF8\0\0".encode()
        self.socket.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
        self.answer()

    def answer(self):
        """Rows, as lists of text or None; raises Failed with what the server says otherwise."""
        rows, failure = [], None
        while True:
            kind, length = struct.unpack("!cI", self.stream.read(5))
            body = self.stream.read(length - 4)
            if kind == b"D":
                rows.append(self.cells(body))
            elif kind == b"E":
                failure = {field[:1]: field[1:] for field in body.decode().split("\0") if field}
            elif kind == b"Z":
                break
        if failure:
            raise Failed(f"{failure['C']}: {failure['M']}")
        return rows

    @staticmethod
    def cells(body):
        cells, at = [], 2
        for _ in range(struct.unpack_from("!H", body)[0]):
            length, at = struct.unpack_from("!i", body, at)[0], at + 4
            cells.append(None if length < 0 else body[at:at + length].decode())
            at += max(length, 0)
        return cells

    def run(self, statement):
        text = statement.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
        return self.answer()

    def close(self):
        self.socket.close()


class Failed(Exception):
    pass


def literal(value):
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


class Program:
    """A process that makes the calls that it is told to make, and says what they returned."""

    def __init__(self, place, others):
        self.pipe, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for other in others:
                other.pipe.close()
            self.pipe.close()
            serve(place, theirs)
            os._exit(0)
        theirs.close()

    def call(self, *words):
        self.pipe.send(words)
        return self.pipe.recv()

    def end(self):
        self.pipe.close()
        os.waitpid(self.pid, 0)


def serve(place, pipe):
    calls = Calls(place)
    while True:
        try:
            verb, *words = pipe.recv()
        except EOFError:
            return
        try:
            answer = getattr(calls, verb)(*words) or "OK"
        except OSError as e:
            answer = errno.errorcode.get(e.errno, str(e.errno))
        pipe.send(answer)


class Calls:
    def __init__(self, place):
        self.place = place
        self.files = {}

    def path(self, path):
        return f"{self.place}/{path}"

    def open(self, number, path, words):
        flags = 0
        for word in words.split("|"):
            flags |= getattr(os, "O_" + word)
        self.files[number] = os.open(self.path(path), flags, 0o644)

    def write(self, number, offset, data):
        """All of it, as programs do: the kernel may send it in pieces, and tell of those that went well first. Of one that
        fails, the size that the file has then tells how much was sent."""
        data, file = data.encode(), self.files[number]
        try:
            while data:
                done = os.pwrite(file, data, offset)
                data, offset = data[done:], offset + done
        except OSError as e:
            return f"{errno.errorcode[e.errno]} {os.fstat(file).st_size}"
        return None

    def ftruncate(self, number, size):
        os.ftruncate(self.files[number], size)

    def fsync(self, number):
        os.fsync(self.files[number])

    def close(self, number):
        os.close(self.files.pop(number))

    def truncate(self, path, size):
        os.truncate(self.path(path), size)

    def rename(self, path, to, word):
        flags = 1 if word == "NOREPLACE" else 0
        if libc.renameat2(-100, os.fsencode(self.path(path)), -100, os.fsencode(self.path(to)), flags) < 0:
            raise OSError(ctypes.get_errno(), "rename")

    def unlink(self, path):
        os.unlink(self.path(path))

    def mkdir(self, path):
        os.mkdir(self.path(path))

    def rmdir(self, path):
        os.rmdir(self.path(path))

    def symlink(self, target, path):
        os.symlink(target, self.path(path))

    def utime(self, path):
        os.utime(self.path(path))

    def shown(self, numbers):
        """Of each handle its size, and its bytes if it may read them."""
        return {number: self.show(self.files[number], reads) for number, reads in numbers}

    @staticmethod
    def show(fd, reads):
        size = os.fstat(fd).st_size
        return size, os.pread(fd, size + 4096, 0) if reads else None


class World:
    """Servers and a mount, with a table of rows, until end()."""

    def __init__(self, schema, grace):
        self.program = os.environ.get("ROWFS", os.path.join(os.path.dirname(os.path.realpath(__file__)),
                                                            "../../build/rowfs"))
        if not os.access(self.program, os.X_OK):
            raise Trouble(f"no program to test: {self.program}")
        self.folder = tempfile.mkdtemp(prefix="rowfs-model.", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.grace, self.process, self.connections, self.sql = grace, None, None, None
        self.postgres, self.mountpoint, self.state = (f"{self.folder}/{name}" for name in ("postgres", "mnt", "state"))
        self.place = f"{self.mountpoint}/item"
        self.environment = dict(os.environ, PGCONNECT_TIMEOUT="10", LC_ALL="C.UTF-8",
                                ASAN_OPTIONS=f"log_path={self.folder}/asan",
                                UBSAN_OPTIONS=f"log_path={self.folder}/asan:halt_on_error=1:print_stacktrace=1")
        try:
            self.start(schema)
        except BaseException:
            self.end()
            raise

    def start(self, schema):
        os.mkdir(self.mountpoint)
        with open(f"{self.folder}/log", "xb"):
            pass
        shell("cluster_create", self.postgres)
        shell("cluster_configure", self.postgres, *SETTINGS)
        shell("cluster_start", self.postgres)
        self.sql = Sql(self.postgres, "postgres")
        self.sql.run(schema)
        connections = f"{self.folder}/connections"
        os.mkdir(connections)
        done = subprocess.run(["mount", "-t", "fusectl", "none", connections], check=False, stderr=subprocess.DEVNULL)
        self.connections = connections if done.returncode == 0 else None

    def mount(self):
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, f"host={self.postgres} user=postgres dbname=postgres", self.mountpoint, "-o",
                 f"schema=public,consistency=strong,detach_grace={self.grace},state_dir={self.state}", "-f"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        deadline = time.monotonic() + 60
        while not is_mounted(self.mountpoint):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Trouble(f"it does not mount: {self.log()[-1500:]}")
            time.sleep(0.01)

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def unmount(self):
        """Returns what was wrong with its end."""
        if not self.process:
            return None
        shell("unmount", self.mountpoint, check=False)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "none: it hung"
        self.process = None
        reports = [name for name in os.listdir(self.folder) if name.startswith("asan.")]
        if status == 0 and not reports:
            return None
        for name in reports:
            with open(f"{self.folder}/{name}", encoding="utf-8", errors="replace") as f:
                return f.read()
        return f"it ended with status {status}: {self.log()[-1500:]}"

    def kill(self):
        """kill -9, with the mount's remains."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None
        subprocess.run(["fusermount3", "-q", "-u", "-z", self.mountpoint], check=False, stderr=subprocess.DEVNULL)

    def clear(self):
        shutil.rmtree(self.state, ignore_errors=True)

    def end(self):
        wrong = self.unmount()
        if self.sql:
            self.sql.close()
        if self.connections:
            subprocess.run(["umount", self.connections], check=False)
        shell("cluster_remove", self.postgres, check=False)
        if not is_mounted(self.mountpoint):
            shutil.rmtree(self.folder, ignore_errors=True)
        return wrong

    def waiting_file(self):
        """How many requests the kernel has sent that rowfs has not answered; None if it does not say."""
        if not self.connections:
            return None
        return f"{self.connections}/{os.minor(os.stat(self.mountpoint).st_dev)}/waiting"
