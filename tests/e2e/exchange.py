"""A telephone network in which people are called and callers are handed over, as one test has it.

It is what `sip_edge` has beyond it in transfers. What it assumes of somebody who is called (livekit/sip,
pkg/sip/outbound.go):
- the participant is in the room, with its track published, from before the INVITE; `sip.callStatus` is `dialing`,
  then `active`. It subscribes to all tracks once it was answered (`connectSIP` → `lkRoom.Subscribe()`), not before, and
  nothing is heard from it until then;
- the caller's leg has subscribed to everything that is published, all along;
- removing the participant from the room hangs its telephone up, also while that rings.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass, field

from livekit import api, rtc
from livekit.protocol.sip import TransferSIPParticipantResponse

from tests.e2e.servers import LiveKitServer
from tests.e2e.sip_edge import CALL, Answer, SipEdge, accepted, given_up, out_of_time, refused
from tests.e2e.telephone import AUDIBLE, Ear, Telephone

NO_NOTIFY_SECONDS = 30.0


class Leg(Telephone):
    """A telephone in a room as livekit-sip leads it there: it hears everybody, each in an ear of its own."""

    def __init__(self, *, answered: bool = True) -> None:
        super().__init__()
        self.ears: dict[str, Ear] = {}
        self.agent_tracks: set[str] = set()
        """The agent's tracks that this telephone was sent."""
        self._news = asyncio.Event()
        self._picked_up = asyncio.Event()
        if answered:
            self._picked_up.set()

    def pick_up(self) -> None:
        """The telephone was answered: from now on it hears what there is, and is heard."""
        self._picked_up.set()
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
            while who not in self.ears:
                self._news.clear()
                await self._news.wait()
            ear = self.ears[who]
            while (began := _first_voice(ear)) is None:
                await ear.more()
        return began

    def _offered(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if self._picked_up.is_set():
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
            self._news.set()

    async def _hum(self) -> None:
        await self._picked_up.wait()
        await super()._hum()


def _first_voice(ear: Ear) -> float | None:
    return next((at for at, loud in zip(ear.at, ear.loud, strict=False) if loud > AUDIBLE), None)


@dataclass
class Exchange:
    """Takes the edge's requests on the loop of one test.

    `refers` is how a transfer is answered, `answers` how somebody who is called answers: `accepted` or a SIP status; a
    transfer may also be answered by `nothing`. Both after `rings` seconds.
    """

    edge: SipEdge
    server: LiveKitServer
    refers: str | int = "accepted"
    answers: str | int = "accepted"
    rings: float = 1.0
    transferred: list[str] = field(default_factory=list)
    called: list[tuple[str, str]] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    answered_at: float = 0.0
    """When the last request was answered, in loop time."""
    caller: Leg | None = None
    person: Leg | None = None
    picked_up: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Take what comes from now on."""
        loop = asyncio.get_running_loop()

        def take(request: str, body: bytes) -> Awaitable[Answer]:
            return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._take(request, body), loop))

        self.edge.take = take

    async def close(self) -> None:
        self.edge.take = None
        for leg in (self.caller, self.person):
            if leg is not None:
                await leg.hang_up()

    async def _take(self, request: str, body: bytes) -> Answer:
        if request == CALL:
            answer = await self._call(api.CreateSIPParticipantRequest.FromString(body))
        else:
            answer = await self._transfer(api.TransferSIPParticipantRequest.FromString(body))
        self.answered_at = asyncio.get_running_loop().time()
        self.answered.set()
        return answer

    async def _transfer(self, request: api.TransferSIPParticipantRequest) -> Answer:
        self.transferred.append(request.transfer_to)
        if self.refers == "nothing":
            await asyncio.sleep(NO_NOTIFY_SECONDS)
            return out_of_time()
        await asyncio.sleep(self.rings)
        if isinstance(self.refers, int):
            return refused(self.refers)
        assert self.caller
        await self.caller.hang_up()
        return accepted(TransferSIPParticipantResponse())

    async def _call(self, request: api.CreateSIPParticipantRequest) -> Answer:
        self.called.append((request.sip_trunk_id, request.sip_call_to))
        assert request.wait_until_answered
        person = self.person = await self._ring(request)
        if isinstance(self.answers, int):
            await asyncio.sleep(self.rings)
            await person.hang_up()
            return refused(self.answers)
        try:
            await asyncio.wait_for(person.closed.wait(), self.rings)
        except TimeoutError:
            pass
        else:
            return given_up()
        await person.room.local_participant.set_attributes({"sip.callStatus": "active"})
        person.pick_up()
        await person.speak()
        self.picked_up.set()
        info = api.SIPParticipantInfo(
            participant_identity=request.participant_identity, room_name=request.room_name
        )
        return accepted(info)

    async def _ring(self, request: api.CreateSIPParticipantRequest) -> Leg:
        """A telephone comes into a room."""
        token = (
            api.AccessToken(self.server.key, self.server.secret)
            .with_identity(request.participant_identity)
            .with_kind("sip")
            .with_attributes(
                {
                    **request.participant_attributes,
                    "sip.callStatus": "dialing",
                    "sip.callID": f"SCL_{secrets.token_hex(6)}",
                    "sip.phoneNumber": request.sip_call_to,
                }
            )
            .with_grants(
                api.VideoGrants(room_join=True, room=request.room_name, can_update_own_metadata=True)
            )
        )
        leg = Leg(answered=False)
        await leg.connect(self.server.url, token.to_jwt())
        return leg
