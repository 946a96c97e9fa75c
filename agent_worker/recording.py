"""What a call does with its recording: begins it when a consent covers it, leaves out what is sensitive, ends it.

The sound itself is `agent_worker.recorder`'s. A finished file stays where it was written until
`phone.recordings` has stored it.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from pathlib import Path

from livekit.agents.voice.speech_handle import SpeechHandle

from agent_worker.clock import CallClock
from agent_worker.ids import uuid7
from agent_worker.lines.base import Line
from agent_worker.recorder import Recorder
from agent_worker.timeline import CallTimeline
from phone.records import RecordingBegan, RecordingEnded

AFTER_THE_ANSWER = timedelta(milliseconds=1)
"""The first sample is later than the answer that permits it, also where a clock stands still between the two."""


class CallRecording:
    """The recordings of one call: none at a time, or one. `folder` None records nothing, whatever is permitted."""

    def __init__(self, *, line: Line, timeline: CallTimeline, clock: CallClock, folder: Path | None) -> None:
        self._line = line
        self._timeline = timeline
        self._clock = clock
        self.folder = folder
        """Where it records to."""
        self._recorder: Recorder | None = None
        self._running: uuid.UUID | None = None
        self._consent: uuid.UUID | None = None
        self._ran = False
        self._ended: list[tuple[uuid.UUID, datetime, Recorder]] = []

    @property
    def running(self) -> bool:
        """Whether this call is being recorded at this moment."""
        return self._recorder is not None

    @property
    def ever_ran(self) -> bool:
        """Whether anything of this call was recorded."""
        return self.running or self._ran

    def begin(self, consent: uuid.UUID) -> None:
        """Record from now on, as this ConsentRecord permits, if the line gives sound. Harmless while it runs."""
        if self.folder is None or not self._line.has_sound or self._recorder is not None:
            return
        at = self._clock.now() + AFTER_THE_ANSWER
        recording = uuid7(at)
        recorder = Recorder(
            self.folder / f"{recording}.ogg",
            after=AFTER_THE_ANSWER.total_seconds(),
            broken=self.stop,
        )
        self._recorder, self._running, self._consent = recorder, recording, consent
        self._line.record(recorder)
        self._timeline.recording_began(
            RecordingBegan(call=self._timeline.call, id=recording, at=at, consent=consent)
        )

    def stop(self) -> None:
        """Record nothing more. What was recorded so far is kept."""
        if self._recorder is None or self._running is None:
            return
        self._ran = True
        self._line.record(None)
        self._recorder.stop()
        self._ended.append((self._running, self._clock.now(), self._recorder))
        self._recorder = self._running = None
        self._timeline.recording("stopped")

    def set_aside(self) -> uuid.UUID | None:
        """Stop for something that is kept by itself. Returns the consent to `begin` again with, or None."""
        consent = self._consent if self.running else None
        self.stop()
        return consent

    async def finish(self) -> None:
        """Stop, and return when the files are whole and their rows are on their way to the database."""
        self.stop()
        while self._ended:
            recording, at, recorder = self._ended.pop(0)
            await recorder.finished()
            self._timeline.recording_ended(
                RecordingEnded(
                    call=self._timeline.call,
                    id=recording,
                    at=at,
                    seconds=recorder.seconds,
                    pauses=recorder.pauses,
                    cut_short=recorder.failed,
                )
            )

    def pressed(self) -> None:
        """The caller pressed a key."""
        if self._recorder is not None:
            self._recorder.pressed()

    def pause(self) -> None:
        """What the caller says from now on is sensitive."""
        if self._recorder is not None:
            self._recorder.pause()
            self._timeline.recording("paused")

    def resume(self) -> None:
        """What the caller says is no longer sensitive."""
        if self._recorder is not None:
            self._recorder.resume()
            self._timeline.recording("resumed")

    def leave_out(self, handle: SpeechHandle) -> None:
        """Nothing is heard of the clinic until this prompt is over."""
        recorder = self._recorder
        if recorder is not None:
            recorder.secret_begins()
            handle.add_done_callback(lambda _: recorder.secret_ends())
