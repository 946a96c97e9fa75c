"""`simulate_call`: one call through the real call flow, by a caller made of a script, on simulated time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import phonenumbers
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from agent_worker.lines.simulated import ScriptError, Turn, read_script
from agent_worker.simulation import simulate
from phone.publishing import LoadedPlan, live_plan

DEFAULT_CALLER = "+12025550147"
"""A number from the range reserved for fiction."""
YEARS = range(2000, 2101)
"""The years of which opening hours can be told."""


class Command(BaseCommand):
    help = (
        "Place one call through the real call flow with a scripted caller, on simulated time. "
        "Each prompt that asks for something uses the next group of --keys; "
        "when they are used up, the caller hangs up."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--keys",
            default="",
            help='groups of keys, one a prompt: "1 1 4821# 1". Also: hear (let the prompt finish first), '
            'wait:1.5, hangup, say:"words"',
        )
        parser.add_argument(
            "--say", action="append", default=[], help="words said after the keys, one prompt each"
        )
        parser.add_argument("--at", help="the clinic's clock: 2026-12-24T16:59, in the clinic's zone")
        parser.add_argument(
            "--line", default="", help="the number dialled (E.164); without it, the first line"
        )
        parser.add_argument(
            "--from", dest="caller", default=DEFAULT_CALLER, help="the caller's number; “withheld” for none"
        )
        parser.add_argument("--language", help="go on in this language from the start, such as es")
        parser.add_argument("--burst", action="store_true", help="press all keys at once at the start")
        parser.add_argument("--json", action="store_true", help="one JSON object a line, and nothing else")
        parser.add_argument("--dry-run", action="store_true", help="store nothing")

    def handle(self, **options: Any) -> None:
        loaded = self._plan(options["line"])
        turns = self._turns(options["keys"], options["say"])
        caller = self._caller(options["caller"])
        language = self._language(options["language"], loaded)
        show = self._print_json if options["json"] else self._print_line
        simulate(
            turns,
            loaded=loaded,
            caller=caller,
            answered_at=self._at(options["at"], loaded),
            language=language,
            burst=options["burst"],
            dry_run=options["dry_run"],
            watch=show,
        )

    def _plan(self, number: str) -> LoadedPlan:
        try:
            loaded = live_plan(number)
        except DatabaseError:
            self._refuse("The database is not set up. Run “make run” once, or “python manage.py migrate”.")
        if loaded is None and number:
            self._refuse(f"No line with a published plan has the number {number}.")
        if loaded is None:
            self._refuse(
                "No plan is published. Run “python manage.py seed_demo”, or press Publish in the admin."
            )
        return loaded

    def _turns(self, keys: str, sayings: Sequence[str]) -> list[Turn]:
        try:
            return read_script(keys, sayings)
        except ScriptError as error:
            self._refuse(str(error))

    def _caller(self, number: str) -> str:
        if number in ("", "withheld"):
            return ""
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            self._refuse(f"“{number}” is no telephone number. Write it as +12025550147, or “withheld”.")
        return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

    def _language(self, language: str | None, loaded: LoadedPlan) -> str | None:
        offered = loaded.plan.clinic.languages
        if language is not None and language not in offered:
            self._refuse(f"The clinic does not offer “{language}”, only {', '.join(offered)}.")
        return language

    def _at(self, moment: str | None, loaded: LoadedPlan) -> datetime:
        zone = ZoneInfo(loaded.plan.schedule.zone)
        if moment is None:
            return datetime.now(zone)
        try:
            at = datetime.fromisoformat(moment)
        except ValueError:
            self._refuse(f"“{moment}” is no date and time. Write it as 2026-12-24T16:59.")
        if at.year not in YEARS:
            self._refuse(f"“{moment}” is too far away. Choose a year from {YEARS[0]} to {YEARS[-1]}.")
        # By way of UTC, so that a time that spring leaves out becomes the one that clocks show then.
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC).astimezone(zone)

    def _refuse(self, sentence: str) -> NoReturn:
        raise CommandError(sentence, returncode=2)

    def _print_json(self, event: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(event, ensure_ascii=False))

    def _print_line(self, event: dict[str, Any]) -> None:
        fields = {name: value for name, value in event.items() if name not in ("event", "t")}
        words = "  ".join(f"{name}={value}" for name, value in fields.items() if value != "")
        self.stdout.write(f"{event['t']:8.2f}  {event['event']:<9} {words}")
