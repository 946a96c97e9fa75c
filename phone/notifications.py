"""How the office learns of a new request: on its open pages at once, and by mail, without patient data."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from celery import current_app
from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse
from django.utils.formats import date_format
from kombu.exceptions import OperationalError as BrokerAway

from phone.live import office_changed
from phone.models import Request

logger = logging.getLogger(__name__)


def announce_requests(*, requests: Sequence[uuid.UUID]) -> None:
    """Tell the office of these new requests, those of simulated calls aside. Call it on commit."""
    new = Request.objects.unannounced().filter(pk__in=requests)
    priorities = list(new.values_list("priority", flat=True))
    if priorities:
        office_changed(new_requests=len(priorities), urgent=Request.Priority.URGENT in priorities)
        try:
            current_app.send_task("phone.tasks.mail_new_requests", retry=False)
        except BrokerAway as error:
            # The regular run of the same task sends the mail as soon as there is one again.
            logger.warning("The mail about a new request waits for Redis (%s).", type(error).__name__)


def mail_new_requests(*, now: datetime) -> int:
    """Send one mail for every request that had none yet. Returns how many were sent.

    A mail that fails is tried again by the next run. Two runs at once send each mail once.
    """
    sent = 0
    for request in Request.objects.unannounced().select_related("clinic")[:100]:
        claim = Request.objects.filter(pk=request.pk, announced_at__isnull=True)
        if not claim.update(announced_at=now):
            continue
        try:
            sent += _mail(request)
        except OSError:
            logger.warning("The mail about request %s could not be sent.", request.pk)
            Request.objects.filter(pk=request.pk, announced_at=now).update(announced_at=None)
    return sent


def _mail(request: Request) -> int:
    if not request.clinic.office_email:
        return 0
    urgent = request.priority == Request.Priority.URGENT
    kind = f"{'urgent ' if urgent else ''}{request.get_kind_display().lower()} request"
    article = "an" if kind[0] in "aeiou" else "a"
    lines = [f"A caller left {article} {kind} on {_moment(request, request.created_at)}."]
    if request.due_at:
        lines.append(f"We told them that the office would call by {_moment(request, request.due_at)}.")
    lines += [
        "",
        f"Open the list of requests: {settings.PUBLIC_URL}{reverse('admin:phone_request_changelist')}",
        "",
        "Names and numbers are in the list only, never in a mail.",
    ]
    subject = f"{'Urgent: new' if urgent else 'New'} request from a caller, {request.clinic}"
    return send_mail(subject, "\n".join(lines), None, [request.clinic.office_email])


def _moment(request: Request, at: datetime) -> str:
    """Such as “Monday, November 30 at 10 a.m.”, in the clinic's zone."""
    return date_format(at.astimezone(ZoneInfo(request.clinic.time_zone)), r"l, F j \a\t P")
