"""What the LiveKit server should have for our lines, what it has, and the steps from one to the other. Pure.

For each enabled line: an inbound trunk with its number, and a dispatch rule that gives each call on it a room of
its own with one of our agents; where calls may go out, an outbound trunk as well. Ours are those whose id stands in a
line's row, and those that carry our mark. Nothing else on the server is ever touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

from phone.livekit_api import OutboundTrunk, Rule, Trunk
from phone.livekit_settings import AGENT_NAME

KEYS_FORWARDED = ("sip.sendDtmf", "true")
"""The attribute by which our worker knows that a caller's keys reach it."""

What = Literal["trunk", "dispatch rule", "outbound trunk"]
Thing = TypeVar("Thing", Trunk, Rule, OutboundTrunk)

TITLES = {
    "name": "name",
    "mark": "mark as ours",
    "numbers": "numbers",
    "allowed_addresses": "allowed addresses",
    "username": "user name",
    "password": "password",
    "encryption": "audio encryption",
    "address": "provider's host",
    "transport": "signalling",
    "krisp": "noise suppression",
    "allowed_callers": "callers let in",
    "trunk_ids": "trunk",
    "room_prefix": "room prefix",
    "agents": "agent",
    "attributes": "attributes",
    "kind": "kind",
    "pin": "PIN",
    "only_callers": "callers let in",
    "hides_callers": "callers' numbers hidden",
}


@dataclass(frozen=True)
class WantedLine:
    """An enabled or disabled line's row, as far as the server is concerned. Empty ids: nothing made yet.

    `outbound` is None where no call may go out.
    """

    pk: int
    title: str
    enabled: bool
    trunk_id: str
    rule_id: str
    outbound_id: str
    trunk: Trunk
    outbound: OutboundTrunk | None
    room_prefix: str

    def rule(self, trunk_id: str) -> Rule:
        """The dispatch rule for calls that come in by this trunk."""
        return Rule(
            name=self.trunk.name,
            mark=self.trunk.mark,
            trunk_ids=(trunk_id,),
            room_prefix=self.room_prefix,
            agents=(AGENT_NAME,),
            attributes=(KEYS_FORWARDED,),
        )


@dataclass(frozen=True)
class Found:
    """What the server has, by id; foreign ones too."""

    trunks: Mapping[str, Trunk]
    rules: Mapping[str, Rule]
    outbound: Mapping[str, OutboundTrunk]


@dataclass(frozen=True)
class Held:
    """The ids of what a line has at the server, empty where it has none."""

    trunk: str
    rule: str
    outbound: str


@dataclass(frozen=True)
class Step:
    """One thing to do at the server. `id` is empty where it is to be made, `line` None where none wants it."""

    do: Literal["make", "change", "remove"]
    what: What
    line: WantedLine | None
    id: str = ""
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        of = f" of {self.line.title}" if self.line else " of a line that is gone"
        why = f" ({'; '.join(self.differences)})" if self.differences else ""
        return f"{self.do} the {self.what}{of}{why}"


@dataclass(frozen=True)
class LineState:
    """One line at the server: `in step`, `differs`, `missing` or `off`, and in words what differs."""

    line: WantedLine
    state: Literal["in step", "differs", "missing", "off"]
    differences: tuple[str, ...] = ()


def mark_of(owner: str, line: int | str) -> str:
    """What the trunk and the rule of a line carry. `owner` is this system's, `line` the row's id."""
    return f"clinic-phone {owner} line {line}"


def held(line: WantedLine, found: Found) -> Held:
    """What this line has at the server, wanted or not."""
    mark = line.trunk.mark
    return Held(
        trunk=_held(line.trunk_id, mark, found.trunks),
        rule=_held(line.rule_id, mark, found.rules),
        outbound=_held(line.outbound_id, mark, found.outbound),
    )


def steps(lines: Sequence[WantedLine], found: Found, owner: str) -> Iterator[Step]:
    """Everything to do so that the server has what the lines want: first what goes, then what stays or comes."""
    yield from _removals(lines, found, owner)
    for line in lines:
        if line.enabled:
            yield from _steps_for(line, found)


