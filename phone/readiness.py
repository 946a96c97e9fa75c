"""Is the line ready for callers? Every check, red or green, with what was found and what to do.

Each check looks for itself and changes nothing. The slowest waits a few seconds for somebody who does not answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis
from django.conf import settings
from django.core import checks
from django.core.mail import get_connection
from django.db import connection
from django.urls import reverse
from django.utils.formats import date_format

from clinic import crypto
from clinic.models import Clinic
from clinic.signs_of_life import SignOfLife
from clinic.tasks import BACKGROUND_WORK
from phone.keys_heard import TELEPHONE_KEYS, alert_about, finished_calls, keys_heard, lines_without_keys
from phone.line_checks import alert_about_check, last_check, why_not
from phone.line_sync import LinesAtServer, lines_at_server
from phone.lines import LineState
from phone.livekit_api import LiveKitError
from phone.models import Call, Confirmation, LineCheck, PhoneLine
from phone.plan_state import moment_at, plan_state
from phone.signs import SIGNS_EVERY, WEBHOOK_TAKEN, WORKER_READY

Subject = Confirmation.Subject

ANSWER_SECONDS = 3
"""How long a mail server or Redis may take to answer."""

BACKGROUND_WORK_EVERY = timedelta(minutes=2)
"""Background work says twice a minute that it is done."""

WEBHOOKS_TAKE = timedelta(minutes=1)
"""A call's end is told by a webhook within this time."""

WORKER_SIGNS_EVERY = 3 * SIGNS_EVERY
"""A worker may be late, but not that late."""

RESTORE_COUNTS = timedelta(days=365)
"""How long a restore that worked says something about the next one."""

SHOWN_ELSEWHERE = {"clinic.E005", "clinic.W002", "clinic.W003"}
"""System checks that have a line of their own on this page."""


@dataclass(frozen=True)
class Check:
    """One line of the page. `todo` is empty when `ready`, `link` leads to where it is done.

    `subject` is set where staff vouch for it (`Confirmation.subject`).
    """

    title: str
    ready: bool
    found: str
    todo: str = ""
    link: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Group:
    """Checks that belong together."""

    title: str
    checks: tuple[Check, ...]


def readiness(*, now: datetime, secure: bool) -> list[Group]:
    """Everything there is to check. `secure` tells whether the page that asks came by HTTPS."""
    lines = list(PhoneLine.objects.filter(enabled=True).select_related("clinic"))
    return [
        Group("The clinic", (*_clinics(),)),
        Group("The telephone", (*_livekit(now), *_calls(lines))),
        Group(
            "This system",
            (_settings(), _tls(secure), _mail(), _database(), _redis(), _background_work(now)),
        ),
        Group("What only you can know", tuple(_confirmed(subject, now) for subject in Subject)),
    ]


# -- The clinic ----------------------------------------------------------------------------------------------


def _clinics() -> Iterator[Check]:
    clinics = list(Clinic.objects.all())
    if not clinics:
        todo = "Run “python manage.py setup_clinic” on the server: it asks for what a clinic needs."
        yield Check("A clinic is set up", ready=False, found="There is no clinic yet.", todo=todo)
    for clinic in clinics:
        state = plan_state(clinic.pk)
        live = state.live is not None and not state.blocked
        yield Check(
            f"Callers of {clinic} hear something",
            ready=live,
            found=state.heard,
            todo="" if live else "See what the page says, and press Publish.",
            link=f"{reverse('admin:phone_planversion_changelist')}?clinic={clinic.pk}",
        )


# -- The telephone -------------------------------------------------------------------------------------------


def _livekit(now: datetime) -> Iterator[Check]:
    try:
        server = lines_at_server()
    except LiveKitError as error:
        todo = "Put it right where this system is started (docs/telephony.md), and load this page again."
        yield Check("The LiveKit server answers", ready=False, found=str(error), todo=todo)
        return
    except (crypto.KeysUnavailable, crypto.CannotDecrypt) as error:
        todo = "Put the key file back from its backup."
        yield Check("The LiveKit server answers", ready=False, found=str(error), todo=todo)
        return
    yield Check("The LiveKit server answers", ready=True, found=f"It answers at {settings.LIVEKIT.server}.")
    yield _trunks(server)
    yield _workers(now)
    yield _webhooks()


def _workers(now: datetime) -> Check:
    return _alive(
        "A worker is ready for calls",
        WORKER_READY,
        lambda last: _late(now - last, WORKER_SIGNS_EVERY),
        found="At least one is, and LiveKit can reach it.",
        todo="Start “python -m agent_worker”, and look into its log. Without one, callers ring until they give up.",
    )


def _webhooks() -> Check:
    return _alive(
        "LiveKit's webhooks arrive",
        WEBHOOK_TAKEN,
        _ends_untold,
        found="They do, and are signed with our key.",
        todo="Call once, and load this page again. If it stays red: the webhook's address in livekit-server's "
        "configuration should lead here, its name or address should be one of CLINIC_ALLOWED_HOSTS, and its key ours.",
    )


