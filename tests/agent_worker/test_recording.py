"""What is recorded of a call, by decoding the file: from when on, what is left out, and when everything is heard."""

from __future__ import annotations

import asyncio
import errno
import random
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from agent_worker.answering import resume_call
from agent_worker.desk import Desk
from agent_worker.ids import uuid7
from agent_worker.ogg import OggWriter
from agent_worker.records import RecordWriter
from agent_worker.resuming import ResumeOrder
from agent_worker.simulated_time import run_simulated
from agent_worker.speech import Speech
from clinic.models import Patient
from clinic.patients import patient_set_id
from phone.models import Call, CallEvent, Recording
from phone.plan import ConsentRules, Menu, MenuOption
from tests.agent_worker.calling import CALLER, Caller, place_call, publish
from tests.agent_worker.sounds import TonePrompts, listen_to
from tests.phone.keeping import decide
from tests.phone.office import make_call
from tests.phone.plans import a_plan

pytestmark = pytest.mark.django_db

ASKS_FOR_AN_ID = a_plan(
    menus=(
        Menu(
            name="Main",
            options=(
                MenuOption(key="1", label={"en": "appointments"}, action="receptionist", identify_first=True),
            ),
        ),
    ),
    main_menu="Main",
)


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


def test_digits_of_the_patient_id_are_silence_on_both_sides_and_the_time_line_goes_on(tmp_path: Path) -> None:
    patient = Patient(clinic=publish(ASKS_FOR_AN_ID), name="Ana Torres")
    patient_set_id(patient, "4821")
    patient.save()

    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("press 1")
        await caller.waits(3)
        caller.presses("1")
        await caller.hears_to_the_end("patient ID")
        for key in "4821#":
            caller.presses(key)
            await caller.waits(0.4)
        await caller.hears_to_the_end("••••")
        caller.presses("1")
        await caller.waits(6)

    caller = place_call(talk, plan=ASKS_FOR_AN_ID, prompts=TonePrompts(), recordings=tmp_path)

    recording = caller.call.recordings.get()
    heard = listen_to(tmp_path / f"{recording.pk}.ogg")
    prompts = {
        event.data["text"]: since_the_recording(recording, event)
        for event in CallEvent.objects.filter(kind="prompt", at__gt=recording.started_at)
    }
    asked = next(at for text, at in prompts.items() if "patient ID" in text)
    read_back = next(at for text, at in prompts.items() if "••••" in text)
    after = min(at for at in prompts.values() if at > read_back)
    assert heard.caller_heard(1.3, 2.4) > 1.0
    assert heard.caller_heard(asked, after + 0.9) == 0
    assert heard.caller_heard(after + 1.2, after + 5) > 3.7
    assert heard.clinic_heard(asked + 0.05, asked + 1) > 0.9
    assert heard.clinic_heard(read_back, after - 0.01) == 0
    assert heard.clinic_heard(after + 0.05, after + 0.5) > 0.4
    (pause,) = [pause for pause in recording.pauses if pause[0] < read_back < pause[1]]
    assert pause[0] <= asked and pause[1] == pytest.approx(after + 1, abs=0.05)
    states = [event["state"] for event in caller.told("recording")]
    assert states == ["started", "paused", "resumed", "paused", "resumed", "stopped"]


