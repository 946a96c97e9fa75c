"""`simulate_call`, as scripts rely on it: its arguments, its events, its exit codes, and what it stores."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from clinic.models import IdentityAttempt
from phone.models import Call

pytestmark = pytest.mark.django_db

Event = dict[str, Any]

OPEN = "2026-11-23T10:00"
WITHOUT_STEP = {"call", "language"}
FIELDS = {
    "call": {"id", "line", "from", "plan_version", "at"},
    "step": set(),
    "prompt": {"text", "asks"},
    "silenced": set(),
    "key": {"key"},
    "speech": {"text"},
    "entry": {"source", "outcome", "attempt", "digits"},
    "consent": {"decision", "heard_to_end", "recording"},
    "menu": {"menu", "option", "action"},
    "patient": {"outcome"},
    "request": {"kind", "priority", "confirmed"},
    "language": {"language"},
    "ended": {"outcome", "duration", "served"},
}


@pytest.fixture(autouse=True)
def demo_clinic(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    call_command("seed_demo", stdout=StringIO())


def simulate(keys: str = "", **options: Any) -> list[Event]:
    """The events of a call by this script, on a Monday morning unless said otherwise."""
    out = StringIO()
    call_command("simulate_call", keys=keys, json=True, stdout=out, **{"at": OPEN, **options})
    return [json.loads(line) for line in out.getvalue().splitlines()]


def told(events: list[Event], kind: str) -> list[Event]:
    """The events of this kind, in order."""
    return [event for event in events if event["event"] == kind]


def steps(events: list[Event]) -> list[str]:
    return [event["step"] for event in told(events, "step")]


def said(events: list[Event]) -> str:
    return " ".join(event["text"] for event in told(events, "prompt"))


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("1 1 4821# 1 1 3 2 2025550199# 1 2", {}),
        ("7 9 1 1 12# * 9999# 2 # 2 0", {"caller": "withheld"}),
        ("hear hear hear hear hear", {"say": ["appointments", "I can't breathe"]}),
        ("1 1 4821# 1 1 1 1", {"burst": True}),
        ("2", {"language": "es", "at": "2026-12-25T10:00"}),
    ],
)
def test_every_event_has_its_fields_in_the_order_of_time(script: str, options: dict[str, Any]) -> None:
    events = simulate(script, **options)

    assert (events[0]["event"], events[-1]["event"]) == ("call", "ended")
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    for event in events:
        expected = FIELDS[event["event"]] | {"event", "t"}
        assert event.keys() == expected | (
            {"step"} - expected if event["event"] not in WITHOUT_STEP else set()
        )
    call = Call.objects.get(pk=events[0]["id"])
    assert [event.kind for event in call.events.all()] == [event["event"] for event in events]
    assert (call.outcome, call.served) == (events[-1]["outcome"], events[-1]["served"])
    assert call.ended_in_step == events[-1]["step"]


def test_a_whole_call_by_keys() -> None:
    events = simulate("1 1 4821# 1 1 3 1")

    assert steps(events) == [
        "greeting", "consent", "menu", "patient_id", "receptionist", "request", "menu",
    ]  # fmt: skip
    assert told(events, "patient") == [told(events, "patient")[0] | {"outcome": "identified"}]
    assert [event["key"] for event in told(events, "key") if event["step"] == "patient_id"] == ["•"] * 5 + [
        "1"
    ]
    assert told(events, "request")[0]["kind"] == "appointment"
    assert (events[-1]["outcome"], events[-1]["served"]) == ("request_taken", "request")
    assert not re.search("4821|booked", json.dumps(events[1:]))


def test_a_wait_is_a_prompt_that_asks_and_an_announcement_is_none() -> None:
    events = simulate("1 2 4 2")

    assert [event["option"] for event in told(events, "menu")] == [
        "office hours", "our address and parking", "office hours",
    ]  # fmt: skip


def test_keys_cut_the_prompt_half_a_second_after_its_begin() -> None:
    events = simulate("1 1 4821#")

    asked = next(event for event in told(events, "prompt") if event["step"] == "patient_id")
    keys = [event["t"] - asked["t"] for event in told(events, "key") if event["step"] == "patient_id"]
    assert keys == pytest.approx([0.5, 0.62, 0.74, 0.86, 0.98], abs=0.002)
    assert [event["step"] for event in told(events, "silenced")] == ["consent", "menu", "patient_id"]


def test_hear_lets_the_prompt_finish_and_wait_waits() -> None:
    events = simulate("hear 1 wait:1.5 2")

    assert told(events, "consent")[0]["heard_to_end"] is True
    menu = next(event for event in told(events, "prompt") if event["step"] == "menu")
    assert told(events, "key")[1]["t"] - menu["t"] == pytest.approx(2.0, abs=0.002)


def test_hear_alone_uses_up_one_wait() -> None:
    events = simulate("hear 1 hear")

    assert [event["outcome"] for event in told(events, "entry")] == ["accepted", "no_input"]


def test_the_caller_hangs_up_when_the_groups_are_used_up() -> None:
    assert simulate()[-1] == simulate()[-1] | {"step": "consent", "outcome": "caller_hung_up"}


def test_words_come_after_the_keys_or_in_their_place() -> None:
    events = simulate('1 say:"what are your hours"', say=["a person please"])

    assert [event["text"] for event in told(events, "speech")] == ["what are your hours", "a person please"]
    assert steps(events)[-2:] == ["transfer", "request"]


def test_a_burst_is_used_to_its_last_key_and_words_follow_it() -> None:
    events = simulate("1 1 4821# 1", burst=True, say=["an appointment"])

    assert {event["t"] for event in told(events, "key")} == {0.0}
    assert told(events, "patient")[0]["outcome"] == "identified"
    assert [event["text"] for event in told(events, "speech")] == ["an appointment"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-24T16:59", "We are open now, until 5 PM."),
        ("2026-12-25T10:00", "Our office is closed today, on Christmas Day."),
        ("2026-11-22T10:00", "We open again tomorrow at 8 AM."),
        ("2026-11-01T01:59:50", "We open again tomorrow at 8 AM."),
        ("2026-03-08T02:30", "We open again tomorrow at 8 AM."),
    ],
)
def test_at_sets_the_clinics_clock(at: str, expected: str) -> None:
    events = simulate("hear 1 2", at=at)

    assert expected in said(events)
    call = Call.objects.get(pk=events[0]["id"])
    assert call.started_at.isoformat() == events[0]["at"] or call.started_at == call.started_at.fromisoformat(
        events[0]["at"]
    )
    assert call.duration is not None
    assert call.duration.total_seconds() == pytest.approx(events[-1]["duration"], abs=0.001)


def test_language_and_line_and_caller() -> None:
    events = simulate("1", language="es", line="+1 212-555-0142", caller="+1 202 555 0199")

    assert (events[0]["line"], events[0]["from"]) == ("+12125550142", "+12025550199")
    assert "Gracias por llamar" in said(events)


def test_a_dry_run_stores_nothing() -> None:
    events = simulate("1 1 9999# 1 # 1 3 1", dry_run=True)

    assert events[-1]["outcome"] == "request_taken"
    assert not Call.objects.exists()


def test_simulated_calls_stay_out_of_lockouts_and_figures() -> None:
    for _ in range(5):
        simulate("1 1 9999# 1 9999# 1 9999# 1")
    events = simulate("1 1 4821# 1")

    assert told(events, "patient")[0]["outcome"] == "identified"
    assert not IdentityAttempt.objects.exists()
    assert set(Call.objects.values_list("origin", flat=True)) == {"simulated"}
    assert not Call.objects.real().exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keys": "1 x"}, "“x” is no group of keys."),
        ({"keys": "wait:soon"}, "“wait:soon” is no waiting time."),
        ({"keys": 'say:"no end'}, "The keys cannot be read"),
        ({"at": "tomorrow"}, "“tomorrow” is no date and time."),
        ({"at": "9999-12-31T23:59"}, "“9999-12-31T23:59” is too far away."),
        ({"at": "0001-01-01"}, "“0001-01-01” is too far away."),
        ({"line": "+12125550999"}, "No line with a published plan has the number +12125550999."),
        ({"caller": "somebody"}, "“somebody” is no telephone number."),
        ({"language": "fr"}, "The clinic does not offer “fr”, only en, es."),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError) as refusal:
        simulate(**options)

    assert refusal.value.returncode == 2
    assert str(refusal.value).startswith(sentence)
    assert not Call.objects.exists()


def test_without_a_database_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(number: str) -> None:
        raise DatabaseError

    monkeypatch.setattr("phone.management.commands.simulate_call.live_plan", away)

    with pytest.raises(CommandError, match="The database is not set up") as refusal:
        simulate()

    assert refusal.value.returncode == 2


@pytest.mark.any_database
def test_on_the_command_line_a_refusal_leaves_stdout_empty(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "manage.py", "simulate_call", "--json", "--keys", "1"],
        cwd=Path(__file__).parents[2],
        env={"CLINIC_DATA_DIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (2, "")
    assert "Run “make run” once" in run.stderr
