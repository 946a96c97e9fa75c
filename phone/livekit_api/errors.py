"""What can go wrong with the LiveKit server."""

from __future__ import annotations


class LiveKitError(Exception):
    """The LiveKit server did not do what it was asked. The message is a sentence for a person."""


class LiveKitNotSetUp(LiveKitError):
    """This system has no LiveKit server."""


class LiveKitUnreachable(LiveKitError):
    """Nobody answers at the server's address, or not in time."""


class LiveKitRefused(LiveKitError):
    """The server answered, and said no. `code` is Twirp's, such as `invalid_argument`."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class CallNotAnswered(LiveKitError):
    """A number was called and nobody took the call. `status` is SIP's (RFC 3261 section 21), or None."""

    def __init__(self, sentence: str, status: int | None) -> None:
        super().__init__(sentence)
        self.status = status


class WebhookForged(Exception):
    """The webhook is not signed by our server, was signed too long ago, or its body was changed."""


class WebhookMalformed(Exception):
    """The webhook is signed by our server, and nobody can read it."""
