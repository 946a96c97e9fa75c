"""Calls with all that callers leave behind, for tests of keeping and deleting it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from agent_worker.ids import uuid7
from clinic.crypto import encrypt
from clinic.models import Clinic
from clinic.patients import identify
from clinic.roles import Role
from phone.models import Call, ConsentRecord, KeypadEntry, Recording
from phone.recordings import waiting_folder
from phone.records import ConsentDecided
from phone.services import write_records
from tests.phone.office import add_event, make_call, make_request

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NUMBER = "+12025550147"
WORDS = "my crown came loose"
SOUND = b"OggS, and what the caller said"
SHA256 = hashlib.sha256(SOUND).hexdigest()


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def member_of(role: Role) -> User:
    user = User.objects.create_user(role.lower(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def decide(call: Call, decision: str = "given", seconds: float = 4, **fields: Any) -> ConsentRecord:
    """A consent decision of `call`, as its worker reports it."""
    at = call.started_at + timedelta(seconds=seconds)
    covers = decision == "given"
    record = ConsentDecided(
        **{
            "call": call.pk,
            "id": uuid7(at),
            "at": at,
            "decision": decision,
            "how": "keypad",
            "language": "en",
            "wording": "May we record this call?",
            "covers_recording": covers,
            "covers_transcript": covers,
            "covers_outside_processing": covers,
            "asked_at": at - timedelta(seconds=2),
            "heard_to_end": True,
            "answer": "1",
        }
        | fields
    )
    write_records([record])
    return ConsentRecord.objects.get(pk=record.id)


def record_sound(call: Call, **fields: Any) -> Recording:
    """A recording of `call`, with its file where its state says."""
    at = call.started_at + timedelta(seconds=5)
    recording = Recording(
        **{
            "id": uuid7(at),
            "call": call,
            "consent": call.consents.first(),
            "kind": Recording.Kind.CALL,
            "state": Recording.State.STORED,
            "started_at": at,
            "seconds": 12.5,
            "sha256": SHA256,
        }
        | fields
    )
    if recording.state == Recording.State.STORED:
        recording.file = default_storage.save(f"recordings/{recording.pk}.ogg", ContentFile(SOUND))
    else:
        waiting_folder().mkdir(exist_ok=True)
        (waiting_folder() / f"{recording.pk}.ogg").write_bytes(SOUND)
    recording.save(force_insert=True)
    return recording


def sounds_on_disk() -> list[str]:
    """The names of all files of the data directory in which the caller can be heard."""
    files = [path for path in settings.DATA_DIR.rglob("*") if path.is_file() and path.suffix == ".ogg"]
    return [path.name for path in files if SOUND in path.read_bytes()]


def a_full_call(
    clinic: Clinic, at: datetime, *, number: str = NUMBER, raw_id: str = "4821", **fields: Any
) -> Call:
    """A call with consent, words, keys, an ID, a recording, a voicemail that waits, and a request that is done."""
    call = make_call(clinic, at, origin="phone", caller_number=number, room=f"clinic-_{number}_abc", **fields)
    decide(call)
    add_event(call, "prompt", step="menu", text="For appointments, press 1.", asks=True)
    add_event(call, "speech", step="receptionist", text=WORDS)
    add_event(call, "prompt", step="receptionist", text=f"You said {WORDS}.", asks=True)
    add_event(call, "key", step="menu", key="1")
    ciphertext, key = encrypt(raw_id, "digits")
    KeypadEntry.objects.create(
        id=uuid7(at), call=call, at=at, step="patient_id", attempt=1, source="keypad", outcome="accepted",
        digits="••••", digits_ciphertext=ciphertext, digits_key=key,
    )  # fmt: skip
    record_sound(call)
    record_sound(call, kind=Recording.Kind.VOICEMAIL, state=Recording.State.WAITING)
    identify(clinic.pk, raw_id, number, at)
    make_request(
        call, number=number, note=WORDS, patient=call.patient, taken_at=at, done_at=at + timedelta(hours=1)
    )
    return call
