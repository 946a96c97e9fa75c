"""Legal hold: nothing of a held call is deleted, by no rule and for nobody."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from phone.models import Call, LegalHold


def call_hold(*, call: Call, username: str, why: str, now: datetime) -> bool:
    """Keep all of `call` until the hold is lifted. False when it is held already."""
    return _turn(call, LegalHold.Action.SET, username, why, now)


def call_let_go(*, call: Call, username: str, why: str, now: datetime) -> bool:
    """Lift the hold of `call`: the rules take from it again what they no longer keep. False when there was none."""
    return _turn(call, LegalHold.Action.LIFTED, username, why, now)


@transaction.atomic
def _turn(call: Call, action: LegalHold.Action, username: str, why: str, now: datetime) -> bool:
    hold = action == LegalHold.Action.SET
    # Whoever deletes has the call locked: this waits for them, and they leave a held call out.
    if not Call.objects.filter(pk=call.pk, on_hold=not hold).update(on_hold=hold):
        return False
    LegalHold.objects.create(call=call, action=action, at=now, username=username, why=why)
    return True
