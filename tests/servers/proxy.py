"""A bad network in front of a server: forwards as it is, until a rule says what goes wrong.

Knows of HTTP/1.1 only where a message and its body begin and end. What it saw stands in `seen`, so that a
test can count what was sent and see that its fault took place.
"""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from typing import Self

from tests.servers import wire
from tests.servers.connection import Connection, Cut, Seen
from tests.servers.faults import Fault, Rule, Slow
from tests.servers.process import HOST


class FaultProxy:
    def __init__(self, port: int, *rules: Rule) -> None:
        """To the server at `port` of this machine."""
        self.upstream = port
        self.port = 0
        self.seen: list[Seen] = []
        self._rules: list[tuple[Rule, list[int]]] = []
        self._kept: list[StreamWriter] = []  # half-open ones
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        for rule in rules:
            self.add(rule)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def add(self, rule: Rule) -> None:
        """Counts from now on; of several that match the first one added is taken."""
        self._rules.append((rule, [0]))

    def clear(self) -> None:
        """No more faults, and nothing seen."""
        self._rules.clear()
        self.seen.clear()

    def count(self, method: str = ".*", path: str = "") -> int:
        """How many such requests it saw."""
        asked = Rule(Slow(0), method, path)
        return sum(asked.matches(seen.method, seen.target) for seen in self.seen)

    def end_half_open(self) -> None:
        """The server hears at last that those clients are gone."""
        self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        for writer in self._kept:
            wire.reset(writer)
        self._kept.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _main(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        serving: set[asyncio.Task[None]] = set()

        def accept(reader: StreamReader, writer: StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)

        server = await asyncio.start_server(accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        self._drop()

    # one client

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        try:
            while await connection.exchange():
                pass
        except ConnectionError:
            connection.reset()  # who resets one side resets the other
        except (OSError, EOFError, Cut):
            pass
        finally:
            connection.close()

    def fault_for(self, seen: Seen) -> Fault | None:
        self.seen.append(seen)
        for rule, count in self._rules:
            if rule.matches(seen.method, seen.target):
                count[0] += 1
                if rule.nth <= count[0] < rule.nth + rule.times:
                    return rule.fault
        return None

    async def ended(self) -> None:
        await self._ended.wait()

    def keep(self, writer: StreamWriter) -> None:
        self._kept.append(writer)
