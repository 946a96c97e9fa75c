"""`seed_calls --calls N`: made-up past calls for the demo clinic."""

from __future__ import annotations

import argparse
import secrets
import time
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from clinic.demo import DEMO_CLINIC
from clinic.models import Clinic
from phone.publishing import live_version
from phone.seeded_calls import store_seeded_calls


def number_of_calls(text: str) -> int:
    """A whole number from 1 up. Raises ArgumentTypeError with a sentence."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"“{text}” should be a whole number, such as 1000.")
    return int(text)


class Command(BaseCommand):
    help = "Adds made-up calls of the past 90 days to the demo clinic. Touches nothing that is there."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--calls", type=number_of_calls, default=1000, metavar="N", help="how many (1000)"
        )
        parser.add_argument("--seed", type=int, help="the same number makes the same calls, stored once")

    def handle(self, *, calls: int, seed: int | None, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "Made-up calls are for the demo. This is a production system; nothing was added."
            )
        clinic = Clinic.objects.filter(slug=DEMO_CLINIC).first()
        version = live_version(clinic) if clinic else None
        if clinic is None or version is None:
            raise CommandError("The demo clinic is not there yet. Run “python manage.py seed_demo” first.")
        started = time.monotonic()
        stored = store_seeded_calls(
            version=version,
            count=calls,
            seed=secrets.randbits(32) if seed is None else seed,
            today=timezone.now().astimezone(ZoneInfo(clinic.time_zone)).date(),
        )
        self.stdout.write(f"{stored:,} calls added in {time.monotonic() - started:.1f} s.")
