"""What reaches callers, and when: on save, by hand, at a date; what never does; and the way back."""

from datetime import timedelta
from unittest import mock

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from clinic.models import Clinic
from clinic.signals import clinic_changed
from phone.differences import compare
from phone.models import Menu, MenuOption, PhoneLine, PhoneSettings, Wording
from phone.plan import PhonePlan
from phone.plan_state import plan_state
from phone.publishing import (
    PlanInvalid,
    line_called,
    live_plan,
    live_plan_of,
    publish,
    publish_due,
    roll_back,
)
from phone.tasks import publish_due as publish_due_in_background
from tests.phone.clinics import Action, a_clinic, an_option

Mode = PhoneSettings.PublishMode


@pytest.fixture(autouse=True)
def ordered():
    """The Celery tasks that were ordered, by name and arguments."""
    tasks = []
    with mock.patch("celery.current_app.send_task", lambda name, args, **_: tasks.append((name, args))):
        yield tasks


@pytest.fixture
def commit(django_capture_on_commit_callbacks):
    """A block whose end counts as the end of a transaction."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


pytestmark = pytest.mark.django_db


def rename(key: str, label: str, clinic: Clinic) -> None:
    option = MenuOption.objects.get(menu__clinic=clinic, key=key)
    option.label = {**option.label, "en": label}
    option.save()


def heard_labels(clinic: Clinic) -> list[str]:
    return [option.label["en"] for option in live_plan_of(clinic.pk).plan.menus[0].options]


def test_a_clinic_starts_with_version_1_when_it_is_published():
    clinic = a_clinic()
    assert live_plan_of(clinic.pk) is None
    version = publish(clinic.pk, note="The first")
    assert (version.number, version.note) == (1, "The first")
    assert heard_labels(clinic) == ["appointments", "office hours"]


def test_publishing_the_same_again_makes_no_version():
    clinic = a_clinic()
    assert publish(clinic.pk)
    assert publish(clinic.pk) is None
    assert clinic.plan_versions.count() == 1


def test_what_staff_wrote_comes_out_of_the_database_as_they_wrote_it():
    clinic = a_clinic(receptionist_facts="Parking is free.", terminator="*", clear_key="#")
    Wording.objects.create(clinic=clinic, key="goodbye", text={"en": "Bye, {clinic}.", "es": "Adiós."})
    publish(clinic.pk)
    plan = live_plan_of(clinic.pk).plan
    assert plan.clinic.receptionist_facts == "Parking is free."
    assert plan.clinic.office_number == "+12125550102"
    assert (plan.keypad.terminator, plan.keypad.clear_key) == ("*", "#")
    assert plan.wording["en"]["goodbye"] == "Bye, {clinic}."
    assert plan.wording["es"]["greeting"]


def test_a_sentence_left_blank_in_every_language_is_left_unsaid():
    clinic = a_clinic(no_emergency_sentence=True)
    Wording.objects.create(clinic=clinic, key="emergency", text={"en": " "})
    publish(clinic.pk)
    assert live_plan_of(clinic.pk).plan.wording["en"]["emergency"] == ""
    assert live_plan_of(clinic.pk).plan.wording["es"]["emergency"] == ""


def test_a_plan_is_built_in_a_handful_of_queries_however_large_it_is(django_assert_max_num_queries):
    clinic = a_clinic()
    main = clinic.menus.get()
    for number in range(3, 9):
        submenu = Menu.objects.create(clinic=clinic, name=f"Menu {number}")
        an_option(main, str(number), f"menu {number}", Action.SUBMENU, target_menu=submenu)
        an_option(submenu, "1", "hours", Action.OFFICE_HOURS)
    with django_assert_max_num_queries(16):
        publish(clinic.pk)


@pytest.mark.parametrize("dialled", ["+15550100", ""])
def test_a_call_loads_its_plan_in_one_query(dialled, django_assert_num_queries):
    clinic = a_clinic()
    publish(clinic.pk)
    line = clinic.phone_lines.get()
    with django_assert_num_queries(1):
        loaded = live_plan(dialled)
    assert (loaded.clinic_id, loaded.line_id, loaded.version_number) == (clinic.pk, line.pk, 1)


def test_a_number_that_nobody_has_or_that_is_switched_off_gets_no_plan():
    clinic = a_clinic()
    publish(clinic.pk)
    assert live_plan("+15550199") is None
    PhoneLine.objects.update(enabled=False)
    assert live_plan("+15550100") is None


def test_a_call_that_nobody_can_answer_is_its_numbers_or_its_rooms_clinics():
    line = a_clinic().phone_lines.get()
    PhoneLine.objects.update(enabled=False, room_prefix="dental-")
    assert line_called("+15550100", "") == line
    assert line_called("+15550199", "dental-_+15550123_x") == line
    assert line_called("+15550199", "somebody-elses-room") is None


def test_a_browser_call_gets_the_first_enabled_line_and_does_without_where_there_is_none():
    clinic = a_clinic()
    second = PhoneLine.objects.create(clinic=clinic, number="+15550105")
    publish(clinic.pk)
    PhoneLine.objects.filter(number="+15550100").update(enabled=False)
    assert live_plan("").line_id == second.pk
    PhoneLine.objects.all().delete()
    assert live_plan("").line_id is None
    assert live_plan("").clinic_id == clinic.pk


def test_each_number_leads_to_its_own_clinic():
    river, hill = a_clinic(), a_clinic(slug="hill", number="+15550110")
    publish(river.pk)
    publish(hill.pk)
    assert live_plan("+15550110").clinic_id == hill.pk
    assert live_plan("+15550100").clinic_id == river.pk


def test_the_closed_now_switch_works_at_once_without_publishing():
    clinic = a_clinic()
    publish(clinic.pk)
    wednesday_noon = timezone.now().replace(year=2026, month=11, day=18, hour=17)
    assert live_plan("").plan.is_open(wednesday_noon)
    Clinic.objects.filter(pk=clinic.pk).update(
        switch=Clinic.Switch.CLOSED, switch_until=wednesday_noon + timedelta(hours=1)
    )
    assert not live_plan("").plan.is_open(wednesday_noon)
    assert plan_state(clinic.pk).changed is False


def test_saving_publishes_once_for_all_that_was_saved_together(commit, ordered):
    clinic = a_clinic(publish_mode=Mode.ON_SAVE)
    publish(clinic.pk)
    with commit():
        rename("1", "visits", clinic)
        rename("2", "opening hours", clinic)
        clinic_changed.send(Clinic, clinic_id=clinic.pk)
    assert heard_labels(clinic) == ["visits", "opening hours"]
    assert clinic.plan_versions.count() == 2


def test_a_change_that_was_undone_before_the_commit_still_lets_the_others_through(commit):
    clinic = a_clinic(publish_mode=Mode.ON_SAVE)
    publish(clinic.pk)
    with commit():
        try:
            with transaction.atomic():
                rename("2", "never", clinic)
                raise RuntimeError
        except RuntimeError:
            pass
        rename("1", "visits", clinic)
    assert heard_labels(clinic) == ["visits", "office hours"]


def test_a_new_version_orders_its_prompts(commit, ordered):
    clinic = a_clinic()
    with commit():
        version = publish(clinic.pk)
    assert ordered == [("agent_worker.tasks.render_prompts", [version.pk])]


def test_publishing_works_while_the_broker_is_away(commit, caplog):
    clinic = a_clinic()
    with mock.patch("celery.current_app.send_task", side_effect=OperationalError), commit():
        publish(clinic.pk)
    assert live_plan_of(clinic.pk)
    assert "no broker" in caplog.text


def test_where_staff_publish_by_hand_a_save_waits_and_says_so(commit):
    clinic = a_clinic(publish_mode=Mode.BY_HAND)
    publish(clinic.pk)
    with commit():
        rename("1", "visits", clinic)
    assert heard_labels(clinic) == ["appointments", "office hours"]
    state = plan_state(clinic.pk)
    assert state.changed
    assert state.waiting == "Newer changes are not live. They go live when somebody presses Publish."


def test_where_staff_chose_a_date_a_save_waits_for_it(commit):
    now = timezone.now()
    clinic = a_clinic(publish_mode=Mode.AT, publish_at=now + timedelta(hours=1))
    publish(clinic.pk)
    with commit():
        rename("1", "visits", clinic)
    assert publish_due(now) == []
    assert "They go live on " in plan_state(clinic.pk).waiting
    [version] = publish_due(now + timedelta(hours=1))
    assert version.number == 2
    assert heard_labels(clinic) == ["visits", "office hours"]
    settings = PhoneSettings.objects.get(clinic=clinic)
    assert (settings.publish_mode, settings.publish_at) == (Mode.BY_HAND, None)


def test_a_broken_plan_is_never_published_and_the_last_good_one_stays(commit):
    clinic = a_clinic(publish_mode=Mode.ON_SAVE)
    publish(clinic.pk)
    with commit():
        an_option(clinic.menus.get(), "1", "another one", Action.OFFICE_HOURS)
    with pytest.raises(PlanInvalid, match="Key 1 is used twice"):
        publish(clinic.pk)
    assert heard_labels(clinic) == ["appointments", "office hours"]
    state = plan_state(clinic.pk)
    assert state.blocked
    assert "something has to be put right first" in state.waiting
    assert any("Key 1 is used twice" in problem.sentence for problem in state.problems)


def test_a_broken_plan_at_its_date_goes_live_once_it_is_put_right():
    now = timezone.now()
    clinic = a_clinic(publish_mode=Mode.AT, publish_at=now)
    broken = an_option(clinic.menus.get(), "1", "another one", Action.OFFICE_HOURS)
    assert publish_due(now) == []
    broken.delete()
    assert len(publish_due(now)) == 1


def test_an_older_version_comes_back_as_a_new_one_with_who_did_it():
    clinic = a_clinic()
    manager = get_user_model().objects.create_user("ana")
    first = publish(clinic.pk)
    rename("1", "visits", clinic)
    publish(clinic.pk)
    back = roll_back(first, manager)
    assert (back.number, back.restores, back.published_by) == (3, first, manager)
    assert heard_labels(clinic) == ["appointments", "office hours"]
    assert "It brought version 1 back." in plan_state(clinic.pk).heard
    assert roll_back(first, manager) is None


def test_what_was_taken_back_stays_back_until_somebody_changes_it(commit):
    clinic = a_clinic(publish_mode=Mode.ON_SAVE)
    first = publish(clinic.pk)
    with commit():
        rename("1", "visits", clinic)
    roll_back(first)
    with commit():
        clinic_changed.send(Clinic, clinic_id=clinic.pk)
    assert heard_labels(clinic) == ["appointments", "office hours"]
    assert "What was taken back" in plan_state(clinic.pk).waiting
    with commit():
        rename("1", "check-ups", clinic)
    assert heard_labels(clinic) == ["check-ups", "office hours"]


def test_two_versions_are_compared_in_staffs_words():
    clinic = a_clinic()
    old = PhonePlan.model_validate(publish(clinic.pk).content)
    rename("1", "visits", clinic)
    an_option(clinic.menus.get(), "3", "address", Action.SAY, message={"en": "Here.", "es": "Aquí."})
    clinic.opening_intervals.filter(weekday=4).delete()
    PhoneSettings.objects.filter(clinic=clinic).update(consent_policy="off", id_min_digits=6)
    Wording.objects.create(clinic=clinic, key="goodbye", text={"en": "Bye.", "es": "Adiós."})
    new = PhonePlan.model_validate(publish(clinic.pk).content)
    shown = [str(difference) for difference in compare(old, new)]
    assert "Menu “Main menu”, key 1, label (English): “appointments” → “visits”" in shown
    assert "Menu “Main menu”, key 3: new → “address”" in shown
    assert "Opening hours, Friday: 8:00 AM to 5:00 PM → closed" in shown
    assert "Phone settings, fewest digits of an ID: 4 → 6" in shown
    assert any(line.startswith("Phone settings, recording: Ask") for line in shown)
    assert any(line.startswith("Wording, goodbye (Español): ") for line in shown)
    assert len(shown) == 7
    assert compare(new, new) == []


def test_staff_read_since_when_in_the_clinics_own_time():
    clinic = a_clinic()
    with time_machine.travel("2026-01-15T20:05:00Z", tick=False):
        publish(clinic.pk)
        state = plan_state(clinic.pk)
    assert state.heard == "Callers hear version 1, since January 15, 2026, 3:05 PM."
    assert (state.changed, state.waiting) == (False, "")


def test_before_the_first_version_staff_read_that_nothing_is_live():
    state = plan_state(a_clinic().pk)
    assert "Nothing is published yet" in state.heard
    assert "presses Publish" in state.waiting


def test_somebody_looks_every_minute_whether_a_date_has_come(settings):
    publish_due_task = next(
        entry
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if entry["task"] == publish_due_in_background.name
    )
    assert publish_due_task["schedule"] <= 60
    a_clinic(publish_mode=Mode.AT, publish_at=timezone.now())
    assert publish_due_in_background() == 1
