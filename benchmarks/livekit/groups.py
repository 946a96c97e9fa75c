"""What is measured over a real livekit-server, group by group, and what each figure has to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.livekit.stage import Stage, Usage
from benchmarks.results import Row, percentile, timing

TOGETHER = 10
HELD = 20
STEPS = (1, 5, 10, 15, 20, 25, 30)
GROWN = 1.5
"""A key has become slow when its p95 is so many times that of a single caller."""

MOST_CPU_PER_CALL = 0.04
MOST_MEMORY_PER_CALL = 45e6


@dataclass(frozen=True)
class Extent:
    """How often everything is repeated; times in seconds."""

    calls: int = 50
    keys_per_call: int = 5
    rounds: int = 5
    keys_per_caller: int = 10
    stock_keys: int = 10
    keys_per_step: int = 40
    held_seconds: float = 20.0

    @classmethod
    def quick(cls) -> Extent:
        """Enough to see that everything runs."""
        return cls(
            calls=5,
            keys_per_call=3,
            rounds=1,
            keys_per_caller=4,
            stock_keys=3,
            keys_per_step=5,
            held_seconds=5.0,
        )


def alone(stage: Stage, extent: Extent) -> list[Row]:
    """One caller after the other, and the stock task beside them."""
    first_prompts: list[float] = []
    keys: list[float] = []
    for _ in range(extent.calls):
        first_prompts += stage.order(do="dial", callers=1)["first_prompt"]
        keys += stage.order(do="press", keys=extent.keys_per_call)["next_prompt"]
        stage.order(do="hang_up")
        stage.settle()
    stage.start_stock()
    stage.order(do="dial_stock", callers=1)
    stock = stage.order(do="press_stock", keys=extent.stock_keys)["next_prompt"]
    stage.order(do="hang_up")
    stage.stop_stock()
    return [
        timing("1 caller: key → next prompt heard", keys, limits_ms={50: 75, 95: 130}, stock=stock),
        unanswered("1 caller: keys that brought no prompt", extent.calls * extent.keys_per_call, keys),
        timing("1 caller: joins the room → first prompt heard", first_prompts, limits_ms={95: 600}),
    ]


def together(stage: Stage, extent: Extent) -> list[Row]:
    """Ten callers at once, all of them busy."""
    first_prompts: list[float] = []
    keys: list[float] = []
    used: list[Usage] = []
    for _ in range(extent.rounds):
        first_prompts += stage.order(do="dial", callers=TOGETHER)["first_prompt"]
        pressed, usage = stage.measured(lambda: stage.order(do="press", keys=extent.keys_per_caller))
        keys += pressed["next_prompt"]
        used.append(usage)
        stage.order(do="hang_up")
        stage.settle()
    return [
        timing(f"{TOGETHER} callers: key → next prompt heard", keys, limits_ms={95: 200}),
        unanswered(
            f"{TOGETHER} callers: keys that brought no prompt",
            extent.rounds * TOGETHER * extent.keys_per_caller,
            keys,
        ),
        timing(
            f"{TOGETHER} callers at the same moment: join → first prompt heard",
            first_prompts,
            limits_ms={95: 1000},
        ),
        cpu(f"{TOGETHER} callers pressing keys: CPU", used[-1]),
    ]


def held(stage: Stage, extent: Extent) -> list[Row]:
    """More and more calls that are held, and one caller who presses keys beside them."""
    rows: list[Row] = []
    slow_at: int | None = None
    holding = 0
    alone_p95 = 0.0
    for step in STEPS:
        # The caller who presses is one of them.
        stage.order(do="hold", callers=step - 1 - holding)
        holding = step - 1
        if step == HELD:
            rows += at_rest(stage, extent)
        stage.order(do="dial", callers=1)
        keys = stage.order(do="press", keys=extent.keys_per_step)["next_prompt"]
        stage.order(do="hang_up_pressing")
        p95 = percentile(keys, 95)
        alone_p95 = alone_p95 or p95
        rows.append(timing(f"{step} calls held: key → next prompt heard", keys, limits_ms={}))
        if slow_at is None and p95 > GROWN * alone_p95:
            slow_at = step
    stage.order(do="hang_up")
    stage.settle()
    rows.append(
        Row(
            what="calls held when key → next prompt (p95) has grown by half",
            ours=str(slow_at) if slow_at else f"more than {STEPS[-1]}",
            figures={"calls": float(slow_at or STEPS[-1])},
        )
    )
    return rows


def at_rest(stage: Stage, extent: Extent) -> list[Row]:
    """CPU and memory of the calls that are held now."""
    _, usage = stage.measured(lambda: time.sleep(extent.held_seconds))
    memory = stage.memory_per_call()
    calls = len(memory)
    mean = sum(memory) / calls
    per_call = usage.worker / calls
    return [
        cpu(f"{calls} calls held: CPU", usage),
        Row(
            what=f"{calls} calls held: worker's CPU per call",
            ours=f"{per_call:.1%} of a core",
            target=f"≤ {MOST_CPU_PER_CALL:.0%}",
            met=per_call <= MOST_CPU_PER_CALL,
            figures={"share": per_call},
        ),
        Row(
            what=f"{calls} calls held: memory of a call's process (PSS)",
            ours=f"{mean / 1e6:.1f} MB on average, {max(memory) / 1e6:.1f} at most",
            target=f"≤ {MOST_MEMORY_PER_CALL / 1e6:.0f} MB",
            met=mean <= MOST_MEMORY_PER_CALL,
            figures={"mean": mean, "max": max(memory)},
        ),
    ]


def unanswered(what: str, pressed: int, answered: list[float]) -> Row:
    """A row for keys that were pressed and brought nothing."""
    missing = pressed - len(answered)
    return Row(
        what=what,
        ours=f"{missing} of {pressed:,}",
        target="0",
        met=missing == 0,
        figures={"missing": missing},
    )


def cpu(what: str, used: Usage) -> Row:
    """A row that tells whose CPU it was."""
    return Row(
        what=what,
        ours=f"worker {used.worker:.0%}, livekit-server {used.server:.0%} of a core "
        f"(the callers' own process: {used.callers:.0%})",
        figures={"worker": used.worker, "server": used.server, "callers": used.callers},
    )


GROUPS: dict[str, Callable[[Stage, Extent], list[Row]]] = {
    "alone": alone,
    "together": together,
    "held": held,
}
