"""What an installer is asked about a clinic, and how the answers become rows. What is there already is kept."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.text import slugify

from clinic.hours import Interval
from clinic.models import Clinic, OpeningInterval
from clinic.week_text import EXAMPLE, format_week, parse_week
from phone.building import settings_of
from phone.directory import number_in_directory
from phone.models import DirectoryEntry, Menu, MenuOption, PhoneLine, PhoneSettings, RetentionRules, Wording
from phone.numbers import NumberRefused
from phone.wording import default_wording, placeholders

EMERGENCY = "emergency"
"""The key of the sentence that callers hear first."""

NONE = "none"
"""What to answer where there is a default and nothing is wanted."""


@dataclass(frozen=True)
class Answers:
    """What the installer said, checked. Numbers are E.164; empty strings mean “none”."""

    name: str
    line_number: str
    time_zone: str
    hours: tuple[Interval, ...]
    emergency_sentence: str
    on_call_number: str
    office_email: str
    consent: str


@dataclass(frozen=True)
class Question:
    """One question. `name` is a field of Answers; `parse` raises ValueError with a sentence."""

    name: str
    asks: str
    explains: str
    parse: Callable[[str], Any]


def parse_name(text: str) -> str:
    if not text:
        raise ValueError("A clinic has a name.")
    if len(text) > 120:
        raise ValueError("A name has 120 characters at most.")
    return text


def parse_zone(text: str) -> str:
    zones = zoneinfo.available_timezones()
    if text in zones:
        return text
    wanted = text.strip().replace(" ", "_").lower()
    same = [zone for zone in sorted(zones) if wanted in (zone.lower(), zone.lower().rpartition("/")[2])]
    if len(same) == 1:
        return same[0]
    close = difflib.get_close_matches(wanted, [zone.lower() for zone in zones], n=1, cutoff=0.5)
    meant = next((zone for zone in zones if close and zone.lower() == close[0]), "America/New_York")
    raise ValueError(f"“{text}” is not a time zone. Did you mean {meant}?")


def parse_number(text: str) -> str:
    """A telephone number as E.164; empty for “none”."""
    if text.lower() in ("", NONE):
        return ""
    try:
        number = phonenumbers.parse(text, settings.PHONENUMBER_DEFAULT_REGION)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValueError(f"“{text}” is not a telephone number. Write it like +1 212 555 0142.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def parse_sentence(text: str) -> str:
    if text.lower() in ("", NONE):
        raise ValueError("Callers must hear what to do in an emergency.")
    if unknown := placeholders(text) - {"clinic"}:
        raise ValueError(f"Nothing fills in {{{min(unknown)}}}. Write the sentence as it is to be spoken.")
    return text


def parse_email(text: str) -> str:
    if text.lower() in ("", NONE):
        return ""
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError(f"“{text}” is not a mail address.") from None
    return text


def parse_consent(text: str) -> str:
    if text.lower() in PhoneSettings.Consent.values:
        return text.lower()
    raise ValueError(f"Answer with one of these words: {', '.join(PhoneSettings.Consent.values)}.")


QUESTIONS = (
    Question("name", "Name of the clinic", "Callers hear it: “Thank you for calling …”.", parse_name),
    Question(
        "line_number",
        "Number that callers dial",
        f"The clinic's own telephone number, as the telephone provider routes it to this system. “{NONE}” where there "
        "is none yet: it can be added in the admin later.",
        parse_number,
    ),
    Question(
        "time_zone",
        "Time zone",
        "Opening hours are in this zone. Region and city, such as America/New_York or Europe/Madrid.",
        parse_zone,
    ),
    Question(
        "hours",
        "Opening hours",
        f"The normal week, such as “{EXAMPLE}”. Several times a day are fine. Holidays come later, in the admin.",
        parse_week,
    ),
    Question(
        "emergency_sentence",
        "Emergency sentence",
        "Every call begins with it. Say whom to call where you are.",
        parse_sentence,
    ),
    Question(
        "on_call_number",
        "On-call number",
        f"Of a person. Callers who need somebody, or have something urgent, are led to it. “{NONE}” where nobody can "
        "be called: these callers then leave a request.",
        parse_number,
    ),
    Question(
        "office_email",
        "Mail address of the office",
        f"New requests are announced there, without patients' names. “{NONE}” for no mail.",
        parse_email,
    ),
    Question(
        "consent",
        "Recording of calls",
        "“ask” asks every caller, and records only after a yes. “notice” announces it, and whoever stays is recorded. "
        "“off” never records anything. The law where you are decides; “ask” is right everywhere.",
        parse_consent,
    ),
)


def defaults(clinic: Clinic | None) -> dict[str, str]:
    """What is answered by pressing Enter: what the clinic has, or what a new one starts with."""
    if clinic is None:
        clinic = Clinic(name="Our clinic")
        hours, line, sentence = parse_week("Mon-Fri 8:00-17:00"), None, None
    else:
        hours = intervals_of(clinic)
        line = clinic.phone_lines.order_by("pk").first()
        sentence = clinic.wordings.filter(key=EMERGENCY).first()
    language = clinic.languages[0]
    own = sentence.text.get(language, "") if sentence else ""
    return {
        "name": clinic.name,
        "line_number": str(line.number) if line else NONE,
        "time_zone": clinic.time_zone,
        "hours": format_week(hours),
        "emergency_sentence": own or default_wording(language)[EMERGENCY],
        "on_call_number": str(clinic.office_number or NONE),
        "office_email": clinic.office_email or NONE,
        "consent": settings_of(clinic).consent_policy,
    }


def intervals_of(clinic: Clinic) -> tuple[Interval, ...]:
    """The clinic's normal week."""
    rows = clinic.opening_intervals.all()
    return tuple(Interval(weekday=row.weekday, opens=row.opens, closes=row.closes) for row in rows)


