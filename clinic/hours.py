"""When a clinic is open: pure decisions on frozen data, in the clinic's own time zone.

Nothing here touches the database, the clock or the process's time zone: callers pass an aware moment in.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Literal

from pydantic import BaseModel, ConfigDict


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
