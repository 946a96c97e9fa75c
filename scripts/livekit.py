"""One machine, no containers: Redis, livekit-server, the web, background work and a worker, until Ctrl-C.

Everything listens on 127.0.0.1, on free ports but for the web's. Redis' data, keys and logs are in var/livekit.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.livekit_tools import livekit_server, redis_server  # noqa: E402

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
KEY = "clinic"
CODECS = [{"mime": "audio/opus"}, {"mime": "audio/red"}]
"""What livekit-server lets participants send."""

GARBAGE = {"GOGC": "400"}
"""livekit-server looks for garbage a quarter as often as it would: a sixth of its CPU when many calls begin."""


@dataclass
class Service:
    """One process. `log` keeps what it prints, None is the terminal; `ours` is the product's, not a server's."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    ours: bool
    hurry: bool

    def tell_to_stop(self) -> None:
        """Ask it to end; where it would wait for its calls, ask twice."""
        for _ in range(2 if self.hurry else 1):
            if self.process.poll() is None:
                self.process.terminate()
                time.sleep(0.1)

    def end(self, deadline: float) -> None:
        """Return when it has ended. At `deadline` it is killed, with all that it started."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Machine:
    """Everything that was started, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: list[Service] = []

    def start(
        self,
        name: str,
        command: list[str],
        *,
        environment: dict[str, str] | None = None,
        ours: bool = True,
        in_terminal: bool = False,
        hurry: bool = False,
    ) -> None:
        """Start a process in a session of its own: Ctrl-C reaches this process only, which stops the others."""
        log = None if in_terminal else self.folder / f"{name}.log"
        with contextlib.ExitStack() as files:
            output = files.enter_context(log.open("wb")) if log else None
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.services.append(Service(name, process, log, ours=ours, hurry=hurry))

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Return when `ready` says so. Raises SystemExit when something stops before, or it takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{self.services[-1].name} did not start within {START_SECONDS:.0f} seconds."
                )
            time.sleep(0.05)

    def check(self) -> None:
        """Raises SystemExit when one of them has stopped by itself, with its last words."""
        for service in self.services:
            if (code := service.process.poll()) is not None:
                words = service.log.read_text(errors="replace").splitlines()[-5:] if service.log else []
                raise SystemExit("\n".join([*words, f"{service.name} stopped by itself (exit code {code})."]))

    def stop(self) -> None:
        """End everything: what answers calls first, what that needs after it. What does not obey in time is killed."""
        ours = [service for service in self.services if service.ours]
        for services in (ours, [service for service in self.services if not service.ours]):
            for service in services:
                service.tell_to_stop()
            deadline = time.monotonic() + STOP_SECONDS
            for service in services:
                service.end(deadline)
        self.services.clear()


def free_port() -> int:
    """A TCP port that nobody listens on now; the same number is used for UDP."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens on `port`."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def secret(path: Path) -> str:
    """The secret kept at `path`, made the first time, for its owner's eyes only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def server_settings(*, port: int, redis_port: int, web_port: int, password: str) -> dict[str, object]:
    """livekit-server's configuration; deploy/livekit.yaml explains its lines."""
    return {
        "port": port,
        "bind_addresses": [HOST],
        "rtc": {
            "tcp_port": free_port(),
            "udp_port": free_port(),
            "node_ip": HOST,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
        },
        "room": {"enabled_codecs": CODECS},
        "redis": {"address": f"{HOST}:{redis_port}"},
        "keys": {KEY: password},
        "webhook": {"api_key": KEY, "urls": [f"http://{HOST}:{web_port}/livekit/webhook/"]},
        "logging": {"level": "info"},
    }


def make_folder() -> Path:
    """Where Redis' data, the server's key and the logs are: in the data directory, made where missing."""
    data = ROOT / (os.environ.get("CLINIC_DATA_DIR") or "var")
    folder = data / "livekit"
    # One after the other: `parents=True` would let everybody look into the data directory.
    for each in (data, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def start_all(machine: Machine) -> None:
    """Start everything, each when what it needs is there. Raises SystemExit with a sentence."""
    web_port = int(os.environ.get("PORT") or 8000)
    redis_port, livekit_port = free_port(), free_port()
    password = secret(machine.folder / "secret")
    settings = server_settings(port=livekit_port, redis_port=redis_port, web_port=web_port, password=password)
    configuration = machine.folder / "livekit.yaml"
    configuration.touch(mode=0o600)
    configuration.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    ours = {
        "REDIS_URL": f"redis://{HOST}:{redis_port}/0",
        "LIVEKIT_URL": f"ws://{HOST}:{livekit_port}",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": password,
        "PYTHONUNBUFFERED": "1",
    }
    redis = [str(redis_server()), "--bind", HOST, "--port", str(redis_port), "--dir", str(machine.folder)]
    machine.start("redis-server", redis, ours=False)
    machine.wait_for(lambda: answers(redis_port))
    # The configuration is YAML, of which JSON is a part.
    # Asked once, it waits for its rooms to become empty.
    livekit = [str(livekit_server()), "--config", str(configuration)]
    machine.start("livekit-server", livekit, environment=GARBAGE, ours=False, hurry=True)
    machine.wait_for(lambda: answers(livekit_port))
    machine.start("web", [sys.executable, "manage.py", "serve"], environment=ours, in_terminal=True)
    machine.wait_for(lambda: answers(web_port))
    celery = [sys.executable, "-m", "celery", "-A", "clinic", "worker", "--beat", "--concurrency", "2"]
    machine.start("celery", celery, environment=ours)
    machine.start(
        "worker",
        [sys.executable, "-m", "agent_worker"],
        environment=ours | {"WORKER_PORT": "0"},
        in_terminal=True,
        # Asked once, it would let calls finish; asked twice, it says goodbye to them.
        hurry=True,
    )


def main() -> None:
    """Run until Ctrl-C, until `kill`, or until one of the processes stops."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    machine = Machine(make_folder())
    try:
        start_all(machine)
        while True:
            time.sleep(0.5)
            machine.check()
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
    finally:
        # Whoever presses Ctrl-C twice has to wait for the calls' last words all the same.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        machine.stop()
    print("Stopped.")


if __name__ == "__main__":
    main()
