"""`make livekit`: one sentence for what is missing, and nothing left running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from scripts import livekit_tools
from scripts.livekit import Machine, free_port, make_folder
from tests.services import require_service

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no tools; what is put into the folder is on its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(livekit_tools, "CLIENT", tmp_path / "node_modules" / "package.json")
    return tmp_path


def tool(folder: Path, name: str, script: str = "exit 0") -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_everything_that_is_missing_is_named_at_once(bare: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        livekit_tools.install()
    named = [sentence.split()[0] for sentence in str(stop.value).splitlines()]
    assert named == ["redis-server", "livekit-server", "npm"]


def test_go_and_npm_install_the_rest(bare: Path) -> None:
    tool(bare, "redis-server")
    client = bare / "node_modules"
    version = json.loads((ROOT / "package.json").read_text())["dependencies"]["livekit-client"]
    made = json.dumps({"version": version})
    tool(bare, "npm", f"/bin/mkdir -p {client}; echo '{made}' > {client}/package.json")
    server = bare / "gopath" / "bin" / "server"
    answers = f'case "$1" in env) echo; echo {bare}/gopath;; install) echo "$2" > {bare}/asked;'
    program = "printf '#!/bin/sh\\necho livekit-server version 1\\n'"
    tool(
        bare,
        "go",
        f"{answers} /bin/mkdir -p {server.parent}; {program} > {server}; /bin/chmod +x {server};; esac",
    )
    livekit_tools.install()
    assert (bare / "asked").read_text().strip() == livekit_tools.SERVER_PACKAGE
    assert livekit_tools.livekit_server() == str(server)
    assert livekit_tools.client_installed()


def test_an_installation_that_fails_says_so_with_its_last_words(bare: Path) -> None:
    tool(bare, "redis-server")
    tool(bare, "livekit-server")
    tool(bare, "npm", "echo 'no space left on device' >&2; exit 1")
    with pytest.raises(SystemExit) as stop:
        livekit_tools.install()
    assert "no space left on device" in str(stop.value)
    assert "livekit-client could not be installed" in str(stop.value)


def test_a_program_that_is_only_called_server_is_passed_over(bare: Path) -> None:
    folder = bare / "go" / "bin"
    folder.mkdir(parents=True)
    tool(folder, "server", "echo some other server")
    assert livekit_tools.livekit_server() is None


def test_a_process_that_stops_by_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.start("redis-server", ["/bin/sh", "-c", "echo port is taken; exit 3"])
    try:
        with pytest.raises(SystemExit) as stop:
            machine.wait_for(lambda: False)
    finally:
        machine.stop()
    assert str(stop.value).splitlines() == ["port is taken", "redis-server stopped by itself (exit code 3)."]


def test_nobody_else_can_look_into_a_data_directory_that_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLINIC_DATA_DIR", str(tmp_path / "var"))
    folder = make_folder()
    assert [each.stat().st_mode & 0o777 for each in (folder.parent, folder)] == [0o700, 0o700]


def test_ctrl_c_stops_all_that_was_started(tmp_path: Path) -> None:
    missing = livekit_tools.missing() or [""] * (not livekit_tools.client_installed())
    require_service("make livekit", not missing, "; ".join(missing) or "livekit-client is not installed")
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with (tmp_path / "output").open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "scripts/livekit.py"],
            cwd=ROOT,
            env=kept | {"PORT": str(port), "CLINIC_DATA_DIR": str(tmp_path)},
            stdout=output,
            stderr=output,
        )
    process = psutil.Process(started.pid)

    def written() -> str:
        return (tmp_path / "output").read_text(errors="replace")

    try:
        for _ in range(1200):
            if "The worker is ready for calls." in written() or started.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(0.05)
        assert started.poll() is None, written()
        address = f"http://127.0.0.1:{port}"
        asked = urllib.request.Request(f"{address}/phone/token/", method="POST", headers={"Origin": address})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.load(answer)["server"].startswith("ws://127.0.0.1:")
        children = process.children(recursive=True)
        assert "redis-server" in {child.name() for child in children}
        started.send_signal(signal.SIGINT)
        assert started.wait(40) == 0, written()
    finally:
        if started.poll() is None:
            started.terminate()
            started.wait(60)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert written().rstrip().endswith("Stopped.")
