"""Who gets in, what pages may load, what the log may hold, and what production refuses."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from clinic.checks import demo_data_in_production
from clinic.demo import DEMO_CLINIC, DEMO_LOGINS
from clinic.logging import logging_settings
from clinic.models import Clinic
from clinic.secret_file import secret_from_file

ROOT = Path(__file__).resolve().parent.parent
OPEN_TO_CALLERS = {"", "phone/"}
OPEN_TO_LOG_IN = {"admin/login/", "admin/jsi18n/"}


# -- Pages ---------------------------------------------------------------------------------------------------


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, address)
        else:
            yield address


@pytest.mark.django_db
def test_every_page_but_the_callers_asks_for_a_login(client: Client) -> None:
    plain = {address for address in addresses(get_resolver().url_patterns) if not set("<(^") & set(address)}
    assert plain >= OPEN_TO_CALLERS | OPEN_TO_LOG_IN
    for address in plain - OPEN_TO_CALLERS - OPEN_TO_LOG_IN:
        response = client.get(f"/{address}")
        assert response.status_code in (302, 405), address
        if response.status_code == 302:
            assert response["Location"].startswith("/admin/login/"), address


@pytest.mark.django_db
def test_the_phone_page_is_off_outside_the_demo_until_enabled(client: Client, settings) -> None:
    settings.PHONE_PAGE_ENABLED = False
    assert client.get("/phone/").status_code == 404


@pytest.mark.django_db
def test_pages_load_nothing_from_elsewhere(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.django_db
def test_only_the_admin_may_evaluate_and_style_inline(client: Client) -> None:
    policy = client.get(reverse("admin:login"))["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.django_db
def test_a_page_cannot_be_framed_or_sniffed(client: Client) -> None:
    response = client.get("/")
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
def test_five_wrong_passwords_pause_the_login_even_for_the_right_one(client: Client) -> None:
    User.objects.create_user("ada", password="right-and-long-enough", is_staff=True)
    login = reverse("admin:login")
    for _ in range(4):
        assert client.post(login, {"username": "ada", "password": "wrong"}).status_code == 200
    assert client.post(login, {"username": "ada", "password": "wrong"}).status_code == 429
    paused = client.post(login, {"username": "ada", "password": "right-and-long-enough"})
    assert paused.status_code == 429
    assert "Sign-in is paused" in paused.content.decode()


@pytest.mark.django_db
def test_somebody_elses_wrong_passwords_do_not_lock_me_out(client: Client) -> None:
    User.objects.create_user("ada", password="right-and-long-enough", is_staff=True)
    login = reverse("admin:login")
    for _ in range(6):
        client.post(login, {"username": "ada", "password": "wrong"}, REMOTE_ADDR="203.0.113.9")
    assert client.post(login, {"username": "ada", "password": "right-and-long-enough"}).status_code == 302


@pytest.mark.django_db
def test_changes_to_the_set_up_are_logged() -> None:
    clinic = Clinic.objects.create(name="Harbor Dental", slug="harbor")
    clinic.name = "Harbor Dental Care"
    clinic.save()
    changes = [entry.changes for entry in LogEntry.objects.get_for_object(clinic)]
    assert {"name": ["Harbor Dental", "Harbor Dental Care"]} in changes


@pytest.mark.django_db
def test_no_log_of_changes_holds_a_password() -> None:
    user = User.objects.create_user("ada", password="right-and-long-enough")
    user.set_password("another-long-one")
    user.save()
    entries = LogEntry.objects.get_for_object(user)
    assert entries
    assert not [entry for entry in entries if "password" in entry.changes]


# -- Secrets -------------------------------------------------------------------------------------------------


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    secret = secret_from_file(path)
    assert len(secret) > 60
    assert secret_from_file(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["secret"]


def test_two_installations_have_different_secrets(tmp_path: Path) -> None:
    assert secret_from_file(tmp_path / "one") != secret_from_file(tmp_path / "two")


# -- Production ----------------------------------------------------------------------------------------------


def manage(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` in a production that lacks nothing, but for what `environment` changes."""
    complete = {
        "PATH": os.environ["PATH"],
        "CLINIC_MODE": "production",
        "CLINIC_DATA_DIR": str(tmp_path),
        "CLINIC_SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "CLINIC_ALLOWED_HOSTS": "phone.clinic.example",
        "CLINIC_SMTP_URL": "smtp://desk:secret@mail.clinic.example",
        "CLINIC_MAIL_FROM": "phone@clinic.example",
        "DATABASE_URL": "postgresql://clinic:secret@localhost/clinic",
        "REDIS_URL": "redis://localhost:6379/0",
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=complete | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("production")
    made = manage(folder, "make_keys")
    assert made.returncode == 0, made.stderr
    return folder


def test_production_settings_pass_every_deployment_check(with_keys: Path) -> None:
    found = manage(with_keys, "check", "--deploy", "--fail-level", "WARNING")
    assert found.returncode == 0, found.stderr
    assert "System check identified no issues" in found.stdout


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"DEMO": True}, "clinic.E004"),
        ({"ALLOWED_HOSTS": ["*"]}, "clinic.E003"),
        ({"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, "clinic.E005"),
        ({"PHONE_PAGE_ENABLED": True}, "clinic.W001"),
        ({"REDIS_URL": ""}, "clinic.W003"),
    ],
    ids=["demo", "any host", "no mail server", "public phone page", "no Redis"],
)
def test_deployment_checks_speak_up(settings, changed: dict[str, object], problem: str) -> None:
    production = {"DEMO": False, "PHONE_PAGE_ENABLED": False, "REDIS_URL": "redis://localhost:6379/0"}
    for name, value in (production | {"EMAIL_BACKEND": "smtp"} | changed).items():
        setattr(settings, name, value)
    found = {check.id for check in run_checks(include_deployment_checks=True)}
    assert problem in found
    assert not {f"clinic.{name}" for name in ("E003", "E004", "E005", "W001", "W003")} & found - {problem}


