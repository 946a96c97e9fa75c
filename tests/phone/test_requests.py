"""The office works its list of requests, and hears at once when a new one comes in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import phone.admin.calls
import phone.admin.requests  # noqa: F401
from agent_worker.ids import uuid7
from clinic.models import AccessRecord, Clinic
from phone import services
from phone.consumers import NOT_ALLOWED, OfficeConsumer
from phone.models import Request
from phone.records import CallStarted, RequestTaken
from tests.phone.office import make_call, make_clinic, make_receptionist, make_request, make_staff

LIST = "admin:phone_request_changelist"


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def clinic(db: None) -> Clinic:
    return make_clinic()


@pytest.fixture
def receptionist(db: None) -> User:
    return make_receptionist()


@pytest.fixture
def office(client: Client, receptionist: User) -> Client:
    client.force_login(receptionist)
    return client


def press(office: Client, button: str, request: Request) -> str:
    """Press a button of the list, and return the page that comes back."""
    address = reverse(f"admin:phone_request_{button}", args=[request.pk])
    return office.post(address, follow=True).content.decode()


class TestTheWorkList:
    def listed(self, office: Client, **filters: str) -> list[Request]:
        response = office.get(reverse(LIST), filters)
        assert response.status_code == 200
        return list(response.context["cl"].result_list)

    def test_puts_urgent_ones_first_and_then_those_due_first(
        self, office: Client, clinic: Clinic, now: datetime
    ) -> None:
        call = make_call(clinic, now)
        whenever = make_request(call, due_at=None)
        later = make_request(call, due_at=now + timedelta(hours=3))
        sooner = make_request(call, due_at=now + timedelta(hours=1))
        urgent = make_request(call, priority="urgent", due_at=now + timedelta(hours=9))
        assert self.listed(office) == [urgent, sooner, later, whenever]

    def test_shows_what_to_do_whom_to_call_and_what_is_overdue(
        self, office: Client, clinic: Clinic, now: datetime
    ) -> None:
        make_request(
            make_call(clinic, now), due_at=now - timedelta(hours=1), priority="urgent", confirmed=False
        )
        text = office.get(reverse(LIST)).content.decode()
        assert 'href="tel:+1-202-555-0123"' in text
        for words in ("(202) 555-0123", "not confirmed", "Urgent", "overdue", "Morning", "New"):
            assert words in text

    def test_can_be_narrowed(self, office: Client, receptionist: User, clinic: Clinic, now: datetime) -> None:
        call = make_call(clinic, now)
        late, mine, theirs, done = (
            make_request(call, due_at=now + timedelta(hours=n)) for n in (-1, 1, 2, 3)
        )
        services.request_take(request=mine, user=receptionist, now=now)
        services.request_take(request=theirs, user=make_receptionist("carl"), now=now)
        services.request_done(request=done, user=receptionist, now=now)
        practice = make_request(make_call(clinic, now, origin="simulated"))
        assert self.listed(office) == [late, mine, theirs]
        assert self.listed(office, state="untaken") == [late]
        assert self.listed(office, state="mine") == [mine]
        assert self.listed(office, state="done") == [done]
        assert self.listed(office, state="all") == [late, mine, theirs, done]
        assert self.listed(office, state="tests") == [practice]
        assert self.listed(office, due="overdue") == [late]

    def test_costs_the_same_few_queries_however_long(
        self, office: Client, clinic: Clinic, now: datetime, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(20):
            make_request(make_call(clinic, now))
        with django_assert_max_num_queries(8):
            self.listed(office)

    def test_can_be_taken_out_and_leaves_a_trace(
        self, office: Client, clinic: Clinic, receptionist: User, now: datetime
    ) -> None:
        receptionist.user_permissions.add(Permission.objects.get(codename="export_patient"))
        rows = [make_request(make_call(clinic, now), note="=1+1") for _ in range(2)]
        chosen = {"_selected_action": [row.pk for row in rows], "action": "download_csv"}
        text = office.post(reverse(LIST), chosen).content.decode()
        assert "+12025550123" in text
        assert "=1+1" not in text
        trace = AccessRecord.objects.get()
        assert (trace.action, trace.count) == ("export", 2)


class TestWorkingOnARequest:
    @pytest.fixture
    def request_row(self, clinic: Clinic, now: datetime) -> Request:
        return make_request(make_call(clinic, now))

    def test_one_press_takes_it_another_finishes_it(
        self, office: Client, receptionist: User, request_row: Request
    ) -> None:
        assert "is yours now" in press(office, "take", request_row)
        request_row.refresh_from_db()
        assert request_row.taken_by == receptionist
        assert "is done" in press(office, "done", request_row)
        request_row.refresh_from_db()
        assert request_row.done_by == receptionist
        assert "back on the list" in press(office, "reopen", request_row)
        assert Request.objects.untaken().get() == request_row

    def test_its_page_says_what_it_is(self, office: Client, request_row: Request) -> None:
        page = office.get(reverse("admin:phone_request_change", args=[request_row.pk])).content.decode()
        assert "Appointment" in page
        assert "[&#x27;" not in page

    def test_the_second_of_two_people_hears_who_was_faster(
        self, office: Client, request_row: Request, now: datetime
    ) -> None:
        services.request_take(request=request_row, user=make_receptionist("carl"), now=now)
        assert "carl has taken the appointment request already" in press(office, "take", request_row).lower()

    def test_several_are_taken_together(self, office: Client, clinic: Clinic, now: datetime) -> None:
        rows = [make_request(make_call(clinic, now)) for _ in range(3)]
        chosen = {"_selected_action": [row.pk for row in rows], "action": "take_selected"}
        office.post(reverse(LIST), chosen)
        assert Request.objects.taken().count() == 3

    def test_a_link_alone_changes_nothing(self, office: Client, request_row: Request) -> None:
        address = reverse("admin:phone_request_take", args=[request_row.pk])
        assert office.get(address).status_code == 405
        assert Request.objects.untaken().exists()

    def test_somebody_who_may_only_look_is_told_so(
        self, client: Client, clinic: Clinic, request_row: Request
    ) -> None:
        client.force_login(make_staff("vera", "view_request"))
        assert "but not work on them" in press(client, "take", request_row)
        assert Request.objects.untaken().exists()

    def test_its_page_shows_the_call_and_leaves_a_trace(self, office: Client, request_row: Request) -> None:
        text = office.get(reverse("admin:phone_request_change", args=[request_row.pk])).content.decode()
        assert reverse("admin:phone_call_change", args=[request_row.call_id]) in text
        assert reverse("admin:phone_request_take", args=[request_row.pk]) in text
        assert 'name="_save"' not in text
        trace = AccessRecord.objects.get()
        assert (trace.action, trace.model, trace.object_id) == ("view", "phone.request", str(request_row.pk))

    def test_what_the_caller_left_cannot_be_rewritten(self, office: Client, request_row: Request) -> None:
        address = reverse("admin:phone_request_change", args=[request_row.pk])
        office.post(address, {"number": "+12025550199", "note": "changed"})
        request_row.refresh_from_db()
        assert (str(request_row.number), request_row.note) == ("+12025550123", "")


class Page:
    """A browser's side of the socket."""

    def __init__(self, user: Any) -> None:
        scope = {"type": "websocket", "path": "/office/live/", "user": user}
        self.socket = ApplicationCommunicator(OfficeConsumer.as_asgi(), scope)

    async def open(self) -> None:
        await self.socket.send_input({"type": "websocket.connect"})
        assert (await self.receives())["type"] == "websocket.accept"

    async def receives(self) -> dict[str, Any]:
        return await self.socket.receive_output(timeout=2)

    async def hears(self) -> dict[str, Any]:
        return json.loads((await self.receives())["text"])

    async def close(self) -> None:
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await self.socket.wait()


