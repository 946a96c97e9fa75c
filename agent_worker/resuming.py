"""The rest of a call whose agent died: an excuse, then the menu."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from agent_worker.call_flow import CallFlow, Step
from agent_worker.conversation import Conversation
from phone.resuming import Resumable


@dataclass(frozen=True)
class ResumeOrder:
    """A job that is no new call: which call to go on with, and as which of its agents."""

    call: uuid.UUID
    epoch: int


def resume_order(metadata: str) -> ResumeOrder | None:
    """The order in a job's metadata, `{"resume": "<call id>", "epoch": 2}`; None for a new call."""
    try:
        order = json.loads(metadata)
        return ResumeOrder(call=uuid.UUID(order["resume"]), epoch=int(order["epoch"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class ResumedFlow(CallFlow):
    """A `CallFlow` that begins where the caller can choose again. What they decided before still holds."""

    def __init__(self, conversation: Conversation, resumed: Resumable) -> None:
        super().__init__(conversation)
        self._resumed = resumed
        conversation.outside_allowed = resumed.outside_allowed
        conversation.timeline.transcript_allowed = resumed.transcript_allowed
        conversation.patient_id = resumed.patient_id
        conversation.progress.informed = resumed.informed
        conversation.progress.requests.update((request.id, request) for request in resumed.requests)

    async def welcome(self) -> Step | None:
        """Say what happened, and go on at the menu. The consent on record still holds; none means unrecorded."""
        conversation = self.conversation
        conversation.enter("menu")
        if self._resumed.recording_consent is not None:
            conversation.recording.begin(self._resumed.recording_consent)
        await conversation.say(conversation.words("cut_off"), must_hear=True)
        return self.menu
