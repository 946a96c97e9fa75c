"""A telephone in a LiveKit room, as livekit-sip puts it there: the same kind of participant, with real RTP audio."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from livekit import api, rtc

from agent_worker.lines.native import silence_native_log
from agent_worker.lines.room_audio import BITRATE, SOURCE_RESTS_SECONDS
from phone.livekit_settings import AGENT_NAME

RATE = 48_000
FRAME_SECONDS = 0.01
HEARD_SECONDS = 0.1
"""What is heard comes in pieces of this length: twenty telephones in one process are work enough."""

FRAME_OF_SOUND = 0.1
"""Seconds of sound that are handed over at a time."""

WAITS_MILLISECONDS = 300
"""So much sound waits to be sent, or a frame more: it rides out a busy machine."""

HUM_LOUD, HUM_HERTZ = 200.0, 440.0
"""A soft tone: what a caller's room sounds like."""

SPEAKS_LOUD, KEY_LOUD = 4000.0, 6000.0
AUDIBLE = 150.0
"""Root mean square of 16 bit samples from which on something is heard."""

LIKE = 0.65
"""From this correlation of loudness over time on, it is the same sentence. Another one stays below 0.55."""

SMOOTHED = 8
"""Frames that are averaged: the jitter buffer stretches what is heard by a few milliseconds here and there."""

BEGINNING = 150
"""Frames of a sentence that suffice to recognise it by."""

GAP = 0.15
"""Seconds of silence beyond a sentence's own pauses from which on there is a gap in it."""

LOOK_EVERY = 0.2
KEYS = "0123456789*#ABCD"
TONES = {
    key: (low, high)
    for low, row in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for high, key in zip((1209, 1336, 1477, 1633), row, strict=True)
}
"""The two frequencies of each key, in hertz (ITU-T Q.23)."""

Loudness = np.ndarray[Any, np.dtype[np.float64]]
Samples = np.ndarray[Any, np.dtype[np.int16]]


def loudness(samples: Samples, rate: int) -> Loudness:
    """How loud `samples` are, one value for each 10 ms."""
    size = int(rate * FRAME_SECONDS)
    whole = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    return np.sqrt((whole**2).mean(axis=1))


def smoothed(loud: Loudness) -> Loudness:
    """A moving average of `loud`."""
    return np.convolve(loud, np.ones(SMOOTHED) / SMOOTHED, "valid")


def longest_silence(loud: Sequence[float] | Loudness) -> float:
    """Seconds of the longest stretch in which nothing is heard."""
    longest = silent = 0
    for each in loud:
        silent = silent + 1 if each < AUDIBLE else 0
        longest = max(longest, silent)
    return longest * FRAME_SECONDS


