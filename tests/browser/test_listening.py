"""Listening to a call in its page: play, go to a line of the timeline, and see which line is the present one."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from playwright.async_api import Page, Request, expect

from agent_worker.ids import uuid7
from clinic.models import AccessRecord, Clinic
from phone import services
from phone.models import Call, ConsentRecord, Recording
from phone.models import Request as OfficeRequest
from tests.browser.conftest import Site, in_database, picture
from tests.phone.office import add_event, make_call
from tests.phone.recorded import make_recording
from tests.sounds import make_ogg

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
SECONDS = 60


def a_recorded_call(kind: str = Recording.Kind.CALL) -> Call:
    clinic = Clinic.objects.get()
    call = make_call(
        clinic,
        caller_number="+12125550161",
        ended_at=NOON + timedelta(seconds=64),
        line=clinic.phone_lines.get(),
        origin=Call.Origin.PHONE,
        outcome=Call.Outcome.CALLER_HUNG_UP,
        ended_in_step="request",
    )
    ConsentRecord.objects.create(
        id=uuid7(NOON),
        call=call,
        decision="given",
        how="keypad",
        language="en",
        wording="This call may be recorded. Do you consent? Press 1 for yes, or 2 for no.",
        asked_at=NOON + timedelta(seconds=1),
        answered_at=NOON + timedelta(seconds=3),
        heard_to_end=True,
        covers_recording=True,
    )
    add_event(call, "call", seconds=0, plan_version=1)
    add_event(call, "prompt", step="greeting", seconds=0.2, text="Thank you for calling Bright Smile Dental.")
    add_event(call, "consent", step="consent", seconds=3, decision="given", heard_to_end=True, recording=True)
    add_event(call, "prompt", step="menu", seconds=4, text="For appointments, press 1.")
    add_event(call, "key", step="menu", seconds=10, key="1")
    add_event(call, "menu", step="menu", seconds=10.1, menu="Main menu", option="appointments")
    add_event(call, "prompt", step="request", seconds=30, text="When would you like to come in?")
    add_event(call, "ended", step="request", seconds=62.9, outcome="caller_hung_up", served="information")
    recording = make_recording(call, make_ogg(SECONDS), seconds=SECONDS, kind=kind, pauses=[[12.0, 15.0]])
    assert services.recording_store(recording=recording.pk, now=datetime.now(UTC))
    return call


def plays() -> int:
    return AccessRecord.objects.filter(action="play").count()


async def test_the_office_listens_to_a_call_and_goes_to_a_line_of_its_timeline(
    office: Page, site: Site
) -> None:
    call = await in_database(a_recorded_call)
    fetched: list[Request] = []
    complaints: list[str] = []
    office.on("request", lambda request: fetched.append(request) if "/sound/" in request.url else None)
    office.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    await office.goto(f"{site.address}/admin/phone/call/{call.pk}/change/")
    await expect(office.locator('[data-part="length"]')).to_have_text("1:00")
    line = office.locator(".office-line")
    assert await line.nth(0).get_attribute("data-plays") is None, "said before the recording began"
    await office.get_by_role("button", name="Play", exact=True).click()
    await expect(office.locator('[data-part="now"]')).to_have_text(re.compile("0:0[2-9]"))
    await expect(office.get_by_role("button", name="Pause")).to_be_visible()
    await expect(office.locator('.office-line[aria-current="true"]')).to_contain_text("For appointments")
    await line.filter(has_text="When would you like to come in?").click()
    await expect(office.locator('[data-part="now"]')).to_have_text(re.compile("0:(2[7-9]|3.)"))
    present = office.locator('.office-line[aria-current="true"]')
    await expect(present).to_have_count(1)
    await expect(present).to_contain_text("When would you like to come in?")
    await office.locator(".office-player-panel").evaluate("panel => panel.scrollIntoView()")
    await picture(office, "admin-call.png")
    await office.get_by_role("button", name="Pause").click()
    await office.locator('[data-part="place"]').fill("5")
    await expect(office.locator('[data-part="now"]')).to_have_text("0:05")
    await expect(present).to_contain_text("For appointments")
    assert await in_database(plays) == 1
    headers = [await request.all_headers() for request in fetched]
    assert any("range" in each for each in headers)
    statuses = {answer.status for request in fetched if (answer := await request.response())}
    assert statuses == {206}
    assert not complaints


async def test_a_deleted_recording_is_said_to_be_so(office: Page, site: Site) -> None:
    call = await in_database(a_recorded_call)
    await in_database(lambda: Recording.objects.update(state="deleted"))
    await office.goto(f"{site.address}/admin/phone/call/{call.pk}/change/")
    await expect(office.locator(".office-page")).to_contain_text("It was deleted.")
    await expect(office.get_by_role("button", name="Play", exact=True)).to_have_count(0)


async def test_a_storage_that_is_away_is_said_in_the_player(office: Page, site: Site) -> None:
    call = await in_database(a_recorded_call)
    await office.goto(f"{site.address}/admin/phone/call/{call.pk}/change/")
    file = Path(settings.MEDIA_ROOT) / (await in_database(lambda: Recording.objects.get().file))
    await asyncio.to_thread(file.unlink)
    await office.get_by_role("button", name="Play", exact=True).click()
    await expect(office.get_by_text("This recording is not here")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 420])
async def test_a_message_plays_in_its_requests_page(office: Page, site: Site, width: int) -> None:
    def leave() -> OfficeRequest:
        call = a_recorded_call(Recording.Kind.VOICEMAIL)
        return OfficeRequest.objects.create(
            id=uuid7(NOON),
            clinic=call.clinic,
            call=call,
            kind="message",
            number="+12125550161",
            language="es",
            created_at=NOON,
            voicemail=call.recordings.get(),
        )

    request = await in_database(leave)
    await office.set_viewport_size({"width": width, "height": 800})
    await office.goto(f"{site.address}/admin/phone/request/{request.pk}/change/")
    await office.get_by_role("button", name="Play", exact=True).click()
    await expect(office.locator('[data-part="now"]')).to_have_text(re.compile("0:0[1-9]"))
    if width > 1000:
        await picture(office, "admin-message.png")
