"""Counters that all processes share, for Prometheus.

They live in the cache, because the process that counts is seldom the one that is asked.
"""

from __future__ import annotations

from django.core.cache import cache

METRICS = {
    "reconcile_runs": "How often rooms and calls were compared.",
    "reconcile_seconds": "Seconds spent comparing.",
    "reconcile_failed": "Comparisons that the LiveKit server did not answer.",
    "reconcile_resumed": "Calls that were given another agent, because theirs had died.",
    "reconcile_closed": "Rooms that were closed on a caller whom nobody attended to.",
    "reconcile_ended": "Calls that were given the final row that their agent did not write.",
    "reconcile_missed": "Calls that no agent came to.",
    "reconcile_waiting": "Calls left alone because all hearts were still at once.",
    "webhooks_taken": "Webhooks from the LiveKit server.",
    "webhooks_refused": "Webhooks that were forged, stale or malformed.",
}


def count(name: str, by: float = 1) -> None:
    """Add to the counter `name` of METRICS."""
    key = _key(name)
    # In thousandths: the cache counts whole numbers only.
    cache.add(key, 0, timeout=None)
    if by:
        cache.incr(key, round(by * 1000))


def counted(name: str) -> float:
    """What the counter `name` of METRICS has come to. Raises where the cache fails."""
    value: float = cache.get(_key(name), 0) / 1000
    return value


def exposition() -> str:
    """All counters in Prometheus' text format (version 0.0.4)."""
    found = cache.get_many([_key(name) for name in METRICS])
    lines = []
    for name, meaning in METRICS.items():
        full = f"clinic_phone_{name}_total"
        value = found.get(_key(name), 0) / 1000
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} counter", f"{full} {value:g}"]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return f"metric:{name}"
