"""Asks a model what an answer meant that no phrase matches: one call, one tool, a short limit."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from livekit.agents import APIConnectOptions, APIError
from livekit.agents.llm import ChatContext, RawFunctionTool, function_tool

from agent_worker.model_view import deciding_instructions, discreet
from agent_worker.speech import TIMEOUT, Speech

logger = logging.getLogger(__name__)

NONE = "none"


async def decide_with_model(
    speech: Speech, question: str, choices: Mapping[str, str], text: str, *, language: str = "en"
) -> str | None:
    """The key of the choice that `text` means, or None: it means none, or no model says so in time.

    `choices` is key → what it stands for. Callers of this have asked `model_view.may_use_model` before.
    """
    if speech.llm is None:
        return None
    chat = ChatContext.empty()
    chat.add_message(role="system", content=deciding_instructions(question, choices))
    chat.add_message(role="user", content=discreet(text, language))
    limits = APIConnectOptions(max_retry=0, timeout=TIMEOUT)
    try:
        async with asyncio.timeout(TIMEOUT):
            stream = speech.llm.chat(
                chat_ctx=chat, tools=[_choose(choices)], tool_choice="required", conn_options=limits
            )
            response = await stream.collect()
    except (APIError, TimeoutError) as error:
        logger.warning("no model decided: %s", type(error).__name__)
        return None
    return _chosen(response.tool_calls[0].arguments, choices) if response.tool_calls else None


def _chosen(arguments: str, choices: Mapping[str, str]) -> str | None:
    try:
        choice = json.loads(arguments)["choice"]
    except (ValueError, KeyError, TypeError):
        return None
    return choice if isinstance(choice, str) and choice in choices else None


def _choose(choices: Mapping[str, str]) -> RawFunctionTool[..., Coroutine[Any, Any, None]]:
    schema = {
        "name": "choose",
        "description": "Say which choice the caller means.",
        "parameters": {
            "type": "object",
            "properties": {"choice": {"type": "string", "enum": [*choices, NONE]}},
            "required": ["choice"],
            "additionalProperties": False,
        },
    }
    return function_tool(_declared, raw_schema=schema)


async def _declared(raw_arguments: dict[str, object]) -> None:
    """The tool is read, never run."""
