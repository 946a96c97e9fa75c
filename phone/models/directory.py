"""The people whom a call may be handed to."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from phonenumber_field.modelfields import PhoneNumberField

from clinic.languages import TextByLanguageField
from clinic.models import Clinic


class DirectoryEntry(models.Model):
    """Somebody at a number that callers may be put through to. No other number is ever called."""

    class Manner(models.TextChoices):
        COLD = "cold", "Hand the call over at once"
        WARM = "warm", "Ring them, and ask them first"

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="directory")
    name = models.CharField(max_length=80, help_text="As the office calls them, such as “Front desk”.")
    spoken = TextByLanguageField(
        "what callers hear", help_text="As in “I am connecting you with …”: our front desk, Doctor Lee."
    )
    number = PhoneNumberField()
    manner = models.CharField(
        "how calls are put through",
        max_length=4,
        choices=Manner,
        default=Manner.COLD,
        help_text="Ringing them first needs a phone line with a way out. They hear what the call is about, and press "
        "1 to take it.",
    )
    ring_seconds = models.PositiveSmallIntegerField(
        "seconds to ring",
        default=25,
        validators=[MinValueValidator(5), MaxValueValidator(60)],
        help_text="Shorter than their own voicemail takes to answer.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        verbose_name = "person to call"
        verbose_name_plural = "directory"
        ordering = ["clinic", "name"]
        constraints = [models.UniqueConstraint(fields=["clinic", "name"], name="one_person_per_name")]

    def __str__(self) -> str:
        return self.name
