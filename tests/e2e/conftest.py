"""Real Redis, real livekit-server, a real worker, and telephones that call it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import pytest_asyncio
from django.core.management import call_command
from django.db import close_old_connections, connections

from agent_worker.pcm import SAMPLE_RATE
from agent_worker.prompts import PromptStore
from agent_worker.speech import prompt_store
from clinic.models import Clinic
from phone.models import Call
from phone.plan import PhonePlan
from phone.publishing import live_plan
from phone.wording import Utterance, menu_prompt, say
from tests.e2e.crowd import Crowd
from tests.e2e.recognition import Spectrum, spectrum
from tests.e2e.servers import LIVEKIT, REDIS, LiveKitServer, Redis
from tests.e2e.telephone import BEGINNING, Loudness, Samples, Telephone, Telephones, loudness
from tests.e2e.workers import Worker
from tests.services import require_service

T = TypeVar("T")

NUMBER = "+12125550142"
"""The demo clinic's."""

CALLER = "+15551234567"


@pytest.fixture(autouse=True)
def place_on_the_machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Several of these tests run at once, in processes of their own; one marked `crowd` runs alone."""
    folder = tmp_path_factory.getbasetemp().parent
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())
    mode = fcntl.LOCK_EX if request.node.get_closest_marker("crowd") else fcntl.LOCK_SH
    with (folder / f"{run}.machine").open("w") as machine:
        with (folder / f"{run}.door").open("w") as door:
            # Whoever waits for the others to finish stands in the door.
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(machine, mode)
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the workers."""
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="session")
def redis(data: Path) -> Iterator[Redis]:
    require_service("e2e tests", REDIS, "redis-server is not installed")
    server = Redis(data)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def livekit(data: Path, redis: Redis) -> Iterator[LiveKitServer]:
    require_service("e2e tests", LIVEKIT, "livekit-server is not installed")
    server = LiveKitServer(data, redis)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def running_worker(data: Path, livekit: LiveKitServer, django_db_setup: None) -> Iterator[Worker]:
    worker = Worker(data, livekit, WORKER_WARM=2)
    try:
        yield worker.ready()
    finally:
        worker.stop()


class Apart:
    """A livekit-server with a Redis of its own, and the workers that a test starts for it: none to begin with."""

    def __init__(self, data: Path, redis: Redis, livekit: LiveKitServer, running: ExitStack) -> None:
        self._data = data
        self._running = running
        self._workers = 0
        self.redis = redis
        self.livekit = livekit

    def start(self, **variables: str | int) -> Worker:
        """Start one more worker; it is not ready yet."""
        self._workers += 1
        name = f"{self.livekit.port}-{self._workers}"
        worker = Worker(self._data, self.livekit, name=name, **variables)
        self._running.callback(worker.stop)
        return worker


@contextmanager
def servers_apart(data: Path, folder: Path) -> Iterator[Apart]:
    """Servers whose files are in `folder`. At the end they are stopped, and before them all workers."""
    require_service("e2e tests", REDIS, "redis-server is not installed")
    require_service("e2e tests", LIVEKIT, "livekit-server is not installed")
    with ExitStack() as running:
        redis = Redis(folder)
        running.callback(redis.stop)
        livekit = LiveKitServer(folder, redis)
        running.callback(livekit.stop)
        yield Apart(data, redis, livekit, running)


@pytest.fixture
def apart(data: Path, tmp_path: Path, django_db_setup: None) -> Iterator[Apart]:
    """Servers of a test's own, for one that starts and stops workers: no other worker gets its calls."""
    with servers_apart(data, tmp_path) as apart:
        yield apart


@pytest.fixture
def demo(transactional_db: None) -> None:
    """The demo clinic, open whenever the tests run."""
    call_command("seed_demo", stdout=StringIO())
    clinic = Clinic.objects.get()
    clinic.switch = "open"
    clinic.save()


