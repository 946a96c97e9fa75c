"""What there is of one caller, for whoever is asked to erase it. Reads only: `phone.services.erasure` deletes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet

from clinic.models import Clinic, IdentityAttempt, Patient
from clinic.patients import caller_hash
from phone.models import Call, Recording, Request
from phone.querysets import CallQuerySet
from phone.retention import WITH_SOUND

SETTLED_AFTER = timedelta(minutes=5)
"""How long after a call's end its worker or the LiveKit server may still report something of it."""


@dataclass(frozen=True)
class Caller:
    """Who is to be erased: a patient, telephone numbers in E.164, or both. `cards` are patients to delete as well."""

    numbers: tuple[str, ...] = ()
    patient: Patient | None = None
    cards: tuple[Patient, ...] = ()

    def calls(self) -> CallQuerySet:
        """Every call of theirs. Where a patient is meant, calls in which another patient was identified are not."""
        by_number = Q(pk__in=())
        for number in self.numbers:
            by_number |= Q(caller_number=number) | Q(room__contains=number) | Q(requests__number=number)
        if self.patient is None:
            return Call.objects.filter(pk__in=Call.objects.filter(by_number).values("pk"))
        theirs = Q(patient=self.patient) | Q(requests__patient=self.patient)
        nobody_elses = Q(patient__isnull=True) | Q(patient=self.patient)
        return Call.objects.filter(
            pk__in=Call.objects.filter(theirs | (by_number & nobody_elses)).values("pk")
        )

    def requests(self) -> QuerySet[Request]:
        """Every request that they left, or that says who they are."""
        mine = Q(call__in=self.calls())
        if self.patient:
            mine |= Q(patient=self.patient)
        else:
            mine |= Q(number__in=self.numbers)
        return Request.objects.filter(mine)

    def attempts(self) -> QuerySet[IdentityAttempt]:
        """Every try of a patient ID from their numbers, or of their ID."""
        hashes = [
            caller_hash(pk, each)
            for pk in Clinic.objects.values_list("pk", flat=True)
            for each in self.numbers
        ]
        mine = Q(caller_hmac__in=hashes)
        for patient in (*self.cards, *([self.patient] if self.patient else [])):
            mine |= Q(clinic=patient.clinic_id, id_hmac=patient.id_hmac)
        return IdentityAttempt.objects.filter(mine)


@dataclass(frozen=True)
class Footprint:
    """What would go of a caller, and how many calls are `held` and stay.

    `unsettled` calls run, or ended just now: nothing is erased before they are over.
    """

    calls: int
    held: int
    unsettled: int
    recordings: int
    requests: int
    open_requests: int
    attempts: int

    @property
    def empty(self) -> bool:
        return not (self.calls or self.held or self.requests or self.attempts)


def footprint(caller: Caller, now: datetime) -> Footprint:
    """Count what there is of `caller`. Raises crypto.KeysUnavailable."""
    calls = caller.calls()
    held, free = calls.filter(on_hold=True), calls.filter(on_hold=False)
    requests = caller.requests().exclude(call__in=held)
    return Footprint(
        calls=free.count(),
        held=held.count(),
        unsettled=calls.exclude(settled(now)).count(),
        recordings=Recording.objects.filter(call__in=free, state__in=WITH_SOUND).count(),
        requests=requests.count(),
        open_requests=requests.open().count(),  # type: ignore[attr-defined]
        attempts=caller.attempts().count(),
    )


def settled(now: datetime) -> Q:
    """Calls of which nothing more will be reported."""
    return ~Q(outcome="") & Q(ended_at__lt=now - SETTLED_AFTER)


def numbers_of(patient: Patient) -> Sequence[tuple[str, int]]:
    """The numbers that a patient has called from, with how often, and the one on their card."""
    called = (
        patient.calls.exclude(caller_number="")
        .order_by()
        .values_list("caller_number")
        .annotate(calls=Count("pk"))
        .order_by("-calls")
    )
    counted = {str(number): calls for number, calls in called}
    if patient.phone:
        counted.setdefault(str(patient.phone), 0)
    return list(counted.items())


def cards_with(numbers: Sequence[str]) -> QuerySet[Patient]:
    """The patients whose card has one of these numbers."""
    return Patient.objects.filter(phone__in=numbers).select_related("clinic")