def test_digits_that_are_pressed_before_they_are_asked_for_cannot_be_heard(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("press 1")
        await caller.waits(5)
        caller.presses("14821#")
        await caller.hears("••••")

    caller = place_call(talk, plan=ASKS_FOR_AN_ID, prompts=TonePrompts(), recordings=tmp_path)

    recording = caller.call.recordings.get()
    heard = listen_to(tmp_path / f"{recording.pk}.ogg")
    pressed = since_the_recording(recording, CallEvent.objects.filter(kind="key", step="menu").get())
    assert heard.caller_heard(1.3, pressed - 0.6) > pressed - 2.0
    assert heard.caller_heard(pressed - 0.45, pressed + 1) == 0


def test_what_a_key_cut_is_not_in_the_recording(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("press 1")
        await caller.waits(2)
        caller.presses("7")
        await caller.waits(0.4)

    caller = place_call(talk, prompts=TonePrompts(), recordings=tmp_path)

    recording = caller.call.recordings.get()
    heard = listen_to(tmp_path / f"{recording.pk}.ogg")
    assert heard.seconds < 3
    assert recording.seconds == pytest.approx(2.4, abs=0.05)


@pytest.mark.parametrize("keys", ["2", ""])
def test_a_caller_who_refuses_or_says_nothing_is_not_recorded(tmp_path: Path, keys: str) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses(keys)
        await caller.waits(40)

    caller = place_call(talk, prompts=TonePrompts(), recordings=tmp_path)

    assert caller.call.consent in ("refused", "no_answer")
    assert list(tmp_path.iterdir()) == []
    assert not Recording.objects.exists()
    assert caller.told("recording") == []


def test_a_yes_before_the_question_was_heard_permits_no_recording(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("do you consent")
        caller.presses("1")
        await caller.hears("press 1")

    place_call(talk, prompts=TonePrompts(), recordings=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_line_without_sound_is_not_recorded(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        caller.has_sound = False
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("press 1")

    caller = place_call(talk, recordings=tmp_path)

    assert caller.call.consent == "given"
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_ends_as_it_begins_leaves_a_row_and_no_file(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        caller.hangs_up()

    caller = place_call(talk, recordings=tmp_path)

    if recording := caller.call.recordings.first():
        assert (recording.state, recording.seconds) == ("empty", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_caller_who_says_so_is_recorded_no_more(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("press 1")
        await caller.waits(2)
        caller.says("Please stop recording this")
        await caller.hears_to_the_end("recording has stopped")
        caller.says("what are your hours")
        await caller.hears("open")

    caller = place_call(talk, prompts=TonePrompts(), recordings=tmp_path)

    recording = caller.call.recordings.get()
    given, withdrawn = caller.call.consents.order_by("answered_at")
    assert (given.decision, withdrawn.decision, withdrawn.how) == ("given", "withdrawn", "voice")
    assert not (withdrawn.covers_recording or withdrawn.covers_transcript)
    assert recording.consent == given
    assert recording.ended_at is not None
    assert abs((recording.ended_at - withdrawn.answered_at).total_seconds()) < 1
    assert listen_to(tmp_path / f"{recording.pk}.ogg").seconds == pytest.approx(2.0, abs=0.1)
    (said_after,) = CallEvent.objects.filter(kind="speech", at__gt=withdrawn.answered_at)
    assert said_after.data == {}


def test_a_menu_offers_to_stop_the_recording_while_one_runs(tmp_path: Path) -> None:
    stop = MenuOption(key="8", label={"en": "an end to the recording"}, action="stop_recording")
    plan = a_plan()
    main = plan.menu(plan.main_menu)
    longer = main.model_copy(update={"options": (*main.options, stop)})
    menus = tuple(longer if menu.name == main.name else menu for menu in plan.menus)

    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("an end to the recording, press 8")
        caller.presses("8")
        await caller.hears("recording has stopped")
        await caller.hears("press 1")
        caller.presses("8")
        await caller.hears("recording has stopped")

    caller = place_call(
        talk, plan=plan.model_copy(update={"menus": menus}), prompts=TonePrompts(), recordings=tmp_path
    )

    assert sum("press 8" in prompt for prompt in caller.prompts) == 1
    decisions = caller.call.consents.order_by("answered_at").values_list("decision", "how")
    assert list(decisions) == [("given", "keypad"), ("withdrawn", "keypad")]


def test_a_full_disk_ends_the_recording_and_not_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = OggWriter.write
    monkeypatch.setattr(
        OggWriter, "write", lambda self, *sides: _full() if self._written else write(self, *sides)
    )

    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears_to_the_end("press 2")
        caller.presses("2")
        await caller.hears("open")

    caller = place_call(talk, prompts=TonePrompts(), recordings=tmp_path)

    recording = caller.call.recordings.get()
    assert caller.ended["outcome"] == "caller_hung_up"
    assert (recording.state, recording.cut_short) == ("waiting", True)
    assert listen_to(tmp_path / f"{recording.pk}.ogg").seconds == pytest.approx(recording.seconds, abs=0.1)
    assert "a recording could not be written: OSError" in caplog.text


def _full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def resume(call: Call, folder: Path) -> Caller:
    """Let another agent go on with `call`, whose agent died, for some seconds at the menu."""

    async def rest() -> Caller:
        caller = Caller(CALLER, keys=True, origin="phone")
        caller.has_sound = True
        desk = Desk(prompts=TonePrompts(), writer=RecordWriter(), speech=Speech(), recordings=folder)
        order = ResumeOrder(call=call.pk, epoch=call.epoch)
        running = asyncio.create_task(resume_call(caller, desk, order))
        await caller.hears("press 1")
        await caller.waits(4)
        caller.hangs_up()
        await running
        return caller

    return run_simulated(rest)


def a_call_without_its_agent(*decisions: str) -> Call:
    """A call that runs, with these consent decisions, and that was given to a second agent."""
    clinic = publish(a_plan())
    began = timezone.now() - timedelta(minutes=1)
    call = make_call(
        clinic, began, ended_at=None, outcome="", epoch=2, plan_version=clinic.plan_versions.get()
    )
    for seconds, decision in enumerate(decisions):
        decide(call, decision, seconds=5 + seconds)
    return call


def test_the_agent_that_goes_on_records_on_under_the_same_consent(tmp_path: Path) -> None:
    call = a_call_without_its_agent("given")
    first = Recording.objects.create(
        id=uuid7(call.started_at), call=call, consent=call.consents.get(), started_at=call.started_at
    )
    left = tmp_path / f"{first.pk}.ogg"
    left.write_bytes(b"what the first agent left")

    resume(call, tmp_path)

    (second,) = call.recordings.exclude(pk=first.pk)
    assert (second.state, second.consent) == ("waiting", call.consents.get())
    assert second.started_at > call.consents.get().answered_at
    heard = listen_to(tmp_path / f"{second.pk}.ogg")
    assert heard.seconds == pytest.approx(second.seconds, abs=0.03)
    assert heard.caller_heard(1.3, heard.seconds) > 3
    assert heard.clinic_heard(0, heard.seconds) > 1
    first.refresh_from_db()
    assert (first.state, left.read_bytes()) == ("running", b"what the first agent left")


@pytest.mark.parametrize("decisions", [(), ("refused",), ("no_answer",), ("given", "withdrawn")])
def test_the_agent_that_goes_on_records_nothing_without_a_consent_in_force(
    tmp_path: Path, decisions: tuple[str, ...]
) -> None:
    call = a_call_without_its_agent(*decisions)

    resume(call, tmp_path)

    assert not call.recordings.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.any_database
@pytest.mark.parametrize("seed", range(4))
def test_whenever_consent_is_answered_nothing_is_recorded_before(tmp_path: Path, seed: int) -> None:
    moments = random.Random(seed)
    plan = a_plan(consent=ConsentRules(early_answer_permits_recording=True, on_refusal="continue_unrecorded"))
    for _ in range(50):
        moment, key = moments.uniform(0, 20), moments.choice("1112")

        async def talk(caller: Caller, moment: float = moment, key: str = key) -> None:
            await caller.hears("do you consent")
            await caller.waits(moment)
            caller.presses(key)
            await caller.waits(0.5)

        call = place_call(talk, plan=plan, recordings=tmp_path).call
        consent = call.consents.get()
        assert consent.decision in ("given", "refused")
        recording = call.recordings.first()
        if consent.decision == "refused":
            assert recording is None
        else:
            assert recording is not None and recording.started_at > consent.answered_at
            assert (tmp_path / f"{recording.pk}.ogg").exists()
    assert len(list(tmp_path.iterdir())) == Recording.objects.count() > 0
