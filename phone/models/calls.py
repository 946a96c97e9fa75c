"""What happened: calls, their timelines, entries, consent, and the requests they left."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from phonenumber_field.modelfields import PhoneNumberField

from clinic.evidence import Evidence, Sealed, SealedQuerySet
from clinic.models import Clinic, Patient
from phone.models.setup import PhoneLine, PlanVersion
from phone.querysets import CallEventQuerySet, CallQuerySet, KeypadEntryQuerySet, RequestQuerySet


class Call(models.Model):
    """One call, from ringing to its last row."""

    class Origin(models.TextChoices):
        PHONE = "phone", "Telephone"
        BROWSER = "browser", "Browser"
        SIMULATED = "simulated", "Simulated"
        LINE_CHECK = "line_check", "Line check"
        SEED = "seed", "Demo data"

    class Outcome(models.TextChoices):
        FAILED = "failed", "Failed"
        TRANSFERRED = "transferred", "Reached a person"
        VOICEMAIL = "voicemail", "Left a voicemail"
        REQUEST_TAKEN = "request_taken", "Left a request"
        CONSENT_REFUSED = "consent_refused", "Refused consent"
        NO_INPUT = "no_input", "Said nothing"
        COMPLETED = "completed", "Completed"
        CALLER_HUNG_UP = "caller_hung_up", "Hung up"
        BUSY = "busy", "All lines were busy"
        MISSED = "missed", "Not answered"

    UNANSWERED = (Outcome.BUSY, Outcome.MISSED)

    class Served(models.TextChoices):
        INFORMATION = "information", "Information"
        REQUEST = "request", "A request"
        PERSON = "person", "A person"
        NOTHING = "nothing", "Nothing"

    class Step(models.TextChoices):
        GREETING = "greeting", "Greeting"
        CONSENT = "consent", "Consent"
        MENU = "menu", "Menu"
        PATIENT_ID = "patient_id", "Patient ID"
        RECEPTIONIST = "receptionist", "Receptionist"
        TRANSFER = "transfer", "Transfer"
        REQUEST = "request", "Request"
        VOICEMAIL = "voicemail", "Voicemail"
        GOODBYE = "goodbye", "Goodbye"

    id = models.UUIDField(primary_key=True, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="calls")
    line = models.ForeignKey(PhoneLine, null=True, on_delete=models.SET_NULL, related_name="calls")
    plan_version = models.ForeignKey(PlanVersion, null=True, on_delete=models.PROTECT, related_name="calls")
    origin = models.CharField(max_length=12, choices=Origin)
    caller_number = PhoneNumberField(blank=True, help_text="Empty when withheld.")
    patient = models.ForeignKey(Patient, null=True, on_delete=models.SET_NULL, related_name="calls")
    language = models.CharField(max_length=8)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(help_text="When the worker last wrote; a still heart ends the call.")
    after_hours = models.BooleanField(default=False)
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True, help_text="Empty while it runs.")
    served = models.CharField(max_length=12, choices=Served, default=Served.NOTHING)
    ended_in_step = models.CharField(max_length=14, choices=Step, blank=True)
    consent = models.CharField(max_length=12, blank=True, help_text="The last consent decision.")
    room = models.CharField(max_length=255, blank=True, help_text="The LiveKit room; empty on other lines.")
    epoch = models.PositiveSmallIntegerField(
        default=1, help_text="Which agent the call has: 2 after the first one died."
    )
    resumed_at = models.DateTimeField(null=True, help_text="When the last agent but the first was sent.")
    on_hold = models.BooleanField(default=False, help_text="Legal hold: nothing of this call is deleted.")

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["-started_at", "-id"]),
            models.Index(fields=["clinic", "-started_at", "-id"]),
            models.Index(fields=["outcome", "heartbeat_at"]),
            models.Index(fields=["caller_number", "-started_at"]),
            models.Index(fields=["room"], condition=~models.Q(room=""), name="calls_in_rooms"),
        ]

    def __str__(self) -> str:
        return f"Call at {self.started_at.astimezone(ZoneInfo(self.clinic.time_zone)):%Y-%m-%d %H:%M}"

    @property
    def duration(self) -> timedelta | None:
        """From ringing to the end; None while the call runs."""
        return None if self.ended_at is None else self.ended_at - self.started_at


class CallEvent(Evidence):
    """One line of a call's timeline. `kind` and `data` are the events of `simulate_call --json`, masked."""

    id = models.UUIDField(primary_key=True, editable=False)
    # The indexes that begin with the call find its events; one of its own would only cost each write.
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=12)
    step = models.CharField(max_length=14, choices=Call.Step, blank=True)
    data = models.JSONField(default=dict)

    objects = CallEventQuerySet.as_manager()

    class Meta:
        ordering = ["call", "seq"]
        constraints = [models.UniqueConstraint(fields=["call", "seq"], name="one_event_per_seq")]
        indexes = [models.Index(fields=["call", "kind"]), models.Index(fields=["kind", "at"])]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"


