"""When the clinic is open, read as the office would say it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic import hours
from clinic.hours import Closure, Interval, Schedule, SpecialInterval, Switch

NEW_YORK = ZoneInfo("America/New_York")
EIGHT_TO_FIVE = tuple(Interval(weekday=day, opens=time(8), closes=time(17)) for day in range(5))
OFFICE = Schedule(zone="America/New_York", week=EIGHT_TO_FIVE)
ALWAYS = Schedule(
    zone="America/New_York",
    week=tuple(Interval(weekday=day, opens=time(0), closes=time(0)) for day in range(7)),
)


def at(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK, fold=fold)


def closed(first: str, last: str = "", **more: object) -> Closure:
    starts_on = date.fromisoformat(first)
    ends_on = date.fromisoformat(last) if last else starts_on
    return Closure.model_validate({"name": "closed", "starts_on": starts_on, "ends_on": ends_on, **more})


def open_from(opens: str, closes: str) -> tuple[SpecialInterval, ...]:
    return (SpecialInterval(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes)),)


def office_with(*closures: Closure) -> Schedule:
    return OFFICE.model_copy(update={"closures": closures})


def evenings(opens: str, closes: str, *weekdays: int, closures: tuple[Closure, ...] = ()) -> Schedule:
    week = tuple(
        Interval(weekday=day, opens=time.fromisoformat(opens), closes=time.fromisoformat(closes))
        for day in weekdays
    )
    return Schedule(zone="America/New_York", week=week, closures=closures)


class TestTheNormalWeek:
    def test_opens_on_the_minute_and_is_closed_at_the_closing_time(self) -> None:
        assert not hours.is_open(OFFICE, at("2026-11-23T07:59:59"))
        assert hours.is_open(OFFICE, at("2026-11-23T08:00"))
        assert hours.is_open(OFFICE, at("2026-11-23T16:59:59"))
        assert not hours.is_open(OFFICE, at("2026-11-23T17:00"))

    def test_says_until_when(self) -> None:
        assert hours.closes_at(OFFICE, at("2026-11-23T12:00")) == at("2026-11-23T17:00")
        assert hours.closes_at(OFFICE, at("2026-11-23T18:00")) is None

    def test_says_when_it_opens_again(self) -> None:
        assert hours.next_opening(OFFICE, at("2026-11-20T17:00")) == at("2026-11-23T08:00")
        assert hours.next_opening(OFFICE, at("2026-11-20T12:00")) == at("2026-11-23T08:00")

    def test_a_moment_from_another_zone_is_understood(self) -> None:
        assert hours.is_open(OFFICE, datetime(2026, 11, 23, 13, 0, tzinfo=ZoneInfo("UTC")))
        assert not hours.is_open(OFFICE, datetime(2026, 11, 23, 12, 59, tzinfo=ZoneInfo("UTC")))

    def test_a_lunch_break_divides_the_day(self) -> None:
        schedule = Schedule(
            zone="America/New_York",
            week=(
                Interval(weekday=0, opens=time(13), closes=time(17)),
                Interval(weekday=0, opens=time(8), closes=time(12)),
            ),
        )
        assert hours.closes_at(schedule, at("2026-11-23T09:00")) == at("2026-11-23T12:00")
        assert hours.next_opening(schedule, at("2026-11-23T12:30")) == at("2026-11-23T13:00")
        assert hours.intervals_on(schedule, date(2026, 11, 23)) == (
            (at("2026-11-23T08:00"), at("2026-11-23T12:00")),
            (at("2026-11-23T13:00"), at("2026-11-23T17:00")),
        )

    def test_an_evening_past_midnight_belongs_to_the_day_it_began(self) -> None:
        friday_night = evenings("20:00", "02:00", 4)
        assert hours.is_open(friday_night, at("2026-11-21T01:59"))
        assert hours.closes_at(friday_night, at("2026-11-20T23:00")) == at("2026-11-21T02:00")
        assert hours.intervals_on(friday_night, date(2026, 11, 21)) == ()

    def test_touching_stretches_are_one_opening_over_midnight(self) -> None:
        schedule = Schedule(
            zone="America/New_York",
            week=(
                Interval(weekday=4, opens=time(20), closes=time(0)),
                Interval(weekday=5, opens=time(0), closes=time(3)),
            ),
        )
        assert hours.closes_at(schedule, at("2026-11-20T21:00")) == at("2026-11-21T03:00")
        assert hours.next_opening(schedule, at("2026-11-20T21:00")) == at("2026-11-27T20:00")

    def test_a_clinic_that_never_closes_has_no_closing_time(self) -> None:
        assert hours.is_open(ALWAYS, at("2026-11-23T03:00"))
        assert hours.closes_at(ALWAYS, at("2026-11-23T03:00")) is None
        assert hours.next_opening(ALWAYS, at("2026-11-23T03:00")) is None

    def test_a_clinic_without_hours_is_closed(self) -> None:
        nothing = Schedule(zone="America/New_York")
        assert not hours.is_open(nothing, at("2026-11-23T12:00"))
        assert hours.next_opening(nothing, at("2026-11-23T12:00")) is None
        assert hours.after_opening_time(nothing, at("2026-11-23T12:00"), timedelta(hours=1)) is None


class TestClosures:
    def test_a_holiday_is_closed_all_day(self) -> None:
        schedule = office_with(closed("2026-11-26"))
        assert not hours.is_open(schedule, at("2026-11-26T12:00"))
        assert hours.next_opening(schedule, at("2026-11-25T18:00")) == at("2026-11-27T08:00")

    def test_special_hours_take_the_place_of_the_week(self) -> None:
        schedule = office_with(closed("2026-12-24", hours=open_from("09:00", "12:00")))
        assert not hours.is_open(schedule, at("2026-12-24T08:30"))
        assert hours.closes_at(schedule, at("2026-12-24T10:00")) == at("2026-12-24T12:00")

    def test_special_hours_open_a_sunday(self) -> None:
        schedule = office_with(closed("2026-11-22", hours=open_from("10:00", "14:00")))
        assert hours.next_opening(schedule, at("2026-11-20T18:00")) == at("2026-11-22T10:00")

    def test_a_half_day_within_the_holidays_rules_its_day(self) -> None:
        half_day = closed("2026-12-28", hours=open_from("09:00", "12:00"))
        schedule = office_with(half_day, closed("2026-12-24", "2027-01-03"))
        assert hours.is_open(schedule, at("2026-12-28T10:00"))
        assert not hours.is_open(schedule, at("2026-12-29T10:00"))
        assert hours.closure_on(schedule, date(2026, 12, 28)) == half_day

    def test_this_years_entry_rules_over_the_yearly_one(self) -> None:
        this_year = closed("2026-12-24", hours=open_from("09:00", "12:00"))
        schedule = office_with(closed("2020-12-24", yearly=True), this_year)
        assert hours.closure_on(schedule, date(2026, 12, 24)) == this_year
        assert hours.closure_on(schedule, date(2027, 12, 24)) == schedule.closures[0]

    def test_a_yearly_range_passes_new_year(self) -> None:
        schedule = office_with(closed("2020-12-24", "2021-01-02", yearly=True))
        for day, is_closed in [
            ("12-23", False),
            ("12-24", True),
            ("01-01", True),
            ("01-02", True),
            ("01-03", False),
        ]:
            assert bool(hours.closure_on(schedule, date.fromisoformat(f"2030-{day}"))) is is_closed, day

    def test_a_yearly_29_february_comes_in_leap_years_only(self) -> None:
        schedule = office_with(closed("2024-02-29", yearly=True))
        assert hours.closure_on(schedule, date(2028, 2, 29))
        assert not hours.closure_on(schedule, date(2027, 2, 28))
        assert not hours.closure_on(schedule, date(2027, 3, 1))

    @pytest.mark.parametrize(
        ("first", "last", "covered"),
        [("2024-02-27", "2024-02-29", date(2027, 2, 28)), ("2024-02-29", "2024-03-02", date(2027, 3, 1))],
    )
    def test_a_yearly_range_may_begin_or_end_on_29_february(
        self, first: str, last: str, covered: date
    ) -> None:
        assert hours.closure_on(office_with(closed(first, last, yearly=True)), covered)

    def test_a_yearly_range_of_a_whole_year_covers_every_day(self) -> None:
        assert hours.closure_on(
            office_with(closed("2025-06-01", "2026-06-01", yearly=True)), date(2030, 2, 2)
        )

    def test_the_evening_before_a_holiday_runs_to_its_end(self) -> None:
        schedule = evenings("20:00", "02:00", *range(7), closures=(closed("2026-12-25"),))
        assert hours.is_open(schedule, at("2026-12-25T01:30"))
        assert hours.closes_at(schedule, at("2026-12-24T23:00")) == at("2026-12-25T02:00")
        assert not hours.is_open(schedule, at("2026-12-25T20:30"))
        assert not hours.is_open(schedule, at("2026-12-26T01:30"))

    def test_the_closure_of_a_moment_is_that_of_its_local_day(self) -> None:
        schedule = office_with(closed("2026-11-26"))
        assert hours.closure_at(schedule, datetime(2026, 11, 27, 4, 59, tzinfo=ZoneInfo("UTC")))
        assert not hours.closure_at(schedule, datetime(2026, 11, 27, 5, 0, tzinfo=ZoneInfo("UTC")))


class TestTheSwitch:
    def closed_until(self, until: str) -> Schedule:
        return OFFICE.model_copy(update={"switch": Switch(state="closed", until=at(until))})

    def open_until(self, until: str) -> Schedule:
        return OFFICE.model_copy(update={"switch": Switch(state="open", until=at(until))})

    def test_closed_now_ends_at_its_time(self) -> None:
        schedule = self.closed_until("2026-11-23T14:00")
        assert not hours.is_open(schedule, at("2026-11-23T13:59"))
        assert hours.next_opening(schedule, at("2026-11-23T10:00")) == at("2026-11-23T14:00")
        assert hours.closes_at(schedule, at("2026-11-23T14:00")) == at("2026-11-23T17:00")

    def test_closed_until_the_evening_opens_on_the_next_morning(self) -> None:
        schedule = self.closed_until("2026-11-23T18:00")
        assert hours.next_opening(schedule, at("2026-11-23T10:00")) == at("2026-11-24T08:00")

    def test_open_now_ends_at_its_time(self) -> None:
        schedule = self.open_until("2026-11-22T12:00")
        assert hours.is_open(schedule, at("2026-11-22T11:00"))
        assert hours.closes_at(schedule, at("2026-11-22T11:00")) == at("2026-11-22T12:00")
        assert hours.next_opening(schedule, at("2026-11-22T11:00")) == at("2026-11-23T08:00")

    def test_open_now_runs_into_the_normal_day(self) -> None:
        schedule = self.open_until("2026-11-23T09:00")
        assert hours.closes_at(schedule, at("2026-11-23T06:00")) == at("2026-11-23T17:00")

    def test_open_now_beats_a_holiday(self) -> None:
        schedule = self.open_until("2026-11-26T12:00").model_copy(
            update={"closures": (closed("2026-11-26"),)}
        )
        assert hours.is_open(schedule, at("2026-11-26T10:00"))
        assert not hours.is_open(schedule, at("2026-11-26T12:00"))


class TestByWhenTheOfficeWillCall:
    def test_from_a_closed_weekend_on_monday_morning(self) -> None:
        promised = hours.after_opening_time(OFFICE, at("2026-11-21T15:00"), timedelta(hours=2))
        assert promised == at("2026-11-23T10:00")

    def test_within_the_day(self) -> None:
        promised = hours.after_opening_time(OFFICE, at("2026-11-23T15:00"), timedelta(hours=2))
        assert promised == at("2026-11-23T17:00")

    def test_what_is_left_of_today_counts(self) -> None:
        promised = hours.after_opening_time(OFFICE, at("2026-11-23T16:30"), timedelta(hours=2))
        assert promised == at("2026-11-24T09:30")

    def test_the_switch_counts(self) -> None:
        schedule = OFFICE.model_copy(update={"switch": Switch(state="closed", until=at("2026-11-23T16:00"))})
        promised = hours.after_opening_time(schedule, at("2026-11-23T10:00"), timedelta(hours=2))
        assert promised == at("2026-11-24T09:00")


class TestTheDaysOnWhichTheClockChanges:
    def test_a_night_is_an_hour_shorter_in_spring(self) -> None:
        night = evenings("22:00", "06:00", 5)
        start, end = hours.intervals_on(night, date(2026, 3, 7))[0]
        assert end.astimezone(ZoneInfo("UTC")) - start.astimezone(ZoneInfo("UTC")) == timedelta(hours=7)

    def test_and_an_hour_longer_in_autumn(self) -> None:
        night = evenings("22:00", "06:00", 5)
        start, end = hours.intervals_on(night, date(2026, 10, 31))[0]
        assert end.astimezone(ZoneInfo("UTC")) - start.astimezone(ZoneInfo("UTC")) == timedelta(hours=9)

    def test_a_time_that_the_clock_skips_is_the_moment_of_the_jump(self) -> None:
        assert hours.next_opening(evenings("02:30", "05:00", 6), at("2026-03-08T01:00")) == at(
            "2026-03-08T03:00"
        )
        assert hours.closes_at(evenings("01:00", "02:30", 6), at("2026-03-08T01:10")) == at(
            "2026-03-08T03:00"
        )

    def test_a_stretch_within_the_skipped_hour_does_not_happen(self) -> None:
        assert hours.intervals_on(evenings("02:10", "02:50", 6), date(2026, 3, 8)) == ()

    def test_of_a_time_that_the_clock_shows_twice_the_first_counts(self) -> None:
        schedule = evenings("00:30", "01:30", 6)
        assert hours.is_open(schedule, at("2026-11-01T01:29", fold=0))
        assert not hours.is_open(schedule, at("2026-11-01T01:29", fold=1))
        opens_twice_shown = evenings("01:30", "04:00", 6)
        assert hours.is_open(opens_twice_shown, at("2026-11-01T01:10", fold=1))

    def test_the_promise_counts_real_hours(self) -> None:
        night = evenings("22:00", "06:00", 5)
        promised = hours.after_opening_time(night, at("2026-03-08T00:00"), timedelta(hours=3))
        assert promised == at("2026-03-08T04:00")


class TestOverlaps:
    def interval(self, weekday: int, opens: str, closes: str) -> Interval:
        return Interval(weekday=weekday, opens=time.fromisoformat(opens), closes=time.fromisoformat(closes))

    def test_touching_is_no_overlap(self) -> None:
        assert hours.overlaps([self.interval(0, "08:00", "12:00"), self.interval(0, "12:00", "17:00")]) == ()
        assert hours.overlaps([self.interval(0, "20:00", "00:00"), self.interval(1, "00:00", "02:00")]) == ()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ((0, "08:00", "12:00"), (0, "11:59", "17:00")),
            ((0, "08:00", "17:00"), (0, "09:00", "10:00")),
            ((0, "08:00", "17:00"), (0, "08:00", "17:00")),
            ((0, "20:00", "02:00"), (1, "01:00", "03:00")),
            ((6, "20:00", "02:00"), (0, "01:00", "03:00")),
            ((0, "00:30", "09:00"), (6, "22:00", "01:00")),
            ((2, "08:00", "08:00"), (3, "07:00", "09:00")),
        ],
    )
    def test_both_are_named(self, one: tuple[int, str, str], other: tuple[int, str, str]) -> None:
        pair = (self.interval(*one), self.interval(*other))
        assert hours.overlaps(pair) == (pair,)
        assert len(hours.overlaps(pair[::-1])) == 1
