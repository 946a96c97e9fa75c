"""What is measured, group by group, and what each figure has to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import calls, embedded, entries, questions, stock
from benchmarks.entries import Count, Typing
from benchmarks.results import Row, milliseconds, spread, timing


@dataclass(frozen=True)
class Extent:
    """How often everything is repeated."""

    keys: int = 500
    stock_sessions: int = 20
    entries: int = 1000
    stock_entries: int = 40
    calls: int = 100
    rounds: int = 3
    keys_per_caller: int = 20

    @classmethod
    def quick(cls) -> Extent:
        """Enough to see that everything runs."""
        return cls(
            keys=50,
            stock_sessions=5,
            entries=100,
            stock_entries=10,
            calls=10,
            rounds=1,
            keys_per_caller=5,
        )


def keys(extent: Extent) -> list[Row]:
    """From a key to what it does."""

    async def measure() -> list[Row]:
        one_key = await questions.one_key(extent.keys)
        stock_one_key = await stock.one_key(extent.stock_sessions)
        cut = await questions.key_during_a_prompt(extent.keys)
        stock_cut, stock_silence = await stock.key_during_a_prompt(extent.stock_sessions)
        stalled = await questions.key_while_the_model_stalls(extent.keys // 2)
        return [
            timing("one key → decision", one_key, limits_ms={99: 10}, stock=stock_one_key),
            timing("key during a 2 s prompt → decision", cut.decisions, limits_ms={99: 10}, stock=stock_cut),
            timing(
                "key during a 2 s prompt → silence",
                cut.silences,
                limits_ms={99: 20},
                stock=stock_silence,
            ),
            timing(
                "key while the receptionist's model stalls → it gives way",
                stalled.decisions,
                limits_ms={99: 10},
            ),
            timing("… → and the keypad receptionist has decided", stalled.answers, limits_ms={99: 20}),
        ]

    return asyncio.run(measure())


def typing(extent: Extent) -> list[Row]:
    """What becomes of keys that come fast or early."""
    manners = {
        "burst 1#1234# before the first question": Typing(ahead=True),
        "burst 1#1234# into its prompt": Typing(ahead=False),
        "the same at ten keys a second": Typing(ahead=False, gap=0.1),
    }
    rows = []
    for what, manner in manners.items():
        ours = asyncio.run(entries.ours(extent.entries, manner))
        theirs = asyncio.run(entries.theirs(extent.stock_entries, manner))
        rows.append(
            Row(
                what=what,
                ours=ours.summary,
                target="none lost, doubled or wrong",
                met=not (ours.lost or ours.doubled or ours.wrong),
                stock=theirs.summary,
                figures=_figures(ours) | {f"stock_{name}": value for name, value in _figures(theirs).items()},
            )
        )
    return rows


def _figures(count: Count) -> dict[str, float]:
    return {
        "entries": count.entries,
        "keys": count.keys,
        "lost": count.lost,
        "doubled": count.doubled,
        "wrong": len(count.wrong),
    }


def simulated(extent: Extent) -> list[Row]:
    """Whole calls on simulated time, and their queries."""
    repeated = calls.repeated(extent.calls)
    took = milliseconds(repeated.took)
    log = calls.queries()
    start, shortest = len(log.before_the_first_prompt), log.shortest_time_between_batches
    return [
        Row(
            what=f"a simulated call of {repeated.lasted:.0f} s, stored",
            ours=spread(took),
            target="p99 ≤ 500 ms",
            met=took["p99"] <= 500 and repeated.lasted >= 60,
            figures=took,
        ),
        Row(
            what=f"the same call {extent.calls} times",
            ours=f"{repeated.different} with other events or another order",
            target="0",
            met=repeated.different == 0,
            figures={"different": repeated.different},
        ),
        Row(
            what="queries before the first prompt",
            ours=str(start),
            target="≤ 3",
            met=start <= 3,
            figures={"queries": start},
        ),
        Row(
            what="queries while a key is handled",
            ours=str(len(log.while_a_key_was_handled)),
            target="0",
            met=not log.while_a_key_was_handled,
            figures={"queries": len(log.while_a_key_was_handled)},
        ),
        Row(
            what="batched writes: shortest time between two",
            ours=f"{shortest * 1000:.0f} ms ({len(log.of('batch'))} in the call)",
            target="≥ 200 ms",
            met=shortest >= 0.2,
            figures={"shortest_ms": shortest * 1000, "batches": len(log.of("batch"))},
        ),
    ]


def line(extent: Extent) -> list[Row]:
    """The embedded line with twenty callers at once."""
    load = embedded.measure(rounds=extent.rounds, keys=extent.keys_per_caller)
    per_call = load.bytes_per_call / 1e6
    return [
        timing("20 callers at the same moment: connect → first audio", load.together, limits_ms={95: 150}),
        timing("20 callers within 2 s: connect → first audio", load.arriving, limits_ms={95: 150}),
        timing("20 callers pressing keys: key → next prompt", load.next_prompt, limits_ms={95: 50}),
        Row(
            what="keys that brought no prompt",
            ours=f"{load.unanswered} of {load.unanswered + len(load.next_prompt):,}",
            target="0",
            met=load.unanswered == 0,
            figures={"unanswered": load.unanswered},
        ),
        Row(what="memory per call (PSS)", ours=f"{per_call:.2f} MB", figures={"megabytes": per_call}),
        Row(
            what="CPU with 20 callers pressing keys",
            ours=f"{load.server_cpu:.0%} of a core (the callers' own process: {load.callers_cpu:.0%})",
            figures={"server": load.server_cpu, "callers": load.callers_cpu},
        ),
    ]


GROUPS: dict[str, Callable[[Extent], list[Row]]] = {
    "keys": keys,
    "typing": typing,
    "simulated": simulated,
    "line": line,
}
