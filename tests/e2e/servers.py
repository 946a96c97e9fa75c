"""The servers that a call needs: Redis and livekit-server, on free ports of this machine alone."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from scripts.livekit import CODECS, GARBAGE
from scripts.livekit_tools import livekit_server

REDIS = shutil.which("redis-server")
LIVEKIT = livekit_server()
SETPRIV = shutil.which("setpriv")

SUBSCRIBED = re.compile(r"^livekit_track_subscribed_total{.*} (\S+)$", re.MULTILINE)

FIRST_PORT, PORTS = 20_000, 12_000

STARTS_SECONDS = 20.0
STOPS_SECONDS = 10.0


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on, of those that the system does not give to outgoing connections meanwhile."""
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """A process of ours, with its output in a file. Stopped by its id, and only by that."""

    def __init__(self, command: Sequence[str], output: Path, **options: object) -> None:
        self.output = output
        if SETPRIV:
            # Should the tests be killed, nothing of theirs stays behind.
            command = [SETPRIV, "--pdeathsig", "KILL", *command]
        with output.open("ab") as file:
            self.popen = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = STARTS_SECONDS) -> None:
        """Return as soon as `ready`; fails with what the process wrote when it ends or takes too long."""
        until = time.monotonic() + seconds
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"{self.popen.args} is not ready:\n{self.written()}")
            time.sleep(0.02)

    def written(self) -> str:
        """All output so far."""
        return self.output.read_text(errors="replace")

    def die(self) -> None:
        """What kill -9 does."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, *, seconds: float = STOPS_SECONDS) -> None:
        """Ask the process to end; kill it where it does not."""
        self.popen.terminate()
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def answers(port: int) -> bool:
    """Whether somebody listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Redis:
    """A Redis that keeps nothing: when it is started again, at the same address, it is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert REDIS
        arguments = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self.process = Process([REDIS, *arguments], self._folder / "redis.log")
        self.process.wait_until(lambda: answers(self.port))

    def stop(self) -> None:
        self.process.stop()


class LiveKitServer(Process):
    """A livekit-server with one key, which carries audio over the loopback interface.

    `webhook` is where it sends its webhooks.
    """

    def __init__(self, folder: Path, redis: Redis, *, webhook: str = "") -> None:
        assert LIVEKIT
        self.port = free_port()
        self._metrics_port = free_port()
        self.key, self.secret = "e2e", secrets.token_hex(20)
        config = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {self.key: self.secret},
            "redis": {"address": f"127.0.0.1:{redis.port}"},
            "prometheus": {"port": self._metrics_port},
            "webhook": {"api_key": self.key, "urls": [webhook] if webhook else []},
            "logging": {"level": "info"},
            "room": {"enabled_codecs": CODECS},
            "rtc": {
                "node_ip": "127.0.0.1",
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
                "tcp_port": free_port(),
                "udp_port": free_port(socket.SOCK_DGRAM),
                "use_external_ip": False,
            },
        }
        file = folder / "livekit.yaml"
        file.write_text(json.dumps(config))
        command = [LIVEKIT, "--config", str(file)]
        super().__init__(command, folder / "livekit.log", env=os.environ | GARBAGE)
        self.wait_until(lambda: answers(self.port))

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def subscriptions(self) -> int:
        """How many tracks are being sent to somebody just now, by the server's own count."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=5) as answer:
            return sum(int(float(count)) for count in SUBSCRIBED.findall(answer.read().decode()))

    @property
    def environment(self) -> dict[str, str]:
        """What a client of this server has in its environment."""
        return {"LIVEKIT_URL": self.url, "LIVEKIT_API_KEY": self.key, "LIVEKIT_API_SECRET": self.secret}
