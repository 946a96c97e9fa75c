"""Bringing the LiveKit server in step with the PhoneLine rows: for the command, and for the button in the admin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from asgiref.sync import async_to_sync

from clinic import crypto
from phone.lines import Found, Held, LineState, Step, WantedLine, held, line_state, mark_of, steps
from phone.livekit_api import (
    Encryption,
    LiveKit,
    LiveKitError,
    LiveKitRefused,
    OutboundTrunk,
    Transport,
    Trunk,
)
from phone.models import PhoneLine


@dataclass(frozen=True)
class Done:
    """A step, and why the server refused it; empty when it was done."""

    step: Step
    refused: str = ""


@dataclass(frozen=True)
class LinesAtServer:
    """All lines as they stand at the server, and the trunks and rules of ours that no line wants any more."""

    lines: tuple[LineState, ...]
    left_over: tuple[Step, ...]

    @property
    def in_step(self) -> bool:
        return not self.left_over and all(line.state in ("in step", "off") for line in self.lines)


def lines_at_server() -> LinesAtServer:
    """Look, and change nothing. Raises LiveKitError, KeysUnavailable and CannotDecrypt."""
    owner = _owner()
    lines = _wanted(owner)
    found = _found()
    return LinesAtServer(
        lines=tuple(line_state(line, found) for line in lines),
        left_over=tuple(step for step in steps(lines, found, owner) if step.line is None),
    )


def sync_lines(*, dry_run: bool = False) -> Iterator[Done]:
    """Bring the server in step, one step after the other, each told once it is done or refused.

    A line that the server refuses is left as it was, and does not hold up the others. With `dry_run` nothing is
    done. Raises LiveKitError when the server does not answer or does not let us in, KeysUnavailable and
    CannotDecrypt.
    """
    owner = _owner()
    lines = _wanted(owner)
    found = _found()
    todo = list(steps(lines, found, owner))
    if dry_run:
        yield from map(Done, todo)
        return
    trunk_ids = {line.pk: _remember(line, held(line, found)) for line in lines}
    refused: set[int] = set()
    for step in todo:
        if step.line and step.line.pk in refused:
            continue
        try:
            _take(step, trunk_ids)
        except LiveKitRefused as refusal:
            if step.line:
                refused.add(step.line.pk)
            yield Done(step, str(refusal))
        else:
            yield Done(step)


def line_set_password(*, line: PhoneLine, password: str) -> None:
    """Store what a caller of this saved line has to log in with, encrypted; empty means nothing."""
    ciphertext, key = crypto.encrypt(password, _context(line.pk)) if password else (None, "")
    line.auth_password_ciphertext, line.auth_password_key = ciphertext, key
    PhoneLine.objects.filter(pk=line.pk).update(auth_password_ciphertext=ciphertext, auth_password_key=key)


def line_set_outbound_password(*, line: PhoneLine, password: str) -> None:
    """Store what this saved line logs in with at its provider, encrypted; empty means nothing."""
    ciphertext, key = crypto.encrypt(password, _outbound_context(line.pk)) if password else (None, "")
    line.outbound_password_ciphertext, line.outbound_password_key = ciphertext, key
    PhoneLine.objects.filter(pk=line.pk).update(
        outbound_password_ciphertext=ciphertext, outbound_password_key=key
    )


def _take(step: Step, trunk_ids: dict[int, str]) -> None:
    """Do one step. `trunk_ids` knows each line's trunk, those that this run makes too."""
    server, line = LiveKit(), step.line
    match step.do, step.what:
        case "remove", "dispatch rule":
            async_to_sync(server.delete_rule)(step.id)
        case "remove", _:
            async_to_sync(server.delete_trunk)(step.id)
        case _, _ if line is None:
            raise ValueError(f"nothing to {step} from")
        case "make", "trunk":
            trunk_ids[line.pk] = async_to_sync(server.create_trunk)(line.trunk)
            # Stored at once: should this process die now, the next run knows whose the trunk is.
            PhoneLine.objects.filter(pk=line.pk).update(trunk_id=trunk_ids[line.pk])
        case "change", "trunk":
            async_to_sync(server.change_trunk)(step.id, line.trunk)
        case "make", "outbound trunk" if line.outbound:
            made = async_to_sync(server.create_outbound_trunk)(line.outbound)
            PhoneLine.objects.filter(pk=line.pk).update(outbound_trunk_id=made)
        case "change", "outbound trunk" if line.outbound:
            async_to_sync(server.change_outbound_trunk)(step.id, line.outbound)
        case "make", _:
            _make_rule(server, line, trunk_ids[line.pk])
        case "change", _:
            async_to_sync(server.change_rule)(step.id, line.rule(trunk_ids[line.pk]))


