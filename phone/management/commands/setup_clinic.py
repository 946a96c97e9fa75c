"""`manage.py setup_clinic`: asks an installer what a clinic needs, and makes it. Run again, it keeps what is there."""

from __future__ import annotations

import getpass
import secrets
import sys
import textwrap
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError, transaction
from django.db.models import Q
from django.urls import reverse

from clinic import crypto
from clinic.models import Clinic
from clinic.roles import Role
from phone.clinic_setup import QUESTIONS, Answers, clinic_set_up, defaults, parse_email
from phone.publishing import PlanInvalid, live_version, publish

ADMIN_NAME = "admin"
WIDTH = 100


class Command(BaseCommand):
    help = (
        "Asks for what a clinic needs: name, number, time zone, hours, emergency sentence, on-call number, mail, "
        "consent, and an administrator's log-in. Enter keeps what stands in brackets. Nothing is "
        "written before the last answer."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--clinic", default="", metavar="SHORT-NAME", help="which clinic, where there are several"
        )
        parser.add_argument(
            "--no-input",
            action="store_true",
            help="ask nothing: options, and what is there or usual for the rest",
        )
        for question in QUESTIONS:
            option = f"--{question.name.replace('_', '-')}"
            parser.add_argument(option, help=question.explains.replace("%", "%%"))
        parser.add_argument("--admin-name", help="the administrator's log-in name")
        parser.add_argument("--admin-email", help="the administrator's mail address")
        parser.add_argument(
            "--admin-password-file",
            metavar="FILE",
            help="a file whose first line is the password, “-” for standard input; without it one is made up and shown",
        )
        parser.add_argument(
            "--no-publish", action="store_true", help="leave publishing what callers hear to the admin"
        )

    def handle(self, **options: Any) -> None:
        try:
            clinic = self.find_clinic(options["clinic"])
        except (OperationalError, ProgrammingError):
            raise CommandError("The database is not ready. Run “python manage.py migrate” first.") from None
        try:
            self.set_up(clinic, options)
        except EOFError:
            raise CommandError(
                "Nobody is there to answer. Use --no-input, and options for the answers."
            ) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. Nothing was changed.") from None

    def find_clinic(self, slug: str) -> Clinic | None:
        """The clinic to set up; None for a new one."""
        if slug:
            return Clinic.objects.filter(slug=slug).first()
        clinics = list(Clinic.objects.order_by("slug")[:10])
        if len(clinics) > 1:
            names = ", ".join(clinic.slug for clinic in clinics)
            raise CommandError(f"Say which clinic with --clinic: {names}, or a new short name.")
        return clinics[0] if clinics else None

    def set_up(self, clinic: Clinic | None, options: dict[str, Any]) -> None:
        if clinic:
            self.stdout.write(f"Found the clinic “{clinic}”. Press Enter to keep what stands in [brackets].")
        answers = self.ask_about(clinic, options)
        login = self.ask_for_login(options)
        wants_publishing = not options["no_publish"] and (
            options["no_input"] or self.yes("Publish, so that callers hear it from now on?")
        )
        if made := crypto.ensure_key_file():
            self.stdout.write(f"Made the key file {made}. {crypto.BACK_UP}")
        try:
            with transaction.atomic():
                clinic, done = clinic_set_up(clinic=clinic, slug=options["clinic"], answers=answers)
                done += login()
        except ValueError as wrong:
            raise CommandError(f"{wrong} Nothing was changed.") from None
        for sentence in done or ["Everything was as you said: nothing was changed."]:
            self.stdout.write(sentence)
        if wants_publishing:
            self.publish(clinic)
        page = f"{settings.PUBLIC_URL}{reverse('admin:phone_confirmation_changelist')}"
        self.stdout.write(f"\nGo on at {page}: it shows what is still missing.")

    # -- Questions -------------------------------------------------------------------------------------------

    def ask_about(self, clinic: Clinic | None, options: dict[str, Any]) -> Answers:
        usual = defaults(clinic)
        return Answers(
            **{
                question.name: self.answer(
                    question.asks,
                    question.explains,
                    usual[question.name],
                    question.parse,
                    given=options[question.name],
                    option=question.name,
                    no_input=options["no_input"],
                )
                for question in QUESTIONS
            }
        )

    def answer(
        self,
        asks: str,
        explains: str,
        usual: str,
        parse: Callable[[str], Any],
        *,
        given: str | None,
        option: str,
        no_input: bool,
    ) -> Any:
        """The option's value, or what the installer says; asked again until it makes sense. Raises CommandError."""
        if given is not None or no_input:
            try:
                return parse((usual if given is None else given).strip())
            except ValueError as wrong:
                raise CommandError(f"--{option.replace('_', '-')}: {wrong}") from None
        self.stdout.write("")
        self.stdout.write(textwrap.fill(explains, WIDTH))
        while True:
            said = input(f"{asks} [{usual}]: ").strip()
            try:
                return parse(said or usual)
            except ValueError as wrong:
                self.stdout.write(str(wrong))

    def yes(self, asks: str) -> bool:
        return input(f"\n{asks} [yes]: ").strip().lower() in ("", "y", "yes")

    # -- The administrator -----------------------------------------------------------------------------------

    def ask_for_login(self, options: dict[str, Any]) -> Callable[[], list[str]]:
        """What makes the administrator once everything is known; it tells what it did."""
        known = administrators().order_by("pk").first()
        name = self.answer(
            "Administrator's log-in",
            "Who may do everything in the admin, and makes the log-ins of the others. One that exists is kept.",
            known.get_username() if known else ADMIN_NAME,
            parse_login,
            given=options["admin_name"],
            option="admin_name",
            no_input=options["no_input"],
        )
        if administrators().filter(username=name).exists():
            return list
        email = self.answer(
            "Administrator's mail address",
            "What IT should know is sent there. “none” for no mail.",
            "none",
            parse_email,
            given=options["admin_email"],
            option="admin_email",
            no_input=options["no_input"],
        )
        user = User(username=name, email=email, is_staff=True)
        password, made_up = self.password_for(user, options)

        def make() -> list[str]:
            user.set_password(password)
            user.save()
            user.groups.add(Group.objects.get_or_create(name=Role.ADMINISTRATOR)[0])
            shown = f" Its password is {password} (it is not shown again)." if made_up else ""
            return [f"Made the administrator's log-in “{name}”.{shown}"]

        return make

    def password_for(self, user: User, options: dict[str, Any]) -> tuple[str, bool]:
        """The password, and whether it was made up. Raises CommandError."""
        if options["admin_password_file"]:
            password = first_line(options["admin_password_file"])
            if complaint := weakness(password, user):
                raise CommandError(f"--admin-password-file: {complaint}")
            return password, False
        if options["no_input"]:
            return secrets.token_urlsafe(15), True
        self.stdout.write("\nAt least twelve characters. Press Enter to have one made up and shown once.")
        while True:
            password = getpass.getpass("Administrator's password [made up]: ")
            if not password:
                return secrets.token_urlsafe(15), True
            if complaint := weakness(password, user):
                self.stdout.write(complaint)
            elif getpass.getpass("The same again: ") != password:
                self.stdout.write("The two are not the same.")
            else:
                return password, False

    # -- What callers hear -----------------------------------------------------------------------------------

    def publish(self, clinic: Clinic) -> None:
        """Make it what callers hear. Raises CommandError where that cannot be; everything is saved all the same."""
        try:
            publish(clinic.pk, note="Set up")
        except PlanInvalid as invalid:
            raise CommandError(f"All of it is saved, but callers do not hear it yet: {invalid}") from None
        live = live_version(clinic)
        self.stdout.write(f"Callers hear version {live.number if live else 0}.")


def administrators() -> Any:
    """The log-ins that may do everything."""
    users = get_user_model().objects.filter(is_active=True, is_staff=True)
    return users.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR)).distinct()


def parse_login(name: str) -> str:
    """A log-in's name: an administrator's, or one that is free."""
    try:
        User._meta.get_field("username").clean(name, None)
    except ValidationError:
        raise ValueError("A log-in has letters, digits and @ . + - _ only.") from None
    taken = get_user_model().objects.filter(username=name).exists()
    if taken and not administrators().filter(username=name).exists():
        raise ValueError(f"“{name}” is somebody else's log-in. Choose another name.")
    return name


def first_line(file: str) -> str:
    """The password in `file`. Raises CommandError."""
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"--admin-password-file: {file} cannot be read ({type(error).__name__})."
        ) from None
    return (text.splitlines() or [""])[0]


def weakness(password: str, user: User) -> str:
    """Why this password is too weak; empty where it is not."""
    try:
        validate_password(password, user)
    except ValidationError as weak:
        return " ".join(weak.messages)
    return ""
