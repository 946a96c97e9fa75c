"""Callers of a livekit-server, several in one process: `Crowd`, which lives in a process of its own.

Each caller is a SIP-kind participant with a microphone that is never quiet. A caller who hears nothing in time has no
sample.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from itertools import chain
from pathlib import Path

from livekit import rtc

from benchmarks.livekit.hearing import KeenEar, Samples, kept
from tests.e2e.crowd import Address
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

    async def dial(self, *, hums: bool = True) -> float | None:
        """Call, and return the seconds until something is heard. The microphone is never quiet where it `hums`."""
        began = asyncio.get_running_loop().time()
        self._telephone = await self._telephones.dial(NUMBER, caller=some_number(), ear=self._ear, hums=hums)
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
    """All callers of one process. Times are in seconds. `beginnings` is a file of `hearing.keep`."""

    def __init__(self, server: Address, beginnings: Path) -> None:
        # The callers' own pauses are not the product's.
        gc.disable()
        self._beginnings = kept(beginnings)
        self._clinic = Telephones(server)
        self._stock = Telephones(server, agent=STOCK_AGENT)
        self._callers: list[Caller] = []
        self._holding: list[asyncio.Task[None]] = []

    async def dial(self, count: int) -> list[float]:
        """So many call at once: from the moment before joining the room to the first audible frame, of each."""
        return await self._dial(self._clinic, count)

    async def dial_stock(self, count: int) -> list[float]:
        """The same with the stock task."""
        return await self._dial(self._stock, count)

    async def dial_silently(self, after: float) -> list[float]:
        """After so many seconds one calls who says nothing at all. Returns as `dial`."""
        await asyncio.sleep(after)
        heard = await Caller(self._clinic, self._beginnings).dial(hums=False)
        return [] if heard is None else [heard]

    async def dial_in_turn(self, calls: int) -> list[float]:
        """The same as `dial`, of one caller after the other: each call ends before the next one begins."""
        heard = []
        for _ in range(calls):
            caller = Caller(self._clinic, self._beginnings)
            heard.append(await caller.dial())
            await caller.hang_up()
            await asyncio.sleep(random.uniform(*CALLS_AFTER_SECONDS))
        return [seconds for seconds in heard if seconds is not None]

    async def agree(self) -> None:
        """Each hears the consent question to its end, and is at the menu then."""
        await asyncio.gather(*(caller.agree() for caller in self._callers))

    async def press(self, keys: int) -> list[float]:
        """Each presses so many keys: from the key to the next prompt's first audible frame, of each key."""
        samples = await asyncio.gather(*(caller.press(keys) for caller in self._callers))
        return list(chain.from_iterable(samples))

    async def press_stock(self, keys: int) -> list[float]:
        """The same with the stock task."""
        samples = await asyncio.gather(*(caller.press_stock(keys) for caller in self._callers))
        return list(chain.from_iterable(samples))

    async def hold(self, count: int) -> int:
        """So many more callers, one after the other, who only ask for the menu now and then. How many are answered."""
        return sum([await self._hold() for _ in range(count)])

    async def cpu(self) -> float:
        """The CPU that this process has used."""
        return time.process_time()

    async def hang_up(self) -> None:
        """End all calls."""
        for holding in self._holding:
            holding.cancel()
        await asyncio.gather(self._clinic.hang_up_all(), self._stock.hang_up_all())
        self._callers, self._holding = [], []

    async def _dial(self, telephones: Telephones, count: int) -> list[float]:
        callers = [Caller(telephones, self._beginnings) for _ in range(count)]
        self._callers += callers
        heard = await asyncio.gather(*(caller.dial() for caller in callers))
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
