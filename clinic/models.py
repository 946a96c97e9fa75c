"""The clinic itself: who it is, when it is open, who its patients are. Knows nothing of phones."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from phonenumber_field.modelfields import PhoneNumberField

from clinic.evidence import Sealed, SealedQuerySet
from clinic.languages import LANGUAGES, TextByLanguageField
from clinic.querysets import IdentityAttemptQuerySet, PatientQuerySet
from clinic.signals import clinic_changed


def validate_zone(name: str) -> None:
    """Raise ValidationError unless `name` is an IANA time zone."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError("“%(name)s” is not a time zone. Try “America/New_York”.", params={"name": name})


def default_languages() -> list[str]:
    return ["en"]


class Announced(models.Model):
    """A row that callers could hear of: saving and deleting it sends `clinic_changed`.

    `QuerySet.delete()`, `update()` and `bulk_create()` do not pass here; who uses them announces the change.
    """

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            self.announce()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            # Before it is gone: afterwards the row no longer says whose it was.
            self.announce()
            return super().delete(*args, **kwargs)

    def announce(self) -> None:
        """Tell whoever listens that this row's clinic has changed."""
        clinic_changed.send(sender=type(self), clinic_id=self.changed_clinic_id)

    @property
    def changed_clinic_id(self) -> int:
        """The clinic that this row is about."""
        raise NotImplementedError


class Clinic(Announced):
    """One practice location."""

    class Switch(models.TextChoices):
        NONE = "", "Follow the opening hours"
        CLOSED = "closed", "Closed now"
        OPEN = "open", "Open now"

    name = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    time_zone = models.CharField(max_length=64, default="America/New_York", validators=[validate_zone])
    languages = models.JSONField(default=default_languages, help_text="The first one is spoken first.")
    address = models.CharField(max_length=250, blank=True)
    office_number = PhoneNumberField(
        blank=True, help_text="The number of a person at the office. Callers who need somebody hear it."
    )
    office_email = models.EmailField(blank=True, help_text="New requests are announced here.")
    switch = models.CharField(max_length=8, choices=Switch, blank=True, default=Switch.NONE)
    switch_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def changed_clinic_id(self) -> int:
        return self.pk


class OpeningInterval(Announced):
    """One stretch of opening time in the normal week. A day may have several; one may pass midnight."""

    class Weekday(models.IntegerChoices):
        MONDAY = 0, "Monday"
        TUESDAY = 1, "Tuesday"
        WEDNESDAY = 2, "Wednesday"
        THURSDAY = 3, "Thursday"
        FRIDAY = 4, "Friday"
        SATURDAY = 5, "Saturday"
        SUNDAY = 6, "Sunday"

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="opening_intervals")
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    opens = models.TimeField()
    closes = models.TimeField(help_text="At or before the opening time means: on the next day.")

    class Meta:
        ordering = ["clinic", "weekday", "opens"]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}–{self.closes:%H:%M}"

    @property
    def changed_clinic_id(self) -> int:
        return self.clinic_id


class Closure(Announced):
    """A day or a range of days on which the normal week does not count: a holiday, a course, a half day."""

    class Source(models.TextChoices):
        STAFF = "staff", "Entered by staff"
        HOLIDAY = "holiday", "Public holiday"

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="closures")
    name = models.CharField(max_length=120)
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="The last day, included. The same as the first for a single day.")
    yearly = models.BooleanField(default=False, help_text="Every year on the same date.")
    message = TextByLanguageField(
        multiline=True, help_text="What callers hear on these days. Empty: the usual sentence."
    )
    source = models.CharField(max_length=10, choices=Source, default=Source.STAFF, editable=False)

    class Meta:
        ordering = ["clinic", "starts_on"]

    def __str__(self) -> str:
        return self.name

    @property
    def changed_clinic_id(self) -> int:
        return self.clinic_id


class ClosureInterval(Announced):
    """Opening time on a closure's days; a closure without any is closed all day."""

    closure = models.ForeignKey(Closure, on_delete=models.CASCADE, related_name="intervals")
    opens = models.TimeField()
    closes = models.TimeField(help_text="At or before the opening time means: on the next day.")

    class Meta:
        ordering = ["closure", "opens"]

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}–{self.closes:%H:%M}"

    @property
    def changed_clinic_id(self) -> int:
        return self.closure.clinic_id


class Patient(models.Model):
    """A patient as the phone knows them. The patient ID is stored encrypted, with a keyed hash to find it."""

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="patients")
    name = models.CharField(max_length=200)
    phone = PhoneNumberField(blank=True)
    language = models.CharField(max_length=8, blank=True, choices=list(LANGUAGES.items()))
    id_ciphertext = models.BinaryField(editable=False)
    id_key = models.CharField(max_length=16, editable=False, help_text="Which key the ciphertext is under.")
    id_hmac = models.CharField(max_length=64, editable=False)
    active = models.BooleanField(
        default=True, help_text="An inactive patient is not recognised on the phone."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [("export_patient", "Can take patients out, with their IDs")]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "id_hmac"], name="one_patient_per_id"),
        ]

    def __str__(self) -> str:
        return self.name


class IdentityAttempt(models.Model):
    """One look-up of a patient ID by a caller. Locks are counted from these rows; staff clear them."""

    class Outcome(models.TextChoices):
        IDENTIFIED = "identified", "Identified"
        NOT_FOUND = "not_found", "Not found"
        LOCKED = "locked", "Refused: locked"

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="identity_attempts")
    at = models.DateTimeField()
    caller_hmac = models.CharField(max_length=64, blank=True, help_text="Empty when the number was withheld.")
    id_hmac = models.CharField(max_length=64)
    outcome = models.CharField(max_length=12, choices=Outcome)
    cleared_at = models.DateTimeField(null=True, blank=True)
    cleared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = IdentityAttemptQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["clinic", "caller_hmac", "at"]),
            models.Index(fields=["clinic", "id_hmac", "at"]),
            models.Index(fields=["clinic", "at"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} at {self.at:%Y-%m-%d %H:%M}"


class AccessRecord(Sealed):
    """Who looked at patient data, played it or took it out, and when. Append-only."""

    class Action(models.TextChoices):
        VIEW = "view", "Viewed"
        EXPORT = "export", "Exported"
        PLAY = "play", "Played"
        REFUSED = "refused", "Was refused"

    # Who it was stays in `username` when the log-in is deleted.
    may_be_emptied = ("user",)

    at = models.DateTimeField(default=timezone.now)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    username = models.CharField(max_length=150)
    action = models.CharField(max_length=8, choices=Action)
    model = models.CharField(max_length=100, help_text="app_label.model_name")
    object_id = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField(default=1, help_text="How many objects, in an export.")
    address = models.GenericIPAddressField(null=True, blank=True)

    objects = SealedQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["model", "object_id", "at"]), models.Index(fields=["at"])]

    def __str__(self) -> str:
        return f"{self.username} {self.get_action_display().lower()} {self.model} {self.object_id}"
