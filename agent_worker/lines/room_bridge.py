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
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from livekit import rtc

from agent_worker.lines.room_audio import RoomSpeaker
from phone.livekit_api import CallAnswer, LiveKit, LiveKitError, PersonCall
from phone.room_lines import PERSON

log = logging.getLogger(__name__)

STATUS = "sip.callStatus"
HEARS_US_SECONDS = 3.0
"""How long the person's side may take to subscribe to our track before we speak all the same."""


class RoomBridge:
    """A `lines.base.Bridge` for the telephone `caller` in `room`, who hears the track `voice`."""

    def __init__(self, room: rtc.Room, caller: str, voice: str) -> None:
        self._room = room
        self._caller = caller
        self._voice = voice
        self.referring = False
        """Whether a transfer is under way: the caller leaves the room before we are told that it was accepted."""
        self.joined = False
        """Whether a person has the call now."""

    async def refer(self, number: str, *, ring_seconds: int) -> CallAnswer:
        """Hand the caller over by REFER."""
        self.referring = True
        try:
            return await LiveKit().transfer(self._room.name, self._caller, number, ring_seconds=ring_seconds)
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

    def let_hear(self, **person: str) -> None:
        """Who may receive our tracks: the caller their own, and a person (identity → track) theirs."""
        hearers = {self._caller: self._voice, **person}
        self._room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[
                rtc.ParticipantTrackPermission(participant_identity=who, allowed_track_sids=[track])
                for who, track in hearers.items()
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
        self._call = PersonCall(
            trunk_id=trunk_id,
            number=number,
            room=self._room.name,
            identity=self.identity,
            ring_seconds=ring_seconds,
            attributes={PERSON: "true"},
        )
        self._speaker: RoomSpeaker | None = None
        self._publication: rtc.LocalTrackPublication | None = None
        self._apart: list[asyncio.Task[None]] = []
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
        answer = await self._server.ring_person(self._call)
        if answer != "accepted":
            return answer
        await asyncio.gather(*self._apart)
        if not self._apart:
            raise LiveKitError("A person answered who never came into the room.")
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
        caller, theirs = self._bridge.caller, self._tracks()
        room = self._room.name
        await asyncio.gather(
            self._server.set_subscriptions(room, caller, theirs, wanted=True),
            self._server.set_subscriptions(room, self.identity, self._bridge.caller_tracks(), wanted=True),
        )
        self.joined = self._bridge.joined = True

    async def send_away(self) -> None:
        """Hang up on the person, also while their telephone rings."""
        self._sent_away = True
        self._drop_handlers()
        with contextlib.suppress(LiveKitError):
            await self._server.remove_participant(self._room.name, self.identity)
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
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self._publication = await self._room.local_participant.publish_track(self._speaker.track(), options)
        self._bridge.let_hear(**{self.identity: self._publication.sid})
        room = self._room.name
        await self._server.set_subscriptions(room, self.identity, self._bridge.caller_tracks(), wanted=False)
        await self._server.allow_receiving(room, self.identity, allowed=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._publication.wait_for_subscription(), HEARS_US_SECONDS)

    # What happens in the room

    def _came(self, who: rtc.RemoteParticipant) -> None:
        if who.identity != self.identity:
            return
        if self._sent_away:
            self._keep_apart(self._server.remove_participant(self._room.name, self.identity))
            return
        self._keep_apart(self._server.allow_receiving(self._room.name, self.identity, allowed=False))

    def _offered(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if who.identity == self.identity and not self.joined:
            self._keep_apart(
                self._server.set_subscriptions(
                    self._room.name, self._bridge.caller, [publication.sid], wanted=False
                )
            )

    def _keep_apart(self, doing: Coroutine[Any, Any, None]) -> None:
        self._apart.append(asyncio.create_task(doing))

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
