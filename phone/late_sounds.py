"""Sounds that do not get to their storage: an alert names their calls before anybody misses what was said.

A storage that is away makes them late, and so does a machine that is lost with what it recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.db.models import QuerySet
from django.urls import reverse

from clinic.models import Clinic
from phone.line_mail import mail_the_office
from phone.models import Recording
from phone.plan_state import moment_at

log = logging.getLogger(__name__)

LATE = timedelta(hours=2)
"""After a call's end. A sound takes seconds, or as long as its storage is away: an hour of that is nobody's work."""

TOLD_FOR = timedelta(days=14)
"""A machine that has not come back until then does not come back, and the office has read it often enough."""

NAMED_AT_MOST = 6
"""So many calls are named one by one."""


def late_sounds(*, now: datetime) -> QuerySet[Recording]:
    """The sounds whose calls have been over for longer than `LATE` and that are in no storage, clinic by clinic."""
    return (
        Recording.objects.filter(
            # Of a call that is over, one that runs is one whose worker died.
            state__in=[Recording.State.RUNNING, Recording.State.WAITING],
            call__ended_at__lt=now - LATE,
            call__ended_at__gt=now - TOLD_FOR,
        )
        .select_related("call__clinic")
        .order_by("call__clinic", "started_at")
    )


def alerts_about_late_sounds(*, now: datetime) -> list[str]:
    """One alert for each clinic that has some."""
    return [alert_about(clinic, sounds) for clinic, sounds in _by_clinic(late_sounds(now=now))]


def alert_about(clinic: Clinic, sounds: Sequence[Recording]) -> str:
    """Which sounds of `clinic` are missing, and what to do about it, in a few sentences."""
    named = [f"{sound} of {moment_at(clinic, sound.started_at)}" for sound in sounds[:NAMED_AT_MOST]]
    more = len(sounds) - NAMED_AT_MOST
    which = "; ".join([*named, *([f"and {more} more"] if more > 0 else [])])
    return (
        f"Sounds at {clinic} have not got to their storage within {LATE.total_seconds() / 3600:.0f} hours: {which}. "
        "They are on the machine that took these calls. See that it runs, and that it reaches the storage: then they "
        "are stored by themselves. If it is lost, so are they."
    )


def tell_of_late_sounds(*, now: datetime) -> int:
    """Mail each clinic once about each sound that is late. Returns how many mails were sent.

    A mail that fails is tried again by the next run; two runs at once send it once.
    """
    sent = 0
    for clinic, sounds in _by_clinic(late_sounds(now=now).filter(alerted_at=None)):
        mine = Recording.objects.filter(pk__in=[sound.pk for sound in sounds])
        # One conditional UPDATE decides between two runs.
        if not mine.filter(alerted_at=None).update(alerted_at=now):
            continue
        log.warning("%d sounds of clinic %s have not got to their storage.", len(sounds), clinic.pk)
        try:
            sent += mail_the_office(
                clinic,
                subject=f"Recordings do not get to their storage, {clinic}",
                text=alert_about(clinic, sounds),
                page=reverse("admin:index"),
            )
        except OSError:
            log.warning("The mail about sounds of clinic %s could not be sent.", clinic.pk)
            mine.filter(alerted_at=now).update(alerted_at=None)
    return sent


def _by_clinic(sounds: QuerySet[Recording]) -> Iterator[tuple[Clinic, list[Recording]]]:
    for clinic, of_clinic in groupby(sounds, key=lambda sound: sound.call.clinic):
        yield clinic, list(of_clinic)
