"""What is measured on a real livekit-server, group by group, and what each figure has to be."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.livekit.stage import Stage, Usage, running
from benchmarks.results import Row, percentile, timing
from phone.models import Call

CROWD = 10
FEW = 5
BURST, BURST_SECONDS = 20, 2.0
HELD = (10, 20)
"""How many held calls are looked at closely."""

LINGER_SECONDS = 2.0
"""From the last call's answer to the measurement: greetings play, processes have come to rest."""

GROWN = 1.5


@dataclass(frozen=True)
class Extent:
    """How often everything is repeated."""

    keys: int = 150
    calls: int = 20
    crowds: int = 3
    crowd_keys: int = 20
    stock_callers: int = 4
    stock_keys: int = 5
    held_seconds: float = 20.0
    steps: tuple[int, ...] = (5, 10, 15, 20, 25, 30)
    step_keys: int = 30
    recorded_keys: int = 60

    @classmethod
    def quick(cls) -> Extent:
        """Enough to see that everything runs."""
        return cls(
            keys=20,
            calls=5,
            crowds=1,
            crowd_keys=4,
            stock_callers=2,
            stock_keys=2,
            held_seconds=4.0,
            steps=(5, 10),
            step_keys=8,
            recorded_keys=8,
        )


def keys(stage: Stage, extent: Extent) -> list[Row]:
    """From a key that cuts a prompt to the next prompt in the caller's ear."""
    stage.dial(1)
    alone, usage = stage.measured(lambda: stage.press(extent.keys))
    stage.hang_up()
    stage.dial(CROWD)
    crowd, crowd_usage = stage.measured(lambda: stage.press(extent.crowd_keys))
    stage.hang_up()
    with stage.stock():
        stage.dial_stock(extent.stock_callers)
        stock = stage.press_stock(extent.stock_keys)
        stage.hang_up()
    return [
        timing("1 caller: key → next prompt heard", alone, limits_ms={50: 75, 95: 130}, stock=stock),
        _unheard("1 caller", extent.keys - len(alone)),
        _cpu("1 caller pressing keys", usage),
        timing(f"{CROWD} busy callers: key → next prompt heard", crowd, limits_ms={95: 200}),
        _unheard(f"{CROWD} callers", CROWD * extent.crowd_keys - len(crowd)),
        _cpu(f"{CROWD} callers pressing keys", crowd_usage),
    ]


def calls(stage: Stage, extent: Extent) -> list[Row]:
    """From the moment at which a caller's side begins to join its room to the first prompt in the caller's ear."""
    alone: list[float] = []
    for _ in range(extent.calls):
        alone += stage.dial(1)
        stage.hang_up()
    stage.dial(CROWD - 1)
    among = stage.dial_among(extent.calls)
    stage.hang_up()
    crowd: list[float] = []
    usage: list[Usage] = []
    for _ in range(extent.crowds):
        before = stage.usage()
        crowd += stage.dial(CROWD)
        usage.append(stage.usage().since(before, CROWD))
        stage.hang_up()
    unanswered = 2 * extent.calls + CROWD * extent.crowds - len(alone) - len(among) - len(crowd)
    return [
        timing("1 caller: room → first prompt heard", alone, limits_ms={95: 600}),
        timing(
            f"{CROWD} callers, the others press keys: room → first prompt heard", among, limits_ms={95: 1000}
        ),
        timing(f"{CROWD} callers at the same moment: room → first prompt heard", crowd),
        _cpu_of_a_start(usage),
        Row(
            what="calls that heard nothing",
            ours=str(unanswered),
            target="0",
            met=unanswered == 0,
            figures={"unanswered": unanswered},
        ),
    ]


def burst(stage: Stage, extent: Extent) -> list[Row]:
    """Twice as many calls as there are lines, all within two seconds: until each caller hears the clinic, or that all
    lines are busy. The callers say nothing, which spares the cores that they share with what is measured."""
    heard: list[float] = []
    with running(lines=CROWD) as small:
        busy = Call.objects.filter(outcome=Call.Outcome.BUSY).count()
        for _ in range(extent.crowds):
            heard += small.burst(BURST, BURST_SECONDS)
            small.hang_up()
        told = Call.objects.filter(outcome=Call.Outcome.BUSY).count() - busy
    calls, too_many = BURST * extent.crowds, (BURST - CROWD) * extent.crowds
    return [
        timing(
            f"{BURST} calls in {BURST_SECONDS:g} s, {CROWD} lines: room → first words heard",
            heard,
            limits_ms={99: 3000},
        ),
        Row(
            what="of those, heard anything",
            ours=f"{len(heard)} of {calls}",
            target="all",
            met=len(heard) == calls,
            figures={"heard": len(heard)},
        ),
        Row(
            what="of those, are on record as one call too many",
            ours=str(told),
            target=str(too_many),
            met=told == too_many,
            figures={"busy": told},
        ),
    ]


