"""Where the office edits what callers hear: menus and their options, telephone manners, wording."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from clinic.admin.rows import ClinicRowAdmin, ClinicRowForm
from clinic.languages import LANGUAGES, show_clinic_languages, text_in
from clinic.models import Clinic, Closure
from phone.building import settings_of
from phone.directory import option_person_problems, person_problems
from phone.models import DirectoryEntry, Menu, MenuOption, PhoneSettings, Wording
from phone.problems import Problem
from phone.validation import (
    option_problems,
    publish_date_problems,
    same_key_problems,
    settings_problems,
    wording_problems,
)
from phone.wording import WORDING_KEYS, default_wording

BANNER = "admin/phone/plan_banner.html"


def show_beside_fields(form: forms.ModelForm, problems: Iterable[Problem]) -> None:
    """Put each problem beside its field; a field that already has an error keeps to that one."""
    for problem in problems:
        field = problem.field if problem.field in form.fields else None
        if problem.blocks and not (field and form.has_error(field)):
            form.add_error(field, problem.sentence)


def offer_rows(form: forms.ModelForm, name: str, model: type[Menu | DirectoryEntry], clinic_id: int) -> None:
    """Let the field, where the form has it, choose among the clinic's own rows only."""
    field = form.fields.get(name)
    if isinstance(field, forms.ModelChoiceField):
        field.queryset = model._default_manager.filter(clinic=clinic_id)


class SetupAdmin(ClinicRowAdmin):
    """A page of the plan: it begins with what callers hear now."""

    form = ClinicRowForm
    list_before_template = BANNER
    change_form_outer_before_template = BANNER


class OptionFormSet(forms.BaseInlineFormSet):
    """A menu's options: each by itself, and all of them together."""

    instance: Menu

    def add_fields(self, form: forms.ModelForm, index: int | None) -> None:
        super().add_fields(form, index)
        if self.instance.clinic_id:
            show_clinic_languages(form, self.instance.clinic.languages)
            offer_rows(form, "target_menu", Menu, self.instance.clinic_id)
            offer_rows(form, "person", DirectoryEntry, self.instance.clinic_id)

    def clean(self) -> None:
        super().clean()
        if not self.instance.clinic_id:
            return
        kept = [
            form
            for form in self.forms
            if hasattr(form, "cleaned_data") and (form.instance.pk or form.has_changed())
            if not form.cleaned_data.get("DELETE")
        ]
        settings = settings_of(self.instance.clinic)
        twice = list(same_key_problems(form.instance for form in kept))
        for form in kept:
            show_beside_fields(form, [problem for problem in twice if problem.row is form.instance])
            show_beside_fields(form, option_problems(form.instance, self.instance.clinic.languages, settings))
            show_beside_fields(form, option_person_problems(form.instance, self.instance.clinic_id))

    def save_new(self, form: forms.ModelForm, commit: bool = True) -> MenuOption:
        # A new option has not been dragged anywhere: it comes last.
        form.instance.position = 1 + max((each.instance.position for each in self.initial_forms), default=-1)
        form.instance.position += self.extra_forms.index(form)
        return super().save_new(form, commit)


class MenuOptionInline(StackedInline):
    model = MenuOption
    fk_name = "menu"
    formset = OptionFormSet
    extra = 0
    ordering_field = "position"
    hide_ordering_field = True
    collapsible = True
    fields = (
        ("key", "enabled"),
        "label",
        "action",
        "message",
        "target_menu",
        "language",
        "person",
        "topic",
        "identify_first",
        "phrases",
        "position",
    )

    class Media:
        js = ("phone/admin/menu_options.js",)


