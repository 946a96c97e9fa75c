"""A process beside the web process, as a worker is one: it does on the shared database what each line of input says.

It answers each line with one of its own. Started by tests/test_services_for_real.py.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
django.setup()

# From here on there are models, which these modules name.
from celery import current_app  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from agent_worker.ids import uuid7  # noqa: E402
from clinic.models import Clinic  # noqa: E402
from phone.models import Request  # noqa: E402
from phone.records import CallStarted, RequestTaken  # noqa: E402
from phone.services import write_records  # noqa: E402

ANSWERS = "-> "
"""Before each answer: what else is printed is no answer."""


def leave_request() -> str:
    """A caller leaves a request; its id."""
    now = datetime.now(UTC)
    clinic, call, request = Clinic.objects.get(), uuid7(now), uuid7(now)
    started = CallStarted(
        call=call,
        at=now,
        clinic_id=clinic.pk,
        line_id=None,
        plan_version_id=None,
        origin="phone",
        caller="",
        language="en",
        after_hours=False,
    )
    taken = RequestTaken(
        call=call,
        id=request,
        at=now,
        clinic_id=clinic.pk,
        patient_id=None,
        kind="callback",
        priority="normal",
        number="+12125550123",
        part_of_day="",
        topic="",
        note="",
        language="en",
        confirmed=True,
        due_at=None,
    )
    write_records([started, taken])
    return str(request)


def mailed(request: str) -> str:
    """Whether the office got its mail about this request."""
    return str(Request.objects.filter(pk=request, announced_at__isnull=False).exists())


def log_in() -> str:
    """The administrator's session."""
    browser = Client()
    browser.force_login(User.objects.get(username="admin"))
    return browser.cookies["sessionid"].value


def cut_database_connections() -> str:
    """Close everybody else's connection, as a restart of PostgreSQL does; how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        return str(cursor.fetchone()[0])


def send_task(name: str, *arguments: str) -> str:
    """Put a task into the queue."""
    current_app.send_task(name, args=arguments)
    return name


COMMANDS = {
    function.__name__: function
    for function in (leave_request, mailed, log_in, cut_database_connections, send_task)
}

if __name__ == "__main__":
    for line in sys.stdin:
        name, *arguments = line.split()
        print(f"{ANSWERS}{COMMANDS[name](*arguments)}", flush=True)
