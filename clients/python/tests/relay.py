"""A TCP relay that understands where an MQTT packet ends: it cuts connections, swallows packets, and lets nobody through."""

from __future__ import annotations

import asyncio
import contextlib

PUBLISH, PUBACK, PINGRESP = 3, 4, 13
TO_BROKER, TO_CLIENT = "to broker", "to client"


class Relay:
    """Stands between clients and a broker whose port changes."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0
        self.is_open = True
        self.swallowed = 0
        self._swallow: dict[tuple[str, int, str], int] = {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def end(self) -> None:
        """Cuts everything."""
        if self._server:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()

    def cut(self) -> None:
        """Every connection ends now, as if a cable was pulled."""
        for writer in list(self._writers):
            writer.transport.abort()

    def shut(self) -> None:
        """Cuts everything, and lets nobody in until ``is_open`` is set."""
        self.is_open = False
        self.cut()

    def swallow(self, way: str, packet: int, times: int = 1, only: str = "") -> None:
        """The next ``times`` packets of that type, in that direction, are lost; those of one client, if it is named."""
        self._swallow[(way, packet, only)] = times

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, broker_writer}
        try:
            connect = await _packet(reader)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
            return
        broker_writer.write(connect)
        for source, sink, way in ((reader, broker_writer, TO_BROKER), (broker_reader, writer, TO_CLIENT)):
            task = asyncio.create_task(self._pump(source, sink, way, connect))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str, connect: bytes) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                packet = await _packet(source)
                if self._is_lost(way, packet[0] >> 4, connect):
                    self.swallowed += 1
                    continue
                sink.write(packet)
                await sink.drain()
        self._writers.discard(sink)
        sink.transport.abort()

    def _is_lost(self, way: str, packet: int, connect: bytes) -> bool:
        for wanted, left in self._swallow.items():
            # The client ID is a word of CONNECT.
            if wanted[:2] == (way, packet) and left and wanted[2].encode() in connect:
                self._swallow[wanted] = left - 1
                return True
        return False


async def _packet(source: asyncio.StreamReader) -> bytes:
    head = await source.readexactly(2)
    while head[-1] & 0x80:
        head += await source.readexactly(1)
    length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(head[1:]))
    return head + await source.readexactly(length)
