"""Callers who want a person: the plan, the directory and the talk of their tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from clinic.models import Clinic
from phone.models import DirectoryEntry, PhoneLine
from phone.plan import ConsentRules, Menu, MenuOption, PhonePlan
from phone.plan import DirectoryEntry as Entry
from tests.agent_worker.calling import Caller, place_call
from tests.agent_worker.telephones import FakeBridge
from tests.phone.plans import a_plan, at

OUR_LINE = "+12125550142"
DESK = "+12125550143"
DENTIST = "+12125550144"
NIGHT = at("2026-11-27 22:30")
OPTIONS = (
    MenuOption(key="1", action="say", label={"en": "parking"}, message={"en": "Park behind the house."}),
    MenuOption(key="2", action="callback", label={"en": "billing"}),
    MenuOption(key="6", action="urgent", label={"en": "something urgent"}),
)
TONE = "after the tone"
WAYS_ON = "To leave a message, press 1. For the menu, press 2."


def an_entry(name: str = "Front desk", number: str = DESK, manner: Any = "cold") -> Entry:
    return Entry(
        name=name, number=number, manner=manner, spoken={"en": "our front desk", "es": "la recepción"}
    )


def a_plan_with(*entries: Entry, **fields: Any) -> PhonePlan:
    """A plan without consent; the first entry is called for a person."""
    wanted = {
        "consent": ConsentRules(policy="off"),
        "menus": (Menu(name="Main", options=OPTIONS),),
        "main_menu": "Main",
        "directory": entries,
        "person": entries[0].name if entries else "",
        "own_numbers": (OUR_LINE,),
    }
    return a_plan(**(wanted | fields))


def in_the_directory(*numbers: str, trunk_id: str = "ST_out") -> None:
    """What the office has entered by now, and its phone line."""
    clinic, _ = Clinic.objects.get_or_create(slug="bright-smile", defaults={"name": "Bright Smile Dental"})
    PhoneLine.objects.create(clinic=clinic, number=OUR_LINE, outbound_trunk_id=trunk_id)
    for number in numbers:
        DirectoryEntry.objects.create(clinic=clinic, name=number, number=number)


def asks_for_a_person(
    plan: PhonePlan, bridge: FakeBridge, after: Callable[..., Awaitable[None]], **fields: Any
) -> Caller:
    async def talk(caller: Caller) -> None:
        await caller.hears("press 1")
        caller.presses("0")
        await after(caller)

    return place_call(talk, plan=plan, bridge=bridge, dialled=OUR_LINE, **fields)


def answers_of(caller: Caller) -> list[str]:
    return [event["answer"] for event in caller.told("transfer")]


def seconds_to_words(caller: Caller) -> float:
    """From the end of the attempt to the next words."""
    attempt = max(position for position, event in enumerate(caller.events) if event["event"] == "transfer")
    words = next(event for event in caller.events[attempt:] if event["event"] == "prompt")
    return float(words["t"] - caller.events[attempt]["t"])
