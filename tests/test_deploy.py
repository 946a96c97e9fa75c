"""What an installer copies: compose.yaml, the Dockerfile, the services' configuration and the systemd units."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_worker.providers import SpeechEnvironment
from agent_worker.worker_settings import WorkerEnvironment
from clinic.environment import PREFIX, variables
from scripts.livekit_tools import SERVER_VERSION

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "clinic-phone"]
EXAMPLE = set(
    re.findall(
        r"^([A-Z_]+)=", (ROOT / "deploy" / "example.env").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
)
SPEECH = SpeechEnvironment()
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def unit(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(ROOT / "deploy" / "systemd" / name)
    return parser["Service"]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / name).read_text(encoding="utf-8"))
    return found


def test_one_image_serves_all_processes_of_ours() -> None:
    assert set(OURS) == {"prepare", "web", "worker", "celery", "beat"}
    for name in OURS:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["read_only"]


@pytest.mark.parametrize("name", OURS)
def test_containers_get_only_variables_that_somebody_reads(name: str) -> None:
    given = SERVICES[name]["environment"]
    assert not [variable for variable in given if variable.startswith(PREFIX) and variable not in variables()]
    worker = {field.validation_alias for field in WorkerEnvironment.model_fields.values()}
    assert not [variable for variable in given if variable.startswith("WORKER_") and variable not in worker]


def test_every_variable_of_compose_is_in_the_example() -> None:
    assert set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) <= EXAMPLE


def test_what_an_installer_adds_to_the_variables_reaches_every_process_of_ours() -> None:
    for name in OURS:
        assert SERVICES[name]["env_file"] == [".env"]
    # What stands in the example and not in compose.yaml gets there in this way only.
    read_by_us = set(variables()) | {
        field.validation_alias for field in WorkerEnvironment.model_fields.values()
    }
    read_by_us |= {provider.key_name for provider in SPEECH.stt + SPEECH.llm + SPEECH.tts}
    assert EXAMPLE - set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) <= read_by_us


def test_the_worker_is_asked_for_its_health_where_it_listens() -> None:
    worker = SERVICES["worker"]
    assert f"http://127.0.0.1:{worker['environment']['WORKER_PORT']}/" in worker["healthcheck"]["test"][-1]


def test_every_file_that_is_mounted_or_copied_exists() -> None:
    mounted = re.findall(r"\./(deploy/[\w.]+):", COMPOSE)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        name
        for names in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, flags=re.MULTILINE)
        for name in names.split()
    ]
    assert mounted
    assert copied
    assert not [name for name in mounted + copied if not (ROOT / name).exists()]


def test_the_image_does_not_run_as_root_and_holds_no_secret() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER clinic$", dockerfile, flags=re.MULTILINE)
    assert not re.search(r"SECRET|PASSWORD|API_KEY", dockerfile)


def test_the_services_agree_about_each_other() -> None:
    server, sip = read("livekit.yaml"), read("sip.yaml")
    given = SERVICES["worker"]["environment"]
    assert given["LIVEKIT_URL"] == SERVICES["sip"]["environment"]["LIVEKIT_WS_URL"]
    assert given["LIVEKIT_URL"].endswith(f":{server['port']}")
    assert server["redis"] == sip["redis"]
    assert server["redis"]["address"] in given["REDIS_URL"]
    assert server["webhook"]["api_key"] == given["LIVEKIT_API_KEY"]
    assert server["webhook"]["urls"] == ["http://127.0.0.1:8000/livekit/webhook/"]
    assert SERVICES["web"]["command"][-1] == "8000"
    assert SERVICES["livekit"]["image"].endswith(f":v{SERVER_VERSION}")


@pytest.mark.parametrize("name", ["livekit.yaml", "sip.yaml"])
def test_every_setting_says_what_it_is_for(name: str) -> None:
    lines = (ROOT / "deploy" / name).read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if re.match(r"\s*[\w-]+: \S|\s*- \S", line)]
    assert settings
    assert not [line for line in settings if "#" not in line]


def test_a_worker_has_time_to_drain_and_only_its_parent_is_told() -> None:
    drain = WorkerEnvironment().drain_seconds
    worker = unit("clinic-worker@.service")
    assert worker["KillMode"] == "mixed"
    assert int(worker["TimeoutStopSec"]) > drain
    given = SERVICES["worker"]
    minutes = int(given["stop_grace_period"].removesuffix("m"))
    assert minutes * 60 > int(given["environment"]["WORKER_DRAIN_SECONDS"])


def test_each_worker_of_a_machine_has_a_health_page_at_a_port_of_its_own() -> None:
    name, _, port = unit("clinic-worker@.service")["Environment"].partition("=")
    ports = {int(port.replace("%i", str(instance))) for instance in range(1, 10)}
    assert name == "WORKER_PORT"
    assert len(ports) == 9
    assert read("sip.yaml")["health_port"] not in ports


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_no_unit_runs_as_root(path: Path) -> None:
    service = unit(path.name)
    assert service["User"] not in ("", "root")
    assert service["NoNewPrivileges"] == "true"
