"""One thing that staff should put right, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import models

from clinic.languages import LANGUAGES, text_in


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right, at a field of a row where it has one. `blocks` is false for a mere warning."""

    sentence: str
    row: models.Model | None = None
    field: str = ""
    blocks: bool = True


def text_problems(
    row: models.Model, field: str, texts: dict[str, str], languages: Iterable[str], what: str
) -> Iterator[Problem]:
    """A text that is missing in some of `languages`. `what` names it inside the sentence."""
    missing = [LANGUAGES.get(language, language) for language in languages if not text_in(texts, language)]
    if missing:
        yield Problem(f"Write {what} in {' and '.join(missing)}.", row, field)