@transaction.atomic
def clinic_set_up(*, clinic: Clinic | None, slug: str, answers: Answers) -> tuple[Clinic, list[str]]:
    """Make the clinic, or change what the answers say differently; and in sentences what was done.

    All or nothing. Raises ValueError with a sentence where the number belongs to another clinic.
    """
    done: list[str] = []
    is_new = clinic is None
    if clinic is None:
        clinic = Clinic(slug=slug or slugify(answers.name)[:50] or "clinic")
        done.append(f"Made the clinic “{answers.name}”.")
    done += _fields(clinic, answers)
    done += _hours(clinic, answers.hours)
    done += _line(clinic, answers.line_number)
    done += _sentence(clinic, answers.emergency_sentence)
    phone_settings, made = PhoneSettings.objects.get_or_create(clinic=clinic)
    if phone_settings.consent_policy != answers.consent:
        phone_settings.consent_policy = answers.consent
        phone_settings.save()
        if not made:
            done.append(f"Recording of calls is now: {phone_settings.get_consent_policy_display().lower()}.")
    done += _on_call(clinic, phone_settings, answers.on_call_number)
    done += _menus(clinic, phone_settings)
    if is_new:
        RetentionRules.objects.create(clinic=clinic)
        done.append("What callers leave is deleted after some time: see Retention in the admin.")
    return clinic, done


