"""`manage.py seed_demo`: the demo clinic, “Bright Smile Dental”."""

from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from phone.publishing import PlanInvalid
from phone.seeding import seed_demo


class Command(BaseCommand):
    help = "Make the demo clinic with its patients and logins, and publish its plan. Overwrites nothing."

    def handle(self, **_: object) -> None:
        if not settings.DEMO:
            raise CommandError(
                "The demo's logins are public, so the demo is not made in production. Set CLINIC_MODE=demo to try it."
            )
        try:
            for sentence in seed_demo():
                self.stdout.write(sentence)
        except PlanInvalid as invalid:
            raise CommandError(f"The clinic's plan cannot be published: {invalid}") from invalid
