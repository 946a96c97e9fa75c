"""What livekit-server tells us of rooms and those in them: it completes what a call's worker could not write.

Each webhook stands for itself: one that comes twice, late or in another order changes nothing that is right.
"""

from __future__ import annotations

import logging
from datetime import datetime

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from phone.livekit_api import LiveKit, LiveKitError, WebhookEvent, WebhookForged, WebhookMalformed
from phone.metrics import count
from phone.models import Call, PhoneLine
from phone.reconcile import STILL_HEART, undisturbed
from phone.room_lines import caller_number, is_person, line_of_room
from phone.services import call_end_failed, call_end_with_person, call_missed
from phone.signs import WEBHOOK_TAKEN

log = logging.getLogger(__name__)


@csrf_exempt
@login_not_required
@require_POST
def livekit_webhook(request: HttpRequest) -> HttpResponse:
    """Take one webhook: 200 when it is ours, whatever it says; 401 when it is not; 400 when nobody can read it."""
    if not settings.LIVEKIT.configured:
        raise Http404("There is no LiveKit server.")
    try:
        event = LiveKit().webhook(request.body, request.headers.get("Authorization", ""))
    except WebhookForged:
        count("webhooks_refused")
        log.warning("A webhook was refused: it is not signed with our key, or too old.")
        return HttpResponse("This is not signed with our key, or too old.", status=401)
    except WebhookMalformed:
        count("webhooks_refused")
        return HttpResponse("This is no event that can be read.", status=400)
    count("webhooks_taken")
    WEBHOOK_TAKEN.give()
    take(event)
    return HttpResponse()


def take(event: WebhookEvent) -> None:
    """Write down what follows from `event`, if anything."""
    match event.event:
        case "participant_left":
            _caller_left(event)
        case "room_finished":
            _room_finished(event)


def _caller_left(event: WebhookEvent) -> None:
    """A caller is gone. Where no call is on record in the room, no agent came to it: a missed call."""
    room, caller = event.room, event.participant
    if room is None or caller is None or caller.kind not in ("sip", "browser"):
        return
    if Call.objects.with_person().filter(room=room.name).exists():
        _one_of_two_left(room.name, event.at)
        return
    if is_person(caller.attributes):
        return
    line = line_of_room(room.name, PhoneLine.objects.select_related("clinic"), caller)
    if line is not None:
        call_missed(
            line=line, room=room, caller=caller, caller_number=caller_number(caller), ended_at=event.at
        )


def _one_of_two_left(room: str, at: datetime) -> None:
    """The caller or the person who talked to them hung up: so does the other."""
    call_end_with_person(calls=Call.objects.filter(room=room), ended_at=at)
    try:
        async_to_sync(LiveKit().delete_room)(room)
    except LiveKitError as error:
        # `phone.reconcile` closes it.
        log.warning("A room could not be closed: %s", error)


def _room_finished(event: WebhookEvent) -> None:
    """A room is closed. A call in it that nobody writes about any more ended with it."""
    if event.room is None or not event.room.name:
        return
    call_end_with_person(calls=Call.objects.filter(room=event.room.name), ended_at=event.at)
    if not undisturbed(now=timezone.now()):
        return
    calls = Call.objects.of_people().filter(room=event.room.name, heartbeat_at__lt=event.at - STILL_HEART)
    call_end_failed(calls=calls, ended_at=event.at)
