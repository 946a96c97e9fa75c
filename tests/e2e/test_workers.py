"""Workers: what happens when there are too few lines, several workers, or one that has to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter

import pytest

from phone.models import Call
from tests.e2e.conftest import NUMBER, Apart, Voice, calls_on_record, in_database, until
from tests.e2e.telephone import Telephone, Telephones
from tests.e2e.workers import Worker


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


async def test_of_twenty_callers_at_once_each_gets_one_of_ten_lines_or_hears_that_all_are_busy(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    await ready(apart.start(WORKER_CALLS=10))
    sentences = {"the clinic": await voice.saying("emergency"), "busy": await voice.saying("busy")}

    async def call(number: int) -> tuple[str, Telephone]:
        # All of them within two seconds.
        await asyncio.sleep(number / 10)
        caller = await telephones_apart.dial(NUMBER, caller=f"+155512302{number:02}")
        return await caller.hears_one_of(sentences, within=30), caller

    calls = await asyncio.gather(*(call(number) for number in range(20)))
    assert Counter(heard for heard, _ in calls) == {"the clinic": 10, "busy": 10}
    await asyncio.gather(*(caller.hears_the_line_close() for heard, caller in calls if heard == "busy"))
    await asyncio.gather(*(caller.hang_up() for _, caller in calls))
    outcomes = Counter(call.outcome for call in await calls_on_record(20))
    assert outcomes == {"busy": 10, "caller_hung_up": 10}
    next_one = await telephones_apart.dial(NUMBER)
    await next_one.hears(sentences["the clinic"])


async def test_a_worker_told_to_stop_lets_live_calls_finish_and_takes_no_new_ones(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    worker = apart.start(WORKER_WARM=2)
    await ready(worker)
    callers = await some_calls(telephones_apart, 5)
    # As a terminal's Ctrl-C and some supervisors do: to the whole process group.
    os.killpg(worker.popen.pid, signal.SIGTERM)
    await until(lambda: asyncio.to_thread(lambda: "Stopping" in worker.written() or None))
    late = await telephones_apart.dial(NUMBER)
    for caller in callers:
        caller.begin()
        await caller.press("11")
    question = await voice.saying("id_question")
    await asyncio.gather(*(caller.hears(question) for caller in callers))
    assert not late.answered.is_set()
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    assert await ended(worker) == 0
    calls = await calls_on_record(5)
    assert {(call.outcome, call.ended_in_step) for call in calls} == {("caller_hung_up", "patient_id")}


async def test_a_worker_told_twice_to_stop_says_goodbye_to_live_calls(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    worker = apart.start(WORKER_WARM=2)
    await ready(worker)
    callers = await some_calls(telephones_apart, 2)
    worker.tell_to_stop()
    await until(lambda: asyncio.to_thread(lambda: "Stopping" in worker.written() or None))
    for caller in callers:
        caller.begin()
    worker.tell_to_stop()
    goodbye = await voice.saying("stopping")
    await asyncio.gather(*(caller.hears(goodbye, within=5) for caller in callers))
    await asyncio.gather(*(caller.hears_the_line_close(within=6) for caller in callers))
    assert await ended(worker) == 0
    assert {call.outcome for call in await calls_on_record(2)} == {"failed"}


async def test_a_worker_that_dies_takes_its_calls_along(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    worker = apart.start(WORKER_WARM=2)
    await ready(worker)
    callers = await some_calls(telephones_apart, 2)
    worker.die()
    await asyncio.gather(*(caller.hears_the_line_close() for caller in callers))
    assert {call.outcome for call in await calls_on_record(2)} == {"failed"}


async def test_two_workers_share_twenty_calls(
    voice: Voice, apart: Apart, telephones_apart: Telephones
) -> None:
    workers = [apart.start(WORKER_WARM=2) for _ in range(2)]
    await ready(*workers)
    callers = await some_calls(telephones_apart, 20)
    answered = [int(worker.state()["active_jobs"]) for worker in workers]
    assert sum(answered) == 20
    assert min(answered) >= 1
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    assert {call.outcome for call in await calls_on_record(20)} == {"caller_hung_up"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"LIVEKIT_API_SECRET": "wrong" * 8},
            "refuses our key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        ),
        ({"LIVEKIT_URL": "ws://127.0.0.1:9"}, "cannot be used"),
    ],
    ids=["key", "address"],
)
async def test_a_worker_that_cannot_reach_its_server_says_why_in_its_log(
    apart: Apart, transactional_db: None, wrong: dict[str, str], sentence: str
) -> None:
    worker = apart.start(WORKER_WARM=1, **wrong)
    await until(lambda: asyncio.to_thread(lambda: sentence in worker.written() or None), seconds=60)
    assert worker.popen.poll() is None
    assert not await in_database(Call.objects.exists)
