"""What the office does with requests."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from phone.live import office_changed
from phone.models import Request


def request_take(*, request: Request, user: AbstractBaseUser, now: datetime) -> bool:
    """Claim an open request for `user`. False when somebody else was faster, or it is done."""
    # One conditional UPDATE decides between two people who press at once; no lock is held.
    return _claimed(Request.objects.untaken().filter(pk=request.pk).update(taken_by=user.pk, taken_at=now))


def request_done(*, request: Request, user: AbstractBaseUser, now: datetime) -> bool:
    """Mark an open request as done by `user`, who also takes it if nobody had. False when it was done."""
    request_take(request=request, user=user, now=now)
    return _claimed(Request.objects.open().filter(pk=request.pk).update(done_by=user.pk, done_at=now))


def request_reopen(*, request: Request) -> bool:
    """Put a taken or done request back on the list, for anybody to take. False when it is there already."""
    return _claimed(
        Request.objects.filter(pk=request.pk)
        .filter(Q(taken_at__isnull=False) | Q(done_at__isnull=False))
        .update(taken_by=None, taken_at=None, done_by=None, done_at=None)
    )


def _claimed(rows: int) -> bool:
    if rows:
        transaction.on_commit(office_changed, robust=True)
    return rows == 1