class KeypadEntry(Evidence):
    """One thing the caller entered. A sensitive step's digits are here only encrypted; `digits` is masked."""

    class Source(models.TextChoices):
        KEYPAD = "keypad", "Keypad"
        VOICE = "voice", "Voice or typed"

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        INVALID = "invalid", "Invalid"
        TOO_SHORT = "too_short", "Too short"
        NO_INPUT = "no_input", "No input"

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="entries")
    at = models.DateTimeField()
    step = models.CharField(max_length=14, choices=Call.Step)
    attempt = models.PositiveSmallIntegerField()
    source = models.CharField(max_length=8, choices=Source)
    outcome = models.CharField(max_length=10, choices=Outcome)
    digits = models.CharField(max_length=64, blank=True)
    digits_ciphertext = models.BinaryField(null=True)
    digits_key = models.CharField(max_length=16, blank=True)
    first_key_after = models.FloatField(
        null=True, help_text="Seconds from the prompt's begin to the first key."
    )
    took = models.FloatField(null=True, help_text="Seconds from the first key to the decision.")

    objects = KeypadEntryQuerySet.as_manager()

    class Meta:
        ordering = ["call", "at", "id"]
        verbose_name_plural = "keypad entries"

    def __str__(self) -> str:
        return f"{self.get_step_display()}: {self.get_outcome_display()}"


class ConsentRecord(Sealed):
    """One decision about recording, with everything that proves it. Append-only.

    It holds nothing that the caller said: what they said is in the timeline, if consent covers that, and goes with it.
    """

    class Decision(models.TextChoices):
        GIVEN = "given", "Given"
        REFUSED = "refused", "Refused"
        NO_ANSWER = "no_answer", "No answer"
        NOT_ASKED = "not_asked", "Not asked"
        WITHDRAWN = "withdrawn", "Withdrawn"

    class Subject(models.TextChoices):
        CALL = "call", "The call"
        MESSAGE = "message", "A message after the tone"

    class How(models.TextChoices):
        KEYPAD = "keypad", "By key"
        VOICE = "voice", "By words"
        STAYED = "stayed", "Stayed on the line"
        SILENCE = "silence", "By silence"
        POLICY = "policy", "Not asked, by policy"

    id = models.UUIDField(primary_key=True, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="consents")
    subject = models.CharField("about", max_length=8, choices=Subject, default=Subject.CALL)
    decision = models.CharField(max_length=12, choices=Decision)
    how = models.CharField(max_length=10, choices=How)
    language = models.CharField(max_length=8)
    wording = models.TextField(blank=True, help_text="The question, word for word.")
    wording_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the question, in hex.")
    plan_number = models.PositiveIntegerField(
        null=True, help_text="The version of the plan that the question came from."
    )
    plan_hash = models.CharField(max_length=64, blank=True, help_text="That version's content hash.")
    answer = models.CharField(
        max_length=16, blank=True, help_text="The key, or which kind of words: yes, no, person."
    )
    covers_recording = models.BooleanField(default=False)
    covers_transcript = models.BooleanField(default=False)
    covers_outside_processing = models.BooleanField(default=False)
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField()
    heard_to_end = models.BooleanField(default=False)

    objects = SealedQuerySet.as_manager()

    class Meta:
        ordering = ["call", "answered_at"]
        permissions = [("export_consentrecord", "Can take consent evidence out")]

    def __str__(self) -> str:
        return self.get_decision_display()


class Request(models.Model):
    """What the office has to do after a call."""

    class Kind(models.TextChoices):
        APPOINTMENT = "appointment", "Appointment"
        CALLBACK = "callback", "Call back"
        MESSAGE = "message", "Message"

    class Priority(models.TextChoices):
        URGENT = "urgent", "Urgent"
        NORMAL = "normal", "Normal"

    class PartOfDay(models.TextChoices):
        MORNING = "morning", "Morning"
        AFTERNOON = "afternoon", "Afternoon"
        ANY = "any", "Any time"

    id = models.UUIDField(primary_key=True, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="requests")
    call = models.ForeignKey(Call, null=True, on_delete=models.SET_NULL, related_name="requests")
    patient = models.ForeignKey(
        Patient, null=True, blank=True, on_delete=models.SET_NULL, related_name="requests"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    priority = models.CharField(max_length=8, choices=Priority, default=Priority.NORMAL)
    number = PhoneNumberField("number to call", blank=True)
    part_of_day = models.CharField(max_length=10, choices=PartOfDay, blank=True)
    topic = models.CharField(max_length=60, blank=True)
    note = models.TextField(blank=True)
    language = models.CharField(max_length=8)
    voicemail = models.ForeignKey(
        "phone.Recording",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="What the caller said after the tone.",
    )
    confirmed = models.BooleanField(default=False, help_text="The caller heard it read back and agreed.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, help_text="By when the caller was told the office would call.")
    announced_at = models.DateTimeField(null=True, editable=False, help_text="When the office got its mail.")
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    taken_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    done_at = models.DateTimeField(null=True, blank=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ["-priority", "due_at", "created_at"]
        indexes = [
            models.Index(
                fields=["-priority", "due_at", "created_at"],
                condition=models.Q(done_at__isnull=True),
                name="open_requests",
            ),
            models.Index(fields=["-done_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} request"
