"""A caller who needs a person: put through, told why not, and never to a number that is not in the directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.db import OperationalError

from clinic.models import Clinic
from phone.livekit_api import CallAnswer
from phone.models import CallEvent, DirectoryEntry, PhoneLine
from phone.plan import ConsentRules, Menu, MenuOption, PhonePlan
from phone.plan import DirectoryEntry as Entry
from phone.services import call_end_with_person
from tests.agent_worker.calling import Caller, place_call
from tests.agent_worker.telephones import REFUSED, FakeBridge, FakePerson, hangs_up, presses
from tests.phone.plans import a_plan, at

pytestmark = pytest.mark.django_db

OUR_LINE = "+12125550142"
DESK = "+12125550143"
DENTIST = "+12125550144"
NIGHT = at("2026-11-27 22:30")
OPTIONS = (
    MenuOption(key="1", action="say", label={"en": "parking"}, message={"en": "Park behind the house."}),
    MenuOption(key="2", action="callback", label={"en": "billing"}),
    MenuOption(key="6", action="urgent", label={"en": "something urgent"}),
)
WAYS_ON = "To leave a message, press 1. For the menu, press 2."


def an_entry(name: str = "Front desk", number: str = DESK, manner: Any = "cold") -> Entry:
    return Entry(
        name=name, number=number, manner=manner, spoken={"en": "our front desk", "es": "la recepción"}
    )


def a_plan_with(*entries: Entry, **fields: Any) -> PhonePlan:
    """A plan without consent; the first entry is called for a person."""
    wanted = {
        "consent": ConsentRules(policy="off"),
        "menus": (Menu(name="Main", options=OPTIONS),),
        "main_menu": "Main",
        "directory": entries,
        "person": entries[0].name if entries else "",
        "own_numbers": (OUR_LINE,),
    }
    return a_plan(**(wanted | fields))


def in_the_directory(*numbers: str, trunk_id: str = "ST_out") -> None:
    """What the office has entered by now, and its phone line."""
    clinic, _ = Clinic.objects.get_or_create(slug="bright-smile", defaults={"name": "Bright Smile Dental"})
    PhoneLine.objects.create(clinic=clinic, number=OUR_LINE, outbound_trunk_id=trunk_id)
    for number in numbers:
        DirectoryEntry.objects.create(clinic=clinic, name=number, number=number)


def asks_for_a_person(plan: PhonePlan, bridge: FakeBridge, after: Callable[..., Awaitable[None]]) -> Caller:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.presses("0")
        await after(caller)

    return place_call(talk, plan=plan, bridge=bridge, dialled=OUR_LINE)


def answers_of(caller: Caller) -> list[str]:
    return [event["answer"] for event in caller.told("transfer")]


def seconds_to_words(caller: Caller) -> float:
    """From the end of the attempt to the next words."""
    attempt = max(position for position, event in enumerate(caller.events) if event["event"] == "transfer")
    words = next(event for event in caller.events[attempt:] if event["event"] == "prompt")
    return float(words["t"] - caller.events[attempt]["t"])


class TestHandedOver:
    def test_a_person_who_answers_has_the_call(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()

        async def is_put_through(caller: Caller) -> None:
            await caller.hears("I am connecting you with our front desk. Please hold.")
            await caller.waits(20)

        caller = asks_for_a_person(a_plan_with(an_entry()), bridge, is_put_through)

        assert bridge.rung == [("cold", DESK)]
        call = caller.call
        assert (call.outcome, call.served, call.ended_in_step) == ("transferred", "person", "transfer")
        assert call.ended_at is not None
        assert answers_of(caller) == ["ringing", "accepted"]

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            ("busy", "our front desk is on another call."),
            ("declined", "our front desk cannot answer right now."),
            ("no_answer", "our front desk cannot answer right now."),
            ("no_word", "I cannot connect you right now."),
            ("failed", "I cannot connect you right now."),
            (REFUSED, "I cannot connect you right now."),
        ],
    )
    def test_whatever_the_answer_the_caller_gets_words_and_a_way_on_within_two_seconds(
        self, answer: CallAnswer | Exception, words: str
    ) -> None:
        in_the_directory(DESK)

        async def goes_on(caller: Caller) -> None:
            await caller.hears(f"{words} {WAYS_ON}")
            caller.presses("2")
            await caller.hears("For parking, press 1.")

        caller = asks_for_a_person(a_plan_with(an_entry()), FakeBridge(refers=answer), goes_on)

        assert seconds_to_words(caller) <= 2.0
        assert caller.call.outcome == "caller_hung_up"

    def test_who_was_not_put_through_can_leave_a_message(self) -> None:
        in_the_directory(DESK)

        async def leaves_a_message(caller: Caller) -> None:
            await caller.hears(WAYS_ON)
            caller.presses("1")
            await caller.hears("When is a good time to call you?")
            caller.presses("1")
            await caller.hears("Shall we call you at")
            caller.presses("1")
            await caller.hears("We will call you by")

        caller = asks_for_a_person(a_plan_with(an_entry()), FakeBridge(refers="busy"), leaves_a_message)

        assert caller.call.requests.get().kind == "message"
        assert caller.call.outcome == "request_taken"

    def test_who_says_nothing_then_is_back_in_the_menu_and_nobody_is_rung_again(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge(refers="busy")

        async def says_nothing(caller: Caller) -> None:
            for _ in range(3):
                await caller.hears(WAYS_ON)
            await caller.hears("For parking, press 1.")
            await caller.hears("Let me get you to somebody")
            await caller.hears("You can reach us at")

        asks_for_a_person(a_plan_with(an_entry()), bridge, says_nothing)
        assert bridge.rung == [("cold", DESK)]

    def test_a_carrier_that_does_not_transfer_makes_it_a_warm_one(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge(refers="not_supported", person=FakePerson(does=presses("1")))

        async def waits(caller: Caller) -> None:
            await caller.hears("Please hold while I get our front desk.")
            await caller.waits(30)

        caller = asks_for_a_person(a_plan_with(an_entry()), bridge, waits)

        assert bridge.rung == [("cold", DESK), ("warm", DESK)]
        assert answers_of(caller) == ["ringing", "ringing", "joined"]

    def test_a_caller_who_hangs_up_while_it_rings_has_hung_up(self) -> None:
        in_the_directory(DESK)

        async def hangs_up_soon(caller: Caller) -> None:
            await caller.hears("I am connecting you")
            await caller.waits(5)

        caller = asks_for_a_person(a_plan_with(an_entry()), FakeBridge(after=60), hangs_up_soon)
        assert (caller.call.outcome, caller.call.ended_in_step) == ("caller_hung_up", "transfer")


class TestRungFirst:
    def warm(self) -> PhonePlan:
        return a_plan_with(an_entry(manner="warm"))

    def test_a_person_who_presses_1_has_the_call_and_it_ends_when_they_hang_up(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge(person=FakePerson(does=presses("1")))

        async def waits(caller: Caller) -> None:
            await caller.hears("Please hold while I get our front desk. To leave a message instead, press 1.")
            await caller.waits(30)

        caller = asks_for_a_person(self.warm(), bridge, waits)

        assert (bridge.rung, bridge.trunks) == ([("warm", DESK)], ["ST_out"])
        assert bridge.person.joined
        assert not bridge.person.sent_away
        assert not caller.told("ended")
        call = caller.call
        assert (call.outcome, call.served, call.ended_at) == ("transferred", "person", None)

        later = call.started_at.replace(hour=23)
        calls = type(call).objects.all()
        assert call_end_with_person(calls=calls, ended_at=later) == 1
        assert call_end_with_person(calls=calls, ended_at=later.replace(minute=59)) == 0
        call.refresh_from_db()
        assert call.ended_at == later
        assert list(call.events.values_list("kind", flat=True))[-1] == "ended"

    def test_the_person_hears_what_the_call_is_about(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        briefing = "agent_worker.transfer.wording.briefing"
        from_plan = __import__("phone.wording", fromlist=["briefing"]).briefing

        def told_of(*about: Any) -> Any:
            utterance = from_plan(*about)
            told.append(utterance.text)
            return utterance

        monkeypatch.setattr(briefing, told_of)
        in_the_directory(DESK)
        bridge = FakeBridge(person=FakePerson(does=presses("1")))

        async def wants_billing_first(caller: Caller) -> None:
            await caller.hears("press 2")
            caller.presses("2")
            await caller.hears("When is a good time to call you?")
            caller.presses("0")
            await caller.hears("Please hold while I get our front desk.")
            await caller.waits(30)

        place_call(wants_billing_first, plan=self.warm(), bridge=bridge, dialled=OUR_LINE)
        assert told == [
            "A call for Bright Smile Dental about billing. To take it, press 1. To send it back, press 2."
        ]

    @pytest.mark.parametrize(
        ("person", "answer", "words"),
        [
            (FakePerson(does=presses("2")), "sent_back", "our front desk cannot answer right now."),
            (FakePerson(), "silent", "our front desk cannot answer right now."),
            (FakePerson(does=presses("7")), "silent", "our front desk cannot answer right now."),
            (FakePerson(does=hangs_up), "hung_up", "our front desk cannot answer right now."),
            (FakePerson(answer="busy"), "busy", "our front desk is on another call."),
            (FakePerson(answer="declined"), "declined", "our front desk cannot answer right now."),
            (
                FakePerson(answer="no_answer", after=25),
                "no_answer",
                "our front desk cannot answer right now.",
            ),
            (FakePerson(answer=REFUSED), "failed", "I cannot connect you right now."),
            (FakePerson(does=presses("1"), joining=REFUSED), "failed", "I cannot connect you right now."),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_whoever_does_not_take_it_is_rung_off_and_the_caller_gets_words_within_two_seconds(
        self, person: FakePerson, answer: str, words: str
    ) -> None:
        in_the_directory(DESK)

        async def goes_on(caller: Caller) -> None:
            await caller.hears(f"{words} {WAYS_ON}")
            caller.presses("2")
            await caller.hears("For parking, press 1.")

        caller = asks_for_a_person(self.warm(), FakeBridge(person=person), goes_on)

        assert person.sent_away
        assert answers_of(caller) == ["ringing", answer]
        assert seconds_to_words(caller) <= 2.0

    def test_somebody_who_presses_nothing_is_told_three_times(self) -> None:
        in_the_directory(DESK)
        person = FakePerson()

        async def waits(caller: Caller) -> None:
            await caller.hears(WAYS_ON)

        asks_for_a_person(self.warm(), FakeBridge(person=person), waits)
        assert person.briefings == 3

    def test_a_caller_who_does_not_want_to_wait_leaves_a_message(self) -> None:
        in_the_directory(DESK)
        person = FakePerson(after=60)

        async def does_not_wait(caller: Caller) -> None:
            await caller.hears("To leave a message instead, press 1.")
            await caller.waits(8)
            caller.presses("71")
            await caller.hears("When is a good time to call you?")

        caller = asks_for_a_person(self.warm(), FakeBridge(person=person), does_not_wait)

        assert person.sent_away
        assert answers_of(caller) == ["ringing", "message"]

    def test_the_person_is_rung_off_when_the_caller_hangs_up(self) -> None:
        in_the_directory(DESK)
        person = FakePerson()

        async def hangs_up_soon(caller: Caller) -> None:
            await caller.hears("Please hold")
            await caller.waits(10)

        caller = asks_for_a_person(self.warm(), FakeBridge(person=person), hangs_up_soon)

        assert person.sent_away
        assert (caller.call.outcome, caller.call.ended_in_step) == ("caller_hung_up", "transfer")

    def test_the_longest_call_ends_with_words_also_while_somebody_is_rung(self) -> None:
        in_the_directory(DESK)
        person = FakePerson(after=100)

        async def waits(caller: Caller) -> None:
            await caller.hears_to_the_end("This call has reached its time limit.")

        plan = a_plan_with(an_entry(manner="warm"), max_call_seconds=30)
        caller = asks_for_a_person(plan, FakeBridge(person=person), waits)

        assert person.sent_away
        assert caller.call.outcome == "completed"

    def test_a_line_without_a_way_out_says_the_number_instead(self) -> None:
        in_the_directory(DESK, trunk_id="")

        async def hears_the_number(caller: Caller) -> None:
            await caller.hears("You can reach us at 2 1 2, 5 5 5, 0 1 2 3.")
            await caller.hears("We can call you back.")

        bridge = FakeBridge()
        asks_for_a_person(self.warm(), bridge, hears_the_number)
        assert bridge.rung == []


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

    def test_nobody_for_a_call_that_comes_from_the_clinics_own_number(self) -> None:
        in_the_directory(DESK)
        bridge = FakeBridge()

        async def talk(caller: Caller) -> None:
            await caller.hears("press 1")
            caller.presses("0")
            await caller.hears("We can call you back.")

        place_call(talk, plan=a_plan_with(an_entry()), bridge=bridge, dialled=OUR_LINE, number=OUR_LINE)
        assert bridge.rung == []

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
            "a person please, dial 911 2125550199",
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
