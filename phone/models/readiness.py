"""What the office vouches for, because no program can see it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Confirmation(models.Model):
    """Somebody says that something was done, and when. Added to, never changed: the newest one counts."""

    class Subject(models.TextChoices):
        KEYS_BACKED_UP = "keys_backed_up", "The keys are backed up"
        RESTORE_TRIED = "restore_tried", "A restore was tried"
        CARRIER_FALLBACK = "carrier_fallback", "The carrier knows what to do when this machine is off"

    subject = models.CharField(max_length=20, choices=Subject)
    done_on = models.DateField("done on", default=timezone.localdate)
    note = models.CharField(max_length=200, blank=True)
    confirmed_at = models.DateTimeField(default=timezone.now)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name_plural = "ready?"
        ordering = ["subject", "-done_on", "-id"]

    def __str__(self) -> str:
        return f"{self.get_subject_display()}: {self.done_on:%Y-%m-%d}"
