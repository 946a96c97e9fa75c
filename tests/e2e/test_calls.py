"""Calls by telephone, on real servers: what the caller hears, and what stands on record afterwards."""

from __future__ import annotations

import pytest

from phone import wording
from phone.models import Call
from phone.wording import Utterance
from tests.e2e.conftest import NUMBER, Voice, in_database, until
from tests.e2e.telephone import Telephones
from tests.e2e.workers import Worker


async def only_call() -> Call:
    """The one call on record, once it has its final row."""

    async def ended() -> Call | None:
        return await in_database(lambda: Call.objects.exclude(outcome="").first())

    return await until(ended)


def question(voice: Voice, key: str) -> Utterance:
    return wording.say(voice.plan, key, "en")


async def test_a_caller_goes_by_keys_from_consent_to_the_receptionist(
    worker: Worker, voice: Voice, telephones: Telephones
) -> None:
    caller = await telephones.dial(NUMBER)
    await caller.hears(await voice.of(question(voice, "emergency"), seconds=2.0))
    await caller.press("1")
    caller.begin()
    await caller.press("1")
    await caller.hears(await voice.of(question(voice, "id_question")))
    caller.begin()
    await caller.press("4821#")
    await caller.hears_voice(1.0)
    caller.begin()
    await caller.press("1")
    await caller.hears_voice(1.0)
    await caller.hang_up()
    call = await only_call()
    print(call.outcome, call.ended_in_step, call.consent, call.origin)
    print(worker.written()[-3000:])
