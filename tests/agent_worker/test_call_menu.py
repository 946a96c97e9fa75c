"""The menu and every action of its options."""

from typing import Any

import pytest

from phone.plan import ConsentRules, Menu, MenuOption, PhonePlan
from tests.agent_worker.calling import Caller, place_call
from tests.phone.plans import a_plan, at

pytestmark = pytest.mark.django_db

OFF = ConsentRules(policy="off")
CLOSED_EVENING = at("2026-11-27 18:30")


def an_option(key: str, action: str, label: str = "this", **fields: Any) -> MenuOption:
    return MenuOption(key=key, action=action, label={"en": label, "es": f"{label} (es)"}, **fields)


def a_menu(*options: MenuOption, **fields: Any) -> PhonePlan:
    """A plan without consent whose main menu has these options."""
    menus = (Menu(name="Main", options=options), *fields.pop("more", ()))
    return a_plan(consent=OFF, menus=menus, main_menu="Main", **fields)


def test_the_options_make_the_prompt() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("For flu shots, press 4. For parking, press 5. To reach a person, press 0.")

    place_call(talk, plan=a_menu(an_option("4", "say", "flu shots"), an_option("5", "say", "parking")))


def test_say_says_its_message_and_offers_the_menu_again() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 5")
        caller.presses("5")
        await caller.hears("Park behind the house.")
        await caller.hears("press 5")

    plan = a_menu(an_option("5", "say", "parking", message={"en": "Park behind the house."}))
    caller = place_call(talk, plan=plan)

    assert caller.ended["served"] == "information"
    assert caller.told("menu")[0]["option"] == "parking"


def test_office_hours_come_from_the_plan_and_the_clock() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("For office hours, press 2.")
        caller.presses("2")
        await caller.hears("We are open Monday through Friday, 8 AM to 5 PM. We are open now, until 5 PM.")

    place_call(talk)


def test_a_submenu_and_back() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("For billing, press 1.")
        caller.presses("1")
        await caller.hears("For insurance, press 1.")
        caller.presses("7")
        await caller.hears("For billing, press 1.")

    plan = a_menu(
        an_option("1", "submenu", "billing", target_menu="Billing"),
        more=(Menu(name="Billing", options=(an_option("1", "say", "insurance"), an_option("7", "back"))),),
    )
    place_call(talk, plan=plan)


def test_repeat_and_the_star_key_say_the_menu_again() -> None:
    async def talk(caller: Caller) -> None:
        for key in ("3", "*"):
            await caller.hears("For this, press 3.")
            caller.presses(key)
        await caller.hears("For this, press 3.")

    caller = place_call(talk, plan=a_menu(an_option("3", "repeat")))

    assert not [entry for entry in caller.told("entry") if entry["outcome"] != "accepted"]


def test_the_language_option_goes_on_in_that_language() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 8")
        caller.presses("8")
        await caller.hears("oprima 8")

    caller = place_call(talk, plan=a_menu(an_option("8", "language", language="es")))

    assert caller.call.language == "es"


def test_the_language_key_of_the_greeting_restarts_greeting_and_consent_from_the_menu_too() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("Do you consent?")
        caller.presses("1")
        await caller.hears("press 5")
        caller.presses("5")
        await caller.hears("For billing, press 1.")
        caller.presses("9")
        await caller.hears("Gracias por llamar a Bright Smile Dental.")
        await caller.hears("¿Está de acuerdo?")
        caller.presses("1")
        await caller.hears("oprima 5")

    plan = a_plan(
        menus=(
            Menu(name="Main", options=(an_option("5", "submenu", target_menu="Money"),)),
            Menu(name="Money", options=(an_option("1", "say", "billing"),)),
        ),
        main_menu="Main",
    )
    caller = place_call(talk, plan=plan)

    assert [consent["recording"] for consent in caller.told("consent")] == [True, False]
    assert caller.call.language == "es"


def test_who_asks_for_the_language_that_they_hear_is_answered_in_it() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.says("opening hours, in English please")
        await caller.hears("We are open Monday through Friday")

    place_call(talk, plan=a_plan(consent=OFF))


def test_hang_up_says_goodbye_and_ends_the_call() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 6")
        caller.presses("6")
        await caller.hears_to_the_end("Goodbye.")

    caller = place_call(talk, plan=a_menu(an_option("6", "hang_up")))

    assert caller.call.outcome == "completed"
    assert caller.call.ended_in_step == "goodbye"


def test_letters_and_symbols_are_keys_like_any_other() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press A")
        caller.presses("A")
        await caller.hears("Here you are.")
        await caller.hears("press #")
        caller.presses("#")
        await caller.hears_to_the_end("Goodbye.")

    place_call(
        talk, plan=a_menu(an_option("A", "say", message={"en": "Here you are."}), an_option("#", "hang_up"))
    )


def test_the_closed_menu_is_offered_after_hours() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("Our office is closed right now.")
        await caller.hears("For messages, press 1.")

    plan = a_menu(
        an_option("1", "say", "everything"),
        more=(Menu(name="Closed", options=(an_option("1", "callback", "messages"),)),),
        closed_menu="Closed",
    )
    caller = place_call(talk, plan=plan, clock=CLOSED_EVENING)

    assert caller.call.after_hours


