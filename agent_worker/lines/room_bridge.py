"""The way from a caller in a LiveKit room to a person on another telephone.

Until a person takes the call, the two are kept apart by the server, not by our good manners: neither is sent what the
other says. A person is in the room while their telephone rings, and livekit-sip subscribes to everything as they
answer; so they may receive nothing at all until then, and afterwards our own track alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from livekit import rtc

from agent_worker.lines.room_audio import RoomSpeaker
from phone.livekit_api import CallAnswer, CallNotAnswered, LiveKit, LiveKitError, answer_to_call
from phone.room_lines import PERSON

log = logging.getLogger(__name__)

STATUS = "sip.callStatus"
AGAIN_AFTER = (0.0, 0.1, 0.3, 1.0)
"""Seconds before each of the times at which the two are kept apart. Once could be too early: each side subscribes by
itself as it hears of the other's track, and the last word counts."""

SETTLES_SECONDS = 0.3
"""How long after the answer the person's side may take to subscribe by itself. Nothing is heard there until then."""

HEARS_US_SECONDS = 3.0
"""How long the person's side may take to subscribe to our track before we speak all the same."""


class RoomBridge:
    """A `lines.base.Bridge` for the telephone `caller` in `room`."""

    def __init__(self, room: rtc.Room, caller: str) -> None:
        self._room = room
        self._caller = caller
        self.referring = False
        """Whether a transfer is under way: the caller leaves the room before we are told that it was accepted."""
        self.joined = False
        """Whether a person has the call now."""
        self.person_hears: dict[str, rtc.LocalTrackPublication] = {}
        """Which of our tracks a person in the room hears, by their identity."""

    async def refer(self, number: str, *, ring_seconds: int) -> CallAnswer:
        """Hand the caller over by REFER."""
        self.referring = True
        try:
            return await LiveKit().transfer(
                room=self._room.name,
                identity=self._caller,
                number=number,
                rings=timedelta(seconds=ring_seconds),
            )
        finally:
            self.referring = False

    def fetch(self, number: str, *, trunk_id: str, ring_seconds: int) -> RoomPerson:
        """Somebody at `number`, who is rung with `ring`."""
        return RoomPerson(self, number, trunk_id, ring_seconds)

    # For the person

    @property
    def room(self) -> rtc.Room:
        return self._room

    @property
    def caller(self) -> str:
        return self._caller

    def caller_tracks(self) -> list[str]:
        """What the caller is heard by."""
        caller = self._room.remote_participants.get(self._caller)
        return list(caller.track_publications) if caller else []

    def let_hear(self, **person: rtc.LocalTrackPublication) -> None:
        """Who may receive which of our tracks: a person (identity → track) theirs, the caller all others there are."""
        self.person_hears = person
        ours = self._room.local_participant.track_publications
        theirs = {track.sid for track in person.values()}
        hearers = {self._caller: [track for track in ours if track not in theirs]}
        hearers |= {who: [track.sid] for who, track in person.items()}
        self._room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[
                rtc.ParticipantTrackPermission(participant_identity=who, allowed_track_sids=tracks)
                for who, tracks in hearers.items()
            ],
        )


