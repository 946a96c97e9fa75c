"""When a clinic is open: pure decisions on frozen data, in the clinic's own time zone.

Nothing here touches the database, the clock or the process's time zone: callers pass an aware moment in.

What staff enter are times on the wall clock; what is compared are moments (UTC), so both days on which the
clock changes come out right. A time that the clock skips counts as the moment of the jump; of a time that it
shows twice, the first counts. An opening belongs to the day on which it begins: one past midnight runs to its
end even when the next day is a closure. The switch overrides everything until its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

HORIZON = timedelta(days=400)
"""How far ahead openings and closings are looked for: past every yearly closure."""

NO_TIME = timedelta()
ONE_DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SHORTEST_YEAR = timedelta(days=365)
SMALLEST_STEP = timedelta(microseconds=1)


class Frozen(BaseModel):
    """Base of every value that a published plan holds: immutable, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(Frozen):
    """Opening time on one weekday (0 is Monday). `closes` at or before `opens` means past midnight."""

    weekday: int
    opens: time
    closes: time


class SpecialInterval(Frozen):
    """Opening time on a closure's days. `closes` at or before `opens` means past midnight."""

    opens: time
    closes: time


class Closure(Frozen):
    """Days that differ from the week: closed, or open at `hours`. `ends_on` is inclusive.

    `yearly` repeats month and day each year. `message` is what callers hear, by language.
    """

    name: str
    starts_on: date
    ends_on: date
    yearly: bool = False
    hours: tuple[SpecialInterval, ...] = ()
    message: dict[str, str] = {}


class Switch(Frozen):
    """Staff's "closed now" or "open now", in force until `until` (aware), whatever the hours say."""

    state: Literal["open", "closed"]
    until: datetime


class Schedule(Frozen):
    """A clinic's whole timetable. `zone` is an IANA name."""

    zone: str
    week: tuple[Interval, ...] = ()
    closures: tuple[Closure, ...] = ()
    switch: Switch | None = None


def is_open(schedule: Schedule, at: datetime) -> bool:
    """Whether the clinic is open at `at` (aware). At the closing time itself it is closed."""
    switch = _switch_in_force(schedule, at)
    if switch:
        return switch.state == "open"
    moment = at.astimezone(UTC)
    today = _local_date(schedule, at)
    return any(
        opens <= moment < closes
        for day in (today - ONE_DAY, today)
        for opens, closes in _openings(schedule, day)
    )


def closes_at(schedule: Schedule, at: datetime) -> datetime | None:
    """The end of the opening that `at` (aware) falls in, in the clinic's zone.

    Openings that touch or overlap count as one, over midnight too. None when the clinic is closed at `at`,
    and when it does not close within `HORIZON`.
    """
    moment = at.astimezone(UTC)
    end = moment
    for opens, closes in _pieces(schedule, moment):
        if opens > end:
            break
        end = closes
    return _local(schedule, end) if moment < end < moment + HORIZON else None


def next_opening(schedule: Schedule, at: datetime) -> datetime | None:
    """The next moment after `at` (aware) at which the clinic goes from closed to open, in its zone.

    When it is open at `at`, this is the opening after the present one. None when none comes within
    `HORIZON`.
    """
    end = at.astimezone(UTC)
    for opens, closes in _pieces(schedule, end):
        if opens > end:
            return _local(schedule, opens)
        end = closes
    return None


def after_opening_time(schedule: Schedule, at: datetime, duration: timedelta) -> datetime | None:
    """The moment by which `duration` of opening time has passed since `at` (aware), in the clinic's zone.

    A promise such as "we will call within two office hours": on a closed weekend, Monday at 10 when the
    clinic opens on Monday at 8. None when that much opening time does not come within `HORIZON`.
    """
    left = duration
    for opens, closes in _pieces(schedule, at.astimezone(UTC)):
        if closes - opens >= left:
            return _local(schedule, opens + left)
        left -= closes - opens
    return None


