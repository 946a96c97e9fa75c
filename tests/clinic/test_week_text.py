"""Opening hours in one line: what people type, and what they read."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic.hours import Interval, overlaps
from clinic.week_text import format_week, parse_week


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Mon-Fri 8:00-17:00", "Mon-Fri 08:00-17:00"),
        ("monday to friday 8am to 5pm", "Mon-Fri 08:00-17:00"),
        ("Mon – Thu 8 – 17; fri 8-12", "Mon-Thu 08:00-17:00, Fri 08:00-12:00"),
        ("Mon, Wed, Fri 8:00-12:00 13:00-17:00", "Mon 08:00-12:00 13:00-17:00, "),
        ("Sat 9 a.m. - 1 p.m.", "Sat 09:00-13:00"),
        ("Fri-Mon 10-16", "Mon 10:00-16:00, Fri-Sun 10:00-16:00"),
        ("Sat 20:00-2:00", "Sat 20:00-02:00"),
        ("Mon-Sun 0:00-24:00", "Mon-Sun 00:00-00:00"),
        ("Mon 12am-12pm", "Mon 00:00-12:00"),
        ("Closed", "closed"),
    ],
)
def test_what_people_type_is_understood(typed: str, read: str) -> None:
    assert format_week(parse_week(typed)).startswith(read)


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("", "No opening time"),
        ("8:00-17:00", "belongs to no day"),
        ("Mon-Fri", "has no opening time"),
        ("Mon-Fri 8:00-17:00, Sat", "Sat has no opening time"),
        ("Mon-Wed-Fri 8-17", "no stretch of days"),
        ("Mo 8-17", "no day of the week"),
        ("Mon 9-5", "17:00 or 5pm"),
        ("Mon 8:00", "has no end"),
        ("Mon 8:75-17:00", "no time"),
        ("Mon 13pm-14pm", "no time"),
        ("Mon 8-25", "no time"),
        ("Mon-Fri 8:00-17:00, Wed 16:00-20:00", "overlap"),
        ("sometimes", "no day of the week"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(typed: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_week(typed)


minutes = st.integers(0, 1439).map(lambda minute: time(minute // 60, minute % 60))
intervals = st.builds(Interval, weekday=st.integers(0, 6), opens=minutes, closes=minutes)


@settings(max_examples=150, deadline=None)
@given(st.lists(intervals, max_size=6).filter(lambda week: not overlaps(week)))
def test_what_is_shown_reads_as_the_same_week(week: list[Interval]) -> None:
    shown = format_week(week)
    try:
        read = parse_week(shown)
    except ValueError as error:
        # A stretch that begins in the morning and ends on the next morning is more likely a slip of the pen.
        assert "next day" in str(error)
    else:
        assert sorted(read, key=repr) == sorted(week, key=repr)
