"""What a model can do on a call: four tools, and nothing that needs trust. Pure.

A tool only says what the caller wants; the call does it. None books, looks up or tells anything about a patient.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from livekit.agents.llm import FunctionToolCall, RawFunctionTool, function_tool
from pydantic import BaseModel, ConfigDict, ValidationError

from agent_worker import instructions
from agent_worker.model_view import discreet

LONGEST_NOTE = 300


@dataclass(frozen=True, slots=True)
class RequestWanted:
    """The caller wants the office to call. `part_of_day` is empty where they did not say; `note` has no digits."""

    kind: Literal["appointment", "callback", "message"]
    part_of_day: Literal["morning", "afternoon", "any", ""] = ""
    urgent: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class HoursWanted:
    """The caller wants to know when the clinic is open."""


@dataclass(frozen=True, slots=True)
class PersonWanted:
    """The caller wants a person."""


@dataclass(frozen=True, slots=True)
class NothingWanted:
    """The caller has nothing more to ask."""


Wanted = RequestWanted | HoursWanted | PersonWanted | NothingWanted

WITHOUT_ARGUMENTS: dict[str, Wanted] = {
    "office_hours": HoursWanted(),
    "reach_person": PersonWanted(),
    "end_call": NothingWanted(),
}


class _TakeRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["appointment", "callback", "message"]
    part_of_day: Literal["morning", "afternoon", "any", "unknown"] = "unknown"
    urgent: bool = False
    note: str = ""


def tools() -> list[RawFunctionTool[..., Coroutine[Any, Any, None]]]:
    """The tools as a model is told of them."""
    return [function_tool(_declared, raw_schema=schema) for schema in instructions.table("tools").values()]


def read_call(call: FunctionToolCall, language: str) -> Wanted | None:
    """What a tool call asks for, or None when there is no such tool or its arguments are not what it takes."""
    if call.name != "take_request":
        return WITHOUT_ARGUMENTS.get(call.name)
    try:
        given = _TakeRequest.model_validate_json(call.arguments or "{}")
    except ValidationError:
        return None
    return RequestWanted(
        kind=given.kind,
        part_of_day="" if given.part_of_day == "unknown" else given.part_of_day,
        urgent=given.urgent,
        note=discreet(" ".join(given.note.split()), language)[:LONGEST_NOTE],
    )


async def _declared(raw_arguments: dict[str, Any]) -> None:
    """Tools are read with `read_call`, never run."""