@admin.register(Menu)
class MenuAdmin(SetupAdmin):
    list_display = ("name", "choices", "used_as")
    search_fields = ("name",)
    fields = ("clinic", "name", "intro")
    inlines = (MenuOptionInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Menu]:
        enabled = MenuOption.objects.filter(enabled=True)
        return (
            super()
            .get_queryset(request)
            .select_related("clinic__phone_settings")
            .prefetch_related(Prefetch("options", queryset=enabled))
        )

    @display(description="Options")
    def choices(self, menu: Menu) -> str:
        return " · ".join(str(option) for option in menu.options.all()) or "none yet"

    @display(description="Callers hear it")
    def used_as(self, menu: Menu) -> str:
        settings = settings_of(menu.clinic)
        uses = {"as the main menu": settings.main_menu_id, "when closed": settings.closed_menu_id}
        return ", ".join(use for use, pk in uses.items() if pk == menu.pk) or "from another menu"


class PhoneSettingsForm(ClinicRowForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.clinic_id:
            for name in ("main_menu", "closed_menu"):
                offer_rows(self, name, Menu, self.instance.clinic_id)
            for name in ("person", "urgent_person"):
                offer_rows(self, name, DirectoryEntry, self.instance.clinic_id)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        # The rules look at a whole row, so they get one: what was saved, with what was typed put over it.
        typed = copy(self.instance)
        for name, value in cleaned.items():
            setattr(typed, name, value)
        show_beside_fields(self, settings_problems(typed))
        show_beside_fields(self, publish_date_problems(typed, timezone.now()))
        if typed.clinic_id:
            show_beside_fields(self, person_problems(typed, typed.clinic))
        for name in ("main_menu", "closed_menu"):
            menu = cleaned.get(name)
            if menu and typed.clinic_id and menu.clinic_id != typed.clinic_id:
                self.add_error(name, "This menu belongs to another clinic.")
        return cleaned


@admin.register(PhoneSettings)
class PhoneSettingsAdmin(SetupAdmin):
    form = PhoneSettingsForm
    list_display = ("clinic", "publish_mode", "consent_policy", "main_menu", "closed_menu")
    list_select_related = ("clinic", "main_menu", "closed_menu")
    fieldsets = (
        ("When changes go live", {"fields": ("clinic", "publish_mode", "publish_at")}),
        ("Menus", {"fields": ("main_menu", "closed_menu", "no_emergency_sentence")}),
        ("A person", {"fields": ("person", "urgent_person")}),
        (
            "Consent to recording",
            {
                "fields": (
                    "consent_policy",
                    "consent_input",
                    "on_refusal",
                    "early_answer_permits_recording",
                    "covers_recording",
                    "covers_transcript",
                    "covers_outside_processing",
                )
            },
        ),
        ("The talking receptionist", {"fields": ("receptionist_facts",)}),
        (
            "Keys and waiting times",
            {
                "fields": (
                    ("first_key_timeout", "inter_digit_timeout"),
                    ("id_first_key_timeout", "id_inter_digit_timeout"),
                    ("id_min_digits", "id_max_digits"),
                    ("terminator", "clear_key"),
                    ("invalid_limit", "no_input_limit", "too_short_limit"),
                )
            },
        ),
        ("Limits", {"fields": ("max_call_seconds", "voicemail_seconds", "calls_at_once")}),
    )
    conditional_fields = {
        "publish_at": "publish_mode == 'at'",
        "consent_input": "consent_policy == 'ask'",
        "on_refusal": "consent_policy == 'ask'",
        "early_answer_permits_recording": "consent_policy == 'ask'",
        "covers_recording": "consent_policy != 'off'",
        "covers_transcript": "consent_policy != 'off'",
        "covers_outside_processing": "consent_policy != 'off'",
    }

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page with its times on the clinic's clock: what is typed, and what is shown."""
        row = self.get_object(request, object_id) if object_id else None
        clinic = row.clinic if row else Clinic.objects.first()
        with timezone.override(clinic.time_zone if clinic else None):
            response = super().changeform_view(request, object_id, form_url, extra_context)
            return response.render() if isinstance(response, TemplateResponse) else response


def sentence_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every sentence with what it is for, by part of the call, for a choice field."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for key in WORDING_KEYS.values():
        name = key.key.replace("_", " ").capitalize()
        groups.setdefault(key.group, []).append((key.key, f"{name} — {key.description}"))
    return list(groups.items())


class WordingForm(ClinicRowForm):
    key = forms.ChoiceField(label="Sentence", choices=sentence_choices, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = WORDING_KEYS.get(self.instance.key or self.initial.get("key", ""))
        if chosen:
            usual = [f"{LANGUAGES[language]}: “{text}”" for language, text in usual_texts(chosen.key).items()]
            named = ", ".join(f"{{{name}}}" for name in sorted(chosen.placeholders))
            self.fields["text"].help_text = f"Usually said: {' '.join(usual)} It may hold {named}."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        clinic = cleaned.get("clinic") or (self.instance.clinic if self.instance.clinic_id else None)
        if clinic and {"key", "text"} <= cleaned.keys():
            typed = Wording(key=cleaned["key"], text=cleaned["text"], clinic=clinic)
            show_beside_fields(self, wording_problems(typed, clinic, settings_of(clinic)))
        return cleaned


@admin.register(Wording)
class WordingAdmin(SetupAdmin):
    form = WordingForm
    fields = ("clinic", "key", "text")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = super().get_changeform_initial_data(request)
        if initial.get("key") in WORDING_KEYS:
            initial["text"] = usual_texts(initial["key"])
        return initial

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Every sentence in the order of a call: what is usually said, and what the clinic says instead."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        clinics = list(Clinic.objects.prefetch_related("wordings"))
        clinic = next((each for each in clinics if str(each.pk) == request.GET.get("clinic")), None)
        clinic = clinic or next(iter(clinics), None)
        context = self.admin_site.each_context(request) | {
            "title": "Wording",
            "opts": self.opts,
            "model_admin": self,
            "media": self.media,
            "page_clinic": clinic,
            "clinics": clinics,
            "groups": self._groups(request, clinic) if clinic else {},
        }
        return TemplateResponse(
            request, "admin/phone/wording/sentences.html", context | (extra_context or {})
        )

    def _groups(self, request: HttpRequest, clinic: Clinic) -> dict[str, list[dict[str, Any]]]:
        own = {wording.key: wording for wording in clinic.wordings.all()}
        can_write = self.has_add_permission(request) and self.has_change_permission(request)
        groups: dict[str, list[dict[str, Any]]] = {}
        for key in WORDING_KEYS.values():
            groups.setdefault(key.group, []).append(
                {
                    "key": key,
                    "texts": _said(clinic, key.key, own.get(key.key)),
                    "own": key.key in own,
                    "link": self._link(clinic, key.key, own.get(key.key)) if can_write else "",
                }
            )
        return groups

    def _link(self, clinic: Clinic, key: str, own: Wording | None) -> str:
        if own:
            return reverse("admin:phone_wording_change", args=(own.pk,))
        return f"{reverse('admin:phone_wording_add')}?{urlencode({'clinic': str(clinic.pk), 'key': key})}"


def _said(clinic: Clinic, key: str, own: Wording | None) -> list[dict[str, str]]:
    return [
        {
            "language": LANGUAGES.get(language, language),
            "usual": default_wording(language)[key],
            "own": text_in(own.text, language) if own else "",
        }
        for language in clinic.languages
    ]


def usual_texts(key: str) -> dict[str, str]:
    """What the product says for `key`, by language."""
    return {language: default_wording(language)[key] for language in LANGUAGES}


# The clinic's own pages make the plan too. The clinic knows nothing of phones, so the phone puts its banner there.
for model in (Clinic, Closure):
    clinic_page = admin.site.get_model_admin(model)
    if isinstance(clinic_page, ModelAdmin):
        clinic_page.list_before_template = BANNER
        clinic_page.change_form_outer_before_template = BANNER
