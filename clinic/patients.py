"""Who is calling: the only path on which a patient ID is checked, and the only code that stores or shows one.

A patient ID is an identifier, not a secret. Whoever tries many is slowed down: look-ups are counted per caller,
per ID and per clinic, in windows that slide, from the rows of `IdentityAttempt`. A lock stops identification only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.contrib.auth.models import AbstractBaseUser
from django.db import Error as AnyDatabaseError
from django.db.models import Count, Q

from clinic import crypto
from clinic.models import IdentityAttempt, Patient

Outcome = Literal["identified", "not_found", "locked"]

WINDOW = timedelta(hours=1)
"""How far back look-ups count."""

NOT_FOUND_PER_CALLER = 6
"""Wrong IDs from one number: two calls with three tries each. Withheld numbers are not counted together."""

LOOKUPS_PER_ID = 12
"""Look-ups of one ID, right or wrong, so that being locked tells nobody which of the two it is."""

NOT_FOUND_PER_CLINIC = 120
"""Wrong IDs from all callers together, against a search from many numbers."""

LONGEST_ID = 32

NOT_FOUND = Q(outcome=IdentityAttempt.Outcome.NOT_FOUND)


class IdentificationUnavailable(Exception):
    """The database or the keys cannot be reached: nobody is identified."""


@dataclass(frozen=True, slots=True)
class Identification:
    """What a look-up came to. `patient_id` is the patient's row, when identified."""

    outcome: Outcome
    patient_id: int | None = None


def identify(
    clinic_id: int, patient_id: str, caller: str, at: datetime, *, count: bool = True
) -> Identification:
    """Look up the patient ID that a caller entered, and keep the attempt.

    `caller` is E.164, or empty when withheld; `at` (aware) is the call's clock. With `count=False`, for simulated
    calls, the attempt is not kept and no lock applies. A right ID, a wrong one and a locked one take the same
    queries. Raises IdentificationUnavailable when the answer cannot be known.
    """
    try:
        id_hmac = patient_id_hash(clinic_id, patient_id)
        caller_hmac = caller_hash(clinic_id, caller)
        locked = _is_locked(clinic_id, caller_hmac, id_hmac, at) and count
        patients = Patient.objects.active().filter(clinic=clinic_id, id_hmac=id_hmac)
        found = patients.values_list("pk", flat=True).first()
        answer = _answer(found, locked=locked)
        if count:
            IdentityAttempt.objects.create(
                clinic_id=clinic_id, at=at, caller_hmac=caller_hmac, id_hmac=id_hmac, outcome=answer.outcome
            )
    except (AnyDatabaseError, crypto.KeysUnavailable) as error:
        raise IdentificationUnavailable from error
    return answer


def patient_set_id(patient: Patient, raw_id: str) -> None:
    """Put `raw_id` into the row, encrypted and hashed, without saving. The row's clinic must be set."""
    patient_id = normalise_id(raw_id)
    patient.id_hmac = patient_id_hash(patient.clinic_id, patient_id)
    patient.id_ciphertext, patient.id_key = crypto.encrypt(patient_id, _context(patient))


def patient_id_revealed(patient: Patient) -> str:
    """The patient ID in full. Whoever shows or exports it leaves an access record.

    Raises crypto.CannotDecrypt and crypto.KeysUnavailable.
    """
    return crypto.decrypt(patient.id_ciphertext, patient.id_key, _context(patient))


def patient_id_masked(patient: Patient) -> str:
    """One dot for each character of the patient ID; a question mark when it cannot be read."""
    try:
        return "•" * len(patient_id_revealed(patient))
    except (crypto.CannotDecrypt, crypto.KeysUnavailable):
        return "?"


def normalise_id(raw_id: str) -> str:
    """The ID without the spaces and dashes that people put into it. Leading zeros stay: IDs are text."""
    composed = unicodedata.normalize("NFKC", raw_id)
    return "".join(each for each in composed if not each.isspace() and unicodedata.category(each) != "Pd")


