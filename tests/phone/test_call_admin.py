"""The office looks at its calls: the list, its filters, and everything about one call on one page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

import phone.admin.calls
import phone.admin.requests  # noqa: F401
from agent_worker.ids import uuid7
from clinic.models import AccessRecord, Clinic
from phone.admin.lists import BoundedPaginator
from phone.models import Call, ConsentRecord, KeypadEntry, Menu, MenuOption, PhoneLine
from tests.phone.office import MONDAY_NOON, add_event, make_call, make_clinic, make_receptionist, make_request

pytestmark = pytest.mark.django_db

LIST = "admin:phone_call_changelist"


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic()


@pytest.fixture
def receptionist() -> User:
    return make_receptionist()


@pytest.fixture
def office(client: Client, receptionist: User) -> Client:
    client.force_login(receptionist)
    return client


def listed(office: Client, **filters: Any) -> set[Call]:
    response = office.get(reverse(LIST), filters)
    assert response.status_code == 200, response.headers
    return set(response.context["cl"].result_list)


class TestTheList:
    def test_shows_calls_of_people_newest_first_on_the_clinics_clock(
        self, office: Client, clinic: Clinic
    ) -> None:
        older = make_call(clinic, caller_number="+12025550123", origin="phone")
        newer = make_call(clinic, MONDAY_NOON + timedelta(hours=1), outcome="", ended_at=None)
        make_call(clinic, origin="simulated")
        make_call(clinic, origin="line_check")
        response = office.get(reverse(LIST))
        assert list(response.context["cl"].result_list) == [newer, older]
        text = response.content.decode()
        assert "Mon 23 Nov, 12:00" in text
        assert "(202) 555-0123" in text
        assert "1:15" in text
        assert "Running now" in text

    def test_shows_the_others_when_asked(self, office: Client, clinic: Clinic) -> None:
        real, simulated = make_call(clinic), make_call(clinic, origin="simulated")
        assert listed(office, origin="simulated") == {simulated}
        assert listed(office, origin="all") == {real, simulated}

    @pytest.mark.parametrize(
        ("filters", "fields"),
        [
            ({"outcome": "request_taken"}, {"outcome": "request_taken"}),
            ({"outcome": "running"}, {"outcome": "", "ended_at": None}),
            ({"answered": "no"}, {"outcome": "busy"}),
            ({"hours": "after"}, {"after_hours": True}),
            ({"served": "nothing"}, {"served": "nothing"}),
            ({"consent": "refused"}, {"consent": "refused"}),
            ({"consent": "none"}, {"consent": ""}),
            ({"hour": "13"}, {"at": MONDAY_NOON + timedelta(hours=1)}),
            ({"weekday": "2"}, {"at": MONDAY_NOON + timedelta(days=2)}),
            ({"day_from": "2026-11-24"}, {"at": MONDAY_NOON + timedelta(days=1)}),
            ({"day_to": "2026-11-22"}, {"at": MONDAY_NOON - timedelta(days=1)}),
            ({"caller": "(202) 555-0199"}, {"caller_number": "+12025550199"}),
            ({"caller": "0199"}, {"caller_number": "+12025550199"}),
        ],
    )
    def test_narrows(
        self, office: Client, clinic: Clinic, filters: dict[str, str], fields: dict[str, Any]
    ) -> None:
        make_call(clinic, caller_number="+12025550123")
        wanted = make_call(clinic, **fields)
        assert listed(office, **filters) == {wanted}

    def test_narrows_to_a_line_and_to_what_was_chosen(self, office: Client, clinic: Clinic) -> None:
        line = PhoneLine.objects.create(clinic=clinic, number="+12025550100", label="Front desk")
        menu = Menu.objects.create(clinic=clinic, name="Main")
        MenuOption.objects.create(menu=menu, key="2", label={"en": "office hours"}, action="office_hours")
        chose, other = make_call(clinic, line=line), make_call(clinic)
        for _ in range(2):
            add_event(chose, "menu", menu="Main", option="office hours", action="office_hours")
        add_event(other, "menu", menu="Main", option="appointments", action="appointment")
        assert listed(office, line=line.pk) == {chose}
        assert listed(office, choice="Main › office hours") == {chose}
        assert listed(office, choice="Main › appointments") == {other}
        assert "Main › office hours" in office.get(reverse(LIST)).content.decode()

    def test_finds_a_callers_other_calls_without_the_number_in_the_address(
        self, office: Client, clinic: Clinic
    ) -> None:
        calls = {make_call(clinic, caller_number="+12025550123") for _ in range(2)}
        make_call(clinic, caller_number="+12025550199")
        withheld = make_call(clinic)
        assert listed(office, caller=f"call:{calls.copy().pop().pk}") == calls
        assert listed(office, caller=f"call:{withheld.pk}") == set()

    @pytest.mark.parametrize("moment", ["2026-11-02T04:30", "2026-03-09T03:59"])
    def test_days_end_at_the_clinics_midnight_on_both_clock_changes(
        self, office: Client, clinic: Clinic, moment: str
    ) -> None:
        late_on_sunday = make_call(clinic, datetime.fromisoformat(moment).replace(tzinfo=UTC))
        make_call(clinic, late_on_sunday.started_at + timedelta(hours=1))
        sunday = "2026-11-01" if "11-02" in moment else "2026-03-08"
        assert listed(office, day_from=sunday, day_to=sunday) == {late_on_sunday}

    @pytest.mark.parametrize(
        "nonsense",
        [
            {"hour": "x"},
            {"day_from": "soon"},
            {"day_from": "0001-01-01", "day_to": "9999-12-31"},
            {"line": "-"},
            {"line": "9" * 30},
            {"clinic": "9" * 30},
            {"choice": "?"},
        ],
    )
    def test_is_not_upset_by_nonsense(self, office: Client, clinic: Clinic, nonsense: dict[str, str]) -> None:
        call = make_call(clinic)
        assert listed(office, **nonsense) == {call}

    def test_costs_the_same_few_queries_however_many_calls(
        self, office: Client, clinic: Clinic, django_assert_max_num_queries: Any
    ) -> None:
        line = PhoneLine.objects.create(clinic=clinic, number="+12025550100")
        for number in range(30):
            make_call(clinic, MONDAY_NOON + timedelta(minutes=number), line=line)
        with django_assert_max_num_queries(10) as captured:
            office.get(reverse(LIST))
        counts = [
            query["sql"] for query in captured if "COUNT(" in query["sql"] and "phone_call" in query["sql"]
        ]
        assert all("LIMIT" in sql for sql in counts)

    def test_counts_no_further_than_it_pages(self, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("phone.admin.lists.ROWS_COUNTED", 3)
        for _ in range(5):
            make_call(clinic)
        assert BoundedPaginator(Call.objects.all(), 2).num_pages == 2

    def test_can_be_taken_out_and_leaves_a_trace(
        self, office: Client, clinic: Clinic, receptionist: User
    ) -> None:
        receptionist.user_permissions.add(Permission.objects.get(codename="export_patient"))
        calls = [make_call(clinic, caller_number="+12025550123"), make_call(clinic)]
        selected = {"_selected_action": [call.pk for call in calls], "action": "download_csv"}
        response = office.post(reverse(LIST), selected)
        assert response["Content-Type"] == "text/csv"
        assert response.content.decode().count("\n") == 3
        assert "+12025550123" in response.content.decode()
        trace = AccessRecord.objects.get()
        assert (trace.action, trace.count, trace.username) == ("export", 2, "rita")
        excel = office.post(reverse(LIST), selected | {"action": "download_xlsx"})
        assert excel.content.startswith(b"PK")

    def test_is_taken_out_only_by_those_who_may_take_patients_out(
        self, office: Client, clinic: Clinic
    ) -> None:
        call = make_call(clinic, caller_number="+12025550123")
        chosen = {"_selected_action": [call.pk], "action": "download_csv"}
        assert office.post(reverse(LIST), chosen)["Content-Type"] != "text/csv"
        assert not AccessRecord.objects.exists()


class TestTheCallsPage:
    @pytest.fixture
    def call(self, clinic: Clinic) -> Call:
        call = make_call(clinic, caller_number="+12025550123", origin="phone", ended_in_step="goodbye")
        add_event(call, "call", seconds=0, plan_version=7)
        add_event(call, "step", step="consent", seconds=2)
        add_event(call, "prompt", step="consent", seconds=2.5, text="May we record this call?")
        add_event(call, "key", step="consent", seconds=4.25, key="1")
        add_event(
            call, "consent", step="consent", seconds=4.3, decision="given", heard_to_end=True, recording=True
        )
        add_event(
            call, "menu", step="menu", seconds=9, menu="Main", option="appointments", action="receptionist"
        )
        add_event(
            call, "entry", step="patient_id", seconds=65, source="keypad", outcome="accepted", digits="••••"
        )
        add_event(
            call, "request", step="request", seconds=70, kind="appointment", priority="normal", confirmed=True
        )
        add_event(call, "brand_new", seconds=71, colour="green")
        add_event(call, "ended", seconds=75, outcome="request_taken", served="request", duration=75)
        ConsentRecord.objects.create(
            id=uuid7(MONDAY_NOON), call=call, decision="given", how="keypad", language="en",
            wording="May we record this call?", covers_recording=True, heard_to_end=True,
            asked_at=MONDAY_NOON + timedelta(seconds=2.5), answered_at=MONDAY_NOON + timedelta(seconds=4.3),
        )  # fmt: skip
        KeypadEntry.objects.create(
            id=uuid7(MONDAY_NOON), call=call, at=MONDAY_NOON + timedelta(seconds=65), step="patient_id",
            attempt=1, source="keypad", outcome="accepted", digits="••••", digits_ciphertext=b"secret", took=1.2,
        )  # fmt: skip
        make_request(call, priority="urgent")
        return call

    def page(self, office: Client, call: Call) -> str:
        response = office.get(reverse("admin:phone_call_change", args=[call.pk]))
        assert response.status_code == 200
        return response.content.decode()

    def test_tells_the_whole_call(self, office: Client, call: Call) -> None:
        text = " ".join(self.page(office, call).split())
        timeline = text[text.index("What happened") :]
        expected = [
            "0:00.0", "Call answered", "Plan 7", "Step: Consent", "May we record this call?", "0:04.2", "Key 1",
            "Consent: given", "recording is permitted", "Chose appointments", "1:05.0", "Entry ••••: accepted",
            "Appointment request left", "brand_new", "colour: green", "Call ended: left a request",
        ]  # fmt: skip
        position = 0
        for words in expected:
            position = timeline.index(words, position)
        for words in (
            "Mon 23 Nov, 12:00:00",
            "(202) 555-0123",
            "Open the request",
            "Heard to its end",
            "1.2 s",
        ):
            assert words in text

    def test_cannot_be_edited(self, office: Client, call: Call) -> None:
        text = self.page(office, call)
        assert 'name="_save"' not in text
        assert "Delete" not in text
        change, delete = (
            reverse(f"admin:phone_call_{name}", args=[call.pk]) for name in ("change", "delete")
        )
        assert office.post(change, {"outcome": "failed"}).status_code == 403
        assert office.post(delete, {"post": "yes"}).status_code == 403
        assert office.get(reverse("admin:phone_call_add")).status_code == 403

    def test_leaves_a_trace_when_opened(self, office: Client, call: Call) -> None:
        self.page(office, call)
        trace = AccessRecord.objects.get()
        assert (trace.action, trace.model, trace.object_id) == ("view", "phone.call", str(call.pk))

    def test_costs_a_few_queries_however_long_the_call(
        self, office: Client, call: Call, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(60):
            add_event(call, "key", seconds=80 + number, key="5")
        with django_assert_max_num_queries(14):
            self.page(office, call)

    def test_is_for_the_office_only(self, client: Client, call: Call) -> None:
        address = reverse("admin:phone_call_change", args=[call.pk])
        assert client.get(address).status_code == 302
        assert "login" in client.get(address)["Location"]


def test_the_running_calls_are_a_piece_of_the_first_page(office: Client, clinic: Clinic) -> None:
    make_call(clinic, caller_number="+12025550123", outcome="", ended_at=None)
    make_call(clinic, caller_number="+12025550199")
    running = office.get(reverse("admin:phone_call_running")).content.decode()
    assert "555-0123" in running
    assert "555-0199" not in running
    assert reverse("admin:phone_call_running") in office.get(reverse("admin:index")).content.decode()
