"""The players of recordings in the office's pages: what to show for each one, and to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from phone.listening import may_listen
from phone.models import Recording

WHY_NOT = {
    Recording.State.RUNNING: "It is being recorded at this moment.",
    Recording.State.EMPTY: "Nothing was said.",
    Recording.State.DELETED: "It was deleted.",
}


@dataclass(frozen=True, slots=True)
class Player:
    """One recording on a page. `starts` is in seconds since the call began.

    `pauses` says whether there are stretches of silence where something was left out; `why_not` why it does not
    play, and is empty where it does.
    """

    recording: Recording
    title: str
    starts: float
    seconds: float
    pauses: bool
    why_not: str


def players(request: HttpRequest, recordings: Iterable[Recording], *, since: datetime) -> list[Player]:
    """A player for each of `recordings`, of a call that began at `since`, as the user of `request` may use it."""
    return [
        Player(
            recording=recording,
            title=recording.get_kind_display(),
            starts=max(0.0, (recording.started_at - since).total_seconds()),
            seconds=recording.seconds or 0.0,
            pauses=bool(recording.pauses),
            why_not=_why_not(request, recording),
        )
        for recording in recordings
    ]


def _why_not(request: HttpRequest, recording: Recording) -> str:
    playable = recording.state in (Recording.State.STORED, Recording.State.WAITING)
    if not playable:
        return WHY_NOT.get(Recording.State(recording.state), recording.get_state_display())
    if not may_listen(request.user, recording):
        return "You may not listen to it."
    return ""
