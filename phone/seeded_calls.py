"""Made-up past calls of the demo clinic: plausible, many, fast, and the same again for the same seed.

They follow the clinic's own plan: its hours say which came after hours, its menu and wording what was heard and
chosen. Rows are tuples of plain values that SQLite and PostgreSQL both take, because a hundred thousand calls are
two million rows, and model instances alone would take minutes: ids as 32 hex digits, times as text in UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from itertools import islice
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, models, transaction

from clinic.evidence import seal_of_values
from phone import wording
from phone.models import Call, CallEvent, ConsentRecord, KeypadEntry, PhoneLine, PlanVersion, Request
from phone.plan import MenuOption, PhonePlan
from phone.querysets import start_of_day

CALLS_AT_ONCE = 2_000
"""Calls per transaction: enough to be fast, few enough to stay small in memory."""

HOURS = (1, 1, 1, 1, 1, 2, 4, 12, 60, 82, 78, 64, 38, 58, 66, 56, 44, 26, 12, 8, 5, 3, 2, 1)
"""Shares of the calls by hour: the morning is busiest, lunch is quiet, few call at night."""
WEEKDAYS = (13, 11, 10, 10, 9, 3, 1)
OUTCOMES = {
    Call.Outcome.COMPLETED: 34,
    Call.Outcome.REQUEST_TAKEN: 33,
    Call.Outcome.CALLER_HUNG_UP: 21,
    Call.Outcome.CONSENT_REFUSED: 5,
    Call.Outcome.NO_INPUT: 5,
    Call.Outcome.BUSY: 1,
    Call.Outcome.FAILED: 1,
}
CALLERS = tuple(f"+1{area}555{number:04}" for area in (202, 212, 312, 415, 617) for number in range(100, 200))
"""Numbers that are kept for fiction (555-0100 to 555-0199)."""
PARTS_OF_DAY = tuple(Request.PartOfDay.values)


Row = tuple[Any, ...]

COLUMNS: dict[type[models.Model], tuple[str, ...]] = {
    Call: (
        "id", "clinic", "line", "plan_version", "origin", "caller_number", "patient", "language", "started_at",
        "ended_at", "heartbeat_at", "after_hours", "outcome", "served", "ended_in_step", "consent",
        "room", "epoch", "on_hold",
    ),
    CallEvent: ("id", "call", "seq", "at", "kind", "step", "data"),
    KeypadEntry: (
        "id", "call", "at", "step", "attempt", "source", "outcome", "digits", "digits_key", "first_key_after", "took",
    ),
    ConsentRecord: (
        "id", "call", "subject", "decision", "how", "language", "wording", "wording_hash", "covers_recording",
        "covers_transcript", "covers_outside_processing", "asked_at", "answered_at", "heard_to_end", "plan_number",
        "plan_hash", "answer", "seal",
    ),
    Request: (
        "id", "clinic", "call", "patient", "kind", "priority", "number", "part_of_day", "topic", "note", "language",
        "confirmed", "created_at", "due_at", "announced_at", "taken_at", "done_at",
    ),
}  # fmt: skip
"""The fields of each row, in the order of its tuple. Calls come first: the others refer to them."""
SEALED = ["call_id" if name == "call" else name for name in COLUMNS[ConsentRecord] if name != "seal"]
"""What the seal of a consent record covers, in the order of its tuple."""


def store_seeded_calls(*, version: PlanVersion, count: int, seed: int, today: date, days: int = 90) -> int:
    """Store `count` calls of the `days` days before `today`. Rows that are there already stay as they are.

    `version` is the plan on which the calls were made. Returns how many calls were new.
    """
    seeded = Call.objects.filter(origin=Call.Origin.SEED)
    before = seeded.count()
    stories = CallMaker(version, Random(seed), today, days).stories(count)
    while chunk := list(islice(stories, CALLS_AT_ONCE)):
        with transaction.atomic():
            for model in COLUMNS:
                _insert(model, [row for story in chunk for row in story.rows[model]])
    return seeded.count() - before


def _insert(model: type[models.Model], rows: list[Row]) -> None:
    quote = connection.ops.quote_name
    by_name = {field.name: str(field.column) for field in model._meta.concrete_fields}
    columns = ", ".join(quote(by_name[name]) for name in COLUMNS[model])
    places = ", ".join(["%s"] * len(COLUMNS[model]))
    table = quote(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING",
            rows,
        )


def as_text(at: datetime | None) -> str | None:
    """A moment as both databases read it: UTC, without an offset."""
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


@lru_cache(maxsize=4096, typed=True)
def as_json(items: tuple[tuple[str, Any], ...]) -> str:
    """An event's data. Most of it repeats from call to call."""
    return json.dumps(dict(items))


