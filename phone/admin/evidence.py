"""What a call's page offers beside the call: the evidence of its consent, on a page and as a file, and legal hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format

from clinic import crypto
from clinic.access import record_access
from clinic.languages import LANGUAGES
from clinic.models import AccessRecord
from clinic.signed_json import encoded
from phone.admin.lists import at_clinic
from phone.admin.timeline import since
from phone.consent_evidence import ConsentEvidence, Decision, consent_evidence, evidence_document
from phone.models import Call, ConsentRecord, Recording
from phone.services import call_hold, call_let_go

MAY_SEE = "phone.view_consentrecord"
MAY_TAKE_OUT = "phone.export_consentrecord"
MAY_HOLD = "phone.add_legalhold"


class HoldForm(forms.Form):
    """Why a call is held, or let go."""

    why = forms.CharField(
        max_length=300,
        error_messages={
            "required": "Say why: the reason is kept with your name.",
            "max_length": "Say why in 300 letters at most.",
        },
    )


class EvidencePages:
    """Mixin for the ModelAdmin of calls, before its other bases."""

    admin_site: admin.AdminSite
    opts: Any

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/evidence/", view(self.evidence_view), name="phone_call_evidence"),
            path("<uuid:pk>/evidence.json", view(self.evidence_file), name="phone_call_evidence_file"),
            path("<uuid:pk>/hold/", view(self.hold_view), name="phone_call_hold"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def evidence_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        """Each decision with all that proves it."""
        call = self._call(request, pk, MAY_SEE)
        record_access(request, AccessRecord.Action.VIEW, _consent_of(call))
        evidence = consent_evidence(call)
        context = self.admin_site.each_context(request) | {
            "title": "Consent evidence",
            "began": _moment(call, call.started_at).partition(" (")[0],
            "opts": self.opts,
            "call": call,
            "evidence": evidence,
            "decisions": [_decision(evidence, decision) for decision in evidence.decisions],
            "deletions": [(at_clinic(each.at, call.clinic), each) for each in evidence.deletions],
            "public_key": _public_key(),
            "may_take_out": request.user.has_perm(MAY_TAKE_OUT),
        }
        return TemplateResponse(request, "admin/phone/call/evidence.html", context)

    def evidence_file(self, request: HttpRequest, pk: object) -> HttpResponse:
        """The same as signed JSON."""
        call = self._call(request, pk, MAY_TAKE_OUT)
        try:
            document = evidence_document(consent_evidence(call), made_at=timezone.now())
        except crypto.KeysUnavailable as unavailable:
            messages.error(request, str(unavailable))
            return redirect(reverse("admin:phone_call_evidence", args=[call.pk]))
        record_access(request, AccessRecord.Action.EXPORT, _consent_of(call))
        response = HttpResponse(document.model_dump_json(indent=2), content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="consent-{call.pk}.json"'
        return response

    def hold_view(self, request: HttpRequest, pk: object) -> HttpResponse:
        """Hold the call, or let it go."""
        call = self._call(request, pk, MAY_HOLD)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = HoldForm(request.POST)
        if form.is_valid():
            turn = call_let_go if request.POST.get("action") == "let-go" else call_hold
            turn(
                call=call,
                username=request.user.get_username(),
                why=form.cleaned_data["why"],
                now=timezone.now(),
            )
            messages.success(request, "It is written down with your name.")
        for errors in form.errors.values():
            messages.error(request, str(errors[0]))
        return redirect(reverse("admin:phone_call_change", args=[call.pk]))

    def _call(self, request: HttpRequest, pk: object, permission: str) -> Call:
        if not (request.user.has_perm("phone.view_call") and request.user.has_perm(permission)):
            raise PermissionDenied
        call = Call.objects.select_related("clinic", "line", "plan_version").filter(pk=pk).first()  # type: ignore[misc]
        if call is None:
            raise Http404
        return call


def holds_of(call: Call) -> list[tuple[str, Any]]:
    """The holds of a call, each with its moment by the clinic's clock."""
    return [(at_clinic(hold.at, call.clinic), hold) for hold in call.holds.order_by("at")]


def _consent_of(call: Call) -> ConsentRecord:
    """What the access log calls the consent of a call: by the call's id."""
    return ConsentRecord(id=call.pk)


def _public_key() -> str:
    try:
        return encoded(crypto.public_key())
    except crypto.KeysUnavailable:
        return ""


def _decision(evidence: ConsentEvidence, decision: Decision) -> dict[str, Any]:
    call, record = evidence.call, decision.record
    return {
        "record": record,
        "sound": decision.sound,
        "how": decision.how,
        "language": LANGUAGES.get(record.language, record.language),
        "asked": _moment(call, record.asked_at),
        "answered": _moment(call, record.answered_at),
        "recordings": [_recording(call, recording) for recording in decision.recordings],
    }


def _recording(call: Call, recording: Recording) -> dict[str, Any]:
    return {
        "row": recording,
        "first_sample": _moment(call, recording.started_at),
        "seconds": None if recording.seconds is None else round(recording.seconds, 1),
    }


def _moment(call: Call, at: datetime | None) -> str:
    """By the clinic's clock, with the year, and how far into the call."""
    if at is None:
        return "—"
    local = at.astimezone(ZoneInfo(call.clinic.time_zone))
    return f"{date_format(local, 'D j M Y, H:i:s')} ({since(call.started_at, at)} into the call)"