def patient_id_problem(raw_id: str) -> str:
    """Why `raw_id` cannot be a patient ID, in a sentence that does not repeat it; empty when it can."""
    patient_id = normalise_id(raw_id)
    if not patient_id:
        return "The patient ID is missing."
    if not (patient_id.isascii() and patient_id.isdecimal()):
        return "A patient ID has digits only: callers enter it on their telephone."
    if len(patient_id) > LONGEST_ID:
        return f"A patient ID has at most {LONGEST_ID} digits."
    return ""


def patient_id_hash(clinic_id: int, raw_id: str) -> str:
    """What `Patient.id_hmac` and `IdentityAttempt.id_hmac` hold. Raises crypto.KeysUnavailable."""
    return crypto.keyed_hash(normalise_id(raw_id), f"patient-id:{clinic_id}")


def caller_hash(clinic_id: int, caller: str) -> str:
    """What `IdentityAttempt.caller_hmac` holds for a number in E.164: empty when it was withheld."""
    return crypto.keyed_hash(caller, f"caller:{clinic_id}") if caller else ""


def patient_is_locked(patient: Patient, at: datetime) -> bool:
    """Whether callers who give this patient's ID at `at` are refused, whoever they are."""
    return _is_locked(patient.clinic_id, "", patient.id_hmac, at)


def patient_unlock(*, patient: Patient, by: AbstractBaseUser, at: datetime) -> int:
    """Let callers give this patient's ID again. How many attempts no longer count."""
    return _clear(patient.clinic_id, Q(id_hmac=patient.id_hmac), by, at)


def attempts_unlock(*, attempts: Iterable[IdentityAttempt], by: AbstractBaseUser, at: datetime) -> int:
    """Let the callers of these attempts call, and the IDs be given, again. How many attempts no longer count."""
    cleared = 0
    for attempt in attempts:
        same = Q(id_hmac=attempt.id_hmac)
        if attempt.caller_hmac:
            same |= Q(caller_hmac=attempt.caller_hmac)
        cleared += _clear(attempt.clinic_id, same, by, at)
    return cleared


def clinic_unlock(*, clinic_id: int, by: AbstractBaseUser, at: datetime) -> int:
    """End every lock of the clinic. How many attempts no longer count."""
    return _clear(clinic_id, Q(), by, at)


def _answer(found: int | None, *, locked: bool) -> Identification:
    if locked:
        return Identification("locked")
    return Identification("identified", found) if found else Identification("not_found")


def _is_locked(clinic_id: int, caller_hmac: str, id_hmac: str, at: datetime) -> bool:
    counted = IdentityAttempt.objects.that_count(since=at - WINDOW).filter(clinic=clinic_id)
    counts = counted.aggregate(
        by_caller=Count("pk", filter=NOT_FOUND & Q(caller_hmac=caller_hmac)),
        of_id=Count("pk", filter=Q(id_hmac=id_hmac)),
        at_clinic=Count("pk", filter=NOT_FOUND),
    )
    # Withheld numbers all look the same: they share no count.
    caller_is_locked = bool(caller_hmac) and counts["by_caller"] >= NOT_FOUND_PER_CALLER
    return bool(
        caller_is_locked or counts["of_id"] >= LOOKUPS_PER_ID or counts["at_clinic"] >= NOT_FOUND_PER_CLINIC
    )


def _clear(clinic_id: int, which: Q, by: AbstractBaseUser, at: datetime) -> int:
    counted = IdentityAttempt.objects.filter(clinic=clinic_id, cleared_at=None, at__lte=at)
    return counted.filter(which).update(cleared_at=at, cleared_by=by)


def _context(patient: Patient) -> str:
    # Bound to the hash that stands beside it: a ciphertext put into another patient's row does not decrypt.
    return f"patient-id:{patient.id_hmac}"
