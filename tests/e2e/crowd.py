"""Telephones in several processes: twenty of them are more than one process can do in time."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.elsewhere import Elsewhere
from tests.e2e.recognition import Spectrum, recognise, spectrum
from tests.e2e.telephone import RATE, GoodMemory, Loudness, Server, Telephone, Telephones

PROCESSES = 4


@dataclass(frozen=True)
class Address:
    """Where to call."""

    url: str
    key: str
    secret: str


class Shelf:
    """The telephones of one process, each known by its place."""

    def __init__(self, server: Server) -> None:
        self._telephones = Telephones(server)
        self._dialled: list[Telephone] = []

    async def dial(self, dialled: str, **options: Any) -> int:
        self._dialled.append(await self._telephones.dial(dialled, ear=GoodMemory(), **options))
        return len(self._dialled) - 1

    async def heard(self, place: int, sentences: Mapping[str, Spectrum]) -> str:
        ear = self._dialled[place].ear
        assert isinstance(ear, GoodMemory)
        return recognise(sentences, spectrum(ear.sound(), RATE))

    async def answered(self, place: int) -> bool:
        return self._dialled[place].answered.is_set()

    async def do(self, place: int, name: str, *arguments: Any, **options: Any) -> Any:
        result = getattr(self._dialled[place], name)(*arguments, **options)
        return await result if inspect.isawaitable(result) else result

    async def hang_up_all(self) -> None:
        await self._telephones.hang_up_all()


class DistantTelephone:
    """A `telephone.Telephone` in another process: what is not described here is described there."""

    def __init__(self, process: Elsewhere, place: int, number: str) -> None:
        self.number = number
        """Its own, E.164."""
        self._process = process
        self._place = place

    async def _do(self, name: str, *arguments: Any, **options: Any) -> Any:
        return await asyncio.wrap_future(self._process.call("do", self._place, name, *arguments, **options))

    async def begin(self) -> None:
        await self._do("begin")

    async def press(self, keys: str) -> None:
        await self._do("press", keys)

    async def hears_voice(self, *, within: float) -> None:
        await self._do("hears_voice", within=within)

    async def hears(self, clip: Loudness, *, within: float) -> None:
        await self._do("hears", clip, within=within)

    async def answered(self) -> bool:
        """Whether anybody has answered."""
        answered: bool = await asyncio.wrap_future(self._process.call("answered", self._place))
        return answered

    async def heard(self, sentences: Mapping[str, Spectrum]) -> str:
        """Which of these sentences was heard by now. Raises AssertionError where none was."""
        name: str = await asyncio.wrap_future(self._process.call("heard", self._place, sentences))
        return name

    async def hears_the_line_close(self) -> None:
        await self._do("hears_the_line_close")

    async def hang_up(self) -> None:
        await self._do("hang_up")


class Crowd:
    """Many telephones, spread over `PROCESSES` processes in turn."""

    def __init__(self, server: Server) -> None:
        address = Address(server.url, server.key, server.secret)
        self._processes = [Elsewhere(Shelf, address) for _ in range(PROCESSES)]
        self._next = itertools.cycle(self._processes)

    async def dial(self, dialled: str, *, caller: str, hums: bool = True) -> DistantTelephone:
        """Call `dialled` from `caller`, as `Telephones.dial` does."""
        process = next(self._next)
        ringing = process.call("dial", dialled, caller=caller, hums=hums)
        return DistantTelephone(process, await asyncio.wrap_future(ringing), caller)

    async def hang_up_all(self) -> None:
        await asyncio.gather(*(asyncio.wrap_future(each.call("hang_up_all")) for each in self._processes))

    def stop(self) -> None:
        for process in self._processes:
            process.stop()
