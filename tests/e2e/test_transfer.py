"""Callers who are put through to a person, on real servers, judged by what each of the two telephones receives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from phone import wording
from phone.models import Call, CallEvent, DirectoryEntry, PhoneLine
from phone.publishing import publish
from tests.e2e.conftest import NUMBER, Apart, Voice, calls_on_record, in_database, servers_apart, until
from tests.e2e.exchange import Exchange, Leg
from tests.e2e.sip_edge import SipEdge
from tests.e2e.telephone import LIKE, Loudness, Telephones
from tests.e2e.test_dead_agents import reconciling

DESK = "+12125550143"
WITHIN = 2.0
"""Seconds in which a caller who was not put through hears words."""

TOGETHER = 0.3
"""Seconds from the person's key to the moment at which each of the two hears the other."""


@pytest.fixture(scope="module")
def apart(data: Path, tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Apart]:
    """Servers of these tests' own: another worker would ask livekit-server itself."""
    with servers_apart(data, tmp_path_factory.mktemp("transfer")) as apart:
        yield apart


@pytest.fixture(scope="module")
def edge(apart: Apart) -> Iterator[SipEdge]:
    edge = SipEdge(apart.livekit)
    apart.start(WORKER_WARM=2, LIVEKIT_URL=edge.url).ready()
    yield edge
    edge.stop()


@pytest.fixture
def ways_out(demo: None) -> None:
    """The demo clinic's line has an outbound trunk, and its front desk is rung first."""
    PhoneLine.objects.update(outbound_address="sip.example.com", outbound_trunk_id="ST_out")
    DirectoryEntry.objects.filter(number=DESK).update(manner="warm")
    publish(PhoneLine.objects.get().clinic_id)


@pytest_asyncio.fixture
async def exchange(edge: SipEdge, apart: Apart, voice: Voice) -> AsyncIterator[Exchange]:
    exchange = Exchange(edge, apart.livekit)
    exchange.open()
    yield exchange
    await exchange.close()


async def asks_for_a_person(exchange: Exchange, *, kind: str = "sip") -> Leg:
    """A caller who has said yes, and presses 0 in the menu."""
    caller = exchange.caller = Leg()
    await Telephones(exchange.server).dial(NUMBER, telephone=caller, kind=kind)
    await caller.hears_voice(within=30)
    await caller.press("1")
    caller.begin()
    await caller.hears_voice(1.0)
    await caller.speak()
    caller.begin()
    await caller.press("0")
    return caller


async def sentence(voice: Voice, key: str, **values: str) -> Loudness:
    """Enough of it to tell it from what else begins with an apology, or names the same person."""
    return await voice.of(wording.say(voice.plan, key, "en", **values), seconds=3.0)


async def words_began(caller: Leg, clip: Loudness) -> float:
    """Hear this from now on; when it began, in loop time."""
    caller.begin()
    await caller.hears(clip)
    return caller.ear.at[caller.ear.began(clip, caller._since)]


async def briefed(exchange: Exchange, voice: Voice) -> Leg:
    """The person has answered, and hears what the call is."""
    await asyncio.wait_for(exchange.picked_up.wait(), 20)
    assert exchange.person
    await exchange.person.hears(await voice.of(wording.briefing(voice.plan, "en", "")), within=15)
    return exchange.person


async def answers_on_record() -> list[str]:
    events = await in_database(lambda: list(CallEvent.objects.filter(kind="transfer").order_by("seq")))
    return [event.data["answer"] for event in events]


