"""A terminal that a program runs on: tmux, with a server of its own."""

import re
import subprocess

from world import Trouble, wait_for


class Terminal:
    def __init__(self, command, folder, socket):
        self.socket = socket
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "160", "-y", "24", "-c", folder, command)

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], check=False, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def type(self, *keys):
        """A pattern among the keys is waited for."""
        for key in keys:
            if isinstance(key, re.Pattern):
                self.wait_for(key.pattern)
            else:
                self.tmux("send-keys", "--", key)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def finds(self, pattern):
        """The line that matches, or None."""
        for line in self.screen().splitlines():
            if re.search(pattern, line):
                return line
        return None

    def wait_for(self, pattern, or_end=False):
        try:
            return wait_for(pattern, lambda: self.finds(pattern) or or_end and self.ended())
        except Trouble as trouble:
            raise Trouble(f"{trouble}; the screen:\n{self.screen()}") from None

    def ended(self):
        return not self.tmux("list-sessions")

    def wait_for_end(self):
        try:
            wait_for("the program's end", self.ended)
        except Trouble as trouble:
            raise Trouble(f"{trouble}; the screen:\n{self.screen()}") from None

    def end(self):
        self.tmux("kill-server")
