"""A proxy between mounts and servers, on unix sockets, that can be made a bad network.

    race_proxy.py LISTEN TARGET [LISTEN TARGET...]

Links are numbered from 0. Each line of standard input sets one:

    0 pass              what comes goes on at once
    0 delay SECONDS     answers are held for up to so long, each
    0 slow SECONDS      answers are held for exactly so long
    0 lag SECONDS       requests are
    0 hold              nothing goes on, in either direction, until another word comes: a black hole, or lost
                        packets that are sent again later
    0 cut               connections end, and new ones are refused

The end of standard input ends it."""

import asyncio
import random
import sys


class Link:
    def __init__(self, listen, target):
        self.listen, self.target = listen, target
        self.mode, self.seconds = "pass", 0.0
        self.changed = asyncio.Event()
        self.writers = set()

    def set(self, mode, seconds="0"):
        self.mode, self.seconds = mode, float(seconds)
        self.changed.set()
        self.changed = asyncio.Event()
        if mode == "cut":
            for writer in self.writers:
                writer.transport.abort()

    async def gate(self, answers):
        while self.mode == "hold":
            await self.changed.wait()
        if answers and self.mode == "delay":
            await asyncio.sleep(random.random() * self.seconds)
        if self.mode == ("slow" if answers else "lag"):
            await asyncio.sleep(self.seconds)

    async def pump(self, reader, writer, answers):
        try:
            while data := await reader.read(1 << 16):
                await self.gate(answers)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, RuntimeError):
            pass

    async def serve(self, reader, writer):
        if self.mode == "cut":
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, server_writer}
        self.writers |= both
        ways = [asyncio.create_task(self.pump(reader, server_writer, False)),
                asyncio.create_task(self.pump(server_reader, writer, True))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        self.writers -= both
        for way in ways:
            way.cancel()
        for each in both:
            each.close()


async def main(names):
    links = [Link(listen, target) for listen, target in zip(names[::2], names[1::2])]
    for link in links:
        await asyncio.start_unix_server(link.serve, link.listen)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while line := await commands.readline():
        number, *words = line.decode().split()
        links[int(number)].set(*words)


asyncio.run(main(sys.argv[1:]))
