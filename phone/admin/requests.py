"""The office's work list: urgent requests first, then by when the caller was promised a call."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from import_export.fields import Field
from import_export.resources import ModelResource
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from clinic.access import RecordsAccess
from clinic.languages import LANGUAGES
from phone import services
from phone.admin.lists import BoundedPaginator, ClinicFilter, DownloadMixin, at_clinic
from phone.admin.players import players
from phone.models import Request
from phone.querysets import RequestQuerySet

Choices = list[tuple[str, str]]


class StateFilter(DropdownFilter):
    """Open requests, unless somebody asks for others. Those of tests are apart: nobody waits for a call."""

    title = "state"
    parameter_name = "state"
    all_option = ["", "Open"]

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> Choices:
        return [
            ("untaken", "Nobody has taken it"),
            ("mine", "Taken by me"),
            ("done", "Done"),
            ("all", "All"),
            ("tests", "Left in a test call"),
        ]

    def queryset(self, request: HttpRequest, queryset: RequestQuerySet) -> RequestQuerySet:
        real = queryset.of_real_calls()
        match self.value():
            case "untaken":
                return real.untaken()
            case "mine":
                return real.taken_by(request.user)
            case "done":
                return real.done()
            case "all":
                return real
            case "tests":
                return queryset.exclude(pk__in=real.values("pk"))
            case _:
                return real.open()


class DueFilter(DropdownFilter):
    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> Choices:
        return [("overdue", "Overdue")]

    def queryset(self, request: HttpRequest, queryset: RequestQuerySet) -> RequestQuerySet:
        return queryset.overdue(now=timezone.now()) if self.value() == "overdue" else queryset


class PriorityFilter(DropdownFilter):
    title = "urgency"
    parameter_name = "priority"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> Choices:
        return list(Request.Priority.choices)

    def queryset(self, request: HttpRequest, queryset: RequestQuerySet) -> RequestQuerySet:
        return queryset.filter(priority=self.value()) if self.value() else queryset


class KindFilter(DropdownFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> Choices:
        return list(Request.Kind.choices)

    def queryset(self, request: HttpRequest, queryset: RequestQuerySet) -> RequestQuerySet:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class RequestResource(ModelResource):
    """A request as one row of a download. Times are in the clinic's zone."""

    received = Field(column_name="received")
    due = Field(column_name="due")
    taken = Field(column_name="taken_by")
    done = Field(column_name="done")

    class Meta:
        model = Request
        fields = (
            "id", "kind", "priority", "number", "part_of_day", "topic", "note", "language", "confirmed",
            "patient__name", "received", "due", "taken", "done",
        )  # fmt: skip

    def dehydrate_received(self, request: Request) -> str:
        return at_clinic(request.created_at, request.clinic)

    def dehydrate_due(self, request: Request) -> str:
        return at_clinic(request.due_at, request.clinic) if request.due_at else ""

    def dehydrate_taken(self, request: Request) -> str:
        return str(request.taken_by or "")

    def dehydrate_done(self, request: Request) -> str:
        return at_clinic(request.done_at, request.clinic) if request.done_at else ""


