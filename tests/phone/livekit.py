"""A LiveKit server in memory, for tests of those who ask one."""

from __future__ import annotations

import dataclasses
import itertools
import json
from datetime import datetime
from typing import Any

import pytest

from phone.livekit_api import LiveKitRefused, OutboundTrunk, Participant, Room, Rule, Trunk
from phone.livekit_settings import LiveKitEnvironment

URL, KEY, SECRET = "ws://127.0.0.1:1", "devkey", "a secret of thirty-two characters"


def a_server() -> LiveKitEnvironment:
    return LiveKitEnvironment(LIVEKIT_URL=URL, LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET=SECRET)


class FakeLiveKit:
    """What `phone.livekit_api.LiveKit` is, with everything at hand. `asked` names every change that was asked for."""

    def __init__(self) -> None:
        self.trunks: dict[str, Trunk] = {}
        self.rules: dict[str, Rule] = {}
        self.outbound: dict[str, OutboundTrunk] = {}
        self.rooms: dict[str, Room] = {}
        self.inside: dict[str, list[Participant]] = {}
        self.dispatched: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[str] = []
        self.trouble: dict[str, Exception] = {}
        """The method's name → what it raises."""
        self._ids = itertools.count(1)

    def install(self, monkeypatch: pytest.MonkeyPatch, settings: Any, *modules: str) -> FakeLiveKit:
        settings.LIVEKIT = a_server()
        for module in modules:
            monkeypatch.setattr(f"{module}.LiveKit", lambda: self)
        return self

    async def list_trunks(self) -> dict[str, Trunk]:
        self._ask("list_trunks")
        return dict(self.trunks)

    async def create_trunk(self, trunk: Trunk) -> str:
        self._change("create_trunk")
        if any(set(trunk.numbers) & set(other.numbers) for other in self.trunks.values()):
            raise LiveKitRefused("LiveKit says: Conflicting inbound SIP Trunks.", "invalid_argument")
        key = f"ST_{next(self._ids)}"
        self.trunks[key] = trunk
        return key

    async def change_trunk(self, trunk_id: str, trunk: Trunk) -> None:
        self._change("change_trunk")
        self.trunks[trunk_id] = trunk

    async def delete_trunk(self, trunk_id: str) -> None:
        self._change("delete_trunk")
        self.trunks.pop(trunk_id, None)
        self.outbound.pop(trunk_id, None)

    async def list_outbound_trunks(self) -> dict[str, OutboundTrunk]:
        self._ask("list_outbound_trunks")
        return dict(self.outbound)

    async def create_outbound_trunk(self, trunk: OutboundTrunk) -> str:
        self._change("create_outbound_trunk")
        key = f"ST_{next(self._ids)}"
        self.outbound[key] = trunk
        return key

    async def change_outbound_trunk(self, trunk_id: str, trunk: OutboundTrunk) -> None:
        self._change("change_outbound_trunk")
        self.outbound[trunk_id] = trunk

    async def list_rules(self) -> dict[str, Rule]:
        self._ask("list_rules")
        return dict(self.rules)

    async def create_rule(self, rule: Rule) -> str:
        self._change("create_rule")
        key = f"SDR_{next(self._ids)}"
        self.rules[key] = rule
        return key

    async def change_rule(self, rule_id: str, rule: Rule) -> None:
        self._change("change_rule")
        self.rules[rule_id] = rule

    async def delete_rule(self, rule_id: str) -> None:
        self._change("delete_rule")
        self.rules.pop(rule_id, None)

    async def list_rooms(self) -> list[Room]:
        self._ask("list_rooms")
        return list(self.rooms.values())

    async def list_participants(self, room: str) -> list[Participant]:
        self._ask("list_participants")
        return list(self.inside.get(room, []))

    async def remove_participant(self, room: str, identity: str) -> None:
        self._change("remove_participant")
        self.inside[room] = [each for each in self.inside[room] if each.identity != identity]

    async def delete_room(self, room: str) -> None:
        self._change("delete_room")
        self.rooms.pop(room, None)
        self.inside.pop(room, None)

    async def dispatch_agent(self, room: str, metadata: str) -> None:
        self._change("dispatch_agent")
        self.dispatched.append((room, json.loads(metadata)))

    def _ask(self, method: str) -> None:
        if method in self.trouble:
            raise self.trouble[method]

    def _change(self, method: str) -> None:
        self.asked.append(method)
        self._ask(method)

    # What a test puts there

    def open_room(self, name: str, at: datetime, *inside: Participant) -> Room:
        room = Room(name=name, id=f"RM_{next(self._ids)}", created_at=at)
        self.rooms[name] = room
        self.inside[name] = list(inside)
        return room

    def change(self, key: str, **drift: Any) -> None:
        """Somebody changes a trunk or a rule by hand."""
        kinds: tuple[dict[str, Any], ...] = (self.trunks, self.rules, self.outbound)
        there = next(kind for kind in kinds if key in kind)
        there[key] = dataclasses.replace(there[key], **drift)


def a_telephone(at: datetime, number: str = "+12025550123", dialled: str = "+15550100") -> Participant:
    attributes = {"sip.phoneNumber": number, "sip.trunkPhoneNumber": dialled, "sip.callStatus": "active"}
    return Participant(identity=f"sip_{number}", kind="sip", joined_at=at, attributes=attributes)


def a_person(at: datetime, name: str = "person_1") -> Participant:
    """Somebody whom an agent rang for a caller."""
    return Participant(identity=name, kind="sip", joined_at=at, attributes={"clinic.person": "true"})


def an_agent(at: datetime, name: str = "agent-1") -> Participant:
    return Participant(identity=name, kind="agent", joined_at=at, attributes={})
