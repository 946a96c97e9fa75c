"""The demo clinic: what a newcomer finds after the first start."""

from datetime import datetime
from io import StringIO
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from clinic.demo import DEMO_LOGINS, DEMO_PASSWORD
from clinic.models import Clinic, Patient
from clinic.patients import identify
from phone.building import clinic_with_setup
from phone.models import MenuOption, PhoneLine
from phone.plan_state import plan_state
from phone.publishing import live_plan
from phone.validation import problems_of
from phone.wording import greeting, menu_prompt

pytestmark = pytest.mark.django_db
MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("America/New_York"))
SUNDAY_NOON = datetime(2026, 11, 22, 12, tzinfo=ZoneInfo("America/New_York"))


@pytest.fixture(autouse=True)
def elsewhere(settings, tmp_path):
    """Keys of its own, and no broker."""
    settings.CLINIC_KEY_FILE = tmp_path / "keys.json"
    with mock.patch("celery.current_app.send_task"):
        yield


def seed() -> str:
    said = StringIO()
    call_command("seed_demo", stdout=said)
    return said.getvalue()


def test_callers_of_the_demo_hear_the_guides_menu_first():
    seed()
    plan = live_plan("").plan
    prompt = menu_prompt(plan, plan.menu_at(MONDAY_NOON), "en", keys=True).text
    assert prompt.startswith("For appointments, press 1. For office hours, press 2.")
    assert prompt.endswith("To reach a person, press 0.")
    assert "Para citas, oprima 1." in menu_prompt(plan, plan.menu_at(MONDAY_NOON), "es", keys=True).text
    first = plan.menu_at(MONDAY_NOON).match_key("1")
    assert (first.action, first.topic, first.identify_first) == ("receptionist", "appointments", True)
    assert plan.menu_at(MONDAY_NOON).match_key("2").action == "office_hours"


def test_the_same_keys_do_the_same_when_the_demo_is_closed():
    seed()
    plan = live_plan("").plan
    assert not plan.is_open(SUNDAY_NOON)
    opened = {option.key: option for option in plan.menu_at(MONDAY_NOON).options}
    more = {}
    for option in plan.menu_at(SUNDAY_NOON).options:
        assert option == opened.get(option.key, option)
        if option.key not in opened:
            more[option.key] = option.action
    assert more == {"7": "voicemail"}


def test_the_greeting_says_what_to_do_in_an_emergency_and_offers_spanish():
    seed()
    heard = greeting(live_plan("").plan, "en", MONDAY_NOON, keys=True).text
    assert "911" in heard
    assert "Bright Smile Dental" in heard
    assert "9" in heard
    assert live_plan("").plan.language_keys == {"9": "es"}


def test_the_demos_consent_is_asked_for_and_a_no_ends_the_call():
    seed()
    consent = live_plan("").plan.consent
    assert (consent.policy, consent.on_refusal) == ("ask", "hang_up")


def test_a_patient_has_the_id_4821():
    seed()
    found = identify(Clinic.objects.get().pk, "4821", "", MONDAY_NOON)
    assert found.outcome == "identified"
    assert Patient.objects.get(pk=found.patient_id).name == "Maria Alvarez"


def test_the_demo_has_nothing_to_put_right_and_publishes_on_save():
    seed()
    clinic = clinic_with_setup(Clinic.objects.get().pk)
    assert problems_of(clinic) == []
    assert clinic.phone_settings.publish_mode == "on_save"
    assert not plan_state(clinic.pk).changed


def test_its_line_is_a_number_that_nobody_has():
    seed()
    line = PhoneLine.objects.get()
    assert str(line.number).startswith("+1212555014")
    assert line.room_prefix == "dental-"
    line.full_clean()


def test_a_login_for_each_role():
    said = seed()
    request = RequestFactory().get("/")
    for name, role in DEMO_LOGINS.items():
        user = authenticate(request, username=name, password=DEMO_PASSWORD)
        assert [group.name for group in user.groups.all()] == [role]
        assert f"“{name}” ({role})" in said


def test_the_manager_may_publish_and_the_auditor_may_not():
    seed()
    users = get_user_model().objects
    assert users.get(username="manager").has_perm("phone.publish_plan")
    assert not users.get(username="auditor").has_perm("phone.publish_plan")


def test_a_second_time_changes_nothing_that_somebody_changed():
    seed()
    option = MenuOption.objects.get(menu__name="Main menu", key="1")
    option.label = {"en": "visits", "es": "visitas"}
    option.save()
    MenuOption.objects.get(menu__name="Main menu", key="6").delete()
    manager = get_user_model().objects.get(username="manager")
    manager.set_password("something of their own")
    manager.save()
    Patient.objects.exclude(name="Maria Alvarez").delete()
    said = seed()
    option.refresh_from_db()
    assert option.label["en"] == "visits"
    assert not MenuOption.objects.filter(menu__name="Main menu", key="6").exists()
    assert get_user_model().objects.get(username="manager").check_password("something of their own")
    assert Patient.objects.count() == 1
    assert Clinic.objects.get().plan_versions.count() == 1
    assert "Found the clinic “Bright Smile Dental”, and left it as it is." in said


def test_other_clinics_and_logins_are_left_alone():
    Clinic.objects.create(name="Real", slug="real")
    admin = get_user_model().objects.create_user("admin", password="their own")
    seed()
    admin.refresh_from_db()
    assert admin.check_password("their own")
    assert not admin.groups.exists()
    assert Clinic.objects.count() == 2


def test_production_refuses_the_demo(settings):
    settings.DEMO = False
    with pytest.raises(CommandError, match="public"):
        seed()
    assert not Clinic.objects.exists()
    assert not get_user_model().objects.exists()
