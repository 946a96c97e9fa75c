"""A line calls itself, on real servers and a real worker: what is found and told, and what is not on record."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.utils import timezone
from livekit import api, rtc
from livekit.agents import JobContext

from agent_worker.checking import press_all
from agent_worker.echo import keys_of_call
from agent_worker.lines.livekit_room import RoomLine
from phone import line_check
from phone.line_check import SEQUENCE, SPACINGS, Trouble, compare
from phone.line_checks import begin_check
from phone.line_sync import sync_lines
from phone.livekit_settings import LiveKitEnvironment
from phone.models import Call, CallEvent, LineCheck, PhoneLine
from tests.e2e.conftest import NUMBER, Voice, calls_on_record, in_database, until
from tests.e2e.looping_trunk import LoopingTrunk, Trunk
from tests.e2e.servers import LIVEKIT, REDIS, LiveKitServer, Redis
from tests.e2e.sip_edge import SipEdge
from tests.e2e.telephone import Telephones
from tests.e2e.workers import Worker
from tests.faulty_line import FaultyLine
from tests.services import require_service

pytestmark = pytest.mark.long

ENDS_WITHIN = 120.0
"""Seconds: a whole check takes 40, and this machine may have other things to do."""

State = LineCheck.State


@pytest.fixture(scope="module")
def trunk_and_server(
    data: Path, tmp_path_factory: pytest.TempPathFactory, django_db_setup: None
) -> Iterator[tuple[LoopingTrunk, LiveKitServer]]:
    """Servers of their own, and a worker whose outgoing calls come back in."""
    require_service("e2e tests", REDIS, "redis-server is not installed")
    require_service("e2e tests", LIVEKIT, "livekit-server is not installed")
    folder = tmp_path_factory.mktemp("line_check")
    redis = Redis(folder)
    server = LiveKitServer(folder, redis)
    edge = SipEdge(server)
    looping = LoopingTrunk(edge, server)
    worker = Worker(data, server, name="line_check", WORKER_WARM=2, LIVEKIT_URL=edge.url).ready()
    yield looping, server
    worker.stop()
    looping.stop()
    edge.stop()
    server.stop()
    redis.stop()


@pytest.fixture
def server(trunk_and_server: tuple[LoopingTrunk, LiveKitServer], settings: Any) -> LiveKitServer:
    _, server = trunk_and_server
    settings.LIVEKIT = LiveKitEnvironment(**server.environment)
    return server


@pytest.fixture
def trunk(trunk_and_server: tuple[LoopingTrunk, LiveKitServer], server: LiveKitServer, voice: Voice) -> Trunk:
    """The way out of the demo clinic's line, which the tests may break."""
    looping, _ = trunk_and_server
    looping.trunk = Trunk()
    PhoneLine.objects.update(outbound_address="127.0.0.1:5060")
    refused = [done.refused for done in sync_lines() if done.refused]
    assert not refused
    return looping.trunk


async def begun() -> LineCheck:
    """Somebody presses the button."""
    check = await in_database(lambda: begin_check(PhoneLine.objects.get(), now=timezone.now()))
    assert check is not None
    return check


async def ended(check: LineCheck) -> LineCheck:
    def over() -> LineCheck | None:
        check.refresh_from_db()
        return None if check.state == State.RUNNING else check

    return await until(lambda: in_database(over), seconds=ENDS_WITHIN)


async def nothing_on_record() -> bool:
    return not await in_database(lambda: Call.objects.exists() or CallEvent.objects.exists())


async def test_every_key_of_a_line_in_order_arrives_and_no_call_is_on_record(trunk: Trunk) -> None:
    check = await ended(await begun())
    assert (check.state, check.sentence, check.findings) == (State.PASSED, "", [])
    assert [key for key, _ in check.sent] == [key for key, _ in check.heard] == list(SEQUENCE) * len(SPACINGS)
    assert await nothing_on_record()
    (request,) = trunk.taken
    way_out = await in_database(lambda: PhoneLine.objects.get().outbound_trunk_id)
    assert (request.sip_trunk_id, request.sip_call_to) == (way_out, NUMBER)
    assert request.wait_until_answered


async def test_keys_that_are_lost_doubled_overtaken_late_or_foreign_are_found_and_named(trunk: Trunk) -> None:
    trunk.faults = {
        (0, "9"): Trouble.LOST,
        (0, "#"): Trouble.DOUBLED,
        (1, "*"): Trouble.SWAPPED,
        (1, "7"): Trouble.SLOW,
        (2, "0"): Trouble.FOREIGN,
        (2, "2"): Trouble.LOST,
    }
    check = await ended(await begun())
    assert check.state == State.FAULTY
    assert [(each.round, each.key, each.trouble) for each in check.found] == [
        (0, "9", Trouble.LOST),
        (0, "#", Trouble.DOUBLED),
        (1, "*", Trouble.SWAPPED),
        (1, "7", Trouble.SLOW),
        (2, "A", Trouble.FOREIGN),
        (2, "2", Trouble.LOST),
    ]
    assert await nothing_on_record()


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (486, "The provider says that the line is busy. (SIP 486)"),
        (603, "The call was declined. (SIP 603)"),
        (480, "The number was called, and nobody took the call in time. (SIP 480)"),
    ],
)
async def test_a_trunk_that_refuses_the_call_is_told_in_a_sentence(
    trunk: Trunk, refusal: int, sentence: str
) -> None:
    trunk.refusal = refusal
    check = await ended(await begun())
    assert (check.state, check.sentence) == (State.FAILED, sentence)
    assert await nothing_on_record()


