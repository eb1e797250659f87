"""A directory that is read a few entries at a time, as a program reads it whose buffer is small."""

import ctypes
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.getdents64.argtypes = ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t
libc.getdents64.restype = ctypes.c_ssize_t


class Stepwise:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def some(self, room=200):
        """The names of the next entries; none at the end."""
        buffer = ctypes.create_string_buffer(room)
        length = libc.getdents64(self.fd, buffer, room)
        if length < 0:
            raise OSError(ctypes.get_errno(), "getdents64")
        names, at = [], 0
        while at < length:
            _, _, size = struct.unpack_from("<QqH", buffer, at)
            names.append(os.fsdecode(buffer.raw[at + 19:at + size].split(b"\0")[0]))
            at += size
        return names

    def rest(self):
        names = []
        while more := self.some():
            names += more
        return names

    def rewind(self):
        os.lseek(self.fd, 0, os.SEEK_SET)

    def close(self):
        os.close(self.fd)
