"""Whether callers' keys arrive on each line: which ones were heard, and an alert where none is any more.

A trunk that sends keys as tones in the audio, and not as RFC 4733 events, looks like callers who never press one.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db.models import Exists, OuterRef
from django.db.models.fields.json import KT
from django.urls import reverse

from phone.line_mail import mail_about_line
from phone.models import Call, CallEvent, PhoneLine
from phone.querysets import CallQuerySet

log = logging.getLogger(__name__)

TELEPHONE_KEYS = "1234567890*#"
"""The keys that every telephone has."""

CALLS_IN_A_ROW = 20
"""So many answered calls without any key are no accident."""

CALLS_LOOKED_AT = 500
"""How far back a heard key counts, in calls."""


def finished_calls(line: PhoneLine) -> CallQuerySet:
    """The answered telephone calls on this line that are over, the newest first."""
    return (
        Call.objects.filter(line=line, origin=Call.Origin.PHONE)
        .answered()
        .exclude(outcome="")
        .order_by("-started_at", "-id")
    )


def keys_heard(line: PhoneLine) -> set[str]:
    """The keys that arrived on this line by telephone. Those of a patient ID are not told apart, and not counted."""
    calls = finished_calls(line).values("pk")[:CALLS_LOOKED_AT]
    pressed = CallEvent.objects.filter(call__in=calls, kind="key")
    return set(pressed.order_by().values_list(KT("data__key"), flat=True).distinct()) & set(TELEPHONE_KEYS)


def lines_without_keys() -> list[PhoneLine]:
    """The enabled lines whose last 20 answered calls had no key, in the order of their numbers."""
    lines = PhoneLine.objects.filter(enabled=True).select_related("clinic")
    return [line for line in lines if _without_keys(line)]


def _without_keys(line: PhoneLine) -> bool:
    key = CallEvent.objects.filter(call=OuterRef("pk"), kind="key")
    last = finished_calls(line).annotate(pressed=Exists(key)).values_list("pressed", flat=True)
    pressed = list(last[:CALLS_IN_A_ROW])
    return len(pressed) == CALLS_IN_A_ROW and not any(pressed)


def alert_about(line: PhoneLine) -> str:
    """What is wrong with a line without keys, and what to do, in a few sentences."""
    return (
        f"The last {CALLS_IN_A_ROW} calls on {line.number.as_international} came without a single key, although "
        "callers are told to press some. Call the number and press 1. If nothing happens, ask your telephone provider "
        "to send keys as “RFC 4733 telephone events” (also called RFC 2833), not in-band."
    )


def tell_of_lines_without_keys(*, now: datetime) -> int:
    """Mail once for each line that has lost its keys, and forget those that have them again. How many were mailed.

    A mail that fails is tried again by the next run. Two runs at once send each mail once.
    """
    silent = lines_without_keys()
    told = PhoneLine.objects.filter(no_keys_alerted_at__isnull=False)
    told.exclude(pk__in=[line.pk for line in silent]).update(no_keys_alerted_at=None)
    sent = 0
    for line in silent:
        claim = PhoneLine.objects.filter(pk=line.pk, no_keys_alerted_at__isnull=True)
        if not claim.update(no_keys_alerted_at=now):
            continue
        log.warning("The last %d calls on line %s had no key.", CALLS_IN_A_ROW, line.pk)
        try:
            sent += mail_about_line(
                line,
                subject=f"Callers' keys do not arrive, {line.clinic}",
                text=alert_about(line),
                page=reverse("admin:phone_confirmation_changelist"),
            )
        except OSError:
            log.warning("The mail about line %s could not be sent.", line.pk)
            PhoneLine.objects.filter(pk=line.pk, no_keys_alerted_at=now).update(no_keys_alerted_at=None)
    return sent
