"""The pages for callers: a welcome, and the phone itself."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from functools import partial

from csp.constants import SELF
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from clinic.models import Clinic
from clinic.origins import own_page
from phone.publishing import live_plan
from phone.tokens import allow_call, room_pass

logger = logging.getLogger(__name__)

Page = Callable[[HttpRequest], HttpResponseBase]

LINE_ADDRESS = "/phone/line/"
"""The socket that `clinic/asgi.py` serves. Its calls go to the first enabled line."""

LIVEKIT_CLIENT = "livekit-client/livekit-client.esm.mjs"
"""The static file that npm brings (package.json)."""

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
def phone_page(request: HttpRequest) -> HttpResponseBase:
    """The phone. Raises Http404 where it is not offered."""
    if not settings.PHONE_PAGE_ENABLED:
        raise Http404("The phone page is switched off.")
    context = {
        "clinic_name": _clinic_name(),
        "line_address": LINE_ADDRESS,
        "livekit": settings.LIVEKIT.configured,
        "livekit_client": _livekit_client(),
        "microphone": settings.PHONE_PAGE_MICROPHONE,
        "keypad": KEYPAD,
        "more_keys": MORE_KEYS,
    }
    page: Page = partial(render, template_name="phone/phone.html", context=context)
    if settings.LIVEKIT.configured:
        # livekit-client calls by WebSocket, and asks by HTTP why when that fails.
        server = settings.LIVEKIT.browsers_server
        page = csp_update({"connect-src": [SELF, server, f"http{server.removeprefix('ws')}"]})(page)
    return page(request)


@csrf_exempt  # Nobody is logged in here; the Origin says whose page asks.
@login_not_required
@never_cache
@require_POST
def room_token(request: HttpRequest) -> HttpResponse:
    """The way into a new room on the LiveKit server, for one call: `{"server": "wss://…", "token": "…"}`.

    403 for a page that is not ours, 429 for too many calls from one address; both with a `sentence` to show.
    Raises Http404 where no call can begin here.
    """
    if not settings.PHONE_PAGE_ENABLED or not settings.LIVEKIT.configured:
        raise Http404("There is no LiveKit server to call.")
    if not own_page(origin=request.headers.get("Origin", ""), host=request.get_host()):
        return JsonResponse({"sentence": "Calls can be made from the clinic's own page only."}, status=403)
    if not allow_call(request.META["REMOTE_ADDR"]):
        sentence = "Too many calls from here in a short time. Please call again in a minute."
        return JsonResponse({"sentence": sentence}, status=429)
    return JsonResponse(dataclasses.asdict(room_pass()))


def _livekit_client() -> str:
    """The address of livekit-client; empty where it is not wanted or was not installed."""
    if not settings.LIVEKIT.configured:
        return ""
    if not settings.LIVEKIT_CLIENT.is_dir():
        logger.error(
            "livekit-client is not installed, so nobody can call from the phone page. Run: npm install"
        )
        return ""
    return static(LIVEKIT_CLIENT)


def _clinic_name() -> str:
    """The clinic that a call from here reaches."""
    if loaded := live_plan(""):
        return loaded.plan.clinic.name
    clinic = Clinic.objects.first()
    return clinic.name if clinic else "Clinic phone"