class CallMaker:
    """Makes calls on one published plan."""

    def __init__(self, version: PlanVersion, random: Random, today: date, days: int) -> None:
        self.version, self.random = version, random
        self.clinic = version.clinic
        self.plan = PhonePlan.model_validate(version.content)
        self.menu = self.plan.menu(self.plan.main_menu)
        self.zone = ZoneInfo(self.clinic.time_zone)
        self.days = [today - timedelta(days=back) for back in range(1, days + 1)]
        self.line = PhoneLine.objects.filter(clinic=self.clinic).order_by("pk").first()
        patients = self.clinic.patients.filter(active=True).order_by("pk")
        self.patients = list(patients.values_list("pk", flat=True)[:500])
        # Hours, wording and promises repeat from call to call; working them out anew would take most of the time.
        self.is_open = cache(lambda day, hour: self.plan.is_open(self.on_the_hour(day, hour)))
        self.promise = cache(
            lambda day, hour: as_text(wording.due_at(self.plan, self.on_the_hour(day, hour)))
        )
        self.words = cache(self._words)

    def stories(self, count: int) -> Iterator[Story]:
        """`count` calls, the oldest first."""
        days = self.random.choices(self.days, [WEEKDAYS[day.weekday()] for day in self.days], k=count)
        hours = self.random.choices(range(24), HOURS, k=count)
        outcomes = self.random.choices(list(OUTCOMES), list(OUTCOMES.values()), k=count)
        for (day, hour), outcome in zip(sorted(zip(days, hours, strict=True)), outcomes, strict=True):
            yield Story(self, day, hour, outcome)

    def new_id(self, at: datetime) -> str:
        """A UUIDv7 (RFC 9562, section 5.7) as 32 hex digits; its random part comes from the seed."""
        random_a, random_b = self.random.getrandbits(12), self.random.getrandbits(62)
        milliseconds = int(at.timestamp() * 1000)
        return f"{milliseconds << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b:032x}"

    def on_the_hour(self, day: date, hour: int) -> datetime:
        return start_of_day(day, self.zone).replace(hour=hour)

    def _words(self, step: str, language: str) -> str:
        if step == "greeting":
            return wording.greeting(self.plan, language, self.on_the_hour(self.days[0], 12), keys=True).text
        if step == "consent":
            return wording.consent_question(self.plan, language, keys=True).text
        return wording.menu_prompt(self.plan, self.menu, language, keys=True).text


