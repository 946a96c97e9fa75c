"""A small plan to build on: a dental office, open on weekdays, two languages, two choices."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from clinic.hours import Interval, Schedule
from phone.plan import ClinicFacts, Menu, MenuOption, PhonePlan
from phone.wording import default_phrases, default_wording

NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS = tuple(Interval(weekday=day, opens=time(8), closes=time(17)) for day in range(5))
LANGUAGES = ("en", "es")

APPOINTMENTS = MenuOption(
    key="1", label={"en": "appointments", "es": "citas"}, action="receptionist", topic="appointments"
)
OFFICE_HOURS = MenuOption(key="2", label={"en": "office hours", "es": "el horario"}, action="office_hours")
MAIN = Menu(name="Main menu", options=(APPOINTMENTS, OFFICE_HOURS))


def at(text: str) -> datetime:
    """A moment on the clinic's clock: `at("2026-11-23 16:59")` is a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def a_schedule(*week: Interval, **fields: Any) -> Schedule:
    return Schedule(zone="America/New_York", week=week or WEEKDAYS, **fields)


def a_plan(**fields: Any) -> PhonePlan:
    """The plan, with some of its fields replaced; `languages` and `wording` may be given in part."""
    languages = tuple(fields.pop("languages", LANGUAGES))
    own_wording = fields.pop("wording", {})
    facts = ClinicFacts(
        name="Bright Smile Dental",
        languages=languages,
        address="12 Main Street",
        office_number="+12125550123",
    )
    return PhonePlan(
        **{
            "clinic": facts,
            "schedule": a_schedule(),
            "menus": (MAIN,),
            "main_menu": MAIN.name,
            "wording": {
                language: default_wording(language) | own_wording.get(language, {}) for language in languages
            },
            "phrases": {language: default_phrases(language) for language in languages},
            **fields,
        }
    )
