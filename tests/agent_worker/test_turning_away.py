"""Callers who hear one sentence and get no call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from agent_worker.prompts import SilentPrompts
from phone.models import Call
from phone.wording import Utterance
from tests.agent_worker.calling import Caller, place_call
from tests.phone.plans import a_plan

pytestmark = pytest.mark.django_db

TWO_LINES = a_plan(calls_at_once=2)


def test_one_call_too_many_hears_that_all_lines_are_busy() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("All our lines are busy.")

    caller = place_call(talk, plan=TWO_LINES, calls_already=2)

    assert caller.prompts == ["All our lines are busy. Please call again in a few minutes."]
    assert (caller.call.outcome, caller.call.served) == ("busy", "nothing")


def seconds_of(call: Call) -> float:
    assert call.ended_at
    return (call.ended_at - call.started_at).total_seconds()


def test_a_key_does_not_cut_it() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("All our lines are busy.")
        caller.presses("1")
        await caller.waits(60)

    call = place_call(talk, plan=TWO_LINES, calls_already=2).call
    assert call.outcome == "busy"
    assert 2 < seconds_of(call) < 30


def test_who_hangs_up_in_the_middle_of_it_is_on_record_at_once() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("All our lines are busy.")
        await caller.waits(0.5)

    call = place_call(talk, plan=TWO_LINES, calls_already=2).call
    assert call.outcome == "busy"
    assert seconds_of(call) == pytest.approx(0.5, abs=0.2)


def test_a_sentence_that_cannot_be_said_is_on_record_as_a_failed_call() -> None:
    class NoVoice(SilentPrompts):
        async def audio(self, utterance: Utterance, language: str) -> AsyncIterator[rtc.AudioFrame]:
            raise LookupError("a defect")
            yield

    async def talk(caller: Caller) -> None:
        await caller.waits(1)

    with pytest.raises(LookupError):
        place_call(talk, plan=TWO_LINES, calls_already=2, prompts=NoVoice())
    assert Call.objects.get().outcome == "failed"
