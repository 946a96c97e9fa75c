"""A call in a LiveKit room: a telephone that livekit-sip brought there, or a browser.

livekit-sip tells of a telephone by its participant's attributes; docs/telephony.md says which ones count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from livekit.agents.voice.io import AudioInput, AudioOutput
from livekit.rtc.room import EventTypes

from agent_worker.lines.base import Ear, KeyPress
from agent_worker.lines.room_audio import RoomMicrophone, RoomSpeaker
from agent_worker.lines.room_bridge import RoomBridge
from agent_worker.lines.room_presence import CallerPresence
from agent_worker.lines.room_screen import RoomScreen
from phone.room_lines import CALLER, DIALLED, e164, is_person

log = logging.getLogger(__name__)

T = TypeVar("T")

STATUS = "sip.callStatus"
KEYS_FORWARDED = "sip.sendDtmf"
EPOCH = "clinic.epoch"
"""Our own attribute: which agent of the call this is. Of two, the one with the lower number leaves."""

CALLER_COMES_SECONDS = 20.0
"""How long the room may be empty of callers before the call counts as given up."""

ANSWERED_SECONDS = 30.0
"""How long livekit-sip may take from our joining to the answered call."""

HEARS_US_SECONDS = 10.0
"""How long the caller's side may take to subscribe to our track before we speak all the same."""

LAST_WORD_SECONDS = 0.3
"""What was played takes so long to reach the caller's ear; the room stays until then."""

DELETE_SECONDS = 5.0

TRANSFER_TOLD_SECONDS = 2.0
"""A caller who was handed over leaves the room, and so long after it we are told at the latest that they were."""

SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
REMOVED = rtc.DisconnectReason.PARTICIPANT_REMOVED
JOINING = datetime.max.replace(tzinfo=UTC)
CALLERS = (SIP, rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD)
"""The kinds of participants that call us. Agents, recorders and the like do not."""


