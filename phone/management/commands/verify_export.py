"""Check a file of consent evidence that was taken out: whose it is, and which part of it was changed."""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from clinic import crypto
from clinic.signed_json import NotADocument, SignedDocument, decoded, encoded, read_document
from phone.consent_evidence import KIND, wording_problems


class Command(BaseCommand):
    help = "Says whether a file of consent evidence is true, or which part is not. Exit 1 if one is not."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the file")
        parser.add_argument(
            "--public-key",
            default="",
            metavar="BASE64",
            help="the key that must have signed it; this system's own by default",
        )
        parser.add_argument("--recording", type=Path, help="a sound file: is it one that the evidence names?")

    def handle(self, *, file: Path, public_key: str, recording: Path | None, **_: object) -> None:
        try:
            document = read_document(file.read_bytes())
        except (NotADocument, OSError) as error:
            raise CommandError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
        key = self.key(public_key)
        problems = document.problems(key) + wording_problems(document)
        if document.statement.kind != KIND:
            problems.append(f"It is another kind of document: {document.statement.kind}.")
        if recording is not None:
            problems += self.other_sound(document, recording)
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise CommandError("This file is not as it was signed.")
        self.stdout.write(
            f"True: made at {document.statement.made_at}, {len(document.parts)} parts, signed by {encoded(key)}."
        )

    def key(self, given: str) -> bytes:
        """The public key to check with."""
        if given:
            return decoded(given)
        try:
            return crypto.public_key()
        except crypto.KeysUnavailable as unavailable:
            raise CommandError(f"{unavailable} Or name the key with --public-key.") from None

    def other_sound(self, document: SignedDocument, recording: Path) -> list[str]:
        """A problem, unless `recording` is one that the document names."""
        try:
            with recording.open("rb") as sound:
                sha256 = hashlib.file_digest(sound, "sha256").hexdigest()
        except OSError as error:
            raise CommandError(f"{recording}: {error.strerror}") from None
        named = {
            name
            for name, part in document.parts.items()
            if name.startswith("recording") and isinstance(part, dict) and part.get("sha256") == sha256
        }
        return [] if named else [f"{recording} is none of the recordings that are named in it."]
