"""Who tried which IDs, and who looked at what: read-only, because it is evidence."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display

from clinic.admin.rows import at_clinic, staff_user
from clinic.models import AccessRecord, IdentityAttempt
from clinic.patients import attempts_unlock, clinic_unlock


class ReadOnlyAdmin(ModelAdmin):
    """Nobody adds to these rows, changes or deletes them here."""

    list_filter_sheet = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(IdentityAttempt)
class IdentityAttemptAdmin(ReadOnlyAdmin):
    """Numbers and IDs are stored as hashes; equal short codes are the same number or the same ID."""

    list_display = ["when", "outcome_label", "caller_code", "id_code", "cleared"]
    list_filter = ["outcome"]
    list_select_related = ["clinic", "cleared_by"]
    fields = ["clinic", "when", "outcome", "caller_code", "id_code", "cleared"]
    actions = ["unlock_selected", "unlock_clinics"]
    show_full_result_count = False

    @display(description="When", ordering="at")
    def when(self, attempt: IdentityAttempt) -> str:
        return at_clinic(attempt.at, attempt.clinic)

    @display(
        description="Outcome",
        ordering="outcome",
        label={"identified": "success", "not_found": "warning", "locked": "danger"},
    )
    def outcome_label(self, attempt: IdentityAttempt) -> tuple[str, str]:
        return attempt.outcome, attempt.get_outcome_display()

    @display(description="Caller (code)")
    def caller_code(self, attempt: IdentityAttempt) -> str:
        return attempt.caller_hmac[:6] or "withheld"

    @display(description="ID (code)")
    def id_code(self, attempt: IdentityAttempt) -> str:
        return attempt.id_hmac[:6]

    @display(description="Unlocked")
    def cleared(self, attempt: IdentityAttempt) -> str:
        if attempt.cleared_at is None:
            return "–"
        by = f" by {attempt.cleared_by}" if attempt.cleared_by else ""
        return f"{at_clinic(attempt.cleared_at, attempt.clinic)}{by}"

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clinic.change_identityattempt")

    @admin.action(description="Unlock these callers and IDs", permissions=["unlock"])
    def unlock_selected(self, request: HttpRequest, queryset: QuerySet[IdentityAttempt]) -> None:
        attempts_unlock(attempts=queryset, by=staff_user(request), at=timezone.now())
        messages.success(request, "These callers and IDs can be identified again.")

    @admin.action(description="Unlock everybody at these clinics", permissions=["unlock"])
    def unlock_clinics(self, request: HttpRequest, queryset: QuerySet[IdentityAttempt]) -> None:
        for clinic_id in set(queryset.order_by().values_list("clinic", flat=True)):
            clinic_unlock(clinic_id=clinic_id, by=staff_user(request), at=timezone.now())
        messages.success(request, "All callers and IDs can be identified again.")


@admin.register(AccessRecord)
class AccessRecordAdmin(ReadOnlyAdmin):
    list_display = ["at", "username", "action", "model", "object_id", "count", "address"]
    list_filter = ["action", "model", ("at", RangeDateFilter)]
    list_filter_submit = True
    show_full_result_count = False
    search_fields = ["username", "object_id"]