@pytest.mark.django_db(transaction=True)
class TestAnOpenPage:
    @asynccontextmanager
    async def opened(self, user: Any) -> AsyncIterator[Page]:
        page = Page(user)
        await page.open()
        yield page
        await page.close()

    @staticmethod
    def leave_request(clinic: Clinic, now: datetime, origin: str = "browser", **fields: Any) -> None:
        """What the worker's thread does when a caller leaves a request."""
        call = uuid7(now)
        wanted: dict[str, Any] = {
            "clinic_id": clinic.pk, "kind": "callback", "priority": "normal", "number": "+12025550123",
            "part_of_day": "", "topic": "", "note": "a secret", "language": "en", "confirmed": True,
            "due_at": now - timedelta(minutes=1), "patient_id": None,
        }  # fmt: skip
        start = CallStarted(call, now, clinic.pk, None, None, origin, "+12025550123", "en", False)
        services.write_records([start, RequestTaken(call, uuid7(now), now, **(wanted | fields))])

    async def test_hears_of_a_new_request_at_once_and_nothing_about_the_patient(
        self, clinic: Clinic, receptionist: User, now: datetime
    ) -> None:
        async with self.opened(receptionist) as page:
            greeting = await page.hears()
            assert (greeting["open_requests"], greeting["new_requests"]) == (0, 0)
            await asyncio.to_thread(self.leave_request, clinic, now, priority="urgent")
            news = await page.hears()
            while not news["new_requests"]:
                news = await page.hears()
            assert (news["new_requests"], news["urgent"]) == (1, True)
            assert (news["open_requests"], news["overdue_requests"], news["running_calls"]) == (1, 1, 1)
            assert "555" not in str(news)
            assert "secret" not in str(news)

    async def test_hears_nothing_of_a_request_in_a_test_call(
        self, clinic: Clinic, receptionist: User, now: datetime
    ) -> None:
        async with self.opened(receptionist) as page:
            await page.hears()
            await asyncio.to_thread(self.leave_request, clinic, now, origin="simulated")
            news = await page.hears()
            assert (news["new_requests"], news["open_requests"], news["running_calls"]) == (0, 0, 0)
            assert await page.socket.receive_nothing()

    @pytest.mark.parametrize("who", ["nobody", "visitor", "pharmacist"])
    async def test_is_closed_to_those_who_may_not_see_requests(self, who: str, clinic: Clinic) -> None:
        user: Any = AnonymousUser()
        if who == "visitor":
            user = await User.objects.acreate(username=who)
        if who == "pharmacist":
            user = await sync_to_async(make_staff)(who, "view_patient")
        async with self.opened(user) as page:
            assert await page.receives() == {"type": "websocket.close", "code": NOT_ALLOWED}