class TestHandedOver:
    async def test_the_caller_is_told_hears_it_ring_and_has_reached_a_person(
        self, exchange: Exchange, voice: Voice
    ) -> None:
        exchange.rings = 3.0
        caller = await asks_for_a_person(exchange)
        await caller.hears(await sentence(voice, "transfer_connecting", person="our front desk"))
        caller.begin()
        await caller.hears_voice(1.0)
        await asyncio.wait_for(exchange.answered.wait(), 20)
        await caller.hears_the_line_close()
        (call,) = await calls_on_record()
        assert exchange.transferred == [f"tel:{DESK}"]
        assert (call.outcome, call.served, call.ended_in_step) == ("transferred", "person", "transfer")
        assert call.ended_at is not None
        assert await answers_on_record() == ["ringing", "accepted"]

    @pytest.mark.parametrize(
        ("answer", "words", "recorded"),
        [
            (486, "transfer_busy", "busy"),
            (603, "transfer_no_answer", "declined"),
            (480, "transfer_no_answer", "no_answer"),
            ("nothing", "transfer_failed", "no_word"),
        ],
    )
    async def test_every_other_answer_leads_to_words_and_back_to_the_menu(
        self, exchange: Exchange, voice: Voice, answer: str | int, words: str, recorded: str
    ) -> None:
        exchange.refers = answer
        caller = await asks_for_a_person(exchange)
        clip = await sentence(voice, words, person="our front desk")
        await asyncio.wait_for(exchange.answered.wait(), 60)
        assert await words_began(caller, clip) - exchange.answered_at <= WITHIN
        caller.begin()
        await caller.press("2")
        await caller.hears_voice(1.0)
        await caller.hang_up()
        (call,) = await calls_on_record()
        assert (call.outcome, call.ended_in_step) == ("caller_hung_up", "menu")
        assert await answers_on_record() == ["ringing", recorded]


