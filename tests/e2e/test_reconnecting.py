"""Connections that break in a call and are made anew: on a mobile network between two cells, or where Wi-Fi ends."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from tests.e2e.conftest import Voice, at_the_menu, calls_on_record
from tests.e2e.telephone import Telephones

BACK_SECONDS = 15.0


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "how",
    [
        rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
        rtc.SimulateScenarioKind.SIMULATE_NODE_FAILURE,
    ],
)
async def test_a_caller_whose_connection_is_made_anew_goes_on_where_they_were(
    voice: Voice, telephones: Telephones, how: rtc.SimulateScenarioKind.ValueType
) -> None:
    caller = await at_the_menu(voice, telephones)
    await caller.press("1")
    await caller.hears(await voice.saying("id_question"))
    await caller.room.simulate_scenario(how)
    await asyncio.wait_for(caller.back.wait(), BACK_SECONDS)
    caller.begin()
    await caller.hears_voice()
    caller.begin()
    await caller.press("4821#1")
    await caller.hears(await voice.saying("receptionist_intro", seconds=1.0))
    await caller.hang_up()
    (call,) = await calls_on_record()
    assert (call.outcome, call.ended_in_step) == ("caller_hung_up", "receptionist")
