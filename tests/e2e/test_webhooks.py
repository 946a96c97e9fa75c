"""Webhooks between two real servers: livekit-server tells the web of callers, and nobody else can."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from phone.models import Call
from tests.e2e.conftest import NUMBER, calls_on_record, in_database
from tests.e2e.servers import LIVEKIT, REDIS, LiveKitServer, Process, Redis, answers, free_port
from tests.e2e.telephone import Telephones
from tests.e2e.workers import ROOT, product_environment
from tests.phone.test_webhooks import event, token
from tests.services import require_service

CALLER = "+12025550188"


class Web(Process):
    """The web process on the test's database, with livekit-server's key."""

    def __init__(self, folder: Path, port: int, server: LiveKitServer) -> None:
        self._address = webhook_at(port)
        super().__init__(
            [sys.executable, "-m", "uvicorn", "clinic.asgi:application", "--port", str(port)],
            folder / "web.log",
            cwd=ROOT,
            env={**product_environment(folder), **server.environment},
            stdin=subprocess.DEVNULL,
        )
        self.wait_until(lambda: answers(port), seconds=60)

    def receives(self, body: bytes, authorization: str) -> int:
        """The status with which it takes this webhook, or refuses it."""
        request = urllib.request.Request(self._address, body, {"Authorization": authorization})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            return refusal.code


def webhook_at(port: int) -> str:
    return f"http://127.0.0.1:{port}/livekit/webhook/"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def livekit(tmp_path: Path, port: int) -> Iterator[LiveKitServer]:
    """A livekit-server without workers, which sends its webhooks to the web."""
    require_service("e2e tests", REDIS, "redis-server is not installed")
    require_service("e2e tests", LIVEKIT, "livekit-server is not installed")
    with ExitStack() as running:
        redis = Redis(tmp_path)
        running.callback(redis.stop)
        server = LiveKitServer(tmp_path, redis, webhook=webhook_at(port))
        running.callback(server.stop)
        yield server


@pytest.fixture
def web(tmp_path: Path, port: int, livekit: LiveKitServer, demo: None) -> Iterator[Web]:
    web = Web(tmp_path, port, livekit)
    yield web
    web.stop()


async def test_livekit_server_tells_of_a_caller_who_gave_up_and_nobody_else_can(
    web: Web, livekit: LiveKitServer, telephones: Telephones
) -> None:
    forged = event("participant_left", room="dental-_forged")
    body = json.dumps(forged).encode()
    ours: dict[str, Any] = {"key": livekit.key, "secret": livekit.secret}
    assert (
        web.receives(body, token(body, key=livekit.key, secret="a secret that somebody made up, and long"))
        == 401
    )
    assert web.receives(body, token(b"another body", **ours)) == 401
    assert web.receives(body, token(body, expires=-120, **ours)) == 401
    assert web.receives(body, "") == 401
    assert web.receives(b"no event", token(b"no event", **ours)) == 400
    assert not await in_database(Call.objects.exists)

    caller = await telephones.dial(NUMBER, caller=CALLER)
    await caller.hang_up()
    (call,) = await calls_on_record()
    assert (call.outcome, str(call.caller_number), call.room) == ("missed", CALLER, caller.room.name)
