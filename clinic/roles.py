"""Who may do what in the office: Django groups, made after every migration.

The four groups belong to the product: each migration brings them back to this table. Whoever needs other rights
makes another group.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.apps import apps as registry
from django.apps.config import AppConfig
from django.apps.registry import Apps

VIEW = ("view",)
EDIT = ("view", "change")
ALL = ("view", "add", "change", "delete")
LISTEN = ("view", "listen_recording", "listen_voicemail")

HOURS = ("clinic.openinginterval", "clinic.closure", "clinic.closureinterval")
MENUS = ("phone.menu", "phone.menuoption", "phone.wording", "phone.directoryentry", "phone.phoneline")
SETUP = ("clinic.clinic", *HOURS, "phone.phonesettings", *MENUS)
CALLS = (
    "phone.call",
    "phone.callevent",
    "phone.keypadentry",
    "phone.consentrecord",
    "phone.recording",
    "phone.legalhold",
)
"""Evidence: nobody adds to it, changes or deletes it by hand."""


class Role(StrEnum):
    """The names of the groups."""

    RECEPTIONIST = "Receptionist"
    MANAGER = "Manager"
    AUDITOR = "Auditor"
    ADMINISTRATOR = "Administrator"


def _each(models: tuple[str, ...], actions: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(models, actions)


PERMISSIONS: dict[Role, dict[str, tuple[str, ...]]] = {
    # Works with callers and patients, and closes the office early.
    Role.RECEPTIONIST: {
        **_each(SETUP, VIEW),
        "clinic.clinic": EDIT,
        "phone.planversion": VIEW,
        "clinic.patient": ("view", "add", "change"),
        "clinic.identityattempt": EDIT,
        **_each(CALLS, VIEW),
        # Messages are their work; what others said in calls is not.
        "phone.recording": ("view", "listen_voicemail"),
        "phone.request": EDIT,
        "phone.confirmation": VIEW,
        "phone.linecheck": VIEW,
    },
    # Decides what callers hear as well, and takes data out.
    Role.MANAGER: {
        **_each(SETUP, ALL),
        "clinic.clinic": EDIT,
        "phone.phonesettings": ("view", "add", "change"),
        "phone.planversion": ("view", "publish_plan"),
        "clinic.patient": (*ALL, "export_patient"),
        "clinic.identityattempt": EDIT,
        **_each(CALLS, VIEW),
        "phone.consentrecord": ("view", "export_consentrecord"),
        "phone.legalhold": ("view", "add"),
        "phone.retentionrules": ("view", "add", "change", "erase_caller"),
        "phone.deletion": VIEW,
        "phone.recording": LISTEN,
        "phone.request": EDIT,
        "phone.confirmation": ("view", "add"),
        "phone.linecheck": ("view", "add"),
    },
    # Sees everything, who looked at what included, and changes nothing.
    Role.AUDITOR: {
        **_each(SETUP, VIEW),
        "phone.planversion": VIEW,
        "clinic.patient": VIEW,
        "clinic.identityattempt": VIEW,
        "clinic.accessrecord": VIEW,
        **_each(CALLS, VIEW),
        "phone.retentionrules": VIEW,
        "phone.deletion": VIEW,
        "phone.recording": LISTEN,
        "phone.request": VIEW,
        "phone.confirmation": VIEW,
        "phone.linecheck": VIEW,
        "auditlog.logentry": VIEW,
    },
    # Everything the others may, and the users.
    Role.ADMINISTRATOR: {
        **_each(SETUP, ALL),
        "phone.planversion": ("view", "publish_plan"),
        "clinic.patient": (*ALL, "export_patient"),
        "clinic.identityattempt": EDIT,
        "clinic.accessrecord": VIEW,
        **_each(CALLS, VIEW),
        "phone.consentrecord": ("view", "export_consentrecord"),
        "phone.legalhold": ("view", "add"),
        "phone.retentionrules": ("view", "add", "change", "erase_caller"),
        "phone.deletion": VIEW,
        "phone.recording": LISTEN,
        "phone.request": EDIT,
        "phone.confirmation": ("view", "add"),
        "phone.linecheck": ("view", "add"),
        "auth.user": ALL,
        "auth.group": ALL,
        # Deleting one lets somebody log in again before the pause is over.
        "axes.accessattempt": ("view", "delete"),
        "auditlog.logentry": VIEW,
    },
}
"""Role → model → what it may do. A name with an underscore is a permission of its own, not an action."""


def create_roles(*, app_config: AppConfig, using: str, apps: Apps = registry, **_: Any) -> None:
    """Give each role what the table says for the models of `app_config`, and no more: a `post_migrate` receiver.

    It is called once for each app, after Django has made that app's permissions.
    """
    try:
        groups = apps.get_model("auth", "Group").objects.using(using)
        permissions = apps.get_model("auth", "Permission").objects.using(using)
    except LookupError:  # migrated back to before there were groups
        return
    in_table = {label.partition(".")[0] for models in PERMISSIONS.values() for label in models}
    if app_config.label not in in_table:
        return
    of_app = permissions.filter(content_type__app_label=app_config.label)
    by_codename = {permission.codename: permission for permission in of_app}
    for role in Role:
        group, _created = groups.get_or_create(name=role.value)
        granted = {by_codename[name] for name in _codenames(role, app_config.label) if name in by_codename}
        present = set(group.permissions.filter(content_type__app_label=app_config.label))
        group.permissions.add(*(granted - present))
        group.permissions.remove(*(present - granted))


def _codenames(role: Role, app_label: str) -> list[str]:
    codenames = []
    for label, actions in PERMISSIONS[role].items():
        app, _, model = label.partition(".")
        if app == app_label:
            codenames += [action if "_" in action else f"{action}_{model}" for action in actions]
    return codenames
