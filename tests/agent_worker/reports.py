"""What a worker reports of one call that came to its end, with something of every kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agent_worker.ids import uuid7
from agent_worker.sealed import Sealed
from phone.records import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    EntryMade,
    EventHappened,
    Heartbeat,
    LanguageChosen,
    PatientIdentified,
    Record,
    RequestTaken,
)

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_call(clinic: int, *, sealed: Sealed | None = None, patient: int | None = None) -> list[Record]:
    """A call from 555-0123 whose caller consents, types an ID, and leaves a request, which is confirmed later."""
    call, request = uuid7(NOON), uuid7(NOON)

    def taken(at: float, *, confirmed: bool) -> RequestTaken:
        return RequestTaken(
            call=call,
            id=request,
            at=after(at),
            clinic_id=clinic,
            kind="callback",
            priority="normal",
            number="+12125550123",
            part_of_day="morning",
            topic="",
            note="Diente roto, ¿cuándo?",
            language="es",
            confirmed=confirmed,
            due_at=after(86_400),
            patient_id=patient,
        )

    return [
        CallStarted(call, NOON, clinic, None, None, "phone", "+12125550123", "en", True, room="dental-1"),
        EventHappened(
            call, uuid7(NOON), after(1), 1, "prompt", "consent", {"text": "“1” – yes", "asks": True}
        ),
        ConsentDecided(
            call=call,
            id=uuid7(NOON),
            at=after(4),
            decision="given",
            how="keypad",
            language="en",
            wording="May we record?",
            covers_recording=True,
            covers_transcript=True,
            covers_outside_processing=False,
            asked_at=after(1),
            heard_to_end=True,
        ),
        LanguageChosen(call, after(5), "es"),
        EntryMade(
            call=call,
            id=uuid7(NOON),
            at=after(9),
            step="patient_id",
            attempt=1,
            source="keypad",
            outcome="accepted",
            digits="••••",
            digits_ciphertext=sealed.ciphertext if sealed else None,
            digits_key=sealed.key_id if sealed else "",
            first_key_after=0.25,
            took=1.5,
        ),
        *([PatientIdentified(call, after(10), patient)] if patient else []),
        taken(20, confirmed=False),
        Heartbeat(call, after(21)),
        taken(22, confirmed=True),
        EventHappened(call, uuid7(NOON), after(30), 2, "ended", "goodbye", {"outcome": "request_taken"}),
        CallEnded(call, after(30), "request_taken", "request", "goodbye"),
    ]
