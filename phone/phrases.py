"""What callers' words mean, by tables of phrases and without any model. Pure.

A table is `plan.phrases[language]`: kind → phrases, as `phone/data/phrases.*.toml` lists and explains them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from phone.data import load

if TYPE_CHECKING:
    from phone.plan import PhonePlan

Phrases = Mapping[str, tuple[str, ...]]
Words = tuple[str, ...]

NEGATION_REACH = 8
"""How many words after a "not" are still negated."""

_CLAUSE_END = re.compile(r"[.,;:!?¡¿…\n]+|\s[-–—]+\s")
_WORD = re.compile(r"[^\W_]+")
_CONTRACTIONS = (
    (re.compile(r"\b(?:can't|cant|cannot)\b"), "can not"),
    (re.compile(r"\b(?:won't|wont)\b"), "will not"),
    (
        re.compile(r"\b(do|does|did|is|are|was|were|has|have|had|could|would|should|must|need)n'?t\b"),
        r"\1 not",
    ),
    (re.compile(r"\b(it|that|what|there|here|he|she|who|where|how)'s\b"), r"\1 is"),
    (re.compile(r"\b(?:thats)\b"), "that is"),
    (re.compile(r"\b(?:i'm|im)\b"), "i am"),
    (re.compile(r"\b(you|we|they)'re\b"), r"\1 are"),
    (re.compile(r"\b(\w+)'ll\b"), r"\1 will"),
    (re.compile(r"\b(\w+)'ve\b"), r"\1 have"),
    (re.compile(r"\b(\w+)'d\b"), r"\1 would"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"\b(?:dunno)\b"), "do not know"),
)


@cache
def default_phrases(language: str) -> Phrases:
    """The product's own table for `language`. Raises FileNotFoundError for one that it does not have."""
    return {kind: tuple(phrases) for kind, phrases in load(f"phrases.{language}").items()}


def clauses(text: str) -> tuple[Words, ...]:
    """`text` as lower-case words without accents, contractions written out, one tuple per clause."""
    text = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    text = "".join(char for char in text if not unicodedata.combining(char))
    for contraction, written_out in _CONTRACTIONS:
        text = contraction.sub(written_out, text)
    split = (tuple(_WORD.findall(clause.replace("'", ""))) for clause in _CLAUSE_END.split(text))
    return tuple(clause for clause in split if clause)


def normalise(text: str) -> str:
    """The words of `text` as phrases are compared: `"I DON'T, Señor!"` → `"i do not senor"`."""
    return " ".join(_words(text))


def yes_or_no(phrases: Phrases, text: str) -> Literal["yes", "no"] | None:
    """What an answer decides; None when it holds both, neither, or doubt."""
    answers = {answer for clause in clauses(text) for answer in _answers(phrases, clause)}
    if answers == {"yes"}:
        return "yes"
    return "no" if answers == {"no"} else None


def wants_person(phrases: Phrases, text: str) -> bool:
    """Whether the caller asks for a person."""
    return _means(phrases, "person", text)


def is_emergency(phrases: Phrases, text: str) -> bool:
    """Whether the words speak of danger to life: then the emergency sentence is due."""
    return _means(phrases, "emergency", text)


def wants_no_recording(phrases: Phrases, text: str) -> bool:
    """Whether the caller wants the recording to end."""
    return _means(phrases, "no_recording", text)


def wants_repeat(phrases: Phrases, text: str) -> bool:
    """Whether the caller wants to hear the last sentence again."""
    return _means(phrases, "repeat", text)


def wants_nothing_more(phrases: Phrases, text: str) -> bool:
    """Whether the caller is done, asked "Is there anything else?"."""
    return _means(phrases, "nothing_more", text)


def has_none(phrases: Phrases, text: str) -> bool:
    """Whether the caller, asked for a patient ID or a number, has none or does not know it."""
    return _means(phrases, "none", text)


def part_of_day(phrases: Phrases, text: str) -> Literal["morning", "afternoon", "any"] | None:
    """The part of the day that suits the caller; None when none or several are named."""
    if _means(phrases, "any_time", text):
        return "any"
    morning, afternoon = _means(phrases, "morning", text), _means(phrases, "afternoon", text)
    if morning and afternoon:
        return None
    if morning:
        return "morning"
    return "afternoon" if afternoon else None


