"""Prove that the evidence is as it was written."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from clinic import crypto
from clinic.append_only import missing_guards
from clinic.evidence import broken_seals, sealed_models

NAMED = 20
"""How many rows are named; a thousand names would help nobody."""


class Command(BaseCommand):
    help = "Checks the seal of every consent record, access record, legal hold and deletion. Exit 1 if one is broken."

    def handle(self, **_: object) -> None:
        problems = 0
        for guard in missing_guards():
            problems += 1
            self.stderr.write(f"The database does not guard {guard.table}: run “manage.py migrate”.")
        try:
            for model in sealed_models():
                broken = 0
                for row in broken_seals(model._default_manager.all()):
                    broken += 1
                    if broken <= NAMED:
                        what = "has no seal" if not row.seal else "is not as it was written"  # type: ignore[attr-defined]
                        self.stderr.write(f"{model._meta.verbose_name} {row.pk} {what}.".capitalize())
                count = model._default_manager.count()
                self.stdout.write(
                    f"{str(model._meta.verbose_name_plural).capitalize()}: {count}, broken: {broken}."
                )
                problems += broken
        except crypto.KeysUnavailable as unavailable:
            raise CommandError(str(unavailable)) from None
        if problems:
            raise CommandError("The evidence is not as it was written.")
        self.stdout.write("All evidence is as it was written.")