def _make_rule(server: LiveKit, line: WantedLine, trunk_id: str) -> None:
    try:
        rule_id = async_to_sync(server.create_rule)(line.rule(trunk_id))
    except LiveKitError:
        if trunk_id != line.trunk_id:
            # A trunk without a rule takes calls that lead nowhere.
            async_to_sync(server.delete_trunk)(trunk_id)
            PhoneLine.objects.filter(pk=line.pk).update(trunk_id="")
        raise
    PhoneLine.objects.filter(pk=line.pk).update(dispatch_rule_id=rule_id)


def _remember(line: WantedLine, has: Held) -> str:
    """Store which trunks and rule are this line's now; the inbound trunk's id."""
    trunk_id, rule_id, outbound_id = has.trunk, has.rule, has.outbound
    if not line.enabled:
        trunk_id = rule_id = ""
    if not line.enabled or line.outbound is None:
        outbound_id = ""
    if (trunk_id, rule_id, outbound_id) != (line.trunk_id, line.rule_id, line.outbound_id):
        PhoneLine.objects.filter(pk=line.pk).update(
            trunk_id=trunk_id, dispatch_rule_id=rule_id, outbound_trunk_id=outbound_id
        )
    return trunk_id


def _found() -> Found:
    server = LiveKit()
    return Found(
        trunks=async_to_sync(server.list_trunks)(),
        rules=async_to_sync(server.list_rules)(),
        outbound=async_to_sync(server.list_outbound_trunks)(),
    )


def _owner() -> str:
    """By what this system knows its own trunks and rules on a server that others use too."""
    return crypto.keyed_hash("phone lines", "livekit owner")[:12]


def _wanted(owner: str) -> list[WantedLine]:
    return [_wanted_line(line, owner) for line in PhoneLine.objects.select_related("clinic")]


def _wanted_line(line: PhoneLine, owner: str) -> WantedLine:
    sealed = line.auth_password_ciphertext
    trunk = Trunk(
        name=str(line),
        mark=mark_of(owner, line.pk),
        numbers=(str(line.number),),
        allowed_addresses=tuple(sorted(line.allowed_addresses.split())),
        username=line.auth_username,
        password=crypto.decrypt(sealed, line.auth_password_key, _context(line.pk)) if sealed else "",
        encryption=cast(Encryption, line.media_encryption),
        krisp=line.krisp,
    )
    return WantedLine(
        pk=line.pk,
        title=str(line),
        enabled=line.enabled,
        trunk_id=line.trunk_id,
        rule_id=line.dispatch_rule_id,
        outbound_id=line.outbound_trunk_id,
        trunk=trunk,
        outbound=_wanted_outbound(line, owner) if line.outbound_address else None,
        room_prefix=line.room_prefix,
    )


def _wanted_outbound(line: PhoneLine, owner: str) -> OutboundTrunk:
    sealed = line.outbound_password_ciphertext
    return OutboundTrunk(
        name=str(line),
        mark=mark_of(owner, line.pk),
        address=line.outbound_address,
        numbers=(str(line.number),),
        transport=cast(Transport, line.outbound_transport),
        username=line.outbound_username,
        password=crypto.decrypt(sealed, line.outbound_password_key, _outbound_context(line.pk))
        if sealed
        else "",
        encryption=cast(Encryption, line.media_encryption),
    )


def _context(line: int) -> str:
    return f"line-password:{line}"


def _outbound_context(line: int) -> str:
    return f"line-outbound-password:{line}"
