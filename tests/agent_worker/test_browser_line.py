"""The embedded line as the phone page meets it: a real socket, and a call that is a few lines of test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
import uvicorn
from livekit import rtc
from pytest_django import Settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent_worker.lines.base import KeyPress, Line
from agent_worker.lines.browser import BrowserLine
from agent_worker.lines.browser_socket import BrowserSockets
from agent_worker.lines.pacing import FRAME_BYTES, SAMPLE_RATE
from clinic.management.commands.serve import listen

Call = Callable[[Line], Awaitable[None]]


def prompt(seconds: float) -> rtc.AudioFrame:
    samples = int(SAMPLE_RATE * seconds)
    return rtc.AudioFrame(b"\x11\x01" * samples, SAMPLE_RATE, 1, samples)


async def say(line: Line, seconds: float) -> None:
    await line.audio_output.capture_frame(prompt(seconds))
    line.audio_output.flush()


async def until_hang_up(line: Line) -> None:
    gone = asyncio.Event()
    line.on_hang_up(gone.set)
    await gone.wait()


class PhoneServer:
    """The socket on a real server. Each test sets `call`: what the clinic does on the line."""

    def __init__(self) -> None:
        self.call: Call = until_hang_up
        self.sockets = BrowserSockets(self.answer)
        self.address = ""

    async def answer(self, line: Line) -> None:
        await self.call(line)

    def dial(self, *, origin: str | None = None) -> connect:
        host = self.address.removeprefix("ws://")
        return connect(f"{self.address}/phone/line/", origin=origin or f"http://{host}")  # type: ignore[arg-type]


@pytest.fixture
async def phone(settings: Settings) -> AsyncIterator[PhoneServer]:
    settings.PHONE_PAGE_ENABLED = True
    settings.PHONE_CALLS_PER_MINUTE = 1000
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    phone = PhoneServer()
    # Callers who connect before the server has begun wait in the socket's queue.
    listening = listen("127.0.0.1", 0)
    phone.address = "ws://{}:{}".format(*listening.getsockname())
    config = uvicorn.Config(phone.sockets, lifespan="off", log_level="error", ws_per_message_deflate=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield phone
    server.should_exit = True
    await serving


async def told(caller: ClientConnection) -> dict[str, Any]:
    """The next message that is no audio."""
    while not isinstance(message := await asyncio.wait_for(caller.recv(), 5), str):
        pass
    return json.loads(message)


async def closing(caller: ClientConnection) -> tuple[int, str]:
    """How the line is closed, in the end."""
    try:
        while True:
            await asyncio.wait_for(caller.recv(), 5)
    except ConnectionClosed:
        assert caller.close_code is not None
        return caller.close_code, caller.close_reason or ""


async def test_a_caller_hears_the_prompt_at_the_pace_of_speech(phone: PhoneServer) -> None:
    loop = asyncio.get_running_loop()

    async def call(line: Line) -> None:
        await say(line, 0.6)
        await line.hang_up()

    phone.call = call
    arrivals = []
    began = loop.time()
    async with phone.dial() as caller:
        async for message in caller:
            if isinstance(message, bytes):
                arrivals.append(loop.time() - began)
                assert len(message) == FRAME_BYTES
    assert len(arrivals) == 30
    assert arrivals[-1] >= 0.45
    assert caller.close_code == 1000


async def test_a_key_silences_the_line_at_once(phone: PhoneServer) -> None:
    positions = []

    async def call(line: Line) -> None:
        pressed: asyncio.Queue[KeyPress] = asyncio.Queue()
        line.on_key(pressed.put_nowait)
        await say(line, 30)
        await pressed.get()
        line.audio_output.clear_buffer()
        positions.append(await line.audio_output.wait_for_playout())
        line.show({"event": "silenced", "t": 0.0, "step": "menu"})
        await line.hang_up()

    phone.call = call
    async with phone.dial() as caller:
        assert await told(caller) == {"type": "state", "state": "in_call"}
        while not isinstance(await caller.recv(), bytes):
            pass
        await caller.send('{"type": "key", "key": "1"}')
        assert await told(caller) == {"type": "clear"}
        assert json.loads(await caller.recv()) == {
            "type": "event",
            "event": {"event": "silenced", "t": 0.0, "step": "menu"},
        }
        assert await closing(caller) == (1000, "")
    assert positions[0].interrupted
    assert positions[0].playback_position < 5


async def test_keys_pressed_before_the_call_is_ready_are_kept_in_order(phone: PhoneServer) -> None:
    ready = asyncio.Event()
    heard = []

    async def call(line: Line) -> None:
        await ready.wait()
        line.on_key(heard.append)
        line.on_text(heard.append)
        await until_hang_up(line)

    phone.call = call
    async with phone.dial() as caller:
        for key in "1#4":
            await caller.send(json.dumps({"type": "key", "key": key, "id": f"press {key}"}))
        await caller.send('{"type": "text", "text": "appointments"}')
        await (await caller.ping())
        ready.set()
        await caller.send('{"type": "hangup"}')
        await closing(caller)
    assert heard == [
        KeyPress("1", "press 1"),
        KeyPress("#", "press #"),
        KeyPress("4", "press 4"),
        "appointments",
    ]


async def test_the_microphone_is_heard_only_while_the_call_listens(phone: PhoneServer) -> None:
    keys: asyncio.Queue[KeyPress] = asyncio.Queue()
    frames = []

    async def call(line: Line) -> None:
        line.on_key(keys.put_nowait)
        await keys.get()
        line.listen(True)
        await keys.get()
        line.listen(False)
        await keys.get()
        await line.hang_up()
        assert line.audio_input is not None
        async for frame in line.audio_input:
            frames.append(frame)

    phone.call = call
    async with phone.dial() as caller:
        await told(caller)
        await caller.send('{"type": "mic", "on": true}')
        await caller.send(b"\1\0" * 320)
        await caller.send('{"type": "key", "key": "1"}')
        assert await told(caller) == {"type": "listen", "on": True}
        await caller.send(b"\2\0" * 320)
        await caller.send(b"\3\0" * 480)
        await caller.send('{"type": "key", "key": "2"}')
        assert await told(caller) == {"type": "listen", "on": False}
        await caller.send(b"\4\0" * 320)
        await caller.send('{"type": "key", "key": "3"}')
        await closing(caller)
    assert [(frame.sample_rate, frame.data[0]) for frame in frames] == [(16_000, 2), (24_000, 3)]


class Overhearing:
    """An ear that notes who is heard: a caller's frame by its first byte and rate, the clinic's by when it plays."""

    def __init__(self) -> None:
        self.caller: list[tuple[int, int]] = []
        self.clinic: list[float] = []
        self.cuts: list[float] = []

    def caller_said(self, pcm: bytes, rate: int) -> None:
        self.caller.append((pcm[0], rate))

    def clinic_says(self, pcm: bytes, at: float) -> None:
        self.clinic.append(at)

    def cut(self, at: float) -> None:
        self.cuts.append(at)


async def test_a_recording_hears_both_sides_from_its_beginning_to_its_end_and_only_an_open_microphone(
    phone: PhoneServer,
) -> None:
    ear = Overhearing()
    keys: asyncio.Queue[KeyPress] = asyncio.Queue()
    began: list[float] = []

    async def call(line: Line) -> None:
        line.on_key(keys.put_nowait)
        await say(line, 0.1)
        await line.audio_output.wait_for_playout()
        await keys.get()
        began.append(asyncio.get_running_loop().time())
        line.record(ear)
        await say(line, 30)
        await keys.get()
        line.audio_output.clear_buffer()
        line.record(None)
        await say(line, 0.1)
        await line.audio_output.wait_for_playout()
        await keys.get()
        await line.hang_up()

    phone.call = call
    async with phone.dial() as caller:
        await told(caller)
        await caller.send('{"type": "mic", "on": true}')
        await caller.send(b"\1\0" * 320)
        await caller.send('{"type": "key", "key": "1"}')
        assert await told(caller) == {"type": "listen", "on": True}
        await caller.send(b"\2\0" * 320)
        await caller.send(b"\3\0" * 480)
        await caller.send('{"type": "mic", "on": false}')
        await caller.send(b"\4\0" * 320)
        await caller.send('{"type": "mic", "on": true}')
        await caller.send(b"\5\0" * 320)
        await caller.send('{"type": "key", "key": "2"}')
        assert await told(caller) == {"type": "clear"}
        assert await told(caller) == {"type": "listen", "on": False}
        await caller.send(b"\6\0" * 320)
        await caller.send('{"type": "key", "key": "3"}')
        await closing(caller)
    assert ear.caller == [(2, 16_000), (3, 24_000), (5, 16_000)]
    assert began[0] <= ear.clinic[0]
    (cut,) = ear.cuts
    # Handed out ahead of time, one frame after the other, and no further once it was cut.
    assert cut < ear.clinic[-1] < cut + 1
    steps = [later - earlier for earlier, later in pairwise(ear.clinic)]
    # A machine that stalls may leave a hole; no two overlap, and nearly all follow at once.
    assert min(steps) == pytest.approx(0.02)
    assert median(steps) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not JSON", 1007),
        ("[]", 1007),
        ('{"key": "1"}', 1007),
        ('{"type": "key"}', 1007),
        ('{"type": "key", "key": 1}', 1007),
        ('{"type": "key", "key": ""}', 1007),
        ('{"type": "mic", "on": "yes"}', 1007),
        (b"\0" * 100, 1007),
        (b"", 1007),
        ('{"type": "dance"}', 1003),
        ('{"type": "text", "text": "' + "a" * 501 + '"}', 1009),
        ('{"type": "key", "key": "11"}', 1009),
        ("x" * 5000, 1009),
        (b"\0" * 5000, 1009),
    ],
)
async def test_a_bad_message_closes_its_own_line_with_a_reason(
    phone: PhoneServer, message: str | bytes, code: int
) -> None:
    ended = asyncio.Event()

    async def call(line: Line) -> None:
        await until_hang_up(line)
        ended.set()

    phone.call = call
    async with phone.dial() as bystander, phone.dial() as caller:
        await caller.send(message)
        closed = await closing(caller)
        assert closed[0] == code
        assert closed[1].endswith(".")
        await asyncio.wait_for(ended.wait(), 2)
        ended.clear()
        await bystander.send('{"type": "hangup"}')
        assert await closing(bystander) == (1000, "")


async def test_unknown_keys_are_left_to_the_call(phone: PhoneServer) -> None:
    heard: asyncio.Queue[KeyPress] = asyncio.Queue()

    async def call(line: Line) -> None:
        line.on_key(heard.put_nowait)
        await until_hang_up(line)

    phone.call = call
    async with phone.dial() as caller:
        await caller.send('{"type": "key", "key": "x", "later": "addition"}')
        assert await asyncio.wait_for(heard.get(), 2) == KeyPress("x")


async def test_too_many_messages_close_the_line(phone: PhoneServer) -> None:
    async with phone.dial() as caller:
        with pytest.raises(ConnectionClosed):
            for _ in range(2000):
                await caller.send('{"type": "key", "key": "1"}')
            await closing(caller)
            raise ConnectionClosed(None, None)
        assert (await closing(caller))[0] == 1008


async def test_too_many_calls_from_one_address_are_asked_to_wait(
    phone: PhoneServer, settings: Settings
) -> None:
    settings.PHONE_CALLS_PER_MINUTE = 2
    for _ in range(2):
        async with phone.dial() as caller:
            assert await told(caller) == {"type": "state", "state": "in_call"}
    async with phone.dial() as caller:
        code, reason = await closing(caller)
    assert code == 1013
    assert "call again in a minute" in reason


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https://evil.example"]
)
async def test_another_sites_page_cannot_open_the_line(phone: PhoneServer, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with phone.dial(origin=origin):
            pass
    assert refusal.value.response.status_code == 403


async def test_a_page_reached_under_a_foreign_name_cannot_open_the_line(
    phone: PhoneServer, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["phone.example"]
    with pytest.raises(InvalidStatus):
        async with phone.dial():
            pass


async def test_a_trusted_origin_can_open_the_line(phone: PhoneServer, settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://phone.example"]
    async with phone.dial(origin="https://phone.example") as caller:
        assert await told(caller) == {"type": "state", "state": "in_call"}


async def test_the_line_is_off_where_the_page_is_off(phone: PhoneServer, settings: Settings) -> None:
    settings.PHONE_PAGE_ENABLED = False
    with pytest.raises(InvalidStatus):
        async with phone.dial():
            pass


async def test_the_page_is_told_how_the_call_ended(phone: PhoneServer) -> None:
    async def call(line: Line) -> None:
        line.show({"event": "ended", "t": 1.0, "outcome": "busy", "duration": 1.0, "served": "nothing"})
        await line.hang_up()

    phone.call = call
    async with phone.dial() as caller:
        await told(caller)
        assert (await told(caller))["event"]["outcome"] == "busy"
        assert await told(caller) == {"type": "state", "state": "busy", "reason": "busy"}


async def test_a_call_that_hangs_up_first_was_not_hung_up_by_the_caller(phone: PhoneServer) -> None:
    hang_ups = []

    async def call(line: Line) -> None:
        line.on_hang_up(lambda: hang_ups.append(1))
        await line.hang_up()

    phone.call = call
    async with phone.dial() as caller:
        assert await closing(caller) == (1000, "")
    await phone.sockets.hang_up_all()
    assert hang_ups == []


async def test_whether_a_patient_was_found_is_not_shown_to_the_caller(phone: PhoneServer) -> None:
    async def call(line: Line) -> None:
        line.show({"event": "patient", "t": 1.0, "step": "patient_id", "outcome": "not_found"})
        line.show({"event": "step", "t": 1.0, "step": "goodbye"})
        await line.hang_up()

    phone.call = call
    async with phone.dial() as caller:
        await told(caller)
        assert (await told(caller))["event"]["event"] == "step"


async def test_a_call_that_fails_closes_its_line(phone: PhoneServer) -> None:
    async def call(line: Line) -> None:
        raise RuntimeError("broken")

    phone.call = call
    async with phone.dial() as caller:
        code, reason = await closing(caller)
    assert code == 1011
    assert "call again" in reason


@pytest.mark.parametrize("how", ["closed tab", "dead connection", "hang-up button", "server stops"])
async def test_however_the_caller_goes_the_call_may_write_its_last_row(phone: PhoneServer, how: str) -> None:
    written = asyncio.Event()

    async def call(line: Line) -> None:
        await say(line, 60)
        await until_hang_up(line)
        assert (await line.audio_output.wait_for_playout()).interrupted
        written.set()

    phone.call = call
    async with phone.dial() as caller:
        await told(caller)
        if how == "closed tab":
            await caller.close()
        elif how == "dead connection":
            caller.transport.abort()
        elif how == "hang-up button":
            await caller.send('{"type": "hangup"}')
        else:
            await phone.sockets.hang_up_all()
            assert written.is_set()
        await asyncio.wait_for(written.wait(), 2)


async def test_many_callers_at_once_each_hear_their_own_clinic(phone: PhoneServer) -> None:
    async def call(line: Line) -> None:
        texts: asyncio.Queue[str] = asyncio.Queue()
        line.on_text(texts.put_nowait)
        text = await texts.get()
        await say(line, 0.2)
        line.show({"event": "speech", "text": text})
        await line.hang_up()

    async def caller(name: str) -> tuple[int, str]:
        frames = 0
        said = ""
        async with phone.dial() as line:
            await line.send(json.dumps({"type": "text", "text": name}))
            async for message in line:
                if isinstance(message, bytes):
                    frames += 1
                elif (event := json.loads(message).get("event")) is not None:
                    said = event["text"]
        return frames, said

    phone.call = call
    names = [f"caller {number}" for number in range(20)]
    heard = await asyncio.gather(*(caller(name) for name in names))
    assert heard == [(10, name) for name in names]


async def test_a_page_has_a_voice_only_while_its_microphone_is_on() -> None:
    async def nothing(_message: object) -> None:
        """Nobody looks at this page."""

    line = BrowserLine(nothing)  # type: ignore[arg-type]
    assert not line.voice_on
    line.switch_microphone(True)
    assert line.voice_on
    line.switch_microphone(False)
    assert not line.voice_on
