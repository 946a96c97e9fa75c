"""Test calls from a line to itself: whether every key arrives."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from phone.line_check import Arrival, Comparison, Finding, Press, Trouble, compare
from phone.models.setup import PhoneLine


class LineCheck(models.Model):
    """One test call on one line. It is no `Call`: no list, figure or lockout knows of it."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PASSED = "passed", "All keys arrived"
        FAULTY = "faulty", "Keys went wrong"
        FAILED = "failed", "No test call was possible"
        PUT_OFF = "put_off", "Put off"

    TELLING = (State.PASSED, State.FAULTY, State.FAILED)
    """The ends that say something about the line."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    line = models.ForeignKey(PhoneLine, on_delete=models.CASCADE, related_name="checks")
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    sentence = models.TextField(blank=True, help_text="Why there was no test call, or what cut it short.")
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who pressed the button; empty where it was the schedule.",
    )
    scheduled = models.BooleanField(default=False)
    taken_at = models.DateTimeField(null=True, help_text="When a worker began to make the call.")
    answered_at = models.DateTimeField(null=True, help_text="When a worker answered it.")
    ended_at = models.DateTimeField(null=True)
    sent = models.JSONField(default=list, help_text="[[key, seconds since the start], …]")
    heard = models.JSONField(null=True, help_text="The same; null until the answering side has told.")
    findings = models.JSONField(default=list, help_text="What went wrong: [{key, round, trouble, …}, …]")
    alerted_at = models.DateTimeField(null=True, editable=False, help_text="When the office got its mail.")

    class Meta:
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["line", "-started_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["line"], condition=Q(state="running"), name="one_line_check_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.line}: {self.get_state_display()}"

    @property
    def found(self) -> list[Finding]:
        """What went wrong, in the order of time."""
        return [Finding(**finding | {"trouble": Trouble(finding["trouble"])}) for finding in self.findings]

    def arrivals(self) -> tuple[Arrival, ...]:
        """What became of every key that was pressed, in that order."""
        return self.compared().arrivals

    def compared(self) -> Comparison:
        """The keys that were pressed, against those that arrived."""
        return compare(presses(self.sent), presses(self.heard or []))


def presses(stored: list[tuple[str, float]]) -> list[Press]:
    """Keys and times as a check's row keeps them."""
    return [Press(key, at) for key, at in stored]
