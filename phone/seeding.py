"""Makes the demo clinic from `phone.demo`, once: whatever is there already stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction

from clinic import crypto
from clinic.demo import DEMO_CLINIC, DEMO_LOGINS, DEMO_PASSWORD
from clinic.models import Clinic, Closure, OpeningInterval, Patient
from clinic.patients import patient_set_id
from phone import demo
from phone.models import DirectoryEntry, Menu, MenuOption, PhoneLine, PhoneSettings, RetentionRules
from phone.publishing import live_version, publish


@transaction.atomic
def seed_demo() -> list[str]:
    """Make the demo clinic, its patients and logins, and publish its plan. Returns what was made, in sentences.

    A clinic or a login that exists is left as it is, with everything that belongs to it. Never call it where real
    patients are: the logins are public. Raises PlanInvalid when a clinic that was found cannot be published.
    """
    return [*_seed_clinic(), *_seed_logins()]


def _seed_clinic() -> Iterator[str]:
    clinic = Clinic.objects.filter(slug=DEMO_CLINIC).first()
    if clinic:
        yield f"Found the clinic “{clinic.name}”, and left it as it is."
    else:
        clinic = Clinic.objects.create(slug=DEMO_CLINIC, **demo.CLINIC)
        _make_hours(clinic)
        menus = _make_menus(clinic)
        PhoneSettings.objects.create(
            clinic=clinic,
            main_menu=menus[demo.MAIN_MENU],
            closed_menu=menus[demo.CLOSED_MENU],
            person=DirectoryEntry.objects.create(clinic=clinic, **demo.FRONT_DESK),
            urgent_person=DirectoryEntry.objects.create(clinic=clinic, **demo.ON_CALL),
            **demo.SETTINGS,
        )
        RetentionRules.objects.create(clinic=clinic)
        yield f"Made the clinic “{clinic.name}”, open Monday to Friday from 8 to 5, with {len(menus)} menus."
        yield from _make_line(clinic)
        yield from _make_patients(clinic)
    if not live_version(clinic):
        publish(clinic.pk, note="The demo")
        yield "Published its plan: callers hear it from now on."


def _make_hours(clinic: Clinic) -> None:
    for weekday in demo.WORKING_DAYS:
        OpeningInterval.objects.create(clinic=clinic, weekday=weekday, opens=demo.OPENS, closes=demo.CLOSES)
    for closure in demo.CLOSURES:
        Closure.objects.create(clinic=clinic, **closure)


def _make_menus(clinic: Clinic) -> dict[str, Menu]:
    menus = {
        name: Menu.objects.create(clinic=clinic, name=name, intro=menu["intro"])
        for name, menu in demo.MENUS.items()
    }
    for name, menu in demo.MENUS.items():
        for position, option in enumerate(menu["options"]):
            target = {"target_menu": menus[option["target_menu"]]} if "target_menu" in option else {}
            MenuOption.objects.create(menu=menus[name], position=position, **option | target)
    return menus


def _make_line(clinic: Clinic) -> Iterator[str]:
    line, made = PhoneLine.objects.get_or_create(
        number=demo.LINE["number"], defaults={"clinic": clinic, **demo.LINE}
    )
    if made:
        yield f"Made its line {line.number.as_international}."


def _make_patients(clinic: Clinic) -> Iterator[str]:
    if made := crypto.ensure_key_file():
        yield f"Made the key file {made}: keep a copy of it, apart from the database."
    for fields in demo.PATIENTS:
        patient = Patient(clinic=clinic, **{name: fields[name] for name in fields if name != "patient_id"})
        patient_set_id(patient, fields["patient_id"])
        patient.save()
    yield f"Made {len(demo.PATIENTS)} patients. {demo.PATIENTS[0]['name']} has the ID {demo.PATIENTS[0]['patient_id']}."


def _seed_logins() -> Iterator[str]:
    users = get_user_model().objects
    missing = [name for name in DEMO_LOGINS if not users.filter(username=name).exists()]
    # One hash serves all: the password is public, and hashing takes its time.
    password = make_password(DEMO_PASSWORD) if missing else ""
    for name in missing:
        user = users.create(username=name, password=password, is_staff=True)
        user.groups.add(Group.objects.get_or_create(name=DEMO_LOGINS[name])[0])
        yield f"Made the login “{name}” ({DEMO_LOGINS[name]}), password “{DEMO_PASSWORD}”."
    for name in DEMO_LOGINS:
        if name not in missing:
            yield f"Found the login “{name}”, and left it as it is."
