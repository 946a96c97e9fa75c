"""Recording consent: what the clinic's policy and the caller's answer make of it."""

import pytest

from phone.models import ConsentRecord
from phone.plan import ConsentRules, PhonePlan
from tests.agent_worker.calling import Caller, place_call
from tests.phone.plans import a_plan

pytestmark = pytest.mark.django_db

QUESTION = "Do you consent?"
MENU = "For appointments, press 1."


def a_plan_with(**rules: object) -> PhonePlan:
    return a_plan(consent=ConsentRules(**rules))


def consent_of(caller: Caller) -> ConsentRecord:
    return caller.call.consents.get()


def test_a_yes_after_the_whole_question_permits_recording() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end(QUESTION)
        caller.presses("1")
        await caller.hears(MENU)

    consent = consent_of(place_call(talk))

    assert (consent.decision, consent.how, consent.heard_to_end) == ("given", "keypad", True)
    assert consent.covers_recording and consent.covers_transcript and consent.covers_outside_processing
    assert consent.wording == "This call may be recorded. Do you consent? Press 1 for yes, or 2 for no."
    assert consent.asked_at is not None and consent.asked_at < consent.answered_at


@pytest.mark.parametrize(
    ("given", "how", "answer"),
    [
        ("1", "keypad", "1"),
        ("2", "keypad", "2"),
        ("0", "keypad", "0"),
        ("yes please", "voice", "yes"),
        ("no thank you", "voice", "no"),
        ("a person", "voice", "person"),
    ],
)
def test_the_record_names_the_key_or_the_kind_of_words_and_never_the_words(
    given: str, how: str, answer: str
) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end(QUESTION)
        if given.isdecimal():
            caller.presses(given)
        else:
            caller.says(given)
        await caller.waits(1)

    consent = consent_of(place_call(talk))

    assert (consent.how, consent.answer) == (how, answer)
    assert consent.seal


def test_a_yes_during_the_question_moves_on_without_recording() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        await caller.waits(1)
        caller.presses("1")
        await caller.hears(MENU)

    caller = place_call(talk)

    assert caller.told("consent")[0] | {"t": 0} == {
        "event": "consent",
        "t": 0,
        "step": "consent",
        "decision": "given",
        "heard_to_end": False,
        "recording": False,
    }


def test_an_early_yes_permits_recording_where_the_clinic_says_so() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.presses("1")
        await caller.hears(MENU)

    caller = place_call(talk, plan=a_plan_with(early_answer_permits_recording=True))

    assert caller.told("consent")[0]["recording"] is True


def test_a_refusal_ends_the_call_where_the_clinic_chose_so() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.presses("2")
        await caller.hears_to_the_end("I understand. Goodbye.")

    caller = place_call(talk, plan=a_plan_with(on_refusal="hang_up"))

    assert caller.prompts[-1] == "I understand. Goodbye."
    assert caller.ended["outcome"] == "consent_refused"
    assert caller.call.outcome == "consent_refused"


def test_a_refusal_goes_on_unrecorded_otherwise() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.presses("2")
        await caller.hears("This call is not recorded.")
        await caller.hears(MENU)

    assert not consent_of(place_call(talk)).covers_recording


def test_silence_is_no_yes_and_no_hang_up() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        await caller.hears("I did not get an answer")
        await caller.hears("this call is not recorded")
        await caller.hears(MENU)

    consent = consent_of(place_call(talk))

    assert (consent.decision, consent.how, consent.covers_recording) == ("no_answer", "silence", False)


def test_a_notice_counts_when_it_was_heard() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("This call may be recorded.")
        await caller.hears(MENU)

    consent = consent_of(place_call(talk, plan=a_plan_with(policy="notice")))

    assert (consent.decision, consent.how, consent.covers_recording) == ("given", "stayed", True)


def test_typing_ahead_does_not_skip_a_notice() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("Thank you for calling")
        caller.presses("2")
        await caller.hears("This call may be recorded.")
        await caller.hears("We are open")

    caller = place_call(talk, plan=a_plan_with(policy="notice"))

    assert caller.told("consent")[0]["heard_to_end"] is True


def test_a_notice_is_given_again_in_the_other_language() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("Para español, oprima 9.")
        caller.presses("9")
        await caller.hears("Gracias por llamar a Bright Smile Dental.")
        await caller.hears("Esta llamada puede ser grabada.")
        await caller.hears("Para citas, oprima 1.")

    caller = place_call(talk, plan=a_plan_with(policy="notice"))

    assert list(caller.call.consents.values_list("language", flat=True)) == ["en", "es"]


@pytest.mark.parametrize(("wish", "how"), [("0", "keypad"), ("a person please", "voice")])
def test_who_wants_a_person_first_gets_one_and_is_not_recorded(wish: str, how: str) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.presses(wish) if wish == "0" else caller.says(wish)
        await caller.hears("You can reach us at")

    caller = place_call(talk)

    consent = consent_of(caller)
    assert (consent.decision, consent.how, consent.covers_recording) == ("no_answer", how, False)
    assert [(entry["step"], entry["source"], entry["outcome"]) for entry in caller.told("entry")] == [
        ("consent", how, "accepted")
    ]


def test_a_clinic_that_never_records_does_not_ask() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(MENU)

    caller = place_call(talk, plan=a_plan_with(policy="off"))

    assert not any("recorded" in prompt for prompt in caller.prompts)
    assert consent_of(caller).decision == "not_asked"


@pytest.mark.parametrize(
    ("words", "decision"),
    [
        ("yes please", "given"),
        ("I do consent", "given"),
        ("no thanks", "refused"),
        ("I don't consent", "refused"),
    ],
)
def test_words_answer_too(words: str, decision: str) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end(QUESTION)
        caller.says(words)
        await caller.hears(MENU)

    consent = consent_of(place_call(talk))

    assert (consent.decision, consent.how) == (decision, "voice")


@pytest.mark.parametrize("words", ["yes no", "what is the weather like"])
def test_an_answer_that_is_both_or_neither_is_asked_again(words: str) -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.says(words)
        await caller.hears("a clear yes or no. This call may be recorded.")
        caller.presses("2")
        await caller.hears(MENU)

    assert consent_of(place_call(talk)).decision == "refused"


def test_words_do_not_count_where_consent_is_by_keys_only() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.says("yes")
        await caller.hears(QUESTION)
        caller.presses("1")
        await caller.hears(MENU)

    consent = consent_of(place_call(talk, plan=a_plan_with(input="keypad_only")))

    assert (consent.decision, consent.how) == ("given", "keypad")


def test_the_other_language_restarts_greeting_and_consent() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears("Para español, oprima 9.")
        caller.presses("9")
        await caller.hears("Gracias por llamar a Bright Smile Dental.")
        await caller.hears_to_the_end("¿Está de acuerdo?")
        caller.presses("1")
        await caller.hears("Para citas, oprima 1.")

    caller = place_call(talk)

    assert consent_of(caller).language == "es"
    assert caller.call.language == "es"


def test_hanging_up_during_the_question_leaves_no_decision() -> None:
    async def talk(caller: Caller) -> None:
        await caller.hears(QUESTION)
        caller.hangs_up()

    caller = place_call(talk)

    assert not caller.call.consents.exists()
    assert (caller.call.outcome, caller.call.ended_in_step) == ("caller_hung_up", "consent")
