"""Requests by keypad, and hanging up at every step: what the office finds afterwards."""

from collections.abc import Awaitable, Callable

import pytest

from phone.models import Call, Request
from phone.plan import ConsentRules, Menu, MenuOption
from tests.agent_worker.calling import CALLER, Caller, place_call
from tests.phone.plans import a_plan, at

pytestmark = pytest.mark.django_db


def option(key: str, action: str, **fields: object) -> MenuOption:
    return MenuOption(key=key, action=action, label={"en": action, "es": action}, **fields)


PLAN = a_plan(
    consent=ConsentRules(policy="off"),
    menus=(
        Menu(
            name="Main",
            options=(
                option("1", "appointment", topic="cleaning"),
                option("2", "callback"),
                option("3", "receptionist", identify_first=True),
            ),
        ),
    ),
    main_menu="Main",
)


async def choose(caller: Caller, key: str) -> None:
    await caller.hears("press 1")
    caller.presses(key)


def test_an_appointment_is_requested_with_the_callers_own_number() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "1")
        await caller.hears("When would you like to come in?")
        caller.presses("2")
        await caller.hears("Shall we call you at •••, •••, ••••?")
        caller.presses("1")
        await caller.hears("This is a request, not a booking. We will call you by today at 12:30 PM.")

    request = place_call(talk, plan=PLAN).call.requests.get()

    assert (request.kind, request.part_of_day, request.topic) == ("appointment", "afternoon", "cleaning")
    assert (str(request.number), request.confirmed, request.priority) == (CALLER, True, "normal")


def test_another_number_is_entered_and_read_back() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "2")
        await caller.hears("When is a good time to call you?")
        caller.presses("3")
        await caller.hears("Shall we call you at")
        caller.presses("2")
        await caller.hears("Please enter the number")
        caller.presses("2025550199#")
        await caller.hears("The number is •••, •••, ••••.")
        caller.presses("1")
        await caller.hears("We will call you by")

    request = place_call(talk, plan=PLAN).call.requests.get()

    assert (request.kind, str(request.number), request.confirmed) == ("callback", "+12025550199", True)


def test_a_withheld_number_is_asked_for() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "2")
        await caller.hears("When is a good time")
        caller.presses("1")
        await caller.hears("Please enter the number where we can call you")
        caller.presses("202#")
        await caller.hears("Sorry, that is not a complete phone number.")
        caller.presses("2025550199#")
        await caller.hears("The number is")
        caller.presses("1")
        await caller.hears("We will call you by")

    assert place_call(talk, plan=PLAN, number="").call.outcome == "request_taken"


def test_hanging_up_after_leaving_a_number_leaves_the_request_unconfirmed() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "2")
        await caller.hears("When is a good time")
        caller.presses("1")
        await caller.hears("Please enter the number")
        caller.presses("2025550199#")
        await caller.hears("The number is")
        caller.hangs_up()

    caller = place_call(talk, plan=PLAN, number="")

    request = caller.call.requests.get()
    assert (str(request.number), request.confirmed) == ("+12025550199", False)
    assert caller.told("request") == [caller.told("request")[0]]
    assert caller.call.outcome == "request_taken"


def test_a_number_that_was_never_read_back_right_is_left_unconfirmed() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "2")
        await caller.hears("When is a good time")
        caller.presses("1")
        for _ in range(3):
            await caller.hears("Please enter the number")
            caller.presses("2025550199#")
            await caller.hears("The number is")
            caller.presses("2")
        await caller.hears("We have your request.")
        await caller.hears("press 1")

    caller = place_call(talk, plan=PLAN, number="")

    assert caller.call.requests.get().confirmed is False
    assert [request["confirmed"] for request in caller.told("request")] == [False]


@pytest.mark.parametrize(
    ("clock", "promise"),
    [
        ("2026-11-27 16:20", "Monday 9:30 AM"),
        ("2026-11-28 12:00", "Monday 10 AM"),
        ("2026-11-23 09:10", "today at 11:30 AM"),
        ("2026-11-23 18:00", "tomorrow at 10 AM"),
    ],
)
def test_the_promise_counts_opening_hours(clock: str, promise: str) -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "2")
        await caller.hears("When is a good time")
        caller.presses("1")
        await caller.hears("Shall we call you")
        caller.presses("1")
        await caller.hears(f"We will call you by {promise}.")

    request = place_call(talk, plan=PLAN, clock=at(clock)).call.requests.get()

    assert request.due_at is not None


