"""The office edits what callers hear, on the admin's pages."""

from datetime import UTC
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from clinic.models import Clinic
from phone.models import Menu, MenuOption, PhoneSettings, PlanVersion, Wording
from phone.publishing import live_plan_of, publish
from tests.phone.clinics import Action, a_clinic, an_option
from tests.phone.forms import errors_on, the_form, write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_broker():
    with mock.patch("celery.current_app.send_task"):
        yield


@pytest.fixture
def clinic() -> Clinic:
    clinic = a_clinic(publish_mode=PhoneSettings.PublishMode.ON_SAVE)
    publish(clinic.pk)
    return clinic


@pytest.fixture
def menu(clinic) -> Menu:
    return clinic.menus.get()


def signed_in(*permissions: str, name: str = "somebody", superuser: bool = False) -> Client:
    user, _ = get_user_model().objects.get_or_create(username=name, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def office() -> Client:
    return signed_in(name="office", superuser=True)


PLAN_PAGE = "/admin/phone/planversion/"


def page_of(row: Model) -> str:
    return reverse(f"admin:phone_{row._meta.model_name}_change", args=(row.pk,))


def rename(office: Client, option: MenuOption, label: str, commit) -> None:
    form = the_form(office.get(page_of(option.menu)))
    number = next(n for n in range(9) if form.get(f"options-{n}-id") == str(option.pk))
    with commit(execute=True):
        saved = office.post(page_of(option.menu), write(form, f"options-{number}-label", en=label))
    assert saved.status_code == 302, errors_on(saved)


def test_renaming_an_option_makes_a_new_version_that_the_next_call_hears(
    office, clinic, menu, django_capture_on_commit_callbacks
):
    rename(office, menu.options.get(key="1"), "visits", django_capture_on_commit_callbacks)
    assert [version.number for version in clinic.plan_versions.all()] == [2, 1]
    assert clinic.plan_versions.first().published_by.username == "office"
    assert live_plan_of(clinic.pk).plan.menus[0].options[0].label["en"] == "visits"
    page = office.get(PLAN_PAGE).content.decode()
    assert "Callers hear version 2" in page
    assert "For visits, press 1." in page


def test_a_key_that_is_used_twice_is_refused_beside_the_key(office, clinic, menu):
    form = the_form(office.get(page_of(menu)))
    answer = office.post(page_of(menu), form | {"options-1-key": "1"})
    assert answer.status_code == 200
    assert (
        "Key 1 is used twice: for “appointments” and for “office hours”."
        in errors_on(answer)["options-1-key"]
    )
    assert clinic.plan_versions.count() == 1


def test_keys_may_change_places_in_one_go(office, clinic, menu, django_capture_on_commit_callbacks):
    form = the_form(office.get(page_of(menu)))
    with django_capture_on_commit_callbacks(execute=True):
        office.post(page_of(menu), form | {"options-0-key": "2", "options-1-key": "1"})
    assert [option.key for option in live_plan_of(clinic.pk).plan.menus[0].options] == ["2", "1"]


def test_an_option_is_added_at_the_end_and_dragged_to_the_top(
    office, clinic, menu, django_capture_on_commit_callbacks
):
    form = the_form(office.get(page_of(menu)))
    new = {name.replace("__prefix__", "2"): value for name, value in form.items() if "__prefix__" in name}
    new |= {"options-2-key": "3", "options-2-action": "callback", "options-TOTAL_FORMS": "3"}
    with django_capture_on_commit_callbacks(execute=True):
        added = office.post(
            page_of(menu), write(form | new, "options-2-label", en="a call", es="una llamada")
        )
    assert added.status_code == 302, errors_on(added)
    assert spoken_keys(clinic) == ["1", "2", "3"]
    form = the_form(office.get(page_of(menu)))
    with django_capture_on_commit_callbacks(execute=True):
        office.post(page_of(menu), form | {f"options-{n}-position": str((n + 1) % 3) for n in range(3)})
    assert spoken_keys(clinic) == ["3", "1", "2"]


@pytest.mark.parametrize(
    ("action", "field", "sentence"),
    [
        ("say", "message", "Write the message in English and Español."),
        ("submenu", "target_menu", "Choose the menu that this option leads to."),
        ("language", "language", "Choose one of the clinic&#x27;s languages"),
    ],
)
def test_an_option_without_what_its_action_needs_is_refused_there(office, menu, action, field, sentence):
    form = the_form(office.get(page_of(menu)))
    answer = office.post(page_of(menu), form | {"options-1-action": action})
    assert sentence in errors_on(answer)[f"options-1-{field}"]


def test_a_label_missing_in_one_language_is_refused_there(office, menu):
    form = the_form(office.get(page_of(menu)))
    answer = office.post(page_of(menu), write(form, "options-0-label", es=""))
    assert "Write this option in Español." in errors_on(answer)["options-0-label"]


def test_a_new_menu_that_nobody_reaches_yet_waits_and_the_pages_say_why(
    office, clinic, menu, django_capture_on_commit_callbacks
):
    form = the_form(office.get(reverse("admin:phone_menu_add")))
    with django_capture_on_commit_callbacks(execute=True):
        answer = office.post(reverse("admin:phone_menu_add"), form | {"name": "Billing"}, follow=True)
    page = answer.content.decode()
    assert "Callers hear version 1" in page
    assert "Newer changes are not live, because something has to be put right first." in page
    assert "Nobody can reach the menu “Billing”." in page
    assert clinic.plan_versions.count() == 1


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"id_min_digits": "9"}, "id_max_digits", "cannot be fewer than the fewest (9)"),
        ({"clear_key": "#"}, "clear_key", "cannot both end an entry and clear it"),
        ({"publish_mode": "at"}, "publish_at", "Choose when the changes shall go live."),
        (
            {"publish_mode": "at", "publish_at_0": "2020-01-01", "publish_at_1": "10:00"},
            "publish_at",
            "This moment has gone by.",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_beside_the_field(office, clinic, changes, field, sentence):
    page = page_of(clinic.phone_settings)
    answer = office.post(page, the_form(office.get(page)) | changes)
    assert sentence in errors_on(answer)[field]


def test_a_date_to_publish_at_is_by_the_clinics_clock(office, clinic):
    page = page_of(clinic.phone_settings)
    chosen = {"publish_mode": "at", "publish_at_0": "2199-01-15", "publish_at_1": "09:00:00"}
    answer = office.post(page, the_form(office.get(page)) | chosen)
    assert answer.status_code == 302, errors_on(answer)
    publish_at = PhoneSettings.objects.get(clinic=clinic).publish_at
    assert publish_at.astimezone(UTC).isoformat() == "2199-01-15T14:00:00+00:00"
    assert the_form(office.get(page))["publish_at_1"] == "09:00:00"


def test_the_wording_page_shows_what_is_usually_said_and_what_the_clinic_says(office, clinic):
    Wording.objects.create(clinic=clinic, key="goodbye", text={"en": "See you soon.", "es": "Hasta pronto."})
    page = office.get("/admin/phone/wording/").content.decode()
    assert "Thank you for calling. Goodbye." in page
    assert "See you soon." in page
    assert "Who the caller has reached, and that it is not a person." in page
    assert "Callers hear version 1" in page


def test_staff_start_from_the_usual_words_and_change_them(office, clinic, django_capture_on_commit_callbacks):
    page = f"{reverse('admin:phone_wording_add')}?clinic={clinic.pk}&key=goodbye"
    form = the_form(office.get(page))
    assert "Thank you for calling. Goodbye." in form.values()
    with django_capture_on_commit_callbacks(execute=True):
        answer = office.post(page, write(form, "text", en="See you soon."))
    assert answer.status_code == 302, errors_on(answer)
    assert live_plan_of(clinic.pk).plan.wording["en"]["goodbye"] == "See you soon."


def test_a_placeholder_that_does_not_exist_is_refused_beside_the_sentence(office, clinic):
    page = f"{reverse('admin:phone_wording_add')}?clinic={clinic.pk}&key=goodbye"
    answer = office.post(page, write(the_form(office.get(page)), "text", en="See you, {name}."))
    assert "{name} means nothing in this sentence (English)." in errors_on(answer)["text"]


def test_other_opening_hours_go_live_too_and_the_clinics_pages_say_which_version_callers_hear(
    office, clinic, django_capture_on_commit_callbacks
):
    page = reverse("admin:clinic_clinic_change", args=(clinic.pk,))
    form = the_form(office.get(page))
    monday = clinic.opening_intervals.get(weekday=0)
    [row] = [name for name, value in form.items() if name.endswith("-id") and value == str(monday.pk)]
    opens = row.removesuffix("-id") + "-opens"
    assert form[opens].startswith("08:00")
    with django_capture_on_commit_callbacks(execute=True):
        answer = office.post(page, form | {opens: "09:00"})
    assert answer.status_code == 302, errors_on(answer)
    assert "Callers hear version 2" in office.get(page).content.decode()
    assert str(live_plan_of(clinic.pk).plan.schedule.week[0].opens) == "09:00:00"
    assert "Callers hear version 2" in office.get("/admin/clinic/closure/").content.decode()


def test_publishing_by_hand(office, clinic, menu, django_capture_on_commit_callbacks):
    PhoneSettings.objects.update(publish_mode=PhoneSettings.PublishMode.BY_HAND)
    rename(office, menu.options.get(key="1"), "visits", django_capture_on_commit_callbacks)
    page = office.get(PLAN_PAGE).content.decode()
    assert "They go live when somebody presses Publish." in page
    assert "Menu “Main menu”, key 1, label (English)" in page
    answer = office.post(f"{PLAN_PAGE}publish/{clinic.pk}/", {"note": "New name"}, follow=True)
    assert "Version 2 is live: callers hear it from now on." in answer.content.decode()
    version = clinic.plan_versions.first()
    assert (version.number, version.note, version.published_by.username) == (2, "New name", "office")


def test_a_broken_plan_is_not_published_by_the_button_either(office, clinic, menu):
    an_option(menu, "1", "twice", Action.OFFICE_HOURS)
    answer = office.post(f"{PLAN_PAGE}publish/{clinic.pk}/", follow=True)
    assert "Menu “Main menu”, key 1: Key 1 is used twice" in answer.content.decode()
    assert clinic.plan_versions.count() == 1


def test_comparing_a_version_and_bringing_it_back(office, clinic, menu, django_capture_on_commit_callbacks):
    rename(office, menu.options.get(key="1"), "visits", django_capture_on_commit_callbacks)
    first = clinic.plan_versions.get(number=1)
    page = office.get(page_of(first)).content.decode()
    assert "What callers would hear differently" in page
    assert "<del>“visits”</del>" in page
    assert "<ins>“appointments”</ins>" in page
    answer = office.post(f"{PLAN_PAGE}{first.pk}/bring-back/", follow=True)
    assert "Version 1 is back: callers hear it from now on, as 3." in answer.content.decode()
    assert "It brought version 1 back." in answer.content.decode()
    assert live_plan_of(clinic.pk).plan.menus[0].options[0].label["en"] == "appointments"


def test_each_of_several_clinics_has_its_own_plan_page(office, clinic):
    other = a_clinic(slug="hill", number="+15550110")
    Clinic.objects.filter(pk=other.pk).update(name="Hill Clinic")
    page = office.get(f"{PLAN_PAGE}?clinic={other.pk}").content.decode()
    assert "Nothing is published yet" in page
    assert "Callers hear version 1" in office.get(f"{PLAN_PAGE}?clinic={clinic.pk}").content.decode()
    assert "Hill Clinic" in office.get("/admin/phone/menu/").content.decode()


def test_an_option_leads_only_to_menus_of_its_own_clinic(office, clinic, menu):
    other = a_clinic(slug="hill", number="+15550110").menus.get()
    form = the_form(office.get(page_of(menu)))
    answer = office.post(
        page_of(menu), form | {"options-1-action": "submenu", "options-1-target_menu": str(other.pk)}
    )
    assert "options-1-target_menu" in errors_on(answer)


def test_who_may_only_look_cannot_publish_or_edit(clinic, menu):
    auditor = signed_in("view_planversion", "view_menu", "view_wording")
    assert auditor.get(PLAN_PAGE).status_code == 200
    assert "Bring back" not in auditor.get(page_of(clinic.plan_versions.get())).content.decode()
    assert "Say it differently" not in auditor.get("/admin/phone/wording/").content.decode()
    assert auditor.post(f"{PLAN_PAGE}publish/{clinic.pk}/").status_code == 403
    assert auditor.post(f"{PLAN_PAGE}{clinic.plan_versions.get().pk}/bring-back/").status_code == 403
    assert auditor.post(page_of(menu), {"name": "Mine"}).status_code == 403


def test_who_may_publish_can_without_being_an_administrator(clinic, menu):
    an_option(menu, "3", "a call", Action.CALLBACK)
    manager = signed_in("view_planversion", "publish_plan")
    manager.post(f"{PLAN_PAGE}publish/{clinic.pk}/")
    assert clinic.plan_versions.count() == 2


def test_publishing_and_bringing_back_are_never_done_by_following_a_link(office, clinic):
    assert office.get(f"{PLAN_PAGE}publish/{clinic.pk}/").status_code == 405
    assert office.get(f"{PLAN_PAGE}{clinic.plan_versions.get().pk}/bring-back/").status_code == 405


def test_strangers_get_the_login(clinic):
    assert "login" in Client().get(PLAN_PAGE).url
    assert signed_in().get(PLAN_PAGE).status_code == 403
    assert signed_in("view_menu").get("/admin/phone/wording/").status_code == 403


def test_versions_cannot_be_written_or_deleted_in_the_admin(office, clinic):
    version = clinic.plan_versions.get()
    assert office.get("/admin/phone/planversion/add/").status_code == 403
    assert office.post(f"{PLAN_PAGE}{version.pk}/delete/", {"post": "yes"}).status_code == 403
    assert PlanVersion.objects.filter(pk=version.pk).exists()


def test_a_wording_that_cannot_be_said_does_not_break_the_plan_page(office, clinic):
    Wording.objects.create(clinic=clinic, key="menu_option", text={"en": "{nobody}.", "es": "{label} {key}."})
    page = office.get(PLAN_PAGE).content.decode()
    assert "(This cannot be said until its wording is put right.)" in page


def test_the_pages_work_before_there_is_any_clinic(office):
    assert office.get(PLAN_PAGE).status_code == 200
    assert office.get("/admin/phone/wording/").status_code == 200
    assert office.get("/admin/phone/menu/").status_code == 200


def test_a_new_clinic_sets_its_phone_up(office):
    clinic = Clinic.objects.create(name="New", slug="new")
    form = the_form(office.get(reverse("admin:phone_phonesettings_add")))
    answer = office.post(reverse("admin:phone_phonesettings_add"), form)
    assert answer.status_code == 302, errors_on(answer)
    assert PhoneSettings.objects.get(clinic=clinic).publish_mode == PhoneSettings.PublishMode.BY_HAND
    form = the_form(office.get(reverse("admin:phone_phoneline_add")))
    answer = office.post(reverse("admin:phone_phoneline_add"), form | {"number": "+12125550150"})
    assert answer.status_code == 302, errors_on(answer)


def spoken_keys(clinic: Clinic) -> list[str]:
    return [option.key for option in live_plan_of(clinic.pk).plan.menus[0].options]


def test_an_address_that_is_no_version_is_not_found():
    office = signed_in("view_planversion")
    for address in ("abc", "9" * 30):
        assert office.get(f"{PLAN_PAGE}{address}/change/").status_code == 404