def wants_language(plan: PhonePlan, text: str) -> str | None:
    """The one enabled language that `text` asks for, in whichever language; else None."""
    tables = {language: _table(plan, language) for language in plan.clinic.languages}
    # "no hablo inglés" must not be heard as a wish for English: every language's "not" counts.
    light = {
        kind: tuple(word for table in tables.values() for word in table.get(kind, ()))
        for kind in ("filler", "negator")
    }
    asked = [
        language
        for language, table in tables.items()
        if _means({**light, "this_language": table.get("this_language", ())}, "this_language", text)
    ]
    return asked[0] if len(asked) == 1 else None


def spoken_digits(language: str, text: str) -> str | None:
    """The digits in an answer that says digits and nothing else of weight, or None.

    `"four eight two one"`, `"my ID is 48 21"`, `"double four"` and `"forty-eight twenty-one"` are understood.
    """
    phrases = default_phrases(language)
    values = _number_words(language)
    filler, joint = _set(phrases, "digit_filler"), _set(phrases, "number_joint")
    repeats = dict.fromkeys(phrases.get("double", ()), 2) | dict.fromkeys(phrases.get("triple", ()), 3)
    digits, times, tens = "", 1, False
    for word in _words(text):
        value = values.get(word, word if word.isascii() and word.isdigit() else None)
        if value is None:
            if word in repeats:
                times, tens = repeats[word], False
            elif not (tens and word in joint):
                tens = False
                if word not in filler:
                    return None
            continue
        if tens and len(value) == 1 and value != "0" and not word.isdigit():
            digits, tens = digits[:-1] + value, False
        else:
            digits += value * times
            tens = len(value) == 2 and value[1] == "0" and value != "10" and not word.isdigit() and times == 1
        times = 1
    return digits or None


@dataclass(frozen=True, slots=True)
class OptionWords:
    """What callers may call one menu option."""

    key: str
    label: str
    own: Sequence[str]
    action: Sequence[str]


def best_option(phrases: Phrases, options: Mapping[int, OptionWords], text: str, language: str) -> int | None:
    """The position of the option that `text` names with the most words; None when none or several do."""
    key = spoken_digits(language, text)
    if by_key := [position for position, option in options.items() if key == option.key]:
        return by_key[0]
    found = {position: _best_match(phrases, option, text) for position, option in options.items()}
    longest = max((match.length for match in found.values()), default=0)
    best = {position: match for position, match in found.items() if longest and match.length == longest}
    if len({match.place for match in best.values()}) == 1:
        # They share the words: staff's own phrase comes before an action's, and that before a label's word.
        strongest = max(match.strength for match in best.values())
        best = {position: match for position, match in best.items() if match.strength == strongest}
    return next(iter(best)) if len(best) == 1 else None


class _Match(NamedTuple):
    """Words of the text that name an option: how many, how surely, and where (clause, word)."""

    length: int
    strength: int
    place: tuple[int, int]


def _best_match(phrases: Phrases, option: OptionWords, text: str) -> _Match:
    return max(_matches(phrases, option, text), default=_Match(0, 0, (0, 0)))


def _matches(phrases: Phrases, option: OptionWords, text: str) -> Iterator[_Match]:
    filler, negators = _set(phrases, "filler"), _set(phrases, "negator")
    own = [_stems(_phrase(phrase)) for phrase in (option.label, *option.own)]
    action = [_stems(_phrase(phrase)) for phrase in option.action]
    label = {*_stems(_without(_phrase(option.label), filler))}
    # "not the office hours" is no to "hours" too.
    light = frozenset(_stems(tuple(filler))).union(*own, *action) - negators
    for number, clause in enumerate(map(_stems, clauses(text))):
        meant = [start for start in range(len(clause)) if not _negated(clause, start, light, negators)]
        if named := [start for start in meant if clause[start] in label]:
            yield _Match(len({clause[start] for start in named}), 0, (number, named[0]))
        for strength, candidates in ((2, own), (1, action)):
            for words in candidates:
                for start in _starts(clause, words):
                    if start in meant:
                        yield _Match(len(words), strength, (number, start))


