"""Digits, names, numbers and words of a call stay where they belong: this scans everywhere else."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from livekit.agents import AgentSession

from agent_worker import answering
from agent_worker.prompts import PromptStore
from agent_worker.voices import SilentVoice
from clinic.models import Patient
from clinic.patients import patient_set_id
from phone.plan import ConsentRules
from tests.agent_worker.calling import Caller, place_call, publish
from tests.agent_worker.test_call_patient_id import PLAN

pytestmark = pytest.mark.django_db

PATIENT_ID = "4821"
NAME = "Ana Torres"
OWN_NUMBER = "+12025550147"
TYPED_NUMBER = "2025550199"
SPOKEN = "my crown came loose"
SECRETS = (
    PATIENT_ID,
    "four eight two one",
    "4 8 2 1",
    NAME,
    OWN_NUMBER,
    OWN_NUMBER[2:],
    TYPED_NUMBER,
    SPOKEN,
)

ALLOWED = {
    ("phone_call", "caller_number"),
    ("phone_request", "number"),
    ("clinic_patient", "name"),
}
"""Where the office has to see a number or a name. Nothing but these columns may hold one."""


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[AgentSession[Any]]:
    """The agent sessions that calls start, to look into their chat contexts."""
    made: list[AgentSession[Any]] = []

    class Watched(AgentSession[Any]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(answering, "AgentSession", Watched)
    return made


async def talk(caller: Caller) -> None:
    await caller.hears("For appointments, press 1.")
    caller.says(SPOKEN)
    await caller.hears("Sorry, I did not understand that.")
    caller.presses("1")
    await caller.hears("Please enter your patient ID")
    caller.says("four eight two one")
    await caller.hears("You entered ••••.")
    caller.presses("2")
    await caller.hears("Please enter your patient ID")
    caller.presses(f"{PATIENT_ID}#")
    await caller.hears("You entered ••••.")
    caller.presses("1")
    await caller.hears("How can I help you?")
    caller.presses("2")
    await caller.hears("When is a good time")
    caller.presses("1")
    await caller.hears("Shall we call you at •••, •••, ••••?")
    caller.presses("2")
    await caller.hears("Please enter the number")
    caller.presses(f"{TYPED_NUMBER}#")
    await caller.hears("The number is •••, •••, ••••.")
    caller.presses("1")
    await caller.hears("We will call you by")


def test_nothing_of_a_caller_is_found_where_it_does_not_belong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sessions: list[AgentSession[Any]]
) -> None:
    patient = Patient(clinic=publish(PLAN), name=NAME)
    patient_set_id(patient, PATIENT_ID)
    patient.save()
    caplog.set_level(logging.DEBUG)
    logging.getLogger("livekit.agents").setLevel(logging.DEBUG)

    caller = place_call(talk, plan=PLAN, prompts=PromptStore(tmp_path, local=SilentVoice()))

    assert caller.call.patient == patient, "the call reached what it should hide"
    shown = json.dumps([event for event in caller.events if event["event"] not in ("call", "speech")])
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    chats = "\n".join(str(session.history.to_dict()) for session in sessions)
    files = "\n".join(str(path) for path in tmp_path.rglob("*"))
    cached = repr(getattr(cache, "_cache", {}))
    for secret in SECRETS:
        for place, text in {
            "events": shown,
            "logs": logged,
            "chat context": chats,
            "prompt cache": files,
            "cache": cached,
        }.items():
            assert secret not in text, f"{secret!r} is in the {place}"


def test_the_database_holds_them_only_in_the_columns_made_for_it() -> None:
    patient = Patient(clinic=publish(PLAN), name=NAME)
    patient_set_id(patient, PATIENT_ID)
    patient.save()

    place_call(talk, plan=PLAN)

    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    if column != "id" and any(secret in text for secret in SECRETS if secret != PATIENT_ID):
                        found.add((table, column))
                    if column in ("data", "digits", "digits_ciphertext", "note") and PATIENT_ID in text:
                        found.add((table, column))
    assert found <= ALLOWED


def test_an_id_said_at_the_wrong_moment_is_no_part_of_the_transcript() -> None:
    """The caller agreed to a transcript, and says the ID where a menu key or a yes is asked for."""

    async def talk(caller: Caller) -> None:
        await caller.hears_to_the_end("Do you consent?")
        caller.presses("1")
        await caller.hears("press 1")
        caller.says(f"my ID is {PATIENT_ID} and I want an appointment")
        await caller.hears("Please enter your patient ID")
        caller.presses(f"{PATIENT_ID}#")
        await caller.hears("You entered ••••.")
        caller.says("four eight two one")
        await caller.hears("Sorry, I did not understand that.")

    caller = place_call(talk, plan=PLAN.model_copy(update={"consent": ConsentRules()}))

    said = [event.data["text"] for event in caller.call.events.filter(kind="speech")]
    assert said == ["my ID is [number] and I want an appointment", "[number]"]
    assert [event["text"] for event in caller.told("speech")] == said
