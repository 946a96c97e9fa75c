"""The patient ID: entered, read back, looked up, and never a dead end."""

import pytest

from clinic.models import IdentityAttempt, Patient
from clinic.patients import IdentificationUnavailable, patient_set_id
from phone.models import KeypadEntry
from phone.plan import ConsentRules, Menu, MenuOption
from tests.agent_worker.calling import MONDAY_MORNING, Caller, place_call, publish
from tests.phone.plans import a_plan

pytestmark = pytest.mark.django_db

PLAN = a_plan(
    consent=ConsentRules(policy="off"),
    menus=(
        Menu(
            name="Main",
            options=(
                MenuOption(
                    key="1",
                    label={"en": "appointments", "es": "citas"},
                    action="receptionist",
                    topic="appointments",
                    identify_first=True,
                ),
            ),
        ),
    ),
    main_menu="Main",
)
QUESTION = "Please enter your patient ID"
RECEPTIONIST = "How can I help you?"


@pytest.fixture
def patient() -> Patient:
    """Ana Torres, whose patient ID is 4821."""
    patient = Patient(clinic=publish(PLAN), name="Ana Torres")
    patient_set_id(patient, "4821")
    patient.save()
    return patient


async def to_the_question(caller: Caller) -> None:
    await caller.hears("For appointments, press 1.")
    caller.presses("1")
    await caller.hears(QUESTION)


def test_the_right_id_attaches_the_patient_to_the_call(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("4821#")
        await caller.hears("You entered ••••. If that is right, press 1.")
        caller.presses("1")
        await caller.hears("Thank you.")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    assert caller.call.patient == patient
    assert caller.told("patient")[0]["outcome"] == "identified"


def test_the_entry_is_stored_encrypted_and_shown_masked(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("4821#")
        await caller.hears("You entered")

    entry = place_call(talk, plan=PLAN).call.entries.get(step="patient_id")

    assert entry.digits == "••••"
    assert b"4821" not in bytes(entry.digits_ciphertext)
    assert entry.digits_key


def test_a_wrong_read_back_is_entered_again(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("4812#")
        await caller.hears("You entered")
        caller.presses("2")
        await caller.hears(QUESTION)
        caller.presses("4821#")
        await caller.hears("You entered")
        caller.presses("1")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    assert caller.call.patient == patient
    assert IdentityAttempt.objects.count() == 1


def test_star_clears_what_was_entered(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("99*4821#")
        await caller.hears("You entered ••••.")
        caller.presses("1")
        await caller.hears(RECEPTIONIST)

    assert place_call(talk, plan=PLAN).call.patient == patient


def test_pound_alone_means_none_and_the_call_goes_on() -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        await caller.waits(0.5)
        caller.presses("#")
        await caller.hears("That is all right, we can go on without it.")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    assert [patient["outcome"] for patient in caller.told("patient")] == ["none"]


def test_an_unknown_id_can_be_tried_again_or_left_out() -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("9999#")
        await caller.hears("You entered")
        caller.presses("1")
        await caller.hears("I could not find that patient ID. You can try again, or press pound")
        await caller.waits(1)
        caller.presses("#")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    assert [patient["outcome"] for patient in caller.told("patient")] == ["not_found", "none"]


def test_too_short_an_id_is_told_apart_and_given_up_after_its_own_limit() -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        for _ in range(2):
            caller.presses("48#")
            await caller.hears("Sorry, that is too short for a patient ID.")
        caller.presses("48#")
        await caller.hears("Let us go on without it.")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    entries = [entry for entry in caller.told("entry") if entry["step"] == "patient_id"]
    assert [entry["outcome"] for entry in entries] == ["too_short"] * 3
    assert [entry["attempt"] for entry in entries] == [1, 2, 3]


def test_digits_stop_counting_when_the_caller_pauses(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("4821")
        await caller.hears("You entered ••••.")

    place_call(talk, plan=PLAN)


def test_a_full_entry_needs_no_pound_and_a_late_one_is_swallowed() -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("48214821")
        await caller.hears("You entered ••••••••.")
        await caller.waits(1)
        caller.presses("#")
        caller.presses("1")
        await caller.hears("I could not find that patient ID.")

    caller = place_call(talk, plan=PLAN)

    assert "invalid" not in [entry["outcome"] for entry in caller.told("entry")]


def test_typed_digits_and_i_have_none_are_understood(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.says("4 8 2 1")
        await caller.hears("You entered ••••.")
        caller.says("no, that's wrong")
        await caller.hears(QUESTION)
        caller.says("I don't have one")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    assert caller.told("patient")[-1]["outcome"] == "none"


def test_zero_after_a_cleared_entry_leads_to_a_person() -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("48*0")
        await caller.hears("You can reach us at")

    place_call(talk, plan=PLAN)


def test_a_locked_caller_goes_on_without_identification(patient: Patient) -> None:
    for attempt in range(12):
        IdentityAttempt.objects.create(
            clinic=patient.clinic,
            at=MONDAY_MORNING,
            caller_hmac=str(attempt),
            id_hmac=patient.id_hmac,
            outcome="identified",
        )

    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("4821#")
        await caller.hears("You entered")
        caller.presses("1")
        await caller.hears("I cannot look up patient IDs on this call.")
        await caller.hears(RECEPTIONIST)

    caller = place_call(talk, plan=PLAN)

    assert caller.told("patient")[0]["outcome"] == "locked"
    assert caller.call.patient is None


def test_a_database_that_cannot_answer_identifies_nobody(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise IdentificationUnavailable

    monkeypatch.setattr("agent_worker.patient_id.identify", away)

    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("4821#")
        await caller.hears("You entered")
        caller.presses("1")
        await caller.hears("I cannot look that up right now.")
        await caller.hears(RECEPTIONIST)

    assert place_call(talk, plan=PLAN).call.patient is None


def test_simulated_calls_neither_count_nor_lock(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await to_the_question(caller)
        caller.presses("9999#")
        await caller.hears("You entered")
        caller.presses("1")
        await caller.hears("I could not find that patient ID.")

    place_call(talk, plan=PLAN, origin="simulated")

    assert not IdentityAttempt.objects.exists()


def test_a_burst_runs_through_menu_and_id(patient: Patient) -> None:
    async def talk(caller: Caller) -> None:
        await caller.waits(0.1)
        caller.presses("1#4821#")
        await caller.hears("You entered ••••.")

    caller = place_call(talk, plan=PLAN)

    assert not [prompt for prompt in caller.prompts if QUESTION in prompt]
    assert KeypadEntry.objects.filter(outcome="accepted").count() == 2
