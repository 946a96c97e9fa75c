"""Named queries on calls and requests. Lists, figures and services share these definitions."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import phonenumbers
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay

from clinic.evidence import EvidenceQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from phone.models import Call, CallEvent, KeypadEntry, Request  # noqa: F401


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of `day` in `zone`; days of 23 and 25 hours included."""
    return datetime.combine(day, time.min, zone)


def origins_of_people() -> list[str]:
    """Where calls of people come from."""
    origin = apps.get_model("phone", "Call").Origin
    return [origin.PHONE, origin.BROWSER]


def real_origins() -> list[str]:
    """Where the calls come from that lists and figures count; in the demo that includes the made-up ones."""
    origin = apps.get_model("phone", "Call").Origin
    return [*origins_of_people(), *([origin.SEED] if settings.DEMO else [])]


class CallQuerySet(models.QuerySet["Call"]):
    """Calls, narrowed by what the office asks for."""

    def of_people(self) -> CallQuerySet:
        """Calls that somebody made by telephone or in a browser."""
        return self.filter(origin__in=origins_of_people())

    def real(self) -> CallQuerySet:
        """Calls that lists and figures count: those of people, and in the demo the seeded ones too."""
        return self.filter(origin__in=real_origins())

    def running(self) -> CallQuerySet:
        """Calls without a final row."""
        return self.filter(outcome="")

    def may_go(self, *, before: datetime) -> CallQuerySet:
        """Calls that are over, began before that, and are not held: rules and erasure may take from them."""
        over = self.exclude(outcome="").filter(ended_at__isnull=False)
        return over.filter(started_at__lt=before, on_hold=False)

    def locked(self, most: int) -> list[Call]:
        """The oldest of them, locked until the transaction ends; those that somebody else has locked are left out.

        SQLite has no such locks, and needs none: it has one writer at a time.
        """
        return list(
            self.order_by("started_at", "id").select_for_update(of=("self",), skip_locked=True)[:most]
        )

    def with_person(self) -> CallQuerySet:
        """Calls that a person took and that go on without us: they end when their room does."""
        return self.filter(outcome=self.model.Outcome.TRANSFERRED, ended_at__isnull=True)

    def stale(self, *, since: datetime) -> CallQuerySet:
        """Running calls of people whose worker has not written since `since`.

        Simulated calls live on a clock of their own and always end in the process that made them.
        """
        return self.of_people().running().filter(heartbeat_at__lt=since)

    def on_days(self, *, first: date | None, last: date | None, zone: ZoneInfo) -> CallQuerySet:
        """Calls that began on these days, both included, in `zone`. None leaves that end open."""
        calls = self
        if first is not None:
            calls = calls.filter(started_at__gte=start_of_day(first, zone))
        if last is not None:
            calls = calls.filter(started_at__lt=start_of_day(last + timedelta(days=1), zone))
        return calls

    def at_hour(self, hour: int, *, zone: ZoneInfo) -> CallQuerySet:
        """Calls that began within this hour of the day (0 to 23) in `zone`."""
        return self.alias(local_hour=ExtractHour("started_at", tzinfo=zone)).filter(local_hour=hour)

    def on_weekday(self, weekday: int, *, zone: ZoneInfo) -> CallQuerySet:
        """Calls that began on this weekday (0 is Monday) in `zone`."""
        return self.alias(local_weekday=ExtractIsoWeekDay("started_at", tzinfo=zone)).filter(
            local_weekday=weekday + 1
        )

    def answered(self) -> CallQuerySet:
        """Calls that the system answered, at any hour."""
        return self.exclude(outcome__in=self.model.UNANSWERED)

    def unanswered(self) -> CallQuerySet:
        """Calls that found all lines busy, or that nobody came to."""
        return self.filter(outcome__in=self.model.UNANSWERED)

    def served_without_person(self) -> CallQuerySet:
        """Calls that ended with information or a request, and needed nobody at the office meanwhile."""
        return self.filter(served__in=[self.model.Served.INFORMATION, self.model.Served.REQUEST])

    def chose(self, *, menu: str, option: str) -> CallQuerySet:
        """Calls in which the caller chose `option` of `menu`, both as they were called then."""
        events = apps.get_model("phone", "CallEvent").objects
        choices = events.filter(call=OuterRef("pk"), kind="menu", data__menu=menu, data__option=option)
        return self.filter(Exists(choices))

    def from_caller_of(self, call: uuid.UUID) -> CallQuerySet:
        """Calls from the number that made `call`. Withheld numbers belong together with none."""
        number = self.model._default_manager.filter(pk=call).values("caller_number")
        return self.filter(caller_number=number[:1]).exclude(caller_number="")

    def from_number(self, typed: str) -> CallQuerySet:
        """Calls from a number as somebody typed it: whole, in any spelling, or its last digits."""
        try:
            parsed = phonenumbers.parse(typed, settings.PHONENUMBER_DEFAULT_REGION)
        except phonenumbers.NumberParseException:
            parsed = None
        if parsed and phonenumbers.is_possible_number(parsed):
            return self.filter(
                caller_number=phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            )
        digits = "".join(character for character in typed if character.isdecimal())
        return self.filter(caller_number__endswith=digits) if digits else self.none()