@admin.register(Request)
class RequestAdmin(DownloadMixin, RecordsAccess, ModelAdmin):
    """Staff take a request, call back, and mark it as done. What the caller said stays as it was."""

    resource_class = RequestResource
    list_display = ("what", "call_back", "wanted", "due", "state", "received", "buttons")
    list_display_links = ("what",)
    list_filter = (StateFilter, DueFilter, PriorityFilter, KindFilter, ClinicFilter)
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    list_max_show_all = 0
    list_select_related = ("clinic", "patient", "taken_by", "done_by")
    ordering = ("-priority", F("due_at").asc(nulls_last=True), "created_at")
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_form_outer_before_template = "admin/phone/request/message.html"
    actions = ("take_selected", "finish_selected", "reopen_selected", "download_csv", "download_xlsx")
    fieldsets = (
        (
            "The request",
            {"fields": ("kind", "priority", "call_back", "wanted", "topic", "note", "spoken", "confirmed")},
        ),
        ("The office", {"fields": ("due", "state", "received", "buttons")}),
        ("Where it came from", {"fields": ("from_call", "of_patient", "clinic")}),
    )
    readonly_fields = (
        "kind", "priority", "call_back", "wanted", "topic", "note", "spoken", "confirmed", "due", "state",
        "received", "buttons", "from_call", "of_patient", "clinic",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Request | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Request]:
        return super().get_queryset(request).select_related("clinic", "patient", "taken_by", "done_by")

    def get_urls(self) -> list[URLPattern]:
        moves = {"take": self.take_view, "done": self.done_view, "reopen": self.reopen_view}
        return [
            *(
                path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"phone_request_{name}")
                for name, view in moves.items()
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        # There is nothing to fill in, so there is nothing to save: the buttons act at once.
        nothing_to_save = {
            "show_save": False,
            "show_save_and_continue": False,
            "show_save_and_add_another": False,
        }
        context = (extra_context or {}) | nothing_to_save
        row = self.get_object(request, object_id)
        if row is not None and row.voicemail is not None:
            context["players"] = players(request, [row.voicemail], since=row.voicemail.started_at)
        return super().change_view(request, object_id, form_url, context)

    def take_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Take one request (POST)."""
        return self._move(request, pk, self._take)

    def done_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Mark one request as done (POST)."""
        return self._move(request, pk, self._finish)

    def reopen_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Put one request back on the list (POST)."""
        return self._move(request, pk, self._reopen)

    @admin.action(description="Take the selected requests", permissions=["change"])
    def take_selected(self, request: HttpRequest, queryset: QuerySet[Request]) -> None:
        for row in queryset:
            self._take(request, row)

    @admin.action(description="Mark the selected requests as done", permissions=["change"])
    def finish_selected(self, request: HttpRequest, queryset: QuerySet[Request]) -> None:
        for row in queryset:
            self._finish(request, row)

    @admin.action(description="Put the selected requests back on the list", permissions=["change"])
    def reopen_selected(self, request: HttpRequest, queryset: QuerySet[Request]) -> None:
        for row in queryset:
            self._reopen(request, row)

    def _move(self, request: HttpRequest, pk: Any, move: Any) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, row):
            self.message_user(request, "You may look at requests, but not work on them.", messages.ERROR)
        else:
            move(request, row)
        back = request.headers.get("Referer", "")
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
            back = reverse("admin:phone_request_changelist")
        return HttpResponseRedirect(back)

    def _take(self, request: HttpRequest, row: Request) -> None:
        if services.request_take(request=row, user=request.user, now=timezone.now()):  # type: ignore[arg-type]
            self.message_user(request, f"The {row} is yours now.", messages.SUCCESS)
            return
        row.refresh_from_db()
        who = row.done_by or row.taken_by or "Somebody"
        did = "has done" if row.done_at else "has taken"
        self.message_user(request, f"{who} {did} the {row} already.", messages.WARNING)

    def _finish(self, request: HttpRequest, row: Request) -> None:
        if services.request_done(request=row, user=request.user, now=timezone.now()):  # type: ignore[arg-type]
            self.message_user(request, f"The {row} is done.", messages.SUCCESS)
        else:
            self.message_user(request, f"The {row} was done already.", messages.WARNING)

    def _reopen(self, request: HttpRequest, row: Request) -> None:
        if services.request_reopen(request=row):
            self.message_user(request, f"The {row} is back on the list.", messages.SUCCESS)
        else:
            self.message_user(request, f"The {row} is on the list already.", messages.WARNING)

    @display(description="What", header=True)
    def what(self, row: Request) -> list[Any]:
        urgent = (
            format_html('<strong class="office-urgent">{}</strong> ', "Urgent") if self._urgent(row) else ""
        )
        return [format_html("{}{}", urgent, row.get_kind_display()), row.topic or row.note[:60]]

    @staticmethod
    def _urgent(row: Request) -> bool:
        return row.priority == Request.Priority.URGENT

    @display(description="Call back")
    def call_back(self, row: Request) -> str:
        if not row.number:
            return "No number left"
        unsure = "" if row.confirmed else " (not confirmed)"
        return format_html('<a href="{}">{}</a>{}', row.number.as_rfc3966, row.number.as_national, unsure)

    @display(description="When it suits")
    def wanted(self, row: Request) -> str:
        return row.get_part_of_day_display() or "—"

    @display(description="Language")
    def spoken(self, row: Request) -> str:
        return LANGUAGES.get(row.language, row.language)

    @display(description="Call by", ordering="due_at")
    def due(self, row: Request) -> str:
        if row.due_at is None:
            return "—"
        text = at_clinic(row.due_at, row.clinic)
        late = row.done_at is None and row.due_at < timezone.now()
        return format_html('<span class="office-overdue">{} · overdue</span>', text) if late else text

    @display(description="State", label={"New": "info", "Done": "success"})
    def state(self, row: Request) -> str:
        if row.done_at:
            return f"Done by {row.done_by}" if row.done_by else "Done"
        return f"Taken by {row.taken_by}" if row.taken_at else "New"

    @display(description="Received", ordering="created_at")
    def received(self, row: Request) -> str:
        return at_clinic(row.created_at, row.clinic)

    @display(description="Call")
    def from_call(self, row: Request) -> str:
        if row.call_id is None:
            return "—"
        return format_html(
            '<a href="{}">See the whole call</a>', reverse("admin:phone_call_change", args=[row.call_id])
        )

    @display(description="Patient")
    def of_patient(self, row: Request) -> str:
        if row.patient is None:
            return "Not identified"
        address = reverse("admin:clinic_patient_change", args=[row.patient.pk])
        return format_html('<a href="{}">{}</a>', address, row.patient)

    @display(description="To do")
    def buttons(self, row: Request) -> SafeString:
        """Buttons of the form around the list: they post to the row's own addresses, with the form's token."""
        if row.done_at:
            moves = [("reopen", "Reopen")]
        elif row.taken_at:
            moves = [("done", "Done"), ("reopen", "Give back")]
        else:
            moves = [("take", "Take"), ("done", "Done")]
        return format_html_join(
            " ",
            '<button type="submit" class="office-button" formaction="{}" aria-label="{}: {}">{}</button>',
            (
                (reverse(f"admin:phone_request_{name}", args=[row.pk]), label, row, label)
                for name, label in moves
            ),
        )
