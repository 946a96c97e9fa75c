"""A clinic, its staff, and calls as rows, for tests of the office's pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User

from agent_worker.ids import uuid7
from clinic.models import Clinic
from phone.models import Call, CallEvent, Request

MONDAY_NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
"""Noon in New York."""


def make_clinic(**fields: Any) -> Clinic:
    wanted = {"name": "Bright Smile Dental", "slug": "bright-smile", "time_zone": "America/New_York"}
    return Clinic.objects.create(**(wanted | fields))


def make_staff(name: str, *permissions: str) -> User:
    """A member of staff with these permissions on calls, requests and patients."""
    user: User = get_user_model().objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def make_receptionist(name: str = "rita") -> User:
    return make_staff(name, "view_call", "view_request", "change_request", "view_patient")


def make_call(clinic: Clinic, at: datetime = MONDAY_NOON, **fields: Any) -> Call:
    wanted: dict[str, Any] = {
        "origin": Call.Origin.BROWSER,
        "language": "en",
        "started_at": at,
        "ended_at": at + timedelta(seconds=75),
        "heartbeat_at": at,
        "outcome": Call.Outcome.COMPLETED,
        "served": Call.Served.INFORMATION,
        "consent": "given",
    }
    return Call.objects.create(id=uuid7(at), clinic=clinic, **(wanted | fields))


def add_event(call: Call, kind: str, /, *, step: str = "", seconds: float = 1, **data: Any) -> CallEvent:
    at = call.started_at + timedelta(seconds=seconds)
    seq = call.events.count() + 1
    return CallEvent.objects.create(id=uuid7(at), call=call, seq=seq, at=at, kind=kind, step=step, data=data)


def make_request(call: Call, **fields: Any) -> Request:
    wanted: dict[str, Any] = {
        "clinic": call.clinic,
        "call": call,
        "kind": Request.Kind.APPOINTMENT,
        "number": "+12025550123",
        "part_of_day": Request.PartOfDay.MORNING,
        "language": "en",
        "confirmed": True,
        "created_at": call.started_at,
        "due_at": call.started_at + timedelta(days=1),
    }
    return Request.objects.create(id=uuid7(call.started_at), **(wanted | fields))
