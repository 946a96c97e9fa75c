"""The database is away, and the clinic's telephone is answered all the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from agent_worker.answering import answer
from agent_worker.desk import Desk
from agent_worker.plans import read_ahead
from agent_worker.prompts import SilentPrompts
from agent_worker.records import RecordWriter
from agent_worker.simulated_time import run_simulated
from agent_worker.speech import Speech
from clinic.models import Clinic
from phone.models import Call, PhoneLine
from phone.spool import store_left_behind
from tests.agent_worker.calling import Caller, publish
from tests.phone.plans import a_plan

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = "+12125550142"


@contextmanager
def database_away() -> Iterator[None]:
    def away(*_: object) -> Any:
        raise OperationalError("the server closed the connection unexpectedly")

    with connection.execute_wrapper(away):
        yield


@pytest.fixture(autouse=True)
def clinic(tmp_path: Path, settings) -> Clinic:
    settings.DATA_DIR = tmp_path
    clinic = publish(a_plan())
    PhoneLine.objects.create(clinic=clinic, number=NUMBER)
    return clinic


def dial(talk: Callable[[Caller], Awaitable[None]], *, number: str = NUMBER) -> Caller:
    async def call() -> Caller:
        caller = Caller("+12025550147", keys=True, origin="phone")
        caller.dialled = number
        writer = RecordWriter()
        desk = Desk(prompts=SilentPrompts(), writer=writer, speech=Speech())
        answering = asyncio.create_task(answer(caller, desk))
        await talk(caller)
        caller.hangs_up()
        await answering
        # The process ends.
        await writer.aclose()
        return caller

    return run_simulated(call)


async def asks_for_the_hours(caller: Caller) -> None:
    await caller.hears("Do you consent?")
    caller.presses("1")
    await caller.hears("For office hours, press 2.")
    caller.presses("2")
    await caller.hears("We are open")


async def only_listens(caller: Caller) -> None:
    await caller.waits(10)


def test_callers_hear_the_last_known_plan_and_the_call_is_on_record_afterwards() -> None:
    dial(asks_for_the_hours)
    with database_away():
        caller = dial(asks_for_the_hours)
    assert Call.objects.count() == 1
    store_left_behind()
    call = caller.call
    assert (call.outcome, call.served, call.consent) == ("caller_hung_up", "information", "given")
    assert call.line == PhoneLine.objects.get()


def test_a_number_that_was_switched_off_is_not_answered_by_an_old_plan() -> None:
    dial(asks_for_the_hours)
    PhoneLine.objects.update(enabled=False)
    dial(only_listens)
    with database_away():
        assert dial(only_listens).prompts == []


def test_where_no_plan_is_known_a_caller_is_told_that_nobody_can_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoken = []

    async def listens(caller: Caller) -> None:
        caller.audio_output.on("playback_finished", lambda event: spoken.append(event.playback_position))
        await caller.waits(10)

    with database_away():
        dial(listens)
    assert len(spoken) == 1
    assert spoken[0] > 1
    assert "not on record" in caplog.text


@pytest.mark.parametrize("trouble", [OperationalError("it is away"), ValueError("a plan of long ago")])
def test_a_plan_that_cannot_be_read_ahead_keeps_no_process_from_starting(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def read(_dialled: str) -> None:
        reads.append(threading.current_thread().name)
        raise trouble

    monkeypatch.setattr("agent_worker.plans.live_plan", read)
    read_ahead()
    # On the thread whose connection the call will use.
    assert [name.startswith("database") for name in reads] == [True]


def test_a_copy_that_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    dial(asks_for_the_hours)
    (copy,) = (tmp_path / "plans").iterdir()
    copy.write_text('{"clinic_id": 1')
    with database_away():
        assert dial(only_listens).prompts == []


def test_a_caller_who_dialled_a_number_that_is_none_of_ours_is_on_record(clinic: Clinic) -> None:
    PhoneLine.objects.update(room_prefix="dental-")

    async def in_a_room_of_ours(caller: Caller) -> None:
        caller.room = "dental-_1"
        await caller.waits(10)

    dial(in_a_room_of_ours, number="+12125559999")
    call = Call.objects.get()
    assert (call.clinic, call.line, call.outcome) == (clinic, None, "failed")
