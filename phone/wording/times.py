"""Times, days and opening hours as a person would say them, from the plan and a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time, get_day_names
from babel.lists import format_list

from clinic import hours
from clinic.hours import Interval, SpecialInterval
from phone.data import load
from phone.plan import PhonePlan
from phone.wording.texts import filled, say
from phone.wording.utterance import Utterance, joined, plain

DUE_AFTER = timedelta(hours=2)
"""How much opening time the office has before it must have called."""
DUE_STEP = timedelta(minutes=30)
WEEK = 7
"""Days. From so many on, a weekday alone could be mistaken."""


def due_at(plan: PhonePlan, at: datetime) -> datetime | None:
    """By when the office promises to call: two hours of opening time after `at`, on the next half hour.

    Aware, in the clinic's zone. None when the clinic never opens again.
    """
    due = hours.after_opening_time(plan.schedule, at, DUE_AFTER)
    if due is None:
        return None
    past = timedelta(minutes=due.minute % 30, seconds=due.second, microseconds=due.microsecond)
    rounded = due if not past else due - past + DUE_STEP
    return rounded.astimezone(ZoneInfo(plan.schedule.zone))


def time_of_day(plan: PhonePlan, language: str, at: time) -> str:
    """`8 AM`, `5:30 PM`, `noon`."""
    if at.minute == 0 and at.hour in (0, 12):
        return filled(plan, "time_noon" if at.hour else "time_midnight", language)
    pattern = "time_one" if at.hour in (1, 13) else "time"
    formats = load("formats")[language]
    spoken = format_time(at, formats[pattern if at.minute == 0 else f"{pattern}_minutes"], locale=language)
    return _plain_spaces(spoken)


def moment(plan: PhonePlan, language: str, moment: datetime, at: datetime) -> str:
    """`moment` as somebody says it at `at`: `today at 3 PM`, `tomorrow at 8 AM`, `Monday 10 AM`."""
    zone = ZoneInfo(plan.schedule.zone)
    local, today = moment.astimezone(zone), at.astimezone(zone).date()
    spoken = time_of_day(plan, language, local.time())
    match (local.date() - today).days:
        case 0:
            return filled(plan, "moment_today", language, time=spoken)
        case 1:
            return filled(plan, "moment_tomorrow", language, time=spoken)
        case days:
            key = "moment_day" if 0 < days < WEEK else "moment_date"
            return filled(plan, key, language, day=_day(language, local.date(), today), time=spoken)


def office_hours(plan: PhonePlan, language: str, at: datetime) -> Utterance:
    """The normal week, what is different today, and whether somebody is there at `at`."""
    return joined(
        (week(plan, language), _today(plan, language, at), open_or_closed(plan, language, at)),
    )


def week(plan: PhonePlan, language: str) -> Utterance:
    """The normal week, days with the same times together; it does not depend on the clock."""
    by_times: dict[tuple[Interval | SpecialInterval, ...], list[int]] = {}
    for weekday in range(WEEK):
        intervals = sorted(
            (interval for interval in plan.schedule.week if interval.weekday == weekday),
            key=lambda interval: interval.opens,
        )
        if intervals:
            times = tuple(SpecialInterval(opens=one.opens, closes=one.closes) for one in intervals)
            by_times.setdefault(times, []).append(weekday)
    if not by_times:
        return say(plan, "hours_none", language)
    if any(_all_day(times) and len(weekdays) == WEEK for times, weekdays in by_times.items()):
        return say(plan, "hours_always", language)
    return joined(
        say(
            plan,
            "hours_week_more" if position else "hours_week",
            language,
            days=_days(plan, language, weekdays),
            times=_times(plan, language, times),
        )
        for position, (times, weekdays) in enumerate(by_times.items())
    )


def open_or_closed(plan: PhonePlan, language: str, at: datetime) -> Utterance:
    """Whether the clinic is open at `at`, and until when or when again."""
    zone = ZoneInfo(plan.schedule.zone)
    if hours.is_open(plan.schedule, at):
        closes = hours.closes_at(plan.schedule, at)
        if closes is None or closes - at > timedelta(days=1):
            return say(plan, "hours_open_now_long", language)
        until = time_of_day(plan, language, closes.astimezone(zone).time())
        return say(plan, "hours_open_now", language, time=until)
    closed = say(plan, "hours_closed_now", language)
    opens = hours.next_opening(plan.schedule, at)
    return closed if opens is None else closed + opens_again(plan, language, opens, at)


def opens_again(plan: PhonePlan, language: str, opens: datetime, at: datetime) -> Utterance:
    """When the clinic, closed at `at`, opens."""
    zone = ZoneInfo(plan.schedule.zone)
    local, today = opens.astimezone(zone), at.astimezone(zone).date()
    spoken = time_of_day(plan, language, local.time())
    match (local.date() - today).days:
        case 0:
            return say(plan, "hours_opens_today", language, time=spoken)
        case 1:
            return say(plan, "hours_opens_tomorrow", language, time=spoken)
    return say(plan, "hours_opens_day", language, day=_day(language, local.date(), today), time=spoken)


def _today(plan: PhonePlan, language: str, at: datetime) -> Utterance:
    """What a closure changes today: its own message, or the usual sentence."""
    closure = hours.closure_at(plan.schedule, at)
    if closure is None:
        return Utterance()
    if message := plain(closure.message.get(language, ""), language):
        return message
    if closure.hours:
        return say(plan, "hours_special_today", language, times=_times(plan, language, closure.hours))
    return say(plan, "hours_closed_today", language)


def _times(plan: PhonePlan, language: str, intervals: Sequence[Interval | SpecialInterval]) -> str:
    if _all_day(intervals):
        return filled(plan, "hours_all_day", language)
    spoken = [
        filled(
            plan,
            "hours_interval",
            language,
            opens=time_of_day(plan, language, interval.opens),
            closes=time_of_day(plan, language, interval.closes),
        )
        for interval in intervals
    ]
    return spoken_list(spoken, language)


def _all_day(intervals: Sequence[Interval | SpecialInterval]) -> bool:
    return len(intervals) == 1 and intervals[0].opens == intervals[0].closes


def _days(plan: PhonePlan, language: str, weekdays: Iterable[int]) -> str:
    """`Monday through Friday`, `Monday and Tuesday`, `Monday, Wednesday, and Friday`."""
    names: Mapping[int, str] = get_day_names("wide", locale=language)
    spoken: list[str] = []
    for first, last in _runs(weekdays):
        if last - first < 2:
            spoken += load("formats")[language]["every_day"][first : last + 1]
        else:
            ends = {"first": names[first], "last": names[last]}
            spoken.append(filled(plan, "hours_day_range", language, **ends))
    return spoken_list(spoken, language)


def _runs(weekdays: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of days in a row."""
    for _, run in groupby(enumerate(weekdays), key=lambda pair: pair[1] - pair[0]):
        days = [day for _, day in run]
        yield days[0], days[-1]


def _day(language: str, day: date, today: date) -> str:
    """The weekday within the next six days, else weekday and date."""
    if 0 <= (day - today).days < WEEK:
        return str(get_day_names("wide", locale=language)[day.weekday()])
    return _plain_spaces(format_date(day, load("formats")[language]["date"], locale=language))


def spoken_list(items: Sequence[str], language: str, style: str = "standard") -> str:
    """`a, b, and c` in `language`; with style `or`, `a, b, or c`."""
    return format_list(list(items), style=style, locale=language)  # type: ignore[arg-type]


def _plain_spaces(text: str) -> str:
    """CLDR puts narrow no-break spaces before "PM"; speech engines stumble over them."""
    return " ".join(text.split())
