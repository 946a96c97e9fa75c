"""The pages for callers: a welcome, and the phone itself."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from clinic.models import Clinic
from phone.models import PhoneLine

LINE_ADDRESS = "/phone/line/"
"""The socket that `clinic/asgi.py` serves. Which number it stands for is its query's `dialled`."""

LETTERS = {"2": "ABC", "3": "DEF", "4": "GHI", "5": "JKL", "6": "MNO", "7": "PQRS", "8": "TUV", "9": "WXYZ"}
NAMES = {"*": "Star", "#": "Pound"}
KEYPAD = [
    {"key": key, "name": NAMES.get(key, key), "letters": LETTERS.get(key, "")} for key in "123456789*0#"
]
MORE_KEYS = "ABCD"


@require_safe
def welcome(request: HttpRequest) -> HttpResponse:
    """The first page: the way to the phone, where it is offered, and to the office."""
    clinic = Clinic.objects.first()
    context = {
        "clinic_name": clinic.name if clinic else "Clinic phone",
        "phone_page": settings.PHONE_PAGE_ENABLED,
    }
    return render(request, "phone/welcome.html", context)


@require_safe
def phone_page(request: HttpRequest) -> HttpResponse:
    """The phone. Raises Http404 where it is not offered, and before there is a clinic to call."""
    if not settings.PHONE_PAGE_ENABLED:
        raise Http404("The phone page is switched off.")
    line = PhoneLine.objects.select_related("clinic").filter(enabled=True).order_by("pk").first()
    clinic = line.clinic if line else Clinic.objects.first()
    if clinic is None:
        raise Http404("There is no clinic to call yet.")
    context = {
        "clinic_name": clinic.name,
        "line_address": f"{LINE_ADDRESS}?{urlencode({'dialled': str(line.number)})}"
        if line
        else LINE_ADDRESS,
        "microphone": settings.PHONE_PAGE_MICROPHONE,
        "keypad": KEYPAD,
        "more_keys": MORE_KEYS,
    }
    return render(request, "phone/phone.html", context)
