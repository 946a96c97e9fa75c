"""A line check in itself: which keys are pressed and how fast, and what became of each on its way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

SEQUENCE = "15906*38#427"
"""The twelve keys of a telephone, each once, so that one that is missing, extra or out of its place can be named.

Neighbours share neither a row nor a column of the keypad, so no two tones in a row have a frequency in common.
"""

SPACINGS = (1.0, 0.7, 0.5)
"""Seconds from one key to the next, round by round. livekit-sip takes 0.5 s for each key and cannot go faster."""

PAUSE_SECONDS = 2.0
"""Between two rounds."""

SLOW_SECONDS = 1.0
"""A key that takes longer is slow: callers press again when nothing happens."""

MOVED_SECONDS = 5.0
"""A key that arrives out of its place within this time is the one that was missed there."""

DOUBLED_SECONDS = 2.0
"""The same key within this time after its arrival is that key again, and not another one."""

KEYS_KEPT = 200
"""Of a stranger who presses keys during a check no more are kept."""


class Trouble(StrEnum):
    """What can happen to a key."""

    LOST = "lost"
    DOUBLED = "doubled"
    SWAPPED = "swapped"
    FOREIGN = "foreign"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Press:
    """A key, and when it was pressed, or arrived, in seconds since the check began."""

    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What happened to one key. `round` counts from 0; for a key that nobody pressed it is the one it came in.

    `latency` is in seconds, None where the key never arrived or was never pressed. `after` is a key that was
    pressed later and arrived before; empty where there is none.
    """

    key: str
    round: int
    trouble: Trouble
    latency: float | None = None
    after: str = ""

    def __str__(self) -> str:
        match self.trouble:
            case Trouble.LOST:
                return f"Key {self.key} did not arrive"
            case Trouble.DOUBLED:
                return f"Key {self.key} arrived twice"
            case Trouble.FOREIGN:
                return f"Key {self.key} arrived without being pressed"
            case Trouble.SWAPPED:
                return f"Key {self.key} arrived after {self.after}, which was pressed later"
            case Trouble.SLOW:
                behind = f", after {self.after}, which was pressed later" if self.after else ""
                return f"Key {self.key} took {self.latency:.1f} seconds{behind}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One key that was pressed: how long it took, in seconds, or None where it was lost."""

    key: str
    round: int
    latency: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of every key that was pressed, in that order, and what went wrong, in the order of time."""

    arrivals: tuple[Arrival, ...]
    findings: tuple[Finding, ...]


def schedule(spacings: Sequence[float]) -> Iterator[Press]:
    """What is pressed in a whole check, and when; the first key at 0.0 seconds."""
    at = 0.0
    for spacing in spacings:
        for key in SEQUENCE:
            yield Press(key, at)
            at += spacing
        at += PAUSE_SECONDS


def compare(sent: Sequence[Press], heard: Sequence[Press]) -> Comparison:
    """Find each key that was `sent` (whole rounds of SEQUENCE, the last one may be cut off) among those `heard`.

    Both in the order of time, by clocks that agree. A key that seems to arrive before it was pressed, by clocks
    that differ a little, has latency 0.
    """
    arrived = _in_place(sent, heard)
    in_place = frozenset(arrived)
    arrived |= _out_of_place(sent, heard, arrived)
    findings = [
        (press.at, finding)
        for number, press in enumerate(sent)
        if (finding := _trouble_with(number, sent, heard, arrived, moved=number not in in_place))
    ]
    findings += _extra(sent, heard, arrived)
    return Comparison(
        arrivals=tuple(
            Arrival(press.key, _round(number), _latency(press, heard, arrived.get(number)))
            for number, press in enumerate(sent)
        ),
        findings=tuple(finding for _, finding in sorted(findings, key=lambda found: found[0])),
    )


def _round(number: int) -> int:
    return number // len(SEQUENCE)


def _latency(press: Press, heard: Sequence[Press], place: int | None) -> float | None:
    return None if place is None else max(0.0, heard[place].at - press.at)


def _in_place(sent: Sequence[Press], heard: Sequence[Press]) -> dict[int, int]:
    """The longest run of keys that arrived in the order in which they were sent: place in `sent` → in `heard`.

    Of several such runs the one whose keys were fastest: a key that was overtaken is out of place, and not the
    one that overtook it; of a key that came twice the first arrival counts.
    """
    # best[i][j]: how many of sent[i:] can be found in heard[j:] in order, and (negative) how long they took.
    best = [[(0, 0.0)] * (len(heard) + 1) for _ in range(len(sent) + 1)]
    for i in range(len(sent) - 1, -1, -1):
        for j in range(len(heard) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], _taken(i, j, sent, heard, best))
    found: dict[int, int] = {}
    i = j = 0
    while i < len(sent) and j < len(heard):
        if best[i][j] == best[i + 1][j]:
            i += 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            found[i] = j
            i, j = i + 1, j + 1
    return found


def _taken(
    i: int, j: int, sent: Sequence[Press], heard: Sequence[Press], best: list[list[tuple[int, float]]]
) -> tuple[int, float]:
    if sent[i].key != heard[j].key:
        return (0, 0.0)
    count, speed = best[i + 1][j + 1]
    return (count + 1, speed - abs(heard[j].at - sent[i].at))


def _out_of_place(sent: Sequence[Press], heard: Sequence[Press], arrived: dict[int, int]) -> dict[int, int]:
    """Those that arrived, but not in their order; each the first of its kind that is left over."""
    left = [place for place in range(len(heard)) if place not in set(arrived.values())]
    found: dict[int, int] = {}
    for number, press in enumerate(sent):
        if number in arrived:
            continue
        late = (
            place
            for place in left
            if heard[place].key == press.key and 0 <= heard[place].at - press.at <= MOVED_SECONDS
        )
        place = next(late, None)
        if place is not None:
            left.remove(place)
            found[number] = place
    return found


def _trouble_with(
    number: int, sent: Sequence[Press], heard: Sequence[Press], arrived: dict[int, int], *, moved: bool
) -> Finding | None:
    press, place = sent[number], arrived.get(number)
    latency = _latency(press, heard, place)
    if place is None or latency is None:
        return Finding(press.key, _round(number), Trouble.LOST)
    overtook = (
        [later for later, there in arrived.items() if later > number and there < place] if moved else []
    )
    after = sent[max(overtook)].key if overtook else ""
    if latency > SLOW_SECONDS:
        return Finding(press.key, _round(number), Trouble.SLOW, latency, after)
    if after:
        return Finding(press.key, _round(number), Trouble.SWAPPED, latency, after)
    return None


def _extra(
    sent: Sequence[Press], heard: Sequence[Press], arrived: dict[int, int]
) -> Iterator[tuple[float, Finding]]:
    """What arrived and is left over, with its time."""
    of_place = {place: number for number, place in arrived.items()}
    for place, press in enumerate(heard):
        if place in of_place:
            continue
        twice = [
            number
            for there, number in of_place.items()
            if heard[there].key == press.key and 0 <= press.at - heard[there].at <= DOUBLED_SECONDS
        ]
        if twice:
            yield press.at, Finding(press.key, _round(max(twice)), Trouble.DOUBLED)
        else:
            yield press.at, Finding(press.key, _round_at(press.at, sent), Trouble.FOREIGN)


def _round_at(at: float, sent: Iterable[Press]) -> int:
    begun = sum(1 for _ in takewhile(lambda press: press.at <= at, sent))
    return _round(max(begun - 1, 0))
