"""The clinic's pages, used as the office uses them."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clinic.admin.rows import at_clinic
from clinic.models import Clinic, Closure, ClosureInterval, OpeningInterval
from clinic.roles import Role
from clinic.signals import clinic_changed

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic.objects.create(name="Bright Smile Dental", slug="bright-smile", languages=["en", "es"])
    OpeningInterval.objects.create(clinic=clinic, weekday=0, opens=time(8), closes=time(12))
    return clinic


@pytest.fixture
def office(client: Client) -> Client:
    manager = User.objects.create_user("manager", is_staff=True)
    manager.groups.add(Group.objects.get(name=Role.MANAGER))
    client.force_login(manager)
    return client


@pytest.fixture
def announced() -> Iterator[list[int]]:
    heard: list[int] = []

    def listen(clinic_id: int, **_: object) -> None:
        heard.append(clinic_id)

    clinic_changed.connect(listen)
    yield heard
    clinic_changed.disconnect(listen)


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def form_of(response: Any) -> dict[str, Any]:
    """What a browser would send back from the change page, unchanged."""
    data: dict[str, Any] = {}
    context = response.context
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for field in form:
            value = field.value()
            if hasattr(field.field.widget, "decompress"):
                values = value if isinstance(value, list) else field.field.widget.decompress(value)
                names = field.field.widget.widgets_names
                data |= {
                    f"{field.html_name}{name}": each or "" for name, each in zip(names, values, strict=True)
                }
            elif isinstance(value, bool):
                data |= {field.html_name: "on"} if value else {}
            else:
                data[field.html_name] = "" if value is None else value
    return data


def page_of(row: Clinic | Closure) -> str:
    return reverse(f"admin:clinic_{row._meta.model_name}_change", args=[row.pk])


def new_times(prefix: str, *rows: dict[str, str], initial: int = 0) -> dict[str, str]:
    data = {f"{prefix}-TOTAL_FORMS": str(initial + len(rows)), f"{prefix}-INITIAL_FORMS": str(initial)}
    for number, row in enumerate(rows, initial):
        data |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return data


class TestTheClinic:
    def test_saving_unchanged_keeps_everything(self, office: Client, clinic: Clinic) -> None:
        before = Clinic.objects.values().get()
        answer = office.post(page_of(clinic), form_of(office.get(page_of(clinic))))
        assert answer.status_code == 302, answer.context["errors"]
        assert Clinic.objects.values().get() == before

    def test_the_language_spoken_first_comes_first(self, office: Client, clinic: Clinic) -> None:
        form = form_of(office.get(page_of(clinic)))
        office.post(page_of(clinic), form | {"first_language": "es"})
        clinic.refresh_from_db()
        assert clinic.languages == ["es", "en"]

    def test_the_language_spoken_first_is_one_of_the_clinics(self, office: Client, clinic: Clinic) -> None:
        form = form_of(office.get(page_of(clinic)))
        answer = office.post(page_of(clinic), form | {"languages": ["en"], "first_language": "es"})
        assert "Español is not among the clinic's languages." in text_of(answer)

    def test_overlapping_times_are_named_beside_the_field(self, office: Client, clinic: Clinic) -> None:
        form = form_of(office.get(page_of(clinic)))
        later = {"weekday": "0", "opens": "11:00", "closes": "17:00"}
        answer = office.post(page_of(clinic), form | new_times("opening_intervals", later, initial=1))
        [formset] = answer.context["inline_admin_formsets"]
        sentence = "Monday 08:00–12:00 and Monday 11:00–17:00 overlap."
        assert formset.formset.forms[1].errors == {"opens": [sentence]}
        assert sentence in text_of(answer)

    def test_a_sunday_night_may_not_run_into_monday(self, office: Client, clinic: Clinic) -> None:
        form = form_of(office.get(page_of(clinic)))
        night = {"weekday": "6", "opens": "20:00", "closes": "08:30"}
        answer = office.post(page_of(clinic), form | new_times("opening_intervals", night, initial=1))
        assert "Monday 08:00–12:00 and Sunday 20:00–08:30 overlap." in text_of(answer)

    def test_a_deleted_time_overlaps_nothing(self, office: Client, clinic: Clinic) -> None:
        form = form_of(office.get(page_of(clinic)))
        form |= new_times(
            "opening_intervals", {"weekday": "0", "opens": "11:00", "closes": "17:00"}, initial=1
        )
        answer = office.post(page_of(clinic), form | {"opening_intervals-0-DELETE": "on"})
        assert answer.status_code == 302
        assert str(clinic.opening_intervals.get()) == "Monday 11:00–17:00"


class TestTheSwitch:
    def switch(self, office: Client, clinic: Clinic, state: str, until: datetime | None) -> Any:
        form = form_of(office.get(page_of(clinic)))
        day, clock = (f"{until:%Y-%m-%d}", f"{until:%H:%M}") if until else ("", "")
        return office.post(
            page_of(clinic), form | {"switch": state, "switch_until_0": day, "switch_until_1": clock}
        )

    def test_closed_until_a_time_on_the_clinics_clock(self, office: Client, clinic: Clinic) -> None:
        until = (timezone.now() + timedelta(days=1)).astimezone(NEW_YORK).replace(hour=14, minute=30)
        assert self.switch(office, clinic, "closed", until).status_code == 302
        clinic.refresh_from_db()
        assert clinic.switch_until is not None
        assert f"{clinic.switch_until.astimezone(NEW_YORK):%H:%M}" == "14:30"
        page = form_of(office.get(page_of(clinic)))
        assert f"{page['switch_until_1']}" == "14:30:00"
        listed = text_of(office.get(reverse("admin:clinic_clinic_changelist")))
        assert "Closed now, until" in listed

    def test_without_an_end_it_asks_until_when(self, office: Client, clinic: Clinic) -> None:
        assert "Until when?" in text_of(self.switch(office, clinic, "closed", None))

    def test_an_end_that_has_passed_is_refused(self, office: Client, clinic: Clinic) -> None:
        past = timezone.now().astimezone(NEW_YORK) - timedelta(hours=1)
        assert "This has passed: it is " in text_of(self.switch(office, clinic, "open", past))

    def test_what_has_ended_by_itself_stops_nobody_from_saving(self, office: Client, clinic: Clinic) -> None:
        Clinic.objects.update(switch="closed", switch_until=timezone.now() - timedelta(hours=1))
        answer = office.post(page_of(clinic), form_of(office.get(page_of(clinic))))
        assert answer.status_code == 302
        clinic.refresh_from_db()
        assert (clinic.switch, clinic.switch_until) == ("", None)

    def test_switching_back_forgets_the_end(self, office: Client, clinic: Clinic) -> None:
        Clinic.objects.update(switch="closed", switch_until=timezone.now() + timedelta(hours=1))
        self.switch(office, clinic, "", timezone.now().astimezone(NEW_YORK) + timedelta(hours=1))
        clinic.refresh_from_db()
        assert (clinic.switch, clinic.switch_until) == ("", None)


class TestClosures:
    ADD = "/admin/clinic/closure/add/"

    def closure(self, clinic: Clinic, **changes: str) -> dict[str, str]:
        return {
            "clinic": str(clinic.pk),
            "name": "Christmas Eve",
            "starts_on": "2026-12-24",
            "ends_on": "",
            "message_en": "Merry Christmas.",
            "message_es": "Feliz Navidad.",
            **new_times("intervals"),
            **changes,
        }

    def test_a_half_day_with_a_message_in_each_language(self, office: Client, clinic: Clinic) -> None:
        hours = new_times("intervals", {"opens": "09:00", "closes": "12:00"})
        answer = office.post(self.ADD, self.closure(clinic) | hours)
        assert answer.status_code == 302, answer.context["errors"]
        closure = Closure.objects.get()
        assert closure.ends_on == date(2026, 12, 24)
        assert closure.message == {"en": "Merry Christmas.", "es": "Feliz Navidad."}
        assert str(closure.intervals.get()) == "09:00–12:00"
        assert "24 Dec 2026" in text_of(office.get(reverse("admin:clinic_closure_changelist")))

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"ends_on": "2026-12-23"}, "The last day is before the first."),
            ({"ends_on": "2027-12-24", "yearly": "on"}, "has to be shorter than a year"),
            (
                new_times(
                    "intervals", {"opens": "09:00", "closes": "12:00"}, {"opens": "11:00", "closes": "15:00"}
                ),
                "09:00–12:00 and 11:00–15:00 overlap.",
            ),
        ],
    )
    def test_what_cannot_be_is_said_in_a_sentence(
        self, office: Client, clinic: Clinic, changes: dict[str, str], sentence: str
    ) -> None:
        assert sentence in text_of(office.post(self.ADD, self.closure(clinic, **changes)))
        assert not Closure.objects.exists()

    def test_only_the_clinics_languages_are_asked_for_and_other_texts_stay(
        self, office: Client, clinic: Clinic
    ) -> None:
        office.post(self.ADD, self.closure(clinic))
        Clinic.objects.update(languages=["en"])
        closure = Closure.objects.get()
        page = office.get(page_of(closure))
        assert "message_es" not in text_of(page)
        office.post(page_of(closure), form_of(page) | {"message_en": "Closed."})
        closure.refresh_from_db()
        assert closure.message == {"en": "Closed.", "es": "Feliz Navidad."}


class TestAReceptionist:
    @pytest.fixture
    def rita(self, client: Client) -> Client:
        rita = User.objects.create_user("rita", is_staff=True)
        rita.groups.add(Group.objects.get(name=Role.RECEPTIONIST))
        client.force_login(rita)
        return client

    def test_closes_early(self, rita: Client, clinic: Clinic) -> None:
        until = (timezone.now() + timedelta(days=2)).astimezone(NEW_YORK)
        form = form_of(rita.get(page_of(clinic))) | {
            "switch": "closed",
            "switch_until_0": f"{until:%Y-%m-%d}",
            "switch_until_1": "10:00",
        }
        assert rita.post(page_of(clinic), form).status_code == 302
        clinic.refresh_from_db()
        assert clinic.switch == "closed"
        assert clinic.switch_until.astimezone(NEW_YORK).hour == 10
        assert rita.post(page_of(clinic), form | {"switch_until_0": "2020-01-01"}).status_code == 200

    def test_changes_nothing_else_of_the_clinic(self, rita: Client, clinic: Clinic) -> None:
        others = {"name": "Mine", "languages": ["es"], "time_zone": "UTC", "office_email": "a@b.example"}
        form = form_of(rita.get(page_of(clinic)))
        before = Clinic.objects.values().get()
        assert rita.post(page_of(clinic), form | others | {"switch": ""}).status_code == 302
        assert Clinic.objects.values().get() == before


class TestPublicHolidays:
    PAGE = "/admin/clinic/closure/holidays/"

    def lookup(self, clinic: Clinic, **changes: object) -> dict[str, Any]:
        return {"clinic": clinic.pk, "country": "US", "subdivision": "New York", "year": 2027} | changes

    def test_they_are_shown_and_the_ticked_ones_become_closures(self, office: Client, clinic: Clinic) -> None:
        assert "United States" in text_of(office.get(self.PAGE))
        assert "Thanksgiving Day" in text_of(office.get(self.PAGE, self.lookup(clinic)))
        ticked = {"day": ["2027-11-25", "2027-12-25"]}
        answer = office.post(self.PAGE, self.lookup(clinic) | ticked, follow=True)
        assert "2 public holidays were added." in text_of(answer)
        assert [closure.name for closure in Closure.objects.all()] == ["Thanksgiving Day", "Christmas Day"]
        assert {closure.source for closure in Closure.objects.all()} == {"holiday"}

    def test_a_day_that_is_closed_already_is_left_out(self, office: Client, clinic: Clinic) -> None:
        day = date(2020, 12, 25)
        Closure.objects.create(clinic=clinic, name="Christmas", starts_on=day, ends_on=day, yearly=True)
        ticked = self.lookup(clinic) | {"day": ["2027-11-25", "2027-12-25"]}
        for _ in range(2):
            answer = office.post(self.PAGE, ticked, follow=True)
        assert "0 public holidays were added. 2 were left out" in text_of(answer)
        assert Closure.objects.count() == 2

    def test_an_unknown_state_is_answered_with_the_known_ones(self, office: Client, clinic: Clinic) -> None:
        answer = text_of(office.get(self.PAGE, self.lookup(clinic, subdivision="Bavaria")))
        assert "“Bavaria” is not a state or region of this country. Known are: AK, AL" in answer

    def test_a_receptionist_may_not(self, client: Client, clinic: Clinic) -> None:
        rita = User.objects.create_user("rita", is_staff=True)
        rita.groups.add(Group.objects.get(name=Role.RECEPTIONIST))
        client.force_login(rita)
        assert client.post(self.PAGE, self.lookup(clinic) | {"day": ["2027-12-25"]}).status_code == 403
        assert not Closure.objects.exists()


class TestEveryChangeIsAnnounced:
    def test_on_the_clinics_page(self, office: Client, clinic: Clinic, announced: list[int]) -> None:
        form = form_of(office.get(page_of(clinic)))
        announced.clear()
        office.post(page_of(clinic), form | {"opening_intervals-0-DELETE": "on"})
        assert not clinic.opening_intervals.exists()
        assert announced == [clinic.pk, clinic.pk]

    def test_when_a_row_is_saved_or_deleted(self, clinic: Clinic, announced: list[int]) -> None:
        announced.clear()
        closure = Closure.objects.create(
            clinic=clinic, name="Party", starts_on=date(2026, 12, 1), ends_on=date(2026, 12, 1)
        )
        ClosureInterval.objects.create(closure=closure, opens=time(9), closes=time(12)).delete()
        closure.delete()
        assert announced == [clinic.pk] * 4

    def test_when_several_are_deleted_from_the_list(
        self, office: Client, clinic: Clinic, announced: list[int]
    ) -> None:
        day = date(2026, 12, 1)
        closure = Closure.objects.create(clinic=clinic, name="Party", starts_on=day, ends_on=day)
        announced.clear()
        office.post(
            reverse("admin:clinic_closure_changelist"),
            {"action": "delete_selected", "_selected_action": [closure.pk], "post": "yes"},
        )
        assert not Closure.objects.exists()
        assert announced == [clinic.pk]


def test_moments_are_shown_on_the_clinics_clock(clinic: Clinic) -> None:
    assert at_clinic(datetime(2026, 11, 23, 19, 5, tzinfo=UTC), clinic) == "Mon 23 Nov 2026, 14:05"
