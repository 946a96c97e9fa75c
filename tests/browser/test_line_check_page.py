"""Somebody at the office presses “Check this line”, and the page they have open says how it ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from playwright.async_api import Page, expect

from phone.line_check import SPACINGS, Press, schedule
from phone.models import LineCheck, PhoneLine
from phone.services import line_check_finish, line_check_heard, line_check_take
from tests.browser.conftest import Site, in_database, picture
from tests.phone.livekit import FakeLiveKit


def every_key_but_the_fifth_arrives() -> None:
    check = LineCheck.objects.get()
    line_check_take(check=check.pk, now=timezone.now())
    sent = list(schedule(SPACINGS))
    line_check_heard(
        check=check.pk, heard=[Press(press.key, press.at + 0.1) for press in [*sent[:4], *sent[5:]]]
    )
    line_check_finish(check=check.pk, sent=sent, cut_off=False, now=timezone.now())


async def test_the_open_page_shows_the_result_as_the_check_ends(
    office: Page, site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeLiveKit().install(monkeypatch, settings, "phone.line_sync", "phone.line_checks")
    way_out = {"outbound_address": "sip.example.com", "outbound_trunk_id": "ST_out"}
    await in_database(lambda: PhoneLine.objects.update(**way_out))
    await office.goto(f"{site.address}/admin/phone/phoneline/")
    await office.get_by_role("button", name="Check this line").click()
    last = office.get_by_role("region", name="The last check")
    await expect(last).to_contain_text("Running")
    await expect(last.get_by_role("button")).to_have_count(0)
    await in_database(every_key_but_the_fifth_arrives)
    await expect(last).to_contain_text("Key 6 did not arrive (round 1).")
    await expect(last.get_by_role("cell", name="lost")).to_have_count(1)
    await expect(last.get_by_role("button", name="Check this line")).to_be_visible()


async def test_the_office_brings_livekit_in_step_and_the_list_says_so(
    office: Page, site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeLiveKit().install(monkeypatch, settings, "phone.line_sync", "phone.line_checks")
    await in_database(lambda: PhoneLine.objects.update(outbound_address="sip.example.com"))
    await office.goto(f"{site.address}/admin/phone/phoneline/")
    lines = office.get_by_role("region", name="At the LiveKit server")
    await expect(lines).to_contain_text("Missing")
    await lines.get_by_role("button", name="Bring LiveKit in step").click()
    await expect(lines).to_contain_text("In step")
    await expect(lines.get_by_role("button")).to_have_count(0)
    await picture(office, "admin-lines.png")
