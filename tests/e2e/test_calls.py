"""Calls by telephone, on real servers: what the caller hears, and what stands on record afterwards."""

from __future__ import annotations

import asyncio

import pytest
from django.db.models import QuerySet

from phone.models import Call, CallEvent, ConsentRecord, KeypadEntry, PhoneLine, PlanVersion
from tests.e2e.conftest import CALLER, NUMBER, Voice, calls_on_record, hears_the_menu, in_database
from tests.e2e.telephone import Telephone, Telephones

pytestmark = pytest.mark.usefixtures("worker")


async def rows(found: QuerySet[CallEvent] | QuerySet[KeypadEntry] | QuerySet[ConsentRecord]) -> list:  # type: ignore[type-arg]
    return await in_database(lambda: list(found))


async def to_the_menu(telephones: Telephones, **call: object) -> Telephone:
    """A caller who has said yes to the recording before the question was over."""
    caller = await telephones.dial(NUMBER, **call)  # type: ignore[arg-type]
    await caller.hears_voice()
    await caller.press("1")
    return caller


async def test_a_caller_goes_by_keys_from_consent_to_the_receptionist(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial(NUMBER, caller=CALLER)
    await caller.hears(await voice.saying("emergency"))
    await caller.hears(await voice.saying("consent_question"), within=30)
    caller.begin()
    await caller.press("1")
    await hears_the_menu(voice, caller)
    caller.begin()
    await caller.press("1")
    await caller.hears(await voice.saying("id_question"))
    caller.begin()
    await caller.press("4821#")
    await caller.hears_voice(1.0)
    await caller.press("1")
    caller.begin()
    await caller.hears(await voice.saying("receptionist_intro", seconds=1.0))
    await caller.hang_up()

    (call,) = await calls_on_record()
    assert (call.origin, str(call.caller_number), call.outcome) == ("phone", CALLER, "caller_hung_up")
    assert (call.ended_in_step, call.consent, call.after_hours) == ("receptionist", "given", False)
    assert await in_database(lambda: str(Call.objects.get().line.number)) == NUMBER
    assert await in_database(lambda: Call.objects.get().patient.name) == "Maria Alvarez"
    events = await rows(CallEvent.objects.all())
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.step for event in events if event.kind == "step"] == [
        "greeting",
        "consent",
        "menu",
        "patient_id",
        "receptionist",
    ]
    entries = await rows(KeypadEntry.objects.order_by("at"))
    assert [(entry.step, entry.digits, entry.outcome) for entry in entries] == [
        ("consent", "1", "accepted"),
        ("menu", "1", "accepted"),
        ("patient_id", "••••", "accepted"),
        ("patient_id", "1", "accepted"),
    ]
    (consent,) = await rows(ConsentRecord.objects.all())
    assert (consent.decision, consent.how) == ("given", "keypad")


async def test_a_caller_who_refuses_recording_hears_goodbye_and_the_line_closes(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial(NUMBER)
    await caller.hears_voice()
    caller.begin()
    await caller.press("2")
    await caller.hears(await voice.saying("consent_refused_goodbye"))
    await caller.hears_the_line_close()
    (call,) = await calls_on_record()
    assert (call.outcome, call.consent) == ("consent_refused", "refused")


async def test_a_call_has_its_last_row_in_whatever_step_the_caller_hangs_up(telephones: Telephones) -> None:
    keys_to = {"greeting": "", "menu": "1", "patient_id": "11", "receptionist": "114821#1"}

    async def hang_up_in(step: str, number: int) -> None:
        caller = await telephones.dial(NUMBER, caller=f"+1555123000{number}")
        await caller.hears_voice()
        await caller.press(keys_to[step])
        caller.begin()
        await caller.hears_voice(1.0)
        await caller.hang_up()

    await asyncio.gather(*(hang_up_in(step, number) for number, step in enumerate(keys_to)))
    calls = await calls_on_record(len(keys_to))
    assert {call.outcome for call in calls} == {"caller_hung_up"}
    assert {str(call.caller_number)[-1]: call.ended_in_step for call in calls} == {
        str(number): step for number, step in enumerate(keys_to)
    }


async def test_a_telephone_that_still_rings_hears_the_greeting_from_its_beginning(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial(NUMBER, attributes={"sip.callStatus": "ringing"})
    await caller.answered.wait()
    await caller.hears_silence(0.5)
    caller.begin()
    await caller.room.local_participant.set_attributes({"sip.callStatus": "active"})
    await caller.hears(await voice.saying("emergency"))


async def test_a_caller_whose_keys_are_not_forwarded_is_not_told_to_press_any(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial(NUMBER, attributes={"sip.sendDtmf": ""})
    await caller.hears(await voice.saying("consent_question_voice", seconds=4.0), within=40)


async def test_a_second_guest_in_the_room_neither_presses_nor_is_heard_nor_hears(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await to_the_menu(telephones)
    await caller.hears_voice(1.0)
    guest = await telephones.dial(
        NUMBER, caller="+15559999999", room=caller.room.name, dispatch=False, kind="standard"
    )
    await guest.press("2")
    caller.begin()
    await caller.press("1")
    await caller.hears(await voice.saying("id_question"))
    entries = await rows(KeypadEntry.objects.filter(step="menu"))
    assert [entry.digits for entry in entries] == ["1"]
    assert guest.subscriptions == 0
    assert guest.ear.audible_seconds() == 0


async def test_nobody_receives_the_callers_audio_where_nothing_can_understand_it(
    telephones: Telephones,
) -> None:
    caller = await to_the_menu(telephones)
    caller.begin()
    await caller.press("14821#1")
    await caller.hears_voice(2.0)
    await caller.hang_up()
    await calls_on_record()
    assert caller.subscriptions == 0


async def test_a_number_that_is_not_ours_gets_a_sentence_and_a_row(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial("+12125559999")
    await caller.hears(await voice.saying("no_plan"))
    await caller.hears_the_line_close()
    (call,) = await calls_on_record()
    assert (call.outcome, call.line_id) == ("failed", None)


async def test_a_line_without_a_published_plan_gets_a_sentence_and_a_row(
    voice: Voice, telephones: Telephones
) -> None:
    await in_database(PlanVersion.objects.all().delete)
    caller = await telephones.dial(NUMBER)
    await caller.hears(await voice.saying("no_plan"))
    await caller.hears_the_line_close()
    (call,) = await calls_on_record()
    line = await in_database(PhoneLine.objects.get)
    assert (call.outcome, call.line_id) == ("failed", line.pk)


@pytest.mark.parametrize("number", ["", "anonymous"])
async def test_a_caller_who_withholds_the_number_is_answered(telephones: Telephones, number: str) -> None:
    caller = await telephones.dial(NUMBER, attributes={"sip.phoneNumber": number})
    await caller.hears_voice(1.0)
    await caller.hang_up()
    (call,) = await calls_on_record()
    assert (str(call.caller_number), call.outcome) == ("", "caller_hung_up")


async def test_a_browser_in_a_room_has_keys_and_reaches_the_first_line(
    voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial("", kind="standard")
    await caller.hears_voice()
    caller.begin()
    await caller.press("11")
    await caller.hears(await voice.saying("id_question"))
    await caller.hang_up()
    (call,) = await calls_on_record()
    assert (call.origin, call.ended_in_step) == ("browser", "patient_id")
