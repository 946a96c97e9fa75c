"""Keys: what one entry may be, when it is complete, and who gets each key of a call.

The rules are those of VoiceXML 2.0 Appendix D (first-key and inter-digit time-out, terminator, barge-in, type-ahead),
tabled in docs/keypad.md. Everything here is synchronous and pure but for the time that callers pass in;
`agent_worker.question` puts prompts and timers around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from agent_worker.lines.base import KeyPress

DTMF_KEYS = frozenset("0123456789*#ABCD")
DIGITS = frozenset("0123456789")

LATE_TERMINATOR_SECONDS = 2.0
"""A terminator this soon after a key that ended an entry by itself belongs to that entry, and is swallowed."""

LATE_TERMINATOR_AFTER_CHOICE_SECONDS = 0.4
"""The same after a menu key: short, because a bare terminator may already answer the next question."""

REMEMBERED_PRESSES = 256

Outcome = Literal["accepted", "invalid", "too_short", "no_input"]
Control = Literal["repeat", "person", "cleared"]


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What one entry may be. Times in seconds, lengths in digits.

    With `choices` the entry is one of them (any of the sixteen keys; one may begin another). Without, it is
    digits between `min_digits` and `max_digits`. `clear_key` clears digits, and repeats the prompt of choices.
    `person_key` asks for a person: at once among choices, and alone as a whole entry among digits.
    """

    first_key_timeout: float
    inter_digit_timeout: float
    choices: frozenset[str] = frozenset()
    min_digits: int = 1
    max_digits: int = 1
    terminator: str = "#"
    clear_key: str = "*"
    person_key: str = "0"
    empty_allowed: bool = False

    @property
    def late_terminator_seconds(self) -> float:
        return LATE_TERMINATOR_AFTER_CHOICE_SECONDS if self.choices else LATE_TERMINATOR_SECONDS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of one entry. `full` means that its last key ended it, so that a late terminator may follow."""

    outcome: Outcome
    keys: str
    full: bool = False


class Collector:
    """Collects one entry, key by key. Knows no time: its owner says when a time-out has passed."""

    def __init__(self, rules: EntryRules) -> None:
        self.rules = rules
        self.keys = ""

    def press(self, key: str) -> Verdict | Control | None:
        """Take one key. Return the verdict that it completes, the control it asks for, or None to go on."""
        return self._press_choice(key) if self.rules.choices else self._press_digit(key)

    def time_out(self) -> Verdict | Control:
        """The first-key or the inter-digit time is over: decide with what is there."""
        if not self.keys:
            return Verdict("no_input", "")
        if self.rules.choices:
            return Verdict("accepted" if self.keys in self.rules.choices else "invalid", self.keys)
        return self._finish_digits()

    def _press_choice(self, key: str) -> Verdict | Control | None:
        rules = self.rules
        entered = self.keys + key
        longer = any(choice != entered and choice.startswith(entered) for choice in rules.choices)
        if entered in rules.choices and not longer:
            self.keys = entered
            return Verdict("accepted", entered, full=True)
        if longer:
            self.keys = entered
            return None
        if key == rules.terminator and self.keys:
            return self.time_out()
        if not self.keys and key == rules.clear_key:
            return "repeat"
        if not self.keys and key == rules.person_key:
            return "person"
        return Verdict("invalid", entered, full=True)

    def _press_digit(self, key: str) -> Verdict | Control | None:
        rules = self.rules
        if key == rules.terminator:
            return self._finish_digits()
        if key == rules.clear_key:
            self.keys = ""
            return "cleared"
        self.keys += key
        if key not in DIGITS:
            return Verdict("invalid", self.keys, full=True)
        if len(self.keys) == rules.max_digits:
            return Verdict("accepted", self.keys, full=True)
        return None

    def _finish_digits(self) -> Verdict | Control:
        rules, keys = self.rules, self.keys
        if not keys:
            return Verdict("accepted" if rules.empty_allowed else "too_short", "")
        if keys == rules.person_key and len(keys) < rules.min_digits:
            return "person"
        return Verdict("too_short" if len(keys) < rules.min_digits else "accepted", keys)


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key and the loop time, in seconds, at which it was pressed."""

    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Words:
    """What the caller said or typed in place of keys, and when, in loop seconds."""

    text: str
    at: float
    typed: bool


CallerInput = Pressed | Words


class Hearer(Protocol):
    """Whoever is asking the caller at the moment."""

    def hear(self, given: CallerInput) -> None:
        """Take one key or one utterance. Must not block and must not raise."""

    def leave(self) -> None:
        """The call is over in the middle of the question."""


class KeypadListener:
    """Hears keys and words for the whole call; whoever asks gets them, and early ones wait in order."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.hearer: Hearer | None = None
        self._early: deque[CallerInput] = deque()
        self._seen: deque[str] = deque(maxlen=REMEMBERED_PRESSES)
        self._late_terminator: tuple[str, float] | None = None
        self.on_early: Callable[[CallerInput], None] | None = None
        """Called for input that nobody asks for yet: an announcement uses it to fall silent."""

    def press(self, press: KeyPress) -> None:
        """One key from the line. Unknown keys and repeated deliveries of the same press are dropped."""
        if press.key not in DTMF_KEYS:
            return
        if press.id is not None:
            if press.id in self._seen:
                return
            self._seen.append(press.id)
        self._take(Pressed(press.key, self._now()))

    def words(self, text: str, *, typed: bool) -> None:
        """One utterance from the line or from a speech service. Empty ones are dropped."""
        if text := text.strip():
            self._take(Words(text, self._now(), typed))

    def attach(self, hearer: Hearer) -> None:
        """From now on `hearer` gets what comes; what came early it fetches with `next_early`."""
        self.hearer = hearer

    def detach(self, hearer: Hearer) -> None:
        if self.hearer is hearer:
            self.hearer = None

    def next_early(self) -> CallerInput | None:
        """The oldest input that nobody has used yet, or None."""
        return self._early.popleft() if self._early else None

    def put_back(self, given: CallerInput) -> None:
        """`given` was meant for whoever asks next: they get it first."""
        self._early.appendleft(given)

    @property
    def has_early(self) -> bool:
        return bool(self._early)

    def flush(self) -> None:
        """Forget what came early: after an error the caller did not mean it for the next question."""
        self._early.clear()

    def swallow_late(self, terminator: str, pressed_at: float, seconds: float) -> None:
        """A key at `pressed_at` ended an entry: if the next one is a terminator within `seconds`, drop it."""
        self._late_terminator = (terminator, pressed_at + seconds)
        if self._early and self._is_late_terminator(self._early[0]):
            self._early.popleft()

    def _take(self, given: CallerInput) -> None:
        if self._is_late_terminator(given):
            return
        if self.hearer is None or self._early:
            self._early.append(given)
            if self.hearer is None and self.on_early is not None:
                self.on_early(given)
        else:
            self.hearer.hear(given)

    def _is_late_terminator(self, given: CallerInput) -> bool:
        late, self._late_terminator = self._late_terminator, None
        if late is None or not isinstance(given, Pressed):
            return False
        key, until = late
        return given.key == key and given.at <= until
