"""What holds for all tests: browsers share one worker, and the end of a run says what it left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services import LEFT_OUT

ALONE = {"browser", "e2e"}
"""Folders whose tests start servers and browsers: one after the other, however many workers there are."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in ALONE:
            item.add_marker(pytest.mark.xdist_group("servers and browsers"))


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
