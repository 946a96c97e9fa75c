"""Messages after the tone, over real servers: recorded, in the work list at once, and playable in the office."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from phone import services
from phone.models import Menu, MenuOption, PhoneSettings, Recording, Request
from phone.publishing import publish
from tests.agent_worker.sounds import listen_to
from tests.e2e.conftest import NUMBER, Voice, calls_on_record, in_database, until
from tests.e2e.telephone import Telephone, Telephones
from tests.sounds import loudest_tone

CALLER = "+15551234567"
SPOKEN_HERTZ = 300.0
MESSAGE_SECONDS = float(os.environ.get("VOICEMAIL_SECONDS", "12"))
"""How long the caller speaks; 180 is the longest message that a clinic takes by default."""

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("worker")]


def offer_voicemail() -> None:
    settings = PhoneSettings.objects.get()
    assert isinstance(settings.main_menu, Menu)
    MenuOption.objects.create(
        menu=settings.main_menu,
        position=20,
        key="7",
        label={"en": "a message", "es": "un mensaje"},
        action=MenuOption.Action.VOICEMAIL,
    )
    PhoneSettings.objects.update(voicemail_seconds=300)
    publish(settings.clinic_id)


async def speaks_after_the_tone(voice: Voice, telephones: Telephones, *, consent: str) -> Telephone:
    await in_database(offer_voicemail)
    caller = await telephones.dial(NUMBER, caller=CALLER)
    await caller.hears_voice()
    await caller.press(consent)
    await caller.press("7")
    caller.begin()
    await caller.hears(await voice.saying("voicemail_greeting"), within=60)
    running = await until(
        lambda: in_database(Recording.objects.filter(kind="voicemail", state="running").first), seconds=60
    )
    assert running is not None
    await caller.speak(SPOKEN_HERTZ)
    return caller


async def work_list() -> Request | None:
    return await in_database(
        Request.objects.open().filter(kind="message").select_related("voicemail__consent", "call").first
    )


def played_by(client: Client, recording: Recording) -> bytes:
    answer = client.post(reverse("recording-play", args=[recording.pk]))
    assert answer.status_code == 200, answer.content
    sound: bytes = client.get(answer.json()["address"]).content
    return sound


async def test_a_message_is_in_the_work_list_and_plays_within_5_seconds_of_the_hang_up(
    voice: Voice, telephones: Telephones, data: Path, settings, tmp_path: Path
) -> None:
    settings.DATA_DIR, settings.MEDIA_ROOT = data, tmp_path
    office = Client()
    user = await in_database(lambda: User.objects.create_superuser("maria"))
    await in_database(lambda: office.force_login(user))
    caller = await speaks_after_the_tone(voice, telephones, consent="1")
    await asyncio.sleep(MESSAGE_SECONDS)
    hung_up = time.monotonic()
    await caller.hang_up()

    async def ready() -> Request | None:
        request = await work_list()
        complete = request and request.voicemail and request.voicemail.state == Recording.State.WAITING
        return request if complete else None

    request = await until(ready, seconds=20)
    recording = request.voicemail
    assert recording is not None
    sound = await in_database(lambda: played_by(office, recording))
    took = time.monotonic() - hung_up
    print(
        f"a message of {recording.seconds:.1f} s was in the work list and played {took:.2f} s after the hang-up"
    )
    assert took < 5
    assert str(request.number) == CALLER
    assert recording.seconds == pytest.approx(MESSAGE_SECONDS, abs=4)
    heard = listen_to(data / "recordings" / f"{recording.pk}.ogg")
    assert heard.caller_heard(0, heard.seconds) > MESSAGE_SECONDS - 2
    assert not np.any(heard.clinic > 50)
    assert loudest_tone(sound, channel=0) == pytest.approx(SPOKEN_HERTZ, abs=3)

    assert await in_database(lambda: services.recording_store(recording=recording.pk, now=timezone.now()))
    assert not (data / "recordings" / f"{recording.pk}.ogg").exists()
    assert await in_database(lambda: played_by(office, Recording.objects.get(pk=recording.pk))) == sound
    (call,) = await calls_on_record()
    assert call.outcome == "voicemail"


async def test_a_message_is_kept_whose_caller_refused_the_recording_of_the_call_where_that_goes_on(
    voice: Voice, telephones: Telephones, data: Path
) -> None:
    await in_database(lambda: PhoneSettings.objects.update(on_refusal="continue_unrecorded"))
    caller = await speaks_after_the_tone(voice, telephones, consent="2")
    await asyncio.sleep(3)
    await caller.hang_up()
    (call,) = await calls_on_record()
    recordings = await in_database(lambda: list(Recording.objects.select_related("consent")))
    assert [recording.kind for recording in recordings] == ["voicemail"]
    (consent,) = [recording.consent for recording in recordings]
    assert consent is not None
    assert (consent.subject, consent.how, call.consent) == ("message", "stayed", "refused")
    assert consent.answered_at < recordings[0].started_at
