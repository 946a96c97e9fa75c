"""Where in a recording the caller is heard, whenever their sound gets to us: by decoding the file."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent_worker.recorder import Recorder
from agent_worker.simulated_time import run_simulated
from tests.agent_worker.sounds import Recorded, listen_to, tone

FRAME_SECONDS = 0.05
SPEAKS = 0.5
"""The caller speaks for the first half of each second."""

WITHIN = 0.05
RATE = 24_000


def recorded(
    path: Path,
    seconds: float,
    delay: Callable[[float], float | None],
    *,
    frame: float = FRAME_SECONDS,
    rate: int = RATE,
) -> Recorded:
    """What a caller is recorded like, whose frame of the second `t` comes `delay(t)` seconds late, or never."""
    moments = np.arange(round(frame * rate)) / rate
    voice = (3000 * np.sin(2 * np.pi * 450 * moments)).astype(np.int16).tobytes()
    silence = bytes(len(voice))

    async def record() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        recorder = Recorder(path)
        arrives = 0.0
        for number in range(round(seconds / frame)):
            said = number * frame
            if (late := delay(said)) is None:
                continue
            # They come in order, whatever holds them up.
            arrives = max(arrives, said + frame + late)
            await asyncio.sleep(max(0.0, began + arrives - loop.time()))
            recorder.caller_said(voice if said % 1 < SPEAKS - 0.001 else silence, rate)
        await asyncio.sleep(max(0.0, began + seconds + 1 - loop.time()))
        recorder.stop()
        await recorder.finished()

    run_simulated(record)
    return listen_to(path)


def heard_in_place(heard: Recorded, second: int) -> bool:
    """Whether the caller is heard where they spoke in this second, and is silent where they did not."""
    spoken = heard.caller_heard(second + WITHIN, second + SPEAKS - WITHIN)
    pause = heard.caller_heard(second + SPEAKS + WITHIN, second + 1 - WITHIN)
    return spoken > SPEAKS - 2 * WITHIN - 0.02 and pause == 0


def held_up(every: float, hold: float) -> Callable[[float], float]:
    """Every so many seconds nothing comes for `hold` seconds, and then all of it at once."""

    def delay(said: float) -> float:
        return max(0.0, hold - said % every)

    return delay


def test_frames_that_come_a_little_late_each_are_heard_when_they_were_said(tmp_path: Path) -> None:
    chance = random.Random(1)
    heard = recorded(tmp_path / "a.ogg", 30, lambda said: min(0.25, chance.expovariate(1 / 0.03)))
    assert [second for second in range(1, 30) if not heard_in_place(heard, second)] == []


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_another_rate_makes_no_difference(tmp_path: Path, rate: int) -> None:
    heard = recorded(tmp_path / "a.ogg", 10, lambda _: 0.0, frame=0.02, rate=rate)
    assert [second for second in range(1, 10) if not heard_in_place(heard, second)] == []


@pytest.mark.parametrize("frame", [0.02, 0.05])
@pytest.mark.parametrize("hold", [0.1, 0.2, 0.28, 0.4, 0.55])
def test_bursts_are_heard_when_they_were_said(tmp_path: Path, hold: float, frame: float) -> None:
    heard = recorded(tmp_path / "a.ogg", 20, held_up(1.7, hold), frame=frame)
    assert [second for second in range(1, 20) if not heard_in_place(heard, second)] == []


@pytest.mark.parametrize("hold", [0.5, 1.0, 3.0])
def test_after_a_long_stall_everything_is_in_its_place_again(tmp_path: Path, hold: float) -> None:
    heard = recorded(tmp_path / "a.ogg", 20, lambda said: max(0.0, 6 + hold - said) if said >= 6 else 0.0)
    stalled = range(6, 6 + round(hold + 0.5))
    assert [each for each in range(1, 20) if not heard_in_place(heard, each) and each not in stalled] == []


def test_frames_that_never_come_leave_silence_of_their_length(tmp_path: Path) -> None:
    heard = recorded(tmp_path / "a.ogg", 20, lambda said: None if 6 <= said < 8 else 0.0)
    assert heard.caller_heard(6 - WITHIN, 8) == pytest.approx(0, abs=WITHIN)
    assert [each for each in range(1, 20) if not heard_in_place(heard, each) and each not in (6, 7)] == []


@pytest.mark.parametrize("each_second", [0.002, -0.002])
def test_a_clock_that_goes_wrong_moves_nothing_for_long(tmp_path: Path, each_second: float) -> None:
    def delay(said: float) -> float:
        return 0.5 + said * each_second

    heard = recorded(tmp_path / "a.ogg", 60, delay)
    for second in range(2, 59):
        at = second + delay(second)
        assert heard.caller_heard(at + WITHIN, at + SPEAKS - WITHIN) > SPEAKS - 2 * WITHIN - 0.02, second
        assert heard.caller_heard(at + SPEAKS + WITHIN, at + 1 - WITHIN) == 0, second


@pytest.mark.parametrize("late", [0.0, 0.1, 0.19, 0.44])
def test_what_was_said_before_the_beginning_and_comes_after_it_is_left_out(
    tmp_path: Path, late: float
) -> None:
    voice, silence = tone(440, FRAME_SECONDS).tobytes(), tone(0, FRAME_SECONDS).tobytes()

    async def record() -> None:
        await asyncio.sleep(late)
        recorder = Recorder(tmp_path / "a.ogg")
        began = asyncio.get_running_loop().time()
        for _ in range(40):
            await asyncio.sleep(FRAME_SECONDS)
            # Whatever is heard now was said so much earlier.
            said_before = asyncio.get_running_loop().time() - late < began + FRAME_SECONDS
            recorder.caller_said(voice if said_before else silence, RATE)
        recorder.stop()
        await recorder.finished()

    run_simulated(record)
    heard = listen_to(tmp_path / "a.ogg")
    assert heard.seconds == pytest.approx(2, abs=0.1)
    assert heard.caller_heard(0, heard.seconds) == 0


def test_what_was_held_up_while_it_was_private_stays_unheard(tmp_path: Path) -> None:
    voice = tone(440, FRAME_SECONDS).tobytes()

    async def record() -> None:
        loop = asyncio.get_running_loop()
        recorder = Recorder(tmp_path / "a.ogg")
        began = loop.time()

        async def until(second: float) -> None:
            await asyncio.sleep(max(0.0, began + second - loop.time()))

        for number in range(120):
            said = number * FRAME_SECONDS
            # Nothing comes between 2 and 2.5 s, and between 3.5 and 4.5 s: then all of it does.
            held = next((end for begin, end in ((2.0, 2.5), (3.5, 4.5)) if begin <= said < end), 0.0)
            await until(max(held, said + FRAME_SECONDS))
            if number == 30:
                recorder.pause()
            if number == 60:
                recorder.resume()
            recorder.caller_said(voice, RATE)
        recorder.stop()
        await recorder.finished()
        (pause,) = recorder.pauses
        assert pause == pytest.approx([1.55, 4.05])

    run_simulated(record)
    heard = listen_to(tmp_path / "a.ogg")
    assert heard.caller_heard(0.6, 1.5) > 0.8
    assert heard.caller_heard(1.6, 4.0) == 0
    assert heard.caller_heard(4.1, 5.9) > 1.7
