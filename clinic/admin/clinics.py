"""The clinic's page: name, languages, opening hours, and the switch that closes or opens it at once."""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from clinic import hours
from clinic.admin.rows import TIMES_IN_MINUTES, OpeningTimesFormSet, at_clinic
from clinic.languages import LANGUAGES
from clinic.models import Clinic, OpeningInterval

UNTIL_WHEN = "Until when? Give the day and the time at which the opening hours count again."


class WallClockField(forms.SplitDateTimeField):
    """A day and a time as they were typed, without a zone: the form knows whose clock it is."""

    def compress(self, data_list: Any) -> datetime | None:
        return datetime.combine(*data_list) if data_list and all(data_list) else None


class SwitchForm(forms.ModelForm):
    """The switch that closes or opens the clinic at once. Day and time are those of the clinic's clock."""

    switch_until = WallClockField(
        required=False,
        label="Until",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="On the clinic's clock. Then the opening hours count again, by themselves.",
    )

    class Meta:
        model = Clinic
        fields = ["switch", "switch_until"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic: Clinic = self.instance
        if clinic.switch_until:
            self.initial["switch_until"] = _wall_clock(clinic.switch_until, clinic.time_zone)
            if clinic.switch_until <= timezone.now():
                # What has ended by itself need not be taken back by hand.
                self.initial.update(switch=Clinic.Switch.NONE, switch_until=None)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "switch" in cleaned and "switch_until" in cleaned:
            self._check_switch(cleaned, cleaned.get("time_zone") or self.instance.time_zone)
        return cleaned

    def _check_switch(self, cleaned: dict[str, Any], zone: str) -> None:
        if not cleaned["switch"]:
            cleaned["switch_until"] = None
            return
        if not cleaned["switch_until"]:
            self.add_error("switch_until", UNTIL_WHEN)
            return
        until = cleaned["switch_until"].replace(tzinfo=ZoneInfo(zone))
        now = timezone.now()
        if until <= now:
            clock = f"{_wall_clock(now, zone):%H:%M}"
            self.add_error(
                "switch_until", f"This has passed: it is {clock} at the clinic. Choose a later time."
            )
            return
        cleaned["switch_until"] = until


class ClinicForm(SwitchForm):
    """The clinic, its switch included."""

    languages = forms.MultipleChoiceField(
        choices=list(LANGUAGES.items()),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Callers are offered these, and every text can be written in each.",
    )
    first_language = forms.ChoiceField(
        choices=list(LANGUAGES.items()),
        widget=UnfoldAdminSelectWidget,
        label="Spoken first",
        help_text="Calls begin in this language.",
    )
    time_zone = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())],
        widget=UnfoldAdminSelect2Widget,
        initial="America/New_York",
    )

    class Meta:
        model = Clinic
        fields = [
            "name",
            "slug",
            "time_zone",
            "languages",
            "switch",
            "switch_until",
            "address",
            "office_number",
            "office_email",
        ]
        labels = {"slug": "Short name"}
        help_texts = {"slug": "For addresses: small letters, digits and hyphens."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic: Clinic = self.instance
        self.initial["first_language"] = clinic.languages[0] if clinic.languages else "en"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("languages") and cleaned.get("first_language"):
            self._order_languages(cleaned)
        return cleaned

    def _order_languages(self, cleaned: dict[str, Any]) -> None:
        first = cleaned["first_language"]
        if first not in cleaned["languages"]:
            self.add_error("first_language", f"{LANGUAGES[first]} is not among the clinic's languages.")
        cleaned["languages"] = sorted(cleaned["languages"], key=lambda language: language != first)


def _wall_clock(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


class WeekFormSet(OpeningTimesFormSet):
    def interval(self, form: forms.ModelForm) -> hours.Interval:
        row: OpeningInterval = form.instance
        return hours.Interval(weekday=row.weekday, opens=row.opens, closes=row.closes)


class OpeningIntervalInline(TabularInline):
    model = OpeningInterval
    formset = WeekFormSet
    extra = 0
    verbose_name = "opening time"
    verbose_name_plural = "opening hours"
    formfield_overrides = TIMES_IN_MINUTES


SWITCH: tuple[str, dict[str, Any]] = ("Closed or open now", {"fields": ["switch", "switch_until"]})


@admin.register(Clinic)
class ClinicAdmin(ModelAdmin):
    form = ClinicForm
    inlines = [OpeningIntervalInline]
    list_display = ["name", "time_zone", "now"]
    prepopulated_fields = {"slug": ["name"]}
    radio_fields = {"switch": admin.VERTICAL}
    warn_unsaved_form = True
    fieldsets = [
        (None, {"fields": ["name", "slug", "time_zone", "languages", "first_language"]}),
        SWITCH,
        ("How to reach the office", {"fields": ["address", "office_number", "office_email"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Clinic | None = None) -> Any:
        return [SWITCH] if self._only_switches(request) else super().get_fieldsets(request, obj)

    def get_form(
        self, request: HttpRequest, obj: Clinic | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        kwargs |= {"form": SwitchForm} if self._only_switches(request) else {}
        return super().get_form(request, obj, change=change, **kwargs)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Clinic | None = None) -> dict[str, Any]:
        return {} if self._only_switches(request) else super().get_prepopulated_fields(request, obj)

    def _only_switches(self, request: HttpRequest) -> bool:
        """Whoever may not change the opening hours may close early; the rest stays as it is."""
        return self.has_change_permission(request) and not request.user.has_perm(
            "clinic.change_openinginterval"
        )

    @display(description="Now")
    def now(self, clinic: Clinic) -> str:
        """What the switch says, or that the hours are followed."""
        if not clinic.switch or (clinic.switch_until and clinic.switch_until <= timezone.now()):
            return "By the opening hours"
        if clinic.switch_until is None:
            return clinic.get_switch_display()
        return f"{clinic.get_switch_display()}, until {at_clinic(clinic.switch_until, clinic)}"

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for clinic in queryset:
            clinic.delete()
