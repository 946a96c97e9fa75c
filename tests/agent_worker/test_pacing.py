"""Audio at the pace of speech, on a clock that jumps from timer to timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable

import pytest
from livekit import rtc
from livekit.agents.voice.io import PlaybackFinishedEvent

from agent_worker.lines.limits import Allowance, AllowancePerAddress
from agent_worker.lines.pacing import FRAME_BYTES, LEAD, SAMPLE_RATE, PacedAudio


class _Jump(selectors.SelectSelector):
    """Waits no time at all, and adds it to the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Jump()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def at_once(scene: Callable[[], Awaitable[None]]) -> None:
    """Play `scene` on a jumping clock."""

    async def play() -> None:
        await scene()

    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        runner.run(play())


class Far:
    """The far end of the line: what arrived, and when."""

    def __init__(self, **pacing: float) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self.cleared: list[float] = []
        self.started = 0
        self.ends: list[PlaybackFinishedEvent] = []
        self.clock = asyncio.get_running_loop().time
        self.audio = PacedAudio(send=self._take, clear=lambda: self.cleared.append(self.clock()), **pacing)
        self.audio.on("playback_started", self._start)
        self.audio.on("playback_finished", self.ends.append)

    def _take(self, frame: bytes) -> None:
        self.frames.append((self.clock(), frame))

    def _start(self, _event: object) -> None:
        self.started += 1

    async def push(self, seconds: float, *, flush: bool = True) -> None:
        samples = round(SAMPLE_RATE * seconds)
        await self.audio.capture_frame(rtc.AudioFrame(b"\1\0" * samples, SAMPLE_RATE, 1, samples))
        if flush:
            self.audio.flush()


def test_a_minute_of_prompt_does_not_drift() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(60)
        end = await far.audio.wait_for_playout()
        assert far.clock() == pytest.approx(60, abs=0.001)
        assert (end.playback_position, end.interrupted) == (pytest.approx(60), False)
        assert far.started == 1
        assert len(far.frames) == 3000
        for number, (at, _) in enumerate(far.frames):
            assert at == pytest.approx(max(0, number * 0.02 - LEAD), abs=0.001)

    at_once(scene)


def test_a_cut_prompt_reports_what_was_heard_not_what_was_sent() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(10)
        await asyncio.sleep(1)
        far.audio.clear_buffer()
        sent = len(far.frames)
        end = await far.audio.wait_for_playout()
        assert (end.playback_position, end.interrupted) == (pytest.approx(1, abs=0.001), True)
        await asyncio.sleep(5)
        assert len(far.frames) == sent
        assert far.cleared == [pytest.approx(1)]
        assert len(far.ends) == 1

    at_once(scene)


def test_the_next_prompt_begins_at_once_after_a_cut() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(10)
        await asyncio.sleep(1)
        far.audio.clear_buffer()
        sent = len(far.frames)
        await far.push(0.1)
        assert far.frames[sent][0] == pytest.approx(1)
        await far.audio.wait_for_playout()
        assert far.clock() == pytest.approx(1.1, abs=0.001)

    at_once(scene)


def test_the_rest_of_a_prompt_that_was_cut_while_it_came_in_is_dropped() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(0.5, flush=False)
        far.audio.clear_buffer()
        sent = len(far.frames)
        await far.push(0.5)
        assert len(far.frames) == sent
        await far.push(0.04)
        end = await far.audio.wait_for_playout()
        assert (end.playback_position, end.interrupted) == (pytest.approx(0.04), False)
        assert len(far.ends) == 2

    at_once(scene)


def test_speech_that_comes_late_is_heard_when_it_comes() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(0.1, flush=False)
        await asyncio.sleep(2)
        await far.push(0.1)
        end = await far.audio.wait_for_playout()
        assert far.clock() == pytest.approx(2.1, abs=0.001)
        assert end.playback_position == pytest.approx(0.2)
        assert far.started == 1

    at_once(scene)


