"""Callers of a livekit-server, in a process of their own: `python -m benchmarks.livekit.callers BEGINNINGS < orders`.

Where to call is in LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; `BEGINNINGS` is a file of `hearing.keep`.
Each caller is a SIP-kind participant with a microphone that is never quiet. Each line of the input is one order as
JSON, each line of the output its result; times in seconds. A caller who hears nothing in time has no sample.

| order | result |
|---|---|
| `{"do": "dial", "callers": 10}` | `first_prompt`: the moment before joining the room → first audible frame, of each |
| `{"do": "dial_in_turn", "calls": 20}` | `first_prompt`: of one caller after the other |
| `{"do": "agree"}` | nothing: each has heard the consent question to its end, and is at the menu |
| `{"do": "press", "keys": 30}` | each of them: `next_prompt`: key → the next prompt's first audible frame |
| `{"do": "dial_stock", "callers": 4}`, `{"do": "press_stock", "keys": 5}` | the same with the stock task |
| `{"do": "hold", "callers": 5}` | `answered`: so many more callers, who only ask for the menu now and then |
| `{"do": "cpu"}` | `cpu`: seconds of CPU that this process has used |
| `{"do": "hang_up"}` | nothing: all are gone |
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import sys
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from livekit import rtc

from benchmarks.livekit.hearing import KeenEar, Samples, kept
from tests.e2e.telephone import Ear, Telephone, Telephones

NUMBER = "+12125550142"
"""The demo clinic's."""

STOCK_AGENT = "stock-dtmf"
PATIENCE_SECONDS = 15.0
THINKS_SECONDS = (0.3, 0.9)
"""How long a caller listens before the next key. Every prompt here is longer, so that the key cuts it."""

CALLS_AFTER_SECONDS = (1.0, 2.0)
"""From one call's end to the next one."""

QUIET_SECONDS = 1.5
"""Longer than any pause within what the clinic says: the question is over, and an answer counts for a recording."""

STOCK_THINKS_SECONDS = 0.8
HOLDS_SECONDS = 8.0
"""How often a caller who holds asks for the menu. The menu alone takes longer than that."""

CONSENT, HOURS, AGAIN = "1", "2", "*"


@dataclass(frozen=True)
class Server:
    """Where to call."""

    url: str
    key: str
    secret: str


class Deaf(Ear):
    """Receives the RTP of what is said, and does not look at it: a caller who costs this process little."""

    async def listen(self, track: rtc.RemoteTrack) -> None:
        return


class Caller:
    """One call, by somebody who listens closely."""

    def __init__(self, telephones: Telephones, beginnings: dict[str, Samples]) -> None:
        self._telephones = telephones
        self._beginnings = beginnings
        self._ear = KeenEar()
        self._telephone: Telephone | None = None
        self._turn = 0

    async def dial(self) -> float | None:
        """Call, and return the seconds until something is heard."""
        began = asyncio.get_running_loop().time()
        self._telephone = await self._telephones.dial(NUMBER, caller=some_number(), ear=self._ear)
        with contextlib.suppress(TimeoutError):
            return await self._ear.first_sound(within=PATIENCE_SECONDS) - began
        return None

    async def hang_up(self) -> None:
        """End this call."""
        assert self._telephone is not None
        await self._telephone.hang_up()

    async def agree(self) -> None:
        """Consent to what was heard to its end."""
        await self._ear.quiet(QUIET_SECONDS, within=PATIENCE_SECONDS * 2)
        self._turn = 1
        await self._until_heard(CONSENT, "menu")

    async def press(self, keys: int) -> list[float]:
        """Consent, then ask for the hours and for the menu by turns: the seconds from each key to what it brings."""
        samples = []
        for _ in range(keys):
            await asyncio.sleep(random.uniform(*THINKS_SECONDS))
            key, brings = (HOURS, "hours") if self._turn % 2 else (AGAIN if self._turn else CONSENT, "menu")
            self._turn += 1
            with contextlib.suppress(TimeoutError, rtc.participant.PublishDTMFError):
                samples.append(await self._until_heard(key, brings))
        return samples

    async def press_stock(self, keys: int) -> list[float]:
        """One key, each time 0.8 s into a prompt: the seconds until the next one. Two prompts come by turns."""
        samples = []
        await self._ear.began(self._beginnings["stock 0"], within=PATIENCE_SECONDS)
        for turn in range(1, keys + 1):
            await asyncio.sleep(STOCK_THINKS_SECONDS)
            with contextlib.suppress(TimeoutError):
                samples.append(await self._until_heard("1", f"stock {turn % 2}"))
        return samples

    async def _until_heard(self, key: str, prompt: str) -> float:
        assert self._telephone is not None
        self._ear.forget()
        pressed_at = asyncio.get_running_loop().time()
        await self._telephone.press(key)
        return await self._ear.began(self._beginnings[prompt], within=PATIENCE_SECONDS) - pressed_at


