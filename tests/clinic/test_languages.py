"""One text per language, in forms."""

from __future__ import annotations

import pytest
from django import forms
from django.db import models

from clinic.languages import TextByLanguageField, TextByLanguageFormField, show_clinic_languages, text_in
from clinic.models import Closure


class ClosureTexts(forms.ModelForm):
    class Meta:
        model = Closure
        fields = ["message"]


def test_each_language_has_an_input_with_its_name() -> None:
    page = str(ClosureTexts(initial={"message": {"en": "Closed <now>", "es": "Cerrado"}})["message"])
    assert 'name="message_en"' in page
    assert "Español" in page
    assert "Closed &lt;now&gt;" in page
    assert 'for="id_message_0"' in page
    assert 'id="id_message_0"' in page


def test_texts_come_back_by_language_without_the_empty_ones() -> None:
    form = ClosureTexts({"message_en": " Closed ", "message_es": " "})
    assert form.is_valid()
    assert form.cleaned_data["message"] == {"en": "Closed"}


@pytest.mark.parametrize(("typed", "changed"), [("Closed", False), ("Open", True)])
def test_a_form_knows_whether_a_text_changed(typed: str, changed: bool) -> None:
    form = ClosureTexts({"message_en": typed, "message_es": ""}, initial={"message": {"en": "Closed"}})
    assert form.has_changed() is changed


def test_only_the_clinics_languages_are_shown_in_its_order() -> None:
    form = ClosureTexts(instance=Closure(message={"en": "Closed", "es": "Cerrado"}))
    show_clinic_languages(form, ["es"])
    page = str(form["message"])
    assert "message_es" in page
    assert "message_en" not in page


def test_texts_in_other_languages_are_kept() -> None:
    form = ClosureTexts({"message_es": ""}, instance=Closure(message={"en": "Closed", "es": "Cerrado"}))
    show_clinic_languages(form, ["es"])
    assert form.is_valid()
    assert form.cleaned_data["message"] == {"en": "Closed"}


def test_a_required_text_needs_one_language() -> None:
    field = TextByLanguageFormField(required=True)
    assert field.clean(["", "Hola"]) == {"es": "Hola"}
    with pytest.raises(forms.ValidationError):
        field.clean(["", ""])


def test_long_texts_have_text_areas() -> None:
    assert "<textarea" in str(ClosureTexts()["message"])
    short = TextByLanguageField().formfield()
    assert "<textarea" not in short.widget.render("label", {})
    assert "<textarea" in TextByLanguageField().formfield(multiline=True).widget.render("label", {})


def test_a_migration_keeps_the_fields_settings() -> None:
    field: models.Field[object, object] = TextByLanguageField(multiline=True)
    assert field.clone().multiline  # type: ignore[attr-defined]


def test_a_missing_text_is_empty() -> None:
    assert text_in({"en": " Hello "}, "en") == "Hello"
    assert text_in({}, "es") == ""
