"""A line that does something wrong to some of the keys that it carries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from phone import line_check
from phone.line_check import SEQUENCE, Trouble

FOREIGN_KEY = "A"

Place = tuple[int, str]
"""A round, from 0, and the key in it that suffers."""


class FaultyLine:
    """Carries each key on to `deliver`, but for those places at which it does what `faults` says."""

    def __init__(self, deliver: Callable[[str], Awaitable[None]], faults: Mapping[Place, Trouble]) -> None:
        self._deliver = deliver
        self._faults = dict(faults)
        self._carried = 0
        self._held = ""
        self._late: list[asyncio.Task[None]] = []

    async def press(self, key: str) -> None:
        """Carry one key, the next one of a line check."""
        place = (self._carried // len(SEQUENCE), key)
        self._carried += 1
        held, self._held = self._held, ""
        match self._faults.pop(place, None):
            case Trouble.LOST:
                pass
            case Trouble.SWAPPED:
                self._held = key
            case Trouble.SLOW:
                self._late.append(asyncio.create_task(self._later(key)))
            case Trouble.DOUBLED:
                await self._deliver(key)
                await self._deliver(key)
            case Trouble.FOREIGN:
                await self._deliver(key)
                await self._deliver(FOREIGN_KEY)
            case None:
                await self._deliver(key)
        if held:
            await self._deliver(held)

    async def settle(self) -> None:
        """Return when everything that is late has been delivered."""
        await asyncio.gather(*self._late)

    async def _later(self, key: str) -> None:
        await asyncio.sleep(line_check.SLOW_SECONDS + 0.5)
        await self._deliver(key)
