"""Public holidays, from the `holidays` library, as closures that staff can then edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import holidays
from django.db import transaction

from clinic import hours
from clinic.models import Clinic, Closure

NAME_LENGTH = Closure._meta.get_field("name").max_length


class NoHolidaysKnown(Exception):
    """The library knows no holidays for what was asked. The message is a sentence for staff."""


@dataclass(frozen=True, slots=True)
class PublicHoliday:
    """One public holiday."""

    day: date
    name: str


def countries() -> list[tuple[str, str]]:
    """ISO 3166-1 code and English name of every country whose holidays are known, by name."""
    named = {codes[1]: _spaced(codes[0]) for codes in holidays.registry.COUNTRIES.values()}
    return sorted(named.items(), key=lambda each: each[1])


def public_holidays(
    country: str, subdivision: str, year: int, languages: Sequence[str] = ()
) -> list[PublicHoliday]:
    """The public holidays of a country (ISO 3166-1 code), and of one of its parts where `subdivision` names it.

    Names are in the first of `languages` that the library has for the country, else in the country's own.
    Raises NoHolidaysKnown.
    """
    calendar = getattr(holidays, country, None)
    if calendar is None or not issubclass(calendar, holidays.HolidayBase):
        raise NoHolidaysKnown(f"No holidays are known for “{country}”.")
    part = _subdivision(calendar, subdivision)
    found = calendar(subdiv=part, years=year, language=_language(calendar, languages))
    if not found:
        raise NoHolidaysKnown(f"No public holidays are known for {year}.")
    return [PublicHoliday(day, name[:NAME_LENGTH]) for day, name in sorted(found.items())]


@transaction.atomic
def closures_import_holidays(
    *, clinic: Clinic, public: Sequence[PublicHoliday]
) -> tuple[list[Closure], list[PublicHoliday]]:
    """Close the clinic on these days: (the closures made, the days that had a closure already)."""
    schedule = hours.Schedule(
        zone=clinic.time_zone,
        closures=tuple(
            hours.Closure(name=row.name, starts_on=row.starts_on, ends_on=row.ends_on, yearly=row.yearly)
            for row in clinic.closures.all()
        ),
    )
    present = [holiday for holiday in public if hours.closure_on(schedule, holiday.day)]
    made = [
        clinic.closures.create(
            name=holiday.name, starts_on=holiday.day, ends_on=holiday.day, source=Closure.Source.HOLIDAY
        )
        for holiday in public
        if holiday not in present
    ]
    return made, present


def _subdivision(calendar: type[holidays.HolidayBase], wanted: str) -> str | None:
    if not wanted.strip():
        return None
    names = {code.casefold(): code for code in calendar.subdivisions}
    names |= {name.casefold(): code for name, code in getattr(calendar, "subdivisions_aliases", {}).items()}
    code = names.get(wanted.strip().casefold())
    if code is None:
        known = ", ".join(calendar.subdivisions) or "none"
        raise NoHolidaysKnown(f"“{wanted}” is not a state or region of this country. Known are: {known}.")
    return code


def _language(calendar: type[holidays.HolidayBase], languages: Sequence[str]) -> str | None:
    for language in languages:
        for supported in calendar.supported_languages:
            if supported.partition("_")[0] == language:
                return str(supported)
    return None


def _spaced(class_name: str) -> str:
    return "".join(f" {letter}" if letter.isupper() else letter for letter in class_name).strip()
