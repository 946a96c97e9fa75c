"""Line checks as the office meets them: begun by a button or by the day's time, and an alert where one went wrong.

The call itself is made and answered by workers (`agent_worker.checking`, `agent_worker.echo`).
"""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Max, Q
from django.urls import reverse

from phone.line_check import Finding
from phone.line_mail import mail_about_line
from phone.livekit_api import LiveKit, LiveKitError
from phone.models import LineCheck, PhoneLine
from phone.plan_state import moment_at
from phone.room_lines import CHECK_ROOM
from phone.services import line_check_end, line_check_start

log = logging.getLogger(__name__)

State = LineCheck.State

DUE_FOR = timedelta(hours=1)
"""How long after the day's time a check is still begun: a machine that was off does not make up for it at noon."""

AGAIN_AFTER = timedelta(minutes=15)
"""When a check that was put off is tried again."""

NAMED_AT_MOST = 6
"""So many findings are told one by one; a line that loses everything needs no list."""


@dataclass(frozen=True)
class Progress:
    """How far a check is: whether it still runs, its call was answered, and which keys arrived was told."""

    running: bool
    answered: bool
    told: bool


def check_progress(check: uuid.UUID) -> Progress:
    """Look at a check's row. One that is gone runs no more."""
    row = LineCheck.objects.filter(pk=check).first()
    if row is None:
        return Progress(running=False, answered=False, told=False)
    return Progress(
        running=row.state == State.RUNNING,
        answered=row.answered_at is not None,
        told=row.heard is not None,
    )


def why_not(line: PhoneLine) -> str:
    """Why this line cannot call itself, in a sentence; empty where it can."""
    if not settings.LIVEKIT.configured:
        return "There is no LiveKit server, so the line cannot call itself."
    if not line.enabled:
        return "The line is switched off."
    if not line.outbound_address:
        return "The line has no way out, so it cannot call itself. Enter one at the phone line."
    if not line.outbound_trunk_id:
        return (
            "LiveKit does not know the line's way out yet, so it cannot call itself. Bring LiveKit in step."
        )
    return ""


def begin_check(line: PhoneLine, *, now: datetime, user: AbstractBaseUser | None = None) -> LineCheck | None:
    """Begin a check and send a worker to make its call; None while another one runs.

    A server that is away ends it at once, with its sentence. Without `user` it is the schedule's.
    """
    check = line_check_start(line=line, now=now, user=user)
    if check is None:
        return None
    order = json.dumps({"kind": "line_check", "check": str(check.pk)})
    try:
        async_to_sync(LiveKit().dispatch_agent)(f"{CHECK_ROOM}{check.pk.hex}", order)
    except LiveKitError as error:
        line_check_end(check=check.pk, state=State.FAILED, sentence=str(error), now=now)
    check.refresh_from_db()
    return check


def begin_due_checks(*, now: datetime) -> int:
    """Begin the day's check of every line whose time has come. Returns how many began."""
    lines = PhoneLine.objects.filter(enabled=True, line_check_at__isnull=False).select_related("clinic")
    due = [line for line in lines if not why_not(line) and _is_due(line, now)]
    return sum(begin_check(line, now=now) is not None for line in due)


def _is_due(line: PhoneLine, now: datetime) -> bool:
    """Whether the last time of day for a check is less than an hour ago, and none was begun since."""
    zone = ZoneInfo(line.clinic.time_zone)
    today = now.astimezone(zone).date()
    assert line.line_check_at is not None
    # Yesterday's too: the hour in which it may begin can reach past midnight.
    times = [datetime.combine(today - timedelta(days=back), line.line_check_at, zone) for back in (0, 1)]
    due_at = max(at for at in times if at <= now)
    if now - due_at > DUE_FOR:
        return False
    begun = line.checks.filter(scheduled=True, started_at__gte=due_at)
    settled = begun.filter(~Q(state=State.PUT_OFF) | Q(started_at__gt=now - AGAIN_AFTER))
    return not settled.exists()


# -- Alerts --------------------------------------------------------------------------------------------------


def last_check(line: PhoneLine) -> LineCheck | None:
    """The last check that is over and says something about the line."""
    return line.checks.filter(state__in=LineCheck.TELLING).first()


def checks_that_alert() -> list[LineCheck]:
    """The last check of each enabled line, where it did not pass, in the order of the lines' numbers."""
    lines = PhoneLine.objects.filter(enabled=True).select_related("clinic")
    last = [check for line in lines if (check := last_check(line))]
    return [check for check in last if check.state != State.PASSED]


def alert_about_check(check: LineCheck) -> str:
    """What the check found, and what to do about it, in a few sentences."""
    line = check.line
    when = moment_at(line.clinic, check.started_at)
    if check.state == State.FAILED:
        begin = (
            f"The line check of {line.number.as_international} on {when} came to nothing. {check.sentence}"
        )
        return f"{begin} Call the number yourself: if nobody answers, neither do your callers reach you."
    begin = f"The line check of {line.number.as_international} on {when} found that keys go wrong. "
    cut_off = f"{check.sentence} " if check.sentence else ""
    return (
        f"{begin}{cut_off}{told(check.found)} Press “Check this line” once more. If it says so again, send this to "
        "your telephone provider: keys have to arrive as RFC 4733 telephone events, each once and in order."
    )


def told(findings: list[Finding]) -> str:
    """The findings in sentences, those beyond the first few as a number."""
    named = [f"{finding} (round {finding.round + 1})." for finding in findings[:NAMED_AT_MOST]]
    more = len(findings) - NAMED_AT_MOST
    return " ".join([*named, *([f"And {more} more."] if more > 0 else [])])


def tell_of_checks(*, now: datetime) -> int:
    """Mail once for each line whose checks do not pass any more, and again only after one has passed.

    Returns how many were mailed. A mail that fails is tried again by the next run; two runs at once send it once.
    """
    sent = 0
    for check in checks_that_alert():
        if _told_already(check):
            continue
        claim = LineCheck.objects.filter(pk=check.pk, alerted_at__isnull=True)
        if not claim.update(alerted_at=now):
            continue
        log.warning("The check of line %s did not pass.", check.line_id)
        try:
            sent += mail_about_line(
                check.line,
                subject=f"The line check went wrong, {check.line.clinic}",
                text=alert_about_check(check),
                page=reverse("admin:phone_line_checks", args=(check.line_id,)),
            )
        except OSError:
            log.warning("The mail about line %s could not be sent.", check.line_id)
            LineCheck.objects.filter(pk=check.pk, alerted_at=now).update(alerted_at=None)
    return sent


def _told_already(check: LineCheck) -> bool:
    """Whether the office has had a mail since this line last passed."""
    of_line = LineCheck.objects.filter(line=check.line_id)
    passed = of_line.filter(state=State.PASSED).aggregate(last=Max("started_at"))["last"]
    told = of_line.filter(alerted_at__isnull=False)
    return (told.filter(started_at__gt=passed) if passed else told).exists()
