"""How long what callers left is kept: the rules, what a run would delete, what was deleted, and erasing one caller."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from clinic.admin.records import ReadOnlyAdmin
from clinic.admin.rows import ClinicRowAdmin, ClinicRowForm
from clinic.models import Clinic
from phone.admin.erasure import MAY_ERASE, erase_view
from phone.admin.lists import BoundedPaginator, ClinicFilter, at_clinic
from phone.models import Call, Deletion, RetentionRules
from phone.retention import Due, dry_run
from phone.services import RetentionRun, retention_run
from phone.tasks import delete_on

SECONDS_A_PAGE_WAITS = 20.0
DAYS = ["recordings", "withdrawn", "voicemails", "transcripts", "numbers", "timelines", "line_checks"]


class RetentionRulesForm(ClinicRowForm):
    class Meta:
        model = RetentionRules
        fields = ["clinic", *DAYS]


@admin.register(RetentionRules)
class RetentionRulesAdmin(ClinicRowAdmin, ModelAdmin):
    """One page for all clinics; the form of one clinic's rules behind it."""

    form = RetentionRulesForm
    fieldsets = [
        (None, {"fields": ["clinic"]}),
        (
            "Days after the call",
            {
                "fields": DAYS,
                "description": "Empty keeps it for ever. A call under legal hold keeps everything.",
            },
        ),
    ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("run/", view(self.run_view), name="phone_retentionrules_run"),
            path("erase/", view(self.erase_view), name="phone_retentionrules_erase"),
            *super().get_urls(),
        ]

    def has_delete_permission(self, request: HttpRequest, obj: RetentionRules | None = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        clinics = Clinic.objects.select_related("retention_rules")
        context = self.admin_site.each_context(request) | {
            "title": "Retention",
            "opts": self.opts,
            "clinics": [(clinic, rules_of(clinic), due_at(clinic, now)) for clinic in clinics],
            "held": Call.objects.filter(on_hold=True).count(),
            "may_run": self.has_change_permission(request),
            "may_erase": request.user.has_perm(MAY_ERASE),
        }
        return TemplateResponse(request, "admin/phone/retention/page.html", context)

    def run_view(self, request: HttpRequest) -> HttpResponse:
        """Delete now what the schedule would delete at night."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run = retention_run(
            now=timezone.now(), username=request.user.get_username(), seconds=SECONDS_A_PAGE_WAITS
        )
        messages.success(request, in_words(run))
        if run.more:
            delete_on()
            messages.info(request, "There is more to delete: it goes on in the background.")
        if run.sounds_left and not run.more:
            messages.warning(
                request,
                f"Storage did not let go of {run.sounds_left} sounds. It is tried again every few minutes.",
            )
        return redirect(reverse("admin:phone_retentionrules_changelist"))

    def erase_view(self, request: HttpRequest) -> HttpResponse:
        return erase_view(request, self)


def rules_of(clinic: Clinic) -> RetentionRules | None:
    """The clinic's rules; None where it has none, and so keeps everything."""
    return getattr(clinic, "retention_rules", None)


def due_at(clinic: Clinic, now: datetime) -> list[tuple[Due, str]]:
    """What a run would take from a clinic's calls, each with the day of the oldest."""
    rules = rules_of(clinic)
    if rules is None:
        return []
    return [(due, at_clinic(due.oldest, clinic) if due.oldest else "—") for due in dry_run(rules, now)]


def in_words(run: RetentionRun) -> str:
    """What a run deleted, as a sentence."""
    labels = dict(Deletion.What.choices)
    kinds = [f"{labels[what].lower()}: {count}" for what, count in sorted(run.deleted.items()) if count]
    return f"Deleted, in rows and sounds: {', '.join(kinds)}." if kinds else "There was nothing to delete."


@admin.register(Deletion)
class DeletionAdmin(ReadOnlyAdmin):
    """What was deleted, by whom and why: evidence."""

    list_display = ["when", "what_label", "why_label", "of_call", "count", "by", "sha256"]
    list_display_links = None
    list_filter = ["what", "why", ClinicFilter, ("at", RangeDateFilter)]
    list_filter_submit = True
    list_select_related = ["clinic", "call__clinic"]
    paginator = BoundedPaginator
    show_full_result_count = False

    @display(description="When", ordering="at")
    def when(self, deletion: Deletion) -> str:
        return at_clinic(deletion.at, deletion.clinic)

    @display(description="What")
    def what_label(self, deletion: Deletion) -> str:
        return deletion.get_what_display()

    @display(description="Why")
    def why_label(self, deletion: Deletion) -> str:
        return deletion.get_why_display()

    @display(description="Call")
    def of_call(self, deletion: Deletion) -> str:
        if deletion.call is None:
            return "—"
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:phone_call_change", args=[deletion.call.pk]), deletion.call
        )

    @display(description="By")
    def by(self, deletion: Deletion) -> str:
        return deletion.username or "the schedule"
