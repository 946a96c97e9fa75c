"""An outbound trunk that leads back to our own number: a stand-in for livekit-sip, a provider and livekit-sip again.

It stands in front of livekit-server and hands everything on to it, but takes `CreateSIPParticipant` itself, because
livekit-sip has no package here. What it assumes of livekit-sip was measured on the stack itself (livekit-server
1.13.5, livekit-sip of August 2026). The inbound call is a SIP-kind participant whose `sip.callStatus` is `ringing`, and
`active` once an agent has joined; then the request returns (`wait_until_answered`). A refusal is a Twirp error whose
`meta` has `sip_status_code`. Each key that is published in the calling room goes out in order, a tone of 250 ms and a
gap of 250 ms, and is received as its tone begins. Who leaves a room has hung up, and who is hung up on leaves the room.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from livekit import api, rtc

from phone.line_check import Trouble
from tests.e2e.servers import LiveKitServer, free_port
from tests.e2e.telephone import Telephone, Telephones
from tests.faulty_line import FaultyLine, Place

T = TypeVar("T")

DIAL = b"/livekit.SIP/CreateSIPParticipant"
KEY_SECONDS = 0.5
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@dataclass(frozen=True)
class Refusal:
    """How the other side says no: SIP's status and reason, with Twirp's code and the HTTP status that goes with it."""

    status: int
    reason: str
    code: str
    http: int


BUSY_HERE = Refusal(486, "Busy Here", "resource_exhausted", 429)
DECLINED = Refusal(603, "Decline", "permission_denied", 403)
NO_ANSWER = Refusal(480, "Temporarily Unavailable", "unavailable", 503)


@dataclass
class Trunk:
    """What the next calls live through."""

    refusal: Refusal | None = None
    faults: Mapping[Place, Trouble] = field(default_factory=dict)
    caller: str = ""
    """What the provider shows as the caller's number; empty: the number that is called."""
    leads_elsewhere: bool = False
    """Somebody else takes the call."""
    breaks_after: int = 1000
    """So many keys, then the call is cut off."""
    taken: list[api.CreateSIPParticipantRequest] = field(default_factory=list)


class LoopingTrunk:
    """Runs on a thread of its own, from `__init__` to `stop`."""

    def __init__(self, server: LiveKitServer) -> None:
        self.port = free_port()
        self.trunk = Trunk()
        self._server = server
        self._telephones = Telephones(server)
        self._calls: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="trunk", daemon=True)
        self._thread.start()
        self._listening = self._run(asyncio.start_server(self._accept, "127.0.0.1", self.port))

    @property
    def url(self) -> str:
        """livekit-server's address for a worker that calls out through this trunk."""
        return f"ws://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._listening.close()
        self._run(self._end_calls())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _end_calls(self) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._telephones.hang_up_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if DIAL in head.splitlines()[0]:
                await self._take(head, reader, writer)
            else:
                await self._hand_on(head, reader, writer)
        writer.close()

    async def _hand_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
        back.write(head)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    async def _take(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:] if b": " in line)
        body = await reader.readexactly(int(fields[b"content-length"]))
        request = api.CreateSIPParticipantRequest.FromString(body)
        trunk = self.trunk
        trunk.taken.append(request)
        if trunk.refusal:
            refusal = trunk.refusal
            meta = {"sip_status_code": str(refusal.status), "sip_status": refusal.reason}
            answer = json.dumps({"code": refusal.code, "msg": "twirp error", "meta": meta}).encode()
            http, kind = refusal.http, "application/json"
        else:
            info = await self._call(request, trunk)
            answer, http, kind = info.SerializeToString(), 200, "application/protobuf"
        writer.write(
            f"HTTP/1.1 {http} X\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + answer
        )
        await writer.drain()

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


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
