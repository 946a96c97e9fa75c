"""What the office's lists share: the clinic's clock, a paginator that never counts a whole table, downloads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from import_export.formats.base_formats import CSV, XLSX
from import_export.resources import ModelResource
from unfold.contrib.filters.admin import DropdownFilter
from unfold.contrib.filters.forms import RangeDateForm

from clinic.access import record_access
from clinic.models import AccessRecord, Clinic

ROWS_COUNTED = 50_000
"""How many rows of a list are counted and can be paged to; the dates narrow a longer one."""


class BoundedPaginator(Paginator):
    """Counts no further than `ROWS_COUNTED`: counting a big table takes seconds (COUNT of 10M rows: 0.5 s)."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Model] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:ROWS_COUNTED].count()


def office_zone(request: HttpRequest) -> ZoneInfo:
    """The time zone of the clinic that the list is narrowed to, else of the first clinic."""
    zone: ZoneInfo | None = getattr(request, "office_zone", None)
    if zone is None:
        clinics = Clinic.objects.order_by("pk")
        chosen = parse_row_id(request.GET.get("clinic"))
        names = clinics.filter(pk=chosen) if chosen else clinics
        zone = ZoneInfo(names.values_list("time_zone", flat=True).first() or "UTC")
        request.office_zone = zone  # type: ignore[attr-defined]
    return zone


def at_clinic(at: datetime, clinic: Clinic, *, seconds: bool = False) -> str:
    """A moment as the clinic's wall clock shows it: “Mon 23 Nov, 14:05”, with the year when it is not this one."""
    local = at.astimezone(ZoneInfo(clinic.time_zone))
    year = "" if local.year == timezone.now().year else " Y"
    return date_format(local, f"D j M{year}, H:i{':s' if seconds else ''}")


DAY_PARAMETERS = ("day_from", "day_to")


def parse_day(value: str | None) -> date | None:
    """`2026-11-23` as a date; None for anything else, and for years that no call can be from."""
    try:
        day = date.fromisoformat(value or "")
    except ValueError:
        return None
    return day if 1900 <= day.year < 3000 else None


def parse_row_id(value: str | None) -> int | None:
    """`17` as a row's id; None for anything that no row can have."""
    return int(value) if value and value.isdecimal() and len(value) < 19 else None


class ClinicFilter(DropdownFilter):
    """Shown where there is more than one clinic."""

    title = "clinic"
    parameter_name = "clinic"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        clinics = [(str(pk), name) for pk, name in Clinic.objects.values_list("pk", "name")]
        return clinics if len(clinics) > 1 or self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = parse_row_id(self.value())
        return queryset.filter(clinic=chosen) if chosen else queryset


class DaysFilter(admin.ListFilter):
    """From one day to another, both included, on the clinic's calendar."""

    title = "day"
    template = "unfold/filters/filters_date_range.html"
    form_class = RangeDateForm

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in DAY_PARAMETERS:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def expected_parameters(self) -> list[str | None]:
        return list(DAY_PARAMETERS)

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = parse_day(str(self.used_parameters.get("day_from")))
        last = parse_day(str(self.used_parameters.get("day_to")))
        if first is None and last is None:
            return queryset
        return queryset.on_days(first=first, last=last, zone=office_zone(request))  # type: ignore[attr-defined]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield {"form": self.form_class(name="day", data=self.used_parameters)}


class DownloadMixin:
    """The list actions “Download as CSV” and “Download as Excel”. Each download is in the access log."""

    resource_class: type[ModelResource]

    def has_download_permission(self, request: HttpRequest) -> bool:
        # Numbers of callers and names of patients: for whoever may take patients out.
        return request.user.has_perm("clinic.export_patient")

    @admin.action(description="Download the selected rows as CSV", permissions=["download"])
    def download_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        return self._download(request, queryset, CSV())

    @admin.action(description="Download the selected rows as Excel", permissions=["download"])
    def download_xlsx(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        return self._download(request, queryset, XLSX())

    def _download(self, request: HttpRequest, queryset: QuerySet[Any], form: CSV | XLSX) -> HttpResponse:
        table = self.resource_class().export(queryset[:ROWS_COUNTED])
        record_access(request, AccessRecord.Action.EXPORT, queryset.model, count=len(table))
        name = queryset.model._meta.verbose_name_plural
        response = HttpResponse(form.export_data(table), content_type=form.get_content_type())
        response["Content-Disposition"] = f'attachment; filename="{name}.{form.get_extension()}"'
        return response
