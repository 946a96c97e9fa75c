"""What a model's words must not say, checked before the caller hears them. Pure; the rules are data.

The guards are the last line, not the first: what the model does not see it cannot say (`model_view`), and what
it cannot do it cannot be talked into (`receptionist_tools`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from agent_worker import instructions
from agent_worker.model_view import number_runs

LONGEST_REPLY = 500
"""Characters that a caller can be expected to listen to: half a minute."""

FEWEST_UNKNOWN_DIGITS = 3
EMERGENCY_NUMBERS = frozenset({"911", "112", "999"})

_CLAUSE_END = re.compile(r"[.,;:!?¿¡…\n]|\s[-–—]+\s|\b(?:but|and so|pero)\b")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is never said; `instructions/guards.toml` explains the exceptions."""

    name: str
    patterns: tuple[re.Pattern[str], ...]
    unless_negated: bool
    unless_known: bool


def broken_rule(text: str, known: str, language: str) -> str | None:
    """The name of the first rule that `text` breaks, or None. `known` is what the clinic lets callers be told.

    Every language's patterns count, whatever language the model answers in.
    """
    if len(text) > LONGEST_REPLY:
        return "too_long"
    said, told = plain(text), plain(known)
    for rule in rules():
        if any(
            _breaks(rule, said, match, told) for pattern in rule.patterns for match in pattern.finditer(said)
        ):
            return rule.name
    return "numbers" if _unknown_numbers(text, known, language) else None


def plain(text: str) -> str:
    """`text` as the patterns read it: lower case, no accents, straight apostrophes, single spaces."""
    text = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'"))
    text = "".join(
        letter for letter in text if not unicodedata.combining(letter) and letter not in "*_`\u200b"
    )
    return " ".join(text.lower().split())


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the file."""
    return tuple(
        Rule(
            name=name,
            patterns=tuple(re.compile(pattern) for pattern in entry["patterns"]),
            unless_negated=entry.get("unless_negated", False),
            unless_known=entry.get("unless_known", False),
        )
        for name, entry in instructions.table("guards").items()
        if isinstance(entry, dict)
    )


@cache
def _negations() -> re.Pattern[str]:
    return re.compile(instructions.table("guards")["negations"])


def _breaks(rule: Rule, said: str, match: re.Match[str], told: str) -> bool:
    if rule.unless_known and match.group() in told:
        return False
    return not (rule.unless_negated and _negations().search(_clause_before(said, match)))


def _clause_before(said: str, match: re.Match[str]) -> str:
    """What stands in the same clause before the match, and in the match itself before its last word."""
    before = _CLAUSE_END.split(said[: match.start()])[-1]
    return f"{before} {match.group().rpartition(' ')[0]}"


def _unknown_numbers(text: str, known: str, language: str) -> bool:
    told = {run.digits for run in number_runs(known, language)} | EMERGENCY_NUMBERS
    return any(
        len(run.digits) >= FEWEST_UNKNOWN_DIGITS and not any(run.digits in digits for digits in told)
        for run in number_runs(text, language)
    )
