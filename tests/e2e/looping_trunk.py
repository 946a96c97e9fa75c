"""A telephone network in which a call through our trunk leads back to our own number: a provider and livekit-sip again.

It is what `sip_edge` has beyond it in line checks. The inbound call is a SIP-kind participant whose `sip.callStatus` is
`ringing`, and `active` once an agent has joined. Each key that is published in the calling room goes out in order, a
tone of 250 ms and a gap of 250 ms, and is received as its tone begins. Who leaves a room has hung up, and who is hung
up on leaves the room. All of this was measured on the stack itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from livekit import api, rtc

from phone.line_check import Trouble
from tests.e2e.servers import LiveKitServer
from tests.e2e.sip_edge import CALL, Answer, SipEdge, accepted, refused
from tests.e2e.telephone import Telephone, Telephones
from tests.faulty_line import FaultyLine, Place

KEY_SECONDS = 0.5
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@dataclass
class Trunk:
    """What the next calls live through."""

    refusal: int | None = None
    """SIP's status."""
    faults: Mapping[Place, Trouble] = field(default_factory=dict)
    caller: str = ""
    """What the provider shows as the caller's number; empty: the number that is called."""
    leads_elsewhere: bool = False
    """Somebody else takes the call."""
    breaks_after: int = 1000
    """So many keys, then the call is cut off."""
    taken: list[api.CreateSIPParticipantRequest] = field(default_factory=list)


class LoopingTrunk:
    """Takes the edge's requests, from `__init__` to `stop`."""

    def __init__(self, edge: SipEdge, server: LiveKitServer) -> None:
        self.trunk = Trunk()
        self._edge = edge
        self._server = server
        self._telephones = Telephones(server)
        self._calls: set[asyncio.Task[None]] = set()
        edge.take = self._take

    def stop(self) -> None:
        self._edge.run(self._end_calls())

    async def _end_calls(self) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._telephones.hang_up_all()

    async def _take(self, request: str, body: bytes) -> Answer:
        assert request == CALL
        call = api.CreateSIPParticipantRequest.FromString(body)
        trunk = self.trunk
        trunk.taken.append(call)
        return refused(trunk.refusal) if trunk.refusal else accepted(await self._call(call, trunk))

    async def _call(self, request: api.CreateSIPParticipantRequest, trunk: Trunk) -> api.SIPParticipantInfo:
        """Ring at the called number until it is answered, and connect the two."""
        number = request.sip_call_to
        line: Telephone | None = None
        if not trunk.leads_elsewhere:
            ringing = {"sip.callStatus": "ringing"}
            line = await self._telephones.dial(number, caller=trunk.caller or number, attributes=ringing)
            await _joined_by_an_agent(line.room)
            await line.room.local_participant.set_attributes({"sip.callStatus": "active"})
        calling = rtc.Room()
        token = (
            api.AccessToken(self._server.key, self._server.secret)
            .with_identity(request.participant_identity)
            .with_kind("sip")
            .with_grants(api.VideoGrants(room_join=True, room=request.room_name))
        )
        await calling.connect(self._server.url, token.to_jwt(), rtc.RoomOptions(auto_subscribe=False))
        call = asyncio.create_task(_carry(calling, line, trunk))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return api.SIPParticipantInfo(
            participant_identity=request.participant_identity, room_name=request.room_name
        )


async def _joined_by_an_agent(room: rtc.Room) -> None:
    there = asyncio.Event()
    room.on("participant_connected", lambda guest: there.set() if guest.kind == AGENT else None)
    if not any(guest.kind == AGENT for guest in room.remote_participants.values()):
        await there.wait()


async def _carry(calling: rtc.Room, line: Telephone | None, trunk: Trunk) -> None:
    """Send keys from one end to the other, until either hangs up."""
    keys: asyncio.Queue[str] = asyncio.Queue()
    over = line.closed if line else asyncio.Event()
    calling.on("sip_dtmf_received", lambda key: keys.put_nowait(key.digit))
    calling.on("disconnected", lambda _reason: over.set())

    async def deliver(key: str) -> None:
        if line:
            await line.press(key)

    faulty = FaultyLine(deliver, trunk.faults)

    async def press() -> None:
        for _ in range(trunk.breaks_after):
            await faulty.press(await keys.get())
            await asyncio.sleep(KEY_SECONDS)
        over.set()

    pressing = asyncio.create_task(press())
    try:
        await over.wait()
    finally:
        pressing.cancel()
        await calling.disconnect()
        if line:
            await line.hang_up()