def _ends_untold(last_webhook: datetime) -> str:
    """The end of each call in a room is told by a webhook."""
    untold = Call.objects.exclude(room="").filter(ended_at__gt=last_webhook + WEBHOOKS_TAKE)
    return "None has come since the last calls ended." if untold.exists() else ""


def _trunks(server: LinesAtServer) -> Check:
    title, link = "LiveKit knows our numbers", reverse("admin:phone_phoneline_changelist")
    if not [line for line in server.lines if line.line.enabled]:
        return Check(title, ready=False, found="There is no phone line yet.", todo="Add one.", link=link)
    if server.in_step:
        return Check(
            title, ready=True, found="Trunks and dispatch rules are in step with the phone lines.", link=link
        )
    found = [*(_told(line) for line in server.lines if line.state not in ("in step", "off"))]
    found += [f"To {step}." for step in server.left_over]
    todo = "Bring them in step on the phone lines' page, or with “python manage.py sync_lines”."
    return Check(title, ready=False, found="\n".join(found), todo=todo, link=link)


def _told(line: LineState) -> str:
    how = f" ({'; '.join(line.differences)})" if line.differences else ""
    return f"{line.line.title}: {line.state}{how}."


def _calls(lines: list[PhoneLine]) -> Iterator[Check]:
    silent = {line.pk for line in lines_without_keys()}
    for line in lines:
        number = line.number.as_international
        last = finished_calls(line).first()
        found = "No call has come in yet."
        if last:
            found = f"The last one came in on {moment_at(line.clinic, last.started_at)}."
        todo = f"Call {number} from an ordinary telephone, and listen to the end of the greeting."
        yield Check(
            f"A call came in on {number}", ready=last is not None, found=found, todo="" if last else todo
        )
        yield _keys(line, number)
        if settings.LIVEKIT.configured:
            yield _line_check(line, number)
        if line.pk in silent:
            yield Check(
                f"Keys still arrive on {number}",
                ready=False,
                found=alert_about(line),
                todo="Put it right with your telephone provider: docs/telephony.md has the words for it.",
            )


def _line_check(line: PhoneLine, number: str) -> Check:
    title, link = (
        f"{number} calls itself and every key arrives",
        reverse("admin:phone_line_checks", args=(line.pk,)),
    )
    last, cannot = last_check(line), why_not(line)
    if last and last.state == LineCheck.State.PASSED:
        found = f"All keys arrived on {moment_at(line.clinic, last.started_at)}."
        return Check(title, ready=True, found=found, link=link)
    if last:
        return Check(title, ready=False, found=alert_about_check(last), todo="See what it found.", link=link)
    todo = cannot or "Check the line once, and choose a time of day for it."
    return Check(title, ready=False, found="It was not checked yet.", todo=todo, link=link)


def _keys(line: PhoneLine, number: str) -> Check:
    checked = last_check(line)
    passed = checked is not None and checked.state == LineCheck.State.PASSED
    heard = set(TELEPHONE_KEYS) if passed else keys_heard(line)
    missing = [key for key in TELEPHONE_KEYS if key not in heard]
    found = f"Heard: {' '.join(key for key in TELEPHONE_KEYS if key in heard) or 'none'}."
    todo = (
        f"Call {number} and press these at the main menu: {' '.join(missing)}. It may take several calls, and keys at "
        "other questions count, too; not those of an ID or a number."
    )
    return Check(
        f"All twelve keys were heard on {number}",
        ready=not missing,
        found=found,
        todo=todo if missing else "",
    )


# -- This system ---------------------------------------------------------------------------------------------


def _settings() -> Check:
    wanted = [checks.Tags.security, checks.Tags.database]
    found = [
        message
        for message in checks.run_checks(tags=wanted, include_deployment_checks=True, databases=["default"])
        if message.level >= checks.WARNING and message.id not in SHOWN_ELSEWHERE and not message.is_silenced()
        # All that Django has to say about the demo follows from its being the demo.
        if not settings.DEMO or str(message.id).startswith("clinic.")
    ]
    if not found:
        return Check(
            "The settings are fit for real callers", ready=True, found="“manage.py check --deploy” agrees."
        )
    return Check(
        "The settings are fit for real callers",
        ready=False,
        found="\n".join(str(message.msg) for message in found),
        todo="\n".join(str(message.hint) for message in found if message.hint)
        or "“python manage.py check --deploy” says more.",
    )


def _tls(secure: bool) -> Check:
    if secure and settings.SESSION_COOKIE_SECURE:
        return Check("These pages are encrypted (HTTPS)", ready=True, found="This page came by HTTPS.")
    return Check(
        "These pages are encrypted (HTTPS)",
        ready=False,
        found="This page came without encryption: passwords and patients' names can be read on the way.",
        todo="Put a proxy in front that speaks HTTPS, and set CLINIC_MODE=production and CLINIC_PUBLIC_URL.",
    )


