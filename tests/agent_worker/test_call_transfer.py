"""A caller who is put through, or told why not; what the person hears, and what is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from phone.livekit_api import CallAnswer
from phone.plan import ConsentRules, PhonePlan
from phone.services import call_end_with_person
from tests.agent_worker.calling import Caller, place_call
from tests.agent_worker.telephones import REFUSED, FakeBridge, FakePerson, hangs_up, presses
from tests.agent_worker.transfers import (
    DESK,
    OUR_LINE,
    TONE,
    WAYS_ON,
    a_plan_with,
    an_entry,
    answers_of,
    asks_for_a_person,
    in_the_directory,
    seconds_to_words,
)

pytestmark = pytest.mark.django_db


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

    @pytest.mark.parametrize("says", ["1", "a message please", "yes"])
    def test_who_was_not_put_through_can_leave_a_message(self, says: str, tmp_path: Path) -> None:
        in_the_directory(DESK)

        async def leaves_a_message(caller: Caller) -> None:
            await caller.hears(WAYS_ON)
            if says == "1":
                caller.presses(says)
            else:
                caller.says(says)
            await caller.hears_to_the_end(TONE)
            await caller.waits(5)

        bridge = FakeBridge(refers="busy")
        caller = asks_for_a_person(a_plan_with(an_entry()), bridge, leaves_a_message, recordings=tmp_path)

        request = caller.call.requests.get()
        assert (request.kind, bool(request.voicemail)) == ("message", True)
        assert (caller.call.outcome, caller.call.served) == ("voicemail", "request")

    def test_where_no_message_can_be_recorded_they_are_called_back(self) -> None:
        in_the_directory(DESK)

        async def leaves_a_number(caller: Caller) -> None:
            await caller.hears(WAYS_ON)
            caller.presses("1")
            await caller.hears("I cannot record a message on this line, but we can call you back.")
            await caller.hears("When is a good time to call you?")
            caller.presses("1")
            await caller.hears("Shall we call you at")
            caller.presses("1")
            await caller.hears("We will call you by")

        caller = asks_for_a_person(a_plan_with(an_entry()), FakeBridge(refers="busy"), leaves_a_number)

        assert caller.call.requests.get().kind == "callback"
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


class TestTheRecording:
    CONSENT = ConsentRules(policy="notice")

    def test_ends_before_the_person_and_the_caller_hear_each_other(self, tmp_path: Path) -> None:
        in_the_directory(DESK)
        recorded: list[bool] = []

        class Person(FakePerson):
            async def join(self) -> None:
                recorded.append(line[0].recorded)
                await super().join()

        line: list[Caller] = []

        async def waits(caller: Caller) -> None:
            line.append(caller)
            await caller.hears("Please hold while I get our front desk.")
            assert caller.recorded
            await caller.waits(30)

        plan = a_plan_with(an_entry(manner="warm"), consent=self.CONSENT)
        bridge = FakeBridge(person=Person(does=presses("1")))
        caller = asks_for_a_person(plan, bridge, waits, recordings=tmp_path)

        assert recorded == [False]
        recording = caller.call.recordings.get()
        joined = caller.call.events.get(kind="transfer", data__answer="joined")
        assert recording.ended_at is not None
        assert recording.ended_at <= joined.at

    def test_goes_on_for_a_caller_whom_nobody_takes(self, tmp_path: Path) -> None:
        in_the_directory(DESK)

        async def goes_on(caller: Caller) -> None:
            await caller.hears(WAYS_ON)
            assert caller.recorded
            caller.presses("2")
            await caller.hears("For parking, press 1.")

        plan = a_plan_with(an_entry(manner="warm"), consent=self.CONSENT)
        bridge = FakeBridge(person=FakePerson(does=presses("2")))
        caller = asks_for_a_person(plan, bridge, goes_on, recordings=tmp_path)
        assert caller.call.recordings.count() == 1
