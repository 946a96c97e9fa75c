"""Opening hours compared with opening-hours-py, which reads OpenStreetMap's opening_hours language.

The oracle reads a wall clock and lets a day's own rule cut the evening before it. So two kinds of moment are
left to the examples in `test_hours`: those within the hour that clocks show twice, and the tail of an evening
that runs into a closure.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from opening_hours import OpeningHours

from clinic import hours
from clinic.hours import Closure, Interval, Schedule, SpecialInterval, Switch

ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Phoenix"]
DAY_NAMES = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
ONE_DAY = timedelta(days=1)

# Weeks around both clock changes (Berlin, New York), a leap day, New Year, and any week at all.
mondays = st.sampled_from(
    [
        date(2026, 3, 2),
        date(2026, 3, 23),
        date(2026, 10, 19),
        date(2026, 10, 26),
        date(2028, 2, 28),
        date(2026, 12, 28),
    ]
) | st.dates(date(2025, 1, 1), date(2030, 12, 31)).map(lambda day: day - timedelta(days=day.weekday()))
wall_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59]))
intervals = st.builds(Interval, weekday=st.integers(0, 6), opens=wall_times, closes=wall_times)
weeks = st.lists(intervals, max_size=8).map(tuple)
daytime_weeks = weeks.map(lambda week: tuple(each for each in week if each.opens < each.closes))
special_hours = st.lists(st.builds(SpecialInterval, opens=wall_times, closes=wall_times), max_size=2).map(
    tuple
)


@st.composite
def closures_near(draw: st.DrawFn, monday: date) -> tuple[Closure, ...]:
    """Up to three closures, single days or ranges, of different lengths so that which one rules is plain."""
    lengths = draw(st.lists(st.integers(0, 12), max_size=3, unique=True))
    closures = []
    for length in lengths:
        first = monday + timedelta(days=draw(st.integers(-8, 8)))
        last = first + timedelta(days=length)
        closures.append(
            Closure(
                name=str(length),
                starts_on=first,
                ends_on=last,
                yearly=draw(st.booleans()),
                hours=draw(special_hours),
            )
        )
    return tuple(closures)


def span(opens: time, closes: time) -> str:
    """`18:00-26:00`: the oracle counts on past midnight."""
    closing_hour = closes.hour + (24 if closes <= opens else 0)
    return f"{opens:%H:%M}-{closing_hour:02}:{closes:%M}"


def days_of(closure: Closure) -> str:
    year = "" if closure.yearly else "%Y "
    first, last = closure.starts_on.strftime(f"{year}%b %d"), closure.ends_on.strftime(f"{year}%b %d")
    return first if first == last else f"{first}-{last}"


def as_osm(schedule: Schedule) -> OpeningHours:
    """The same timetable in the oracle's language. Later rules win: the shortest closure comes last."""
    rules = ", ".join(f"{DAY_NAMES[each.weekday]} {span(each.opens, each.closes)}" for each in schedule.week)
    for closure in sorted(schedule.closures, key=lambda each: each.starts_on - each.ends_on):
        days = days_of(closure)
        rules += f"; {days} off" + "".join(
            f", {days} {span(each.opens, each.closes)}" for each in closure.hours
        )
    return OpeningHours(
        rules.removeprefix("; ") or "off", timezone=ZoneInfo(schedule.zone), auto_country=False
    )


def moments(schedule: Schedule, monday: date) -> list[datetime]:
    """Each minute at which something could change in ten days, and the minutes on either side of it."""
    zone = ZoneInfo(schedule.zone)
    walls = {time(0), time(2), time(3), time(12)}
    walls |= {wall for each in schedule.week for wall in (each.opens, each.closes)}
    walls |= {
        wall for closure in schedule.closures for each in closure.hours for wall in (each.opens, each.closes)
    }
    edges = {
        datetime.combine(monday + timedelta(days=offset), wall, zone).astimezone(UTC)
        for offset in range(10)
        for wall in walls
    }
    return sorted({edge + timedelta(minutes=step) for edge in edges for step in (-1, 0, 1)})


