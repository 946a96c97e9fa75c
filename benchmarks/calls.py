"""Whole calls: how fast and how alike they are on simulated time, and what they ask of the database."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from agent_worker.lines.simulated import read_script
from agent_worker.simulation import simulate
from phone.publishing import LoadedPlan, live_plan
from tests.agent_worker.query_log import QueryLog, call_with_log
from tests.phone.plans import at

SCRIPT = "hear 1 hear 1 hear 4821# hear 1 hear 1 1 2 hear 2025550199# 1"
"""The guide's call by somebody who listens: consent, appointments, patient ID, request. More than a minute."""


@dataclass
class Repeated:
    """The same call many times; times in seconds."""

    took: list[float] = field(default_factory=list)
    lasted: float = 0.0
    different: int = 0


def _loaded() -> LoadedPlan:
    loaded = live_plan("")
    assert loaded is not None
    return loaded


def repeated(runs: int) -> Repeated:
    """Place the same call `runs` times, on the database."""
    loaded = _loaded()
    result = Repeated()
    first: list[dict[str, Any]] = []
    for _ in range(runs):
        events: list[dict[str, Any]] = []
        began = time.perf_counter()
        simulate(
            read_script(SCRIPT),
            loaded=loaded,
            caller="+12025550147",
            answered_at=at("2026-11-23 10:00"),
            watch=events.append,
        )
        result.took.append(time.perf_counter() - began)
        alike = [{name: value for name, value in event.items() if name != "id"} for event in events]
        first = first or alike
        result.different += alike != first
    result.lasted = first[-1]["duration"]
    return result


def queries() -> QueryLog:
    """What the same call, from the look-up of its plan on, asks of the database."""
    return call_with_log(SCRIPT)