class Story:
    """One call in an hour of a day of the clinic's calendar, told step by step: each leaves its rows in `rows`."""

    def __init__(self, maker: CallMaker, day: date, hour: int, outcome: Call.Outcome) -> None:
        self.maker, self.random, self.outcome = maker, maker.random, outcome
        start = maker.on_the_hour(day, hour).astimezone(UTC)
        self.now = start + timedelta(milliseconds=self.random.randrange(3_600_000))
        self.id = maker.new_id(self.now)
        self.caller = "" if self.random.random() < 0.06 else self.random.choice(CALLERS)
        languages = maker.plan.clinic.languages
        self.language = self.random.choice(languages) if self.random.random() < 0.3 else languages[0]
        self.step, self.decision, self.served = "", "", Call.Served.NOTHING.value
        self.patient_id: int | None = None
        self.attempts: Counter[str] = Counter()
        self.rows: dict[type[models.Model], list[Row]] = {model: [] for model in COLUMNS}
        started_at = self.now
        self.tell()
        ended_at = as_text(self.now)
        self.rows[Call].append(
            (
                self.id, maker.clinic.pk, maker.line.pk if maker.line else None, maker.version.pk,
                Call.Origin.SEED.value, self.caller, self.patient_id, self.language, as_text(started_at), ended_at,
                ended_at, not maker.is_open(day, hour), outcome.value, self.served, self.step, self.decision, "", 1,
                False,
            )
        )  # fmt: skip

    def tell(self) -> None:
        """From the answer to the last event."""
        answered_at = self.now
        self.event("call", plan_version=self.maker.version.number)
        if self.outcome != Call.Outcome.BUSY:
            self.enter("greeting")
            self.prompt("greeting", 6, 9)
            if self.outcome != Call.Outcome.FAILED:
                self.go_on()
        duration = round((self.now - answered_at).total_seconds(), 3)
        self.event("ended", outcome=self.outcome.value, duration=duration, served=self.served)

    def go_on(self) -> None:
        """Consent, the menu, and where it leads."""
        hangs_up_in = self.random.choice(("consent", "menu", "patient_id"))
        hangs_up_in = hangs_up_in if self.outcome == Call.Outcome.CALLER_HUNG_UP else ""
        self.enter("consent")
        self.prompt("consent", 3, 8)
        if hangs_up_in == "consent":
            return
        if self.outcome == Call.Outcome.CONSENT_REFUSED:
            self.consent("refused")
            self.enter("goodbye")
            return
        self.consent("given" if self.random.random() < 0.93 else "no_answer")
        self.enter("menu")
        self.prompt("menu", 3, 10)
        if self.outcome == Call.Outcome.NO_INPUT:
            for _ in range(self.maker.plan.keypad.no_input_limit):
                self.entry("no_input")
        elif hangs_up_in != "menu":
            self.choose(hangs_up_in)

    def choose(self, hangs_up_in: str) -> None:
        """A menu option: information, or a patient ID and a request."""
        if self.random.random() < 0.07:
            self.entry("invalid", self.random.choice("6789"))
            self.prompt("menu", 3, 10)
        informed = self.outcome == Call.Outcome.COMPLETED
        option = self.option(informs=informed)
        self.entry("accepted", option.key)
        label = wording.label(self.maker.plan, option, self.language)
        self.event("menu", menu=self.maker.menu.name, option=label, action=option.action)
        if informed:
            self.pass_time(8, 20)
            self.served = Call.Served.INFORMATION.value
        else:
            self.enter("patient_id")
            self.pass_time(3, 8)
            if hangs_up_in:
                return
            self.patient()
            self.request()
        self.enter("goodbye")

    def option(self, *, informs: bool) -> MenuOption:
        """An option of the main menu: one that informs, or one that can end in a request."""
        actions = (
            ("office_hours", "say") if informs else ("appointment", "callback", "receptionist", "person")
        )
        options = self.maker.menu.options
        return self.random.choice([one for one in options if one.action in actions] or options)

    def patient(self) -> None:
        """The ID of one of the clinic's patients, none, or now and then a wrong one."""
        outcome = self.random.choices(("identified", "none", "not_found"), (75, 20, 5))[0]
        if outcome == "identified" and not self.maker.patients:
            outcome = "not_found"
        self.entry("accepted", "" if outcome == "none" else "••••")
        if outcome == "identified":
            self.patient_id = self.random.choice(self.maker.patients)
        self.event("patient", outcome=outcome)

    def request(self) -> None:
        """A request, done by the office unless it came in over the last two days."""
        self.enter("request")
        self.pass_time(12, 30)
        local = self.now.astimezone(self.maker.zone)
        kind = "callback" if self.random.random() < 0.2 else "appointment"
        priority = "urgent" if self.random.random() < 0.04 else "normal"
        confirmed = self.random.random() < 0.92
        taken_at = done_at = None
        recent = local.date() >= self.maker.days[min(1, len(self.maker.days) - 1)]
        if not recent or self.random.random() < 0.6:
            taken_at = self.now + timedelta(minutes=self.random.uniform(10, 300))
            done_at = taken_at + timedelta(minutes=self.random.uniform(3, 60))
        now = as_text(self.now)
        self.rows[Request].append(
            (
                self.maker.new_id(self.now), self.maker.clinic.pk, self.id, self.patient_id, kind, priority,
                self.caller or self.random.choice(CALLERS), self.random.choice(PARTS_OF_DAY), "", "", self.language,
                confirmed, now, self.maker.promise(local.date(), local.hour), now, as_text(taken_at),
                as_text(done_at),
            )
        )  # fmt: skip
        self.served = Call.Served.REQUEST.value
        self.event("request", kind=kind, priority=priority, confirmed=confirmed)

    def consent(self, decision: str) -> None:
        """The answer to the consent question, by key or by silence."""
        question = self.maker.words("consent", self.language)
        asked_at = self.now - timedelta(seconds=self.random.uniform(2, 7))
        given = decision == "given"
        silent = decision == "no_answer"
        heard = silent or self.random.random() < 0.7
        permitted = given and heard
        self.entry("no_input" if silent else "accepted", "" if silent else "1" if given else "2")
        row = (
            self.maker.new_id(self.now), self.id, ConsentRecord.Subject.CALL.value, decision,
            "silence" if silent else "keypad", self.language, question,
            hashlib.sha256(question.encode()).hexdigest(), permitted, permitted, permitted,
            as_text(asked_at), as_text(self.now), heard, self.maker.version.number, self.maker.version.content_hash,
            "" if silent else "1" if given else "2",
        )  # fmt: skip
        seal = seal_of_values(ConsentRecord, dict(zip(SEALED, row, strict=True)))
        self.rows[ConsentRecord].append((*row, seal))
        self.decision = decision
        self.event("consent", decision=decision, heard_to_end=heard, recording=permitted)

    def entry(self, outcome: str, digits: str = "") -> None:
        """One entry by keypad."""
        self.pass_time(0.8, 6)
        self.attempts[self.step] += 1
        attempt = self.attempts[self.step]
        first_key_after = round(self.random.uniform(0.5, 7), 3) if digits else None
        took = round(0.35 * (len(digits) - 1) + self.random.uniform(0, 0.3), 3) if digits else None
        self.rows[KeypadEntry].append(
            (
                self.maker.new_id(self.now), self.id, as_text(self.now), self.step, attempt, "keypad", outcome,
                digits, "", first_key_after, took,
            )
        )  # fmt: skip
        self.event("entry", source="keypad", outcome=outcome, attempt=attempt, digits=digits)

    def enter(self, step: str) -> None:
        self.step = step
        self.event("step")

    def prompt(self, step: str, shortest: float, longest: float) -> None:
        self.event("prompt", text=self.maker.words(step, self.language))
        self.pass_time(shortest, longest)

    def pass_time(self, shortest: float, longest: float) -> None:
        """Seconds go by."""
        self.now += timedelta(milliseconds=int(1000 * self.random.uniform(shortest, longest)))

    def event(self, kind: str, /, **data: Any) -> None:
        events = self.rows[CallEvent]
        events.append(
            (
                self.maker.new_id(self.now), self.id, len(events) + 1, as_text(self.now), kind, self.step,
                as_json(tuple(data.items())),
            )
        )  # fmt: skip
