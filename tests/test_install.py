"""What a newcomer gets: one sentence where something is missing, and one process that starts and stops cleanly."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from scripts import check_port, environment

ROOT = Path(__file__).resolve().parent.parent


# -- Before anything else ------------------------------------------------------------------------------------


def fake_python(folder: Path, name: str, *, version: tuple[int, int], complete: bool = True) -> None:
    """A `python` that answers the questions of scripts/find-python as one of that version would."""
    lacking = "" if complete else "*ensurepip*) exit 1 ;;"
    supported = 0 if (3, 11) <= version <= (3, 13) else 1
    folder.joinpath(name).write_text(
        f"""#!/bin/sh
case "$2" in
    *print*) echo {version[0]}.{version[1]} ;;
    *version_info*) exit {supported} ;;
    {lacking}
esac
"""
    )
    folder.joinpath(name).chmod(0o755)


def find_python(folder: Path) -> subprocess.CompletedProcess[str]:
    for tool in ("bash", "env"):
        (folder / tool).symlink_to(Path("/usr/bin") / tool)
    return subprocess.run(
        [ROOT / "scripts" / "find-python"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_suitable_python_is_taken(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", version=(3, 14))
    fake_python(tmp_path, "python3.11", version=(3, 11))
    fake_python(tmp_path, "python3.12", version=(3, 12))
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3.12")


def test_a_python_without_venv_is_passed_over(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.12", version=(3, 12), complete=False)
    fake_python(tmp_path, "python3", version=(3, 11))
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3")


@pytest.mark.parametrize(
    ("version", "complete", "sentence"),
    [
        ((3, 9), True, "Python 3.11, 3.12 or 3.13 is needed; the one here is Python 3.9."),
        ((3, 11), False, "install python3-venv"),
        (None, True, "there is no python3 on this machine"),
    ],
    ids=["too old", "no venv", "none at all"],
)
def test_without_a_suitable_python_one_sentence_says_so(
    tmp_path: Path, version: tuple[int, int] | None, complete: bool, sentence: str
) -> None:
    if version:
        fake_python(tmp_path, "python3", version=version, complete=complete)
    found = find_python(tmp_path)
    assert found.returncode == 1
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_named(taken_port: int) -> None:
    assert check_port.complaint(str(taken_port)).startswith(f"Port {taken_port} is taken.")


@pytest.mark.parametrize("port", ["0", "70000", "eighty", "-1", "²"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert check_port.complaint(port) == "PORT should be a number from 1 to 65535."


def test_make_run_looks_at_the_port_before_it_installs(taken_port: int, tmp_path: Path) -> None:
    for part in ("Makefile", "scripts", "pyproject.toml", "constraints.txt"):
        (tmp_path / part).symlink_to(ROOT / part)
    stopped = subprocess.run(
        ["make", "run"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PORT": str(taken_port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode != 0
    assert f"Port {taken_port} is taken." in stopped.stderr
    assert not (tmp_path / ".venv").exists()


# -- The environment -----------------------------------------------------------------------------------------


@dataclass
class Installs:
    """Stands in for pip: counts how often it was asked."""

    count: int = 0

    def __call__(self, purpose: str) -> None:
        self.count += 1


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installs:
    stand_in = Installs()
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(environment, "install", stand_in)
    return stand_in


def test_a_second_start_installs_nothing(installs: Installs) -> None:
    environment.main("run")
    environment.main("run")
    assert installs.count == 1


def test_what_tests_need_comes_on_top_of_what_running_needs(installs: Installs) -> None:
    environment.main("run")
    environment.main("test")
    environment.main("run")
    assert installs.count == 2


def test_whoever_can_test_can_run(installs: Installs) -> None:
    environment.main("test")
    environment.main("run")
    environment.main("production")
    assert installs.count == 1


def test_new_versions_are_installed(installs: Installs, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.main("run")
    monkeypatch.setattr(environment, "requirements", lambda purpose: ["django==99"])
    environment.main("run")
    assert installs.count == 2


def test_an_install_that_broke_off_is_taken_up_again(
    installs: Installs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(purpose: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(environment, "install", breaks_off)
        environment.main("run")
    environment.main("run")
    assert installs.count == 1


def test_an_environment_whose_python_is_gone_is_not_used(
    installs: Installs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.main("run")
    monkeypatch.setattr(environment, "PYTHON", tmp_path / "bin" / "python")
    environment.main("run")
    assert installs.count == 2


def test_running_needs_no_tools_for_tests() -> None:
    names = " ".join(environment.requirements("run"))
    assert "espeakng-loader" in names
    for tool in ("pytest", "ruff", "mypy", "playwright", "hypothesis"):
        assert tool not in names
        assert tool in " ".join(environment.requirements("test"))


def test_constraints_hold_exact_versions_and_no_addresses() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len(pins) > 100
    assert not [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin)]
    pinned = {pin.partition("==")[0] for pin in pins}
    for requirement in environment.requirements("test"):
        name = re.match(r"[A-Za-z0-9-]+", requirement)
        assert name
        assert name[0].lower() in pinned


# -- The running system --------------------------------------------------------------------------------------


@dataclass
class Served:
    """`manage.py serve` with a data directory of its own."""

    process: subprocess.Popen[str]
    told: str
    port: int

    def get(self, address: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", address)
        response = connection.getresponse()
        return response.status, response.read()

    def stop(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=30)
        return self.process.returncode, rest


def serve(folder: Path) -> Served:
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "serve", "--port", "0"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CLINIC_DATA_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    told = ""
    for line in process.stdout:
        told += line
        if "Ctrl-C" in line:
            break
    address = re.search(r"http://127\.0\.0\.1:(\d+)/phone/", told)
    assert address, told
    return Served(process, told, int(address[1]))


@contextmanager
def a_caller_who_hears_the_greeting(port: int) -> Iterator[None]:
    page = Origin(f"http://127.0.0.1:{port}")
    with connect(f"ws://127.0.0.1:{port}/phone/line/", origin=page) as line:
        while '"prompt"' not in str(line.recv(timeout=20)):
            pass
        yield


def test_the_demo_starts_tells_where_to_go_and_ends_its_calls_when_it_stops(tmp_path: Path) -> None:
    served = serve(tmp_path)
    try:
        assert "/admin/" in served.told
        assert "password" in served.told
        assert served.get("/phone/")[0] == 200
        assert b"Bright Smile Dental" in served.get("/phone/")[1]
        assert served.get("/admin/login/")[0] == 200
        assert served.get("/static/unfold/css/styles.css")[0] == 200
        with a_caller_who_hears_the_greeting(served.port):
            code, rest = served.stop(signal.SIGINT)
    finally:
        served.process.kill()
    with closing(sqlite3.connect(tmp_path / "clinic.sqlite3")) as database:
        assert database.execute("select outcome from phone_call").fetchall() == [("caller_hung_up",)]
    assert code == 0
    assert "Stopped." in rest
    assert "Traceback" not in served.told + rest
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "session-key").stat().st_mode & 0o077 == 0

    again = serve(tmp_path)
    try:
        code, rest = again.stop(signal.SIGTERM)
    finally:
        again.process.kill()
    assert code == 0
    assert "Stopped." in rest
    assert "Made the clinic" in served.told
    assert "Made the clinic" not in again.told


def test_serving_on_a_taken_port_stops_with_a_sentence(taken_port: int, tmp_path: Path) -> None:
    stopped = subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", str(taken_port)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CLINIC_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert stopped.returncode == 1
    assert f"Port {taken_port} is taken." in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not (tmp_path / "clinic.sqlite3").exists()
