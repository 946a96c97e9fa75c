"""What goes in and comes out: trunks, rules, rooms and those in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Encryption = Literal["off", "allow", "require"]
Transport = Literal["auto", "udp", "tcp", "tls"]


@dataclass(frozen=True)
class Trunk:
    """What we decide about an inbound trunk. Numbers are E.164; without a user name nobody has to log in."""

    name: str
    mark: str
    numbers: tuple[str, ...]
    allowed_addresses: tuple[str, ...] = ()
    username: str = ""
    password: str = field(default="", repr=False)
    encryption: Encryption = "off"
    krisp: bool = False
    allowed_callers: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutboundTrunk:
    """What we decide about an outbound trunk. `address` is the provider's host, with a port where one is needed.

    Calls go out under the first of `numbers` (E.164). Without a user name we do not log in.
    """

    name: str
    mark: str
    address: str
    numbers: tuple[str, ...]
    transport: Transport = "auto"
    username: str = ""
    password: str = field(default="", repr=False)
    encryption: Encryption = "off"


@dataclass(frozen=True)
class Rule:
    """What we decide about a dispatch rule. `kind` is LiveKit's name for it."""

    name: str
    mark: str
    trunk_ids: tuple[str, ...]
    room_prefix: str
    agents: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    kind: str = "dispatch_rule_individual"
    pin: str = ""
    only_callers: tuple[str, ...] = ()
    hides_callers: bool = False


@dataclass(frozen=True)
class Room:
    """A room on the server. `id` is its session: a room of the same name later has another."""

    name: str
    id: str
    created_at: datetime


@dataclass(frozen=True)
class Participant:
    """Somebody in a room. `kind` is `sip`, `browser`, `agent` or `other`."""

    identity: str
    kind: str
    joined_at: datetime
    attributes: dict[str, str]


@dataclass(frozen=True)
class PersonCall:
    """A call out to a person, into a room. `number` is E.164; `identity` is who they are in the room."""

    trunk_id: str
    number: str
    room: str
    identity: str
    ring_seconds: int
    attributes: dict[str, str]


@dataclass(frozen=True)
class WebhookEvent:
    """What livekit-server tells us. `participant` is None where the event is about the room."""

    event: str
    at: datetime
    room: Room | None
    participant: Participant | None
