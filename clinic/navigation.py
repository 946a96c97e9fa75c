"""The office's menu in the admin: what a receptionist needs first, what IT needs last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy


def allowed(permission: str) -> Callable[[HttpRequest], bool]:
    """Whether the person who looks has `permission` (`app.codename`)."""
    return lambda request: request.user.has_perm(permission)


def page(title: str, icon: str, name: str, permission: str = "") -> dict[str, Any]:
    """One entry: a Material symbol, and the URL name of an admin page."""
    entry = {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}
    return entry | {"permission": allowed(permission)} if permission else entry


def rows(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    """One entry that opens the list of a model."""
    return page(title, icon, f"{app}_{model}_changelist", f"{app}.view_{model}")


NAVIGATION = [
    {
        "title": "The day",
        "items": [
            page("Today", "today", "index"),
            rows("Requests", "task_alt", "phone", "request"),
            rows("Calls", "call", "phone", "call"),
            page("Figures", "bar_chart", "phone_call_figures", "phone.view_call"),
            rows("Patients", "groups", "clinic", "patient"),
        ],
    },
    {
        "title": "What callers hear",
        "separator": True,
        "items": [
            rows("What callers hear", "hearing", "phone", "planversion"),
            rows("Menus", "dialpad", "phone", "menu"),
            rows("Directory", "contact_phone", "phone", "directoryentry"),
            rows("Opening hours", "schedule", "clinic", "clinic"),
            rows("Closed days", "event_busy", "clinic", "closure"),
            rows("Wording", "format_quote", "phone", "wording"),
            rows("Phone settings", "tune", "phone", "phonesettings"),
            rows("Phone lines", "sip", "phone", "phoneline"),
            rows("Ready?", "checklist", "phone", "confirmation"),
        ],
    },
    {
        "title": "Oversight",
        "separator": True,
        "items": [
            rows("Who saw what", "visibility", "clinic", "accessrecord"),
            rows("Who changed what", "history", "auditlog", "logentry"),
            rows("Retention", "auto_delete", "phone", "retentionrules"),
            rows("What was deleted", "delete_history", "phone", "deletion"),
            rows("Patient ID attempts", "lock", "clinic", "identityattempt"),
            rows("Log-in attempts", "key", "axes", "accessattempt"),
            rows("Users", "person", "auth", "user"),
            rows("Roles", "badge", "auth", "group"),
        ],
    },
]
