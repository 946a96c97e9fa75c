"""The filters of the call list. The dashboard's figures link to them, so both use the same named queries."""

from __future__ import annotations

import calendar
import uuid

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from phone.admin.lists import office_zone, parse_row_id
from phone.dashboards import CHOICE_SEPARATOR
from phone.models import Call, ConsentRecord, MenuOption, PhoneLine
from phone.querysets import CallQuerySet

Choices = list[tuple[str, str]]


class OriginFilter(DropdownFilter):
    """Calls of people, unless somebody asks for the others."""

    title = "kind of call"
    parameter_name = "origin"
    all_option = ["", "Calls of people"]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [("all", "All, tests included"), *Call.Origin.choices]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        if self.value() == "all":
            return queryset
        return queryset.filter(origin=self.value()) if self.value() else queryset.real()


class OutcomeFilter(DropdownFilter):
    title = "how it ended"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [("running", "Running now"), *Call.Outcome.choices]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        if self.value() == "running":
            return queryset.running()
        return queryset.filter(outcome=self.value()) if self.value() else queryset


class AnsweredFilter(DropdownFilter):
    title = "answered"
    parameter_name = "answered"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [("yes", "Answered"), ("no", "Not answered")]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        if self.value() == "yes":
            return queryset.answered()
        return queryset.unanswered() if self.value() == "no" else queryset


class HoursFilter(DropdownFilter):
    title = "opening hours"
    parameter_name = "hours"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [("open", "While we were open"), ("after", "After hours")]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        return queryset.filter(after_hours=self.value() == "after") if self.value() else queryset


class ServedFilter(DropdownFilter):
    title = "what the caller got"
    parameter_name = "served"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [("without_person", "Helped without a person"), *Call.Served.choices]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        if self.value() == "without_person":
            return queryset.served_without_person()
        return queryset.filter(served=self.value()) if self.value() else queryset


class ConsentFilter(DropdownFilter):
    title = "consent"
    parameter_name = "consent"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [*ConsentRecord.Decision.choices, ("none", "Call ended before")]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        if self.value() == "none":
            return queryset.filter(consent="")
        return queryset.filter(consent=self.value()) if self.value() else queryset


class LineFilter(DropdownFilter):
    title = "line"
    parameter_name = "line"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [*((str(line.pk), str(line)) for line in PhoneLine.objects.select_related("clinic"))]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        chosen = parse_row_id(self.value())
        return queryset.filter(line=chosen) if chosen else queryset


class MenuChoiceFilter(DropdownFilter):
    """What the caller chose, as it was called at the time."""

    title = "menu choice"
    parameter_name = "choice"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        options = MenuOption.objects.select_related("menu").order_by("menu__name", "position")
        labels = [
            f"{option.menu.name}{CHOICE_SEPARATOR}{label}"
            for option in options
            for label in option.label.values()
        ]
        chosen = self.value()
        return [(label, label) for label in dict.fromkeys([*labels, *([chosen] if chosen else [])])]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        menu, separator, option = (self.value() or "").partition(CHOICE_SEPARATOR)
        return queryset.chose(menu=menu, option=option) if separator else queryset


class HourFilter(DropdownFilter):
    title = "hour of the day"
    parameter_name = "hour"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [(str(hour), f"{hour:02}:00–{hour:02}:59") for hour in range(24)]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        value = self.value() or ""
        return queryset.at_hour(int(value), zone=office_zone(request)) if value.isdecimal() else queryset


class WeekdayFilter(DropdownFilter):
    title = "day of the week"
    parameter_name = "weekday"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Choices:
        return [(str(number), name) for number, name in enumerate(calendar.day_name)]

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        value = self.value() or ""
        return queryset.on_weekday(int(value), zone=office_zone(request)) if value.isdecimal() else queryset


class CallerFilter(TextFilter):
    """A number, whole or its last digits; or `call:` and a call's id, which keeps the number out of addresses."""

    title = "caller's number"
    parameter_name = "caller"

    def queryset(self, request: HttpRequest, queryset: CallQuerySet) -> CallQuerySet:
        value = (self.value() or "").strip()
        if not value:
            return queryset
        if not value.startswith("call:"):
            return queryset.from_number(value)
        try:
            return queryset.from_caller_of(uuid.UUID(value.removeprefix("call:")))
        except ValueError:
            return queryset.none()
