"""`manage.py sync_lines [--dry-run]`: make LiveKit's trunks and dispatch rules match the phone lines."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.crypto import CannotDecrypt, KeysUnavailable
from phone.line_sync import Done, sync_lines
from phone.livekit_api import LiveKitError
from phone.models import PhoneLine


class Command(BaseCommand):
    help = (
        "Makes the trunks and dispatch rules of the LiveKit server match the phone lines. It never touches what "
        "it did not make. Running it again does nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Show what differs, and change nothing.")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        done = []
        try:
            for each in sync_lines(dry_run=dry_run):
                done.append(each)
                self._tell(each, dry_run=dry_run)
        except (LiveKitError, KeysUnavailable, CannotDecrypt) as trouble:
            raise CommandError(str(trouble)) from trouble
        if any(each.refused for each in done):
            raise CommandError("The LiveKit server refused what is said above; those lines are as they were.")
        if not done:
            self.stdout.write(f"LiveKit is in step with the phone lines ({PhoneLine.objects.count()}).")

    def _tell(self, done: Done, *, dry_run: bool) -> None:
        if done.refused:
            self.stderr.write(f"Could not {done.step}. {done.refused}")
        else:
            self.stdout.write(f"{'Would' if dry_run else 'Done:'} {done.step}")
