"""What the clinic's own pages share: rows of one clinic, deleting row by row, opening times that do not overlap."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSingleTimeWidget

from clinic import hours
from clinic.languages import show_clinic_languages
from clinic.models import Clinic

TIMES_IN_MINUTES = {models.TimeField: {"widget": UnfoldAdminSingleTimeWidget(format="%H:%M")}}


def at_clinic(at: datetime, clinic: Clinic) -> str:
    """A moment as the clinic's wall clock shows it: “Mon 23 Nov 2026, 14:05”."""
    return date_format(at.astimezone(ZoneInfo(clinic.time_zone)), "D j M Y, H:i")


def staff_user(request: HttpRequest) -> AbstractBaseUser:
    """Whoever is logged in: nobody else gets to an admin page."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


class ClinicRowForm(forms.ModelForm):
    """A form of something that belongs to a clinic. Where there is only one clinic, nobody has to choose it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinics = list(Clinic.objects.all()[:2])
        only = clinics[0] if len(clinics) == 1 else None
        if only and "clinic" in self.fields:
            self.fields["clinic"].initial = only
            self.fields["clinic"].widget = forms.HiddenInput()
        known = self.instance.clinic if self.instance.clinic_id else only
        if known:
            show_clinic_languages(self, known.languages)


class ClinicRowAdmin(ModelAdmin):
    """Rows of one clinic each. A row stays with its clinic; deleting it announces that the clinic changed."""

    list_filter_sheet = False
    warn_unsaved_form = True

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        return (*super().get_list_filter(request), *(["clinic"] if Clinic.objects.count() > 1 else []))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), *(["clinic"] if obj else []))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            row.delete()


class OpeningTimesFormSet(forms.BaseInlineFormSet):
    """Opening times that do not overlap: each pair that does is named beside the later of the two."""

    def interval(self, form: forms.ModelForm) -> hours.Interval:
        """The row of `form` as an interval of the week."""
        raise NotImplementedError

    def named(self, form: forms.ModelForm) -> str:
        """The row of `form` as the sentence calls it."""
        return str(form.instance)

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form.is_valid() and _is_kept(form)]
        intervals = [self.interval(form) for form in kept]
        for number, form in enumerate(kept):
            for earlier, other in zip(kept[:number], intervals, strict=False):
                if hours.overlaps((other, intervals[number])):
                    form.add_error("opens", f"{self.named(earlier)} and {self.named(form)} overlap.")


def _is_kept(form: forms.ModelForm) -> bool:
    is_row = form.has_changed() or form.instance.pk is not None
    return is_row and not form.cleaned_data.get("DELETE")
