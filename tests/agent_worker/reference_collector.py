"""The rules of docs/keypad.md once more, as plainly as they go: what must become of every key of a call.

Written from that page and from nothing else, without events, timers or a session: it walks through the keys with a
clock in its hand. All times are seconds since the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ask:
    """One question. With `choices` it takes one of them, without it takes digits."""

    step: str
    first_key: float
    inter_digit: float
    choices: frozenset[str] = frozenset()
    fewest: int = 1
    most: int = 1
    refused: str = ""
    """Digits that begin with this are refused, whatever their length."""
    languages: Mapping[str, str] = field(default_factory=dict)
    must_hear: bool = False
    limit: int = 3
    late_terminator: float = 2.0


@dataclass(frozen=True)
class Press:
    key: str
    at: float


@dataclass(frozen=True)
class Entry:
    """One thing that was entered, and when it was decided."""

    at: float
    step: str
    outcome: str
    keys: str
    attempt: int


@dataclass
class Told:
    """What became of a call's keys: each is in exactly one of `used`, `swallowed`, `forgotten`, `left`."""

    entries: list[Entry] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    swallowed: int = 0
    forgotten: int = 0
    left: int = 0


class Reference:
    """Walks through `presses` (in order) with questions whose prompts all take `prompt` seconds."""

    def __init__(self, presses: Sequence[Press], *, prompt: float) -> None:
        self.presses = presses
        self.prompt = prompt
        self.now = 0.0
        self.next = 0
        self.late_until = -1.0
        self.told = Told()

    def run(self, questions: Iterator[Ask]) -> Told:
        """Ask one question after the other until no key is left when one is answered."""
        while True:
            self.told.answers.append(self.question(next(questions)))
            self.drop_late_terminator_that_is_here()
            if self.next == len(self.presses):
                return self.told

    def question(self, ask: Ask) -> str:
        failures: dict[str, int] = {}
        attempt = 1
        begin = self.now
        if ask.must_hear:
            begin = self.now = self.now + self.prompt
            prompt_end = begin
        else:
            prompt_end = begin + self.prompt
        while True:
            outcome, keys, early = self.entry(ask, prompt_end, begin)
            if outcome in ("person", "language"):
                self.told.entries.append(Entry(self.now, ask.step, "accepted", keys, attempt))
                return outcome
            self.told.entries.append(Entry(self.now, ask.step, outcome, keys, attempt))
            if outcome == "accepted":
                return keys
            if early:
                self.forget_what_came_until(begin)
            attempt += 1
            failures[outcome] = failures.get(outcome, 0) + 1
            if failures[outcome] == ask.limit:
                return outcome
            prompt_end = self.now + self.prompt

    def entry(self, ask: Ask, prompt_end: float, begin: float) -> tuple[str, str, bool]:
        """Collect one entry. Returns outcome, keys, and whether a key that was typed ahead ended it."""
        keys = ""
        deadline = prompt_end + ask.first_key
        while True:
            press = self.take_before(deadline)
            if press is None:
                return (*self.at_a_pause(ask, keys), False)
            self.told.used.append((ask.step, press.key))
            early = press.at <= begin
            key = press.key
            if keys == "" and key in ask.languages:
                self.may_be_followed_by_terminator(ask, press)
                return "language", key, early
            if ask.choices:
                candidates = [choice for choice in ask.choices if choice.startswith(keys + key)]
                if candidates == [keys + key]:
                    self.may_be_followed_by_terminator(ask, press)
                    return "accepted", keys + key, early
                if candidates:
                    keys += key
                    deadline = self.now + ask.inter_digit
                elif keys and key == "#":
                    return (*self.at_a_pause(ask, keys), early)
                elif not keys and key == "*":
                    deadline = self.now + self.prompt + ask.first_key
                elif not keys and key == "0":
                    self.may_be_followed_by_terminator(ask, press)
                    return "person", key, early
                else:
                    self.may_be_followed_by_terminator(ask, press)
                    return "invalid", keys + key, early
            elif key == "#":
                return (*self.number(ask, keys), early)
            elif key == "*":
                keys = ""
                deadline = self.now + ask.first_key
            else:
                keys += key
                deadline = self.now + ask.inter_digit
                if key in "ABCD":
                    self.may_be_followed_by_terminator(ask, press)
                    return "invalid", keys, early
                if len(keys) == ask.most:
                    self.may_be_followed_by_terminator(ask, press)
                    return (*self.number(ask, keys), early)

    def at_a_pause(self, ask: Ask, keys: str) -> tuple[str, str]:
        if not keys:
            return "no_input", ""
        if ask.choices:
            return ("accepted" if keys in ask.choices else "invalid"), keys
        return self.number(ask, keys)

    def number(self, ask: Ask, keys: str) -> tuple[str, str]:
        if keys == "":
            return "accepted", ""
        if keys == "0" and ask.fewest > 1:
            return "person", keys
        if len(keys) < ask.fewest:
            return "too_short", keys
        if ask.refused and keys.startswith(ask.refused):
            return "invalid", keys
        return "accepted", keys

    def take_before(self, deadline: float) -> Press | None:
        """The next key, unless it comes after `deadline`; the clock moves to whichever it is."""
        while self.next < len(self.presses):
            press = self.presses[self.next]
            if press.at > deadline:
                break
            self.next += 1
            self.now = max(self.now, press.at)
            if self.is_late_terminator(press):
                continue
            return press
        self.now = deadline
        return None

    def may_be_followed_by_terminator(self, ask: Ask, press: Press) -> None:
        self.late_until = press.at + ask.late_terminator

    def is_late_terminator(self, press: Press) -> bool:
        late_until, self.late_until = self.late_until, -1.0
        late = press.key == "#" and press.at <= late_until
        self.told.swallowed += late
        return late

    def drop_late_terminator_that_is_here(self) -> None:
        if self.next < len(self.presses) and self.presses[self.next].at <= self.now and self.late_until >= 0:
            self.next += self.is_late_terminator(self.presses[self.next])

    def forget_what_came_until(self, moment: float) -> None:
        self.drop_late_terminator_that_is_here()
        while self.next < len(self.presses) and self.presses[self.next].at <= moment:
            self.next += 1
            self.told.forgotten += 1
