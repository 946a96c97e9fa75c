"""What calls through LiveKit need of this machine: redis-server, livekit-server, livekit-client.

    python3 scripts/livekit_tools.py            finds or installs them, and says what has to be installed by hand

Standard library only. livekit-server is installed through Go, livekit-client (for the phone page) by npm.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER_VERSION = "1.13.5"
SERVER_PACKAGE = f"github.com/livekit/livekit-server/cmd/server@v{SERVER_VERSION}"
CLIENT = ROOT / "node_modules" / "livekit-client" / "package.json"


def redis_server() -> str | None:
    """The path of redis-server, or None."""
    return shutil.which("redis-server")


def livekit_server() -> str | None:
    """The path of livekit-server, or None. `go install` calls it `server`."""
    if found := shutil.which("livekit-server"):
        return found
    for folder in _go_folders():
        server = folder / "server"
        if server.exists() and "livekit-server" in _output(str(server), "--version"):
            return str(server)
    return None


def client_installed() -> bool:
    """Whether npm has installed the livekit-client that package.json names."""
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["dependencies"]["livekit-client"]
    return CLIENT.exists() and json.loads(CLIENT.read_text(encoding="utf-8"))["version"] == wanted


def missing() -> list[str]:
    """A sentence for each tool that somebody has to install by hand."""
    sentences = []
    if redis_server() is None:
        sentences.append("redis-server is needed. On Debian or Ubuntu: apt-get install redis-server")
    if livekit_server() is None and shutil.which("go") is None:
        sentences.append(
            "livekit-server is needed, or Go to install it: https://go.dev/doc/install, "
            "or livekit-server itself: https://docs.livekit.io/home/self-hosting/local"
        )
    if not client_installed() and shutil.which("npm") is None:
        sentences.append("npm is needed for the phone page. On Debian or Ubuntu: apt-get install npm")
    return sentences


def install() -> None:
    """Install what Go and npm can install. Raises SystemExit with a sentence for each thing that fails."""
    if sentences := missing():
        raise SystemExit("\n".join(sentences))
    if livekit_server() is None:
        print(f"Installing livekit-server {SERVER_VERSION}, which takes a few minutes …", flush=True)
        _run("livekit-server", ["go", "install", SERVER_PACKAGE])
        if livekit_server() is None:
            raise SystemExit(
                "livekit-server was installed and is not where Go puts programs: see `go env GOBIN`."
            )
    if not client_installed():
        print("Installing livekit-client for the phone page …", flush=True)
        _run("livekit-client", ["npm", "install", "--no-progress"])


def _go_folders() -> list[Path]:
    if shutil.which("go") is None:
        return [Path.home() / "go" / "bin"]
    own, *paths = _output("go", "env", "GOBIN", "GOPATH").splitlines()
    return [Path(own)] * bool(own) + [Path(path) / "bin" for path in os.pathsep.join(paths).split(os.pathsep)]


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise SystemExit(
            "\n".join([*said[-5:], f"{name} could not be installed: {' '.join(command)} failed."])
        )


if __name__ == "__main__":
    try:
        install()
    except KeyboardInterrupt:
        sys.exit("Stopped. The next start goes on from here.")
