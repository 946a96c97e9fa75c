"""What an agent needs to go on with the call of one that died: what the caller decided, and what is on record."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from phone.models import Call
from phone.publishing import LoadedPlan, plan_of_call
from phone.records import RequestTaken
from phone.services.worker_reports import REQUEST_CONTENT

INFORMING = ("say", "office_hours")
"""The actions after which a caller has got information."""


@dataclass(frozen=True)
class Resumable:
    """A running call as its next agent finds it. Without a stored consent the call goes on unrecorded."""

    call: uuid.UUID
    epoch: int
    loaded: LoadedPlan
    started_at: datetime
    language: str
    consent: str
    recording_consent: uuid.UUID | None
    """The ConsentRecord that permits a recording, if one does."""
    transcript_allowed: bool
    outside_allowed: bool
    patient_id: int | None
    requests: tuple[RequestTaken, ...]
    informed: bool


def resumable(call: uuid.UUID, epoch: int) -> Resumable | None:
    """The call that was given to agent `epoch`; None when it is over, or another agent's, or has no plan."""
    row = Call.objects.running().filter(pk=call, epoch=epoch).first()
    loaded = plan_of_call(row) if row else None
    if row is None or loaded is None:
        return None
    consent = row.consents.order_by("-answered_at").first()
    return Resumable(
        call=row.pk,
        epoch=epoch,
        loaded=loaded,
        started_at=row.started_at,
        language=row.language,
        consent=consent.decision if consent else "",
        recording_consent=consent.pk if consent and consent.covers_recording else None,
        transcript_allowed=bool(consent and consent.covers_transcript),
        outside_allowed=bool(consent and consent.covers_outside_processing),
        patient_id=row.patient_id,
        requests=tuple(_requests(row)),
        informed=row.events.filter(kind="menu", data__action__in=INFORMING).exists(),
    )


def _requests(row: Call) -> list[RequestTaken]:
    return [
        RequestTaken(
            call=row.pk,
            id=request.pk,
            at=request.created_at,
            clinic_id=request.clinic_id,
            patient_id=request.patient_id,
            **{name: getattr(request, name) for name in REQUEST_CONTENT if name != "number"},
            number=str(request.number),
        )
        for request in row.requests.all()
    ]
