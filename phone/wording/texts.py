"""The sentences: the product's own, what staff made of them, and filling in their placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from phone.data import load
from phone.plan import PhonePlan
from phone.wording.utterance import Part, Sensitive, Utterance

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# Three letters before the stop, so that "Dr. Lee" stays in one piece.
_SENTENCE_END = re.compile(r"(?<=[^\W\d_}]{3}[.!?])\s+(?=[\w¿¡{])|(?<=\}[.!?])\s+(?=[\w¿¡{])")
_SPACE = re.compile(r"\s+")
_PAUSE = re.compile(r"[^0-9]+")
_ENDINGS = ("", ",", ".", "?")
FIXED_PLACEHOLDERS = frozenset({"clinic", "key", "label", "choices", "address", "person", "topic"})
"""Placeholders whose values are known when a plan is published."""


class WordingError(LookupError):
    """A wording key that does not exist, or a placeholder that nothing fills."""


@dataclass(frozen=True, slots=True)
class WordingKey:
    """One sentence as staff see it: which part of the call, what it is for, what it may contain."""

    key: str
    group: str
    description: str
    placeholders: frozenset[str]


def placeholders(text: str) -> frozenset[str]:
    """The names in `{braces}` in `text`."""
    return frozenset(_PLACEHOLDER.findall(text))


def default_wording(language: str) -> dict[str, str]:
    """The product's own sentences, key → text. Raises FileNotFoundError for another language."""
    return dict(load(f"wording.{language}"))


def _wording_keys() -> Iterator[WordingKey]:
    texts = default_wording("en")
    for group, keys in load("wording.keys").items():
        for key, description in keys.items():
            yield WordingKey(key, group, description, placeholders(texts[key]) | {"clinic"})


WORDING_KEYS: Mapping[str, WordingKey] = {key.key: key for key in _wording_keys()}
"""Every sentence, in the order of a call."""


@cache
def digit_words(language: str) -> Mapping[str, str]:
    """Digit → the word that says it: `{"4": "four"}`."""
    return {str(digit): word for digit, word in enumerate(load("formats")[language]["digits"])}


@cache
def digit_clips(language: str) -> frozenset[str]:
    """The text of every part that reading digits back can need: each word with each ending."""
    return frozenset(word + ending for word in digit_words(language).values() for ending in _ENDINGS)


def template(plan: PhonePlan, key: str, language: str) -> str:
    """The text of `key`: the clinic's in `language`, else the product's, else the clinic's first language's.

    A blank text is one that the clinic wants unsaid. Raises WordingError for an unknown key.
    """
    first = plan.clinic.languages[0] if plan.clinic.languages else "en"
    for texts in (
        plan.wording.get(language, {}),
        default_wording(language) if language in load("formats") else {},
        plan.wording.get(first, {}),
        default_wording("en"),
    ):
        if key in texts:
            return texts[key]
    raise WordingError(f"There is no wording called {key!r}.")


def say(plan: PhonePlan, key: str, language: str, /, **values: str) -> Utterance:
    """The wording `key` in `language` with its placeholders filled; `{clinic}` fills itself.

    A text whose values are all known beforehand is one part; others are one part a sentence, so that only the
    sentence with the unknown value is not rendered yet. Each digit of a sensitive value is a part of its own.
    Raises WordingError for an unknown key, or for a placeholder without a value.
    """
    text, known = _text_and_values(plan, key, language, values)
    if not text:
        return Utterance()
    whole = placeholders(text) <= FIXED_PLACEHOLDERS
    sentences = [text] if whole else _SENTENCE_END.split(text)
    return Utterance(tuple(part for sentence in sentences for part in _fill(sentence, known, language)))


def filled(plan: PhonePlan, key: str, language: str, /, **values: str) -> str:
    """The wording `key` as plain text, to stand inside another sentence. Raises as `say` does."""
    text, known = _text_and_values(plan, key, language, values)
    return _PLACEHOLDER.sub(lambda name: known[name[1]], text)


def _text_and_values(
    plan: PhonePlan, key: str, language: str, values: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    text = template(plan, key, language).strip()
    known = {"clinic": plan.clinic.name, **values}
    if missing := placeholders(text) - known.keys():
        raise WordingError(f"The wording {key!r} needs a value for {{{'}, {'.join(sorted(missing))}}}.")
    return text, known


def _fill(sentence: str, values: Mapping[str, str], language: str) -> Iterator[Part]:
    """The parts of one sentence: a run of plain text each, and each sensitive digit."""
    plain = ""
    pieces = _PLACEHOLDER.split(sentence)
    for position, piece in enumerate(pieces):
        if position % 2 == 0:
            plain += piece
            continue
        value = values[piece]
        if not isinstance(value, Sensitive):
            plain += value if plain or position > 1 else _capitalised(value)
            continue
        if plain.strip():
            yield Part(plain.strip(), language=language)
        plain = ""
        following = pieces[position + 1].lstrip()
        yield from _digits(value, language, ending=following[:1])
        pieces[position + 1] = following.lstrip(".,;:!?")
    if plain.strip():
        yield Part(plain.strip(), language=language)


def _digits(value: str, language: str, ending: str) -> Iterator[Part]:
    words = digit_words(language)
    groups = [group for group in _PAUSE.split(_SPACE.sub("", value)) if group]
    for group in groups:
        pause = "," if group is not groups[-1] else ending if ending in _ENDINGS else ""
        yield from (Part(words[digit], sensitive=True, language=language) for digit in group[:-1])
        yield Part(words[group[-1]] + pause, sensitive=True, language=language)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