class Ear:
    """What the telephone has heard: how loud each 10 ms were, and when they came in loop time."""

    def __init__(self) -> None:
        self.loud: list[float] = []
        self.at: list[float] = []
        self._more = asyncio.Event()

    async def listen(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream(
            track, sample_rate=RATE, num_channels=1, frame_size_ms=round(HEARD_SECONDS * 1000)
        )
        loop = asyncio.get_running_loop()
        async for event in stream:
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            self.keep(samples)
            heard = loudness(samples, RATE)
            began = loop.time() - len(heard) * FRAME_SECONDS
            self.loud += heard.tolist()
            self.at += [began + (place + 1) * FRAME_SECONDS for place in range(len(heard))]
            self._more.set()

    def keep(self, samples: Samples) -> None:
        """Take what was heard just now."""

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

    def began(self, clip: Loudness, since: int) -> int:
        """The frame with which the most similar stretch began."""
        return since + int(self._likenesses(clip, since).argmax())

    def _likenesses(self, clip: Loudness, since: int) -> Loudness:
        if len(self.loud) - since < len(clip):
            return np.zeros(0)
        heard, clip = smoothed(np.array(self.loud[since:])), smoothed(clip)
        windows = np.lib.stride_tricks.sliding_window_view(heard, len(clip))
        wanted = clip - clip.mean()
        centred = windows - windows.mean(axis=1, keepdims=True)
        strength = np.linalg.norm(centred, axis=1) * np.linalg.norm(wanted)
        return centred @ wanted / np.maximum(strength, 1e-9)


class GoodMemory(Ear):
    """Keeps the sound of all that was heard."""

    def __init__(self) -> None:
        super().__init__()
        self._sound: list[Samples] = [np.zeros(0, dtype=np.int16)]

    def keep(self, samples: Samples) -> None:
        self._sound.append(samples.copy())

    def sound(self) -> Samples:
        """All of it, `RATE` samples a second."""
        return np.concatenate(self._sound)


class Telephone:
    """Somebody with a telephone. Use `Telephones.dial` to make one."""

    def __init__(self, ear: Ear | None = None) -> None:
        self.room = rtc.Room()
        self.ear = ear or Ear()
        self.closed = asyncio.Event()
        """The line is closed: nobody can be heard any more."""
        self.back = asyncio.Event()
        """The connection to livekit-server had broken, and was made anew."""
        self.answered = asyncio.Event()
        self.subscriptions = 0
        """How often somebody has begun to receive this telephone's audio."""
        self._since = 0
        self._frame = _sound(HUM_LOUD, HUM_HERTZ)
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_published", self._offered)
        self.room.on("track_subscribed", self._hear)
        self.room.on("disconnected", lambda _reason: self.closed.set())
        self.room.on("reconnected", self._is_back)
        self.room.on("local_track_subscribed", self._heard_by_somebody)

    async def connect(self, url: str, token: str, *, hums: bool = True) -> None:
        """Ring: join the room, and send the hum of the caller's room until something is said, or nothing at all."""
        await self.room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        self._take_what_is_offered()
        # Without a queue, nobody looks into it each 10 ms for what there is to encode.
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=WAITS_MILLISECONDS if hums else 0)
        track = rtc.LocalAudioTrack.create_audio_track("telephone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        # Opus has half the work with it, of twenty telephones in one process.
        options.audio_encoding.max_bitrate = BITRATE
        await self.room.local_participant.publish_track(track, options)
        if hums:
            self._tasks.append(asyncio.create_task(self._hum()))

    async def press(self, keys: str, *, gap: float = 0.05) -> None:
        """Press these keys, `gap` seconds apart."""
        for position, key in enumerate(keys):
            if position:
                await asyncio.sleep(gap)
            await self.room.local_participant.publish_dtmf(code=KEYS.index(key), digit=key)

    async def speak(self, hertz: float = 300.0) -> None:
        """Say something, as loud as people do, until `fall_silent`: a tone that a recording can be searched for.

        Returns as its first samples leave the telephone.
        """
        await self._say(_sound(SPEAKS_LOUD, hertz))

    async def fall_silent(self) -> None:
        """Say nothing more; what is left is the hum of the room."""
        await self._say(_sound(HUM_LOUD, HUM_HERTZ))

    async def press_aloud(self, keys: str) -> None:
        """Press these keys on a telephone whose tones are heard in its audio too, also before the key arrives.

        Between the tones, and after them, whatever was said before goes on.
        """
        spoken = self._frame
        for key in keys:
            await self._say(_sound(KEY_LOUD, *TONES[key]))
            await asyncio.sleep(0.1)
            await self.press(key)
            await self._say(spoken)
            await asyncio.sleep(0.1)

    async def hang_up(self) -> None:
        """Put the receiver down."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._source.clear_queue()
        await asyncio.sleep(SOURCE_RESTS_SECONDS)
        await self.room.disconnect()
        # The room tells its listeners of it most of the time only.
        self.closed.set()

    def begin(self) -> None:
        """From here on count what is heard."""
        self._since = len(self.ear.loud)

    async def hears_voice(self, seconds: float = 0.3, *, within: float = 10.0) -> None:
        """Hear something for so long altogether, since `begin`."""
        await self._until(lambda: self.ear.audible_seconds(self._since) >= seconds, within, "hears no voice")

    async def hears(self, clip: Loudness, *, within: float = 15.0) -> None:
        """Hear this very sentence, since `begin`."""
        await self.hears_one_of({"that sentence": clip}, within=within)

    async def hears_one_of(self, clips: Mapping[str, Loudness], *, within: float = 15.0) -> str:
        """Hear one of these sentences, since `begin`; its name."""
        looked = self._since
        likest = dict.fromkeys(clips, 0.0)

        def heard() -> bool:
            nonlocal looked
            since, looked = looked, max(looked, len(self.ear.loud) - max(map(len, clips.values())))
            for name, clip in clips.items():
                likest[name] = max(likest[name], self.ear.likeness(clip, since))
            return max(likest.values()) >= LIKE

        try:
            await self._until(heard, within, f"does not hear {' or '.join(clips)}")
        except AssertionError as error:
            raise AssertionError(f"{error} The most similar one: {max(likest.values()):.2f}.") from None
        return max(likest, key=lambda name: likest[name])

    async def hears_without_a_gap(self, sentence: Loudness, *, within: float = 15.0) -> None:
        """Hear this whole sentence, since `begin`, with no silence in it but its own pauses."""
        beginning = sentence[:BEGINNING]
        await self.hears(beginning, within=within)
        first = self.ear.began(beginning, self._since)
        last = first + len(sentence)
        length = len(sentence) * FRAME_SECONDS
        await self._until(lambda: len(self.ear.loud) >= last, within + length, "does not hear its end")
        assert self.ear.likeness(sentence[-BEGINNING:], last - 2 * BEGINNING) >= LIKE, (
            "Its end was another one."
        )
        silent = longest_silence(self.ear.loud[first:last])
        assert silent <= longest_silence(sentence) + GAP, f"The caller heard nothing for {silent:.2f} s."

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

    def _take_what_is_offered(self) -> None:
        for guest in self.room.remote_participants.values():
            for publication in guest.track_publications.values():
                self._offered(publication, guest)

    def _is_back(self) -> None:
        self._take_what_is_offered()
        self.back.set()

    def _hear(
        self, track: rtc.RemoteTrack, _publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        self.answered.set()
        self._tasks.append(asyncio.create_task(self.ear.listen(track)))

    def _heard_by_somebody(self, _track: object) -> None:
        self.subscriptions += 1

    async def _hum(self) -> None:
        """Say what there is to say: the hum of a caller's room is proof that audio really flows."""
        while True:
            await self._source.capture_frame(self._frame)

    async def _say(self, frame: rtc.AudioFrame) -> None:
        self._frame = frame
        await asyncio.sleep(self._source.queued_duration)


def _sound(loud: float, *hertz: float) -> rtc.AudioFrame:
    """These tones at once. The frame fits onto itself where `hertz * FRAME_OF_SOUND` is whole."""
    moment = np.arange(int(RATE * FRAME_OF_SOUND)) / RATE
    wave = loud * np.sum([np.sin(2 * math.pi * each * moment) for each in hertz], axis=0)
    return rtc.AudioFrame(wave.astype(np.int16).tobytes(), RATE, 1, moment.size)


class Server(Protocol):
    """Where to call, and what proves that one may."""

    @property
    def url(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def secret(self) -> str: ...


class Telephones:
    """Makes calls to the clinic as livekit-sip would bring them in."""

    def __init__(self, server: Server, *, agent: str = AGENT_NAME) -> None:
        # Not the telephones' business, and not their process's work.
        silence_native_log()
        self._server = server
        self._agent = agent
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
        ear: Ear | None = None,
        telephone: Telephone | None = None,
        hums: bool = True,
    ) -> Telephone:
        """Call `dialled` from `caller`; returns when the telephone is in its room and rings.

        Of twenty telephones that all hum, this process has more work than it can do in time.
        """
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
            agents = [api.RoomAgentDispatch(agent_name=self._agent)]
            token = token.with_room_config(api.RoomConfiguration(agents=agents))
        telephone = telephone or Telephone(ear)
        await telephone.connect(self._server.url, token.to_jwt(), hums=hums)
        self._calling.append(telephone)
        return telephone

    async def hang_up_all(self) -> None:
        await asyncio.gather(*(telephone.hang_up() for telephone in self._calling), return_exceptions=True)
