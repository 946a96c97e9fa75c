"""What a measurement needs: Redis, livekit-server, a worker, the opponent's worker, and the process of the callers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from agent_worker import pcm
from agent_worker.speech import prompt_store
from benchmarks.livekit import hearing
from benchmarks.livekit.callers import NUMBER, Crowd
from phone import wording
from phone.publishing import live_plan
from tests.e2e.crowd import Address
from tests.e2e.elsewhere import Elsewhere
from tests.e2e.servers import LIVEKIT, REDIS, LiveKitServer, Process, Redis
from tests.e2e.workers import ROOT, Worker, product_environment

STOCK_PROMPT_SECONDS = 4.0
LINES = 40
"""Calls that the worker may answer at once: more than are ever placed."""

EARS = 2
"""Processes of callers who listen closely."""

KEYS_PER_CALL = 4
"""What one caller can press while another one calls, listens and waits, and a little more."""

QUIET_SECONDS = 0.5
QUIET_SHARE = 0.08
"""The share of a core below which a process has nothing to do but to wait."""

SETTLES_SECONDS = 60.0


@dataclass
class Usage:
    """Seconds of CPU used so far."""

    worker: float
    server: float
    callers: float

    def since(self, before: Usage, seconds: float) -> Usage:
        """Shares of a core between `before` and now, `seconds` later."""
        return Usage(
            (self.worker - before.worker) / seconds,
            (self.server - before.server) / seconds,
            (self.callers - before.callers) / seconds,
        )


class Stage:
    """Everything that runs during a measurement."""

    def __init__(self, folder: Path, *, recording: bool, lines: int) -> None:
        self._folder = folder
        self._recording = recording
        self._lines = lines
        self._started: list[Process | Elsewhere] = []

    def start(self) -> None:
        """Render the demo clinic's prompts, and start servers, worker and callers."""
        beginnings = self._folder / "beginnings.npz"
        hearing.keep(asyncio.run(self._render()), beginnings)
        redis = self._add(Redis(self._folder))
        self.livekit = self._add(LiveKitServer(self._folder, redis))
        recording = str(self._recording).lower()
        worker = self._add(
            Worker(self._folder, self.livekit, WORKER_CALLS=self._lines, CLINIC_RECORDING=recording)
        )
        worker.ready()
        self._worker = psutil.Process(worker.popen.pid)
        self._server = psutil.Process(self.livekit.popen.pid)
        # Several processes, so that none of those who listen closely is held up by the others.
        server = Address(self.livekit.url, self.livekit.key, self.livekit.secret)
        self._callers = [self._add(Elsewhere(Crowd, server, beginnings)) for _ in range(EARS)]
        self._others = self._add(Elsewhere(Crowd, server, beginnings))
        self.settle()
        # A telephone is not begun with its call: the first connection takes each process of callers longer.
        self.burst(EARS + 1, 0.0)
        self.hang_up()

    @contextlib.contextmanager
    def stock(self) -> Iterator[None]:
        """The opponent's worker runs beside ours."""
        stock = Process(
            [sys.executable, "-m", "benchmarks.livekit.stock", str(self._folder)],
            self._folder / "stock.log",
            cwd=ROOT,
            env=product_environment(self._folder) | self.livekit.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            stock.wait_until(lambda: "ready" in stock.written(), seconds=SETTLES_SECONDS)
            yield
        finally:
            stock.stop()

    def stop(self) -> None:
        """End everything that was started, the last first."""
        for process in reversed(self._started):
            process.stop()

    def dial(self, callers: int) -> list[float]:
        """Have so many callers call at once. Returns room → first prompt of each, in seconds."""
        return self._dial("dial", callers)

    def dial_stock(self, callers: int) -> None:
        """Have so many callers call the stock task."""
        self._dial("dial_stock", callers)

    def dial_among(self, calls: int) -> list[float]:
        """Have so many more callers call, one after the other, while the others press keys. Returns as `dial`."""
        pressing = [process.call("press", calls * KEYS_PER_CALL) for process in self._callers]
        samples: list[float] = self._others.call("dial_in_turn", calls).result()
        together(pressing)
        return samples

    def burst(self, callers: int, seconds: float) -> list[float]:
        """Have so many silent callers call within so many seconds. Returns as `dial`."""
        places = itertools.cycle((*self._callers, self._others))
        return together(
            [next(places).call("dial_silently", number * seconds / callers) for number in range(callers)]
        )

    def agree(self) -> None:
        """Have each of them hear the consent question to its end, and say yes."""
        together([process.call("agree") for process in self._callers])

    def recordings(self) -> int:
        """How many recordings of calls there are."""
        return len(list((self._folder / "recordings").glob("*.ogg")))

    def press(self, keys: int) -> list[float]:
        """Have each of them press so many keys. Returns key → next prompt of each, in seconds."""
        return self._press("press", keys)

    def press_stock(self, keys: int) -> list[float]:
        """The same with the stock task."""
        return self._press("press_stock", keys)

    def hold(self, callers: int) -> None:
        """Have so many more callers call and stay."""
        self._others.call("hold", callers).result()

    def hang_up(self) -> None:
        """End all calls; returns when the worker is ready for the next ones."""
        for process in (*self._callers, self._others):
            process.call("hang_up").result()
        self.settle()

    def usage(self) -> Usage:
        """The CPU that worker (with its job processes), livekit-server and callers have used."""
        return Usage(
            worker=sum(cpu_of(process) for process in self._family()),
            server=cpu_of(self._server),
            callers=sum(process.call("cpu").result() for process in (*self._callers, self._others)),
        )

    def measured(self, act: Callable[[], Any]) -> tuple[Any, Usage]:
        """What `act` returns, and the shares of a core that were used meanwhile."""
        before, began = self.usage(), time.perf_counter()
        result = act()
        return result, self.usage().since(before, time.perf_counter() - began)

    def memory_per_call(self) -> list[float]:
        """The PSS of each job process that is in a call, in bytes: those that have sockets for audio."""
        return [
            float(process.memory_full_info().pss)
            for process in self._worker.children(recursive=True)
            if process.net_connections("udp")
        ]

    def settle(self) -> None:
        """Return when the worker has ended its calls and has warm processes again."""
        until = time.monotonic() + SETTLES_SECONDS
        while time.monotonic() < until:
            before = sum(cpu_of(process) for process in self._family())
            time.sleep(QUIET_SECONDS)
            after = sum(cpu_of(process) for process in self._family())
            if 0 <= after - before < QUIET_SHARE * QUIET_SECONDS:
                return

    def _dial(self, how: str, callers: int) -> list[float]:
        shares = [len(range(place, callers, EARS)) for place in range(EARS)]
        return together(
            [process.call(how, share) for process, share in zip(self._callers, shares, strict=True)]
        )

    def _press(self, how: str, keys: int) -> list[float]:
        return together([process.call(how, keys) for process in self._callers])

    def _family(self) -> list[psutil.Process]:
        return [self._worker, *self._worker.children(recursive=True)]

    def _add(self, process: Any) -> Any:
        self._started.append(process)
        return process

    async def _render(self) -> dict[str, hearing.Samples]:
        loaded = await asyncio.to_thread(live_plan, NUMBER)
        assert loaded is not None
        plan, now = loaded.plan, datetime.now(UTC)
        store = prompt_store(self._folder / "prompts")
        await asyncio.to_thread(store.render, plan)
        utterances = {
            "menu": wording.menu_prompt(plan, plan.menu_at(now), "en", keys=True),
            "hours": wording.office_hours(plan, "en", now),
        }
        sounds = {
            name: b"".join([bytes(frame.data.cast("B")) async for frame in store.audio(utterance, "en")])
            for name, utterance in utterances.items()
        }
        store.close()
        for turn, name in enumerate(("menu", "hours")):
            sound = (sounds[name] * 4)[: int(STOCK_PROMPT_SECONDS * pcm.BYTES_PER_SECOND)]
            sounds[f"stock {turn}"] = sound
            (self._folder / f"stock-{turn}.pcm").write_bytes(sound)
        return {name: hearing.beginning(sound, pcm.SAMPLE_RATE) for name, sound in sounds.items()}


def together(samples: Iterable[Future[list[float] | None]]) -> list[float]:
    """All samples, once they are there."""
    return list(chain.from_iterable(each.result() or () for each in samples))


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that `process` has used; none when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


@contextlib.contextmanager
def running(*, recording: bool = False, lines: int = LINES) -> Iterator[Stage]:
    """A stage, on a directory that is thrown away, whose calls are recorded or not, and of which `lines` are answered.

    Raises SystemExit where a server is not installed.
    """
    if not REDIS or not LIVEKIT:
        raise SystemExit(
            "redis-server and livekit-server are needed: scripts/livekit_tools.py installs them."
        )
    with tempfile.TemporaryDirectory(prefix="clinic-bench-livekit-") as folder:
        stage = Stage(Path(folder), recording=recording, lines=lines)
        try:
            stage.start()
            yield stage
        finally:
            stage.stop()
