"""A person with a browser calls the demo clinic."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.async_api import Browser, WebSocketRoute, expect
from pytest_django import Settings

from phone.models import Call, CallEvent
from tests.browser.conftest import Caller, Site, ended_call, in_database, picture, until

WATCH_TONES = """
    window.tones = [];
    const start = OscillatorNode.prototype.start;
    const stop = OscillatorNode.prototype.stop;
    OscillatorNode.prototype.start = function (...when) {
        this.began = this.context.currentTime;
        return start.apply(this, when);
    };
    OscillatorNode.prototype.stop = function (when) {
        window.tones.push({ hertz: this.frequency.value, seconds: when - this.began });
        return stop.call(this, when);
    };
"""

WATCH_SILENCE = """() => {
    let pressed;
    addEventListener("keydown", () => { pressed = performance.now(); }, { capture: true });
    window.silence = new Promise((resolve) => {
        new MutationObserver(() => resolve(performance.now() - pressed))
            .observe(document.querySelector("main.phone"), { attributeFilter: ["data-voice"] });
    });
}"""

NO_SOUND = "delete window.AudioContext; delete window.webkitAudioContext;"


def kinds_of(call: Call) -> list[str]:
    return list(call.events.order_by("seq").values_list("kind", flat=True))


async def test_a_caller_consents_chooses_and_hears_the_office_hours(caller: Caller) -> None:
    await caller.calls()
    await caller.hears("Thank you for calling Bright Smile Dental")
    await caller.hears_the_voice()
    await caller.presses("1")
    await caller.reads("You agreed, but before the question was over.")
    await caller.hears("For office hours, press 2.")
    await picture(caller.page, "phone-page.png")
    await caller.presses("2")
    await caller.reads("Chosen: office hours")
    await caller.hears("We are open Monday through Friday")
    await caller.hangs_up()
    assert await caller.state.inner_text() == "You hung up."
    call = await ended_call()
    assert (call.origin, call.outcome, call.served) == ("browser", "caller_hung_up", "information")
    assert timezone.now() - call.started_at < timedelta(minutes=1)
    kinds = await in_database(lambda: kinds_of(call))
    assert kinds[0] == "call"
    assert kinds[-1] == "ended"
    assert {"prompt", "key", "consent", "menu"} <= set(kinds)


async def test_what_was_not_played_yet_is_dropped_at_once(caller: Caller) -> None:
    def answer(line: WebSocketRoute) -> None:
        line.on_message(lambda _message: line.send('{"type": "clear"}'))
        line.send('{"type": "state", "state": "in_call"}')
        for _ in range(200):
            line.send(b"\x11\x11" * 480)

    await caller.page.route_web_socket("**/phone/line/", answer)
    await caller.calls()
    await caller.hears_the_voice()
    await caller.page.evaluate(WATCH_SILENCE)
    await caller.types_keys("1")
    milliseconds = await caller.page.evaluate("window.silence")
    assert milliseconds < 1000, "four seconds of audio were waiting"


async def test_each_key_sounds_its_two_tones_long_enough_for_a_telephone(
    browser: Browser, site: Site
) -> None:
    page = await browser.new_page()
    await page.add_init_script(WATCH_TONES)
    await page.goto(f"{site.address}/phone/")
    caller = Caller(page)
    await caller.calls()
    await page.get_by_text("Keys A to D").click()
    await caller.hears_the_voice()
    await caller.presses("1590*#ABCD")
    tones = await page.evaluate("window.tones")
    pairs = [(tones[at]["hertz"], tones[at + 1]["hertz"]) for at in range(0, len(tones), 2)]
    assert pairs == [
        (697, 1209),
        (770, 1336),
        (852, 1477),
        (941, 1336),
        (941, 1209),
        (941, 1477),
        (697, 1633),
        (770, 1633),
        (852, 1633),
        (941, 1633),
    ]
    assert all(tone["seconds"] >= 0.12 for tone in tones)


async def test_the_computers_keyboard_dials_and_the_text_box_does_not(caller: Caller) -> None:
    await caller.calls()
    await caller.hears_the_voice()
    await caller.says("yes please, 2 times")
    await caller.reads("You agreed, but before the question was over.")
    await caller.hears("For office hours, press 2.")
    await caller.page.get_by_text("What is said").click()
    await caller.types_keys("2")
    await caller.hears("We are open Monday through Friday")
    await caller.hangs_up()


async def test_the_patient_id_is_never_shown(caller: Caller) -> None:
    await caller.calls()
    await caller.types_keys("1")
    await caller.hears("For office hours, press 2.")
    await caller.types_keys("1")
    await caller.hears("Please enter your patient ID")
    await caller.types_keys("4821#")
    await caller.hears("You entered ••••")
    assert "4821" not in await caller.page.content()
    await caller.hangs_up()
    await ended_call()
    assert await in_database(lambda: CallEvent.objects.filter(data__icontains="4821").count()) == 0


async def test_refusing_ends_the_call_kindly(caller: Caller) -> None:
    await caller.calls()
    await caller.types_keys("2")
    await caller.hears("I understand. Goodbye.")
    await expect(caller.phone).to_have_attribute("data-state", "ended")
    assert await caller.state.inner_text() == "The call has ended."
    assert (await ended_call()).outcome == "consent_refused"


async def test_a_closed_tab_ends_the_call(caller: Caller) -> None:
    await caller.calls()
    await caller.hears_the_voice()
    await caller.page.close()
    assert (await ended_call()).outcome == "caller_hung_up"


async def test_a_stopped_server_ends_the_call_and_the_page_says_so(caller: Caller, site: Site) -> None:
    await caller.calls()
    await caller.hears_the_voice()
    await in_database(site.stop)
    await expect(caller.state).to_have_text(
        "The phone line is being restarted. Please call again in a minute."
    )
    assert (await ended_call()).outcome == "caller_hung_up"
    await caller.page.get_by_role("button", name="Call", exact=True).click()
    await expect(caller.state).to_contain_text("cannot be reached just now")
    caller.complaints.clear()


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1013, "Too many calls from here.", "Too many calls from here."),
        (1000, "", "Nobody could take the call. Please call again later."),
        (4000, "", "The phone line cannot be reached just now. Please try again in a moment."),
    ],
)
async def test_a_line_that_takes_no_call_says_why(
    caller: Caller, code: int, reason: str, sentence: str
) -> None:
    await caller.page.route_web_socket("**/phone/line/", lambda line: line.close(code=code, reason=reason))
    await caller.page.get_by_role("button", name="Call", exact=True).click()
    await expect(caller.state).to_have_text(sentence)
    await expect(caller.page.get_by_role("button", name="Call", exact=True)).to_be_focused()


async def test_the_microphone_is_open_only_while_it_is_on_and_the_call_listens(
    caller: Caller, settings: Settings
) -> None:
    settings.PHONE_PAGE_MICROPHONE = True
    await caller.page.reload()
    told: list[str] = []
    frames: list[bytes] = []
    lines: list[WebSocketRoute] = []

    def answer(line: WebSocketRoute) -> None:
        lines.append(line)
        line.on_message(lambda message: (told if isinstance(message, str) else frames).append(message))
        line.send('{"type": "state", "state": "in_call"}')
        line.send('{"type": "listen", "on": true}')

    async def heard() -> bool | None:
        return any(any(frame) for frame in frames) or None

    async def nothing_more_heard() -> bool | None:
        frames.clear()
        await caller.page.wait_for_timeout(300)
        return not frames or None

    await caller.page.route_web_socket("**/phone/line/", answer)
    await caller.calls()
    assert frames == []
    microphone = caller.page.get_by_role("button", name="Microphone")
    await microphone.click()
    await until(heard, seconds=5)
    assert told == ['{"type":"mic","on":true}']
    assert {len(frame) for frame in frames} == {640}
    lines[0].send('{"type": "listen", "on": false}')
    await until(nothing_more_heard, seconds=5)
    await microphone.click()
    await expect(microphone).to_have_attribute("aria-pressed", "false")


async def test_the_phone_works_by_keyboard_alone(caller: Caller) -> None:
    await caller.page.keyboard.press("Tab")
    await caller.page.keyboard.press("Enter")
    await expect(caller.page.get_by_role("button", name="Hang up")).to_be_focused()
    await caller.page.keyboard.press("Tab")
    await expect(caller.page.get_by_role("button", name="1", exact=True)).to_be_focused()
    await caller.page.keyboard.press("Space")
    await caller.reads("You agreed, but before the question was over.")
    await caller.page.keyboard.press("Shift+Tab")
    await caller.page.keyboard.press("Enter")
    await expect(caller.page.get_by_role("button", name="Call", exact=True)).to_be_focused()


async def test_without_sound_the_words_are_shown_and_read_out_and_the_keys_work(
    browser: Browser, site: Site
) -> None:
    page = await browser.new_page()
    await page.add_init_script(NO_SOUND)
    await page.goto(f"{site.address}/phone/")
    caller = Caller(page)
    await caller.calls()
    await caller.reads("Sound could not be started.")
    await expect(page.locator('[data-part="announcer"]')).to_contain_text("Thank you for calling")
    await caller.presses("1")
    await caller.hears("For office hours, press 2.")
    await caller.hangs_up()


async def test_the_page_fits_every_screen(caller: Caller) -> None:
    await caller.calls()
    await caller.reads("Thank you for calling")
    for width in (360, 768, 1280):
        await caller.page.set_viewport_size({"width": width, "height": 740})
        overflowing = await caller.page.evaluate(
            """() => [...document.querySelectorAll("main *")]
                .filter((element) => !element.closest(".unseen, .transcript"))
                .filter((element) => element.getBoundingClientRect().right > innerWidth - 8)
                .map((element) => element.outerHTML.slice(0, 80))"""
        )
        assert overflowing == [], f"{width} pixels wide"
    await caller.hangs_up()
