"""A PostgreSQL, a mount by a role with few rights, and a terminal multiplexer, in a folder of their own below /var/tmp
(vim and emacs make no backups under /tmp). Each trial has a table of its own, so that what was sent, and what is left
in the directory, can be told apart."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../lib"))

from race_world import Trouble, is_mounted, shell, sql  # noqa: E402  pylint: disable=wrong-import-position

PROGRAM = os.environ.get("ROWFS", os.path.join(HERE, "../../../build/rowfs"))
SETTINGS = ("log_statement = all", "log_line_prefix = '%m [%p] app=%a '", "lc_messages = 'C'")
# The process that waits for another one's lock; it looks often, since who waits for a row gives up after two seconds.
WAITER = """
CREATE FUNCTION public.waiter(holder int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
	FOR i IN 1..2000 LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT pid INTO found FROM pg_stat_activity WHERE holder = ANY (pg_blocking_pids(pid)) LIMIT 1;
		IF found IS NOT NULL THEN RETURN found; END IF;
		PERFORM pg_sleep(0.01);
	END LOOP;
	RAISE 'nobody waits for %', holder;
END $$"""
TABLE = """
CREATE TABLE work.{0} (id int PRIMARY KEY, title text NOT NULL, price int NOT NULL CHECK (price > 0),
	sealed text NOT NULL DEFAULT 'wax');
INSERT INTO work.{0} VALUES (41, 'Lamp', 104), (42, 'Tent', 105), (43, 'Stove', 106);
GRANT SELECT, UPDATE (id, title, price) ON work.{0} TO clerk"""


def wait_for(what, condition, seconds=30):
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Trouble(f"waited {seconds} s for {what}")
        time.sleep(0.02)
    return answer


class Session:
    """A psql that is connected already."""

    def __init__(self):
        self.psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        self.send("SELECT pg_backend_pid()")
        self.pid = self.number()

    def send(self, statement):
        self.psql.stdin.write(f"{statement};\n")

    def number(self):
        """The answer of the statement."""
        line = self.psql.stdout.readline()
        if not line.strip().isdigit():
            raise Trouble(f"psql answers {line!r}")
        return int(line)

    def end(self):
        try:
            self.psql.communicate(timeout=30)
        except BrokenPipeError:     # its server was killed
            self.psql.wait()


class Holder:
    """A transaction that stays open, and somebody who sees whether another process waits for it."""

    def __init__(self, statement):
        self.session, self.witness = Session(), Session()
        self.session.send(f"BEGIN; {statement}; SELECT 0")
        self.session.number()
        self.witness.send(f"SELECT waiter({self.session.pid})")

    def waiter(self):
        """The server process that waits for this one, once there is one."""
        return self.witness.number()

    def end(self, statement):
        self.session.send(statement)
        self.session.end()
        self.witness.end()


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rowfs-programs.", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.postgres, self.mountpoint = f"{self.folder}/postgres", f"{self.folder}/mnt"
        self.home, self.reports = f"{self.folder}/home", f"{self.folder}/asan"
        os.mkdir(self.mountpoint)
        os.mkdir(self.home)
        for name in [name for name in os.environ if name.startswith(("PG", "GIT_", "TMUX"))]:
            del os.environ[name]
        os.environ.update(PGHOST=self.postgres, PGUSER="postgres", PGDATABASE="programs", PGCONNECT_TIMEOUT="10",
                          LC_ALL="C.UTF-8", HOME=self.home, ASAN_OPTIONS=f"log_path={self.reports}",
                          UBSAN_OPTIONS=f"log_path={self.reports}:halt_on_error=1:print_stacktrace=1",
                          GIT_CONFIG_NOSYSTEM="1")
        with open(f"{self.home}/.gitconfig", "w", encoding="utf-8") as f:
            f.write("[user]\n\tname = Somebody\n\temail = somebody@example.org\n[init]\n\tdefaultBranch = main\n")
        self.daemon = None

    def start(self, tables, closed, options=""):
        """`closed`: those of the tables in which the role may not insert and delete."""
        shell("cluster_create", self.postgres)
        shell("cluster_configure", self.postgres, *SETTINGS)
        shell("cluster_start", self.postgres)
        subprocess.run(["createdb", "-T", "template0", "programs"], check=True)
        sql("CREATE ROLE clerk LOGIN", WAITER, "CREATE SCHEMA work", "GRANT USAGE ON SCHEMA work TO clerk",
            *(TABLE.format(table) for table in tables),
            *(f"GRANT INSERT, DELETE ON work.{table} TO clerk" for table in tables if table not in closed))
        self.mount(options)

    def mount(self, options=""):
        with open(f"{self.folder}/rowfs.log", "ab") as log:
            self.daemon = subprocess.Popen(
                [PROGRAM, f"host={self.postgres} user=clerk dbname=programs", self.mountpoint, "-f", "-o",
                 f"redis=none,consistency=strong,schema=work,state_dir={self.folder}/state{options}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("the mount", lambda: is_mounted(self.mountpoint) or self.daemon.poll() is not None)
        if self.daemon.poll() is not None:
            raise Trouble(self.log())

    def log(self):
        with open(f"{self.folder}/rowfs.log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def peak_kilobytes(self):
        with open(f"/proc/{self.daemon.pid}/status", encoding="utf-8") as f:
            return int(re.search(r"VmHWM:\s*(\d+)", f.read()).group(1))

    # The server

    def server_log_size(self):
        return os.path.getsize(f"{self.postgres}/log")

    def writes(self, table, since):
        """The verbs of what rowfs sent about this table that changes data, in order."""
        with open(f"{self.postgres}/log", encoding="utf-8", errors="replace") as f:
            f.seek(since)
            entries = re.sub(r"\n\t", " ", f.read()).splitlines()
        verbs = []
        for entry in entries:
            said = re.search(r" app=rowfs\S* LOG:  (?:execute [^:]*|statement): (.*)", entry)
            if said and re.search(rf"\b{table}\b", said.group(1)):
                bare = re.sub(r"'[^']*'|\"[^\"]*\"|FOR (NO KEY )?UPDATE", "", said.group(1), flags=re.I)
                verbs += re.findall(r"\b(INSERT|UPDATE|DELETE|TRUNCATE|MERGE|COPY)\b", bare.upper())
        return verbs

    def stop_server(self):
        """At once: who waits for a row there gives up after two seconds."""
        with open(f"{self.postgres}/data/postmaster.pid", encoding="utf-8") as f:
            os.kill(int(f.readline()), signal.SIGQUIT)
        shell("cluster_stop", self.postgres, "immediate", check=False)

    def start_server(self):
        shell("cluster_start", self.postgres)

    @staticmethod
    def kill_backend(pid):
        """The server ends all its connections, recovers, and is there again."""
        os.kill(pid, signal.SIGKILL)

    # The end

    def end(self):
        """Whatever happened. Returns what was wrong with the end of the mount."""
        wrong = []
        if self.daemon:
            shell("unmount", self.mountpoint, check=False)
            try:
                status = self.daemon.wait(60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                status = "none: it hung"
            if status != 0 or "runtime error: " in self.log():
                wrong.append(f"rowfs ended with status {status}: {self.log()[-3000:]}")
        shell("cluster_remove", self.postgres, check=False)
        for name in sorted(os.listdir(self.folder)):
            if name.startswith("asan."):
                with open(f"{self.folder}/{name}", encoding="utf-8", errors="replace") as f:
                    wrong.append(f.read())
        if not is_mounted(self.mountpoint):
            shutil.rmtree(self.folder, ignore_errors=True)
        return wrong
