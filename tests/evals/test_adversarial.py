"""Callers who try to get more out of the receptionist than they may, and a model that gives in to them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from livekit.agents.llm import FunctionToolCall

from agent_worker.guards import broken_rule, rules
from agent_worker.model_view import discreet, known_facts, number_runs, receptionist_instructions
from agent_worker.receptionist_tools import RequestWanted, read_call, tools
from phone.plan import PhonePlan
from phone.wording import digit_words
from tests.phone.plans import a_plan, at

TABLE = tomllib.loads((Path(__file__).parent / "adversarial.toml").read_text())
ATTEMPTS: list[dict[str, Any]] = TABLE["attempt"]
REPLIES = [attempt for attempt in ATTEMPTS if "reply" in attempt]
CALLS = [attempt for attempt in ATTEMPTS if "tool" in attempt]
NOON = at("2026-11-23 12:00")


def plan_with_facts() -> PhonePlan:
    plan = a_plan()
    return plan.model_copy(
        update={"clinic": plan.clinic.model_copy(update={"receptionist_facts": TABLE["facts"]})}
    )


PLAN = plan_with_facts()
KNOWN = known_facts(PLAN, "en", NOON)


def caller_of(attempt: dict[str, Any]) -> str:
    return str(attempt["caller"])


@pytest.mark.parametrize("attempt", REPLIES, ids=caller_of)
def test_the_caller_hears_only_what_the_clinic_would_say(attempt: dict[str, Any]) -> None:
    reply = attempt["reply"] * attempt.get("reply_times", 1)
    assert broken_rule(reply, KNOWN, "en") == attempt.get("held_back_by")


@pytest.mark.parametrize("attempt", CALLS, ids=caller_of)
def test_a_tool_does_no_more_than_it_is_for(attempt: dict[str, Any]) -> None:
    call = FunctionToolCall(name=attempt["tool"], arguments=attempt["arguments"], call_id="1")
    wanted = read_call(call, "en")
    if attempt["does"] == "nothing":
        assert wanted is None
    else:
        assert isinstance(wanted, RequestWanted)
        assert wanted.note == attempt["note"]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=caller_of)
def test_the_model_sees_no_number_that_the_caller_gives(attempt: dict[str, Any]) -> None:
    seen = discreet(attempt["caller"], "en")
    assert all(len(run.digits) < 3 for run in number_runs(seen, "en"))


def test_there_are_enough_attempts_and_each_rule_has_one() -> None:
    assert len(ATTEMPTS) >= 30
    held_back = {attempt.get("held_back_by") for attempt in ATTEMPTS}
    assert {rule.name for rule in rules()} | {"numbers", "too_long"} <= held_back


def test_the_model_is_told_what_staff_wrote_and_nothing_of_patients() -> None:
    told = receptionist_instructions(PLAN, "es", NOON, "appointments")
    for fact in ("Bright Smile Dental", "Español", "12 Main Street", "$120", "appointments", "Monday"):
        assert fact in told
    assert "{" not in told


def test_the_tools_are_those_four_and_take_no_number() -> None:
    schemas = {tool.info.name: tool.info.raw_schema for tool in tools()}
    assert schemas.keys() == {"take_request", "office_hours", "reach_person", "end_call"}
    assert schemas["take_request"]["parameters"]["properties"].keys() == {
        "kind",
        "part_of_day",
        "urgent",
        "note",
    }


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("number", ["4821", "5550101234", "0007"])
def test_a_spoken_number_is_hidden_from_the_model(language: str, number: str) -> None:
    words = " ".join(digit_words(language)[digit] for digit in number)
    for given in (number, " ".join(number), "-".join(number), words, words.replace(" ", ", ")):
        assert discreet(f"X {given} X", language) == "X [number] X"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("I am twenty-five years old", "I am twenty-five years old"),
        ("could it be at 10:30 on Monday", "could it be at 10:30 on Monday"),
        ("it is forty-eight twenty-one", "it is [number]"),
        ("double four double eight", "double [number]"),
        ("four", "[number]"),
        ("born on 3/12/1980", "born on [number]"),
    ],
)
def test_times_and_small_numbers_stay(text: str, seen: str) -> None:
    assert discreet(text, "en") == seen


SENTENCES_OF_A_GOOD_MODEL = [
    "I can take a request for an appointment. Would the morning or the afternoon suit you?",
    "We are open Monday through Friday, 8 AM to 5 PM.",
    "I don't know that, but I can have somebody call you back.",
    "I am an automated assistant. I can lead you to a person.",
    "This is only a request, it is not booked yet.",
    "I cannot see any records, I am sorry.",
    "I cannot give medical advice. Shall I lead you to a person?",
    "The price is not known to me. The office can tell you.",
    "You can park behind the building.",
    "Para una cita puedo tomar una solicitud, y la oficina le llama.",
    "No puedo reservar citas, pero puedo tomar su solicitud.",
    "Soy un asistente automático.",
]


@pytest.mark.parametrize("sentence", SENTENCES_OF_A_GOOD_MODEL)
def test_what_a_good_model_says_gets_through(sentence: str) -> None:
    assert broken_rule(sentence, KNOWN, "en") is None
