"""Listening to a recording: a play is asked for, put on record, and answered with a link to the sound.

Whoever is refused is put on record as well, with or without a login.
"""

from __future__ import annotations

import logging
import uuid
from typing import BinaryIO

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from clinic.access import record_access
from clinic.crypto import CannotDecrypt, KeysUnavailable
from clinic.models import AccessRecord
from phone.byte_ranges import RangeNotSatisfiable, parse_range
from phone.listening import LinkRefused, check_link, make_link, may_listen
from phone.models import Recording
from phone.recordings import SOUND_TYPE, SoundNotHere, open_sound

log = logging.getLogger(__name__)

NOT_ALLOWED = "You may not listen to this recording."
LINK_IS_OLD = "This link to the recording no longer works. Open the page of the call again."
NOT_HERE = "This recording is not here (yet): it was deleted, or is still on its way to its storage."
DAMAGED = "This recording cannot be opened: its file is damaged, or its key is missing. Tell whoever runs the system."
STORAGE_AWAY = "The recording's storage does not answer just now. Try again in a few minutes."


@login_not_required
@require_POST
def play_recording(request: HttpRequest, pk: uuid.UUID) -> JsonResponse:
    """Begin to listen: `{"address": …}` of the sound, for some minutes, or `{"sentence": …}` that says why not."""
    recording = _recording(pk)
    if not may_listen(request.user, recording):
        return JsonResponse({"sentence": _refuse(request, recording, "no right", NOT_ALLOWED)}, status=403)
    opened = _open(recording)
    if isinstance(opened, Trouble):
        return JsonResponse({"sentence": opened.sentence}, status=opened.status)
    opened.close()
    record_access(request, AccessRecord.Action.PLAY, recording)
    link = urlencode({"link": make_link(request.user, recording)})
    return JsonResponse({"address": f"{reverse('recording-sound', args=[recording.pk])}?{link}"})


@login_not_required
@require_safe
def recording_sound(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The sound, or a range of its bytes (RFC 9110, section 14), for whoever began to listen a few minutes ago."""
    recording = _recording(pk)
    if not may_listen(request.user, recording):
        return HttpResponse(_refuse(request, recording, "no right", NOT_ALLOWED), status=403)
    try:
        check_link(request.GET.get("link", ""), request.user, recording)
    except LinkRefused as why:
        return HttpResponse(_refuse(request, recording, f"link {why}", LINK_IS_OLD), status=403)
    opened = _open(recording)
    if isinstance(opened, Trouble):
        return HttpResponse(opened.sentence, status=opened.status)
    with opened as sound:
        try:
            response = _bytes_of(request, recording, sound)
        except CannotDecrypt:
            log.error("recording %s does not decrypt", recording.pk)
            return HttpResponse(DAMAGED, status=500)
    patch_cache_control(response, private=True, no_store=True)
    return response


class Trouble:
    """Why a sound cannot be opened, for whoever wants to hear it."""

    def __init__(self, sentence: str, status: int) -> None:
        self.sentence, self.status = sentence, status


def _recording(pk: uuid.UUID) -> Recording:
    return get_object_or_404(Recording.objects.select_related("call"), pk=pk)


def _refuse(request: HttpRequest, recording: Recording, why: str, sentence: str) -> str:
    record_access(request, AccessRecord.Action.REFUSED, recording)
    log.warning("listening to recording %s was refused: %s", recording.pk, why)
    return sentence


def _open(recording: Recording) -> BinaryIO | Trouble:
    try:
        return open_sound(recording)
    except SoundNotHere:
        return Trouble(NOT_HERE, 404)
    except (CannotDecrypt, KeysUnavailable) as error:
        log.error("recording %s cannot be opened: %s", recording.pk, type(error).__name__)
        return Trouble(DAMAGED, 500)
    except Exception as error:  # whatever a storage raises that cannot be reached
        log.warning("the storage of recording %s does not answer: %s", recording.pk, type(error).__name__)
        return Trouble(STORAGE_AWAY, 503)


def _bytes_of(request: HttpRequest, recording: Recording, sound: BinaryIO) -> HttpResponse:
    size = sound.seek(0, 2)
    # While it waits, nobody has computed its digest.
    etag = f'"{recording.sha256}"' if recording.sha256 else ""
    if_range = request.headers.get("If-Range", "")
    asked = request.headers.get("Range", "") if not if_range or if_range == etag else ""
    try:
        part = parse_range(asked, size)
    except RangeNotSatisfiable:
        return HttpResponse(
            status=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
        )
    length = part.length if part else size
    sound.seek(part.first if part else 0)
    response = HttpResponse(
        b"" if request.method == "HEAD" else sound.read(length),
        status=206 if part else 200,
        content_type=SOUND_TYPE,
        headers={"Accept-Ranges": "bytes", "Content-Length": str(length), "Content-Disposition": "inline"},
    )
    if part:
        response["Content-Range"] = str(part)
    if etag:
        response["ETag"] = etag
    return response
