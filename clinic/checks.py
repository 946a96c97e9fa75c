"""System checks: what must not be so where real patients call. `manage.py check --deploy` shows them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

from clinic.crypto import check_key_file
from clinic.demo import DEMO_CLINIC, DEMO_LOGINS
from clinic.models import Clinic

register(check_key_file, Tags.security)


@register(Tags.security)
def open_to_any_host(**_: Any) -> list[CheckMessage]:
    """Production answers to the names it was given, not to any."""
    if settings.DEMO or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "CLINIC_ALLOWED_HOSTS allows every host name.",
            hint="Name the hosts of the site, separated by commas.",
            id="clinic.E003",
        )
    ]


@register(Tags.security, deploy=True)
def demo_mode(**_: Any) -> list[CheckMessage]:
    """The demo's logins are public: it is no deployment."""
    if not settings.DEMO:
        return []
    return [
        Error(
            "This is the demo: its logins are public and its pages are not encrypted.",
            hint="Set CLINIC_MODE=production; README.md lists what else that needs.",
            id="clinic.E004",
        )
    ]


@register(Tags.security, deploy=True)
def mail_goes_nowhere(**_: Any) -> list[CheckMessage]:
    """Without a mail server nobody at the office learns of an urgent request by mail."""
    if settings.DEMO or "console" not in settings.EMAIL_BACKEND:
        return []
    return [
        Error(
            "No mail server is set: news of a caller's request would be printed and not sent.",
            hint="Set CLINIC_SMTP_URL and CLINIC_MAIL_FROM.",
            id="clinic.E005",
        )
    ]


@register(Tags.security, deploy=True)
def phone_page_is_public(**_: Any) -> list[CheckMessage]:
    """Anyone who can open the phone page can call the clinic, as often as the limit allows."""
    if settings.DEMO or not settings.PHONE_PAGE_ENABLED:
        return []
    return [
        Warning(
            "The phone page is on: everyone who can reach this site can call the clinic from it.",
            hint="Leave CLINIC_PHONE_PAGE unset unless that is wanted.",
            id="clinic.W001",
        )
    ]


@register(Tags.security, deploy=True)
def one_process_only(**_: Any) -> list[CheckMessage]:
    """SQLite and in-memory messages serve one process on one machine."""
    if settings.DEMO:
        return []
    found: list[CheckMessage] = []
    if connections["default"].vendor == "sqlite":
        found.append(
            Warning(
                "The database is SQLite: it holds one machine's calls and is backed up as a file.",
                hint="Set DATABASE_URL to use PostgreSQL.",
                id="clinic.W002",
            )
        )
    if not settings.REDIS_URL:
        found.append(
            Warning(
                "There is no Redis: everything has to run in one process (manage.py serve).",
                hint="Set REDIS_URL to run several.",
                id="clinic.W003",
            )
        )
    return found


@register(Tags.database)
def demo_data_in_production(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The demo's logins are public, and its patients are not real."""
    if settings.DEMO or not databases:
        return []
    tables = connections["default"].introspection.table_names()
    found: list[CheckMessage] = []
    users = get_user_model()
    if users._meta.db_table in tables:
        logins = users.objects.filter(username__in=DEMO_LOGINS, is_active=True)
        if names := sorted(login.get_username() for login in logins):
            found.append(
                Error(
                    f"The demo's logins can come in: {', '.join(names)}.",
                    hint="Delete these users, or start with an empty database.",
                    id="clinic.E006",
                )
            )
    if Clinic._meta.db_table in tables and Clinic.objects.filter(slug=DEMO_CLINIC).exists():
        found.append(
            Error(
                "The demo clinic is in this database.",
                hint="Delete it, or start with an empty database.",
                id="clinic.E007",
            )
        )
    return found