def shown_twice(moment: datetime, zone: ZoneInfo) -> bool:
    local = moment.astimezone(zone)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def evening_before_meets_a_closure(schedule: Schedule, moment: datetime) -> bool:
    """Whether an evening past midnight could reach `moment` from a closure's day, or into one."""
    local = moment.astimezone(ZoneInfo(schedule.zone))
    if not any(hours.closure_on(schedule, each) for each in (local.date() - ONE_DAY, local.date())):
        return False
    stretches = (*schedule.week, *(each for closure in schedule.closures for each in closure.hours))
    return any(each.closes <= each.opens and local.time() <= each.closes for each in stretches)


@settings(max_examples=120, deadline=None)
@given(zone=st.sampled_from(ZONES), monday=mondays, week=weeks | daytime_weeks, data=st.data())
def test_open_and_closed_agree_with_the_oracle(
    zone: str, monday: date, week: tuple[Interval, ...], data: st.DataObject
) -> None:
    schedule = Schedule(zone=zone, week=week, closures=data.draw(closures_near(monday)))
    oracle = as_osm(schedule)
    for moment in moments(schedule, monday):
        local = moment.astimezone(ZoneInfo(zone))
        if not shown_twice(moment, ZoneInfo(zone)) and not evening_before_meets_a_closure(schedule, moment):
            assert hours.is_open(schedule, moment) == oracle.is_open(local), local


@settings(max_examples=80, deadline=None)
@given(zone=st.sampled_from(ZONES), monday=mondays, week=weeks)
def test_the_next_change_agrees_with_the_oracle(zone: str, monday: date, week: tuple[Interval, ...]) -> None:
    schedule = Schedule(zone=zone, week=week)
    oracle = as_osm(schedule)
    for moment in moments(schedule, monday)[::7]:
        local = moment.astimezone(ZoneInfo(zone))
        ours = hours.closes_at(schedule, moment) or hours.next_opening(schedule, moment)
        theirs = oracle.next_change(local)
        if shown_twice(moment, ZoneInfo(zone)) or (theirs and shown_twice(theirs, ZoneInfo(zone))):
            continue
        assert ours == theirs, local


@settings(max_examples=50, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    monday=mondays,
    week=weeks,
    state=st.sampled_from(["open", "closed"]),
    data=st.data(),
)
def test_the_switch_holds_until_its_end_and_the_oracle_rules_after(
    zone: str, monday: date, week: tuple[Interval, ...], state: str, data: st.DataObject
) -> None:
    until = datetime.combine(monday, time(0), ZoneInfo(zone)) + timedelta(
        minutes=data.draw(st.integers(0, 5 * 1440))
    )
    schedule = Schedule(zone=zone, week=week, switch=Switch.model_validate({"state": state, "until": until}))
    oracle = as_osm(schedule)
    for moment in [*moments(schedule, monday), until]:
        if moment < until:
            assert hours.is_open(schedule, moment) == (state == "open")
        elif not shown_twice(moment, ZoneInfo(zone)):
            assert hours.is_open(schedule, moment) == oracle.is_open(moment.astimezone(ZoneInfo(zone)))


@settings(max_examples=50, deadline=None)
@given(zone=st.sampled_from(ZONES), monday=mondays, week=weeks, data=st.data())
def test_closing_opening_and_promise_agree_with_open_and_closed(
    zone: str, monday: date, week: tuple[Interval, ...], data: st.DataObject
) -> None:
    schedule = Schedule(zone=zone, week=week, closures=data.draw(closures_near(monday)))
    if data.draw(st.booleans()):
        until = datetime.combine(monday + ONE_DAY, time(13), ZoneInfo(zone))
        state = data.draw(st.sampled_from(["open", "closed"]))
        schedule = schedule.model_copy(
            update={"switch": Switch.model_validate({"state": state, "until": until})}
        )
    looked_at = moments(schedule, monday)
    states = [hours.is_open(schedule, moment) for moment in looked_at]
    for moment, is_open in list(zip(looked_at, states, strict=True))[::5]:
        closes, opens = hours.closes_at(schedule, moment), hours.next_opening(schedule, moment)
        if closes:
            assert not hours.is_open(schedule, closes)
            assert all(s for m, s in zip(looked_at, states, strict=True) if moment <= m < closes)
        else:
            assert not is_open or not opens
        if opens:
            assert hours.is_open(schedule, opens)
            assert not any(
                s for m, s in zip(looked_at, states, strict=True) if (closes or moment) <= m < opens
            )
        promised = hours.after_opening_time(schedule, moment, timedelta(minutes=1))
        if is_open and closes:
            assert promised is not None and promised <= closes
        elif opens and promised:
            assert promised > opens
