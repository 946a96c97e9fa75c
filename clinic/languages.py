"""The languages a clinic can offer on the phone, and a model field that holds one text per language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.db import models
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

LANGUAGES: dict[str, str] = {"en": "English", "es": "Español"}
"""Language code (BCP 47 primary tag) → its name in that language. A clinic enables some of these."""


def text_in(texts: dict[str, str], language: str) -> str:
    """The text of `texts` in `language`, or an empty string when staff wrote none."""
    return texts.get(language, "").strip()


class TextByLanguageWidget(forms.MultiWidget):
    """One input per language, each with the language's name. The input of `label` in English is `label_en`."""

    def __init__(
        self,
        languages: Iterable[str] = LANGUAGES,
        *,
        multiline: bool = False,
        attrs: dict[str, Any] | None = None,
    ) -> None:
        self.languages = tuple(languages)
        widgets = {
            language: UnfoldAdminTextareaWidget(attrs={"rows": 2, "lang": language})
            if multiline
            else UnfoldAdminTextInputWidget(attrs={"lang": language})
            for language in self.languages
        }
        super().__init__(widgets, attrs)

    def decompress(self, value: object) -> list[str]:
        texts = value if isinstance(value, Mapping) else {}
        return [texts.get(language, "") for language in self.languages]

    def render(
        self,
        name: str,
        value: object,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        inputs = self.get_context(name, value, attrs)["widget"]["subwidgets"]
        rows = [
            {
                "language": language,
                "name": LANGUAGES[language],
                "id": context["attrs"].get("id", ""),
                "input": widget.render(context["name"], context["value"], context["attrs"], renderer),
            }
            for language, widget, context in zip(self.languages, self.widgets, inputs, strict=True)
        ]
        return render_to_string("admin/clinic/text_by_language.html", {"rows": rows})


class TextByLanguageFormField(forms.MultiValueField):
    """One text per language, as a dict without the empty ones.

    It offers every language until `show_only` narrows it to the clinic's.
    """

    def __init__(self, *, multiline: bool = False, **kwargs: Any) -> None:
        self.multiline = multiline
        self.languages = tuple(LANGUAGES)
        self.hidden_texts: dict[str, str] = {}
        kwargs["widget"] = TextByLanguageWidget(self.languages, multiline=multiline)
        super().__init__(self._inputs(), require_all_fields=False, **kwargs)

    def show_only(self, languages: Iterable[str], texts: Mapping[str, str]) -> None:
        """Offer `languages` alone; what `texts` (the stored value) says in others stays as it is."""
        self.languages = tuple(language for language in languages if language in LANGUAGES)
        self.hidden_texts = {
            language: text for language, text in texts.items() if language not in self.languages
        }
        self.widget = TextByLanguageWidget(self.languages, multiline=self.multiline)
        self.fields = self._inputs()

    def compress(self, data_list: list[str]) -> dict[str, str]:
        texts = zip(self.languages, data_list, strict=False)
        return {language: text for language, text in texts if text} | self.hidden_texts

    def _inputs(self) -> tuple[forms.CharField, ...]:
        return tuple(forms.CharField(required=False) for _ in self.languages)


class TextByLanguageField(models.JSONField):
    """One text per language: `{"en": "Office hours", "es": "Horario"}`. The admin shows one input each.

    `multiline` makes them text areas, for what may be more than a few words.
    """

    def __init__(self, *args: Any, multiline: bool = False, **kwargs: Any) -> None:
        self.multiline = multiline
        kwargs.setdefault("default", dict)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | ({"multiline": True} if self.multiline else {})

    def formfield(self, **kwargs: Any) -> Any:
        # The admin proposes a text area for any JSON; this field brings inputs of its own.
        kwargs |= {"form_class": TextByLanguageFormField, "show_hidden_initial": False}
        kwargs.pop("widget", None)
        kwargs.setdefault("multiline", self.multiline)
        # Past JSONField's own, which passes an encoder and a decoder on.
        return models.Field.formfield(self, **kwargs)


def show_clinic_languages(form: forms.BaseModelForm[Any], languages: Iterable[str]) -> None:
    """Narrow every TextByLanguageField of `form` to a clinic's `languages`."""
    offered = tuple(languages)
    for name, field in form.fields.items():
        if isinstance(field, TextByLanguageFormField):
            field.show_only(offered, getattr(form.instance, name, None) or {})
