"""Bursts and type-ahead: what becomes of every key of many entries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import stock
from benchmarks.questions import INTO_THE_PROMPT, MENU, PATIENT_ID, PROMPT_SECONDS
from tests.agent_worker.asking import Asker, Caller, converse

SEED = 20260312
CALLERS = 20


@dataclass(frozen=True)
class Typing:
    """How callers type: before the first question begins or into its prompt, with so many seconds between keys."""

    ahead: bool
    gap: float = 0.0


@dataclass(frozen=True)
class Burst:
    """A menu key and a patient ID in one go, as `1#1234#`."""

    choice: str
    digits: str
    choice_terminated: bool

    @property
    def keys(self) -> str:
        return f"{self.choice}{'#' if self.choice_terminated else ''}{self.digits}#"

    @property
    def keys_to_be_used(self) -> int:
        """All but a terminator after the menu key or the longest ID, which need none."""
        needs_terminator = len(self.digits) < PATIENT_ID.rules.max_digits
        return 1 + len(self.digits) + needs_terminator


@dataclass
class Count:
    """Keys that had to be used (of the stock task: digits), and what became of them."""

    entries: int = 0
    keys: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        return (
            f"{self.lost:,} lost, {self.doubled:,} doubled of {self.keys:,} keys in {self.entries:,} entries"
        )

    def add(self, wanted: int, used: int) -> None:
        self.entries += 2
        self.keys += wanted
        self.lost += max(0, wanted - used)
        self.doubled += max(0, used - wanted)


def bursts(count: int) -> list[Burst]:
    """The same ones in each run."""
    draw = random.Random(SEED)
    return [
        Burst(
            choice=draw.choice("123"),
            digits="".join(draw.choices("0123456789", k=draw.randint(4, 8))),
            choice_terminated=draw.random() < 0.5,
        )
        for _ in range(count)
    ]


def press(typing: Typing, keys: str, hand: Callable[[str], object]) -> None:
    """Let `hand` press `keys` in this way."""
    if typing.ahead:
        hand(keys)
        return
    loop, begin = asyncio.get_running_loop(), random.uniform(*INTO_THE_PROMPT)
    if not typing.gap:
        loop.call_later(begin, hand, keys)
        return
    for position, key in enumerate(keys):
        loop.call_later(begin + position * typing.gap, hand, key)


async def ours(entries: int, typing: Typing) -> Count:
    """What our questions make of so many entries, typed by several callers at once."""
    count = Count()
    drawn = bursts(entries // 2)
    await asyncio.gather(*(_type_to_ours(drawn[start::CALLERS], typing, count) for start in range(CALLERS)))
    return count


async def _type_to_ours(drawn: list[Burst], typing: Typing, count: Count) -> None:
    caller = Caller()

    async def talk(asker: Asker) -> None:
        for burst in drawn:
            caller.events.clear()
            press(typing, burst.keys, caller.presses)
            caller.answers = [await asker.ask(MENU), await asker.ask(PATIENT_ID)]
            # A terminator after the longest ID comes when the ID is complete already.
            await asyncio.sleep(typing.gap * 1.5)
            count.add(burst.keys_to_be_used, len(caller.told("key")))
            if caller.entered != [burst.choice, burst.digits]:
                count.wrong.append(burst.keys)

    await converse(talk, caller=caller, prompt_seconds=PROMPT_SECONDS)


async def theirs(entries: int, typing: Typing) -> Count:
    """The same of two stock tasks in a row. Only digits count: terminators are not among its results."""
    count = Count()
    drawn = bursts(entries // 2)
    results = await asyncio.gather(*(_type_to_theirs(burst, typing) for burst in drawn))
    for burst, entered in zip(drawn, results, strict=True):
        wanted = [burst.choice, burst.digits]
        used = sum(len(got) for got, digits in zip(entered, wanted, strict=False) if got == digits)
        count.add(1 + len(burst.digits), used)
    return count


async def _type_to_theirs(burst: Burst, typing: Typing) -> list[str]:
    results: list[str] = []

    async def talk(stage: stock.Stage) -> None:
        if typing.ahead:
            press(typing, burst.keys, stage.press)
        else:
            stage.when_it_speaks(lambda: press(typing, burst.keys, stage.press))
        results.extend(await stock.enter((1, len(burst.digits))))

    await stock.converse(talk, prompt_seconds=PROMPT_SECONDS)
    return results