@pytest.mark.parametrize("words", ["appointments please", "I want to make an appointment", "one"])
def test_words_choose_an_option(words: str) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("For appointments, press 1.")
        caller.says(words)
        await caller.hears("How can I help you?")

    caller = place_call(talk, plan=a_plan(consent=OFF))

    assert caller.told("menu")[0]["option"] == "appointments"


def test_staff_teach_an_option_new_words() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.says("my dentures broke")
        await caller.hears("Bring them along.")

    option = an_option(
        "1", "say", "repairs", phrases={"en": ("dentures",)}, message={"en": "Bring them along."}
    )
    place_call(talk, plan=a_menu(option))


def test_wrong_keys_and_silence_lead_to_a_person_and_never_to_a_hang_up() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.presses("7")
        await caller.hears("Sorry, that is not one of the choices. For appointments, press 1.")
        caller.presses("7")
        await caller.hears("Sorry, that is not one of the choices.")
        caller.presses("D")
        await caller.hears("Let me get you to somebody who can help.")
        await caller.hears("You can reach us at")
        await caller.hears("When is a good time to call you?")

    caller = place_call(talk, plan=a_plan(consent=OFF))

    assert [entry["attempt"] for entry in caller.told("entry")] == [1, 2, 3]
    assert {entry["outcome"] for entry in caller.told("entry")} == {"invalid"}


def test_a_caller_who_never_says_anything_is_let_go_at_last() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("Let me get you to somebody who can help.")
        await caller.hears("Without a number we cannot call you back.")
        await caller.hears_to_the_end("Goodbye.")

    caller = place_call(talk, plan=a_plan(consent=OFF))

    assert (caller.call.outcome, caller.call.served) == ("no_input", "nothing")


def test_who_presses_wrong_keys_at_the_last_limit_too_is_not_hung_up_on() -> None:
    async def talk(caller: Caller) -> None:
        for question in ("press 1", "When is a good time to call you?", "When is a good time to call you?"):
            for _ in range(3):
                await caller.hears(question)
                caller.presses("7")
            await caller.hears("Let me get you to somebody who can help.")
        await caller.hears("When is a good time to call you?")

    caller = place_call(talk, plan=a_plan(consent=OFF))

    assert "Goodbye" not in " ".join(caller.prompts)


@pytest.mark.parametrize("wish", ["0", "a person please", "help"])
def test_a_person_is_one_key_or_word_away_when_open(wish: str) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.presses(wish) if wish == "0" else caller.says(wish)
        await caller.hears("You can reach us at 2 1 2, 5 5 5, 0 1 2 3.")
        await caller.hears("We can call you back.")

    place_call(talk, plan=a_plan(consent=OFF))


def test_nobody_is_promised_when_the_office_is_closed() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.presses("0")
        await caller.hears("nobody can come to the phone")
        await caller.hears("When is a good time to call you?")

    place_call(talk, plan=a_plan(consent=OFF), clock=CLOSED_EVENING)


def test_emergency_words_bring_the_emergency_sentence_at_once() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.says("I can't breathe")
        await caller.hears("If this is a medical emergency, hang up and dial 911. For appointments, press 1.")

    place_call(talk, plan=a_plan(consent=OFF))


def test_urgent_needs_no_id_and_is_put_first() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 9")
        caller.presses("9")
        await caller.hears("hang up and dial 911")
        await caller.hears("Shall we call you at")
        caller.presses("1")
        await caller.hears_to_the_end("We will call you by")

    caller = place_call(talk, plan=a_menu(an_option("9", "urgent", identify_first=True)))

    request = caller.call.requests.get()
    assert (request.kind, request.priority, request.confirmed) == ("callback", "urgent", True)


def test_the_longest_call_ends_with_words() -> None:
    async def talk(caller: Caller) -> None:
        for _ in range(4):
            await caller.hears("press 1")
            await caller.waits(5)
            caller.presses("*")
        await caller.hears_to_the_end("This call has reached its time limit.")

    caller = place_call(talk, plan=a_plan(consent=OFF, max_call_seconds=30))

    assert caller.call.outcome == "completed"


def test_a_defect_is_told_to_the_caller_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr("agent_worker.menu.wording.menu_prompt", broken)

    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("Sorry, something went wrong on our side.")

    assert place_call(talk, plan=a_plan(consent=OFF)).call.outcome == "failed"


def test_a_line_without_keys_never_says_press() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("Please say yes or no.")
        caller.says("yes")
        await caller.hears("You can say: appointments or office hours.")
        caller.says("office hours")
        await caller.hears("We are open Monday through Friday")
        await caller.hears("You can say")

    caller = place_call(talk, keys=False)

    assert not [prompt for prompt in caller.prompts if "press" in prompt.lower()]


def test_the_stored_timeline_is_what_was_seen() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.presses("2")
        await caller.hears("We are open")

    caller = place_call(talk, plan=a_plan(consent=OFF))

    stored = list(caller.call.events.values_list("kind", flat=True))
    assert stored == [event["event"] for event in caller.events]
