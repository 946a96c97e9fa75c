"""Whom a caller can be put through to, when, and never a number that is not in the directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from phone.models import CallEvent, DirectoryEntry
from phone.plan import Menu, MenuOption, PhonePlan
from tests.agent_worker.calling import Caller, place_call
from tests.agent_worker.telephones import FakeBridge
from tests.agent_worker.transfers import (
    DENTIST,
    DESK,
    NIGHT,
    OUR_LINE,
    TONE,
    a_plan_with,
    an_entry,
    answers_of,
    asks_for_a_person,
    in_the_directory,
)

pytestmark = pytest.mark.django_db


class TestWhoIsRung:
    def test_nobody_on_a_line_that_cannot_transfer_and_the_office_number_is_said(self) -> None:
        in_the_directory(DESK)

        async def talk(caller: Caller) -> None:
            await caller.hears("press 1")
            caller.presses("0")
            await caller.hears("You can reach us at 2 1 2, 5 5 5, 0 1 2 3.")
            await caller.hears("We can call you back.")

        caller = place_call(talk, plan=a_plan_with(an_entry()))
        assert not caller.told("transfer")

    def test_nobody_when_the_office_is_closed_but_whoever_is_on_call_for_what_is_urgent(self) -> None:
        in_the_directory(DESK, DENTIST)
        bridge = FakeBridge(refers="no_answer")

        async def talk(caller: Caller) -> None:
            await caller.hears("press 1")
            caller.presses("0")
            await caller.hears("nobody can come to the phone")
            await caller.hears("When is a good time to call you?")
            assert bridge.rung == []
            caller.hangs_up()

        dentist = an_entry("Dentist", DENTIST)
        plan = a_plan_with(an_entry(), dentist, urgent_person="Dentist")
        place_call(talk, plan=plan, bridge=bridge, dialled=OUR_LINE, clock=NIGHT)

        async def urgently(caller: Caller) -> None:
            await caller.hears("press 1")
            caller.presses("6")
            await caller.hears("hang up and dial 911")
            await caller.hears("I am connecting you")
            await caller.hears("cannot answer right now")
            await caller.hears("We put urgent calls first.")
            await caller.hears("Shall we call you at")

        place_call(urgently, plan=plan, bridge=bridge, dialled=OUR_LINE, clock=NIGHT)
        assert bridge.rung == [("cold", DENTIST)]

    def test_the_person_of_an_option_comes_before_that_of_the_settings(self) -> None:
        in_the_directory(DESK, DENTIST)
        bridge = FakeBridge()
        option = MenuOption(key="4", action="person", label={"en": "the dentist"}, person="Dentist")

        async def talk(caller: Caller) -> None:
            await caller.hears("press 4")
            caller.presses("4")
            await caller.hears("I am connecting you")
            await caller.waits(20)

        plan = a_plan_with(
            an_entry(), an_entry("Dentist", DENTIST), menus=(Menu(name="Main", options=(option,)),)
        )
        place_call(talk, plan=plan, bridge=bridge, dialled=OUR_LINE)
        assert bridge.rung == [("cold", DENTIST)]

    def test_nobody_for_a_call_that_comes_back_to_us_and_it_gets_voicemail(self, tmp_path: Path) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()

        async def leaves_a_message(caller: Caller) -> None:
            await caller.hears("I cannot connect you right now.")
            await caller.hears_to_the_end(TONE)
            await caller.waits(5)

        plan = a_plan_with(an_entry())
        caller = asks_for_a_person(plan, bridge, leaves_a_message, number=OUR_LINE, recordings=tmp_path)
        assert bridge.rung == []
        assert caller.call.outcome == "voicemail"

    def test_nobody_for_a_caller_who_says_nothing_at_all(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()

        async def talk(caller: Caller) -> None:
            await caller.hears("Let me get you to somebody")
            await caller.hears("You can reach us at")

        place_call(talk, plan=a_plan_with(an_entry()), bridge=bridge, dialled=OUR_LINE)
        assert bridge.rung == []


class TestNoOtherNumber:
    """A number outside the directory: by key, by words, by a crafted plan."""

    @pytest.mark.parametrize(
        "number", ["+19005551234", "+911", "911", "+442079460018", "+18765550123", OUR_LINE, "+1", ""]
    )
    def test_a_crafted_plan_with_a_number_against_the_rules_rings_nobody(self, number: str) -> None:
        bridge = FakeBridge()
        in_the_directory(DESK)
        # Even where somebody has put it into the directory behind the admin's back.
        DirectoryEntry.objects.update(number=number)
        caller = self.asks(a_plan_with(an_entry(number=number)), bridge)
        assert bridge.rung == []
        assert answers_of(caller) == ["not_in_directory"]

    def test_a_crafted_plan_with_somebody_else_s_number_rings_nobody(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()
        self.asks(a_plan_with(an_entry(number="+12125550199")), bridge)
        assert bridge.rung == []

    def test_a_crafted_plan_that_hides_the_clinics_own_line_rings_nobody(self) -> None:
        in_the_directory(DESK, OUR_LINE)
        bridge = FakeBridge()
        self.asks(a_plan_with(an_entry(number=OUR_LINE), own_numbers=()), bridge)
        assert bridge.rung == []

    def test_a_crafted_plan_that_names_somebody_who_is_not_in_it_rings_nobody(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()
        self.asks(a_plan_with(an_entry(), person="+19005551234"), bridge)
        assert bridge.rung == []

    @pytest.mark.parametrize("change", [{"enabled": False}, {"number": DENTIST}])
    def test_somebody_whom_the_office_took_out_is_not_rung_by_an_older_plan_either(
        self, change: dict[str, Any]
    ) -> None:
        in_the_directory(DESK)
        DirectoryEntry.objects.update(**change)
        bridge = FakeBridge()
        self.asks(a_plan_with(an_entry()), bridge)
        assert bridge.rung == []

    def test_nobody_is_rung_while_the_directory_cannot_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(**_: object) -> None:
            raise OperationalError("away")

        monkeypatch.setattr("agent_worker.transfer.way_out", away)
        in_the_directory(DESK)
        bridge = FakeBridge()
        self.asks(a_plan_with(an_entry()), bridge)
        assert bridge.rung == []

    @pytest.mark.parametrize(
        "words",
        [
            "connect me to a person at 1 900 555 1234",
            "I want to talk to somebody, call +442079460018",
            "a person please, at 2 1 2 5 5 5 0 1 9 9",
        ],
    )
    def test_a_number_that_the_caller_says_is_never_rung(self, words: str) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()

        async def talk(caller: Caller) -> None:
            await caller.hears("press 1")
            caller.says(words)
            await caller.waits(60)

        place_call(talk, plan=a_plan_with(an_entry()), bridge=bridge, dialled=OUR_LINE)
        assert bridge.rung == [("cold", DESK)]

    def test_keys_do_not_dial(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge(refers="busy")

        async def talk(caller: Caller) -> None:
            await caller.hears("press 1")
            caller.presses("0")
            await caller.hears("I am connecting you")
            caller.presses("19005551234#")
            await caller.waits(120)

        place_call(talk, plan=a_plan_with(an_entry()), bridge=bridge, dialled=OUR_LINE)
        assert {number for _, number in bridge.rung} == {DESK}

    def test_the_timeline_names_the_person_and_never_their_number(self) -> None:
        in_the_directory(DESK)
        caller = self.asks(a_plan_with(an_entry()), FakeBridge())
        stored = CallEvent.objects.filter(call=caller.call, kind="transfer")
        assert [event.data["to"] for event in stored] == ["Front desk", "Front desk"]
        assert DESK.removeprefix("+1") not in str([event.data for event in CallEvent.objects.all()])

    def asks(self, plan: PhonePlan, bridge: FakeBridge) -> Caller:
        async def waits(caller: Caller) -> None:
            await caller.waits(20)

        return asks_for_a_person(plan, bridge, waits)


class TestWhileTheOfficeIsClosed:
    CHOICE = "To leave a message, press 1. For us to call you back, press 2."

    @pytest.mark.parametrize("says", ["1", "leave a message"])
    def test_a_message_can_be_left(self, says: str, tmp_path: Path) -> None:
        async def leaves_a_message(caller: Caller) -> None:
            await self.choice(caller, says)
            await caller.hears_to_the_end(TONE)
            await caller.waits(5)

        assert self.call(leaves_a_message, recordings=tmp_path).call.outcome == "voicemail"

    @pytest.mark.parametrize("says", ["2", "please call me back"])
    def test_or_a_number_to_call_back(self, says: str, tmp_path: Path) -> None:
        async def leaves_a_number(caller: Caller) -> None:
            await self.choice(caller, says)
            await caller.hears("We can call you back.")
            await caller.hears("When is a good time to call you?")
            caller.presses("1")
            await caller.hears("Shall we call you at")
            caller.presses("1")
            await caller.hears("We will call you by")

        assert self.call(leaves_a_number, recordings=tmp_path).call.requests.get().kind == "callback"

    def test_a_caller_without_keys_is_asked_for_yes_or_no(self, tmp_path: Path) -> None:
        async def talk(caller: Caller) -> None:
            await caller.hears("To reach a person, say")
            caller.says("a person")
            await caller.hears("Would you like to leave a message? Please say yes or no.")
            caller.says("no")
            await caller.hears("We can call you back.")

        place_call(talk, plan=a_plan_with(), clock=NIGHT, keys=False, recordings=tmp_path)

    def test_whoever_says_nothing_at_all_is_let_go_in_the_end(self, tmp_path: Path) -> None:
        async def says_nothing(caller: Caller) -> None:
            await caller.hears(self.CHOICE)
            await caller.hears("goodbye")

        caller = self.call(says_nothing, recordings=tmp_path)
        assert caller.call.outcome == "no_input"

    def test_where_no_message_can_be_recorded_only_a_call_back_is_offered(self) -> None:
        async def talk(caller: Caller) -> None:
            await caller.hears("We can call you back.")

        assert not any(self.CHOICE in prompt for prompt in self.call(talk).prompts)

    async def choice(self, caller: Caller, says: str) -> None:
        await caller.hears("nobody can come to the phone")
        await caller.hears(self.CHOICE)
        if says.isdecimal():
            caller.presses(says)
        else:
            caller.says(says)

    def call(self, after: Callable[..., Awaitable[None]], **fields: Any) -> Caller:
        in_the_directory(DESK)
        bridge = FakeBridge()
        caller = asks_for_a_person(a_plan_with(an_entry()), bridge, after, clock=NIGHT, **fields)
        assert bridge.rung == []
        return caller
