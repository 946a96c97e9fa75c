"""A wrong environment variable stops the start with its name and one sentence; README names every variable."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from agent_worker.providers import SpeechEnvironment, read_speech_environment
from agent_worker.worker_settings import WorkerEnvironment, read_worker_environment
from clinic.environment import (
    DatabaseUrl,
    Environment,
    MailUrl,
    mail_settings,
    postgres_settings,
    read_environment,
    variables,
)
from phone.livekit_settings import LiveKitEnvironment, read_livekit_environment

ROOT = Path(__file__).resolve().parent.parent
SECRET = "s" * 50
PRODUCTION = {
    "CLINIC_MODE": "production",
    "CLINIC_SECRET_KEY": SECRET,
    "CLINIC_ALLOWED_HOSTS": "phone.clinic.example, www.clinic.example",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch):
    """Reads an environment that holds these variables and no others of ours."""

    def read_these(**values: str) -> Environment:
        for name in variables():
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return read_environment(values)

    return read_these


def test_the_demo_needs_nothing(read) -> None:
    environment = read()
    assert environment.mode == "demo"
    assert environment.port == 8000
    assert not environment.phone_page


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLINIC_MODE", "staging"),
        ("CLINIC_PHONE_PAGE", "perhaps"),
        ("CLINIC_LOG_LEVEL", "loud"),
        ("CLINIC_PHONE_CALLS_PER_MINUTE", "0"),
        ("CLINIC_SMTP_URL", "mail.clinic.example"),
        ("CLINIC_PUBLIC_URL", "clinic"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/clinic"),
        ("REDIS_URL", "localhost:6379"),
        ("PORT", "eight thousand"),
        ("PORT", "70000"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(read, name: str, value: str) -> None:
    with pytest.raises(SystemExit) as stop:
        read(**{name: value})
    sentence = str(stop.value)
    assert sentence.startswith(f"{name}: ")
    assert sentence.count("\n") == 0
    assert value not in sentence


def test_two_wrong_values_are_both_named(read) -> None:
    with pytest.raises(SystemExit) as stop:
        read(CLINIC_MODE="staging", REDIS_URL="redis")
    assert {line.split(":")[0] for line in str(stop.value).splitlines()} == {"CLINIC_MODE", "REDIS_URL"}


def test_a_slip_of_the_pen_is_noticed(read) -> None:
    with pytest.raises(SystemExit, match=r"CLINIC_MOED is not a variable .* Did you mean CLINIC_MODE"):
        read(CLINIC_MOED="production")


@pytest.mark.parametrize(
    ("read_these", "written", "meant"),
    [
        (read_worker_environment, "WORKER_CALS", "WORKER_CALLS"),
        (read_worker_environment, "WORKER_DRAIN_SECOND", "WORKER_DRAIN_SECONDS"),
        (read_speech_environment, "SPEECH_VOICES", "SPEECH_VOICE"),
    ],
)
def test_a_slip_of_the_pen_is_noticed_by_whoever_reads_the_variable(
    read_these: Callable[[dict[str, str]], object], written: str, meant: str
) -> None:
    read_these({meant: "5", "UNRELATED": "5"})
    with pytest.raises(SystemExit, match=f"^{written} is not a variable .* Did you mean {meant}[?]$"):
        read_these({written: "5"})


def test_an_empty_variable_counts_as_unset(read) -> None:
    assert read(DATABASE_URL="", CLINIC_MODE="").database_url is None


@pytest.mark.parametrize("missing", ["CLINIC_SECRET_KEY", "CLINIC_ALLOWED_HOSTS"])
def test_production_has_no_defaults_for_what_keeps_it_safe(read, missing: str) -> None:
    with pytest.raises(SystemExit, match=missing):
        read(**{name: value for name, value in PRODUCTION.items() if name != missing})


def test_production_refuses_a_short_secret(read) -> None:
    with pytest.raises(SystemExit) as stop:
        read(**PRODUCTION | {"CLINIC_SECRET_KEY": "secret"})
    assert "CLINIC_SECRET_KEY should be 50 or more" in str(stop.value)


def test_secrets_do_not_show_when_the_environment_is_printed(read) -> None:
    assert SECRET not in repr(read(**PRODUCTION))


def test_hosts_are_separated_by_commas(read) -> None:
    assert read(**PRODUCTION).allowed_hosts == ["phone.clinic.example", "www.clinic.example"]


def test_a_database_url_becomes_djangos_settings() -> None:
    url = TypeAdapter(DatabaseUrl).validate_python(
        "postgresql://clinic:p%40ss%2Fword@db.internal:5433/phone?sslmode=require&connect_timeout=2"
    )
    found = postgres_settings(url, pool=False)
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "clinic",
        "p@ss/word",
        "db.internal",
        "5433",
        "phone",
    )
    assert found["OPTIONS"]["sslmode"] == "require"
    assert found["OPTIONS"]["connect_timeout"] == "2"
    assert found["CONN_MAX_AGE"] == 60
    assert "pool" in postgres_settings(url, pool=True)["OPTIONS"]


def test_a_database_server_that_says_nothing_is_away_within_seconds(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        asked = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--check"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "CLINIC_DATA_DIR": str(tmp_path),
                "CLINIC_DATABASE_POOL": "false",
                "DATABASE_URL": f"postgresql://clinic@127.0.0.1:{port}/clinic",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert "timeout" in asked.stderr


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://desk:secret@mail.clinic.example", 587, True, False),
        ("smtps://desk:secret@mail.clinic.example", 465, False, True),
        ("smtp://localhost:25", 25, False, False),
    ],
)
def test_a_mail_url_becomes_djangos_settings(url: str, port: int, tls: bool, ssl: bool) -> None:
    found = mail_settings(TypeAdapter(MailUrl).validate_python(url))
    assert (found["EMAIL_PORT"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (port, tls, ssl)


def test_without_a_mail_server_mail_is_printed() -> None:
    assert mail_settings(None)["EMAIL_BACKEND"].endswith("console.EmailBackend")


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["-m", "celery", "-A", "clinic", "worker"],
        ["-m", "uvicorn", "clinic.asgi:application"],
    ],
    ids=["manage.py", "celery", "uvicorn"],
)
def test_every_process_stops_with_the_sentence_alone(command: list[str]) -> None:
    stopped = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"CLINIC_MODE": "staging", "DJANGO_SETTINGS_MODULE": "clinic.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert stopped.returncode != 0
    assert "CLINIC_MODE: Input should be 'demo' or 'production'." in stopped.stderr
    assert "Traceback" not in stopped.stderr + stopped.stdout


def test_a_celery_process_without_a_broker_says_what_it_needs() -> None:
    stopped = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "clinic", "worker", "--pool", "solo"],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "clinic.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert stopped.returncode == 1
    assert "REDIS_URL is not set" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_a_worker_on_an_empty_database_says_so_and_takes_no_calls(tmp_path: Path) -> None:
    stopped = subprocess.run(
        [sys.executable, "-m", "agent_worker"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "CLINIC_DATA_DIR": str(tmp_path),
            "LIVEKIT_URL": "ws://127.0.0.1:1",
            "LIVEKIT_API_KEY": "clinic",
            "LIVEKIT_API_SECRET": SECRET,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert stopped.returncode == 1
    assert "The database has no tables of this system: is DATABASE_URL right" in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"LIVEKIT_URL": "livekit:7880"}, "LIVEKIT_URL"),
        ({"LIVEKIT_PUBLIC_URL": "ftp://livekit"}, "LIVEKIT_PUBLIC_URL"),
        ({"LIVEKIT_API_KEY": ""}, "LIVEKIT_API_KEY"),
        ({"LIVEKIT_API_SECRET": ""}, "LIVEKIT_API_SECRET"),
    ],
)
def test_a_wrong_livekit_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], name: str
) -> None:
    complete = {
        "LIVEKIT_URL": "ws://livekit:7880",
        "LIVEKIT_API_KEY": "clinic",
        "LIVEKIT_API_SECRET": SECRET,
        "LIVEKIT_PUBLIC_URL": "wss://livekit.clinic.example",
    }
    for variable, value in (complete | changed).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stop:
        read_livekit_environment()
    assert str(stop.value).startswith(f"{name}: ")
    assert SECRET not in str(stop.value)


def test_a_misspelt_livekit_variable_is_named_and_the_server_s_own_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LIVEKIT_KEYS", "LIVEKIT_WS_URL", "LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS"):
        monkeypatch.setenv(name, "theirs")
    read_livekit_environment()
    monkeypatch.setenv("LIVEKIT_PUBLIC_URI", "wss://livekit.clinic.example")
    with pytest.raises(SystemExit, match="Did you mean LIVEKIT_PUBLIC_URL"):
        read_livekit_environment()


@pytest.mark.parametrize(
    ("url", "public_url", "address"),
    [
        ("ws://livekit:7880", "", "ws://livekit:7880"),
        ("http://livekit:7880/", "", "ws://livekit:7880"),
        ("ws://livekit:7880", "https://livekit.clinic.example/", "wss://livekit.clinic.example"),
    ],
)
def test_browsers_get_the_livekit_servers_websocket_address(url: str, public_url: str, address: str) -> None:
    livekit = LiveKitEnvironment(
        LIVEKIT_URL=url, LIVEKIT_PUBLIC_URL=public_url or None, LIVEKIT_API_KEY="k", LIVEKIT_API_SECRET="s"
    )
    assert livekit.browsers_server == address


def test_readme_lists_every_variable_with_its_description() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \|.*\| (.+) \|$", readme, flags=re.MULTILINE))
    others = {
        field.validation_alias: field.description
        for environment in (SpeechEnvironment, LiveKitEnvironment, WorkerEnvironment)
        for field in environment.model_fields.values()
    }
    assert rows == {name: field.description for name, field in variables().items()} | others
