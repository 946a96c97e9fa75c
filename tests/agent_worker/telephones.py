"""Other telephones, as the call reaches them through a `Bridge`: scripted, and remembering what happened to them.

What they wait for passes in simulated time, like the call itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from livekit import rtc

from phone.livekit_api import CallAnswer, LiveKitRefused

REFUSED = LiveKitRefused("LiveKit says: no.", "internal")


@dataclass
class FakePerson:
    """Somebody who is rung. `does` is what they do once they have answered."""

    answer: CallAnswer | Exception = "accepted"
    after: float = 2.0
    does: Callable[[FakePerson], Awaitable[None]] | None = None
    joining: Exception | None = None
    joined: bool = False
    sent_away: bool = False
    hearing: asyncio.Event = field(default_factory=asyncio.Event)
    briefings: int = 0
    _key: Callable[[str], None] = lambda key: None
    _hang_up: Callable[[], None] = lambda: None

    async def ring(self) -> CallAnswer:
        await asyncio.sleep(self.after)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.does and self.answer == "accepted":
            self._doing = asyncio.ensure_future(self.does(self))
        return self.answer

    async def hear(self, audio: AsyncIterator[rtc.AudioFrame]) -> None:
        self.briefings += 1
        self.hearing.set()
        async for frame in audio:
            await asyncio.sleep(frame.duration)

    def on_key(self, handler: Callable[[str], None]) -> None:
        self._key = handler

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        self._hang_up = handler

    async def join(self) -> None:
        if self.joining:
            raise self.joining
        self.joined = True

    async def send_away(self) -> None:
        self.sent_away = True

    def presses(self, key: str) -> None:
        self._key(key)

    def hangs_up(self) -> None:
        self._hang_up()


def presses(key: str) -> Callable[[FakePerson], Awaitable[None]]:
    """Hears a second of the briefing, and presses this key."""

    async def press(person: FakePerson) -> None:
        await person.hearing.wait()
        await asyncio.sleep(1.0)
        person.presses(key)

    return press


async def hangs_up(person: FakePerson) -> None:
    """Hears a second of the briefing, and hangs up."""
    await person.hearing.wait()
    await asyncio.sleep(1.0)
    person.hangs_up()


@dataclass
class FakeBridge:
    """`rung` are all numbers that anybody tried to reach, each with how."""

    refers: CallAnswer | Exception = "accepted"
    after: float = 3.0
    person: FakePerson = field(default_factory=FakePerson)
    rung: list[tuple[str, str]] = field(default_factory=list)
    trunks: list[str] = field(default_factory=list)

    async def refer(self, number: str, *, ring_seconds: int) -> CallAnswer:
        self.rung.append(("cold", number))
        await asyncio.sleep(self.after)
        if isinstance(self.refers, Exception):
            raise self.refers
        return self.refers

    def fetch(self, number: str, *, trunk_id: str, ring_seconds: int) -> FakePerson:
        self.rung.append(("warm", number))
        self.trunks.append(trunk_id)
        return self.person
