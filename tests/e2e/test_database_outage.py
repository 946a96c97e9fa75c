"""PostgreSQL goes away in the middle of calls: they go on, new ones are answered, and every row is there afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scripts.with_postgresql import binaries, can_run, postgresql
from tests.e2e.conftest import NUMBER, Apart, Voice, until
from tests.e2e.telephone import Telephones
from tests.e2e.workers import ROOT, Worker
from tests.services import require_service

pytestmark = pytest.mark.long


class Wire:
    """The way to a server, which can be cut and mended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pipes: set[asyncio.Task[None]] = set()
        self._whole = True

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> None:
        self._whole = False
        for pipe in self._pipes:
            pipe.cancel()

    def mend(self) -> None:
        self._whole = True

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    async def _connect(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if not self._whole:
            back.close()
            return
        far, forth = await asyncio.open_connection("127.0.0.1", self._to)
        both = [asyncio.create_task(self._pipe(near, forth)), asyncio.create_task(self._pipe(far, back))]
        self._pipes.update(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for pipe in both:
            pipe.cancel()
        for end in (forth, back):
            end.close()
        self._pipes.difference_update(both)

    @staticmethod
    async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            while piece := await source.read(65536):
                sink.write(piece)
                await sink.drain()


class Database:
    """A PostgreSQL of its own with the demo clinic in it, and a worker's way there."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        environment = {"PATH": os.environ["PATH"], "CLINIC_DATA_DIR": str(data), "DATABASE_URL": url}
        for command in (["migrate"], ["seed_demo"]):
            subprocess.run(
                [sys.executable, "manage.py", *command, "--verbosity", "0"],
                cwd=ROOT,
                env=environment,
                check=True,
            )
        self.port = int(url.rsplit(":", 1)[1].split("/")[0])
        self.ask("update clinic_clinic set switch = 'open' returning id")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    folder = binaries()
    require_service("e2e tests", folder is not None and not can_run(), can_run())
    assert folder
    with postgresql(folder) as url:
        yield Database(url, data)


async def ready(worker: Worker) -> Worker:
    return await asyncio.to_thread(worker.ready)


async def found(look: Callable[[], Any], *, seconds: float = 60) -> Any:
    async def once() -> Any:
        return await asyncio.to_thread(look) or None

    return await until(once, seconds=seconds)


async def test_calls_outlive_the_database_and_are_on_record_when_it_is_back(
    data: Path,
    tmp_path: Path,
    database: Database,
    voice: Voice,
    apart: Apart,
    telephones_apart: Telephones,
) -> None:
    # Not the directory of the other tests' worker: it would bring what is left behind to its own database.
    own = tmp_path / "data"
    own.mkdir()
    (own / "prompts").symlink_to(data / "prompts")
    spool = own / "spool"
    async with Wire(database.port) as wire:
        way = f"postgresql://test@127.0.0.1:{wire.port}/postgres"
        variables = {"DATABASE_URL": way, "CLINIC_DATA_DIR": str(own)}
        worker = await ready(apart.start(WORKER_WARM=2, **variables))

        in_a_call = await telephones_apart.dial(NUMBER)
        await in_a_call.hears_voice()
        await found(lambda: database.ask("select 1 from phone_call"))
        wire.cut()
        in_a_call.begin()
        await in_a_call.press("12")
        await in_a_call.hears_voice(2.0)
        await in_a_call.hang_up()

        new = await telephones_apart.dial(NUMBER)
        await new.hears_voice(2.0, within=20)
        new.begin()
        await new.press("1")
        await new.hears_voice(2.0)
        await found(
            lambda: b"ConsentDecided" in b"".join(each.read_bytes() for each in spool.glob("*.records"))
        )
        os.killpg(worker.popen.pid, signal.SIGKILL)
        worker.stop()

        assert database.ask("select count(*) from phone_call") == [(1,)]
        wire.mend()
        apart.start(WORKER_WARM=1, **variables)
        await found(lambda: len(database.ask("select 1 from phone_call")) == 2)
        await found(lambda: not list(spool.iterdir()))
        outcomes = database.ask("select outcome, served, consent from phone_call order by started_at")
        assert outcomes == [("caller_hung_up", "information", "given"), ("", "nothing", "given")]
