"""The languages a clinic can offer on the phone, and a model field that holds one text per language."""

from django.db import models

LANGUAGES: dict[str, str] = {"en": "English", "es": "Español"}
"""Language code (BCP 47 primary tag) → its name in that language. A clinic enables some of these."""


def text_in(texts: dict[str, str], language: str) -> str:
    """The text of `texts` in `language`, or an empty string when staff wrote none."""
    return texts.get(language, "").strip()


class TextByLanguageField(models.JSONField):
    """One text per language: `{"en": "Office hours", "es": "Horario"}`. The admin shows one input each."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("default", dict)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
