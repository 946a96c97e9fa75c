"""A person with a browser calls the demo clinic through livekit-server and a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from livekit import api
from playwright.async_api import Page, async_playwright, expect

from phone.livekit_settings import LiveKitEnvironment
from phone.models import Call
from scripts.livekit_tools import client_installed
from tests.browser.conftest import CHROMIUM, SWITCHES, Caller, Site
from tests.e2e.conftest import in_database, until
from tests.e2e.servers import LiveKitServer
from tests.e2e.workers import Worker
from tests.services import require_service

FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture
def site(livekit: LiveKitServer, demo: None, settings) -> Iterator[Site]:
    """The product's pages, whose calls go through livekit-server."""
    require_service("e2e tests", client_installed(), "livekit-client is not installed (npm install)")
    require_service("e2e tests", CHROMIUM, "chromium is not installed")
    settings.LIVEKIT = LiveKitEnvironment(**livekit.environment)
    settings.PHONE_PAGE_MICROPHONE = True
    site = Site()
    yield site
    site.stop()


@pytest_asyncio.fixture
async def page(site: Site) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*SWITCHES, *FAKE_MICROPHONE]
        )
        page = await browser.new_page()
        await page.goto(f"{site.address}/phone/")
        yield page
        await browser.close()


@pytest_asyncio.fixture
async def caller(page: Page) -> AsyncIterator[Caller]:
    """Somebody whose page may not complain: not of scripts, not of its security policy."""
    caller = Caller(page)
    page.on("pageerror", lambda error: caller.complaints.append(str(error)))
    page.on("console", lambda line: caller.complaints.append(line.text) if line.type == "error" else None)
    yield caller
    assert caller.complaints == []


async def ended_call() -> Call:
    async def final() -> Call | None:
        call = await in_database(lambda: Call.objects.order_by("-started_at").first())
        return call if call is not None and call.outcome else None

    return await until(final)


async def microphones(livekit: LiveKitServer) -> int:
    """How many microphones are in livekit-server's rooms, agents' aside."""
    async with api.LiveKitAPI(livekit.url, livekit.key, livekit.secret) as server:
        rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
        guests = [
            guest
            for room in rooms
            for guest in (
                await server.room.list_participants(api.ListParticipantsRequest(room=room.name))
            ).participants
            if guest.identity.startswith("browser_")
        ]
    return sum(track.source == api.TrackSource.MICROPHONE for guest in guests for track in guest.tracks)


async def test_a_caller_consents_chooses_types_and_hears_the_office_hours(
    caller: Caller, worker: Worker
) -> None:
    await caller.calls()
    await caller.hears("Thank you for calling Bright Smile Dental")
    await caller.hears_the_voice()
    await caller.presses("1")
    await caller.reads("You agreed, but before the question was over.")
    await caller.hears("For office hours, press 2.")
    await caller.presses("2")
    await caller.hears("We are open Monday through Friday")
    await caller.says("appointments")
    await caller.hears("Please enter your patient ID")
    await caller.presses("4821#")
    await caller.hears("You entered ••••")
    assert "4821" not in await caller.page.content()
    await caller.hangs_up()
    assert await caller.state.inner_text() == "You hung up."
    call = await ended_call()
    assert (call.origin, call.outcome, call.served) == ("browser", "caller_hung_up", "information")


async def test_keys_pressed_while_it_rings_are_not_lost(caller: Caller, worker: Worker) -> None:
    await caller.page.get_by_role("button", name="Call", exact=True).click()
    await caller.types_keys("12")
    await caller.hears("We are open Monday through Friday")
    await caller.hangs_up()


async def test_the_clinic_hangs_up_and_the_page_says_so(caller: Caller, worker: Worker) -> None:
    await caller.calls()
    await caller.types_keys("2")
    await caller.hears("I understand. Goodbye.")
    await expect(caller.phone).to_have_attribute("data-state", "ended")
    assert await caller.state.inner_text() == "The call has ended."
    assert (await ended_call()).outcome == "consent_refused"


async def test_the_microphone_is_in_the_room_only_while_it_is_switched_on(
    caller: Caller, worker: Worker, livekit: LiveKitServer
) -> None:
    await caller.calls()
    await caller.hears_the_voice()
    assert await microphones(livekit) == 0
    button = caller.page.get_by_role("button", name="Microphone")
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")

    async def one_more() -> bool | None:
        return await microphones(livekit) == 1 or None

    await until(one_more)
    await caller.hangs_up()


async def test_a_closed_tab_ends_the_call(caller: Caller, worker: Worker) -> None:
    await caller.calls()
    await caller.hears_the_voice()
    await caller.page.close()
    assert (await ended_call()).outcome == "caller_hung_up"


async def test_a_livekit_server_that_is_away_is_told_in_a_sentence(
    caller: Caller, livekit: LiveKitServer, settings
) -> None:
    nowhere = livekit.environment | {"LIVEKIT_URL": "ws://127.0.0.1:1"}
    settings.LIVEKIT = LiveKitEnvironment(**nowhere)
    await caller.page.reload()
    await caller.page.get_by_role("button", name="Call", exact=True).click()
    await expect(caller.state).to_contain_text("cannot be reached just now")
    caller.complaints.clear()
