"""How long what callers left is kept, which calls are held back from that, and what was deleted."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models

from clinic.evidence import Sealed, SealedQuerySet
from clinic.models import Clinic
from phone.models.calls import Call


def days_field(name: str, default: int | None, help_text: str) -> models.PositiveIntegerField:
    """After how many days something goes; empty keeps it."""
    return models.PositiveIntegerField(
        name, null=True, blank=True, default=default, validators=[MinValueValidator(1)], help_text=help_text
    )


class RetentionRules(models.Model):
    """After how many days what callers left a clinic is deleted. Without a row, and where it is empty: never."""

    clinic = models.OneToOneField(Clinic, on_delete=models.CASCADE, related_name="retention_rules")
    recordings = days_field("recorded calls", 90, "The sound of recorded calls.")
    withdrawn = days_field(
        "recorded calls after “stop recording”",
        30,
        "The sound of calls whose caller took their consent back.",
    )
    voicemails = days_field("voicemails", 90, "The sound of messages.")
    transcripts = days_field(
        "what was said",
        180,
        "The caller's words, what the receptionist answered, and notes of requests. Steps and keys stay.",
    )
    numbers = days_field(
        "who called",
        365,
        "The caller's number, which patient it was, numbers and IDs that were entered. The call stays.",
    )
    timelines = days_field("timelines", 730, "Each step and key of a call. The call and its consent stay.")
    line_checks = days_field(
        "line checks", 365, "A line's test calls to itself. The last one of each line stays."
    )

    class Meta:
        ordering = ["clinic"]
        verbose_name = "retention rules"
        verbose_name_plural = "retention"
        permissions = [("erase_caller", "Can erase everything of one caller")]

    def __str__(self) -> str:
        return f"Retention at {self.clinic}"


class LegalHold(Sealed):
    """A call was held back from deletion, or let go again: by whom, when and why. The newest one counts."""

    class Action(models.TextChoices):
        SET = "set", "Held"
        LIFTED = "lifted", "Let go"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="holds")
    action = models.CharField(max_length=8, choices=Action)
    at = models.DateTimeField()
    username = models.CharField("by", max_length=150)
    why = models.CharField(max_length=300)

    objects = SealedQuerySet.as_manager()

    class Meta:
        ordering = ["call", "at"]

    def __str__(self) -> str:
        return self.get_action_display()


class Deletion(Sealed):
    """Something of a caller was deleted: what, when, why, by whom. It holds nothing of what was deleted."""

    class What(models.TextChoices):
        RECORDING = "recording", "Recorded call"
        VOICEMAIL = "voicemail", "Voicemail"
        WORDS = "words", "What was said"
        NUMBERS = "numbers", "Who called"
        TIMELINE = "timeline", "Timeline"
        REQUESTS = "requests", "Requests"
        ATTEMPTS = "attempts", "Patient ID attempts"
        LINE_CHECKS = "line_checks", "Line checks"
        PATIENT = "patient", "Patient"
        NAMES = "names", "Names in the change history"

    class Why(models.TextChoices):
        RETENTION = "retention", "Kept long enough"
        ERASURE = "erasure", "The caller was erased"
        WITHDRAWAL = "withdrawal", "Consent was taken back"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="deletions")
    call = models.ForeignKey(Call, null=True, on_delete=models.PROTECT, related_name="deletions")
    at = models.DateTimeField()
    what = models.CharField(max_length=12, choices=What)
    why = models.CharField(max_length=12, choices=Why)
    count = models.PositiveIntegerField(help_text="How many rows or sounds it was.")
    username = models.CharField("by", max_length=150, blank=True, help_text="Empty: the schedule.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of a sound that is gone.")

    objects = SealedQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["-at", "-id"])]

    def __str__(self) -> str:
        return f"{self.get_what_display()}: {self.get_why_display()}"
