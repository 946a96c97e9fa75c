"""What holds for all tests: which of them share a worker, what is emptied after each, and what was left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.services import LEFT_OUT

TESTS = Path(__file__).parent

ALONE = {"browser", "e2e"}
"""Folders whose tests start servers and browsers, which bring databases of their own."""

MADE_BY_MIGRATE = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
}
"""Tables that `migrate` fills, by its signals too: no test changes what is in them."""

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup"}


class ByWhatTheyStart(LoadScopeScheduling):
    """Tests that share a browser or servers share a worker; the largest of these groups start first.

    They wait much: were they last, one worker would wait for the other at the end. All other tests go to whichever
    worker is free. pytest-xdist's own groups (3.8) take no effect with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        if file.parent.name == "browser":
            return str(file.parent)
        return str(file) if file.parent.name in ("e2e", "tests") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWhatTheyStart:
    return ByWhatTheyStart(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        run_those_that_depend_on_the_database(config, items)


def folder_of(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


def run_those_that_depend_on_the_database(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All others have just shown on SQLite what they can show; servers and browsers bring databases of their own.

    `make test` leaves out those marked `any_database` as well.
    """
    left_out = [item for item in items if folder_of(item) in ALONE or not uses_database(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def uses_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("django_db") or DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())):
        return True
    test_class = getattr(item, "cls", None)
    return test_class is not None and issubclass(test_class, TransactionTestCase)


def empty_the_tables(_test: TransactionTestCase) -> None:
    """Forget what a test has committed. Django's own way makes anew, each time, what `migrate` put there."""
    filled = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with transaction.atomic(), connection.cursor() as cursor:
        for table in set(filled) - MADE_BY_MIGRATE:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


TransactionTestCase._fixture_teardown = empty_the_tables


@pytest.fixture(autouse=True)
def no_livekit_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking a LiveKit server fails loudly, but where a real one runs."""

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("This test asks a LiveKit server: give it a fake one (tests/phone/livekit.py).")

    if folder_of(request.node) != "e2e":
        monkeypatch.setattr("livekit.api.LiveKitAPI", refuse)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _, found, reason = text.partition(LEFT_OUT)
        if found:
            reasons[reason] = reasons.get(reason, 0) + 1
    if not reasons:
        terminalreporter.write_line("Nothing was left out.")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{LEFT_OUT}{reason} ({count} skipped)", yellow=True)
