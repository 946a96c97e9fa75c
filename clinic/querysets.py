"""The clinic's queries, by name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from clinic.models import IdentityAttempt, Patient  # noqa: F401


class PatientQuerySet(models.QuerySet["Patient"]):
    def active(self) -> PatientQuerySet:
        """The patients that the phone recognises."""
        return self.filter(active=True)


class IdentityAttemptQuerySet(models.QuerySet["IdentityAttempt"]):
    def that_count(self, since: datetime) -> IdentityAttemptQuerySet:
        """What locks are counted from: look-ups that were made after `since`, and that nobody cleared."""
        return self.filter(at__gt=since, cleared_at=None).exclude(outcome="locked")