def _mail() -> Check:
    title = "Mail can be sent"
    if "smtp" not in settings.EMAIL_BACKEND:
        todo = "Set CLINIC_SMTP_URL and CLINIC_MAIL_FROM."
        return Check(title, ready=False, found="No mail server is set: mail is printed and lost.", todo=todo)
    try:
        mail = get_connection(timeout=ANSWER_SECONDS)
        mail.open()
        mail.close()
    except OSError as error:  # smtplib's errors too
        found = f"The mail server {settings.EMAIL_HOST} does not take us: {type(error).__name__}."
        return Check(
            title, ready=False, found=found, todo="Check CLINIC_SMTP_URL: name, port, user, password."
        )
    without = [str(clinic) for clinic in Clinic.objects.filter(office_email="")]
    if without:
        found = f"The mail server answers, but nobody gets mail at: {', '.join(without)}."
        link = reverse("admin:clinic_clinic_changelist")
        return Check(
            title, ready=False, found=found, todo="Enter the office's address at the clinic.", link=link
        )
    return Check(title, ready=True, found=f"The mail server {settings.EMAIL_HOST} answers.")


def _database() -> Check:
    if connection.vendor == "postgresql":
        version = connection.cursor().connection.info.server_version // 10_000
        return Check("The database is PostgreSQL", ready=True, found=f"PostgreSQL {version}.")
    found = "The database is SQLite: fine for trying, and for one process on one machine."
    todo = "Set DATABASE_URL to a PostgreSQL database, and run “python manage.py migrate”."
    return Check("The database is PostgreSQL", ready=False, found=found, todo=todo)


def _redis() -> Check:
    if not settings.REDIS_URL:
        found = "There is no Redis: pages, background work and agents of other processes cannot be reached."
        return Check("Redis answers", ready=False, found=found, todo="Install Redis, and set REDIS_URL.")
    try:
        with contextlib.closing(
            redis.Redis.from_url(
                settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
            )
        ) as client:
            client.ping()
    except redis.RedisError as error:
        found = f"Redis does not answer: {type(error).__name__}."
        return Check("Redis answers", ready=False, found=found, todo="Start it, or check REDIS_URL.")
    return Check("Redis answers", ready=True, found="It answers.")


def _background_work(now: datetime) -> Check:
    return _alive(
        "Background work is done",
        BACKGROUND_WORK,
        lambda last: _late(now - last, BACKGROUND_WORK_EVERY),
        found="The schedule runs, and a worker does what it asks for.",
        todo="Start one “celery -A clinic beat” and at least one “celery -A clinic worker”, and look into their logs.",
    )


def _alive(
    title: str, sign: SignOfLife, trouble: Callable[[datetime], str], *, found: str, todo: str
) -> Check:
    """Green, with what was `found`, where `sign` was given and `trouble` has nothing to say of when."""
    try:
        last = sign.last()
    except redis.RedisError:
        return Check(title, ready=False, found="Without Redis nobody knows.", todo="Put Redis right first.")
    wrong = trouble(last) if last else "There is no sign of it."
    return Check(title, ready=not wrong, found=wrong or found, todo=todo if wrong else "")


def _late(ago: timedelta, at_most: timedelta) -> str:
    return f"The last sign of it was {int(ago.total_seconds() // 60)} minutes ago." if ago > at_most else ""


# -- What only people know -----------------------------------------------------------------------------------

WHAT_TO_DO = {
    Subject.KEYS_BACKED_UP: "Copy the key file to a place apart from the database's backups, such as a safe. "
    "Without it nobody can read or find a patient ID again. Then enter the day here.",
    Subject.RESTORE_TRIED: "Bring back last night's backup and the key file on another machine, open a patient "
    "there, and enter the day here. docs/operations.md has the steps.",
    Subject.CARRIER_FALLBACK: "Ask your telephone provider to send calls elsewhere, such as to a mobile telephone, "
    "when this machine does not answer. Switch it off once and call. Then enter the day here, with the number.",
}


def _confirmed(subject: Confirmation.Subject, now: datetime) -> Check:
    last = Confirmation.objects.filter(subject=subject).order_by("-done_on", "-pk").first()
    if last is None:
        return Check(
            subject.label, ready=False, found="Nobody has said so.", todo=WHAT_TO_DO[subject], subject=subject
        )
    by = f", says {last.confirmed_by}" if last.confirmed_by else ""
    note = f" ({last.note})" if last.note else ""
    found = f"Done on {date_format(last.done_on, 'F j, Y')}{by}{note}."
    overtaken = _overtaken(last, now)
    return Check(
        subject.label,
        ready=not overtaken,
        found=f"{found} {overtaken}".strip(),
        todo=WHAT_TO_DO[subject] if overtaken else "",
        subject=subject,
    )


def _overtaken(confirmation: Confirmation, now: datetime) -> str:
    """Why what was done then does not count any more; empty where it does."""
    if confirmation.subject == Subject.RESTORE_TRIED and now.date() - confirmation.done_on > RESTORE_COUNTS:
        return "That is more than a year ago."
    if confirmation.subject == Subject.KEYS_BACKED_UP:
        with contextlib.suppress(OSError):
            written = datetime.fromtimestamp(crypto.key_file().stat().st_mtime, UTC)
            if written > confirmation.confirmed_at:
                return "The key file has changed since."
    return ""


def not_ready(groups: Iterable[Group]) -> int:
    """How many checks are red."""
    return sum(not check.ready for group in groups for check in group.checks)
