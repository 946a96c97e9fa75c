"""Opening hours as people type them in one line: “Mon-Fri 8:00-12:00 13:00-17:00, Sat 9am-1pm”. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import time
from itertools import groupby

from clinic.hours import Interval, overlaps

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLOSED = "closed"
EXAMPLE = "Mon-Fri 8:00-17:00, Sat 9:00-12:00"

_DASH = re.compile(r"\s*[-–—]\s*|\s+to\s+")
_BETWEEN = re.compile(r"[\s,;]+")
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d\d))?(am|pm)?")
_MEANT = re.compile(r"(?<=\d)\s+(?=[ap]m\b)")


def parse_week(text: str) -> tuple[Interval, ...]:
    """The week that `text` says; empty for “closed”. Raises ValueError with a sentence for whoever typed it."""
    plain = _MEANT.sub("", _DASH.sub("-", text.strip().lower().replace("a.m.", "am").replace("p.m.", "pm")))
    if plain == CLOSED:
        return ()
    week = tuple(_intervals(_BETWEEN.split(plain)))
    if not week:
        raise ValueError(f"No opening time in it. Write it like “{EXAMPLE}”, or “{CLOSED}”.")
    for one, other in overlaps(week):
        raise ValueError(f"{_told(one)} and {_told(other)} overlap.")
    return week


def format_week(week: Iterable[Interval]) -> str:
    """`week` in one line, such as `parse_week` reads; days in a row with the same hours go together."""
    by_day: dict[int, str] = {}
    for interval in sorted(week, key=lambda each: (each.weekday, each.opens)):
        stretch = f"{interval.opens:%H:%M}-{interval.closes:%H:%M}"
        by_day[interval.weekday] = f"{by_day.get(interval.weekday, '')} {stretch}".strip()
    parts = []
    # Days in a row share their distance to their place in the list.
    in_a_row = groupby(enumerate(sorted(by_day)), key=lambda each: (each[1] - each[0], by_day[each[1]]))
    for (_, hours), days in in_a_row:
        numbers = [day for _, day in days]
        name = DAYS[numbers[0]] if len(numbers) == 1 else f"{DAYS[numbers[0]]}-{DAYS[numbers[-1]]}"
        parts.append(f"{name} {hours}")
    return ", ".join(parts) or CLOSED


def _intervals(words: list[str]) -> Iterator[Interval]:
    """Days count until the next days; each stretch of time is for all of them."""
    days: list[int] = []
    had_time = False
    for word in words:
        if not word:
            continue
        if word[0].isdigit():
            if not days:
                raise ValueError(f"“{word}” belongs to no day. Write it like “{EXAMPLE}”.")
            opens, closes = _stretch(word)
            yield from (Interval(weekday=day, opens=opens, closes=closes) for day in days)
            had_time = True
        else:
            days = [*([] if had_time else days), *_days(word)]
            had_time = False
    if days and not had_time:
        raise ValueError(f"{DAYS[days[-1]]} has no opening time. Leave out the days on which you are closed.")


def _days(word: str) -> list[int]:
    ends = [_day(name) for name in word.split("-")]
    if len(ends) == 1:
        return ends
    if len(ends) != 2:
        raise ValueError(f"“{word}” is no stretch of days. Write it like “Mon-Fri”.")
    first, last = ends
    return [(first + day) % 7 for day in range((last - first) % 7 + 1)]


def _day(name: str) -> int:
    found = [number for number, day in enumerate(DAYS) if len(name) >= 3 and name.startswith(day.lower())]
    if not found:
        raise ValueError(f"“{name}” is no day of the week. Use {', '.join(DAYS)}.")
    return found[0]


def _stretch(word: str) -> tuple[time, time]:
    ends = word.split("-")
    if len(ends) != 2:
        raise ValueError(f"“{word}” has no end. Write it like “8:00-17:00”.")
    (opens, _), (closes, plain) = (_time(end) for end in ends)
    if closes <= opens and opens < time(12) and plain and closes != time(0):
        raise ValueError(f"“{word}” would end on the next day. Write the afternoon as 17:00 or 5pm.")
    return opens, closes


def _time(text: str) -> tuple[time, bool]:
    """The time, and whether it was given without am or pm."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"“{text}” is no time. Write it like 8:00, 17:30 or 5pm.")
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half and not 1 <= hour <= 12:
        raise ValueError(f"“{text}” is no time. Write it like 8:00, 17:30 or 5pm.")
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    if (hour, minute) == (24, 0):
        hour = 0
    try:
        return time(hour, minute), half is None
    except ValueError:
        raise ValueError(f"“{text}” is no time. Write it like 8:00, 17:30 or 5pm.") from None


def _told(interval: Interval) -> str:
    return format_week([interval])