class Voice:
    """What the clinic's sentences sound like, to recognise them by."""

    def __init__(self, store: PromptStore, plan: PhonePlan) -> None:
        self._store = store
        self.plan = plan

    async def saying(self, key: str, *, language: str = "en", seconds: float = 1.5) -> Loudness:
        """The beginning of the clinic's sentence `key`."""
        return await self.of(say(self.plan, key, language), language=language, seconds=seconds)

    async def menu(self) -> Loudness:
        """The whole menu, as callers with keys hear it now who are not recorded."""
        menu = self.plan.menu_at(datetime.now(UTC)).offered(recorded=False)
        return await self.of(menu_prompt(self.plan, menu, "en", keys=True), seconds=60)

    async def of(self, utterance: Utterance, *, language: str = "en", seconds: float = 1.5) -> Loudness:
        """The beginning of `utterance`."""
        return loudness(await self._sound(utterance, language), SAMPLE_RATE)[: int(seconds * 100)]

    async def spectrum(self, key: str, *, seconds: float = 1.5) -> Spectrum:
        """The beginning of the clinic's sentence `key`, to recognise it by on a machine that cannot keep up."""
        sound = await self._sound(say(self.plan, key, "en"), "en")
        return spectrum(sound[: int(seconds * SAMPLE_RATE)], SAMPLE_RATE)

    async def _sound(self, utterance: Utterance, language: str) -> Samples:
        pieces = [
            np.frombuffer(frame.data, dtype=np.int16)
            async for frame in self._store.audio(utterance, language)
        ]
        return np.concatenate(pieces)


@pytest_asyncio.fixture
async def voice(demo: None, data: Path) -> AsyncIterator[Voice]:
    store = prompt_store(data / "prompts")
    loaded = await in_database(lambda: live_plan(NUMBER))
    assert loaded
    await asyncio.to_thread(store.render, loaded.plan)
    yield Voice(store, loaded.plan)
    store.close()


@pytest.fixture
def worker(voice: Voice, running_worker: Worker) -> Worker:
    """A worker that is ready for calls to the demo clinic, whose prompts are rendered."""
    return running_worker


@pytest_asyncio.fixture
async def telephones(livekit: LiveKitServer) -> AsyncIterator[Telephones]:
    telephones = Telephones(livekit)
    yield telephones
    await telephones.hang_up_all()


@pytest_asyncio.fixture
async def telephones_apart(apart: Apart) -> AsyncIterator[Telephones]:
    telephones = Telephones(apart.livekit)
    yield telephones
    await telephones.hang_up_all()


@pytest_asyncio.fixture
async def crowd(apart: Apart) -> AsyncIterator[Crowd]:
    crowd = Crowd(apart.livekit)
    yield crowd
    await crowd.hang_up_all()
    crowd.stop()


async def at_the_menu(voice: Voice, telephones: Telephones, *, caller: str = CALLER) -> Telephone:
    """A caller who has gone on to the menu."""
    telephone = await telephones.dial(NUMBER, caller=caller)
    await telephone.hears_voice(within=30)
    telephone.begin()
    await telephone.press("1")
    await hears_the_menu(voice, telephone)
    return telephone


async def hears_the_menu(voice: Voice, caller: Telephone) -> None:
    await caller.hears((await voice.menu())[:BEGINNING])


async def in_database(function: Callable[[], T]) -> T:
    """What `function` finds or does in the database, beside the running worker."""

    def job() -> T:
        close_old_connections()
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(job)


async def calls_on_record(count: int = 1) -> list[Call]:
    """This many calls, the oldest first, once all have their final rows."""

    def ended() -> list[Call] | None:
        calls = list(Call.objects.exclude(outcome="").order_by("started_at"))
        return calls if len(calls) >= count else None

    return await until(lambda: in_database(ended), seconds=20)


async def until(find: Callable[[], Awaitable[T | None]], *, seconds: float = 10.0, every: float = 0.05) -> T:
    """What `find` finds, as soon as it finds something; it looks `every` so often. Fails after so many seconds."""
    for _ in range(int(seconds / every)):
        if (found := await find()) is not None:
            return found
        await asyncio.sleep(every)
    raise AssertionError(f"not there after {seconds} seconds")
