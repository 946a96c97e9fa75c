"""Whenever consent is answered, nothing from before is recorded: many calls over real servers, by decoding the files.

Each caller speaks one tone until the answer, and another one from then on. The worker has a recogniser of its own, so
that it receives callers while it asks them: the first tone is there to be recorded, and must not be in any file. The
recogniser makes words of the second tone, which are to be kept of those who agreed, and of nobody else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from django.utils import timezone

from phone import services, wording
from phone.consent_evidence import consent_evidence, evidence_document
from phone.models import Call, CallEvent, ConsentRecord, PhoneSettings, Recording
from phone.recordings import open_sound
from tests.e2e.conftest import NUMBER, Apart, Voice, calls_on_record, in_database, until
from tests.e2e.telephone import SPEAKS_LOUD, Telephones
from tests.providers import DeepgramServer
from tests.sounds import LISTENS_SECONDS, RATE, Samples, amplitudes, caller_side

pytestmark = pytest.mark.long

CALLS = int(os.environ.get("CONSENT_CALLS", "20"))
"""How many calls there are. 200 take eight minutes on two cores: `CONSENT_CALLS=200 make e2e ARGS="-k moments"`."""

AT_ONCE = 8
REFUSE, SAY_NOTHING = 0.2, 0.1
"""The shares of the callers who press 2, and who press nothing."""

BEFORE_HERTZ, AFTER_HERTZ = 3100.0, 1900.0
FOUND = SPEAKS_LOUD / 10
"""From this amplitude on a tone is found: the other one, and what its beginning sounds like, stay far below."""

WORDS = "my knee is sore"
WORDS_AFTER_SECONDS = 0.4
"""For so long the recogniser hears somebody before it makes words of that."""


def seconds_of(samples: Samples, rate: int, hertz: float) -> float:
    """For how long this tone can be found."""
    return float((amplitudes(samples, hertz, rate=rate) > FOUND).sum()) * LISTENS_SECONDS


class ToneRecogniser(DeepgramServer):
    """Hears both tones, and says `WORDS` once on each connection that has brought enough of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.before: defaultdict[web.WebSocketResponse, float] = defaultdict(float)
        """Seconds of the first tone that each connection brought."""
        self._after: defaultdict[web.WebSocketResponse, float] = defaultdict(float)

    async def received(self, connection: web.WebSocketResponse, pcm: bytes, rate: int) -> None:
        await super().received(connection, pcm, rate)
        samples = np.frombuffer(pcm, np.int16)
        self.before[connection] += seconds_of(samples, rate, BEFORE_HERTZ)
        heard = self._after[connection]
        self._after[connection] += seconds_of(samples, rate, AFTER_HERTZ)
        if heard < WORDS_AFTER_SECONDS <= self._after[connection]:
            await self.hears(WORDS, connection)


@dataclass(frozen=True)
class Answered:
    """What one caller did: `key` is empty where nothing was pressed, and `at` the moment of the press."""

    number: str
    key: str
    at: datetime | None
    hung_up_at: datetime


class Callers:
    """Everybody who calls, at most `AT_ONCE` at a time."""

    def __init__(self, telephones: Telephones, latest: float) -> None:
        self._telephones = telephones
        self._latest = latest
        self._lines = asyncio.Semaphore(AT_ONCE)
        self._chance = random.Random()

    async def call(self, count: int) -> list[Answered]:
        refuse, say_nothing = round(count * REFUSE), round(count * SAY_NOTHING)
        keys = ["2"] * refuse + [""] * say_nothing + ["1"] * (count - refuse - say_nothing)
        self._chance.shuffle(keys)
        calls = [self._call(number, key) for number, key in enumerate(keys)]
        return await asyncio.gather(*calls)

    async def _call(self, number: int, key: str) -> Answered:
        caller_number = f"+1415555{number:04}"
        moment = self._chance.uniform(0, self._latest)
        async with self._lines:
            caller = await self._telephones.dial(NUMBER, caller=caller_number)
            await caller.speak(BEFORE_HERTZ)
            await caller.hears_voice(0.05, within=60)
            answered_at = None
            if key:
                await asyncio.sleep(moment)
                await caller.speak(AFTER_HERTZ)
                answered_at = timezone.now()
                await caller.press(key)
            else:
                await until(lambda: in_database(decision_of(caller_number)), seconds=90, every=0.5)
                await caller.speak(AFTER_HERTZ)
            await until(lambda: in_database(words_understood_of(caller_number)), seconds=30, every=0.3)
            await caller.hang_up()
            return Answered(caller_number, key, answered_at, timezone.now())


def decision_of(number: str) -> Callable[[], ConsentRecord | None]:
    return ConsentRecord.objects.filter(call__caller_number=number).first


def words_understood_of(number: str) -> Callable[[], CallEvent | None]:
    return CallEvent.objects.filter(kind="speech", call__caller_number=number).first


async def latest_moment(voice: Voice) -> float:
    """Seconds after the first word that a caller hears, by which the last one has answered."""
    greeting = wording.greeting(voice.plan, "en", datetime.now(UTC), keys=True)
    question = wording.consent_question(voice.plan, "en", keys=True)
    frames = [len(await voice.of(each, seconds=60)) for each in (greeting, question)]
    return sum(frames) / 100 + 1.5


