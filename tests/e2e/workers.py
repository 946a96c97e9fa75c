"""Workers as they really run: `python -m agent_worker`, on the test's database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from django.conf import settings
from django.db import connection

from tests.e2e.servers import STOPS_SECONDS, LiveKitServer, Process, free_port

ROOT = Path(__file__).resolve().parents[2]
READY = "The worker is ready for calls."


def product_environment(folder: Path) -> dict[str, str]:
    """The environment of a process of the product that works on the test's database, with data in `folder`."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **inherited,
        "CLINIC_DATA_DIR": str(folder),
        "CLINIC_KEY_FILE": str(settings.CLINIC_KEY_FILE),
        "PYTHONUNBUFFERED": "1",
        **_database(folder),
    }


def _database(folder: Path) -> dict[str, str]:
    of_test = connection.settings_dict
    if connection.vendor == "sqlite":
        file = folder / "clinic.sqlite3"
        file.unlink(missing_ok=True)
        file.symlink_to(of_test["NAME"])
        return {}
    account = f"{quote(of_test['USER'])}:{quote(of_test['PASSWORD'])}"
    return {
        "DATABASE_URL": f"postgresql://{account}@{of_test['HOST']}:{of_test['PORT']}/{of_test['NAME']}",
    }


class Worker(Process):
    """One worker, with all its job processes."""

    def __init__(
        self, folder: Path, server: LiveKitServer, *, name: str = "worker", **variables: str | int
    ) -> None:
        self.port = free_port()
        environment: Mapping[str, str] = {
            **product_environment(folder),
            **server.environment,
            "WORKER_PORT": str(self.port),
            **{key: str(value) for key, value in variables.items()},
        }
        super().__init__(
            [sys.executable, "-m", "agent_worker"],
            folder / f"{name}.log",
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ready(self) -> Worker:
        """Return when the worker has registered with livekit-server."""
        self.wait_until(lambda: READY in self.written(), seconds=60)
        return self

    def state(self) -> dict[str, Any]:
        """What its health page says: `active_jobs`, `worker_load`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/worker", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    @property
    def jobs(self) -> list[psutil.Process]:
        """Its job processes, the oldest first: those with a call, and those that wait for one."""
        server_of_forks = psutil.Process(self.popen.pid).children()
        jobs = [job for server in server_of_forks for job in server.children()]
        return sorted(jobs, key=lambda job: (job.create_time(), job.pid))

    def health(self) -> int:
        """The status of its health page; 0 while there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def tell_to_stop(self) -> None:
        """What a service manager does."""
        self.popen.send_signal(signal.SIGTERM)

    def stop(self, *, seconds: float = STOPS_SECONDS) -> None:
        """Ask it to end. It is killed where it does not, and so is what it has left behind."""
        super().stop(seconds=seconds)
        for pid in psutil.pids():
            with suppress(ProcessLookupError):
                # It was started in a session of its own, which all its processes are in.
                if os.getsid(pid) == self.popen.pid:
                    os.kill(pid, signal.SIGKILL)