def held(stage: Stage, extent: Extent) -> list[Row]:
    """What calls cost that are held, and how many there may be until a key takes half as long again."""
    stage.dial(1)
    base = stage.press(extent.step_keys)
    limit = percentile(base, 95) * GROWN
    rows: list[Row] = []
    reached, holding, grown_at = {1: base}, 0, 0
    for count in extent.steps:
        stage.hold(count - 1 - holding)
        holding = count - 1
        time.sleep(LINGER_SECONDS)
        if count in HELD:
            rows += _cost(stage, count, extent)
        reached[count] = stage.press(extent.step_keys)
        if not reached[count] or percentile(reached[count], 95) > limit:
            grown_at = grown_at or count
            if count >= max(HELD):
                break
    stage.hang_up()
    p95 = {count: percentile(samples, 95) * 1000 for count, samples in reached.items() if samples}
    summary = ", ".join(f"{count}: {p95[count]:.0f}" if count in p95 else f"{count}: –" for count in reached)
    rows += [
        Row(
            what="key → next prompt by calls held, p95 in ms",
            ours=summary,
            figures={f"p95_{count}": milliseconds for count, milliseconds in p95.items()},
        ),
        Row(
            what="calls held until that p95 has grown by half",
            ours=str(grown_at) if grown_at else f"more than {max(reached)}",
            figures={"calls": grown_at},
        ),
    ]
    return rows


def recording(stage: Stage, extent: Extent) -> list[Row]:
    """What the recording of calls adds, with the listening that it needs: on a worker that records beside one that
    does not, with callers who hear the consent question to its end and agree."""
    plain, plain_usage = _agreed_and_pressed(stage, extent)
    with running(recording=True) as recording_stage:
        recorded, usage = _agreed_and_pressed(recording_stage, extent)
        files = recording_stage.recordings()
    added = percentile(recorded, 95) - percentile(plain, 95)
    added_cpu = (usage.worker - plain_usage.worker) / FEW
    return [
        timing(f"{FEW} callers, not recorded: key → next prompt heard", plain),
        timing(f"{FEW} callers, recorded: key → next prompt heard", recorded),
        Row(
            what="calls that were recorded",
            ours=f"{files} of {FEW}",
            target="all",
            met=files == FEW,
            figures={"files": files},
        ),
        Row(
            what="a recording adds to key → next prompt, p95",
            ours=f"{added * 1000:.0f} ms",
            target="≤ 40 ms",
            met=added <= 0.04,
            figures={"p95": added * 1000},
        ),
        Row(
            what="a recording adds to the worker's CPU, per call",
            ours=f"{added_cpu:.1%} of a core",
            target="≤ 4 %",
            met=added_cpu <= 0.04,
            figures={"share": added_cpu},
        ),
        _cpu(f"{FEW} callers, not recorded", plain_usage),
        _cpu(f"{FEW} callers, recorded", usage),
    ]


def _agreed_and_pressed(stage: Stage, extent: Extent) -> tuple[list[float], Usage]:
    stage.dial(FEW)
    stage.agree()
    samples: list[float]
    samples, usage = stage.measured(lambda: stage.press(extent.recorded_keys))
    stage.hang_up()
    return samples, usage


def _cost(stage: Stage, count: int, extent: Extent) -> list[Row]:
    _, usage = stage.measured(lambda: time.sleep(extent.held_seconds))
    memory = stage.memory_per_call()
    cpu, megabytes = usage.worker / count, statistics.mean(memory) / 1e6
    return [
        Row(
            what=f"{count} calls held: answered",
            ours=f"{len(memory)} of {count}",
            target="all",
            met=len(memory) == count,
            figures={"calls": len(memory)},
        ),
        Row(
            what=f"{count} calls held: worker's CPU per call",
            ours=f"{cpu:.1%} of a core",
            target="≤ 4 %",
            met=cpu <= 0.04,
            figures={"share": cpu},
        ),
        Row(
            what=f"{count} calls held: PSS per call's process",
            ours=f"{megabytes:.1f} MB (largest {max(memory) / 1e6:.1f})",
            target="≤ 45 MB",
            met=megabytes <= 45,
            figures={"megabytes": megabytes, "largest": max(memory) / 1e6},
        ),
        _cpu(f"{count} calls held", usage),
    ]


def _cpu(what: str, usage: Usage) -> Row:
    return Row(
        what=f"CPU: {what}",
        ours=f"worker {usage.worker:.0%}, livekit-server {usage.server:.0%} of a core"
        f" (the callers' own process: {usage.callers:.0%})",
        figures={"worker": usage.worker, "server": usage.server, "callers": usage.callers},
    )


def _cpu_of_a_start(usage: list[Usage]) -> Row:
    worker, server, callers = (
        statistics.mean(getattr(each, part) for each in usage) for part in ("worker", "server", "callers")
    )
    return Row(
        what=f"CPU: until the first prompt, of each of {CROWD} at the same moment",
        ours=f"worker {worker * 1000:.0f} ms, livekit-server {server * 1000:.0f} ms"
        f" (the callers' own process: {callers * 1000:.0f} ms)",
        figures={"worker": worker, "server": server, "callers": callers},
    )


def _unheard(who: str, count: int) -> Row:
    return Row(
        what=f"{who}: keys that brought no prompt",
        ours=str(count),
        target="0",
        met=count == 0,
        figures={"unheard": count},
    )


GROUPS: dict[str, Callable[[Stage, Extent], list[Row]]] = {
    "keys": keys,
    "calls": calls,
    "burst": burst,
    "held": held,
    "recording": recording,
}
