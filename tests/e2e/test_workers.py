"""Workers: what happens when there are too few lines, several workers, or one that has to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from functools import partial
from http import HTTPStatus

import pytest

from phone.models import Call
from tests.e2e.conftest import CALLER, NUMBER, Apart, Voice, calls_on_record, in_database, until
from tests.e2e.crowd import Crowd, DistantTelephone
from tests.e2e.telephone import BEGINNING, Telephone, Telephones
from tests.e2e.workers import Worker

AT_ONCE = 5
"""Of twenty calls that two workers share, so many begin in the same moment."""


async def ready(*workers: Worker) -> None:
    await asyncio.gather(*(asyncio.to_thread(worker.ready) for worker in workers))


async def some_calls(telephones: Telephones, count: int) -> list[Telephone]:
    """Callers who all hear the clinic."""
    callers = await asyncio.gather(
        *(telephones.dial(NUMBER, caller=f"+155512301{number:02}") for number in range(count))
    )
    await asyncio.gather(*(caller.hears_voice(within=30) for caller in callers))
    return callers


async def ended(worker: Worker) -> int:
    return await until(lambda: asyncio.to_thread(worker.popen.poll), seconds=20)


@pytest.mark.crowd
async def test_of_twenty_callers_at_once_ten_get_a_line_and_ten_are_told_that_all_are_busy(
    voice: Voice, apart: Apart, crowd: Crowd
) -> None:
    await ready(apart.start(WORKER_CALLS=10))

    async def call(number: int) -> DistantTelephone:
        # All of them within two seconds.
        await asyncio.sleep(number / 10)
        caller = await crowd.dial(NUMBER, caller=f"+155512302{number:02}", hums=False)
        await caller.hears_voice(within=30)
        return caller

    callers = await asyncio.gather(*(call(number) for number in range(20)))
    told = {str(call.caller_number) for call in await calls_on_record(10)}
    turned_away = [caller for caller in callers if caller.number in told]
    await asyncio.gather(*(caller.hears_the_line_close() for caller in turned_away))
    sentences = {key: await voice.spectrum(key) for key in ("busy", "emergency", "consent_question")}
    assert {await caller.heard(sentences) for caller in turned_away} == {"busy"}
    through = [caller for caller in callers if caller.number not in told]
    for caller in through:
        await caller.begin()
        await caller.press("1")
    menu = (await voice.menu())[:BEGINNING]
    await asyncio.gather(*(caller.hears(menu, within=30) for caller in through))

    one_more = await crowd.dial(NUMBER, caller=CALLER)
    await one_more.hears(await voice.saying("busy"), within=15)
    await one_more.hears_the_line_close()
    await asyncio.gather(*(caller.hang_up() for caller in through))
    outcomes = Counter(call.outcome for call in await calls_on_record(21))
    assert outcomes == {"busy": 11, "caller_hung_up": 10}
    next_one = await crowd.dial(NUMBER, caller=CALLER)
    await next_one.hears(await voice.saying("emergency"), within=15)


@pytest.mark.crowd
async def test_two_workers_share_twenty_calls_and_stop_without_dropping_one(
    voice: Voice, apart: Apart, crowd: Crowd
) -> None:
    first, second = workers = [apart.start(WORKER_WARM=2) for _ in range(2)]
    await ready(*workers)
    callers: list[DistantTelephone] = []
    for begun in range(0, 20, AT_ONCE):
        numbers = range(begun, begun + AT_ONCE)
        some = await asyncio.gather(
            *(crowd.dial(NUMBER, caller=f"+155512301{number:02}", hums=False) for number in numbers)
        )
        await asyncio.gather(*(caller.hears_voice(within=30) for caller in some))
        callers += some
    answered = [int(worker.state()["active_jobs"]) for worker in workers]
    assert sum(answered) == 20
    assert min(answered) >= 1

    for worker in workers:
        # As a terminal's Ctrl-C and some supervisors do: to the whole process group.
        os.killpg(worker.popen.pid, signal.SIGTERM)
        await asyncio.to_thread(worker.wait_until, partial(says, worker, "Stopping"))
    late = await crowd.dial(NUMBER, caller=CALLER)
    for caller in callers:
        await caller.begin()
        await caller.press("11")
    question = await voice.saying("id_question")
    await asyncio.gather(*(caller.hears(question, within=30) for caller in callers))
    assert not await late.answered()
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    assert await ended(first) == await ended(second) == 0
    calls = await calls_on_record(20)
    assert {(call.outcome, call.ended_in_step) for call in calls} == {("caller_hung_up", "patient_id")}


async def test_a_worker_told_twice_to_stop_says_goodbye_to_live_calls(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    worker = apart.start(WORKER_WARM=2)
    await ready(worker)
    callers = await some_calls(telephones_apart, 2)
    worker.tell_to_stop()
    await asyncio.to_thread(worker.wait_until, partial(says, worker, "Stopping"))
    for caller in callers:
        caller.begin()
    worker.tell_to_stop()
    goodbye = await voice.saying("stopping")
    await asyncio.gather(*(caller.hears(goodbye, within=5) for caller in callers))
    await asyncio.gather(*(caller.hears_the_line_close(within=6) for caller in callers))
    assert await ended(worker) == 0
    assert {call.outcome for call in await calls_on_record(2)} == {"failed"}


@pytest.mark.long
async def test_a_worker_that_dies_takes_its_calls_along(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    worker = apart.start(WORKER_WARM=2)
    await ready(worker)
    callers = await some_calls(telephones_apart, 2)
    worker.die()
    await asyncio.gather(*(caller.hears_the_line_close() for caller in callers))
    assert {call.outcome for call in await calls_on_record(2)} == {"failed"}


async def test_a_worker_that_cannot_reach_its_server_says_why_in_its_log_and_is_not_well(
    apart: Apart, transactional_db: None
) -> None:
    wrong = {
        "refuses our key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET": {"LIVEKIT_API_SECRET": "wrong" * 8},
        "cannot be used": {"LIVEKIT_URL": "ws://127.0.0.1:9"},
    }
    workers = {sentence: apart.start(WORKER_WARM=1, **variables) for sentence, variables in wrong.items()}
    for sentence, worker in workers.items():
        await asyncio.to_thread(worker.wait_until, partial(says, worker, sentence), seconds=60)
        assert worker.health() == HTTPStatus.SERVICE_UNAVAILABLE
    assert not await in_database(Call.objects.exists)


def says(worker: Worker, sentence: str) -> bool:
    return sentence in worker.written()
