"""What the worker reports of a call: frozen values that `phone.services.write_records` stores, in order.

Every id is a UUIDv7 made by the worker, so that storing the same record twice stores it once. Every time is
aware and comes from the call's clock. Sensitive digits are encrypted before a record is made.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The first record of a call. `line_id`, `plan_version_id` are row ids; `caller` is E.164 or empty.

    `room` is the LiveKit room, empty on other lines.
    """

    call: uuid.UUID
    at: datetime
    clinic_id: int
    line_id: int | None
    plan_version_id: int | None
    origin: str
    caller: str
    language: str
    after_hours: bool
    room: str = ""


@dataclass(frozen=True, slots=True)
class EventHappened:
    """One line of the timeline (DESIGN: the events of `simulate_call --json`), already masked for storage."""

    call: uuid.UUID
    id: uuid.UUID
    at: datetime
    seq: int
    kind: str
    step: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntryMade:
    """One keypad entry; see `phone.models.KeypadEntry` for the fields."""

    call: uuid.UUID
    id: uuid.UUID
    at: datetime
    step: str
    attempt: int
    source: str
    outcome: str
    digits: str
    digits_ciphertext: bytes | None = None
    digits_key: str = ""
    first_key_after: float | None = None
    took: float | None = None


@dataclass(frozen=True, slots=True)
class ConsentDecided:
    """One consent decision; see `phone.models.ConsentRecord` for the fields. The plan is the call's."""

    call: uuid.UUID
    id: uuid.UUID
    at: datetime
    decision: str
    how: str
    language: str
    wording: str
    covers_recording: bool
    covers_transcript: bool
    covers_outside_processing: bool
    asked_at: datetime | None
    heard_to_end: bool
    answer: str = ""
    subject: str = "call"


@dataclass(frozen=True, slots=True)
class RecordingBegan:
    """A recording runs. `at` is the moment of its first sample; `consent` is the ConsentRecord that permits it."""

    call: uuid.UUID
    id: uuid.UUID
    at: datetime
    consent: uuid.UUID
    kind: str = "call"


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """A recording is whole, and its file waits for its storage; see `phone.models.Recording` for the fields."""

    call: uuid.UUID
    id: uuid.UUID
    at: datetime
    seconds: float
    pauses: list[list[float]]
    cut_short: bool


@dataclass(frozen=True, slots=True)
class PatientIdentified:
    """The caller gave the ID of this patient row."""

    call: uuid.UUID
    at: datetime
    patient_id: int


@dataclass(frozen=True, slots=True)
class LanguageChosen:
    """The caller switched to `language`."""

    call: uuid.UUID
    at: datetime
    language: str


@dataclass(frozen=True, slots=True)
class RequestTaken:
    """A request the caller left. Sent again under the same id when it is confirmed or completed: last one wins.

    `voicemail` is the recording of the caller's message.
    """

    call: uuid.UUID
    id: uuid.UUID
    at: datetime
    clinic_id: int
    kind: str
    priority: str
    number: str
    part_of_day: str
    topic: str
    note: str
    language: str
    confirmed: bool
    due_at: datetime | None
    patient_id: int | None
    voicemail: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The call is alive at this moment, with the agent of this epoch (see `Call.epoch`)."""

    call: uuid.UUID
    at: datetime
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The last record of a call. Only the agent that has the call ends it: others' are left out."""

    call: uuid.UUID
    at: datetime
    outcome: str
    served: str
    ended_in_step: str
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The last record of a call that goes on between its caller and a person: it ends when their room does."""

    call: uuid.UUID
    at: datetime
    epoch: int = 1


Record = (
    CallStarted
    | EventHappened
    | EntryMade
    | ConsentDecided
    | RecordingBegan
    | RecordingEnded
    | PatientIdentified
    | LanguageChosen
    | RequestTaken
    | Heartbeat
    | CallEnded
    | HandedOver
)