def line_state(line: WantedLine, found: Found) -> LineState:
    """How this line stands at the server."""
    has = held(line, found)
    unwanted = []
    if not line.enabled and (has.trunk or has.rule):
        unwanted.append("calls still come in")
    if has.outbound and not (line.enabled and line.outbound):
        unwanted.append("calls can still go out")
    todo = list(_steps_for(line, found)) if line.enabled else []
    if not todo:
        if unwanted:
            return LineState(line, "differs", tuple(unwanted))
        return LineState(line, "in step" if line.enabled else "off")
    if has == Held("", "", ""):
        return LineState(line, "missing")
    how = [
        difference
        for step in todo
        for difference in (step.differences if step.do == "change" else (f"the {step.what} is missing",))
    ]
    return LineState(line, "differs", (*how, *unwanted))


def _removals(lines: Sequence[WantedLine], found: Found, owner: str) -> Iterator[Step]:
    """What is ours and no line wants. Rules go before the trunks that they name."""
    kept = {each for line in lines for each in _kept(line, found)}
    by_mark = {line.trunk.mark: line for line in lines}
    by_id = {each: line for line in lines for each in (line.rule_id, line.trunk_id, line.outbound_id)}
    of_ours = mark_of(owner, "")
    of_each_kind: list[tuple[What, Mapping[str, Trunk] | Mapping[str, Rule] | Mapping[str, OutboundTrunk]]]
    of_each_kind = [
        ("dispatch rule", found.rules),
        ("trunk", found.trunks),
        ("outbound trunk", found.outbound),
    ]
    for what, there in of_each_kind:
        for key, each in there.items():
            if key not in kept and (key in by_id or each.mark.startswith(of_ours)):
                line = by_id.get(key) or by_mark.get(each.mark)
                yield Step("remove", what, line, key)


def _kept(line: WantedLine, found: Found) -> tuple[str, ...]:
    """What this line has at the server and wants to have."""
    has = held(line, found)
    if not line.enabled:
        return ()
    return (has.trunk, has.rule, has.outbound) if line.outbound else (has.trunk, has.rule)


def _steps_for(line: WantedLine, found: Found) -> Iterator[Step]:
    has = held(line, found)
    if not has.trunk:
        yield Step("make", "trunk", line)
    elif how := _differences("trunk", found.trunks[has.trunk], line.trunk):
        yield Step("change", "trunk", line, has.trunk, how)
    if not has.rule:
        yield Step("make", "dispatch rule", line)
    elif how := _differences("dispatch rule", found.rules[has.rule], line.rule(has.trunk)):
        yield Step("change", "dispatch rule", line, has.rule, how)
    if line.outbound is None:
        return
    if not has.outbound:
        yield Step("make", "outbound trunk", line)
    elif how := _differences("outbound trunk", found.outbound[has.outbound], line.outbound):
        yield Step("change", "outbound trunk", line, has.outbound, how)


def _held(
    stored: str, mark: str, there: Mapping[str, Trunk] | Mapping[str, Rule] | Mapping[str, OutboundTrunk]
) -> str:
    if stored in there:
        return stored
    return next((key for key, each in there.items() if each.mark == mark), "")


def _differences(what: What, is_: Thing, should_be: Thing) -> tuple[str, ...]:
    return tuple(
        f"{what}: {TITLES[each.name]} {_shown(each.name, is_)} instead of {_shown(each.name, should_be)}"
        if each.repr
        else f"{what}: another {TITLES[each.name]}"
        for each in fields(is_)
        if getattr(is_, each.name) != getattr(should_be, each.name)
    )


def _shown(name: str, holder: Trunk | Rule | OutboundTrunk) -> str:
    value = getattr(holder, name)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        parts = ["=".join(part) if isinstance(part, tuple) else part for part in value]
        return ", ".join(parts) or "none"
    return f"“{value}”" if value else "none"
