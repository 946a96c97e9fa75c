"""The pages for callers: a welcome, and the phone itself."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from clinic.models import Clinic
from phone.publishing import live_plan

LINE_ADDRESS = "/phone/line/"
"""The socket that `clinic/asgi.py` serves. Its calls go to the first enabled line."""

LETTERS = {"2": "ABC", "3": "DEF", "4": "GHI", "5": "JKL", "6": "MNO", "7": "PQRS", "8": "TUV", "9": "WXYZ"}
NAMES = {"*": "Star", "#": "Pound"}
KEYPAD = [
    {"key": key, "name": NAMES.get(key, key), "letters": LETTERS.get(key, "")} for key in "123456789*0#"
]
MORE_KEYS = "ABCD"


@login_not_required
@require_safe
def welcome(request: HttpRequest) -> HttpResponse:
    """The first page: the way to the phone, where it is offered, and to the office."""
    context = {"clinic_name": _clinic_name(), "phone_page": settings.PHONE_PAGE_ENABLED}
    return render(request, "phone/welcome.html", context)


@login_not_required
@require_safe
def phone_page(request: HttpRequest) -> HttpResponse:
    """The phone. Raises Http404 where it is not offered."""
    if not settings.PHONE_PAGE_ENABLED:
        raise Http404("The phone page is switched off.")
    context = {
        "clinic_name": _clinic_name(),
        "line_address": LINE_ADDRESS,
        "microphone": settings.PHONE_PAGE_MICROPHONE,
        "keypad": KEYPAD,
        "more_keys": MORE_KEYS,
    }
    return render(request, "phone/phone.html", context)


def _clinic_name() -> str:
    """The clinic that a call from here reaches."""
    if loaded := live_plan(""):
        return loaded.plan.clinic.name
    clinic = Clinic.objects.first()
    return clinic.name if clinic else "Clinic phone"
