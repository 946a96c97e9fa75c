"""A stand-in for livekit-sip, which has no package here, at the edge of two requests: transfer, and call a person.

It stands between a worker and a real livekit-server. Everything passes through untouched but the Twirp requests
`SIP/TransferSIPParticipant` and `SIP/CreateSIPParticipant`, which livekit-server would hand to livekit-sip. What it
assumes:

Transfer, measured on the real stack (livekit-server 1.13.5, livekit-sip of August 2026):
- accepted: the request returns after the NOTIFY with 200, and the caller's leg leaves the room;
- busy, declined, no answer: an error with `sip_status_code` 486, 603 or 480 in its metadata (Twirp codes
  resource_exhausted and permission_denied were seen); the call stays up. That a carrier which refuses the REFER itself
  comes out as `sip_status_code` 405 was not measured: it follows RFC 3261, section 21.4.6;
- nobody says anything: `deadline_exceeded` after 30 s; the call stays up.

A person who is called (livekit/sip, pkg/sip/outbound.go):
- the participant is in the room, with its track published, from before the INVITE; `sip.callStatus` is `dialing`,
  then `active`. It subscribes to all tracks once it was answered (`connectSIP` → `lkRoom.Subscribe()`), not before;
- with `wait_until_answered` the request returns after that, or with the error of the INVITE's answer;
- the caller's leg has subscribed to everything that is published, all along;
- removing the participant from the room hangs its telephone up, also while that rings.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from livekit import api, rtc
from livekit.protocol.sip import CreateSIPParticipantRequest, TransferSIPParticipantRequest

from tests.e2e.servers import LiveKitServer
from tests.e2e.telephone import AUDIBLE, Ear, Telephone

TRANSFER = "/twirp/livekit.SIP/TransferSIPParticipant"
CREATE = "/twirp/livekit.SIP/CreateSIPParticipant"
TWIRP_CODES = {486: "resource_exhausted", 603: "permission_denied", 480: "unavailable", 405: "unimplemented"}
HTTP_STATUS = {"deadline_exceeded": 408, "resource_exhausted": 429, "permission_denied": 403}
NO_NOTIFY_SECONDS = 30.0
LOUD = 4000
Answer = tuple[int, str, bytes]


class SipEdge:
    """The address that a worker has for its livekit-server. It lives in a thread of its own, as long as the worker."""

    def __init__(self, server: LiveKitServer) -> None:
        self._server = server
        self.answer: Callable[[str, bytes], Future[Answer]] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def environment(self) -> dict[str, str]:
        return self._server.environment | {"LIVEKIT_URL": f"ws://127.0.0.1:{self.port}"}

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._pumps: set[asyncio.Task[None]] = set()
        listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = listening.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        listening.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        path = head.split(b" ", 2)[1].decode()
        if path in (TRANSFER, CREATE):
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            await self._answer(path, await reader.readexactly(length), writer)
        else:
            await self._pass_on(head, reader, writer)

    async def _answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        assert self.answer, "nobody is there to answer"
        status, kind, content = await asyncio.wrap_future(self.answer(path, body))
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        try:
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + content)
            await writer.drain()
        except ConnectionError:
            pass  # whoever asked did not wait
        writer.close()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_server = await asyncio.open_connection("127.0.0.1", self._server.port)
        to_server.write(head)
        for source, sink in ((reader, to_server), (there, writer)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    except ConnectionError:
        pass
    finally:
        sink.close()


class Leg(Telephone):
    """A telephone in a room as livekit-sip leads it there: it hears everybody, each in an ear of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribes = True
        self.ears: dict[str, Ear] = {}
        self.agent_tracks: set[str] = set()
        """The agent's tracks that this telephone was sent."""

    def subscribe(self) -> None:
        """The telephone was answered: from now on it hears what there is."""
        self.subscribes = True
        for guest in self.room.remote_participants.values():
            for publication in guest.track_publications.values():
                self._offered(publication, guest)

    def heard_of(self, other: Telephone) -> float:
        """For how many seconds this telephone has heard the other one's voice."""
        ear = self.ears.get(other.room.local_participant.identity)
        return ear.audible_seconds() if ear else 0.0

    async def hears_telephone(self, other: Telephone, *, within: float = 5.0) -> float:
        """Hear the other one; when that began, in loop time."""
        who = other.room.local_participant.identity
        async with asyncio.timeout(within):
            while (began := self._first_voice_of(who)) is None:
                await asyncio.sleep(0.01)
        return began

    def _first_voice_of(self, who: str) -> float | None:
        ear = self.ears.get(who)
        heard = zip(ear.at, ear.loud, strict=False) if ear else ()
        return next((at for at, loud in heard if loud > AUDIBLE), None)

    def _offered(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if self.subscribes:
            publication.set_subscribed(True)

    def _hear(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self.agent_tracks.add(publication.sid)
            super()._hear(track, publication, who)
        else:
            ear = self.ears.setdefault(who.identity, Ear())
            self._tasks.append(asyncio.create_task(ear.listen(track)))


@dataclass
class Exchange:
    """The telephone network beyond the edge, as one test has it.

    `refers` is how a transfer is answered, `answers` how somebody who is called answers: `accepted` or a SIP code; a
    transfer may also be answered by `nothing`. Both after `rings` seconds.
    """

    edge: SipEdge
    server: LiveKitServer
    refers: str | int = "accepted"
    answers: str | int = "accepted"
    rings: float = 1.0
    transferred: list[str] = field(default_factory=list)
    called: list[tuple[str, str]] = field(default_factory=list)
    answered_at: float = 0.0
    """When the last request was answered, in loop time."""
    caller: Leg | None = None
    person: Leg | None = None
    picked_up: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Take the edge's requests, on this loop."""
        loop = asyncio.get_running_loop()
        self.edge.answer = lambda path, body: asyncio.run_coroutine_threadsafe(self._take(path, body), loop)

    async def close(self) -> None:
        self.edge.answer = None
        for leg in (self.caller, self.person):
            if leg is not None:
                await leg.hang_up()

    async def leg(self, room: str, identity: str, attributes: dict[str, str], **room_config: object) -> Leg:
        """A telephone comes into a room."""
        token = (
            api.AccessToken(self.server.key, self.server.secret)
            .with_identity(identity)
            .with_kind("sip")
            .with_attributes(attributes)
            .with_grants(api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True))
        )
        leg = Leg()
        leg.subscribes = attributes["sip.callStatus"] == "active"
        await leg.connect(self.server.url, token.to_jwt())
        leg.amplitude = LOUD
        return leg

    async def _take(self, path: str, body: bytes) -> Answer:
        if path == TRANSFER:
            answer = await self._transfer(TransferSIPParticipantRequest.FromString(body))
        else:
            answer = await self._call(CreateSIPParticipantRequest.FromString(body))
        self.answered_at = asyncio.get_running_loop().time()
        return answer

    async def _transfer(self, request: TransferSIPParticipantRequest) -> Answer:
        self.transferred.append(request.transfer_to)
        if self.refers == "nothing":
            await asyncio.sleep(NO_NOTIFY_SECONDS)
            return _error("deadline_exceeded")
        await asyncio.sleep(self.rings)
        if isinstance(self.refers, int):
            return _error(TWIRP_CODES[self.refers], sip_status_code=str(self.refers))
        assert self.caller
        await self.caller.hang_up()
        return 200, "application/protobuf", b""

    async def _call(self, request: CreateSIPParticipantRequest) -> Answer:
        self.called.append((request.sip_trunk_id, request.sip_call_to))
        assert request.wait_until_answered
        status = {
            "sip.callStatus": "dialing",
            "sip.callID": f"SCL_{secrets.token_hex(6)}",
            "sip.phoneNumber": request.sip_call_to,
        }
        person = self.person = await self.leg(
            request.room_name,
            request.participant_identity,
            {**request.participant_attributes, **status},
        )
        if isinstance(self.answers, int):
            await asyncio.sleep(self.rings)
            await person.hang_up()
            return _error(TWIRP_CODES[self.answers], sip_status_code=str(self.answers))
        try:
            await asyncio.wait_for(person.closed.wait(), self.rings)
        except TimeoutError:
            pass
        else:
            return _error("canceled")
        await person.room.local_participant.set_attributes({**status, "sip.callStatus": "active"})
        person.subscribe()
        self.picked_up.set()
        return 200, "application/protobuf", b""


def _error(code: str, **metadata: str) -> Answer:
    content = json.dumps({"code": code, "msg": "as livekit-sip says it", "meta": metadata}).encode()
    return HTTP_STATUS.get(code, 503), "application/json", content