def intervals_on(schedule: Schedule, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """The openings that begin on `day` (a date in the clinic's zone), aware, in order; touching ones as one.

    Closures and special hours count. The switch does not: it speaks of now, not of a day.
    """
    merged: list[tuple[datetime, datetime]] = []
    for opens, closes in _openings(schedule, day):
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        else:
            merged.append((opens, closes))
    return tuple((_local(schedule, opens), _local(schedule, closes)) for opens, closes in merged)


def closure_on(schedule: Schedule, day: date) -> Closure | None:
    """The closure that rules `day` (a date in the clinic's zone), or None on a normal day.

    Where several cover the day, the shortest does (a half day within the holidays), then one that is not
    yearly, then the first.
    """
    covering = (closure for closure in schedule.closures if _covers(closure, day))
    return min(
        covering, key=lambda closure: (closure.ends_on - closure.starts_on, closure.yearly), default=None
    )


def closure_at(schedule: Schedule, at: datetime) -> Closure | None:
    """The closure that rules the day on which `at` (aware) falls in the clinic's zone, or None."""
    return closure_on(schedule, _local_date(schedule, at))


def overlaps(week: Sequence[Interval]) -> tuple[tuple[Interval, Interval], ...]:
    """The pairs of `week` that claim the same time, in the order given. Touching is no overlap.

    A stretch past midnight is compared with the next day's too, Sunday's with Monday's.
    """
    return tuple((one, other) for one, other in combinations(week, 2) if _overlap(one, other))


def _overlap(one: Interval, other: Interval) -> bool:
    # On the circle of the week, two stretches meet when either one begins within the other.
    gap = (_start_in_week(other) - _start_in_week(one)) % WEEK
    return gap < _length(one) or (WEEK - gap) % WEEK < _length(other)


def _start_in_week(interval: Interval) -> timedelta:
    return timedelta(days=interval.weekday) + _since_midnight(interval.opens)


def _length(interval: Interval | SpecialInterval) -> timedelta:
    length = _since_midnight(interval.closes) - _since_midnight(interval.opens)
    return length if length > NO_TIME else length + ONE_DAY


def _since_midnight(wall: time) -> timedelta:
    return timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second)


def _switch_in_force(schedule: Schedule, at: datetime) -> Switch | None:
    return schedule.switch if schedule.switch and at < schedule.switch.until else None


def _covers(closure: Closure, day: date) -> bool:
    if not closure.yearly:
        return closure.starts_on <= day <= closure.ends_on
    if closure.ends_on - closure.starts_on >= SHORTEST_YEAR:
        return True
    # Month and day compare as pairs, so that 29 February needs no such day to exist in a common year.
    first, today, last = ((when.month, when.day) for when in (closure.starts_on, day, closure.ends_on))
    return first <= today <= last if first <= last else today >= first or today <= last


def _openings(schedule: Schedule, day: date) -> list[tuple[datetime, datetime]]:
    """What begins on `day` by week and closures, in UTC, sorted; may overlap, never empty."""
    closure = closure_on(schedule, day)
    hours: Iterable[Interval | SpecialInterval] = (
        closure.hours if closure else [each for each in schedule.week if each.weekday == day.weekday()]
    )
    zone = ZoneInfo(schedule.zone)
    stretches = (
        (
            _instant(datetime.combine(day, each.opens), zone),
            _instant(datetime.combine(day if each.opens < each.closes else day + ONE_DAY, each.closes), zone),
        )
        for each in hours
    )
    return sorted((opens, closes) for opens, closes in stretches if opens < closes)


def _pieces(schedule: Schedule, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Opening time from `since` (UTC) on, switch included, in order, without overlap; pieces may touch."""
    covered = since
    switch = _switch_in_force(schedule, since)
    if switch:
        covered = switch.until.astimezone(UTC)
        if switch.state == "open":
            yield since, covered
    # The day before comes first: what it opened may pass midnight.
    day = _local_date(schedule, covered) - ONE_DAY
    last = _local_date(schedule, since + HORIZON)
    while day <= last:
        for opens, closes in _openings(schedule, day):
            if closes > covered:
                yield max(opens, covered), closes
                covered = closes
        day += ONE_DAY


def _local_date(schedule: Schedule, at: datetime) -> date:
    return at.astimezone(ZoneInfo(schedule.zone)).date()


def _local(schedule: Schedule, moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(schedule.zone))


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which clocks in `zone` show `wall`.

    The first of two where the clock is set back; where it is set forward over `wall`, the moment of the jump.
    """
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    # PEP 495: in a gap, fold=1 reads the offset after the jump, so the jump lies between the two readings.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), moment
    offset_before = before.astimezone(zone).utcoffset()
    while after - before > SMALLEST_STEP:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset_before:
            before = middle
        else:
            after = middle
    return after
