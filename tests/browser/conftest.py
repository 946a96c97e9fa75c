"""A running site with the demo clinic, and real browsers for a caller and for the office."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio
import uvicorn
from django.core.management import call_command
from django.db import close_old_connections, connections
from playwright.async_api import Browser, Page, async_playwright, expect

from clinic.demo import DEMO_PASSWORD
from clinic.management.commands.serve import listen
from clinic.models import Clinic
from phone.models import Call
from tests.services import require_service

T = TypeVar("T")

CHROMIUM = shutil.which("chromium")
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A microphone that beeps, and a person who allows it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
expect.set_options(timeout=20_000)  # A greeting takes its time.

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES_WANTED = os.environ.get("UPDATE_SCREENSHOTS") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


async def in_database(function: Callable[[], T]) -> T:
    """What `function` finds or does in the database, beside the running site."""

    def job() -> T:
        close_old_connections()
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(job)


async def until(find: Callable[[], Awaitable[T | None]], *, seconds: float) -> T:
    """What `find` finds, as soon as it finds something. Fails after so many seconds."""
    for _ in range(int(seconds / 0.02)):
        if (found := await find()) is not None:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not there after {seconds} seconds")


class Site:
    """The product on a free port, in a thread with an event loop of its own."""

    def __init__(self) -> None:
        listening = listen("127.0.0.1", 0)
        self.address = "http://{}:{}".format(*listening.getsockname())
        self._server = uvicorn.Server(
            uvicorn.Config(
                "clinic.asgi:application", lifespan="on", log_config=None, ws_per_message_deflate=False
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="site", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """What Ctrl-C does."""
        self._server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive(), "The site did not stop."


@pytest.fixture
def site(browser: Browser, transactional_db: None) -> Iterator[Site]:
    call_command("seed_demo", verbosity=0)
    # Whatever the day and the hour of the test.
    Clinic.objects.update(switch=Clinic.Switch.OPEN)
    site = Site()
    yield site
    site.stop()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    require_service("browser tests", CHROMIUM, "chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        await browser.close()


class Caller:
    """Somebody with the phone page open."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.phone = page.locator("main.phone")
        self.transcript = page.get_by_role("log")
        self.state = page.locator('[data-part="state"]')

    async def calls(self) -> None:
        await self.page.get_by_role("button", name="Call", exact=True).click()
        await expect(self.phone).to_have_attribute("data-state", "in_call")

    async def presses(self, keys: str) -> None:
        """Press on the keypad, as fingers or a mouse do."""
        names = {"*": "Star", "#": "Pound"}
        for key in keys:
            await self.page.get_by_role("button", name=names.get(key, key), exact=True).click()

    async def types_keys(self, keys: str) -> None:
        """Press keys of the computer's keyboard."""
        await self.page.keyboard.type(keys)

    async def says(self, text: str) -> None:
        await self.page.get_by_label("Type what you would say").fill(text)
        await self.page.keyboard.press("Enter")

    async def hears(self, words: str) -> None:
        await expect(self.transcript.locator(".clinic").filter(has_text=words).last).to_be_visible()

    async def hears_the_voice(self) -> None:
        await expect(self.phone).to_have_attribute("data-voice", "speaking")

    async def hears_silence(self) -> None:
        await expect(self.phone).to_have_attribute("data-voice", "silent")

    async def reads(self, words: str) -> None:
        """Read it anywhere in the transcript."""
        await expect(self.transcript).to_contain_text(words)

    async def hangs_up(self) -> None:
        await self.page.get_by_role("button", name="Hang up").click()
        await expect(self.phone).to_have_attribute("data-state", "ended")


@pytest_asyncio.fixture(loop_scope="package")
async def caller(browser: Browser, site: Site) -> AsyncIterator[Caller]:
    """A caller on the phone page. The page may not complain: not of scripts, not of its security policy."""
    context = await browser.new_context(viewport={"width": 1100, "height": 690})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    await page.goto(f"{site.address}/phone/")
    caller = Caller(page)
    caller.complaints = complaints
    yield caller
    await context.close()
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="package")
async def office(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """The office manager, logged in."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.goto(f"{site.address}/admin/")
    await page.locator('input[name="username"]').fill("manager")
    await page.locator('input[name="password"]').fill(DEMO_PASSWORD)
    await page.locator('input[name="password"]').press("Enter")
    await page.wait_for_url(f"{site.address}/admin/")
    yield page
    await context.close()


async def ended_call() -> Call:
    """The last call's row, once it is final: within two seconds."""

    async def final() -> Call | None:
        call = await in_database(lambda: Call.objects.order_by("-started_at").first())
        return call if call is not None and call.outcome else None

    return await until(final, seconds=2)


async def picture(page: Page, name: str) -> None:
    """Keep a picture of `page` for the documentation, when they are wanted."""
    if PICTURES_WANTED:
        IMAGES.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=IMAGES / name)
