"""When the caller's audio leaves livekit-server: only while a step listens, as the track's subscriptions show.

A recording receives it as well, and is left out here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from phone.models import ConsentRecord, PhoneSettings
from tests.e2e.conftest import NUMBER, Apart, Voice, calls_on_record, hears_the_menu, in_database, until
from tests.e2e.servers import LiveKitServer
from tests.e2e.telephone import Telephone, Telephones
from tests.providers import DeepgramServer

pytestmark = pytest.mark.long

PAUSE = 1.5
"""Seconds of silence that are longer than any within a sentence."""


@pytest_asyncio.fixture
async def deepgram() -> AsyncIterator[DeepgramServer]:
    async with DeepgramServer() as server:
        yield server


@pytest.fixture
def hearing(deepgram: DeepgramServer) -> dict[str, str]:
    """The environment of a worker that has somebody to understand callers."""
    return {"DEEPGRAM_API_KEY": "local", "DEEPGRAM_BASE_URL": deepgram.url}


async def sent(server: LiveKitServer, tracks: int) -> None:
    """Return once so many tracks are sent to somebody. The clinic's voice is one of them."""

    async def counted() -> bool | None:
        return await asyncio.to_thread(lambda: server.subscriptions) == tracks or None

    await until(counted)


async def hears_the_consent_question_to_its_end(voice: Voice, caller: Telephone) -> None:
    await caller.hears(await voice.saying("consent_question"), within=30)
    await caller.hears_silence(PAUSE)
    caller.begin()


def choose(**settings: object) -> None:
    """Change the clinic's settings, for the next call."""
    row = PhoneSettings.objects.get()
    for name, value in settings.items():
        setattr(row, name, value)
    row.save()


async def ready(apart: Apart, **variables: str) -> None:
    await asyncio.to_thread(apart.start(WORKER_WARM=2, **variables).ready)


async def test_a_service_outside_receives_callers_only_after_a_yes_and_never_their_id(
    voice: Voice,
    apart: Apart,
    telephones_apart: Telephones,
    deepgram: DeepgramServer,
    hearing: dict[str, str],
) -> None:
    await in_database(lambda: choose(covers_recording=False))
    await ready(apart, **hearing)
    hasty = await telephones_apart.dial(NUMBER)
    await hasty.hears_voice()
    hasty.begin()
    await hasty.press("1")
    await hears_the_menu(voice, hasty)
    # A yes before the question's end permits nothing but going on.
    await hasty.hears_silence(PAUSE)
    assert hasty.subscriptions == 0
    await hasty.hang_up()

    caller = await telephones_apart.dial(NUMBER)
    await hears_the_consent_question_to_its_end(voice, caller)
    assert caller.subscriptions == 0
    assert deepgram.asked == []
    await caller.press("1")
    await hears_the_menu(voice, caller)
    await sent(apart.livekit, 2)
    await deepgram.was_asked()
    assert caller.subscriptions == 1
    caller.begin()
    await deepgram.hears("appointments please")
    await caller.hears(await voice.saying("id_question"))
    await sent(apart.livekit, 1)
    received = deepgram.audio_bytes
    assert received > 0
    await caller.hears_silence(PAUSE)
    await caller.press("4821")
    await caller.hears_silence(PAUSE)
    assert deepgram.audio_bytes == received
    await caller.hang_up()
    assert len(await calls_on_record(2)) == 2


async def test_a_recogniser_on_this_machine_hears_the_consent_only_where_words_may_give_it(
    voice: Voice,
    apart: Apart,
    telephones_apart: Telephones,
    deepgram: DeepgramServer,
    hearing: dict[str, str],
) -> None:
    await in_database(lambda: choose(covers_recording=False))
    await ready(apart, SPEECH_STT_LOCAL="true", **hearing)
    caller = await telephones_apart.dial(NUMBER)
    await caller.hears(await voice.saying("emergency"))
    assert caller.subscriptions == 0
    await caller.hears(await voice.saying("consent_question"), within=30)
    await sent(apart.livekit, 2)
    await deepgram.was_asked()
    caller.begin()
    await deepgram.hears("yes")
    await hears_the_menu(voice, caller)
    await caller.hang_up()
    await calls_on_record()
    consent = await in_database(ConsentRecord.objects.get)
    assert (consent.decision, consent.how) == ("given", "voice")

    await in_database(lambda: choose(consent_input=PhoneSettings.ConsentInput.KEYPAD_ONLY))
    caller = await telephones_apart.dial(NUMBER)
    await hears_the_consent_question_to_its_end(voice, caller)
    assert caller.subscriptions == 0
    await caller.press("1")
    await hears_the_menu(voice, caller)
    await sent(apart.livekit, 2)
    assert caller.subscriptions == 1