class RoomLine:
    """A `lines.base.Line` on a LiveKit room with one caller. Whoever else comes in is neither heard nor obeyed.

    Make it with `join`.
    """

    def __init__(
        self,
        ctx: JobContext,
        caller: rtc.RemoteParticipant,
        speaker: RoomSpeaker,
        publishing: asyncio.Task[rtc.LocalTrackPublication],
        epoch: int = 1,
    ) -> None:
        telephone = caller.kind == SIP
        attributes = caller.attributes
        self.origin = "phone" if telephone else "browser"
        self.caller = e164(attributes.get(CALLER, ""))
        self.dialled = e164(attributes.get(DIALLED, "")) or attributes.get(DIALLED, "")
        self.room = ctx.room.name
        self.keys_forwarded = not telephone or attributes.get(KEYS_FORWARDED) == "true"
        self.has_sound = True
        self._ctx = ctx
        self._epoch = epoch
        self._room = ctx.room
        self._identity = caller.identity
        self._screen = None if telephone else RoomScreen(ctx.room, caller.identity)
        self._speaker = speaker
        self._publishing = publishing
        self._microphone = RoomMicrophone()
        self.bridge: RoomBridge | None = None
        self.audio_input: AudioInput | None = self._microphone
        self.audio_output: AudioOutput = speaker
        self._key_handler: Callable[[KeyPress], None] | None = None
        self._hang_up_handler: Callable[[], None] | None = None
        self._early_keys: list[KeyPress] = []
        self._receiving = False
        self._gone = False
        self._closed = False
        self._room.on("sip_dtmf_received", self._pressed)
        self._presence = CallerPresence(ctx.room, caller.identity, self._caller_left)
        self._room.on("participant_attributes_changed", self._changed)
        self._room.on("participant_connected", self._came)
        self._room.on("disconnected", self._lost)
        self._room.on("reconnected", self._reconnected)
        self._room.on("track_published", self._offered)
        self._room.on("track_subscribed", self._opened)
        if self._room.remote_participants.get(self._identity) is None:
            self.caller_gone()

    @classmethod
    async def join(cls, ctx: JobContext, epoch: int = 1) -> RoomLine | None:
        """Join this job's room, and return the line once its caller is there and connected.

        None when there is no caller, or none any more; the room is closed then. `epoch` is above 1 for an agent
        that goes on with the call of one that died.
        """
        await ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
        if epoch > 1:
            await ctx.room.local_participant.set_attributes({EPOCH: str(epoch)})
        speaker = RoomSpeaker()
        publishing = asyncio.create_task(speaker.publish(ctx.room))
        try:
            caller = await _when(ctx.room, CALLER_EVENTS, lambda: _caller_in(ctx.room), CALLER_COMES_SECONDS)
            # Keys that are pressed from here on count.
            line = cls(ctx, caller, speaker, publishing, epoch)
            await _when(ctx.room, STATUS_EVENTS, lambda: line._gone or _answered(caller), ANSWERED_SECONDS)
        except TimeoutError:
            # Its name is left out: it holds the caller's number.
            log.warning("a room had no caller to answer")
            publishing.cancel()
            await _close(ctx)
            return None
        if caller.kind == SIP:
            line.bridge = RoomBridge(ctx.room, caller.identity)
        line._let_caller_hear()
        return line

    # What the call does with the line

    @property
    def voice_on(self) -> bool:
        """Whether the caller sends sound: a telephone always does, a page while its microphone is on."""
        return any(not track.muted for track in self._microphones())

    def on_key(self, handler: Callable[[KeyPress], None]) -> None:
        """Call `handler` for each key, those pressed before now included."""
        self._key_handler = handler
        early, self._early_keys = self._early_keys, []
        for press in early:
            handler(press)

    def on_text(self, handler: Callable[[str], None]) -> None:
        """Call `handler` for each text that is typed in a browser. Nobody types on a telephone."""
        if self._screen is not None:
            self._screen.on_text(handler)

    def on_hang_up(self, handler: Callable[[], None]) -> None:
        """Call `handler` once when the caller is gone; soon, when that has happened already."""
        self._hang_up_handler = handler
        if self._gone:
            asyncio.get_running_loop().call_soon(handler)

    def show(self, event: dict[str, object]) -> None:
        """Show one call event in a browser. A telephone has no screen."""
        if self._screen is not None and not self._gone:
            self._screen.show(event)

    def listen(self, wanted: bool) -> None:
        """Hand on the caller's voice, or no longer."""
        self._microphone.listening = wanted
        self._receive()

    def record(self, ear: Ear | None) -> None:
        """Let `ear` hear both sides."""
        self._microphone.ear = self._speaker.ear = ear
        self._receive()

    async def opened(self) -> None:
        """Return when the caller's side has subscribed to our track, or after `HEARS_US_SECONDS`.

        Raises PublishTrackError where livekit-server refuses the track.
        """
        if self._gone:
            return
        publication = await self._publishing
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(publication.wait_for_subscription(), HEARS_US_SECONDS)

    async def hang_up(self) -> None:
        """Let queued audio play out, then delete the room: the caller's telephone hears the line close."""
        if self._closed:
            return
        self._closed = True
        if self.bridge is not None and self.bridge.joined:
            self._leave_to_person()
            return
        if not self._gone:
            await self._speaker.drain()
            if self._screen is not None:
                await self._screen.flush()
            await asyncio.sleep(LAST_WORD_SECONDS)
        self._gone = True
        self._presence.close()
        self._publishing.cancel()
        self._microphone.close()
        await _close(self._ctx)
        await self._speaker.aclose()

    def _leave_to_person(self) -> None:
        """The caller and a person talk to each other: go, and leave the room to them."""
        self._gone = True
        self._presence.close()
        self._speaker.close()
        self._microphone.close()

    def caller_gone(self) -> None:
        """The caller hung up or lost the connection. Only the first time counts."""
        if self._gone:
            return
        self._gone = True
        self._presence.close()
        if self._hang_up_handler is not None:
            self._hang_up_handler()
        self._speaker.close()
        self._microphone.close()

    def _receive(self) -> None:
        """Subscribe to the caller's microphone, or let go of it: unsubscribed audio never leaves the server."""
        wanted = self._microphone.listening or self._microphone.ear is not None
        if wanted == self._receiving or self._gone:
            return
        self._receiving = wanted
        if not wanted:
            self._microphone.shut()
        for publication in self._microphones():
            publication.set_subscribed(wanted)

    def _let_caller_hear(self) -> None:
        """Nobody else who comes into the room hears what is said to this caller."""
        if self.bridge is not None and self.bridge.person_hears:
            self.bridge.let_hear(**self.bridge.person_hears)
            return
        self._room.local_participant.set_track_subscription_permissions(
            allow_all_participants=False,
            participant_permissions=[
                rtc.ParticipantTrackPermission(participant_identity=self._identity, allow_all=True)
            ],
        )

    async def _introduce(self) -> None:
        """Say again of ourselves what livekit-server forgot: it has us as a new participant."""
        self._let_caller_hear()
        if self._epoch > 1:
            await self._room.local_participant.set_attributes({EPOCH: str(self._epoch)})

    # What happens in the room

    def _reconnected(self) -> None:
        self._introducing = asyncio.create_task(self._introduce())

    def _pressed(self, key: rtc.SipDTMF) -> None:
        if key.participant is None or key.participant.identity != self._identity:
            return
        press = KeyPress(key.digit)
        if self._key_handler is None:
            self._early_keys.append(press)
        else:
            self._key_handler(press)

    def _caller_left(self) -> None:
        if self.bridge is not None and self.bridge.referring:
            asyncio.get_running_loop().call_later(TRANSFER_TOLD_SECONDS, self.caller_gone)
        else:
            self.caller_gone()

    def _changed(self, _changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == self._identity and participant.attributes.get(STATUS) == "hangup":
            self._caller_left()
        self._came(participant)

    def _came(self, participant: rtc.Participant) -> None:
        if participant.kind == AGENT and _epoch_of(participant) > self._epoch:
            self._give_over()

    def _lost(self, reason: object) -> None:
        if reason == REMOVED:
            self._give_over()
        self.caller_gone()

    def _give_over(self) -> None:
        """Another agent has the call: go, and leave the room and its caller to that one."""
        self._closed = True
        self.caller_gone()

    def _offered(self, publication: rtc.RemoteTrackPublication, caller: rtc.RemoteParticipant) -> None:
        if self._receiving and self._is_microphone(publication, caller):
            publication.set_subscribed(True)

    def _opened(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, caller: rtc.RemoteParticipant
    ) -> None:
        if self._receiving and self._is_microphone(publication, caller):
            self._microphone.open(track)

    def _is_microphone(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> bool:
        return (
            participant.identity == self._identity and publication.source == rtc.TrackSource.SOURCE_MICROPHONE
        )

    def _microphones(self) -> list[rtc.RemoteTrackPublication]:
        caller = self._room.remote_participants.get(self._identity)
        if caller is None:
            return []
        return [track for track in caller.track_publications.values() if self._is_microphone(track, caller)]


CALLER_EVENTS: tuple[EventTypes, ...] = ("participant_connected", "participant_active")
STATUS_EVENTS: tuple[EventTypes, ...] = (
    "participant_attributes_changed",
    "participant_disconnected",
    "disconnected",
)


def _caller_in(room: rtc.Room) -> rtc.RemoteParticipant | None:
    """Who called: a telephone before a browser, and of those the first to come."""
    callers = [
        guest
        for guest in room.remote_participants.values()
        if guest.kind in CALLERS and not is_person(guest.attributes)
    ]
    return min(callers, key=lambda guest: (guest.kind != SIP, guest.joined_at or JOINING), default=None)


def _answered(caller: rtc.RemoteParticipant) -> bool:
    return caller.kind != SIP or caller.attributes.get(STATUS, "active") == "active"


def _epoch_of(agent: rtc.Participant) -> int:
    with contextlib.suppress(ValueError):
        return int(agent.attributes.get(EPOCH, "1"))
    return 1


async def _when(
    room: rtc.Room, events: Iterable[EventTypes], look: Callable[[], T | None], seconds: float
) -> T:
    """What `look` finds, as soon as it finds something; it looks again at each of `events`. Raises TimeoutError."""
    happened = asyncio.Event()

    def note(*_: object) -> None:
        happened.set()

    for event in events:
        room.on(event, note)
    try:
        async with asyncio.timeout(seconds):
            while not (found := look()):
                happened.clear()
                await happened.wait()
            return found
    finally:
        for event in events:
            room.off(event, note)


async def _close(ctx: JobContext) -> None:
    """Delete the room, which hangs up on everybody in it."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ctx.delete_room(), DELETE_SECONDS)
