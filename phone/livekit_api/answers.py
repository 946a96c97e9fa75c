"""How a telephone answers: SIP's response codes, and livekit-sip's errors, as our own few values.

livekit-sip reports the response to an INVITE, and what the NOTIFY of a REFER says (RFC 3515), as
`sip_status_code`. Codes: RFC 3261 section 21.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Literal

from livekit import api
from livekit.protocol.sip import SIPTransferStatus, TransferSIPParticipantResponse

CallAnswer = Literal["accepted", "busy", "declined", "no_answer", "no_word", "not_supported", "failed"]
"""`no_word`: nobody said what became of a REFER. `not_supported`: the carrier does not transfer at all."""

BY_CODE: dict[int, CallAnswer] = {
    **dict.fromkeys((486, 600), "busy"),
    **dict.fromkeys((603, 607), "declined"),
    **dict.fromkeys((408, 480, 487), "no_answer"),
    **dict.fromkeys((403, 405, 420, 421, 489, 501, 606), "not_supported"),
}
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def e164(number: str) -> str:
    """The same number. Raises ValueError where it is not E.164: livekit-sip checks nothing, and dials it as it is."""
    if not E164.fullmatch(number):
        raise ValueError("only E.164 numbers are ever called")
    return number


def answer_to_call(status: int | None) -> CallAnswer:
    """How somebody answered who was called and did not take it. `status` is SIP's; None when the time was up."""
    if status is None:
        return "no_answer"
    answer = BY_CODE.get(status, "failed")
    return "failed" if answer == "not_supported" else answer


def answer_to_transfer(done: TransferSIPParticipantResponse) -> CallAnswer:
    """What a transfer came to that raised no error: that can be a failure as well."""
    if done.status != SIPTransferStatus.STS_TRANSFER_FAILED:
        return "accepted"
    return BY_CODE.get(done.sip_status.code, "failed")


def answer_to_refused_transfer(error: api.TwirpError) -> CallAnswer | None:
    """What a transfer came to that raised one; None where the error is about our asking, and not about the call."""
    if isinstance(error, api.SipCallError) and error.sip_status_code is not None:
        return BY_CODE.get(error.sip_status_code, "failed")
    if error.metadata.get("sip_transfer_reason") == "STR_RINGING_TIMEOUT":
        return "no_answer"
    if error.code in (api.TwirpErrorCode.DEADLINE_EXCEEDED, api.TwirpErrorCode.CANCELED):
        return "no_word"
    return None if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.BAD_REQUEST) else "failed"
