"""A message after the tone is kept whatever the caller does next, and stands in the work list if something was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from phone.models import ConsentRecord, Recording, Request
from phone.plan import Menu, MenuOption, PhonePlan
from tests.agent_worker.calling import CALLER, Caller, place_call
from tests.agent_worker.sounds import TonePrompts, listen_to
from tests.phone.plans import MAIN, a_plan

pytestmark = pytest.mark.django_db

TONE = "after the tone"


def a_plan_with_voicemail(**fields: object) -> PhonePlan:
    message = MenuOption(key="7", label={"en": "a message", "es": "un mensaje"}, action="voicemail")
    return a_plan(menus=(Menu(name=MAIN.name, options=(*MAIN.options, message)),), **fields)


async def reaches_the_tone(caller: Caller, consent: str = "1") -> None:
    await caller.hears_to_the_end("do you consent")
    caller.presses(consent)
    await caller.hears("press 7")
    caller.presses("7")
    await caller.hears_to_the_end(TONE)


async def says_something(caller: Caller, seconds: float = 6) -> None:
    caller.silent = False
    await caller.waits(seconds)


def the_message() -> tuple[Request, Recording]:
    request = Request.objects.get()
    assert request.voicemail is not None
    return request, request.voicemail


def call(talk, tmp_path: Path | None, **fields: object) -> Caller:
    plan = fields.pop("plan", None) or a_plan_with_voicemail()
    return place_call(talk, plan=plan, prompts=TonePrompts(), recordings=tmp_path, **fields)  # type: ignore[arg-type]


def test_a_message_is_sent_by_key_and_stands_in_the_work_list(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.presses("#")
        await caller.hears("To send your message, press 1")
        caller.presses("1")
        await caller.hears("Our office has your message")
        await caller.hears("We will call you by")
        await caller.hears("press 7")

    caller = call(talk, tmp_path)

    request, recording = the_message()
    assert (request.kind, request.number, request.language) == ("message", CALLER, "en")
    assert request.confirmed
    assert request.due_at is not None
    assert (recording.kind, recording.state) == ("voicemail", "waiting")
    heard = listen_to(tmp_path / f"{recording.pk}.ogg")
    assert 5 < heard.seconds < 8
    assert heard.caller_heard(1, 5) > 3.5
    assert heard.clinic_heard(0, heard.seconds) == 0
    assert caller.call.outcome == "voicemail"
    assert caller.call.served == "request"


def test_the_hang_up_sends_what_was_said(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.hangs_up()

    caller = call(talk, tmp_path)
    request, recording = the_message()
    assert not request.confirmed
    assert recording.state == "waiting"
    assert listen_to(tmp_path / f"{recording.pk}.ogg").caller_heard(1, 5) > 3.5
    assert (caller.call.outcome, caller.call.ended_in_step) == ("voicemail", "voicemail")


@pytest.mark.parametrize("last_words", ["To send your message", "is recorded as before"])
def test_the_hang_up_sends_it_wherever_the_caller_is(tmp_path: Path, last_words: str) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.presses("#")
        await caller.hears("To send your message")
        if last_words != "To send your message":
            caller.presses("3")
            await caller.hears(last_words)
        caller.hangs_up()

    call(talk, tmp_path)
    _, recording = the_message()
    assert recording.state == "waiting"


def test_whoever_refused_the_recording_of_the_call_can_leave_a_message_all_the_same(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller, consent="2")
        await says_something(caller)
        caller.hangs_up()

    caller = call(talk, tmp_path)
    _, recording = the_message()
    consent = recording.consent
    assert consent is not None
    assert (consent.subject, consent.decision, consent.how) == ("message", "given", "stayed")
    assert (consent.covers_recording, consent.covers_transcript) == (True, False)
    assert "Your message is recorded and kept" in consent.wording
    assert consent.heard_to_end
    assert consent.answered_at < recording.started_at
    assert caller.call.consent == "refused"
    assert Recording.objects.count() == 1
    assert ConsentRecord.objects.get(subject="call").decision == "refused"


def test_the_message_is_not_in_the_calls_recording(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.presses("#")
        await caller.hears("To send your message")
        caller.presses("1")
        await caller.hears_to_the_end("press 7")
        await caller.waits(2)

    call(talk, tmp_path)
    _, message = the_message()
    before, after = Recording.objects.filter(kind="call")
    assert before.ended_at is not None and message.ended_at is not None
    assert before.ended_at <= message.started_at
    assert after.started_at >= message.ended_at
    assert before.consent == after.consent


def test_a_caller_listens_to_the_message_and_records_it_again(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller, 4)
        caller.presses("#")
        await caller.hears("To send your message")
        caller.presses("2")
        await caller.hears("To send your message")
        caller.presses("3")
        await caller.hears_to_the_end("is recorded as before")
        await says_something(caller, 9)
        caller.presses("#")
        await caller.hears("To send your message")
        caller.presses("1")
        await caller.hears("Our office has your message")

    call(talk, tmp_path)
    _, recording = the_message()
    assert recording.seconds == pytest.approx(9, abs=1.5)
    dropped = Recording.objects.filter(kind="voicemail").exclude(pk=recording.pk).get()
    assert dropped.state == "empty"
    assert not (tmp_path / f"{dropped.pk}.ogg").exists()


def test_an_empty_second_take_leaves_the_first_one(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.presses("#")
        await caller.hears("To send your message")
        caller.presses("3")
        await caller.hears("is recorded as before")
        caller.silent = True
        await caller.hears("To send your message")
        caller.presses("1")

    call(talk, tmp_path)
    _, recording = the_message()
    assert recording.seconds == pytest.approx(6, abs=1.5)


def test_silence_is_no_message(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        caller.silent = True
        await reaches_the_tone(caller)
        await caller.hears("I did not hear anything")
        await caller.hears(TONE)
        await caller.hears("I did not hear anything")
        caller.hangs_up()

    call(talk, tmp_path)
    assert not Request.objects.exists()
    assert {recording.state for recording in Recording.objects.filter(kind="voicemail")} == {"empty"}


def test_a_hang_up_at_the_tone_leaves_nothing(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        caller.silent = True
        await reaches_the_tone(caller)
        caller.hangs_up()

    caller = call(talk, tmp_path)
    assert not Request.objects.exists()
    assert caller.call.outcome == "caller_hung_up"


def test_a_message_ends_at_its_longest_length(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await caller.hears("That is as long as a message can be")
        await caller.hears("To send your message")
        caller.presses("1")

    call(talk, tmp_path, plan=a_plan_with_voicemail(voicemail_seconds=20))
    _, recording = the_message()
    assert recording.seconds == pytest.approx(20, abs=0.5)


def test_a_caller_who_falls_silent_need_not_press_anything(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.silent = True
        await caller.hears("To send your message")
        caller.hangs_up()

    call(talk, tmp_path)
    the_message()


def test_without_a_keypad_silence_sends_it(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("do you consent")
        caller.says("yes")
        await caller.hears("You can say")
        caller.says("a message")
        await caller.hears_to_the_end("stay silent for a moment")
        await says_something(caller)
        caller.silent = True
        await caller.hears("Our office has your message")

    call(talk, tmp_path, keys=False)
    request, _ = the_message()
    assert request.confirmed


@pytest.mark.parametrize("why", ["no sound is recorded here", "the microphone is off"])
def test_where_no_voice_can_be_kept_a_call_back_request_is_taken_instead(tmp_path: Path, why: str) -> None:
    async def talk(caller: Caller) -> None:
        caller.microphone_on = why != "the microphone is off"
        await caller.hears_to_the_end("do you consent")
        caller.presses("1")
        await caller.hears("press 7")
        caller.presses("7")
        await caller.hears("I cannot record a message on this line")
        await caller.hears("When is a good time to call you?")
        caller.presses("1")
        await caller.hears("Shall we call you at")
        caller.presses("1")
        await caller.hears("We will call you by")

    call(talk, tmp_path if why == "the microphone is off" else None)
    assert Request.objects.get().kind == "callback"
    assert not Recording.objects.filter(kind="voicemail").exists()


def test_a_disk_that_refuses_leads_to_a_call_back_request(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.write_text("no folder")

    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller, consent="2")
        await caller.hears("I cannot record a message just now")
        await caller.hears("When is a good time to call you?")

    call(talk, folder)


def test_a_withheld_number_leaves_a_message_without_a_promise(tmp_path: Path) -> None:
    async def talk(caller: Caller) -> None:
        await reaches_the_tone(caller)
        await says_something(caller)
        caller.presses("#")
        await caller.hears("To send your message")
        caller.presses("1")
        await caller.hears("Our office has your message")
        await caller.hears("press 7")

    caller = call(talk, tmp_path, number="")
    assert not any("We will call you by" in prompt for prompt in caller.prompts)
    assert the_message()[0].number == ""
