"""A telephone in a LiveKit room, as livekit-sip puts it there: the same kind of participant, with real RTP audio."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from livekit import api, rtc

from phone.livekit_settings import AGENT_NAME
from tests.e2e.servers import LiveKitServer

RATE = 48_000
FRAME_SECONDS = 0.01
AUDIBLE = 150.0
"""Root mean square of 16 bit samples from which on something is heard."""

LIKE = 0.65
"""From this correlation of loudness over time on, it is the same sentence. Another one stays below 0.55."""

SMOOTHED = 8
"""Frames that are averaged: the jitter buffer stretches what is heard by a few milliseconds here and there."""

LOOK_EVERY = 0.05
KEYS = "0123456789*#ABCD"
Loudness = np.ndarray[Any, np.dtype[np.float64]]


def loudness(samples: np.ndarray[Any, np.dtype[np.int16]], rate: int) -> Loudness:
    """How loud `samples` are, one value for each 10 ms."""
    size = int(rate * FRAME_SECONDS)
    whole = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    return np.sqrt((whole**2).mean(axis=1))


def smoothed(loud: Loudness) -> Loudness:
    """A moving average of `loud`."""
    return np.convolve(loud, np.ones(SMOOTHED) / SMOOTHED, "valid")


class Ear:
    """What the telephone has heard: how loud each 10 ms were, and when they came in loop time."""

    def __init__(self) -> None:
        self.loud: list[float] = []
        self.at: list[float] = []
        self._more = asyncio.Event()

    async def listen(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        loop = asyncio.get_running_loop()
        async for event in stream:
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            self.loud.append(float(np.sqrt((samples.astype(np.float64) ** 2).mean())))
            self.at.append(loop.time())
            self._more.set()

    async def more(self) -> None:
        """Return when more was heard."""
        self._more.clear()
        await self._more.wait()

    def audible_seconds(self, since: int = 0) -> float:
        """How long something was to be heard, from frame `since` on."""
        return sum(loud > AUDIBLE for loud in self.loud[since:]) * FRAME_SECONDS

    def likeness(self, clip: Loudness, since: int) -> float:
        """How like `clip` the most similar stretch is that was heard from frame `since` on: 1 is the same."""
        return float(self._likenesses(clip, since).max(initial=0.0))

    def began(self, clip: Loudness, since: int) -> float:
        """When, in loop time, the most similar stretch began to be heard."""
        return self.at[since + int(self._likenesses(clip, since).argmax())]

    def _likenesses(self, clip: Loudness, since: int) -> Loudness:
        if len(self.loud) - since < len(clip):
            return np.zeros(0)
        heard, clip = smoothed(np.array(self.loud[since:])), smoothed(clip)
        windows = np.lib.stride_tricks.sliding_window_view(heard, len(clip))
        wanted = clip - clip.mean()
        centred = windows - windows.mean(axis=1, keepdims=True)
        strength = np.linalg.norm(centred, axis=1) * np.linalg.norm(wanted)
        return centred @ wanted / np.maximum(strength, 1e-9)


class Telephone:
    """Somebody with a telephone. Use `Telephones.dial` to make one."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.ear = Ear()
        self.closed = asyncio.Event()
        """The line is closed: nobody can be heard any more."""
        self.answered = asyncio.Event()
        self.amplitude = 200
        """How loud what is said into the telephone is: too soft to count as heard, if nothing else is said."""
        self.subscriptions = 0
        """How often somebody has begun to receive this telephone's audio."""
        self._since = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_published", self._offered)
        self.room.on("track_subscribed", self._hear)
        self.room.on("disconnected", lambda _reason: self.closed.set())
        self.room.on("local_track_subscribed", self._heard_by_somebody)

    async def connect(self, url: str, token: str) -> None:
        """Ring: join the room, and send silence until something is said."""
        await self.room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        for guest in self.room.remote_participants.values():
            for publication in guest.track_publications.values():
                self._offered(publication, guest)
        self._source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("telephone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._hum()))

    async def press(self, keys: str, *, gap: float = 0.05) -> None:
        """Press these keys, `gap` seconds apart."""
        for position, key in enumerate(keys):
            if position:
                await asyncio.sleep(gap)
            await self.room.local_participant.publish_dtmf(code=KEYS.index(key), digit=key)

    async def hang_up(self) -> None:
        """Put the receiver down."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    def begin(self) -> None:
        """From here on count what is heard."""
        self._since = len(self.ear.loud)

    async def hears_voice(self, seconds: float = 0.3, *, within: float = 10.0) -> None:
        """Hear something for so long altogether, since `begin`."""
        await self._until(lambda: self.ear.audible_seconds(self._since) >= seconds, within, "hears no voice")

    async def hears(self, clip: Loudness, *, within: float = 15.0) -> None:
        """Hear this very sentence, since `begin`."""
        looked, best = self._since, 0.0

        def heard() -> bool:
            nonlocal looked, best
            since, looked = looked, max(looked, len(self.ear.loud) - len(clip))
            best = max(best, self.ear.likeness(clip, since))
            return best >= LIKE

        try:
            await self._until(heard, within, "does not hear that sentence")
        except AssertionError as error:
            raise AssertionError(f"{error} The most similar one: {best:.2f}.") from None

    async def hears_silence(self, seconds: float = 0.5, *, within: float = 20.0) -> None:
        """Hear nothing for so long."""
        frames = int(seconds / FRAME_SECONDS)
        await self._until(
            lambda: len(self.ear.loud) >= self._since + frames and max(self.ear.loud[-frames:]) < AUDIBLE,
            within,
            "is never left in peace",
        )

    async def hears_the_line_close(self, *, within: float = 15.0) -> None:
        """Be hung up on."""
        await asyncio.wait_for(self.closed.wait(), within)

    async def _until(self, found: Any, within: float, complaint: str) -> None:
        try:
            async with asyncio.timeout(within):
                while not found():
                    await self.ear.more()
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            heard = self.ear.audible_seconds(self._since)
            raise AssertionError(f"The caller {complaint} in {within} s ({heard:.1f} s of voice).") from None

    def _offered(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            publication.set_subscribed(True)

    def _hear(
        self, track: rtc.RemoteTrack, _publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        self.answered.set()
        self._tasks.append(asyncio.create_task(self.ear.listen(track)))

    def _heard_by_somebody(self, _track: object) -> None:
        self.subscriptions += 1

    async def _hum(self) -> None:
        """A soft tone: what a caller's room sounds like, and proof that audio really flows."""
        size = int(RATE * 0.02)
        wave = np.sin(2 * math.pi * 440 * np.arange(size) / RATE)
        while True:
            samples = (self.amplitude * wave).astype(np.int16)
            frame = rtc.AudioFrame(samples.tobytes(), RATE, 1, size)
            await self._source.capture_frame(frame)


class Telephones:
    """Makes calls to the clinic as livekit-sip would bring them in."""

    def __init__(self, server: LiveKitServer) -> None:
        self._server = server
        self._calling: list[Telephone] = []

    async def dial(
        self,
        dialled: str,
        *,
        caller: str = "+15551234567",
        attributes: Mapping[str, str] | None = None,
        kind: str = "sip",
        room: str = "",
        dispatch: bool = True,
        telephone: Telephone | None = None,
    ) -> Telephone:
        """Call `dialled` from `caller`; returns when the telephone is in its room and rings."""
        room = room or f"dental-_{caller}_{secrets.token_hex(4)}"
        sip = {
            "sip.phoneNumber": caller,
            "sip.trunkPhoneNumber": dialled,
            "sip.callStatus": "active",
            "sip.callID": f"SCL_{secrets.token_hex(6)}",
            "sip.sendDtmf": "true",
        }
        token = (
            api.AccessToken(self._server.key, self._server.secret)
            .with_identity(f"{kind}_{caller}_{secrets.token_hex(2)}")
            .with_kind(kind)  # type: ignore[arg-type]
            .with_attributes({**(sip if kind == "sip" else {}), **(attributes or {})})
            .with_grants(api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True))
        )
        if dispatch:
            agents = [api.RoomAgentDispatch(agent_name=AGENT_NAME)]
            token = token.with_room_config(api.RoomConfiguration(agents=agents))
        telephone = telephone or Telephone()
        await telephone.connect(self._server.url, token.to_jwt())
        self._calling.append(telephone)
        return telephone

    async def hang_up_all(self) -> None:
        await asyncio.gather(*(telephone.hang_up() for telephone in self._calling), return_exceptions=True)
