"""A call's timeline in words: each stored event becomes one line that the office can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clinic.languages import LANGUAGES
from phone.models import Call, CallEvent, ConsentRecord, DirectoryEntry, KeypadEntry, Request

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """`at` is the time since the call began, as `m:ss.s`, and `seconds` the same. `icon` names a Material symbol."""

    at: str
    seconds: float
    kind: str
    step: str
    icon: str
    title: str
    detail: str = ""


def since(start: datetime, at: datetime) -> str:
    """The time from `start` to `at` as `m:ss.s`."""
    tenths = max(0, round((at - start).total_seconds() * 10))
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"


def timeline(call: Call, events: Iterable[CallEvent]) -> list[TimelineLine]:
    """The lines of `call`, in the order of `events`. A kind that is not known is shown as it is stored."""
    lines = []
    for event in events:
        icon, describe = KINDS.get(event.kind, ("circle", None))
        title, detail = describe(event.data) if describe else (event.kind, _plain(event.data))
        if event.kind == "step":
            title = f"Step: {event.get_step_display()}"
        lines.append(
            TimelineLine(
                at=since(call.started_at, event.at),
                seconds=(event.at - call.started_at).total_seconds(),
                kind=event.kind,
                step=event.get_step_display(),
                icon=icon,
                title=title,
                detail=detail,
            )
        )
    return lines


def _label(choices: Any, value: object) -> str:
    return str(dict(choices.choices).get(value, value or "—"))


def _plain(data: Data) -> str:
    return ", ".join(f"{name}: {value}" for name, value in data.items())


def _speech(data: Data) -> tuple[str, str]:
    text = data.get("text")
    return ("Caller said", f"“{text}”") if text else ("Caller said something", "Their words were not kept.")


def _prompt(data: Data) -> tuple[str, str]:
    text = data.get("text")
    return ("Caller heard", f"“{text}”") if text else ("Caller heard an answer", "Its words were not kept.")


def _entry(data: Data) -> tuple[str, str]:
    outcome = _label(KeypadEntry.Outcome, data.get("outcome"))
    source = _label(KeypadEntry.Source, data.get("source"))
    digits = data.get("digits")
    title = f"Entry {digits}: {outcome.lower()}" if digits else f"Entry: {outcome.lower()}"
    return title, f"{source}, attempt {data.get('attempt', 1)}"


def _consent(data: Data) -> tuple[str, str]:
    if data.get("decision") == ConsentRecord.Decision.WITHDRAWN:
        return "The caller took back their consent", "Nothing more is recorded."
    heard = "The question was heard to its end" if data.get("heard_to_end") else "Answered before its end"
    recording = "recording is permitted" if data.get("recording") else "no recording"
    return (
        f"Consent: {_label(ConsentRecord.Decision, data.get('decision')).lower()}",
        f"{heard}; {recording}.",
    )


RECORDING_STATES = {
    "started": "Recording began",
    "paused": "Recording paused",
    "resumed": "Recording goes on",
    "stopped": "Recording ended",
}


def _recording(data: Data) -> tuple[str, str]:
    why = "What the caller enters here is not recorded." if data.get("state") == "paused" else ""
    return RECORDING_STATES.get(str(data.get("state")), "Recording"), why


def _request(data: Data) -> tuple[str, str]:
    urgent = "Urgent " if data.get("priority") == Request.Priority.URGENT else ""
    confirmed = "The caller confirmed it." if data.get("confirmed") else "Not confirmed by the caller."
    return f"{urgent}{_label(Request.Kind, data.get('kind'))} request left".capitalize(), confirmed


def _ended(data: Data) -> tuple[str, str]:
    outcome = _label(Call.Outcome, data.get("outcome"))
    return (
        f"Call ended: {outcome.lower()}",
        f"The caller got: {_label(Call.Served, data.get('served')).lower()}.",
    )


def _transfer(data: Data) -> tuple[str, str]:
    to = data.get("to", "")
    title = TRANSFER_ANSWERS.get(str(data.get("answer")), "Transfer to {to}").format(to=to)
    return title, dict(DirectoryEntry.Manner.choices).get(str(data.get("manner")), "")


TRANSFER_ANSWERS = {
    "ringing": "Ringing {to}",
    "accepted": "Handed over to {to}",
    "joined": "{to} took the call",
    "busy": "{to} was on another call",
    "declined": "{to} declined",
    "no_answer": "{to} did not answer",
    "no_word": "Nobody said whether {to} was reached",
    "not_supported": "The telephone provider does not hand calls over to {to}",
    "failed": "The call to {to} failed",
    "sent_back": "{to} sent the call back",
    "silent": "{to} answered and pressed no key",
    "hung_up": "{to} answered and hung up",
    "message": "The caller did not wait for {to}",
    "not_in_directory": "{to} was not called: not in the directory",
    "no_way_out": "{to} was not called: the phone line has no way out",
}

PATIENT_OUTCOMES = {
    "identified": "Patient found",
    "not_found": "No patient with this ID",
    "locked": "Look-up refused after too many attempts",
    "none": "Caller has no patient ID",
}

KINDS: dict[str, tuple[str, Callable[[Data], tuple[str, str]]]] = {
    "call": ("call", lambda data: ("Call answered", f"Plan {data.get('plan_version', '—')}")),
    "resumed": (
        "restart_alt",
        lambda data: ("The call was cut off, and went on", "Another agent took over."),
    ),
    "step": ("flag", lambda data: ("Step", "")),
    "prompt": ("campaign", _prompt),
    "silenced": ("volume_off", lambda data: ("Caller cut the sentence short", "")),
    "key": ("dialpad", lambda data: (f"Key {data.get('key', '')}", "")),
    "speech": ("record_voice_over", _speech),
    "entry": ("input", _entry),
    "consent": ("verified_user", _consent),
    "recording": ("mic", _recording),
    "menu": ("list", lambda data: (f"Chose {data.get('option', '')}", f"Menu: {data.get('menu', '')}")),
    "patient": ("badge", lambda data: (PATIENT_OUTCOMES.get(str(data.get("outcome")), "Patient"), "")),
    "transfer": ("phone_forwarded", _transfer),
    "language": (
        "translate",
        lambda data: (f"Language: {LANGUAGES.get(str(data.get('language')), data.get('language'))}", ""),
    ),
    "request": ("assignment", _request),
    "ended": ("call_end", _ended),
}
