"""Erasing one caller: everything of theirs goes at once, and what proves how they were treated stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast

from clinic.models import Patient
from phone.erasure import Caller, settled
from phone.live import office_changed
from phone.models import Call, Deletion, Recording, Request
from phone.retention import WITH_SOUND
from phone.services.retention import (
    deletions_add,
    numbers_take,
    recordings_delete,
    recordings_mark,
    timeline_take,
)

What, WHY = Deletion.What, Deletion.Why.ERASURE


class CallerIsOnTheLine(Exception):
    """A call of theirs runs, or has ended a moment ago: what it still reports would stay."""


@dataclass(frozen=True)
class Erased:
    """What was erased. `sounds_left` could not be removed yet: the schedule tries again. `held` calls stay."""

    calls: int
    requests: int
    cards: int
    sounds_left: int
    held: int
    cards_kept: int


def caller_erase(*, caller: Caller, username: str, now: datetime) -> Erased:
    """Erase all that there is of `caller`, calls under legal hold and the evidence aside.

    The rows go in one transaction, all or none; the sounds after it, and if that is interrupted the schedule goes on.
    Raises CallerIsOnTheLine, crypto.KeysUnavailable, and `django.db.Error`: then nothing was erased.
    """
    with transaction.atomic():
        erased = _erase_rows(caller, username, now)
        transaction.on_commit(office_changed, robust=True)
    return Erased(**erased, sounds_left=recordings_delete(now=now).sounds_left)


def _erase_rows(caller: Caller, username: str, now: datetime) -> dict[str, int]:
    calls = list(caller.calls().select_for_update(of=("self",)).order_by("started_at", "pk"))
    pks = [call.pk for call in calls]
    if Call.objects.filter(pk__in=pks).exclude(settled(now)).exists():
        raise CallerIsOnTheLine
    free = [call for call in calls if not call.on_hold]
    held = [call.pk for call in calls if call.on_hold]
    # Before the calls lose what they are found by.
    requests = Request.objects.filter(
        pk__in=list(caller.requests().exclude(call__in=held).values_list("pk", flat=True))
    )
    _attempts(caller, username, now)
    recordings_mark(
        recordings=Recording.objects.filter(call__in=free, state__in=WITH_SOUND), why=WHY, username=username
    )
    counted = Counter(requests.values_list("call", flat=True))
    of_requests, _ = requests.delete()
    by_clinic: dict[int, list[Call]] = {}
    for call in free:
        by_clinic.setdefault(call.clinic_id, []).append(call)
    for clinic_id, of_clinic in by_clinic.items():
        mine = {call.pk for call in of_clinic}
        of_calls = Counter({call: count for call, count in counted.items() if call in mine})
        for what, counts in (
            (What.TIMELINE, timeline_take(of_clinic)),
            (What.NUMBERS, numbers_take(of_clinic)),
            (What.REQUESTS, of_calls),
        ):
            deletions_add(counts=counts, clinic_id=clinic_id, what=what, why=WHY, now=now, username=username)
    cards, kept = _cards(caller, username, now)
    return {
        "calls": len(free),
        "requests": of_requests,
        "held": len(held),
        "cards": cards,
        "cards_kept": kept,
    }


def _attempts(caller: Caller, username: str, now: datetime) -> None:
    by_clinic = Counter(caller.attempts().values_list("clinic", flat=True))
    caller.attempts().delete()
    for clinic_id, count in by_clinic.items():
        _add(clinic_id, What.ATTEMPTS, count, username, now)


def _cards(caller: Caller, username: str, now: datetime) -> tuple[int, int]:
    """Delete the patients' cards, but those that a held call refers to; how many went and how many stay."""
    wanted = Patient.objects.filter(pk__in=[card.pk for card in caller.cards])
    cards = list(wanted.exclude(calls__on_hold=True).select_related("clinic"))
    for card in cards:
        clinic_id = card.clinic_id
        names = _names_in_history(card)
        count = names.update(object_repr=f"Patient {card.pk}")
        card.delete()
        _add(clinic_id, What.PATIENT, 1, username, now)
        if count:
            _add(clinic_id, What.NAMES, count, username, now)
    return len(cards), len(caller.cards) - len(cards)


def _names_in_history(card: Patient) -> QuerySet[LogEntry]:
    """What the office's change history calls this patient, by name; and those whose cards have gone before."""
    of_patients = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Patient))
    others = Patient.objects.exclude(pk=card.pk).annotate(as_text=Cast("pk", CharField())).values("as_text")
    return of_patients.exclude(object_id__in=others)


def _add(clinic_id: int, what: Deletion.What, count: int, username: str, now: datetime) -> None:
    Deletion.objects.create(clinic_id=clinic_id, at=now, what=what, why=WHY, count=count, username=username)