def early_answers_count() -> None:
    settings = PhoneSettings.objects.get()
    settings.early_answer_permits_recording = True
    settings.on_refusal = PhoneSettings.Refusal.CONTINUE
    settings.first_key_timeout = 3.0
    settings.save()


def kept_after_the_yes(call: Call, consent: ConsentRecord, answered: Answered) -> tuple[float, float]:
    """Check what there is of a caller who agreed.

    Returns the seconds from the answer to the first sample, and from there to the caller's first sound.
    """
    recording = call.recordings.get()
    assert answered.at is not None and recording.ended_at is not None
    assert answered.at < consent.answered_at < recording.started_at
    with open_sound(recording) as stored:
        sound = stored.read()
    evidence = consent_evidence(call)
    parts = evidence_document(evidence, made_at=timezone.now()).parts
    assert evidence.sound
    assert parts["recording 1"]["decision"] == parts["decision 1"]["id"]
    assert parts["recording 1"]["sha256"] == hashlib.sha256(sound).hexdigest()
    answer, first = (
        datetime.fromisoformat(parts[part][moment])
        for part, moment in (("decision 1", "answered_at"), ("recording 1", "first_sample_at"))
    )
    assert first > answer
    caller = caller_side(sound)
    assert caller.size / RATE < (answered.hung_up_at - answered.at).total_seconds() + 0.5
    before, after = (amplitudes(caller, hertz) for hertz in (BEFORE_HERTZ, AFTER_HERTZ))
    strongest = int(before.argmax())
    assert before.max() < FOUND, (
        f"{strongest * LISTENS_SECONDS:.2f} s after the first sample there is what was said before the answer: "
        f"{before[strongest - 2 : strongest + 3].round()} beside {after[strongest - 2 : strongest + 3].round()}."
    )
    assert (after > FOUND).any(), "The caller spoke on, and is not heard."
    assert words_of(call) == [{"text": WORDS}]
    heard_after = float((after > FOUND).argmax()) * LISTENS_SECONDS
    return (first - answer).total_seconds(), heard_after


def all_stored() -> bool | None:
    """Bring what waits into the storage, unless the worker has. True once it is all there."""
    services.recordings_store_waiting(now=timezone.now())
    return not Recording.objects.exclude(state=Recording.State.STORED).exists() or None


def files_in(data: Path) -> set[Path]:
    """Everything that is kept of what was heard."""
    folders = data / "recordings", data / "media"
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def words_of(call: Call) -> list[dict[str, str]]:
    return list(call.events.filter(kind="speech").values_list("data", flat=True))


@pytest.mark.crowd
async def test_whenever_callers_answer_nothing_from_before_is_kept_and_nothing_at_all_without_a_yes(
    voice: Voice, apart: Apart, telephones_apart: Telephones, data: Path, settings
) -> None:
    settings.DATA_DIR, settings.MEDIA_ROOT = data, data / "media"
    there_already = files_in(data)
    await in_database(early_answers_count)
    async with ToneRecogniser() as recogniser:
        hearing = {"DEEPGRAM_API_KEY": "local", "DEEPGRAM_BASE_URL": recogniser.url}
        worker = apart.start(WORKER_WARM=3, SPEECH_STT_LOCAL="true", **hearing)
        await asyncio.to_thread(worker.ready)
        callers = Callers(telephones_apart, await latest_moment(voice))
        made = await callers.call(CALLS)
        await calls_on_record(CALLS)
        await until(lambda: in_database(all_stored), seconds=30, every=0.5)

    def check() -> None:
        decisions: Counter[str] = Counter()
        while_asked, waits, silences = 0, [], []
        for answered in made:
            call = Call.objects.get(caller_number=answered.number)
            consent = call.consents.get()
            decisions[consent.decision] += 1
            if answered.key:
                while_asked += not consent.heard_to_end
            if consent.decision == ConsentRecord.Decision.GIVEN:
                kept = kept_after_the_yes(call, consent, answered)
                waits.append(kept[0])
                silences.append(kept[1])
            else:
                assert not call.recordings.exists()
                assert words_of(call) == [{}]
        assert decisions == {
            {"1": "given", "2": "refused", "": "no_answer"}[key]: count
            for key, count in Counter(answered.key for answered in made).items()
        }
        files = [data / "media" / recording.file for recording in Recording.objects.all()]
        assert files_in(data) - there_already == set(files) and len(files) == decisions["given"]
        print(
            f"{CALLS} calls: {dict(decisions)}, {while_asked} answered before the question was over; "
            f"first sample {min(waits) * 1000:.1f} to {max(waits) * 1000:.1f} ms after the answer, "
            f"the caller's first sound {min(silences):.2f} to {max(silences):.2f} s after that; "
            f"the worker heard {sum(bool(seconds) for seconds in recogniser.before.values())} of them before"
        )

    await in_database(check)
    assert sum(seconds > 0.5 for seconds in recogniser.before.values()) > CALLS / 5
