"""What staff edit: the telephone manners, menus, wording and lines, and the versions published from them."""

from __future__ import annotations

import re
from ipaddress import ip_network

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from phonenumber_field.modelfields import PhoneNumberField

from clinic.languages import LANGUAGES, TextByLanguageField
from clinic.models import Clinic

KEYS = "1234567890*#ABCD"
"""The sixteen DTMF keys (ITU-T Q.23)."""

SIP_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?")


class PhoneSettings(models.Model):
    """A clinic's telephone manners: consent, publishing, timings, limits. One row per clinic."""

    class Consent(models.TextChoices):
        ASK = "ask", "Ask, and record only after a yes"
        NOTICE = "notice", "Announce; staying on the line counts"
        OFF = "off", "Never record"

    class ConsentInput(models.TextChoices):
        KEYPAD_AND_VOICE = "keypad_and_voice", "Keys or words"
        KEYPAD_ONLY = "keypad_only", "Keys only"

    class Refusal(models.TextChoices):
        CONTINUE = "continue_unrecorded", "Go on without recording"
        HANG_UP = "hang_up", "Say goodbye and hang up"

    class PublishMode(models.TextChoices):
        ON_SAVE = "on_save", "At once, when something is saved"
        BY_HAND = "by_hand", "When somebody presses Publish"
        AT = "at", "At a date and time"

    clinic = models.OneToOneField(Clinic, on_delete=models.CASCADE, related_name="phone_settings")
    publish_mode = models.CharField(
        "changes go live", max_length=8, choices=PublishMode, default=PublishMode.BY_HAND
    )
    publish_at = models.DateTimeField(
        "date and time", null=True, blank=True, help_text="By the clinic's clock."
    )

    consent_policy = models.CharField("recording", max_length=8, choices=Consent, default=Consent.ASK)
    consent_input = models.CharField(
        "callers answer with", max_length=20, choices=ConsentInput, default=ConsentInput.KEYPAD_AND_VOICE
    )
    covers_recording = models.BooleanField("the recording", default=True)
    covers_transcript = models.BooleanField("a written transcript", default=True)
    covers_outside_processing = models.BooleanField("processing by outside speech services", default=True)
    on_refusal = models.CharField("after a no", max_length=20, choices=Refusal, default=Refusal.CONTINUE)
    early_answer_permits_recording = models.BooleanField(
        "an early yes counts",
        default=False,
        help_text="Count a yes that was pressed before the question was heard to its end.",
    )

    main_menu = models.ForeignKey("Menu", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    closed_menu = models.ForeignKey(
        "Menu",
        verbose_name="menu when closed",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Offered when the clinic is closed.",
    )

    person = models.ForeignKey(
        "DirectoryEntry",
        verbose_name="who is called for a person",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="While the office is open. Without anybody, callers hear the office's number.",
    )
    urgent_person = models.ForeignKey(
        "DirectoryEntry",
        verbose_name="who is called when it is urgent",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="At any time, also when the office is closed.",
    )

    first_key_timeout = models.FloatField(
        "seconds to the first key", default=8, validators=[MinValueValidator(1)]
    )
    inter_digit_timeout = models.FloatField(
        "seconds between keys", default=3, validators=[MinValueValidator(0.5)]
    )
    id_first_key_timeout = models.FloatField(
        "seconds to the first digit of an ID", default=20, validators=[MinValueValidator(1)]
    )
    id_inter_digit_timeout = models.FloatField(
        "seconds between an ID's digits", default=5, validators=[MinValueValidator(0.5)]
    )
    id_min_digits = models.PositiveSmallIntegerField("fewest digits of an ID", default=4)
    id_max_digits = models.PositiveSmallIntegerField("most digits of an ID", default=8)
    terminator = models.CharField(
        "key that ends an entry", max_length=1, default="#", validators=[RegexValidator(r"^[0-9*#A-D]$")]
    )
    clear_key = models.CharField(
        "key that clears an entry", max_length=1, default="*", validators=[RegexValidator(r"^[0-9*#A-D]$")]
    )
    invalid_limit = models.PositiveSmallIntegerField("wrong entries before help", default=3)
    no_input_limit = models.PositiveSmallIntegerField("silences before help", default=3)
    too_short_limit = models.PositiveSmallIntegerField("too short entries before help", default=3)
    no_emergency_sentence = models.BooleanField(
        "callers hear no emergency sentence",
        default=False,
        help_text="Tick this only if it is meant to be so. Without the tick, a plan that never tells callers "
        "what to do in an emergency is not published.",
    )
    max_call_seconds = models.PositiveIntegerField("longest call, in seconds", default=1800)
    voicemail_seconds = models.PositiveSmallIntegerField(
        "longest message, in seconds",
        default=180,
        validators=[MinValueValidator(10), MaxValueValidator(600)],
    )
    calls_at_once = models.PositiveSmallIntegerField(
        "most calls at once", default=20, validators=[MaxValueValidator(200)]
    )
    receptionist_facts = models.TextField(
        "what the receptionist may tell",
        blank=True,
        help_text="What the talking receptionist may tell callers: parking, insurance, prices.",
    )

    class Meta:
        verbose_name_plural = "phone settings"

    def __str__(self) -> str:
        return f"Phone settings of {self.clinic}"


class Wording(models.Model):
    """One sentence that callers hear, where the clinic wants other words than the product's own."""

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="wordings")
    key = models.CharField(max_length=40)
    text = TextByLanguageField(multiline=True)

    class Meta:
        verbose_name_plural = "wording"
        ordering = ["clinic", "key"]
        constraints = [models.UniqueConstraint(fields=["clinic", "key"], name="one_wording_per_key")]

    def __str__(self) -> str:
        return self.key


