"""Runs a command with a PostgreSQL of its own, thrown away afterwards. Standard library only.

    python scripts/with_postgresql.py COMMAND …

The command finds it in TEST_DATABASE_URL; its exit status is handed on. Where PostgreSQL is not installed the command
is left out, with a sentence; with REQUIRE_SERVICES=1 that is a failure.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER_ACCOUNT = "postgres"
"""Whom the server runs as where we are root: it refuses to run as root."""

NOTHING_TO_RUN = 5
"""pytest's exit status where the arguments chose no test."""

# The data is thrown away: nothing has to survive a power cut.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
}


def binaries() -> Path | None:
    """The folder that holds `initdb` and `postgres`, the newest one; None where there is none."""
    found = shutil.which("initdb")
    installed = [Path(found).resolve().parent] if found else []
    installed += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True
    )
    return next((each for each in installed if (each / "postgres").exists()), None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A running cluster on loopback; its URL. It is stopped and removed at the end. Raises CalledProcessError."""
    account = SERVER_ACCOUNT if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="clinic-phone-postgresql-"))
    if account:
        shutil.chown(home, account)
    data, port = home / "data", free_port()

    def run(*command: str | Path) -> None:
        subprocess.run(
            command, check=True, user=account, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    try:
        run(
            folder / "initdb",
            "--pgdata",
            data,
            "--username=test",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        )
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        log = home / "log"
        options += f" -c port={port} -c unix_socket_directories={home}"
        run(folder / "pg_ctl", "start", "--wait", "--pgdata", data, "--log", log, "--options", options)
        try:
            yield f"postgresql://test@127.0.0.1:{port}/postgres"
        finally:
            run(folder / "pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def can_run() -> str:
    """Empty where a cluster can be started; otherwise why not."""
    if binaries() is None:
        return "postgresql is not installed"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(SERVER_ACCOUNT)
        except KeyError:
            return f"root cannot run PostgreSQL, and there is no account “{SERVER_ACCOUNT}”"
    return ""


def main(command: list[str]) -> int:
    """Run `command`; its exit status."""
    folder, reason = binaries(), can_run()
    if folder is None or reason:
        required = os.environ.get("REQUIRE_SERVICES", "0") not in ("", "0")
        print(f"{'cannot run' if required else 'left out'}: the tests on PostgreSQL: {reason}", flush=True)
        return int(required)
    with postgresql(folder) as url:
        done = subprocess.run(command, env=os.environ | {"TEST_DATABASE_URL": url}, check=False)
    return 0 if done.returncode == NOTHING_TO_RUN else done.returncode


def stop(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(sys.argv[1:]))