def test_somebody_without_a_number_gets_the_menu_again() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "2")
        await caller.hears("When is a good time")
        caller.presses("1")
        await caller.hears("Please enter the number")
        await caller.waits(1)
        caller.presses("#")
        await caller.hears("Without a number we cannot call you back.")
        await caller.hears("press 1")

    place_call(talk, plan=PLAN, number="")

    assert not Request.objects.exists()


def test_the_keypad_receptionist_takes_a_request() -> None:
    async def talk(caller: Caller) -> None:
        await choose(caller, "3")
        await caller.hears("Please enter your patient ID")
        await caller.waits(1)
        caller.presses("#")
        await caller.hears("To ask for an appointment, press 1.")
        caller.presses("1")
        await caller.hears("When would you like to come in?")
        caller.says("in the morning")
        await caller.hears("Shall we call you at")
        caller.says("yes please")
        await caller.hears("not a booking")

    request = place_call(talk, plan=PLAN).call.requests.get()

    assert (request.kind, request.part_of_day) == ("appointment", "morning")


async def in_the_greeting(caller: Caller) -> None:
    await caller.hears("Thank you for calling")


async def in_the_menu(caller: Caller) -> None:
    await caller.hears("press 1")


async def in_the_patient_id(caller: Caller) -> None:
    await choose(caller, "3")
    await caller.hears("Please enter your patient ID")
    caller.presses("48")


async def in_the_read_back(caller: Caller) -> None:
    await in_the_patient_id(caller)
    caller.presses("21#")
    await caller.hears("You entered")


async def in_the_look_up(caller: Caller) -> None:
    await in_the_read_back(caller)
    caller.presses("1")


async def in_the_receptionist(caller: Caller) -> None:
    await choose(caller, "3")
    await caller.hears("Please enter your patient ID")
    await caller.waits(1)
    caller.presses("#")
    await caller.hears("How can I help you?")


async def in_the_request(caller: Caller) -> None:
    await choose(caller, "2")
    await caller.hears("When is a good time")


async def in_the_transfer(caller: Caller) -> None:
    await choose(caller, "0")
    await caller.hears("You can reach us at")


STEPS: dict[str, Callable[[Caller], Awaitable[None]]] = {
    "greeting": in_the_greeting,
    "menu": in_the_menu,
    "patient_id": in_the_patient_id,
    "patient_id, read back": in_the_read_back,
    "patient_id, look-up": in_the_look_up,
    "receptionist": in_the_receptionist,
    "request": in_the_request,
    "transfer": in_the_transfer,
}


QUESTIONS = [step for step in STEPS if step not in ("greeting", "transfer")]


@pytest.mark.parametrize("words", ["I can't breathe", "no puedo respirar"])
@pytest.mark.parametrize("step", [*QUESTIONS, "greeting"])
def test_emergency_words_bring_the_emergency_sentence_in_every_step(step: str, words: str) -> None:
    async def talk(caller: Caller) -> None:
        await STEPS[step](caller)
        caller.says(words)
        await caller.hears("hang up and dial 911. ")

    place_call(talk, plan=PLAN)


@pytest.mark.parametrize("wish", ["0", "a person"])
@pytest.mark.parametrize("step", QUESTIONS)
def test_a_person_is_within_reach_in_every_step(step: str, wish: str) -> None:
    async def talk(caller: Caller) -> None:
        await STEPS[step](caller)
        if wish == "0":
            caller.presses("*0" if step == "patient_id" else "0")
        else:
            caller.says(wish)
        await caller.hears("You can reach us at")

    place_call(talk, plan=PLAN)


@pytest.mark.parametrize("step", STEPS)
def test_hanging_up_in_any_step_leaves_a_final_row(step: str, caplog: pytest.LogCaptureFixture) -> None:
    async def talk(caller: Caller) -> None:
        await STEPS[step](caller)
        caller.hangs_up()

    call = place_call(talk, plan=PLAN).call

    assert (call.outcome, call.ended_in_step) == ("caller_hung_up", step.partition(",")[0])
    assert call.ended_at is not None
    assert Call.objects.filter(outcome="").count() == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