def _fields(clinic: Clinic, answers: Answers) -> Iterator[str]:
    wanted = {
        "name": answers.name,
        "time_zone": answers.time_zone,
        "office_number": answers.on_call_number,
        "office_email": answers.office_email,
    }
    changed = {name for name, value in wanted.items() if str(getattr(clinic, name) or "") != value}
    is_new = clinic.pk is None
    for name in changed:
        setattr(clinic, name, wanted[name])
    if changed or is_new:
        clinic.save()
    if not is_new:
        for name in sorted(changed):
            title = str(Clinic._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
            yield f"The clinic's {title} is now: {wanted[name] or NONE}."


def _hours(clinic: Clinic, week: tuple[Interval, ...]) -> Iterator[str]:
    if sorted(week, key=repr) == sorted(intervals_of(clinic), key=repr):
        return
    for row in clinic.opening_intervals.all():
        row.delete()
    for interval in week:
        OpeningInterval.objects.create(
            clinic=clinic, weekday=interval.weekday, opens=interval.opens, closes=interval.closes
        )
    yield f"Open: {format_week(week)}."


def _line(clinic: Clinic, number: str) -> Iterator[str]:
    if not number:
        return
    line, made = PhoneLine.objects.get_or_create(number=number, defaults={"clinic": clinic})
    if line.clinic_id != clinic.pk:
        raise ValueError(f"The number {line.number.as_international} belongs to {line.clinic}.")
    if made:
        yield f"Made the phone line {line.number.as_international}."


ON_CALL = "On call"
"""The directory's entry for the on-call number."""


def _on_call(clinic: Clinic, phone_settings: PhoneSettings, number: str) -> Iterator[str]:
    """Put the on-call number into the directory. Whoever was chosen in the admin instead stays chosen."""
    entry = DirectoryEntry.objects.filter(clinic=clinic, name=ON_CALL).first()
    if not number or (entry and str(entry.number) == number):
        return
    try:
        number_in_directory(number, clinic)
    except NumberRefused as refusal:
        yield f"Callers are told the on-call number, and not put through to it. {refusal}"
        return
    if entry:
        entry.number = number
        entry.save()
        yield f"Callers are put through to {entry.number.as_international} from now on."
        return
    spoken = {language: default_wording(language)["transfer_on_call"] for language in clinic.languages}
    entry = DirectoryEntry.objects.create(clinic=clinic, name=ON_CALL, number=number, spoken=spoken)
    phone_settings.person = phone_settings.person or entry
    phone_settings.urgent_person = phone_settings.urgent_person or entry
    phone_settings.save()
    yield f"Callers who need somebody are put through to {number}. Change it in the admin under Directory."


def _sentence(clinic: Clinic, sentence: str) -> Iterator[str]:
    language = clinic.languages[0]
    row = Wording.objects.filter(clinic=clinic, key=EMERGENCY).first()
    said = (row.text.get(language, "") if row else "") or default_wording(language)[EMERGENCY]
    if sentence == said:
        return
    row = row or Wording(clinic=clinic, key=EMERGENCY, text={})
    # A sentence is written in every language or in none: the others say what they have said.
    usual = {each: default_wording(each)[EMERGENCY] for each in clinic.languages}
    row.text = usual | row.text | {language: sentence}
    row.save()
    yield f"Every call begins with: “{sentence}”"


# -- A first menu --------------------------------------------------------------------------------------------

Action = MenuOption.Action
STARTER_OPTIONS: tuple[dict[str, Any], ...] = (
    {
        "key": "1",
        "label": {"en": "an appointment", "es": "una cita"},
        "phrases": {"en": "make an appointment, book a visit", "es": "hacer una cita, pedir cita"},
        "action": Action.APPOINTMENT,
    },
    {
        "key": "2",
        "label": {"en": "office hours", "es": "nuestro horario"},
        "phrases": {"en": "opening times, when are you open", "es": "horario, cuándo abren"},
        "action": Action.OFFICE_HOURS,
    },
    {
        "key": "3",
        "label": {"en": "a call back from our office", "es": "que le devolvamos la llamada"},
        "phrases": {"en": "call me back, leave my number", "es": "llámenme, dejar mi número"},
        "action": Action.CALLBACK,
    },
    {
        "key": "4",
        "label": {"en": "something urgent", "es": "algo urgente"},
        "phrases": {"en": "urgent, severe pain", "es": "urgente, dolor fuerte"},
        "action": Action.URGENT,
    },
)


def _menus(clinic: Clinic, phone_settings: PhoneSettings) -> Iterator[str]:
    if Menu.objects.filter(clinic=clinic).exists():
        return
    menu = Menu.objects.create(clinic=clinic, name="Main menu")
    for position, option in enumerate(STARTER_OPTIONS):
        MenuOption.objects.create(menu=menu, position=position, **option)
    phone_settings.main_menu = phone_settings.closed_menu = menu
    phone_settings.save()
    yield "Made a first menu: appointments, office hours, call back, urgent. Change it in the admin under Menus."
