"""Closures: days that differ from the week, and public holidays to make them from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from clinic import hours
from clinic.admin.rows import TIMES_IN_MINUTES, ClinicRowAdmin, ClinicRowForm, OpeningTimesFormSet
from clinic.holidays_import import (
    NoHolidaysKnown,
    PublicHoliday,
    closures_import_holidays,
    countries,
    public_holidays,
)
from clinic.models import Clinic, Closure, ClosureInterval

A_YEAR = timedelta(days=365)


class ClosureForm(ClinicRowForm):
    class Meta:
        model = Closure
        fields = ["clinic", "name", "starts_on", "ends_on", "yearly", "message"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "ends_on" in self.fields:
            self.fields["ends_on"].required = False
            self.fields["ends_on"].help_text = "The last day, included. Empty for a single day."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("starts_on"), cleaned.get("ends_on")
        if first and not last and "ends_on" not in self.errors:
            cleaned["ends_on"] = first
        elif first and last and last < first:
            self.add_error("ends_on", "The last day is before the first.")
        elif first and last and cleaned.get("yearly") and last - first >= A_YEAR:
            self.add_error("ends_on", "What comes back every year has to be shorter than a year.")
        return cleaned


class SpecialHoursFormSet(OpeningTimesFormSet):
    def interval(self, form: forms.ModelForm) -> hours.Interval:
        row: ClosureInterval = form.instance
        return hours.Interval(weekday=0, opens=row.opens, closes=row.closes)


class ClosureIntervalInline(TabularInline):
    model = ClosureInterval
    formset = SpecialHoursFormSet
    extra = 0
    verbose_name = "opening time"
    verbose_name_plural = "open on these days (none: closed all day)"
    formfield_overrides = TIMES_IN_MINUTES


class HolidaysForm(forms.Form):
    """Which public holidays to look up."""

    clinic = forms.ModelChoiceField(Clinic.objects.all(), widget=UnfoldAdminSelectWidget, empty_label=None)
    country = forms.ChoiceField(choices=countries, widget=UnfoldAdminSelectWidget, initial="US")
    subdivision = forms.CharField(
        required=False,
        label="State or region",
        widget=UnfoldAdminTextInputWidget,
        help_text="Its name or its short form, such as NY. Empty for the whole country.",
    )
    year = forms.IntegerField(min_value=1950, max_value=2100, widget=UnfoldAdminIntegerFieldWidget)

    found: list[PublicHoliday]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if {"clinic", "country", "year"} <= cleaned.keys():
            try:
                self.found = public_holidays(
                    cleaned["country"], cleaned["subdivision"], cleaned["year"], cleaned["clinic"].languages
                )
            except NoHolidaysKnown as unknown:
                self.add_error("subdivision" if cleaned["subdivision"] else "year", str(unknown))
        return cleaned


@admin.register(Closure)
class ClosureAdmin(ClinicRowAdmin):
    form = ClosureForm
    inlines = [ClosureIntervalInline]
    fields = ["clinic", "name", "starts_on", "ends_on", "yearly", "message"]
    list_display = ["name", "days", "yearly", "open_times", "source"]
    list_filter = ["yearly", "source"]
    search_fields = ["name"]
    list_filter_submit = False
    actions_list = ["import_holidays"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("intervals")

    @display(description="Days", ordering="starts_on")
    def days(self, closure: Closure) -> str:
        pattern = "%-d %b" if closure.yearly else "%-d %b %Y"
        first, last = (f"{day:{pattern}}" for day in (closure.starts_on, closure.ends_on))
        return first if first == last else f"{first} – {last}"

    @display(description="Open")
    def open_times(self, closure: Closure) -> str:
        return ", ".join(str(interval) for interval in closure.intervals.all()) or "Closed"

    def has_holidays_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request)

    @action(description="Import public holidays", icon="event", url_path="holidays", permissions=["holidays"])
    def import_holidays(self, request: HttpRequest) -> HttpResponse:
        """Look holidays up (GET), then close the clinic on those that were ticked (POST)."""
        form = HolidaysForm(
            request.POST or (request.GET if "country" in request.GET else None),
            initial={"clinic": Clinic.objects.first(), "year": timezone.localdate().year},
        )
        found = form.found if form.is_bound and form.is_valid() else []
        if request.method == "POST" and found:
            chosen = set(request.POST.getlist("day"))
            public = [holiday for holiday in found if holiday.day.isoformat() in chosen]
            made, present = closures_import_holidays(clinic=form.cleaned_data["clinic"], public=public)
            messages.success(request, _what_was_made(len(made), len(present)))
            return redirect("admin:clinic_closure_changelist")
        context = self.admin_site.each_context(request) | {
            "title": "Import public holidays",
            "opts": self.opts,
            "form": form,
            "found": found,
        }
        return TemplateResponse(request, "admin/clinic/holidays.html", context)


def _what_was_made(made: int, present: int) -> str:
    sentence = f"{made} public {'holiday was' if made == 1 else 'holidays were'} added."
    if present:
        sentence += (
            f" {present} {'was' if present == 1 else 'were'} left out: that day has a closure already."
        )
    return sentence