@pytest.mark.usefixtures("ways_out")
class TestRungFirst:
    async def test_neither_hears_the_other_before_the_key_and_both_do_right_after_it(
        self, apart: Apart, exchange: Exchange, voice: Voice, settings: Any, record_property: Any
    ) -> None:
        caller = await asks_for_a_person(exchange)
        await caller.hears(await sentence(voice, "transfer_fetching", person="our front desk"))
        person = await briefed(exchange, voice)
        told = await voice.of(wording.briefing(voice.plan, "en", ""))
        assert exchange.called == [("ST_out", DESK)]
        # Both speak all the time.
        assert person.heard_of(caller) == 0
        assert caller.heard_of(person) == 0
        assert len(caller.agent_tracks) == 1
        assert len(person.agent_tracks) == 1
        assert caller.ear.likeness(told, caller._since) < LIKE

        pressed = asyncio.get_running_loop().time()
        await person.press("1")
        delays = [
            await caller.hears_telephone(person) - pressed,
            await person.hears_telephone(caller) - pressed,
        ]
        record_property("seconds until both heard each other", delays)
        assert max(delays) <= TOGETHER
        assert caller.agent_tracks & person.agent_tracks == set()

        call = await self.taken()
        assert (call.served, call.ended_in_step, call.ended_at) == ("person", "transfer", None)
        assert await answers_on_record() == ["ringing", "joined"]
        # The agent is gone, and the two talk on.
        await until(lambda: self.alone(caller), seconds=15)
        before = caller.heard_of(person), person.heard_of(caller)
        await asyncio.sleep(1.0)
        assert caller.heard_of(person) > before[0]
        assert person.heard_of(caller) > before[1]

        async with reconciling(apart, settings):
            await person.hang_up()
            await caller.hears_the_line_close()
            ended = await until(lambda: in_database(self.ended), seconds=15)
        assert ended.outcome == "transferred"

    async def taken(self) -> Call:
        (call,) = await calls_on_record()
        assert call.outcome == "transferred"
        return call

    async def alone(self, caller: Leg) -> bool | None:
        guests = caller.room.remote_participants
        return True if len(guests) == 1 else None

    def ended(self) -> Call | None:
        return Call.objects.filter(ended_at__isnull=False).first()

    @pytest.mark.parametrize(
        ("answer", "words", "recorded"),
        [(486, "transfer_busy", "busy"), (480, "transfer_no_answer", "no_answer")],
    )
    async def test_a_person_who_cannot_be_rung(
        self, exchange: Exchange, voice: Voice, answer: int, words: str, recorded: str
    ) -> None:
        exchange.answers = answer
        caller = await asks_for_a_person(exchange)
        clip = await sentence(voice, words, person="our front desk")
        await asyncio.wait_for(exchange.answered.wait(), 60)
        assert await words_began(caller, clip) - exchange.answered_at <= WITHIN
        await self.is_back_in_the_menu(caller)
        assert await answers_on_record() == ["ringing", recorded]

    @pytest.mark.parametrize("how", ["sends it back", "hangs up", "presses nothing"])
    async def test_a_person_who_does_not_take_it_is_rung_off_and_the_caller_gets_words(
        self, exchange: Exchange, voice: Voice, how: str
    ) -> None:
        caller = await asks_for_a_person(exchange)
        person = await briefed(exchange, voice)
        if how == "sends it back":
            await person.press("2")
        elif how == "hangs up":
            await person.hang_up()
        clip = await sentence(voice, "transfer_no_answer", person="our front desk")
        await asyncio.wait_for(person.closed.wait(), 60)
        gone = asyncio.get_running_loop().time()
        assert await words_began(caller, clip) - gone <= WITHIN
        assert person.heard_of(caller) == caller.heard_of(person) == 0
        await self.is_back_in_the_menu(caller)

    async def test_a_caller_who_does_not_wait_leaves_a_message_and_the_telephone_stops_ringing(
        self, exchange: Exchange, voice: Voice
    ) -> None:
        exchange.rings = 30.0
        caller = await asks_for_a_person(exchange)
        await caller.hears(await sentence(voice, "transfer_fetching", person="our front desk"))
        caller.begin()
        await caller.press("1")
        await caller.hears(await sentence(voice, "person_offer_request"))
        assert exchange.person
        await asyncio.wait_for(exchange.person.closed.wait(), 5)
        await caller.hang_up()
        assert await self.answers_once_ended() == ["ringing", "message"]

    async def test_a_caller_who_hangs_up_takes_the_person_with_them(
        self, exchange: Exchange, voice: Voice
    ) -> None:
        caller = await asks_for_a_person(exchange)
        person = await briefed(exchange, voice)
        await caller.hang_up()
        await person.hears_the_line_close()
        (call,) = await calls_on_record()
        assert (call.outcome, call.ended_in_step) == ("caller_hung_up", "transfer")

    async def is_back_in_the_menu(self, caller: Leg) -> None:
        caller.begin()
        await caller.press("2")
        await caller.hears_voice(1.0)
        await caller.hang_up()
        (call,) = await calls_on_record()
        assert (call.outcome, call.ended_in_step) == ("caller_hung_up", "menu")

    async def answers_once_ended(self) -> list[str]:
        await calls_on_record()
        return await answers_on_record()


async def test_a_carrier_that_does_not_transfer_makes_the_person_be_rung_first(
    demo: None, exchange: Exchange, voice: Voice
) -> None:
    await in_database(lambda: PhoneLine.objects.update(outbound_trunk_id="ST_out"))
    exchange.refers = 405
    caller = await asks_for_a_person(exchange)
    await caller.hears(await sentence(voice, "transfer_connecting", person="our front desk"))
    person = await briefed(exchange, voice)
    await person.press("1")
    await caller.hears_telephone(person)
    assert (exchange.transferred, exchange.called) == ([f"tel:{DESK}"], [("ST_out", DESK)])


async def test_a_caller_with_a_browser_cannot_be_put_through_and_hears_the_number(
    exchange: Exchange, voice: Voice
) -> None:
    caller = await asks_for_a_person(exchange, kind="standard")
    number = wording.phone_number("en", voice.plan.clinic.office_number)
    await caller.hears(await sentence(voice, "person_number", number=number))
    assert exchange.transferred == exchange.called == []
