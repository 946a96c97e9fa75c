"""One call's timeline: every event once, told to whoever watches and stored through the record writer.

The one place where events are made and masked. Observers (the phone page, `simulate_call --json`) and the
database get the same events; only the caller's own words are left out of the database unless consent covers
a transcript.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from agent_worker.clock import CallClock
from agent_worker.ids import uuid7
from agent_worker.sealed import Sealed
from phone.records import (
    CallEnded,
    CallStarted,
    ConsentDecided,
    EntryMade,
    EventHappened,
    HandedOver,
    Heartbeat,
    LanguageChosen,
    PatientIdentified,
    Record,
    RecordingBegan,
    RecordingEnded,
    RequestTaken,
)
from phone.wording import Utterance

MASK = "•"
EVENTS_OF_AN_AGENT = 100_000
"""Each agent of a call counts its events from here on anew, because nobody knows how far a dead one came."""

HEARTBEAT_SECONDS = 5.0

Event = dict[str, Any]


class Writer(Protocol):
    """Where records go."""

    def put(self, record: Record) -> None:
        """Take one record and return at once."""

    async def drain(self) -> None:
        """Return when everything put so far is stored."""


class CallTimeline:
    """Makes the events and records of one call. Every method returns at once."""

    def __init__(
        self, *, call: uuid.UUID, clinic_id: int, clock: CallClock, writer: Writer, epoch: int = 1
    ) -> None:
        self.call = call
        self.epoch = epoch
        self.clock = clock
        self.transcript_allowed = False
        self._clinic_id = clinic_id
        self._writer = writer
        self._seq = (epoch - 1) * EVENTS_OF_AN_AGENT
        self._observers: list[Callable[[Event], None]] = []

    def watch(self, observer: Callable[[Event], None]) -> None:
        """Call `observer` with each event: `event`, `t` in seconds since the answer, and its fields."""
        self._observers.append(observer)

    def started(
        self,
        *,
        line_id: int | None,
        plan_version_id: int | None,
        plan_version: int,
        origin: str,
        dialled: str,
        caller: str,
        language: str,
        after_hours: bool,
        room: str = "",
    ) -> None:
        """The call was answered."""
        at = self.clock.now()
        self._writer.put(
            CallStarted(
                call=self.call,
                at=at,
                clinic_id=self._clinic_id,
                line_id=line_id,
                plan_version_id=plan_version_id,
                origin=origin,
                caller=caller,
                language=language,
                after_hours=after_hours,
                room=room,
            )
        )
        public = {"id": str(self.call), "line": dialled, "from": caller, "plan_version": plan_version}
        stored = {"plan_version": plan_version}
        self._tell("call", "", public | {"at": at.isoformat()}, stored)

    def resumed(self) -> None:
        """Another agent goes on with the call, because the last one died."""
        self.heartbeat()
        self._tell("resumed", "", {})

    def step(self, step: str) -> None:
        """The call goes on with `step`."""
        self._tell("step", step, {})

    def prompt(self, step: str, utterance: Utterance, *, asks: bool) -> None:
        """A prompt begins; `asks` tells whether it wants an answer."""
        self._tell("prompt", step, {"text": utterance.text, "asks": asks})

    def reply(self, step: str, text: str) -> None:
        """A sentence begins that a model made from what the caller said: kept only where their words are."""
        public = {"text": text, "asks": True}
        self._tell("prompt", step, public, public if self.transcript_allowed else {"asks": True})

    def silenced(self, step: str) -> None:
        """The caller cut the prompt."""
        self._tell("silenced", step, {})

    def key(self, step: str, key: str, *, sensitive: bool) -> None:
        """The caller pressed a key and a step took it."""
        self._tell("key", step, {"key": MASK if sensitive else key})

    def speech(self, step: str, text: str, *, sensitive: bool) -> None:
        """The caller said or typed `text`."""
        public = {"text": MASK if sensitive else text}
        self._tell("speech", step, public, public if self.transcript_allowed else {})

    def entry(
        self,
        step: str,
        *,
        attempt: int,
        source: str,
        outcome: str,
        digits: str,
        sealed: Sealed | None,
        first_key_after: float | None,
        took: float | None,
    ) -> None:
        """One input was decided. `digits` is masked already where `sealed` holds them; times in seconds."""
        at = self.clock.now()
        self._writer.put(
            EntryMade(
                call=self.call,
                id=uuid7(at),
                at=at,
                step=step,
                attempt=attempt,
                source=source,
                outcome=outcome,
                digits=digits,
                digits_ciphertext=sealed.ciphertext if sealed else None,
                digits_key=sealed.key_id if sealed else "",
                first_key_after=first_key_after,
                took=took,
            )
        )
        fields = {"source": source, "outcome": outcome, "attempt": attempt, "digits": digits}
        self._tell("entry", step, fields)

    def consent(
        self,
        *,
        decision: str,
        how: str,
        language: str,
        wording: str,
        covers: tuple[bool, bool, bool],
        asked_at: datetime | None,
        heard_to_end: bool,
        answer: str = "",
    ) -> uuid.UUID:
        """The consent question was decided. `covers` is recording, transcript, outside processing.

        `answer` is the key, or which kind of words it was: never the words. Returns the id of its ConsentRecord.
        """
        at = self.clock.now()
        consent = uuid7(at)
        recording, transcript, outside = covers
        self.transcript_allowed = transcript
        self._writer.put(
            ConsentDecided(
                call=self.call,
                id=consent,
                at=at,
                decision=decision,
                how=how,
                language=language,
                wording=wording,
                covers_recording=recording,
                covers_transcript=transcript,
                covers_outside_processing=outside,
                asked_at=asked_at,
                heard_to_end=heard_to_end,
                answer=answer,
            )
        )
        fields = {"decision": decision, "heard_to_end": heard_to_end, "recording": recording}
        self._tell("consent", "consent", fields)
        return consent

    def message_consent(
        self, *, language: str, wording: str, asked_at: datetime, heard_to_end: bool
    ) -> uuid.UUID:
        """The caller was told that a message is kept, and stayed. Changes nothing about the call's own consent.

        Returns the id of its ConsentRecord.
        """
        at = self.clock.now()
        consent = uuid7(at)
        self._writer.put(
            ConsentDecided(
                call=self.call,
                id=consent,
                at=at,
                decision="given",
                how="stayed",
                language=language,
                wording=wording,
                covers_recording=True,
                covers_transcript=False,
                covers_outside_processing=False,
                asked_at=asked_at,
                heard_to_end=heard_to_end,
                subject="message",
            )
        )
        return consent

    def recording_began(self, record: RecordingBegan) -> None:
        """The call is recorded from now on."""
        self._writer.put(record)
        self.recording("started")

    def recording(self, state: str) -> None:
        """The recording has `started`, `paused` for what is sensitive, `resumed`, or `stopped`."""
        self._tell("recording", "", {"state": state})

    def recording_ended(self, record: RecordingEnded) -> None:
        """A recording's file is whole."""
        self._writer.put(record)

    def menu(self, *, menu: str, option: str, action: str) -> None:
        """The caller chose an option."""
        self._tell("menu", "menu", {"menu": menu, "option": option, "action": action})

    def patient(self, outcome: str, patient_id: int | None = None) -> None:
        """The patient step ended. `patient_id` is the row of an identified patient."""
        if patient_id is not None:
            self._writer.put(PatientIdentified(call=self.call, at=self.clock.now(), patient_id=patient_id))
        self._tell("patient", "patient_id", {"outcome": outcome})

    def transfer(self, *, to: str, manner: str, answer: str) -> None:
        """The caller is being put through to the directory's entry `to`, or was, or was not: `answer` says which."""
        self._tell("transfer", "transfer", {"to": to, "manner": manner, "answer": answer})

    def handed_over(self) -> None:
        """The last record of a call that goes on with a person and without us."""
        self._writer.put(HandedOver(call=self.call, at=self.clock.now(), epoch=self.epoch))

    def language(self, language: str) -> None:
        """The caller switched to `language`."""
        self._writer.put(LanguageChosen(call=self.call, at=self.clock.now(), language=language))
        self._tell("language", "", {"language": language})

    def request_stored(self, request: RequestTaken) -> None:
        """Store a request as it stands; its event follows when it is settled."""
        self._writer.put(request)

    def request(self, request: RequestTaken) -> None:
        """A request is settled: confirmed, or left unconfirmed by a hang-up."""
        fields = {"kind": request.kind, "priority": request.priority, "confirmed": request.confirmed}
        self._tell("request", "request", fields)

    def heartbeat(self) -> None:
        """The call is alive."""
        self._writer.put(Heartbeat(call=self.call, at=self.clock.now(), epoch=self.epoch))

    async def beat(self) -> None:
        """Tell again and again that the call is alive, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.heartbeat()

    def ended(self, *, outcome: str, served: str, step: str) -> None:
        """The last event and the final row."""
        at = self.clock.now()
        duration = round(self.clock.elapsed(), 3)
        self._tell("ended", step, {"outcome": outcome, "duration": duration, "served": served})
        self._writer.put(
            CallEnded(
                call=self.call,
                at=at,
                outcome=outcome,
                served=served,
                ended_in_step=step,
                epoch=self.epoch,
            )
        )

    def _tell(self, kind: str, step: str, public: Event, stored: Event | None = None) -> None:
        at = self.clock.now()
        self._seq += 1
        self._writer.put(
            EventHappened(
                call=self.call,
                id=uuid7(at),
                at=at,
                seq=self._seq,
                kind=kind,
                step=step,
                data=public if stored is None else stored,
            )
        )
        event = {"event": kind, "t": round(self.clock.elapsed(), 3)}
        if step:
            event["step"] = step
        for observer in self._observers:
            observer(event | public)
