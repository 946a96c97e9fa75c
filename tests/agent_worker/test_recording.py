"""What is recorded of a call, by decoding the file: from when on, what is left out, and when everything is heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from phone.models import Call, CallEvent, Recording
from tests.agent_worker.calling import Caller, place_call
from tests.agent_worker.sounds import TonePrompts, listen_to

pytestmark = pytest.mark.django_db


def since_the_recording(recording: Recording, event: CallEvent) -> float:
    return (event.at - recording.started_at).total_seconds()


def test_a_caller_who_agrees_is_recorded_from_the_answer_on_on_both_sides(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears_to_the_end("press 2")
        caller.presses("2")
        await caller.hears("open")
        await caller.waits(2.5)

    caller = place_call(talk, prompts=TonePrompts(), recordings=tmp_path)

    recording = caller.call.recordings.get()
    consent = recording.consent
    assert consent is not None
    assert (consent.decision, recording.state) == ("given", "waiting")
    assert recording.started_at > consent.answered_at
    path = tmp_path / f"{recording.pk}.ogg"
    assert path.stat().st_mode & 0o777 == 0o600
    heard = listen_to(path)
    assert recording.seconds == pytest.approx(heard.seconds, abs=0.03)
    assert recording.ended_at == Call.objects.get().ended_at
    assert heard.caller_heard(1.3, 3) > 1.6
    prompts = [
        since_the_recording(recording, event)
        for event in CallEvent.objects.filter(kind="prompt", at__gt=recording.started_at)
    ]
    for began in prompts:
        assert heard.clinic_heard(began + 0.05, began + 1) > 0.9
    assert [event["state"] for event in caller.told("recording")] == ["started", "stopped"]
