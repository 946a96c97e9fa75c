"""The office at work in the admin, with a browser of its own, while somebody calls."""

from __future__ import annotations

from playwright.async_api import Page, expect

from phone.models import PhoneSettings
from tests.browser.conftest import (
    Caller,
    Site,
    ended_call,
    in_database,
    picture,
)


async def test_the_office_renames_an_option_and_the_next_call_hears_it(
    office: Page, caller: Caller, site: Site
) -> None:
    await caller.calls()
    await caller.types_keys("1")
    await caller.hears("For office hours, press 2.")
    menu = await in_database(lambda: PhoneSettings.objects.get().main_menu_id)
    await office.goto(f"{site.address}/admin/phone/menu/{menu}/change/")
    await office.get_by_text("2: office hours").click()
    await office.locator('[name="options-1-label_en"]').fill("opening times")
    await picture(office, "admin-menu.png")
    await office.get_by_role("button", name="Save and continue editing").click()
    await expect(office.get_by_text("Callers hear version 2")).to_be_visible()
    await caller.types_keys("*")
    await expect(caller.transcript.get_by_text("For office hours, press 2.")).to_have_count(2)
    await caller.hangs_up()
    await caller.calls()
    await caller.types_keys("1")
    await caller.hears("For opening times, press 2.")
    await caller.hangs_up()


async def test_the_call_stands_in_the_history_with_its_timeline(
    office: Page, caller: Caller, site: Site
) -> None:
    await caller.calls()
    await caller.types_keys("12")
    await caller.hears("We are open Monday through Friday")
    await caller.hangs_up()
    call = await ended_call()
    await office.goto(f"{site.address}/admin/phone/call/")
    row = office.get_by_role("row").nth(1)
    await expect(row).to_contain_text("Hung up")
    await expect(row).to_contain_text("Information")
    await row.locator(f'a[href*="{call.pk}"]').click()
    page = office.locator(".office-page")
    for words in ("Given", "office hours", "We are open Monday through Friday"):
        await expect(page).to_contain_text(words)


async def test_a_request_reaches_the_open_page_of_the_office(
    office: Page, caller: Caller, site: Site
) -> None:
    await office.goto(f"{site.address}/admin/phone/call/")
    await caller.calls()
    for prompt, keys in [
        ("Thank you for calling", "1"),
        ("For appointments, press 1.", "1"),
        ("enter your patient ID", "4821#"),
        ("You entered ••••", "1"),
        ("To ask for an appointment, press 1.", "1"),
        ("When would you like to come in?", "1"),
        ("enter the number where we can call you", "2125550199#"),
        ("If that is right, press 1.", "1"),
    ]:
        await caller.hears(prompt)
        await caller.types_keys(keys)
    await caller.hears("This is a request, not a booking.")
    await caller.reads("Your request is with the office. It is not a booking yet.")
    assert "2125550199" not in await caller.page.content()
    notice = office.get_by_role("status").get_by_text("A new request")
    await expect(notice).to_be_visible(timeout=5_000)
    await notice.click()
    await expect(office.get_by_role("row").nth(1)).to_contain_text("Appointment")
    await picture(office, "admin-requests.png")
    await office.goto(f"{site.address}/admin/")
    await expect(office.get_by_role("region", name="On the line now")).to_contain_text("since")
    await picture(office, "admin-today.png")
    await caller.hangs_up()


async def test_a_manager_vouches_for_a_restore_and_the_page_turns_green(office: Page, site: Site) -> None:
    await office.goto(f"{site.address}/admin/phone/confirmation/")
    await picture(office, "admin-ready.png")
    point = office.get_by_role("listitem").filter(has_text="A restore was tried")
    await expect(point).to_contain_text("Not ready:")
    await point.get_by_label("Note").fill("on the spare machine")
    await point.get_by_role("button", name="Done").click()
    await expect(point).to_contain_text("Ready:")
    await expect(point).to_contain_text("says manager (on the spare machine)")
