"""The one way to the LiveKit server: an asynchronous method for each of its endpoints that the phone uses.

Trunks, rules and rooms go in and come out as this package's own values; a message of LiveKit's never leaves it.
Every method raises LiveKitUnreachable, LiveKitRefused or LiveKitNotSetUp, each with a sentence for a person.
"""

from phone.livekit_api.answers import CallAnswer, answer_to_call
from phone.livekit_api.errors import (
    CallNotAnswered,
    LiveKitError,
    LiveKitNotSetUp,
    LiveKitRefused,
    LiveKitUnreachable,
    WebhookForged,
    WebhookMalformed,
)
from phone.livekit_api.server import LiveKit
from phone.livekit_api.values import (
    Encryption,
    OutboundTrunk,
    Participant,
    Room,
    Rule,
    Transport,
    Trunk,
    WebhookEvent,
)

__all__ = [
    "CallAnswer",
    "CallNotAnswered",
    "Encryption",
    "LiveKit",
    "LiveKitError",
    "LiveKitNotSetUp",
    "LiveKitRefused",
    "LiveKitUnreachable",
    "OutboundTrunk",
    "Participant",
    "Room",
    "Rule",
    "Transport",
    "Trunk",
    "WebhookEvent",
    "WebhookForged",
    "WebhookMalformed",
    "answer_to_call",
]
