"""PostgreSQL, Redis and Celery as a clinic runs them: processes of their own that find each other, and find back."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import override_settings
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from clinic import beat
from clinic.celery import app
from scripts.with_postgresql import binaries, can_run, postgresql
from tests.another_process import ANSWERS
from tests.e2e import servers
from tests.e2e.servers import REDIS, Process
from tests.services import require_service

ROOT = Path(__file__).resolve().parent.parent
GROUP = "tests of PostgreSQL, Redis and Celery"
PATIENCE = 30.0
"""Seconds until something that should happen counts as not happening."""


def eventually(happened: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


class Redis(servers.Redis):
    """One that tells who listens."""

    @property
    def open_pages(self) -> int:
        """How many processes with open pages listen."""
        with redis.Redis.from_url(self.url) as client:
            return sum(count for _, count in client.pubsub_numsub("asgi__group__office"))


class AnotherProcess:
    """tests/another_process.py, which does what it is told."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.another_process"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, *command: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        print(*command, file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith(ANSWERS):
                return line.removeprefix(ANSWERS).strip()
        raise AssertionError(f"{command} was not done")

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)


class System:
    """PostgreSQL, Redis, the web process, a Celery worker, and a process beside them."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.redis = Redis(folder)
        self.environment = {
            "PATH": os.environ["PATH"],
            "CLINIC_DATA_DIR": str(folder / "data"),
            "DATABASE_URL": database,
            "REDIS_URL": self.redis.url,
        }
        self.processes: list[Process] = []
        web = self.run("web", "manage.py", "serve", "--port", "0")
        web.wait_until(lambda: "Ctrl-C" in web.written(), seconds=90)
        self.port = int(re.findall(r"http://127\.0\.0\.1:(\d+)/admin/", web.written())[0])
        # The worker of two halves begins once the database is made.
        self.worker = self.run(
            "worker",
            *("-m", "celery", "-A", "tests.interrupted_work", "worker", "--concurrency", "1", "-l", "info"),
        )
        self.beside = AnotherProcess(self.environment)
        self.session = self.beside.does("log_in")
        self.worker.wait_until(lambda: "ready." in self.worker.written(), seconds=60)

    def run(self, name: str, *arguments: str) -> Process:
        command = [sys.executable, "-u", *arguments]
        process = Process(command, self.folder / f"{name}.log", cwd=ROOT, env=self.environment)
        self.processes.append(process)
        return process

    def get(self, address: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", address, headers={"Cookie": f"sessionid={self.session}"})
        response = connection.getresponse()
        return response.status, response.read().decode()

    def open_page(self) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.port}/office/live/",
            origin=Origin(f"http://127.0.0.1:{self.port}"),
            additional_headers={"Cookie": f"sessionid={self.session}"},
        )

    def stop(self) -> None:
        self.beside.stop()
        for process in self.processes:
            process.stop()
        self.redis.stop()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    require_service(GROUP, REDIS, "redis-server is not installed")
    require_service(GROUP, not can_run(), can_run())
    folder = binaries()
    assert folder
    with postgresql(folder) as database:
        running = System(tmp_path_factory.mktemp("system"), database)
        try:
            yield running
        finally:
            running.stop()


def told(page: ClientConnection) -> dict[str, Any]:
    """The next thing that an open page hears."""
    heard: dict[str, Any] = json.loads(page.recv(timeout=PATIENCE))
    return heard


def test_a_request_reaches_open_pages_and_the_mail_and_again_after_redis_was_restarted(
    system: System,
) -> None:
    with system.open_page() as page:
        before = told(page)["open_requests"]
        first = system.beside.does("leave_request")
        assert until_a_new_request(page)["open_requests"] == before + 1
        eventually(lambda: system.worker.written().count("New request from a caller") == 1)
        assert system.beside.does("mailed", first) == "True"

        system.redis.stop()
        system.redis.start()
        eventually(lambda: system.redis.open_pages)
        second = system.beside.does("leave_request")
        assert until_a_new_request(page)["open_requests"] == before + 2
        eventually(lambda: system.worker.written().count("New request from a caller") == 2)
        assert system.beside.does("mailed", second) == "True"


def until_a_new_request(page: ClientConnection) -> dict[str, Any]:
    """What the page hears of the next new request; calls that begin and end are told, too."""
    while not (heard := told(page))["new_requests"]:
        pass
    return heard


def test_work_whose_process_is_killed_is_done_by_another(system: System, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    system.beside.does("send_task", "tests.interrupted", str(diary))
    eventually(diary.exists)
    eventually(diary.read_text)
    (first,) = diary.read_text().split()
    os.kill(int(first), signal.SIGKILL)
    eventually(lambda: len(diary.read_text().split()) == 2)


def test_pages_come_back_when_the_database_does(system: System) -> None:
    assert system.get("/admin/")[0] == 200
    assert int(system.beside.does("cut_database_connections")) >= 1
    assert system.get("/admin/")[0] == 200


def test_the_page_for_installers_sees_postgresql_redis_and_the_worker(system: System) -> None:
    system.beside.does("send_task", "clinic.tasks.sign_of_life")
    shown = ""

    def background_work_is_seen() -> bool:
        nonlocal shown
        shown = system.get("/admin/phone/confirmation/")[1]
        return "a worker does what it asks for" in shown

    eventually(background_work_is_seen)
    assert re.search(r"PostgreSQL \d\d\.", shown)
    assert "It answers." in shown


# -- The schedule --------------------------------------------------------------------------------------------


@pytest.fixture
def redis_alone(tmp_path: Path) -> Iterator[Redis]:
    require_service(GROUP, REDIS, "redis-server is not installed")
    server = Redis(tmp_path)
    with override_settings(REDIS_URL=server.url):
        yield server
    server.stop()


class Sent(beat.OneOwnerScheduler):
    """A clock whose tasks are all due, and are counted instead of sent."""

    def __init__(self) -> None:
        self.count = 0
        super().__init__(app, schedule={})

    def setup_schedule(self) -> None:
        self.add(name="always", task="tests.always", schedule=0)

    def apply_entry(self, entry: object, producer: object = None) -> None:
        self.count += 1

    producer = None


def test_of_two_clocks_one_sends_and_the_other_takes_over(redis_alone: Redis) -> None:
    first, second = Sent(), Sent()
    assert first.tick() < beat.LOOK_AGAIN_SECONDS
    assert second.tick() == beat.LOOK_AGAIN_SECONDS
    assert (first.count, second.count) == (1, 0)
    first.close()
    second.tick()
    assert (first.count, second.count) == (1, 1)


def test_a_clock_that_died_is_followed_by_another(
    redis_alone: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat, "LOCK_SECONDS", 0.2)
    first, second = Sent(), Sent()
    first.tick()
    eventually(lambda: second.tick() != beat.LOOK_AGAIN_SECONDS)
    assert first.tick() == beat.LOOK_AGAIN_SECONDS
    assert second.count == 1


def test_clocks_wait_for_redis_and_go_on_when_it_is_back(redis_alone: Redis) -> None:
    clock = Sent()
    clock.tick()
    redis_alone.stop()
    assert clock.tick() == beat.LOOK_AGAIN_SECONDS
    redis_alone.start()
    clock.tick()
    assert clock.count == 2
