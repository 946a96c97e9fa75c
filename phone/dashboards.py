"""The figures of a clinic's calls over some days. Every figure names the filters that show its rows."""

from __future__ import annotations

import calendar
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count
from django.db.models.functions import TruncHour

from clinic.models import Clinic
from phone.models import Call, CallEvent, ConsentRecord
from phone.querysets import CallQuerySet, start_of_day

LONGEST = 366
"""The most days that one page counts."""

MENU_CHOICES_SHOWN = 20
CHOICE_SEPARATOR = " › "


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of calls. `filters` are the call list's, on top of the days and the clinic."""

    label: str
    count: int
    filters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures of one kind, and what they share out: with `whole`, shares of it are shown."""

    title: str
    figures: list[Figure]
    whole: int | None = None
    note: str = ""

    @property
    def highest(self) -> int:
        return max((figure.count for figure in self.figures), default=0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the dashboard shows. `first` and `last` are days of the clinic's calendar, both included."""

    clinic: Clinic
    first: date
    last: date
    totals: list[Figure]
    charts: list[Chart]


def call_figures(*, clinic: Clinic, first: date, last: date) -> Figures:
    """Count the calls of people that began on these days. Three queries, whatever the number of calls.

    More than `LONGEST` days are cut to the latest ones; days in the wrong order are put right.
    """
    first, last = min(first, last), max(first, last)
    first = max(first, last - timedelta(days=LONGEST - 1))
    zone = ZoneInfo(clinic.time_zone)
    calls = Call.objects.filter(clinic=clinic).real().on_days(first=first, last=last, zone=zone)

    days, weekdays, hours = _when(calls, zone)
    kinds = _kinds(calls)
    total = sum(kinds.values())

    def having(**wanted: object) -> int:
        return sum(
            count
            for kind, count in kinds.items()
            if all(getattr(kind, name) in _several(value) for name, value in wanted.items())
        )

    unanswered = having(outcome=Call.UNANSWERED)
    after_hours = having(after_hours=True)
    unaided = having(served=(Call.Served.INFORMATION, Call.Served.REQUEST))
    outcomes = [
        ("running", "Running now", ""),
        *((value, label, value) for value, label in Call.Outcome.choices),
    ]
    consents = [
        *((v, label, v) for v, label in ConsentRecord.Decision.choices),
        ("none", "Call ended before", ""),
    ]
    return Figures(
        clinic=clinic,
        first=first,
        last=last,
        totals=[
            Figure("Calls", total),
            Figure("Answered", total - unanswered, {"answered": "yes"}),
            Figure("Not answered", unanswered, {"answered": "no"}),
            Figure("While we were open", total - after_hours, {"hours": "open"}),
            Figure("After hours", after_hours, {"hours": "after"}),
            Figure("Helped without a person", unaided, {"served": "without_person"}),
        ],
        charts=[
            Chart("Calls by day", _by_day(days, first, last)),
            Chart(
                "Calls by hour",
                [Figure(f"{hour:02}:00", hours[hour], {"hour": str(hour)}) for hour in range(24)],
                note=f"On the clinic's clock ({clinic.time_zone}).",
            ),
            Chart(
                "Calls by day of the week",
                [
                    Figure(name, weekdays[day], {"weekday": str(day)})
                    for day, name in enumerate(calendar.day_name)
                ],
            ),
            Chart(
                "How calls ended",
                _present(
                    Figure(label, having(outcome=value), {"outcome": name}) for name, label, value in outcomes
                ),
                whole=total,
            ),
            Chart(
                "What callers got",
                [
                    Figure(label, having(served=value), {"served": value})
                    for value, label in Call.Served.choices
                ],
                whole=total,
            ),
            Chart(
                "Menu choices",
                _menu_choices(calls, first, last, zone),
                whole=total,
                note="Calls in which it was chosen.",
            ),
            Chart(
                "Consent to recording",
                _present(
                    Figure(label, having(consent=value), {"consent": name}) for name, label, value in consents
                ),
                whole=total,
            ),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    outcome: str
    served: str
    consent: str
    after_hours: bool


def _several(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _present(figures: object) -> list[Figure]:
    return [figure for figure in figures if figure.count]  # type: ignore[attr-defined]


def _when(calls: CallQuerySet, zone: ZoneInfo) -> tuple[Counter[date], Counter[int], Counter[int]]:
    rows = calls.order_by().values_list(TruncHour("started_at", tzinfo=zone)).annotate(Count("pk"))
    days: Counter[date] = Counter()
    weekdays: Counter[int] = Counter()
    hours: Counter[int] = Counter()
    for hour, count in rows:
        days[hour.date()] += count
        weekdays[hour.weekday()] += count
        hours[hour.hour] += count
    return days, weekdays, hours


def _kinds(calls: CallQuerySet) -> dict[_Kind, int]:
    rows = calls.order_by().values_list("outcome", "served", "consent", "after_hours").annotate(Count("pk"))
    return {_Kind(*kind): count for *kind, count in rows}


def _by_day(days: Counter[date], first: date, last: date) -> list[Figure]:
    return [
        Figure(f"{day:%a} {day.day} {day:%b}", days[day], {"day_from": str(day), "day_to": str(day)})
        for day in (first + timedelta(days=number) for number in range((last - first).days + 1))
    ]


def _menu_choices(calls: CallQuerySet, first: date, last: date, zone: ZoneInfo) -> list[Figure]:
    # The times only help the database to find the rows; a day more, because a call may last past midnight.
    begin, end = start_of_day(first, zone), start_of_day(last + timedelta(days=2), zone)
    rows = (
        CallEvent.objects.menu_choices()
        .filter(call__in=calls.order_by(), at__gte=begin, at__lt=end)
        .order_by()
        .values_list("data__menu", "data__option")
        .annotate(calls=Count("call", distinct=True))
        .order_by("-calls", "data__option")
    )
    return [
        Figure(str(option), count, {"choice": f"{menu}{CHOICE_SEPARATOR}{option}"})
        for menu, option, count in rows[:MENU_CHOICES_SHOWN]
    ]
