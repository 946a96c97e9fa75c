"""Makes `.venv` hold what pyproject.toml asks for, at the versions of constraints.txt. Standard library only.

    python3 scripts/environment.py run          what `make run` needs
    python3 scripts/environment.py production   that, and the drivers for PostgreSQL and Redis
    python3 scripts/environment.py test         all of it, and what tests and checks need

A stamp in `.venv` says what was installed from; as long as it is true this does nothing. An environment that was
left half built, or that belongs to a Python that is gone, is built again.
"""

import hashlib
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
EXTRAS = {
    "run": ["offline-voice"],
    "production": ["offline-voice", "prod"],
    "test": ["offline-voice", "prod", "dev"],
}


def requirements(purpose: str) -> list[str]:
    """What pyproject.toml asks for, as pip reads it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in EXTRAS[purpose]:
        wanted += project["optional-dependencies"][extra]
    return wanted


def fingerprint(purpose: str) -> str:
    """Changes when something else has to be installed, or by another Python."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    told = "\n".join([sys.version, *requirements(purpose), pins])
    return hashlib.sha256(told.encode()).hexdigest()


def stamp(purpose: str) -> Path:
    """Where the fingerprint of the last install for `purpose` is kept."""
    return VENV / f".installed-for-{purpose}"


def is_installed(purpose: str) -> bool:
    """Whether the last install for `purpose` came to its end, and nothing has changed since."""
    return stamp(purpose).exists() and stamp(purpose).read_text() == fingerprint(purpose)


def works() -> bool:
    """Whether `.venv` has a Python of this version, with pip."""
    if not PYTHON.exists():
        return False
    probe = f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    return not subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False).returncode


def install(purpose: str) -> None:
    """Build `.venv` where it is missing, and let pip install. Raises SystemExit with a sentence."""
    if not works():
        if VENV.exists():
            print("The environment in .venv is not usable: building it again.", flush=True)
        venv.create(VENV, clear=True, with_pip=True)
    print("Installing, which takes a minute or two the first time …", flush=True)
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command += ["--constraint", ROOT / "constraints.txt", *requirements(purpose)]
    with LOG.open("w", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        errors = [line for line in LOG.read_text(encoding="utf-8").splitlines() if line.startswith("ERROR")]
        said = f" pip says: {errors[-1].removeprefix('ERROR: ')}" if errors else ""
        raise SystemExit(f"Installing failed; {LOG.relative_to(ROOT)} has the whole story.{said}")


def main(purpose: str) -> None:
    """Install for `purpose` (a key of EXTRAS) unless that is done already."""
    enough = [other for other in EXTRAS if set(EXTRAS[other]) >= set(EXTRAS[purpose])]
    if any(is_installed(other) for other in enough) and works():
        return
    began = time.monotonic()
    stamp(purpose).unlink(missing_ok=True)
    install(purpose)
    stamp(purpose).write_text(fingerprint(purpose))
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("Stopped. The next start goes on from here.")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"The environment in .venv could not be built: {error}")
