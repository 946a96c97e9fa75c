"""Recordings of calls over real servers, by decoding the files: what is in them, and what is not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from phone import reconcile
from phone.models import CallEvent, Recording
from phone.wording import Part, Utterance
from tests.agent_worker.sounds import Recorded, listen_to
from tests.e2e.conftest import NUMBER, Apart, Voice, calls_on_record, hears_the_menu, in_database, until
from tests.e2e.telephone import LIKE, SPEAKS_LOUD, TONES, Ear, Loudness, Telephone, Telephones
from tests.e2e.test_dead_agents import reconciling
from tests.sounds import LISTENS_SECONDS, RATE, Samples, amplitudes, caller_side

pytestmark = pytest.mark.long

HUM = 60.0
"""The telephone hums softly: from so loud on it can be heard."""

SPOKEN_HERTZ = 3100.0
"""What the caller says while the digits are asked for: no voice, and no key, sounds like that."""


async def agrees(voice: Voice, telephones: Telephones) -> Telephone:
    """A caller who is at the menu, and recorded."""
    caller = await telephones.dial(NUMBER)
    await caller.hears(await voice.saying("consent_question"), within=60)
    await caller.hears_silence(within=30)
    caller.begin()
    await caller.press("1")
    await hears_the_menu(voice, caller)
    return caller


async def recording_on_record(state: str) -> Recording:
    recordings = Recording.objects.select_related("consent", "call").filter(state=state)
    return await until(lambda: in_database(recordings.first))


def tone_heard(caller: Samples, hertz: float, start: float, end: float) -> float:
    """How long this tone can be heard of the caller between these seconds, whatever the clinic says meanwhile."""
    loud = amplitudes(caller[round(start * RATE) : round(end * RATE)], hertz)
    return float((loud > SPEAKS_LOUD / 10).sum()) * LISTENS_SECONDS


def hum_heard(heard: Recorded, start: float, end: float) -> float:
    """How long the caller can be heard between these seconds."""
    return float((heard.caller[round(start * 100) : round(end * 100)] > HUM).sum()) / 100


def said_at(heard: Recorded, sentence: Loudness, about: float) -> float:
    """When the clinic begins to say this sentence, in seconds; it is looked for around second `about`."""
    first = max(0, round((about - 0.3) * 100))
    ear = Ear()
    ear.loud = heard.clinic[first : first + len(sentence) + 60].tolist()
    assert ear.likeness(sentence, 0) >= LIKE
    return (first + ear.began(sentence, 0)) / 100


@pytest.mark.usefixtures("worker")
async def test_digits_cannot_be_heard_and_every_prompt_is_where_the_timeline_has_it(
    voice: Voice, telephones: Telephones, data: Path
) -> None:
    caller = await agrees(voice, telephones)
    await caller.speak(SPOKEN_HERTZ)
    await asyncio.sleep(3)
    await caller.press("1")
    caller.begin()
    await caller.hears(await voice.saying("id_question"))
    await caller.press_aloud("4821#")
    caller.begin()
    await caller.hears_voice(2.0)
    await caller.press_aloud("1")
    caller.begin()
    await caller.hears_voice(2.0)
    await asyncio.sleep(3)
    await caller.hang_up()

    await calls_on_record()
    recording = await recording_on_record("waiting")
    assert recording.consent is not None
    assert recording.started_at > recording.consent.answered_at
    file = data / "recordings" / f"{recording.pk}.ogg"
    heard, caller_heard = listen_to(file), caller_side(file)
    prompts = await in_database(
        lambda: list(CallEvent.objects.filter(kind="prompt", at__gt=recording.started_at).order_by("seq"))
    )
    begins = [((event.at - recording.started_at).total_seconds(), event.data["text"]) for event in prompts]
    asked = next(at for at, text in begins if "patient ID" in text)
    read_back, after = next(
        (at, begins[position + 1][0]) for position, (at, text) in enumerate(begins) if "••••" in text
    )
    assert tone_heard(caller_heard, SPOKEN_HERTZ, 0, asked) > 1.5
    keys = {hertz for key in "48211" for hertz in TONES[key]}
    for hertz in (SPOKEN_HERTZ, *keys):
        assert tone_heard(caller_heard, hertz, asked, after + 0.9) == 0, hertz
    assert tone_heard(caller_heard, SPOKEN_HERTZ, after + 1.1, after + 3) > 1.5
    assert heard.clinic_heard(read_back, after) == 0
    for at, text in begins:
        if "••••" not in text:
            sentence = await voice.of(Utterance((Part(text),)), seconds=1.0)
            assert said_at(heard, sentence, at) == pytest.approx(at, abs=0.05), text


async def test_what_was_recorded_before_the_worker_was_killed_can_be_played_and_the_next_agent_records_on(
    voice: Voice,
    apart: Apart,
    telephones_apart: Telephones,
    data: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A machine that is busy with other tests may take longer to start a process.
    monkeypatch.setattr(reconcile, "FOLLOWER_COMES", timedelta(seconds=60))
    worker = await asyncio.to_thread(apart.start(WORKER_WARM=1).ready)
    caller = await agrees(voice, telephones_apart)
    await asyncio.sleep(8)
    killed_at = timezone.now()
    for job in worker.jobs:
        job.kill()
    recording = await recording_on_record("running")
    heard = listen_to(data / "recordings" / f"{recording.pk}.ogg")
    lasted = (killed_at - recording.started_at).total_seconds()
    assert lasted > 8
    assert lasted - 5 < heard.seconds <= lasted
    assert hum_heard(heard, 1, 4) > 2.5

    caller.begin()
    async with reconciling(apart, settings):
        await caller.hears(await voice.saying("cut_off", seconds=1.0), within=60)
        await asyncio.sleep(3)
        await caller.hang_up()
        (call,) = await calls_on_record()
    second = await recording_on_record("waiting")
    assert (call.epoch, second.call_id, second.consent) == (2, call.pk, recording.consent)
    assert second.started_at > killed_at
    assert hum_heard(listen_to(data / "recordings" / f"{second.pk}.ogg"), 0, 60) > 1
