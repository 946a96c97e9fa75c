"""The directory: whom callers can be put through to. No other number is ever called."""

from __future__ import annotations

from copy import copy
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from clinic.admin.rows import ClinicRowForm
from clinic.models import Clinic
from phone.admin.setup import SetupAdmin, show_beside_fields
from phone.building import settings_of
from phone.directory import entry_problems, leads_back, number_in_directory
from phone.models import DirectoryEntry, MenuOption
from phone.numbers import NumberRefused


class DirectoryEntryForm(ClinicRowForm):
    """An entry whose number is read by the directory's own rules, which say more than that it is no number."""

    number = forms.CharField(
        max_length=32,
        widget=UnfoldAdminTextInputWidget,
        help_text="With its area code, such as 212 555 0143.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        clinic: Clinic | None = cleaned.get("clinic") or (
            self.instance.clinic if self.instance.clinic_id else None
        )
        if clinic is None:
            return cleaned
        if typed := cleaned.get("number"):
            try:
                cleaned["number"] = number_in_directory(typed, clinic)
            except NumberRefused as refusal:
                self.add_error("number", str(refusal))
        entry = copy(self.instance)
        for name, value in cleaned.items():
            setattr(entry, name, value)
        show_beside_fields(self, entry_problems(entry, clinic, leads_back()))
        return cleaned


@admin.register(DirectoryEntry)
class DirectoryEntryAdmin(SetupAdmin):
    form = DirectoryEntryForm
    list_display = ("name", "number", "manner", "enabled", "called_for")
    search_fields = ("name",)
    fields = ("clinic", ("name", "enabled"), "spoken", "number", ("manner", "ring_seconds"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[DirectoryEntry]:
        return super().get_queryset(request).select_related("clinic__phone_settings")

    @display(description="Called for")
    def called_for(self, entry: DirectoryEntry) -> str:
        settings = settings_of(entry.clinic)
        uses = {"a person": settings.person_id, "something urgent": settings.urgent_person_id}
        said = [use for use, pk in uses.items() if pk == entry.pk]
        options = MenuOption.objects.filter(person=entry, enabled=True).select_related("menu")
        said += [f"key {option.key} of “{option.menu}”" for option in options]
        return ", ".join(said) or "nothing yet"
