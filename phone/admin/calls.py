"""The call history: a list with filters, and a page per call that shows all of it in one look. Read-only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from import_export.fields import Field
from import_export.resources import ModelResource
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from clinic.access import RecordsAccess
from clinic.languages import LANGUAGES
from phone.admin.call_filters import (
    AnsweredFilter,
    CallerFilter,
    ConsentFilter,
    HourFilter,
    HoursFilter,
    LineFilter,
    MenuChoiceFilter,
    OriginFilter,
    OutcomeFilter,
    ServedFilter,
    WeekdayFilter,
)
from phone.admin.evidence import EvidencePages, holds_of
from phone.admin.figures import figures_page
from phone.admin.lists import BoundedPaginator, ClinicFilter, DaysFilter, DownloadMixin, at_clinic
from phone.admin.players import players
from phone.admin.timeline import since, timeline
from phone.models import Call, ConsentRecord

OUTCOME_COLOURS = {
    "Running now": "info",
    Call.Outcome.FAILED.label: "danger",
    Call.Outcome.BUSY.label: "danger",
    Call.Outcome.MISSED.label: "danger",
    Call.Outcome.REQUEST_TAKEN.label: "warning",
    Call.Outcome.COMPLETED.label: "success",
    Call.Outcome.TRANSFERRED.label: "success",
}


def minutes(length: timedelta | None) -> str:
    """A length of time as `m:ss`."""
    seconds = round(length.total_seconds()) if length is not None else 0
    return "—" if length is None else f"{seconds // 60}:{seconds % 60:02}"


class CallResource(ModelResource):
    """A call as one row of a download. Times are in the clinic's zone, with their offset."""

    started = Field(column_name="started")
    seconds = Field(column_name="seconds")

    class Meta:
        model = Call
        fields = (
            "id", "started", "seconds", "origin", "line__number", "caller_number", "language", "after_hours",
            "outcome", "served", "ended_in_step", "consent",
        )  # fmt: skip

    def dehydrate_started(self, call: Call) -> str:
        return at_clinic(call.started_at, call.clinic, seconds=True)

    def dehydrate_seconds(self, call: Call) -> int | None:
        return None if call.duration is None else round(call.duration.total_seconds())


@admin.register(Call)
class CallAdmin(EvidencePages, DownloadMixin, RecordsAccess, ModelAdmin):
    """Nothing here can be added, changed or deleted: it is evidence."""

    resource_class = CallResource
    list_display = ("when", "caller", "via", "length", "how_it_ended", "got", "consent_given", "hours")
    list_display_links = ("when",)
    list_filter = (
        DaysFilter,
        ClinicFilter,
        OutcomeFilter,
        LineFilter,
        MenuChoiceFilter,
        CallerFilter,
        ServedFilter,
        ConsentFilter,
        HoursFilter,
        AnsweredFilter,
        WeekdayFilter,
        HourFilter,
        OriginFilter,
    )
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    list_max_show_all = 0
    list_select_related = ("clinic", "line", "line__clinic")
    list_before_template = "admin/phone/call/list_before.html"
    ordering = ("-started_at", "-id")
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("download_csv", "download_xlsx")
    actions_list = ("figures",)
    change_form_template = "admin/phone/call/page.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        return (
            super().get_queryset(request).select_related("clinic", "line__clinic", "patient", "plan_version")
        )

    def get_urls(self) -> list[URLPattern]:
        running = self.admin_site.admin_view(self.running_view)
        return [path("running/", running, name="phone_call_running"), *super().get_urls()]

    @action(description="Figures", url_path="figures", icon="bar_chart", permissions=["view"])
    def figures(self, request: HttpRequest) -> HttpResponse:
        """The dashboard."""
        return figures_page(request, self)

    def running_view(self, request: HttpRequest) -> HttpResponse:
        """The calls running now, as a piece of a page that refreshes itself."""
        calls = self.get_queryset(request).filter(pk__in=Call.objects.of_people().running())
        if not self.has_view_permission(request):
            calls = calls.none()
        return TemplateResponse(request, "admin/phone/call/running.html", {"calls": calls[:50]})

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Call | None = None,
    ) -> HttpResponse:
        page = {} if obj is None else self._page(request, obj)
        return super().render_change_form(request, context | page, add, change, form_url, obj)

    def _page(self, request: HttpRequest, call: Call) -> dict[str, Any]:
        return {
            "title": f"Call on {at_clinic(call.started_at, call.clinic)}",
            "call": call,
            "facts": self._facts(call),
            "players": players(request, call.recordings.all(), since=call.started_at),
            "timeline": timeline(call, call.events.all()),
            "consents": [
                (since(call.started_at, consent.answered_at), self._asked(call, consent), consent)
                for consent in call.consents.all()
            ],
            "entries": [(since(call.started_at, entry.at), entry) for entry in call.entries.all()],
            "holds": holds_of(call),
            "requests": call.requests.select_related("taken_by", "done_by"),
        }

    @staticmethod
    def _asked(call: Call, consent: ConsentRecord) -> str:
        return since(call.started_at, consent.asked_at) if consent.asked_at else "—"

    def _facts(self, call: Call) -> list[tuple[str, Any]]:
        return [
            ("Caller", self.caller(call)),
            ("Line", self.via(call)),
            ("Began", at_clinic(call.started_at, call.clinic, seconds=True)),
            ("Length", minutes(call.duration)),
            ("How it ended", self.how_it_ended(call)),
            ("Ended in step", call.get_ended_in_step_display() or "—"),
            ("The caller got", call.get_served_display()),
            ("Opening hours", "After hours" if call.after_hours else "While we were open"),
            ("Language", LANGUAGES.get(call.language, call.language)),
            ("Patient", self._patient(call)),
            ("Plan version", call.plan_version.number if call.plan_version else "—"),
            ("Kind of call", call.get_origin_display()),
        ]

    @staticmethod
    def _patient(call: Call) -> str:
        if call.patient is None:
            return "—"
        address = reverse("admin:clinic_patient_change", args=[call.patient.pk])
        return format_html('<a href="{}">{}</a>', address, call.patient)

    @display(description="When", ordering="started_at")
    def when(self, call: Call) -> str:
        return at_clinic(call.started_at, call.clinic)

    @display(description="Caller")
    def caller(self, call: Call) -> str:
        if not call.caller_number:
            return "Withheld" if call.origin == Call.Origin.PHONE else "—"
        others = reverse("admin:phone_call_changelist")
        return format_html(
            '<a href="{}?caller=call:{}" title="All calls from this number">{}</a>',
            others,
            call.pk,
            call.caller_number.as_national,
        )

    @display(description="Line")
    def via(self, call: Call) -> str:
        return str(call.line) if call.line else call.get_origin_display()

    @display(description="Length")
    def length(self, call: Call) -> str:
        return minutes(call.duration)

    @display(description="How it ended", label=OUTCOME_COLOURS)
    def how_it_ended(self, call: Call) -> str:
        return call.get_outcome_display() or "Running now"

    @display(description="The caller got")
    def got(self, call: Call) -> str:
        return call.get_served_display()

    @display(description="Consent")
    def consent_given(self, call: Call) -> str:
        return str(dict(ConsentRecord.Decision.choices).get(call.consent, "—"))

    @display(description="Hours")
    def hours(self, call: Call) -> str:
        return "After hours" if call.after_hours else "Open"
