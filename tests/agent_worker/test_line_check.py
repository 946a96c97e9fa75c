"""A line check on the embedded line: what goes wrong on the way is found, each time, and the key is named."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from websockets.asyncio.client import ClientConnection

from agent_worker.checking import check_order, press_all
from agent_worker.echo import keys_of_call
from agent_worker.lines.base import Line
from phone import line_check
from phone.line_check import KEYS_KEPT, SEQUENCE, Comparison, Press, Trouble, compare
from tests.agent_worker.test_browser_line import PhoneServer, closing, phone
from tests.faulty_line import FOREIGN_KEY, FaultyLine, Place

__all__ = ["phone"]

FAST = (0.1, 0.08, 0.06)


@pytest.fixture(autouse=True)
def busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is busy with other tests carries keys more slowly, and has no time for long pauses."""
    monkeypatch.setattr(line_check, "SLOW_SECONDS", 3.0)
    monkeypatch.setattr(line_check, "PAUSE_SECONDS", 0.2)


class Echo:
    """The clinic's side of one line check; `heard` once its call is over."""

    def __init__(self, seconds: float = 60) -> None:
        self.since = datetime.now(UTC)
        self.heard: asyncio.Future[list[Press]] = asyncio.get_running_loop().create_future()
        self._seconds = seconds

    async def __call__(self, line: Line) -> None:
        self.heard.set_result(await keys_of_call(line, since=self.since, seconds=self._seconds))


async def say(caller: ClientConnection, **message: str) -> None:
    await caller.send(json.dumps(message))


async def dial(phone: PhoneServer, echo: Echo) -> ClientConnection:
    """A call that `echo` answers."""
    phone.call = echo
    caller = await phone.dial()
    assert json.loads(await caller.recv())["state"] == "in_call"
    return caller


async def check(caller: ClientConnection, echo: Echo, faults: dict[Place, Trouble]) -> Comparison:
    """One whole line check, on the way of which there is a faulty stretch."""

    async def deliver(key: str) -> None:
        await say(caller, type="key", key=key)

    unread = asyncio.create_task(hang_on(caller))
    line = FaultyLine(deliver, faults)
    sent = await press_all(line.press, since=echo.since, spacings=FAST)
    await line.settle()
    await say(caller, type="hangup")
    compared = compare(sent, await echo.heard)
    await unread
    return compared


async def hang_on(caller: ClientConnection) -> None:
    """Take what is sent to this caller until the line is closed."""
    async for _ in caller:
        pass


async def test_on_a_line_in_order_every_key_arrives_at_every_speed(phone: PhoneServer) -> None:
    echo = Echo()
    compared = await check(await dial(phone, echo), echo, {})
    assert compared.findings == ()
    assert [arrival.key for arrival in compared.arrivals] == list(SEQUENCE) * len(FAST)
    assert all(arrival.latency is not None for arrival in compared.arrivals)


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_a_fault_on_whichever_key_is_found_and_the_key_is_named(
    phone: PhoneServer, trouble: Trouble
) -> None:
    # The last key of a round has no other one behind it that could overtake it.
    keys = SEQUENCE[:-1] if trouble == Trouble.SWAPPED else SEQUENCE
    places = [(number % len(FAST), key) for number, key in enumerate(keys)]
    echoes = [Echo() for _ in places]
    callers = [await dial(phone, echo) for echo in echoes]
    checks = await asyncio.gather(
        *(
            check(caller, echo, {place: trouble})
            for caller, echo, place in zip(callers, echoes, places, strict=True)
        )
    )
    for (number, key), compared in zip(places, checks, strict=True):
        (finding,) = compared.findings
        assert finding.trouble == trouble
        assert (finding.round, finding.key) == (number, FOREIGN_KEY if trouble == Trouble.FOREIGN else key)


async def test_a_press_that_the_page_sends_again_counts_once(phone: PhoneServer) -> None:
    echo = Echo()
    caller = await dial(phone, echo)
    for _ in range(2):
        await say(caller, type="key", key="1", id="the same")
    await say(caller, type="hangup")
    assert [press.key for press in await echo.heard] == ["1"]
    await hang_on(caller)


async def test_of_a_stranger_who_presses_on_and_on_only_so_many_keys_are_kept(phone: PhoneServer) -> None:
    echo = Echo()
    caller = await dial(phone, echo)
    for _ in range(KEYS_KEPT + 20):
        await say(caller, type="key", key="7")
    await say(caller, type="hangup")
    assert len(await echo.heard) == KEYS_KEPT
    await hang_on(caller)


async def test_a_caller_who_never_hangs_up_is_hung_up_on(phone: PhoneServer) -> None:
    caller = await dial(phone, Echo(seconds=0.3))
    code, _ = await closing(caller)
    assert code == 1000


async def test_pressing_stops_when_the_line_is_hung_up() -> None:
    hung_up = asyncio.Event()
    pressed: list[str] = []

    async def press(key: str) -> None:
        pressed.append(key)
        if len(pressed) == 4:
            hung_up.set()

    sent = await press_all(press, since=datetime.now(UTC), spacings=(0.01,), hung_up=hung_up)
    assert "".join(press.key for press in sent) == "".join(pressed) == SEQUENCE[:4]


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "{}",
        "null",
        "[]",
        '{"kind": "line_check"}',
        '{"kind": "line_check", "check": "x"}',
        '{"kind": "other", "check": "0191d3a0-0000-7000-8000-000000000000"}',
        '{"resume": "x", "epoch": 2}',
    ],
)
def test_a_job_without_an_order_that_can_be_read_is_no_line_check(metadata: str) -> None:
    assert check_order(metadata) is None
