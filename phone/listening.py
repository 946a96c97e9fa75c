"""Who may listen to a recording, and the links by which its sound is fetched.

A link is for one person, one recording and one clinic, and for minutes. Whoever has it must be logged in as that
person and still have the right.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.core import signing

from phone.models import Recording

SALT = "phone.listening"
LINK_SECONDS = 300
"""How long a link lives, beside the time that the recording plays."""

RIGHTS = {
    Recording.Kind.CALL: "phone.listen_recording",
    Recording.Kind.VOICEMAIL: "phone.listen_voicemail",
}


class LinkRefused(Exception):
    """The link is forged, too old, or somebody else's. The message says which, without saying whose."""


def may_listen(user: User | AnonymousUser, recording: Recording) -> bool:
    """Whether `user` may listen to it: recorded calls and voicemail have rights of their own."""
    return user.has_perms(["phone.view_recording", RIGHTS[Recording.Kind(recording.kind)]])


def make_link(user: User | AnonymousUser, recording: Recording) -> str:
    """What lets `user` fetch the sound of `recording`, from now on for some minutes."""
    return signing.dumps(_bound_to(user, recording), salt=SALT)


def check_link(link: str, user: User | AnonymousUser, recording: Recording) -> None:
    """Raise LinkRefused unless `link` was made for this user and this recording, and is young enough."""
    try:
        made_for = signing.loads(link, salt=SALT, max_age=LINK_SECONDS + round(recording.seconds or 0))
    except signing.SignatureExpired:
        raise LinkRefused("too old") from None
    except signing.BadSignature:
        raise LinkRefused("forged") from None
    if made_for != _bound_to(user, recording):
        raise LinkRefused("somebody else's, or another recording's")


def _bound_to(user: User | AnonymousUser, recording: Recording) -> list[int | str | None]:
    return [user.pk, str(recording.pk), recording.call.clinic_id]
