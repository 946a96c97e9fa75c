"""Figures: percentiles of many repetitions, the rows they make, and the table that is printed."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table. `met` is None where there is nothing to be met."""

    what: str
    ours: str
    target: str = ""
    met: bool | None = None
    stock: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return "" if self.met is None else "met" if self.met else "MISSED"


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile. Raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples")
    return sorted(samples)[max(0, math.ceil(percent / 100 * len(samples)) - 1)]


def milliseconds(samples: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest of `samples` (seconds), in milliseconds, and how many there are."""
    spread = {f"p{percent}": percentile(samples, percent) for percent in (50, 95, 99)} | {"max": max(samples)}
    return {name: round(value * 1000, 2) for name, value in spread.items()} | {"n": len(samples)}


def spread(figures: dict[str, float]) -> str:
    """Those figures on one line."""
    values = " / ".join(f"{figures[name]:,.1f}" for name in ("p50", "p95", "p99"))
    return f"{values} ms (n={figures['n']:.0f})"


def timing(
    what: str,
    samples: Sequence[float],
    *,
    limits_ms: Mapping[int, float] | None = None,
    stock: Sequence[float] = (),
) -> Row:
    """A row of latencies in seconds, whose percentiles must stay within `limits_ms` (percentile → limit), if any."""
    ours = milliseconds(samples)
    theirs = milliseconds(stock) if stock else {}
    return Row(
        what=what,
        ours=spread(ours),
        target=", ".join(f"p{percent} ≤ {limit:g}" for percent, limit in limits_ms.items()) + " ms"
        if limits_ms
        else "",
        met=all(ours[f"p{percent}"] <= limit for percent, limit in limits_ms.items()) if limits_ms else None,
        stock=spread(theirs) if theirs else "",
        figures=ours | {f"stock_{name}": value for name, value in theirs.items()},
    )


def table(rows: Iterable[Row]) -> str:
    """The rows as text, in columns as wide as they need."""
    head = ("what", "ours: p50 / p95 / p99", "target", "", "stock GetDtmfTask")
    cells = [head, *((row.what, row.ours, row.target, row.verdict, row.stock) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def report(rows: Sequence[Row], output: Path, *, quick: bool) -> int:
    """Print the table, and keep its figures in `output` beside what they were measured on.

    Returns the exit code: 1 when a target was missed.
    """
    print(f"\n{table(rows)}\n")
    output.parent.mkdir(exist_ok=True)
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rows": [asdict(row) for row in rows],
    }
    output.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    print(f"The figures are in {output.relative_to(output.parent.parent)}.")
    return 1 if any(row.met is False for row in rows) else 0
