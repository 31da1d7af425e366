"""Labelers for measurements: many at once, in one process, each on a connection of their own, as a browser keeps one.

Spoken by hand over asyncio's sockets, because the cores are the server's too: a request costs this side about 0.1 ms.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter

Times = dict[str, list[float]]


class Lost(Exception):
    """No answer came: the server was stopped or killed."""


@dataclass
class Line:
    """One kept-alive connection; `headers` go with every request."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    streams: tuple | None = None

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """(status, body).  Raises Lost where no answer comes; the next request opens a new connection."""
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {len(sent)}"]
        given = {**self.headers, **({"Content-Type": "application/json"} if sent else {}), **headers}
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in given.items()]
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection(self.host, self.port, limit=1 << 22)
            reader, writer = self.streams
            writer.write("\r\n".join([*lines, "", ""]).encode() + sent)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            length = next((int(line[15:]) for line in head if line.lower().startswith("content-length:")), None)
            status = int(head[0].split()[1])
            body = await reader.read() if length is None else await reader.readexactly(length)
            if length is None or any(line.lower() == "connection: close" for line in head):
                self.close()
            return status, body
        except (OSError, asyncio.IncompleteReadError, IndexError, ValueError) as error:
            self.close()
            raise Lost(str(error)) from None

    def close(self) -> None:
        """Hang up."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def timed(times: Times, what: str, call: Awaitable):
    """What `call` gives, with its seconds noted under `what`."""
    start = perf_counter()
    result = await call
    times.setdefault(what, []).append(perf_counter() - start)
    return result


async def work_for(seconds: float, people: int, one: Callable[[int, Times], Awaitable[bool]], think: float = 0.0,
                   warm: float = 1.0) -> tuple[Times, float]:  # fmt: skip
    """(times, seconds) of `people` who repeat `one(i, times)` until time is over or it says False.

    `think`: seconds between two tasks, drawn between half and one and a half of it.  What happened in the first `warm`
    seconds is not counted, and neither is the pause in which everybody arrives.
    """
    begun = perf_counter()
    counted: Times = {}

    async def labeler(i: int) -> None:
        await asyncio.sleep(random.random() * (think or 0.05))
        while perf_counter() < begun + warm + seconds:
            mine: Times = {}
            if not await one(i, mine):
                return
            if perf_counter() >= begun + warm:
                for what, of in mine.items():
                    counted.setdefault(what, []).extend(of)
            if think:
                await asyncio.sleep(think * (0.5 + random.random()))

    await asyncio.gather(*(labeler(i) for i in range(people)))
    return counted, perf_counter() - begun - warm


def percentiles(times: Times, *shares: int) -> dict[str, float]:
    """`<what>_p<share>_ms` of each kind of request."""
    found = {}
    for what, of in times.items():
        ordered = sorted(of)
        for share in shares:
            found[f"{what}_p{share}_ms"] = round(1e3 * ordered[min(len(ordered) - 1, int(share / 100 * len(ordered)))], 1)
    return found