class RoomPerson:
    """A `lines.base.Person` in the caller's room."""

    def __init__(self, bridge: RoomBridge, number: str, trunk_id: str, ring_seconds: int) -> None:
        self._bridge = bridge
        self._room = bridge.room
        self._server = LiveKit()
        self.identity = f"person_{secrets.token_hex(4)}"
        self.joined = False
        self._number = number
        self._trunk_id = trunk_id
        self._rings = timedelta(seconds=ring_seconds)
        self._speaker: RoomSpeaker | None = None
        self._publication: rtc.LocalTrackPublication | None = None
        self._keeping_apart: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._answered = False
        self._key_handler: Callable[[str], None] = lambda _key: None
        self._hang_up_handler: Callable[[], None] = lambda: None
        self._gone = False
        self._sent_away = False
        self._room.on("participant_connected", self._came)
        self._room.on("track_published", self._offered)
        self._room.on("sip_dtmf_received", self._pressed)
        self._room.on("participant_disconnected", self._left)
        self._room.on("participant_attributes_changed", self._changed)

    async def ring(self) -> CallAnswer:
        """Ring until they answer, and give them a track of their own. Raises LiveKitError."""
        try:
            await self._server.call_number(
                room=self._room.name,
                trunk_id=self._trunk_id,
                number=self._number,
                identity=self.identity,
                rings=self._rings,
                attributes={PERSON: "true"},
            )
        except CallNotAnswered as error:
            return answer_to_call(error.status)
        if self.identity not in self._room.remote_participants:
            raise LiveKitError("A person answered who never came into the room.")
        self._answered = True
        self._stop_keeping_apart()
        await self._server.allow_receiving(self._room.name, self.identity, allowed=False)
        await self._let_hear_each_other(wanted=False)
        await self._speak_to_them()
        return "accepted"

    async def hear(self, audio: AsyncIterator[rtc.AudioFrame]) -> None:
        """Say this to the person alone; returns when it was heard. Cancelled, it falls silent."""
        speaker = self._speaker
        if speaker is None:
            return
        try:
            async for frame in audio:
                await speaker.capture_frame(frame)
            speaker.flush()
            await speaker.wait_for_playout()
        except asyncio.CancelledError:
            speaker.flush()
            speaker.clear_buffer()
            raise

    def on_key(self, handler: Callable[[str], None]) -> None:
        self._key_handler = handler

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        self._hang_up_handler = handler
        if self._gone:
            handler()

    async def join(self) -> None:
        """Let the two hear each other. Raises LiveKitError; then they do not."""
        self._stop_keeping_apart()
        await self._let_hear_each_other(wanted=True)
        self.joined = self._bridge.joined = True

    async def send_away(self) -> None:
        """Hang up on the person, also while their telephone rings."""
        self._sent_away = True
        self._drop_handlers()
        self._stop_keeping_apart()
        await self._leave()
        if self._publication is not None:
            with contextlib.suppress(Exception):
                await self._room.local_participant.unpublish_track(self._publication.sid)
        if self._speaker is not None:
            await self._speaker.aclose()
        self._bridge.let_hear()

    async def _speak_to_them(self) -> None:
        # In this order: nobody but the person ever may receive the new track.
        self._bridge.let_hear()
        self._speaker = RoomSpeaker()
        self._publication = await self._speaker.publish(self._room)
        self._bridge.let_hear(**{self.identity: self._publication})
        await asyncio.sleep(SETTLES_SECONDS)
        await self._let_hear_each_other(wanted=False)
        await self._server.allow_receiving(self._room.name, self.identity, allowed=True)
        self._begin_keeping_apart()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._publication.wait_for_subscription(), HEARS_US_SECONDS)

    async def _let_hear_each_other(self, *, wanted: bool) -> None:
        """Whether each receives what the other says. Raises LiveKitError."""
        room, caller = self._room.name, self._bridge.caller
        sides = ((caller, self._tracks()), (self.identity, self._bridge.caller_tracks()))
        await asyncio.gather(
            *(
                self._server.set_subscriptions(room, who, tracks, wanted=wanted)
                for who, tracks in sides
                if tracks
            )
        )

    async def _keep_apart(self) -> None:
        for pause in AGAIN_AFTER:
            await asyncio.sleep(pause)
            # What fails here is done again, and at the latest as they answer.
            with contextlib.suppress(LiveKitError):
                if not self._answered:
                    await self._server.allow_receiving(self._room.name, self.identity, allowed=False)
                await self._let_hear_each_other(wanted=False)

    def _stop_keeping_apart(self) -> None:
        if self._keeping_apart is not None:
            self._keeping_apart.cancel()

    # What happens in the room

    def _came(self, who: rtc.RemoteParticipant) -> None:
        if who.identity != self.identity:
            return
        if self._sent_away:
            self._leaving = asyncio.create_task(self._leave())
        else:
            self._begin_keeping_apart()

    def _offered(self, _publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if who.identity == self.identity and not self._answered:
            self._begin_keeping_apart()

    def _begin_keeping_apart(self) -> None:
        self._stop_keeping_apart()
        self._keeping_apart = asyncio.create_task(self._keep_apart())

    async def _leave(self) -> None:
        with contextlib.suppress(LiveKitError):
            await self._server.remove_participant(self._room.name, self.identity)

    def _pressed(self, key: rtc.SipDTMF) -> None:
        if key.participant is not None and key.participant.identity == self.identity:
            self._key_handler(key.digit)

    def _left(self, who: rtc.RemoteParticipant) -> None:
        if who.identity == self.identity:
            self._hung_up()

    def _changed(self, _changed: dict[str, str], who: rtc.Participant) -> None:
        if who.identity == self.identity and who.attributes.get(STATUS) == "hangup":
            self._hung_up()

    def _hung_up(self) -> None:
        if not self._gone:
            self._gone = True
            if self._speaker is not None:
                self._speaker.close()
            self._hang_up_handler()

    def _tracks(self) -> list[str]:
        person = self._room.remote_participants.get(self.identity)
        return list(person.track_publications) if person else []

    def _drop_handlers(self) -> None:
        self._room.off("track_published", self._offered)
        self._room.off("sip_dtmf_received", self._pressed)
        self._room.off("participant_disconnected", self._left)
        self._room.off("participant_attributes_changed", self._changed)