def _table(plan: PhonePlan, language: str) -> Phrases:
    return plan.phrases.get(language) or default_phrases(language)


def _means(phrases: Phrases, kind: str, text: str) -> bool:
    """Whether `text` holds a phrase of `kind` that is not negated, or is one of `kind`_alone."""
    filler, negators = _set(phrases, "filler"), _set(phrases, "negator")
    alone = {_phrase(phrase) for phrase in phrases.get(f"{kind}_alone", ())}
    whole = _words(text)
    if whole in alone or _without(whole, filler) in alone:
        return True
    anywhere = [_phrase(phrase) for phrase in phrases.get(kind, ())]
    return any(
        not _negated(clause, start, filler, negators)
        for clause in clauses(text)
        for words in anywhere
        for start in _starts(clause, words)
    )


def _answers(phrases: Phrases, clause: Words) -> Iterator[Literal["yes", "no", "unsure"]]:
    """Each decision that one clause holds, the longest phrases first."""
    filler, negators = _set(phrases, "filler"), _set(phrases, "negator")
    kinds = _answer_table(tuple((kind, phrases.get(kind, ())) for kind in _ANSWER_KINDS))
    found: list[tuple[str, int, int]] = []
    taken: set[int] = set()
    for size in range(max(map(len, kinds), default=0), 0, -1):
        for start in range(len(clause) - size + 1):
            kind = kinds.get(clause[start : start + size])
            if kind and taken.isdisjoint(range(start, start + size)):
                found.append((kind, start, start + size))
                taken.update(range(start, start + size))
    content = [index for index, word in enumerate(clause) if index not in taken and word not in filler]
    alone = all(clause[index] in negators for index in content)
    negation = {(word,) for word in negators}
    for kind, start, end in found:
        at_edge = all(index > start for index in content) or all(index < start for index in content)
        match kind:
            case "unsure":
                yield "unsure"
            case "yes_alone" if clause[end : end + 1] in negation:
                # "I do not", "it is not": the words before "not" decide nothing.
                continue
            case "yes" | "yes_alone" if kind == "yes" or alone:
                yield "no" if _negated(clause, start, filler, negators) else "yes"
            case "no":
                yield "no"
            case "no_alone" if alone:
                yield "no"
            case "no_at_edge" if at_edge:
                yield "no"


_ANSWER_KINDS = ("yes", "yes_alone", "no", "no_at_edge", "no_alone", "unsure")


@lru_cache(maxsize=64)
def _answer_table(kinds: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[Words, str]:
    return {_phrase(phrase): kind for kind, phrases in kinds for phrase in phrases}


@cache
def _number_words(language: str) -> Mapping[str, str]:
    """Word → the digits it stands for."""
    return {
        normalise(word): kind.partition("_")[2]
        for kind, words in default_phrases(language).items()
        if kind.startswith(("digit_", "number_")) and kind[-1].isdigit()
        for word in words
    }


def _words(text: str) -> Words:
    return tuple(word for clause in clauses(text) for word in clause)


@lru_cache(maxsize=8192)
def _phrase(phrase: str) -> Words:
    """The words of a phrase from a table. Never for what a caller said: that is not kept."""
    return _words(phrase)


def _set(phrases: Phrases, kind: str) -> frozenset[str]:
    return _normalised(phrases.get(kind, ()))


@lru_cache(maxsize=256)
def _normalised(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalise(word) for word in words)


def _without(words: Words, unwanted: Iterable[str]) -> Words:
    return tuple(word for word in words if word not in unwanted)


def _stems(words: Words) -> Words:
    """Plural and singular made equal; crude, and the same on both sides of a comparison."""
    return tuple(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words)


def _starts(clause: Words, words: Words) -> Iterator[int]:
    """Where `words` stand in `clause`."""
    size = len(words)
    if size:
        yield from (start for start in range(len(clause) - size + 1) if clause[start : start + size] == words)


def _negated(clause: Words, start: int, filler: frozenset[str], negators: frozenset[str]) -> bool:
    """Whether the nearest word of weight before `start` negates what follows."""
    for word in reversed(clause[max(0, start - NEGATION_REACH) : start]):
        if word in negators:
            return True
        if word not in filler:
            return False
    return False
