"""What proves one call's consent: every decision and the recordings that rest on it, for a page and a signed file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clinic.evidence import seal_of
from clinic.signed_json import SignedDocument, signed_document
from phone.models import Call, ConsentRecord, Deletion, Recording

KIND = "clinic-phone consent evidence 1"

ANSWERS = {"yes": "words that mean yes", "no": "words that mean no", "person": "asking for a person"}


@dataclass(frozen=True)
class Decision:
    """One consent record; `sound` is false where it is not as it was written."""

    record: ConsentRecord
    sound: bool
    how: str
    recordings: tuple[Recording, ...]


@dataclass(frozen=True)
class ConsentEvidence:
    """Everything about one call's consent, in the order in which it happened."""

    call: Call
    decisions: tuple[Decision, ...]
    recordings: tuple[Recording, ...]
    deletions: tuple[Deletion, ...]

    @property
    def sound(self) -> bool:
        return all(decision.sound for decision in self.decisions)


def consent_evidence(call: Call) -> ConsentEvidence:
    """What there is for `call`."""
    recordings = tuple(call.recordings.order_by("started_at"))
    decisions = tuple(
        Decision(
            record=record,
            sound=is_sound(record),
            how=how(record),
            recordings=tuple(each for each in recordings if each.consent_id == record.pk),
        )
        for record in call.consents.order_by("answered_at", "pk")
    )
    return ConsentEvidence(call, decisions, recordings, tuple(call.deletions.order_by("at", "pk")))


def is_sound(record: ConsentRecord) -> bool:
    """Whether the record says what it said when it was written, and its hash is that of its wording."""
    seal = seal_of(record)
    hashed = hashlib.sha256(record.wording.encode()).hexdigest()
    return bool(seal) and record.seal == seal and record.wording_hash == hashed


def how(record: ConsentRecord) -> str:
    """How the caller answered, in words: “By key: 1”."""
    answer = ANSWERS.get(record.answer, record.answer)
    return f"{record.get_how_display()}: {answer}" if answer else record.get_how_display()


def evidence_document(evidence: ConsentEvidence, *, made_at: datetime) -> SignedDocument:
    """The signed file. Times are UTC, lengths milliseconds. Raises crypto.KeysUnavailable."""
    return signed_document(KIND, dict(_parts(evidence)), made_at=made_at)


def wording_problems(document: SignedDocument) -> list[str]:
    """The decisions of a document whose wording is not that of their hash, in sentences."""
    return [
        f"The wording of “{name}” is not that of its hash."
        for name, part in document.parts.items()
        if isinstance(part, dict)
        and "wording" in part
        and hashlib.sha256(str(part["wording"]).encode()).hexdigest() != part.get("wording_sha256")
    ]


def _parts(evidence: ConsentEvidence) -> Iterator[tuple[str, dict[str, Any]]]:
    call = evidence.call
    yield "clinic", {"name": call.clinic.name, "time_zone": call.clinic.time_zone}
    yield (
        "call",
        {
            "id": str(call.pk),
            "kind": call.origin,
            "line": str(call.line.number) if call.line else "",
            "caller": str(call.caller_number),
            "language": call.language,
            "began_at": moment(call.started_at),
            "ended_at": moment(call.ended_at),
            "plan_number": call.plan_version.number if call.plan_version else None,
            "plan_hash": call.plan_version.content_hash if call.plan_version else "",
        },
    )
    for number, decision in enumerate(evidence.decisions, 1):
        yield f"decision {number}", _decision(decision)
    for number, recording in enumerate(evidence.recordings, 1):
        yield f"recording {number}", _recording(recording)
    for number, deletion in enumerate(evidence.deletions, 1):
        yield (
            f"deletion {number}",
            {
                "at": moment(deletion.at),
                "what": deletion.what,
                "why": deletion.why,
                "by": deletion.username,
                "count": deletion.count,
                "sha256": deletion.sha256,
            },
        )


def _decision(decision: Decision) -> dict[str, Any]:
    record = decision.record
    return {
        "id": str(record.pk),
        "decision": record.decision,
        "how": record.how,
        "answer": record.answer,
        "language": record.language,
        "wording": record.wording,
        "wording_sha256": record.wording_hash,
        "plan_number": record.plan_number,
        "plan_hash": record.plan_hash,
        "asked_at": moment(record.asked_at),
        "answered_at": moment(record.answered_at),
        "heard_to_end": record.heard_to_end,
        "covers_recording": record.covers_recording,
        "covers_transcript": record.covers_transcript,
        "covers_outside_processing": record.covers_outside_processing,
        "as_it_was_written": decision.sound,
        "seal": record.seal,
    }


def _recording(recording: Recording) -> dict[str, Any]:
    seconds = recording.seconds
    return {
        "id": str(recording.pk),
        "kind": recording.kind,
        "decision": str(recording.consent_id or ""),
        "first_sample_at": moment(recording.started_at),
        "ended_at": moment(recording.ended_at),
        "milliseconds": None if seconds is None else round(seconds * 1000),
        "sha256": recording.sha256,
        "bytes": recording.size,
        "state": recording.state,
    }


def moment(at: datetime | None) -> str:
    """A moment as the file has it; empty for none."""
    return at.isoformat() if at else ""
