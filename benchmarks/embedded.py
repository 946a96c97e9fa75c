"""The embedded line under load: the real server in one process, its callers in another."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

Order = Callable[[dict[str, Any]], dict[str, Any]]

ROOT = Path(__file__).resolve().parent.parent
CALLERS = 20
START_SECONDS = 60.0
IDLE_SHARE = 0.05
"""The share of a core below which the server has finished its start."""


@dataclass
class Load:
    """What twenty callers measured; times in seconds, memory in bytes, CPU as a share of one core."""

    together: list[float] = field(default_factory=list)
    arriving: list[float] = field(default_factory=list)
    next_prompt: list[float] = field(default_factory=list)
    unanswered: int = 0
    bytes_per_call: float = 0.0
    server_cpu: float = 0.0
    callers_cpu: float = 0.0


def measure(*, rounds: int, keys: int) -> Load:
    """Let twenty callers call, `rounds` times in each manner, and press `keys` keys each. Raises RuntimeError."""
    load = Load()
    with server() as (process, address), callers(address) as order:
        order({"do": "call", "callers": 1, "within": 0})
        order({"do": "hang_up"})
        wait_until_idle(process)
        growths = []
        for _ in range(rounds):
            before = process.memory_full_info().pss
            load.together += order({"do": "call", "callers": CALLERS, "within": 0})["first_audio"]
            growths.append(process.memory_full_info().pss - before)
            order({"do": "hang_up"})
            wait_until_idle(process)
            load.arriving += order({"do": "call", "callers": CALLERS, "within": 2})["first_audio"]
            cpu = cpu_of(process)
            pressed = order({"do": "press", "keys": keys})
            load.server_cpu = (cpu_of(process) - cpu) / pressed["took"]
            load.callers_cpu = pressed["cpu"] / pressed["took"]
            load.next_prompt += pressed["next_prompt"]
            load.unanswered += CALLERS * keys - len(pressed["next_prompt"])
            order({"do": "hang_up"})
            wait_until_idle(process)
    # Later rounds use again what earlier ones have freed.
    load.bytes_per_call = max(growths) / CALLERS
    return load


@contextlib.contextmanager
def server() -> Iterator[tuple[psutil.Process, str]]:
    """The product as `make run` starts it, on a data directory of its own, and its address."""
    with tempfile.TemporaryDirectory(prefix="clinic-benchmark-") as data:
        environment = os.environ | {
            "CLINIC_DATA_DIR": data,
            "CLINIC_PHONE_CALLS_PER_MINUTE": "100000",
            "CLINIC_LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "clinic.settings",
        }
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", "0"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield psutil.Process(process.pid), address_of(process)
        finally:
            process.terminate()
            process.wait(timeout=20)


def address_of(process: subprocess.Popen[str]) -> str:
    """Where the server says that it listens; what it says later is thrown away."""
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"(http://[\d.]+:\d+)/phone/", line):
            threading.Thread(target=drain, args=(process.stdout,), daemon=True).start()
            return found[1]
    raise RuntimeError("the server did not start:\n" + "".join(said))


def drain(stream: IO[str]) -> None:
    for _ in stream:
        pass


@contextlib.contextmanager
def callers(address: str) -> Iterator[Order]:
    """A function that gives one order to the process of the callers and returns its result."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.callers", address],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        orders, results = process.stdin, process.stdout
        assert orders is not None
        assert results is not None

        def order(what: dict[str, Any]) -> dict[str, Any]:
            print(json.dumps(what), file=orders, flush=True)
            answer = results.readline()
            if not answer:
                raise RuntimeError("the callers' process ended")
            result: dict[str, Any] = json.loads(answer)
            return result

        yield order
        orders.close()


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that `process` has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def wait_until_idle(process: psutil.Process) -> None:
    """Return when the server has nothing to do: its prompts are rendered, its last rows written."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        cpu = cpu_of(process)
        time.sleep(0.5)
        if (cpu_of(process) - cpu) / 0.5 < IDLE_SHARE:
            return
