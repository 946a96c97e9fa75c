"""What was recorded of calls: where the sound is kept, and what proves which sound it is."""

from __future__ import annotations

from django.db import models

from phone.models.calls import Call, ConsentRecord


class Recording(models.Model):
    """One stretch of sound of one call, from its first sample to its last; the file is OGG with Opus inside.

    A call has several where its agent died and another one went on. `file` is the name in Django's default storage,
    empty until the sound has got there.
    """

    class Kind(models.TextChoices):
        CALL = "call", "Recorded call"
        VOICEMAIL = "voicemail", "Voicemail"

    class State(models.TextChoices):
        RUNNING = "running", "Being recorded"
        WAITING = "waiting", "Waits for its storage"
        STORED = "stored", "Stored"
        EMPTY = "empty", "Nothing was heard"
        DELETING = "deleting", "Being deleted"
        DELETED = "deleted", "Deleted"

    # Once it is known which sound it is, the database keeps what proves it (`clinic.append_only`).
    settled_by = "sha256"
    settled = ("call", "consent", "kind", "started_at", "sha256")

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="recordings")
    consent = models.ForeignKey(
        ConsentRecord,
        null=True,
        on_delete=models.PROTECT,
        related_name="recordings",
        help_text="The decision that permits this recording.",
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.CALL)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField(help_text="The moment of the first recorded sample.")
    ended_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)
    pauses = models.JSONField(
        default=list,
        help_text="Stretches of silence in place of what was not recorded: [[from, to], …], seconds.",
    )
    cut_short = models.BooleanField(
        default=False, help_text="It could not be written to its end: the disk was full, or away."
    )
    file = models.CharField(max_length=200, blank=True)
    size = models.PositiveBigIntegerField(null=True, help_text="Bytes, as they are played.")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the sound as it is played, in hex.")
    key = models.CharField(max_length=16, blank=True, help_text="Which key the file is encrypted under.")
    delete_because = models.CharField(
        max_length=12, blank=True, help_text="Why it is being deleted: a Deletion's reason."
    )
    delete_by = models.CharField(
        max_length=150, blank=True, help_text="Who wanted that; empty: the schedule."
    )
    claimed_until = models.DateTimeField(
        null=True, help_text="Until when the process has it that brings it into its storage."
    )
    alerted_at = models.DateTimeField(
        null=True, editable=False, help_text="When the office got a mail that it does not get there."
    )

    class Meta:
        ordering = ["call", "started_at"]
        permissions = [
            ("listen_recording", "Can listen to recorded calls"),
            ("listen_voicemail", "Can listen to voicemail"),
        ]
        indexes = [
            models.Index(
                fields=["started_at"], condition=models.Q(state="deleting"), name="recordings_to_delete"
            ),
            models.Index(
                fields=["started_at"],
                condition=models.Q(state__in=["running", "waiting"]),
                name="recordings_to_store",
            ),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
