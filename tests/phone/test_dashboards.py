"""Every figure of the dashboard is the number of rows behind its link, on the clinic's own calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import resolve, reverse

import phone.admin.calls
import phone.admin.requests  # noqa: F401
from clinic.models import Clinic
from phone.dashboards import LONGEST, Chart, call_figures
from phone.models import Call
from tests.phone.office import MONDAY_NOON, add_event, make_call, make_clinic, make_receptionist, make_request

pytestmark = pytest.mark.django_db

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic()


@pytest.fixture
def office(client: Client) -> Client:
    receptionist: User = make_receptionist()
    client.force_login(receptionist)
    return client


@pytest.fixture
def month(clinic: Clinic) -> None:
    """A month with something of everything, and calls that count nowhere."""
    outcomes = [*Call.Outcome.values, "", "completed"]
    for number, outcome in enumerate(outcomes):
        call = make_call(
            clinic,
            datetime(2026, 11, 1, 4, 30, tzinfo=UTC) + timedelta(hours=31 * number),
            origin=["phone", "browser", "seed"][number % 3],
            outcome=outcome,
            served=Call.Served.values[number % 4],
            consent=["given", "refused", "no_answer", "not_asked", ""][number % 5],
            after_hours=number % 3 == 0,
        )
        add_event(call, "menu", menu="Main", option="appointments", action="appointment")
        if number % 2:
            add_event(call, "menu", menu="Main", option="appointments", action="appointment")
            add_event(call, "menu", menu="More", option="dentists & staff", action="say")
    make_call(clinic, origin="simulated")
    make_call(clinic, origin="line_check")
    make_call(clinic, datetime(2026, 12, 1, 5, 0, tzinfo=UTC))
    make_call(make_clinic(name="Elsewhere", slug="elsewhere"))


def rows_behind(office: Client, link: str) -> int:
    """How many rows the list behind `link` has (without the time it takes to draw it)."""
    request = RequestFactory().get(link)
    request.user = User.objects.get(pk=office.session["_auth_user_id"])
    model = resolve(request.path).func.model_admin.model
    count: int = admin.site.get_model_admin(model).get_changelist_instance(request).result_count
    return count


def chart(figures: Any, title: str) -> Chart:
    return next(one for one in figures.charts if one.title == title)


def test_every_figure_is_the_number_of_rows_behind_its_link(
    office: Client, clinic: Clinic, month: None
) -> None:
    period = {"clinic": clinic.pk, "day_from": FIRST, "day_to": LAST}
    page = office.get(reverse("admin:phone_call_figures"), period)
    shown = [*page.context["totals"], *(bar for one in page.context["charts"] for bar in one["bars"])]
    assert len(shown) > 70
    checked = 0
    for figure in shown:
        assert rows_behind(office, figure["link"]) == figure["count"], figure
        checked += figure["count"] > 0
    assert checked > 40


def test_counts_what_it_says(clinic: Clinic, month: None) -> None:
    figures = call_figures(clinic=clinic, first=FIRST, last=LAST)
    totals = {figure.label: figure.count for figure in figures.totals}
    # The first one, at 00:30 on 1 November in New York, is the month's; the one on 1 December is not.
    assert totals["Calls"] == 12
    assert totals["Not answered"] == 2
    assert totals["Answered"] == 10
    assert totals["While we were open"] + totals["After hours"] == 12
    choices = {figure.label: figure.count for figure in chart(figures, "Menu choices").figures}
    assert choices == {"appointments": 12, "dentists & staff": 6}
    for title in (
        "Calls by day",
        "Calls by hour",
        "Calls by day of the week",
        "How calls ended",
        "What callers got",
    ):
        assert sum(figure.count for figure in chart(figures, title).figures) == 11, title


def test_an_hour_that_the_clock_repeats_counts_both_times(clinic: Clinic) -> None:
    # 1:30 AM on 1 November 2026 in New York happens at 05:30 and at 06:30 UTC.
    for hour in (5, 6):
        make_call(clinic, datetime(2026, 11, 1, hour, 30, tzinfo=UTC))
    figures = call_figures(clinic=clinic, first=FIRST, last=FIRST)
    assert chart(figures, "Calls by hour").figures[1].count == 2
    assert [figure.count for figure in chart(figures, "Calls by day").figures] == [2]


def test_takes_three_queries_whatever_the_calls(
    clinic: Clinic, month: None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(3):
        call_figures(clinic=clinic, first=FIRST, last=LAST)


def test_days_are_put_in_order_and_bounded(clinic: Clinic) -> None:
    figures = call_figures(clinic=clinic, first=LAST, last=date(2020, 1, 1))
    assert figures.last == LAST
    assert (figures.last - figures.first).days == LONGEST - 1


def test_outside_the_demo_made_up_calls_do_not_count(clinic: Clinic, settings: Any) -> None:
    make_call(clinic, origin="seed")
    make_call(clinic)
    assert call_figures(clinic=clinic, first=FIRST, last=LAST).totals[0].count == 2
    settings.DEMO = False
    assert call_figures(clinic=clinic, first=FIRST, last=LAST).totals[0].count == 1


def test_a_system_without_a_clinic_says_so(office: Client) -> None:
    assert "no clinic yet" in office.get(reverse("admin:phone_call_figures")).content.decode()


def test_the_page_is_for_those_who_may_see_calls(client: Client, clinic: Clinic) -> None:
    client.force_login(User.objects.create_user("vera", is_staff=True))
    assert client.get(reverse("admin:phone_call_figures")).status_code == 403


def test_the_first_page_shows_today_at_a_glance(office: Client, clinic: Clinic) -> None:
    make_request(make_call(clinic), due_at=MONDAY_NOON - timedelta(days=400))
    make_request(make_call(clinic, origin="simulated"))
    glance = office.get(reverse("admin:index")).context["glances"][0]
    figures = {total["label"]: total for total in glance["totals"]}
    assert figures["Open requests"]["count"] == figures["Overdue requests"]["count"] == 1
    for label in ("Open requests", "Overdue requests", "Calls"):
        assert rows_behind(office, figures[label]["link"]) == figures[label]["count"]
