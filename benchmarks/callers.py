"""Callers on the embedded line, in a process of their own: `python -m benchmarks.callers ADDRESS < orders`.

Each line of the input is one order as JSON, each line of the output its result; times in seconds.

| order | result |
|---|---|
| `{"do": "call", "callers": 20, "within": 0}` | `first_audio`: connect → first audio, of each call; all of them stay |
| `{"do": "press", "keys": 30}` | `next_prompt`: key → first audio of the next prompt; `cpu`: own seconds; `took` |
| `{"do": "hang_up"}` | nothing |
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from itertools import chain
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PATIENCE_SECONDS = 10.0
THINKS_SECONDS = (0.3, 0.9)
"""How long a caller listens before the next key. Every prompt here is longer, so that the key cuts it."""

CONSENT, HOURS, AGAIN = "1", "2", "*"


class Caller:
    """One call."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._audio = asyncio.Event()
        self._cleared = True
        self._heard_at = 0.0
        self._presses = 0

    async def call(self, after: float) -> float:
        """Connect, and return the seconds until the first audio."""
        await asyncio.sleep(after)
        began = time.perf_counter()
        self._socket = await connect(
            self._address.replace("http", "ws", 1) + "/phone/line/",
            origin=self._address,  # type: ignore[arg-type]
            compression=None,
            max_queue=None,
        )
        self._reading = asyncio.create_task(self._read(self._socket))
        await asyncio.wait_for(self._audio.wait(), PATIENCE_SECONDS)
        return self._heard_at - began

    async def press(self, keys: int) -> list[float]:
        """Consent, then ask for the hours and for the menu by turns: the seconds from each key to what it brings.

        A key that brings nothing within `PATIENCE_SECONDS` has no sample.
        """
        samples = []
        for turn in range(keys):
            await asyncio.sleep(random.uniform(*THINKS_SECONDS))
            with contextlib.suppress(TimeoutError):
                samples.append(await self._press(CONSENT if turn == 0 else HOURS if turn % 2 else AGAIN))
        return samples

    async def hang_up(self) -> None:
        assert self._socket is not None
        assert self._reading is not None
        await self._socket.send(json.dumps({"type": "hangup"}))
        await self._socket.close()
        await asyncio.wait([self._reading])

    async def _press(self, key: str) -> float:
        assert self._socket is not None
        self._audio.clear()
        self._cleared = False
        self._presses += 1
        pressed_at = time.perf_counter()
        await self._socket.send(json.dumps({"type": "key", "key": key, "id": str(self._presses)}))
        await asyncio.wait_for(self._audio.wait(), PATIENCE_SECONDS)
        return self._heard_at - pressed_at

    async def _read(self, socket: ClientConnection) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                if self._cleared and not self._audio.is_set():
                    self._heard_at = time.perf_counter()
                    self._audio.set()
            elif '"clear"' in message:
                self._cleared = True


class Crowd:
    """All the callers."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._callers: list[Caller] = []

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        match order:
            case {"do": "call", "callers": count, "within": seconds}:
                self._callers = [Caller(self._address) for _ in range(count)]
                calls = (caller.call(after=seconds * i / count) for i, caller in enumerate(self._callers))
                return {"first_audio": await asyncio.gather(*calls)}
            case {"do": "press", "keys": keys}:
                cpu, began = time.process_time(), time.perf_counter()
                samples = await asyncio.gather(*(caller.press(keys) for caller in self._callers))
                took = time.perf_counter() - began
                return {
                    "next_prompt": list(chain.from_iterable(samples)),
                    "cpu": time.process_time() - cpu,
                    "took": took,
                }
            case {"do": "hang_up"}:
                await asyncio.gather(*(caller.hang_up() for caller in self._callers))
                return {}
            case _:
                raise ValueError(f"no order: {order}")


async def main(address: str) -> None:
    crowd = Crowd(address)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await crowd.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    # The callers' own pauses are not the server's.
    gc.disable()
    asyncio.run(main(sys.argv[1]))