class Crowd:
    """All the callers."""

    def __init__(self, server: Server, beginnings: dict[str, Samples]) -> None:
        self._beginnings = beginnings
        self._clinic = Telephones(server)
        self._stock = Telephones(server, agent=STOCK_AGENT)
        self._callers: list[Caller] = []
        self._holding: list[asyncio.Task[None]] = []

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        match order:
            case {"do": "dial", "callers": count}:
                return {"first_prompt": await self._dial(self._clinic, count)}
            case {"do": "dial_stock", "callers": count}:
                return {"first_prompt": await self._dial(self._stock, count)}
            case {"do": "dial_in_turn", "calls": count}:
                return {"first_prompt": await self._dial_in_turn(count)}
            case {"do": "agree"}:
                await asyncio.gather(*(caller.agree() for caller in self._callers))
                return {}
            case {"do": "press", "keys": keys}:
                samples = await asyncio.gather(*(caller.press(keys) for caller in self._callers))
                return {"next_prompt": list(chain.from_iterable(samples))}
            case {"do": "press_stock", "keys": keys}:
                samples = await asyncio.gather(*(caller.press_stock(keys) for caller in self._callers))
                return {"next_prompt": list(chain.from_iterable(samples))}
            case {"do": "hold", "callers": count}:
                return {"answered": sum([await self._hold() for _ in range(count)])}
            case {"do": "cpu"}:
                return {"cpu": time.process_time()}
            case {"do": "hang_up"}:
                for holding in self._holding:
                    holding.cancel()
                await asyncio.gather(self._clinic.hang_up_all(), self._stock.hang_up_all())
                self._callers, self._holding = [], []
                return {}
            case _:
                raise ValueError(f"no order: {order}")

    async def _dial(self, telephones: Telephones, count: int) -> list[float]:
        callers = [Caller(telephones, self._beginnings) for _ in range(count)]
        self._callers += callers
        heard = await asyncio.gather(*(caller.dial() for caller in callers))
        return [seconds for seconds in heard if seconds is not None]

    async def _dial_in_turn(self, calls: int) -> list[float]:
        """Each call ends before the next one begins."""
        heard = []
        for _ in range(calls):
            caller = Caller(self._clinic, self._beginnings)
            heard.append(await caller.dial())
            await caller.hang_up()
            await asyncio.sleep(random.uniform(*CALLS_AFTER_SECONDS))
        return [seconds for seconds in heard if seconds is not None]

    async def _hold(self) -> bool:
        telephone = await self._clinic.dial(NUMBER, caller=some_number(), ear=Deaf())
        self._holding.append(asyncio.create_task(keep_the_line(telephone)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(telephone.answered.wait(), PATIENCE_SECONDS)
        return telephone.answered.is_set()


async def keep_the_line(telephone: Telephone) -> None:
    """Agree to the recording, then have the menu said again and again."""
    await telephone.answered.wait()
    await telephone.press(CONSENT)
    await asyncio.sleep(random.uniform(0, HOLDS_SECONDS))
    while True:
        await telephone.press(AGAIN)
        await asyncio.sleep(HOLDS_SECONDS)


def some_number() -> str:
    return f"+1212555{random.randrange(10_000):04d}"


async def main(beginnings: Path) -> None:
    server = Server(
        os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"]
    )
    crowd = Crowd(server, kept(beginnings))
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await crowd.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    # The callers' own pauses are not the product's.
    gc.disable()
    asyncio.run(main(Path(sys.argv[1])))