def test_production_without_its_key_file_does_not_start(tmp_path: Path) -> None:
    found = manage(tmp_path, "check")
    assert found.returncode != 0
    assert "key file" in found.stderr
    assert "make_keys" in found.stderr


def test_the_demo_is_not_made_in_production(with_keys: Path) -> None:
    found = manage(with_keys, "seed_demo")
    assert found.returncode != 0
    assert "production" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.django_db
def test_production_refuses_a_database_with_the_demo_in_it(settings) -> None:
    settings.DEMO = False
    assert demo_data_in_production(databases=["default"]) == []
    User.objects.create_user(next(iter(DEMO_LOGINS)), password="whatever-it-is")
    Clinic.objects.create(name="Bright Smile Dental", slug=DEMO_CLINIC)
    assert [error.id for error in demo_data_in_production(databases=["default"])] == [
        "clinic.E006",
        "clinic.E007",
    ]
    with pytest.raises(SystemCheckError, match="demo"):
        call_command("check", databases=["default"])


# -- Logs ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["terminal", "collector"])
def log(request: pytest.FixtureRequest, settings) -> Iterator[io.StringIO]:
    """What is written to stderr, by the product's own configuration."""
    written = io.StringIO()
    configuration = logging_settings(level="INFO", for_collector=request.param)
    configuration["handlers"]["stderr"]["stream"] = written
    logging.config.dictConfig(configuration)
    yield written
    logging.config.dictConfig(settings.LOGGING)


def test_a_line_keeps_ids_and_steps_and_drops_what_was_said(log: io.StringIO) -> None:
    structlog.get_logger("agent_worker.call_flow").info(
        "entry accepted",
        call="0192f0c4",
        step="patient_id",
        digits="4821",
        name="Maria Alvarez",
        text="yes please",
    )
    assert "entry accepted" in log.getvalue()
    assert "0192f0c4" in log.getvalue()
    assert "patient_id" in log.getvalue()
    for secret in ("4821", "Maria", "yes please"):
        assert secret not in log.getvalue()


def test_livekits_own_lines_lose_what_callers_said(log: io.StringIO) -> None:
    logging.getLogger("livekit.agents").warning(
        "skipping user input 4821, call +1 212-555-0142",
        extra={"lk.pii.user_input": "my name is Maria", "lk.pii.transcript": "yes please"},
    )
    assert "skipping user input" in log.getvalue()
    for secret in ("4821", "0142", "Maria", "yes please"):
        assert secret not in log.getvalue()


def test_an_exception_is_told_by_type_and_place(log: io.StringIO) -> None:
    try:
        int("Maria 4821")
    except ValueError:
        logging.getLogger("phone.services").exception("a record could not be stored")
        structlog.get_logger("phone.services").exception("nor this one")
    assert log.getvalue().count("ValueError") == 2
    assert "test_security.py" in log.getvalue()
    assert "Maria" not in log.getvalue()
    assert "4821" not in log.getvalue()


def test_a_full_disk_is_told_in_its_own_words(log: io.StringIO) -> None:
    try:
        raise OSError(28, "No space left on device")
    except OSError:
        logging.getLogger("agent_worker.records").exception("records wait")
    assert "No space left on device" in log.getvalue()


def test_a_failed_task_does_not_quote_its_error(log: io.StringIO) -> None:
    try:
        raise KeyError("Maria 4821")
    except KeyError:
        logging.getLogger("celery.app.trace").error(
            "Task %(name)s raised unexpected: %(exc)s",
            {"name": "phone.tasks.mail_new_requests", "exc": "Maria 4821"},
            exc_info=True,
            extra={"data": {"name": "phone.tasks.mail_new_requests"}},
        )
    assert "Task phone.tasks.mail_new_requests failed" in log.getvalue()
    assert "Maria" not in log.getvalue()
    assert "4821" not in log.getvalue()


def test_requests_are_logged_without_what_staff_searched_for(log: io.StringIO) -> None:
    arguments = ("127.0.0.1:50000", "GET", "/admin/clinic/patient/?q=Maria", "1.1", 200)
    access = logging.getLogger("uvicorn.access")
    access.setLevel("INFO")
    access.info('%s - "%s %s HTTP/%s" %d', *arguments)
    assert "/admin/clinic/patient/" in log.getvalue()
    assert "Maria" not in log.getvalue()


@pytest.mark.parametrize("log", [True], indirect=True)
def test_a_collector_gets_one_json_object_a_line(log: io.StringIO) -> None:
    structlog.get_logger("clinic").info("started", calls=3)
    (line,) = log.getvalue().splitlines()
    assert (
        json.loads(line).items()
        >= {"event": "started", "calls": 3, "level": "info", "logger": "clinic"}.items()
    )