async def test_where_somebody_else_takes_the_call_nothing_is_pressed(trunk: Trunk) -> None:
    trunk.leads_elsewhere = True
    check = await ended(await begun())
    assert check.state == State.FAILED
    assert "nothing was pressed" in check.sentence
    assert check.sent == []


async def test_a_provider_that_hides_the_number_makes_an_ordinary_call_in_which_nothing_is_pressed(
    trunk: Trunk,
) -> None:
    trunk.caller = "+12025550166"
    check = await ended(await begun())
    assert check.state == State.FAILED
    assert "does not show the line's own number" in check.sentence
    (call,) = await calls_on_record()
    assert str(call.caller_number) == "+12025550166"
    assert not await in_database(lambda: CallEvent.objects.filter(kind="key").exists())


async def test_a_call_that_breaks_off_is_told_and_what_was_pressed_is_compared(trunk: Trunk) -> None:
    trunk.breaks_after = 5
    check = await ended(await begun())
    assert check.state in (State.FAILED, State.FAULTY)
    assert "was cut off after" in check.sentence
    assert [key for key, _ in check.heard] == list(SEQUENCE[:5])
    assert await nothing_on_record()


async def test_a_stranger_with_the_lines_own_number_is_hung_up_on_while_the_check_has_its_call(
    trunk: Trunk, server: LiveKitServer
) -> None:
    telephones = Telephones(server)
    check = await begun()

    async def answered() -> bool | None:
        return await in_database(lambda: LineCheck.objects.get().answered_at is not None) or None

    await until(answered, seconds=ENDS_WITHIN)
    stranger = await telephones.dial(NUMBER, caller=NUMBER)
    await stranger.hears_the_line_close(within=30)
    assert stranger.ear.audible_seconds() == 0
    check = await ended(check)
    assert check.state == State.PASSED
    assert await nothing_on_record()
    await telephones.hang_up_all()


async def test_without_a_check_a_caller_with_the_lines_own_number_is_a_caller_like_any_other(
    trunk: Trunk, server: LiveKitServer
) -> None:
    telephones = Telephones(server)
    caller = await telephones.dial(NUMBER, caller=NUMBER)
    await caller.hears_voice(within=30)
    await caller.hang_up()
    (call,) = await calls_on_record()
    assert str(call.caller_number) == NUMBER


async def test_two_buttons_pressed_at_once_make_one_check(trunk: Trunk) -> None:
    trunk.refusal = 486

    def press() -> LineCheck | None:
        return begin_check(PhoneLine.objects.get(), now=timezone.now())

    checks = await asyncio.gather(*(in_database(press) for _ in range(4)))
    (check,) = [each for each in checks if each is not None]
    await ended(check)
    assert len(trunk.taken) == 1


class OwnJob:
    """What a room's line needs of its job, without a worker around it."""

    def __init__(self, server: LiveKitServer, name: str) -> None:
        self.room = rtc.Room()
        self._server, self._name = server, name

    async def connect(self, **_: object) -> None:
        token = (
            api.AccessToken(self._server.key, self._server.secret)
            .with_identity("agent")
            .with_kind("agent")
            .with_grants(api.VideoGrants(room_join=True, room=self._name))
        )
        await self.room.connect(self._server.url, token.to_jwt(), rtc.RoomOptions(auto_subscribe=False))

    async def delete_room(self) -> None:
        await self.room.disconnect()


@pytest.mark.parametrize("kind", ["sip", "standard"], ids=["telephone", "browser"])
async def test_a_key_that_suffers_on_its_way_into_a_room_is_named_whoever_calls(
    livekit: LiveKitServer, telephones: Telephones, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_check, "SLOW_SECONDS", 3.0)
    name = f"dental-check-{kind}"
    caller = await telephones.dial(NUMBER, kind=kind, room=name, dispatch=False)
    job = OwnJob(livekit, name)
    line = await RoomLine.join(cast(JobContext, job))
    assert line is not None
    since = timezone.now()
    hearing = asyncio.create_task(keys_of_call(line, since=since))
    faults = {
        (0, "4"): Trouble.DOUBLED,
        (1, "#"): Trouble.LOST,
        (1, "7"): Trouble.SLOW,
        (2, "1"): Trouble.SWAPPED,
        (2, "8"): Trouble.FOREIGN,
    }
    arrived: asyncio.Queue[str] = asyncio.Queue()
    job.room.on("sip_dtmf_received", lambda key: arrived.put_nowait(key.digit))
    faulty = FaultyLine(caller.press, faults)
    sent = await press_all(faulty.press, since=since, spacings=(0.4, 0.3, 0.2))
    await faulty.settle()
    for _ in range(len(sent) + 1):  # one is lost, one comes twice, one is foreign
        await asyncio.wait_for(arrived.get(), 10)
    await caller.hang_up()
    compared = compare(sent, await hearing)
    await line.hang_up()
    assert [(each.round, each.key, each.trouble) for each in compared.findings] == [
        (0, "4", Trouble.DOUBLED),
        (1, "#", Trouble.LOST),
        (1, "7", Trouble.SLOW),
        (2, "1", Trouble.SWAPPED),
        (2, "A", Trouble.FOREIGN),
    ]