class Menu(models.Model):
    """A list of things a caller can choose."""

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="menus")
    name = models.CharField(max_length=80)
    intro = TextByLanguageField(
        "introduction", multiline=True, help_text="Said before the options. May be empty."
    )

    class Meta:
        ordering = ["clinic", "name"]
        constraints = [models.UniqueConstraint(fields=["clinic", "name"], name="one_menu_per_name")]

    def __str__(self) -> str:
        return self.name


class MenuOption(models.Model):
    """One choice of a menu: a key, phrases, and what happens then. The list of options makes the prompt."""

    class Action(models.TextChoices):
        SAY = "say", "Say a message"
        OFFICE_HOURS = "office_hours", "Say the opening hours"
        RECEPTIONIST = "receptionist", "Talk to the receptionist"
        APPOINTMENT = "appointment", "Take an appointment request"
        CALLBACK = "callback", "Take a call-back request"
        VOICEMAIL = "voicemail", "Take a spoken message"
        PERSON = "person", "Reach a person"
        URGENT = "urgent", "Urgent: reach a person at once"
        SUBMENU = "submenu", "Go to another menu"
        REPEAT = "repeat", "Repeat this menu"
        BACK = "back", "Go back one menu"
        LANGUAGE = "language", "Switch the language"
        STOP_RECORDING = "stop_recording", "Stop the recording"
        HANG_UP = "hang_up", "Say goodbye and hang up"

    menu = models.ForeignKey(Menu, on_delete=models.CASCADE, related_name="options")
    position = models.PositiveSmallIntegerField(default=0)
    key = models.CharField(max_length=1, choices=[(key, key) for key in KEYS])
    label = TextByLanguageField(help_text="As in “For …, press 1.”")
    phrases = TextByLanguageField(help_text="Other words callers use for it, separated by commas.")
    action = models.CharField(max_length=20, choices=Action)
    identify_first = models.BooleanField("ask for the patient ID first", default=False)
    topic = models.CharField(
        max_length=60, blank=True, help_text="What the receptionist talks about, such as appointments."
    )
    message = TextByLanguageField(multiline=True, help_text="For “Say a message”.")
    target_menu = models.ForeignKey(
        Menu,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="For “Go to another menu”.",
    )
    language = models.CharField(
        max_length=8, blank=True, choices=list(LANGUAGES.items()), help_text="For “Switch the language”."
    )
    person = models.ForeignKey(
        "DirectoryEntry",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Whom to call. Empty: whoever stands in the phone settings.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["menu", "position", "id"]

    def __str__(self) -> str:
        return f"{self.key}: {next(iter(self.label.values()), self.get_action_display())}"


def check_addresses(text: str) -> None:
    """Raise ValidationError unless each line of `text` is an IP address or a network of them (CIDR)."""
    for address in text.split():
        try:
            ip_network(address, strict=False)
        except ValueError:
            raise ValidationError(
                f"“{address}” is no IP address. Write one on each line, such as 203.0.113.7 or 203.0.113.0/28."
            ) from None


def check_sip_host(text: str) -> None:
    """Raise ValidationError unless `text` is a host name or an IPv4 address, with a port where one is wanted."""
    if not SIP_HOST.fullmatch(text):
        raise ValidationError(
            f"“{text}” is no address to send calls to. Write the provider's host, such as sip.example.com or "
            "203.0.113.7:5060."
        )


class PhoneLine(models.Model):
    """A telephone number that callers dial, and what the LiveKit server should know about it."""

    class Encryption(models.TextChoices):
        OFF = "off", "No"
        ALLOW = "allow", "Where the provider offers it"
        REQUIRE = "require", "Always; other calls are refused"

    class Transport(models.TextChoices):
        AUTO = "auto", "As the provider's name says"
        UDP = "udp", "UDP"
        TCP = "tcp", "TCP"
        TLS = "tls", "TLS"

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="phone_lines")
    number = PhoneNumberField(unique=True)
    label = models.CharField(max_length=80, blank=True)
    room_prefix = models.SlugField(default="clinic-", help_text="Rooms of calls on this line begin with it.")
    enabled = models.BooleanField(default=True)
    allowed_addresses = models.TextField(
        blank=True,
        validators=[check_addresses],
        help_text="Who may send calls to this number: the provider's IP addresses or networks, one on each line. "
        "Empty lets any address in.",
    )
    auth_username = models.CharField(
        "user name",
        max_length=80,
        blank=True,
        help_text="Only where the provider or the telephone logs in (SIP digest).",
    )
    auth_password_ciphertext = models.BinaryField(null=True)
    auth_password_key = models.CharField(max_length=16, blank=True, editable=False)
    media_encryption = models.CharField(
        "encrypt the audio (SRTP)", max_length=8, choices=Encryption, default=Encryption.OFF
    )
    krisp = models.BooleanField(
        "noise suppression (Krisp)", default=False, help_text="Needs a LiveKit server that has it."
    )
    outbound_address = models.CharField(
        "provider's SIP host",
        max_length=255,
        blank=True,
        validators=[check_sip_host],
        help_text="Where calls go out, such as sip.example.com: to reach a person, and to check the line. Empty where "
        "no call may go out.",
    )
    outbound_transport = models.CharField(
        "signalling by", max_length=4, choices=Transport, default=Transport.AUTO
    )
    outbound_username = models.CharField(
        "user name for calls out",
        max_length=80,
        blank=True,
        help_text="Only where the provider wants us to log in (SIP digest).",
    )
    outbound_password_ciphertext = models.BinaryField(null=True)
    outbound_password_key = models.CharField(max_length=16, blank=True, editable=False)
    trunk_id = models.CharField(max_length=64, blank=True, editable=False)
    outbound_trunk_id = models.CharField(max_length=64, blank=True, editable=False)
    dispatch_rule_id = models.CharField(max_length=64, blank=True, editable=False)
    line_check_at = models.TimeField(
        "check it daily at",
        null=True,
        blank=True,
        help_text="By the clinic's clock, when few people call. The line then calls itself and presses every key. "
        "Empty: only when somebody presses the button.",
    )
    no_keys_alerted_at = models.DateTimeField(
        null=True, editable=False, help_text="When the office was told that no caller's keys arrive."
    )

    class Meta:
        ordering = ["clinic", "number"]

    def __str__(self) -> str:
        return f"{self.label or self.clinic} {self.number}"


class PlanVersion(models.Model):
    """One published plan. The highest number is what callers hear; rolling back publishes an old one anew."""

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="plan_versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    content_hash = models.CharField(max_length=64)
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=200, blank=True)
    restores = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The older version that this one brought back.",
    )

    class Meta:
        verbose_name_plural = "what callers hear"
        ordering = ["clinic", "-number"]
        constraints = [models.UniqueConstraint(fields=["clinic", "number"], name="one_plan_per_number")]
        permissions = [("publish_plan", "Can publish what callers hear and bring back older versions")]

    def __str__(self) -> str:
        return f"{self.clinic} plan {self.number}"
