"""What is said in one breath, as parts of which some must never be seen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

BULLET = "•"
_DIGIT_OR_WORD = re.compile(r"\d|[^\W\d_]+")
_NEITHER_SEPARATOR_NOR_BULLET = re.compile(rf"[^\s,.?{BULLET}-]")


class Sensitive(str):
    """Digits that are spoken one by one and shown as bullets.

    Spaces are ignored; any other separator is a short pause: `Sensitive("555, 010, 1234")`.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of speech with one audio clip. A sensitive part is never shown, logged or stored as it is.

    `language` is set where it is not the language of the whole utterance.
    """

    text: str
    sensitive: bool = False
    language: str = ""

    @property
    def masked(self) -> str:
        """The text to show: of a sensitive part one bullet per digit or word, and its separators."""
        if not self.sensitive:
            return self.text
        return _NEITHER_SEPARATOR_NOR_BULLET.sub("", _DIGIT_OR_WORD.sub(BULLET, self.text))

    def __repr__(self) -> str:
        return f"Part({self.masked!r}, sensitive={self.sensitive}, language={self.language!r})"


@dataclass(frozen=True, slots=True)
class Utterance:
    """Parts in the order in which they are spoken."""

    parts: tuple[Part, ...] = ()

    @property
    def text(self) -> str:
        """The whole utterance to show, log and store: each sensitive digit as one bullet."""
        text = ""
        for part in self.parts:
            shown = part.masked
            glued = part.sensitive and text.endswith(BULLET)
            text += shown if glued or not text else f" {shown}"
        return text

    @property
    def spoken(self) -> str:
        """The real words. For the caller's ear only."""
        return " ".join(part.text for part in self.parts)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say. An empty utterance is also false."""
        return not self.parts

    def __bool__(self) -> bool:
        return not self.empty

    @property
    def sensitive(self) -> bool:
        """Whether it reads out what must not be heard again."""
        return any(part.sensitive for part in self.parts)

    def in_language(self, language: str) -> Utterance:
        """The same, spoken in `language` whatever language the call is in."""
        return Utterance(tuple(replace(part, language=language) for part in self.parts))

    def __add__(self, other: Utterance) -> Utterance:
        return Utterance(self.parts + other.parts)

    def __str__(self) -> str:
        return self.text


def joined(utterances: Iterable[Utterance]) -> Utterance:
    """One utterance of them all, in order."""
    return Utterance(tuple(part for utterance in utterances for part in utterance.parts))


def plain(text: str, language: str) -> Utterance:
    """An utterance of one part without anything sensitive; empty for a blank text."""
    text = text.strip()
    return Utterance((Part(text, language=language),)) if text else Utterance()
