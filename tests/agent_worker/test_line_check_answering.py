"""Which calls are taken for a line's test call to itself, and what becomes of the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from agent_worker.checking import NO_SIP, refusal
from agent_worker.echo import answer_check
from agent_worker.simulated_time import run_simulated
from phone import services
from phone.livekit_api import CallNotAnswered, LiveKitError, LiveKitRefused, LiveKitUnreachable
from phone.models import Call, LineCheck, PhoneLine
from tests.agent_worker.calling import Caller
from tests.phone.clinics import a_clinic

pytestmark = pytest.mark.django_db

NUMBER = "+12125550142"


@pytest.fixture
def line() -> PhoneLine:
    return a_clinic(number=NUMBER).phone_lines.get()


@pytest.fixture
def check(line: PhoneLine) -> LineCheck:
    """A check whose test call is being made."""
    check = services.line_check_start(line=line, now=timezone.now())
    assert check and services.line_check_take(check=check.pk, now=timezone.now())
    return check


def call(keys: str = "", *, number: str = NUMBER, busy: bool = False) -> tuple[bool, Caller]:
    """A call from `number` to the line: whether it was taken for a test call, and the line as it was left."""

    async def run() -> tuple[bool, Caller]:
        caller = Caller(number, keys=True, origin="phone")
        caller.dialled = NUMBER
        answering = asyncio.create_task(answer_check(caller, busy=busy))
        await caller.waits(0.1)
        caller.presses(keys)
        await caller.waits(1)
        caller.hangs_up()
        return await answering, caller

    return run_simulated(run)


def heard(check: LineCheck) -> str | None:
    check.refresh_from_db()
    return None if check.heard is None else "".join(key for key, _ in check.heard)


def test_the_keys_of_the_test_call_are_told_and_nothing_else_is_on_record(check: LineCheck) -> None:
    taken, caller = call("1590")
    assert taken
    assert heard(check) == "1590"
    assert caller.events == []
    assert not Call.objects.exists()


def test_a_second_call_from_the_lines_own_number_is_closed_at_once(check: LineCheck) -> None:
    services.line_check_answer(number=NUMBER, busy=False, now=timezone.now())
    taken, caller = call("1")
    assert taken
    assert caller.events == []
    assert heard(check) is None


def test_a_test_call_that_finds_all_lines_busy_puts_the_check_off(check: LineCheck) -> None:
    taken, _ = call("1", busy=True)
    assert taken
    assert heard(check) is None
    assert check.state == LineCheck.State.PUT_OFF


def test_while_no_check_runs_the_lines_own_number_is_a_number_like_any_other(line: PhoneLine) -> None:
    assert call()[0] is False


@pytest.mark.parametrize("number", ["+12025550147", ""])
def test_any_other_caller_is_let_through_without_a_look_into_the_database(
    check: LineCheck, number: str, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert call(number=number)[0] is False


def test_while_the_database_is_away_such_a_caller_is_answered_like_any_other(
    check: LineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(services, "line_check_answer", away)
    assert call()[0] is False


def test_what_was_heard_is_told_once_the_database_is_back(
    check: LineCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    tell = services.line_check_heard

    def away_at_first(**told: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError
        tell(**told)

    monkeypatch.setattr(services, "line_check_heard", away_at_first)
    assert call("15")[0]
    assert heard(check) == "15"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CallNotAnswered("x", 486), "The provider says that the line is busy. (SIP 486)"),
        (CallNotAnswered("x", 404), "The provider says that there is no such number. (SIP 404)"),
        (CallNotAnswered("Nobody took the call.", None), "Nobody took the call."),
        (CallNotAnswered("The other side says 999.", 999), "The other side says 999."),
        (LiveKitRefused("LiveKit says: no response from servers.", "unavailable"), NO_SIP),
        (
            LiveKitRefused("LiveKit says: object cannot be found.", "not_found"),
            "LiveKit says: object cannot be found.",
        ),
        (LiveKitUnreachable("It does not answer."), "It does not answer."),
    ],
)
def test_why_a_number_could_not_be_called_is_a_sentence(error: LiveKitError, sentence: str) -> None:
    assert refusal(error) == sentence
