"""Everything that a model may see, decided here and nowhere else.

A model is told what the clinic's staff wrote for callers and what the caller said, without digits. It is never
told a patient's data, a caller's number, an ID, or anything at all before consent covers outside processing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from agent_worker import instructions
from agent_worker.speech import Speech
from clinic.languages import LANGUAGES
from phone import wording
from phone.phrases import default_phrases, normalise
from phone.plan import PhonePlan

HIDDEN = "[number]"
"""What a model sees in place of digits."""

FEWEST_HIDDEN_DIGITS = 3
"""Shorter numbers stay: "at 10", "for two"."""

_TOKEN = re.compile(r"\d+|[^\W\d_]+|[\W_]+")
_SEPARATOR = re.compile(r"[\s.,()/+–—-]*")


def may_use_model(speech: Speech, *, outside_allowed: bool) -> bool:
    """Whether there is a model, and the caller's consent lets it hear them."""
    return speech.llm is not None and outside_allowed


def receptionist_instructions(plan: PhonePlan, language: str, at: datetime, topic: str = "") -> str:
    """What the talking receptionist is told. `at` is aware; the clock is the clinic's."""
    local = at.astimezone(ZoneInfo(plan.schedule.zone))
    return instructions.text("receptionist").format(
        clinic=plan.clinic.name,
        language=LANGUAGES[language],
        now=format_datetime(local, "EEEE, MMMM d, h:mm a", locale="en"),
        hours=wording.office_hours(plan, language, at).text,
        address=plan.clinic.address or "not known",
        facts=plan.clinic.receptionist_facts.strip() or "nothing more",
        topic=f"- The caller chose: {topic}" if topic else "",
    )


def known_facts(plan: PhonePlan, language: str, at: datetime) -> str:
    """What callers may be told, as text: a model's words are held against it."""
    clinic = plan.clinic
    hours = wording.office_hours(plan, language, at).text
    return "\n".join((clinic.name, hours, clinic.address, clinic.office_number, clinic.receptionist_facts))


def deciding_instructions(question: str, choices: Mapping[str, str]) -> str:
    """What a model is told that matches one answer with the choices of one question."""
    listed = "\n".join(f"- {key}: {label}" for key, label in choices.items())
    return instructions.text("decide").format(question=question, choices=listed)


def discreet(text: str, language: str) -> str:
    """The caller's words as a model may see them: numbers of three digits and more are hidden.

    So is an answer of nothing but digits, however few: a caller may give an ID one by one.
    """
    runs = list(number_runs(text, language))
    nothing_else = not any(letter.isalpha() for letter in _without(text, runs, ""))
    return _without(text, [r for r in runs if nothing_else or len(r.digits) >= FEWEST_HIDDEN_DIGITS], HIDDEN)


def _without(text: str, runs: list[NumberRun], stand_in: str) -> str:
    kept, end = "", 0
    for run in runs:
        kept += text[end : run.start] + stand_in
        end = run.end
    return kept + text[end:]


@dataclass(frozen=True, slots=True)
class NumberRun:
    """Digits in a text, in figures or in words, that belong together, and where they stand."""

    digits: str
    start: int
    end: int


def number_runs(text: str, language: str) -> Iterator[NumberRun]:
    """Every number in `text`: `48-21`, `four eight two one`, `double four`; `10:30` is two of them.

    Numbers are found in the words of `language` and, as callers mix them, of the others.
    """
    words = _number_words(language)
    digits, start, end, times, tens = "", 0, 0, 1, False
    for token in _TOKEN.finditer(text):
        figures = token.group().isdigit()
        word = token.group() if figures else normalise(token.group())
        value = word if figures else words.numbers.get(word)
        if value is not None:
            start = start if digits else token.start()
            ones = tens and not figures and len(value) == 1 and value != "0"
            digits = digits[:-1] + value if ones else digits + value * times
            tens = not figures and len(value) == 2 and value.endswith("0") and value != "10"
            end, times = token.end(), 1
        elif word in words.repeats:
            times, tens = words.repeats[word], False
        elif digits and not (_SEPARATOR.fullmatch(token.group()) or word in words.joints):
            yield NumberRun(digits, start, end)
            digits, times, tens = "", 1, False
    if digits:
        yield NumberRun(digits, start, end)


@dataclass(frozen=True, slots=True)
class _NumberWords:
    numbers: Mapping[str, str]
    repeats: Mapping[str, int]
    joints: frozenset[str]


@cache
def _number_words(language: str) -> _NumberWords:
    numbers: dict[str, str] = {}
    repeats: dict[str, int] = {}
    joints: set[str] = set()
    for other in (*(code for code in LANGUAGES if code != language), language):
        for kind, words in default_phrases(other).items():
            # A short word of another language is most likely none: "o" is a zero here and "or" there.
            listed = [normalise(word) for word in words if other == language or len(word) > 2]
            if kind.startswith(("digit_", "number_")) and kind[-1].isdigit():
                numbers |= dict.fromkeys(listed, kind.partition("_")[2])
            elif kind in ("double", "triple"):
                repeats |= dict.fromkeys(listed, 2 if kind == "double" else 3)
            elif kind == "number_joint":
                joints |= set(listed)
    return _NumberWords(numbers, repeats, frozenset(joints))
