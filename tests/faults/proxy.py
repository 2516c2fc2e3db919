"""A proxy in front of Postgres that drops connections, and replies to COMMIT after the commit was made."""

import asyncio
import random
import threading
from contextlib import suppress
from typing import Self

_CHUNK_BYTES = 65_536


class Proxy:
    """Listens on 127.0.0.1 and passes everything on to a unix socket, from a thread of its own."""

    def __init__(self, seed: int) -> None:
        self.target = ""
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._sessions: set[asyncio.Task[None]] = set()
        self.port = 0
        self.drop_rate = 0.0
        """How many of the chunks that clients send end their connection, before they get there."""
        self.lose_commit_rate = 0.0
        """How many of the replies to COMMIT get lost, and the connection with them."""
        self.struck = 0

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self._server

    async def _end(self) -> None:
        self._server.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._sessions.discard(task)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self.target)
        session = _Session()
        ways = [
            asyncio.create_task(self._to_server(session, reader, server_writer)),
            asyncio.create_task(self._to_client(session, server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.close()

    async def _to_server(self, session: "_Session", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if self._strikes(self.drop_rate):
                return
            session.is_committing = b"COMMIT\0" in chunk
            writer.write(chunk)
            await writer.drain()

    async def _to_client(self, session: "_Session", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if session.is_committing and self._strikes(self.lose_commit_rate):
                return
            writer.write(chunk)
            await writer.drain()

    def _strikes(self, rate: float) -> bool:
        struck = rate > 0 and self._random.random() < rate
        self.struck += struck
        return struck


class _Session:
    is_committing = False
