"""Make the file that holds the keys for patient data, bring an old one up to date, or add a key to it."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from clinic import crypto


class Command(BaseCommand):
    help = (
        "Makes the key file for patient data if there is none, and adds a signing key to one that has none. "
        "--add adds a new encryption key to it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--add", action="store_true", help="Add an encryption key; the older ones still decrypt."
        )

    def handle(self, *, add: bool, **options: object) -> None:
        if add:
            try:
                key_id = crypto.add_encryption_key()
            except crypto.KeysUnavailable as unavailable:
                raise CommandError(str(unavailable)) from None
            self.stdout.write(f"The key {key_id} was added to {crypto.key_file()}. {crypto.BACK_UP}")
        elif path := crypto.ensure_key_file():
            self.stdout.write(f"Keys for patient data were made in {path}. {crypto.BACK_UP}")
        elif self.complete():
            self.stdout.write(f"A signing key was added to {crypto.key_file()}. {crypto.BACK_UP}")
        else:
            self.stdout.write(f"The keys for patient data are in {crypto.key_file()}. Nothing was changed.")

    def complete(self) -> bool:
        try:
            return crypto.complete_key_file()
        except crypto.KeysUnavailable as unavailable:
            raise CommandError(str(unavailable)) from None
