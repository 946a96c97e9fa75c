"""The opening hours as callers hear them, at any moment and for every kind of week."""

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic.hours import Closure, Interval, SpecialInterval, Switch
from phone.wording import office_hours
from tests.phone.plans import NEW_YORK, a_plan, a_schedule, at

MONDAY_NOON, MONDAY_NIGHT = at("2026-11-23 12:00"), at("2026-11-23 22:00")


def on(weekdays: str, *times: str) -> tuple[Interval, ...]:
    """Intervals on days given as digits, Monday 0: `on("04", "8:00-12:00")`."""
    spans = [tuple(time.fromisoformat(end.zfill(5)) for end in span.split("-")) for span in times]
    return tuple(
        Interval(weekday=int(day), opens=opens, closes=closes) for day in weekdays for opens, closes in spans
    )


def heard(*week: Interval, when: datetime = MONDAY_NOON, language: str = "en", **schedule: object) -> str:
    return office_hours(a_plan(schedule=a_schedule(*week, **schedule)), language, when).text


def closed_on(day: str, **fields: object) -> Closure:
    return Closure.model_validate({"name": "A day", "starts_on": day, "ends_on": day, **fields})


@pytest.mark.parametrize(
    ("when", "now"),
    [
        ("2026-11-23 08:00", "We are open now, until 5 PM."),
        ("2026-11-23 16:59", "We are open now, until 5 PM."),
        ("2026-11-23 06:00", "We are closed now. We open again today at 8 AM."),
        ("2026-11-23 17:00", "We are closed now. We open again tomorrow at 8 AM."),
        ("2026-11-20 17:00", "We are closed now. We open again Monday at 8 AM."),
        ("2026-11-22 23:59", "We are closed now. We open again tomorrow at 8 AM."),
    ],
)
def test_the_week_and_what_is_now(when, now):
    assert heard(when=at(when)) == f"We are open Monday through Friday, 8 AM to 5 PM. {now}"


@pytest.mark.parametrize(
    ("week", "sentence"),
    [
        (
            on("01234", "8:00-12:00", "13:00-17:30"),
            "Monday through Friday, 8 AM to noon and 1 PM to 5:30 PM.",
        ),
        (on("01", "9:00-17:00"), "Monday and Tuesday, 9 AM to 5 PM."),
        (on("024", "9:00-17:00"), "Monday, Wednesday, and Friday, 9 AM to 5 PM."),
        (on("0124", "9:00-17:00"), "Monday through Wednesday and Friday, 9 AM to 5 PM."),
        (on("0123456", "9:00-17:00"), "Monday through Sunday, 9 AM to 5 PM."),
        (
            on("0123", "8:00-17:00") + on("4", "8:00-12:00"),
            "Monday through Thursday, 8 AM to 5 PM. Friday, 8 AM to noon.",
        ),
        (on("4", "20:00-02:00"), "Friday, 8 PM to 2 AM."),
        (on("4", "18:00-00:00"), "Friday, 6 PM to midnight."),
        (on("56", "00:00-00:00"), "Saturday and Sunday, all day."),
        (on("0", "13:00-17:00", "8:00-12:00"), "Monday, 8 AM to noon and 1 PM to 5 PM."),
    ],
)
def test_days_with_the_same_times_are_said_together(week, sentence):
    assert heard(*week).startswith(f"We are open {sentence}")


def test_a_clinic_that_never_closes():
    assert heard(*on("0123456", "00:00-00:00")) == "We are open day and night, every day. We are open now."


def test_a_clinic_without_opening_hours():
    plan = a_plan().model_copy(update={"schedule": a_schedule().model_copy(update={"week": ()})})
    assert office_hours(plan, "en", MONDAY_NOON).text == "I do not have our opening hours. We are closed now."


def test_open_past_midnight():
    assert "We are open now, until 2 AM." in heard(*on("0", "20:00-02:00"), when=MONDAY_NIGHT)


def test_a_closed_day_has_its_own_words():
    text = heard(when=MONDAY_NOON, closures=(closed_on("2026-11-23", message={"en": "We are at a course."}),))
    assert text.endswith("We are at a course. We are closed now. We open again tomorrow at 8 AM.")


def test_a_closed_day_without_words():
    text = heard(when=MONDAY_NOON, closures=(closed_on("2026-11-23"),))
    assert "Today we are closed." in text
    assert text.endswith("We open again tomorrow at 8 AM.")


def test_special_hours_today():
    hours = (SpecialInterval(opens=time(9), closes=time(14)),)
    text = heard(when=MONDAY_NOON, closures=(closed_on("2026-11-23", hours=hours),))
    assert text.endswith("Today we are open 9 AM to 2 PM. We are open now, until 2 PM.")


def test_a_long_holiday_ends_on_a_date():
    text = heard(
        when=MONDAY_NOON,
        closures=(Closure(name="h", starts_on=date(2026, 11, 23), ends_on=date(2027, 1, 3)),),
    )
    assert text.endswith("We open again Monday, January 4 at 8 AM.")


def test_the_switch_decides_what_is_now():
    closed = Switch(state="closed", until=at("2026-11-23 15:00"))
    assert heard(switch=closed).endswith("We are closed now. We open again today at 3 PM.")
    opened = Switch(state="open", until=at("2026-11-23 23:00"))
    assert heard(when=MONDAY_NIGHT, switch=opened).endswith("We are open now, until 11 PM.")


@pytest.mark.parametrize(
    ("week", "when", "sentence"),
    [
        (
            on("01234", "8:00-17:00"),
            MONDAY_NOON,
            "Atendemos de lunes a viernes, de las 8 de la mañana a las 5 de la tarde.",
        ),
        (on("01234", "8:00-17:00"), MONDAY_NOON, "En este momento está abierto, hasta las 5 de la tarde."),
        (on("01234", "8:30-17:00"), MONDAY_NIGHT, "Abrimos otra vez mañana a las 8:30 de la mañana."),
        (
            on("5", "9:00-13:00"),
            MONDAY_NOON,
            "Atendemos los sábados, de las 9 de la mañana a la 1 de la tarde.",
        ),
        (
            on("02", "9:00-12:00"),
            MONDAY_NIGHT,
            "Atendemos los lunes y los miércoles, de las 9 de la mañana a las 12 del día.",
        ),
        (on("4", "9:00-13:30"), MONDAY_NIGHT, "Abrimos otra vez el viernes a las 9 de la mañana."),
    ],
)
def test_spanish_hours(week, when, sentence):
    assert sentence in heard(*week, when=when, language="es")


INTERVALS = st.builds(
    Interval,
    weekday=st.integers(0, 6),
    opens=st.times().map(lambda moment: moment.replace(second=0, microsecond=0)),
    closes=st.times().map(lambda moment: moment.replace(second=0, microsecond=0)),
)


@given(
    st.lists(INTERVALS, max_size=5),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    st.sampled_from(["en", "es"]),
)
def test_every_week_at_every_moment_has_an_answer(week, moment, language):
    plan = a_plan(schedule=a_schedule(*week))
    text = office_hours(plan, language, moment.replace(tzinfo=NEW_YORK)).text
    assert text
    assert "{" not in text
    assert "\N{NARROW NO-BREAK SPACE}" not in text
