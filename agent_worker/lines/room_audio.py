"""The two ways of audio in a LiveKit room: what the caller hears, and what the call hears of the caller."""

from __future__ import annotations

import asyncio
import contextlib

from livekit import rtc
from livekit.agents.voice.io import AudioInput

from agent_worker.lines.base import Ear
from agent_worker.lines.pacing import SAMPLE_RATE, PacedAudio

LONGEST_FRAME = 0.5
"""Seconds. Each frame costs this process the same, however long it is."""

LEAD = 0.5
"""Seconds of audio handed to WebRTC ahead of time: rides out a busy machine. A key empties it at once."""

BITRATE = 96_000
"""Bits a second, at most. At so many Opus needs no model of a voice any more, which is half of the encoder's work."""

SOURCE_MILLISECONDS = 2000
"""What WebRTC's queue can hold, far more than is ever in it."""

SOURCE_RESTS_SECONDS = 0.03
"""Its own thread looks for audio each 10 ms. Freed in the middle of a frame, that thread never ends, nor we with it."""

MICROPHONE_RATE = SAMPLE_RATE
MICROPHONE_FRAME_MILLISECONDS = 100
"""Half as long ones cost a recorded call another 0.6 % of a core."""
MICROPHONE_BACKLOG = 20
"""Frames kept for a step that is slow to listen: two seconds."""


class RoomSpeaker(PacedAudio):
    """An audio sink that is a track in the room. `clear_buffer()` silences it within a packet or two."""

    def __init__(self) -> None:
        self._source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=SOURCE_MILLISECONDS)
        self._sending: set[asyncio.Task[None]] = set()
        super().__init__(send=self._capture, clear=self._empty, longest_frame=LONGEST_FRAME, lead=LEAD)

    async def publish(self, room: rtc.Room) -> rtc.LocalTrackPublication:
        """Publish this sink as a track in `room`. Raises PublishTrackError where livekit-server refuses it."""
        track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        options.audio_encoding.max_bitrate = BITRATE
        return await room.local_participant.publish_track(track, options)

    def close(self) -> None:
        super().close()
        self._empty()

    async def aclose(self) -> None:
        """Let go of the track's source."""
        self.close()
        await asyncio.sleep(SOURCE_RESTS_SECONDS)
        await self._source.aclose()

    def _empty(self) -> None:
        for sending in self._sending:
            sending.cancel()
        self._source.clear_queue()

    def _capture(self, piece: bytes) -> None:
        frame = rtc.AudioFrame(piece, SAMPLE_RATE, 1, len(piece) // 2)
        # Tasks begin in the order in which they are made, and each hands over its audio before it first waits.
        sending = asyncio.create_task(self._hand_over(frame))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _hand_over(self, frame: rtc.AudioFrame) -> None:
        # A source whose room is gone refuses: the call learns of that by itself.
        with contextlib.suppress(Exception):
            await self._source.capture_frame(frame)


def start_webrtc() -> rtc.LocalAudioTrack:
    """Start WebRTC in this process, ahead of its call. It runs for as long as what is returned is kept."""
    loop = asyncio.new_event_loop()
    # Without a queue: that would have a thread, which looks into it each 10 ms.
    silent = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=0, loop=loop)
    loop.close()
    return rtc.LocalAudioTrack.create_audio_track("none", silent)


class RoomMicrophone(AudioInput):
    """The audio of one caller's track, received between `open` and `shut`.

    Frames come out only while `listening`, and go to `ear` while there is one.
    """

    def __init__(self) -> None:
        super().__init__(label="room")
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self.listening = False
        self.ear: Ear | None = None

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self._frames.get()
        if frame is None:
            raise StopAsyncIteration
        return frame

    def open(self, track: rtc.RemoteTrack) -> None:
        """Begin to take frames from `track`."""
        self.shut()
        self._reading = asyncio.create_task(self._read(track))

    def shut(self) -> None:
        """Take no more frames."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def close(self) -> None:
        """End the iteration after the frames that are in already."""
        self.shut()
        self._frames.put_nowait(None)

    async def _read(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.AudioStream.from_track(
            track=track,
            sample_rate=MICROPHONE_RATE,
            num_channels=1,
            frame_size_ms=MICROPHONE_FRAME_MILLISECONDS,
        )
        try:
            async for event in stream:
                self._take(event.frame)
        finally:
            await stream.aclose()

    def _take(self, frame: rtc.AudioFrame) -> None:
        if self.ear is not None:
            self.ear.caller_said(bytes(frame.data.cast("B")), frame.sample_rate)
        if not self.listening:
            return
        if self._frames.qsize() >= MICROPHONE_BACKLOG:
            self._frames.get_nowait()
        self._frames.put_nowait(frame)
