"""Erasing one caller: first who, then a page that says what goes and what stays, then it is done."""

from __future__ import annotations

import uuid
from typing import Any

import phonenumbers
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from clinic import crypto
from clinic.access import record_access
from clinic.models import AccessRecord, Patient
from phone.admin.lists import parse_row_id
from phone.erasure import Caller, cards_with, footprint, numbers_of
from phone.models import Call
from phone.services import CallerIsOnTheLine, Erased, caller_erase

MAY_ERASE = "phone.erase_caller"

NO_NUMBER = "This is not a telephone number. Write it like +1 212 555 0142."
ON_THE_LINE = "A call of theirs is running or ended a moment ago. Try again in five minutes."


class NumberForm(forms.Form):
    """Whom to erase, by number."""

    number = forms.CharField(max_length=40, error_messages={"required": "Enter the number they called from."})

    def clean_number(self) -> str:
        try:
            number = phonenumbers.parse(self.cleaned_data["number"], settings.PHONENUMBER_DEFAULT_REGION)
        except phonenumbers.NumberParseException:
            raise forms.ValidationError(NO_NUMBER) from None
        if not phonenumbers.is_possible_number(number):
            raise forms.ValidationError(NO_NUMBER)
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def erase_view(request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> HttpResponse:
    """Numbers never stand in an address, because browsers and proxies keep those: they come by POST."""
    if not request.user.has_perm(MAY_ERASE):
        raise PermissionDenied
    patient, numbers = _who(request)
    if patient is None and not numbers:
        return _page(request, model_admin, "admin/phone/retention/erase_who.html", {})
    if patient:
        record_access(request, AccessRecord.Action.VIEW, patient)
    # Ticks that are not sent are not wanted; before anything was sent, all are.
    chosen = request.POST.getlist("chosen") if "looked" in request.POST else [number for number, _ in numbers]
    cards = _cards(patient, [number for number, _ in numbers])
    wanted = [card for card in cards if str(card.pk) in request.POST.getlist("card")]
    caller = Caller(
        numbers=tuple(number for number, _ in numbers if number in chosen),
        patient=patient,
        cards=tuple(wanted),
    )
    if "erase" in request.POST:
        if "sure" not in request.POST:
            messages.error(request, "Tick that you are sure: nothing brings it back.")
        elif response := _erase(request, caller):
            return response
    context = {
        "patient": patient,
        "numbers": numbers,
        "chosen": chosen,
        "cards": cards,
        "wanted": wanted,
        "footprint": footprint(caller, timezone.now()),
    }
    return _page(request, model_admin, "admin/phone/retention/erase.html", context)


def _who(request: HttpRequest) -> tuple[Patient | None, list[tuple[str, int]]]:
    """The patient that is meant, and the numbers that can be meant, each with how many calls it made."""
    asked = request.POST if request.method == "POST" else request.GET
    if pk := parse_row_id(asked.get("patient")):
        patient = Patient.objects.select_related("clinic").filter(pk=pk).first()
        return patient, list(numbers_of(patient)) if patient else []
    if (call := _call(asked.get("call"))) and call.caller_number:
        return None, [_counted(str(call.caller_number))]
    if "number" in request.POST:
        form = NumberForm(request.POST)
        if form.is_valid():
            return None, [_counted(form.cleaned_data["number"])]
        messages.error(request, str(form.errors["number"][0]))
    return None, []


def _counted(number: str) -> tuple[str, int]:
    return number, Call.objects.filter(caller_number=number).count()


def _call(pk: str | None) -> Call | None:
    try:
        return Call.objects.filter(pk=uuid.UUID(pk or "")).first()
    except ValueError:
        return None


def _cards(patient: Patient | None, numbers: list[str]) -> list[Patient]:
    """The patients whose cards could go too."""
    return [patient] if patient else list(cards_with(numbers))


def _erase(request: HttpRequest, caller: Caller) -> HttpResponse | None:
    try:
        erased = caller_erase(caller=caller, username=request.user.get_username(), now=timezone.now())
    except CallerIsOnTheLine:
        messages.error(request, ON_THE_LINE)
        return None
    except crypto.KeysUnavailable as unavailable:
        messages.error(request, str(unavailable))
        return None
    for tell, sentence in _told(erased):
        tell(request, sentence)
    return redirect(reverse("admin:phone_deletion_changelist"))


def _told(erased: Erased) -> list[tuple[Any, str]]:
    gone = f"{_counted_as(erased.calls, 'call')}, {_counted_as(erased.requests, 'request')}"
    cards = _counted_as(erased.cards, "card")
    told = [(messages.success, f"Erased: {gone}, {cards}.")]
    if erased.held:
        held = _counted_as(erased.held, "call")
        told.append((messages.warning, f"Under legal hold, and as before: {held}."))
    if erased.cards_kept:
        told.append(
            (messages.warning, "A patient's card stays, because a call under legal hold refers to it.")
        )
    if erased.sounds_left:
        told.append(
            (
                messages.warning,
                f"Still there, and tried again: {_counted_as(erased.sounds_left, 'sound')}.",
            )
        )
    return told


def _counted_as(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _page(
    request: HttpRequest, model_admin: admin.ModelAdmin[Any], template: str, context: dict[str, Any]
) -> HttpResponse:
    site = model_admin.admin_site.each_context(request)
    return TemplateResponse(
        request, template, site | {"title": "Erase a caller", "opts": model_admin.opts} | context
    )