def test_odd_pieces_make_whole_frames() -> None:
    async def scene() -> None:
        far = Far()
        for _ in range(7):
            await far.push(0.013, flush=False)
        far.audio.flush()
        await far.audio.wait_for_playout()
        assert {len(frame) for _, frame in far.frames} == {FRAME_BYTES}
        heard = b"".join(frame for _, frame in far.frames)
        assert heard.rstrip(b"\0") + b"\0" == b"\1\0" * (7 * 312)

    at_once(scene)


def test_a_line_that_takes_long_frames_gets_few_of_them() -> None:
    async def scene() -> None:
        far = Far(longest_frame=0.5, lead=0.4)
        await far.push(1.1)
        end = await far.audio.wait_for_playout()
        assert [at for at, _ in far.frames] == pytest.approx([0.0, 0.1, 0.6])
        assert [len(frame) / FRAME_BYTES for _, frame in far.frames] == [25, 25, 5]
        assert (far.clock(), end.playback_position) == (pytest.approx(1.1), pytest.approx(1.1))

    at_once(scene)


def test_what_a_voice_has_said_so_far_does_not_wait_until_it_fills_a_long_frame() -> None:
    async def scene() -> None:
        far = Far(longest_frame=0.5, lead=0.4)
        for _ in range(3):
            await far.push(0.1, flush=False)
            await asyncio.sleep(0.1)
        assert [at for at, _ in far.frames] == pytest.approx([0.0, 0.1, 0.2])

    at_once(scene)


def test_prompts_pushed_one_after_the_other_are_heard_one_after_the_other() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(1)
        await far.push(1)
        await far.audio.wait_for_playout()
        assert far.clock() == pytest.approx(2, abs=0.001)
        assert [end.interrupted for end in far.ends] == [False, False]

    at_once(scene)


def test_nobody_waits_for_playout_on_a_dead_line() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(10)
        far.audio.close()
        await far.push(10)
        end = await far.audio.wait_for_playout()
        assert (far.clock(), end.interrupted) == (0.0, True)
        assert far.cleared == []

    at_once(scene)


def test_draining_waits_for_the_last_word_and_no_longer() -> None:
    async def scene() -> None:
        far = Far()
        await far.audio.drain()
        assert far.clock() == 0.0
        await far.push(3)
        await far.audio.drain()
        assert far.clock() == pytest.approx(3, abs=0.001)
        await far.push(1, flush=False)
        await far.audio.drain()
        assert far.clock() == pytest.approx(5, abs=0.001)

    at_once(scene)


def test_an_empty_prompt_ends_at_once() -> None:
    async def scene() -> None:
        far = Far()
        await far.push(0)
        end = await far.audio.wait_for_playout()
        assert (end.playback_position, far.frames) == (0.0, [])

    at_once(scene)


def test_an_allowance_lets_a_burst_through_and_then_so_many_a_second() -> None:
    async def scene() -> None:
        allowance = Allowance(3, per_second=2)
        assert [allowance.take() for _ in range(4)] == [True, True, True, False]
        await asyncio.sleep(0.5)
        assert [allowance.take(), allowance.take()] == [True, False]

    at_once(scene)


def test_one_ipv6_customer_is_one_address() -> None:
    async def scene() -> None:
        allowances = AllowancePerAddress()
        assert allowances.take("2001:db8::1", per_minute=1)
        assert not allowances.take("2001:db8::2", per_minute=1)
        assert allowances.take("2001:db8:0:1::1", per_minute=1)

    at_once(scene)


def test_each_address_has_an_allowance_of_its_own_and_quiet_ones_are_forgotten() -> None:
    async def scene() -> None:
        allowances = AllowancePerAddress()
        assert [allowances.take("busy", per_minute=1) for _ in range(2)] == [True, False]
        for number in range(2000):
            assert allowances.take(f"address {number}", per_minute=1)
            await asyncio.sleep(0.1)
        assert len(allowances) < 1100
        assert allowances.take("busy", per_minute=1)

    at_once(scene)