class CallEventQuerySet(EvidenceQuerySet["CallEvent"]):
    """Lines of timelines."""

    def menu_choices(self) -> models.QuerySet[CallEvent]:
        """The lines in which a caller chose an option of a menu."""
        return self.filter(kind="menu")

    def with_words(self) -> CallEventQuerySet:
        """The lines that hold what the caller said, or what a model answered to it."""
        heard = models.Q(kind="speech") | models.Q(kind="prompt", step="receptionist")
        return self.filter(heard, data__has_key="text")

    def take_words_away(self) -> int:
        """The one change that a line may see: its words go. Only for `phone.services`. How many lines had some."""
        spoken = models.QuerySet.update(self.with_words().filter(kind="speech"), data={})
        questions = self.with_words().filter(data__asks=True)
        spoken += models.QuerySet.update(questions, data={"asks": True})
        return spoken + models.QuerySet.update(self.with_words(), data={"asks": False})

    def take_away(self) -> int:
        """Delete these lines. Only for `phone.services`. How many there were."""
        return models.QuerySet.delete(self)[0]


class KeypadEntryQuerySet(EvidenceQuerySet["KeypadEntry"]):
    """What callers entered."""

    def with_digits(self) -> KeypadEntryQuerySet:
        """Entries whose digits can be read with the key file."""
        return self.filter(digits_ciphertext__isnull=False)

    def take_digits_away(self) -> int:
        """The one change that an entry may see: its digits go. Only for `phone.services`. How many had some."""
        return models.QuerySet.update(self.with_digits(), digits_ciphertext=None, digits_key="")

    def take_away(self) -> int:
        """Delete these entries. Only for `phone.services`. How many there were."""
        return models.QuerySet.delete(self)[0]


class RequestQuerySet(models.QuerySet["Request"]):
    """Requests, as the office works on them."""

    def of_real_calls(self) -> RequestQuerySet:
        """The office's work: not what a simulated call or a line check left."""
        return self.filter(models.Q(call__isnull=True) | models.Q(call__origin__in=real_origins()))

    def open(self) -> RequestQuerySet:
        """Not done, taken or not."""
        return self.filter(done_at__isnull=True)

    def untaken(self) -> RequestQuerySet:
        """Open, and nobody works on it."""
        return self.open().filter(taken_at__isnull=True)

    def taken(self) -> RequestQuerySet:
        """Open, and somebody works on it."""
        return self.open().filter(taken_at__isnull=False)

    def taken_by(self, user: AbstractBaseUser | AnonymousUser) -> RequestQuerySet:
        """Open, and `user` works on it."""
        return self.taken().filter(taken_by=user.pk)

    def done(self) -> RequestQuerySet:
        return self.filter(done_at__isnull=False)

    def unannounced(self) -> RequestQuerySet:
        """Left by people, and no mail about it has gone out."""
        return self.filter(announced_at__isnull=True, call__origin__in=origins_of_people())

    def overdue(self, *, now: datetime) -> RequestQuerySet:
        """Open past the moment by which the caller was told the office would call."""
        return self.open().filter(due_at__lt=now)
