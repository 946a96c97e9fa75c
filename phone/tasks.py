"""What the phone does in the background, by Celery."""

import logging
import uuid

from celery import current_app, shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from phone import keys_heard, late_sounds, line_checks, notifications, publishing, reconcile, services, spool
from phone.livekit_api import LiveKitError
from phone.metrics import count

log = logging.getLogger(__name__)

SECONDS_AT_A_TIME = 20.0
"""How long one task deletes: other background work waits behind it where there is one thread for all of it."""


@shared_task(name="phone.tasks.publish_due")
def publish_due() -> int:
    """Publish the plans whose date has come. Run it every minute. Returns how many went live."""
    return len(publishing.publish_due())


@shared_task(name="phone.tasks.mail_new_requests")
def mail_new_requests() -> int:
    """Mail the office about new requests. Sent when one comes in; run it every minute for failed ones."""
    return notifications.mail_new_requests(now=timezone.now())


@shared_task(name="phone.tasks.end_stale_calls")
def end_stale_calls() -> int:
    """Give calls whose worker died their final row. Run it every 30 seconds. Returns how many there were.

    Not while a process on this machine has records that it could not store yet: its calls only look dead.
    """
    if spool.store_left_behind().held:
        return 0
    return services.call_end_stale(now=timezone.now())


@shared_task(name="phone.tasks.store_left_behind")
def store_left_behind() -> int:
    """Store what processes left in the spool that ended while the database was away. Returns how many records.

    Run it every 5 seconds, which is before `reconcile_rooms` judges anybody after an outage.
    """
    try:
        return spool.store_left_behind().stored
    except (OperationalError, InterfaceError):
        # It is away still; whoever has records says so in the log.
        return 0


@shared_task(name="phone.tasks.reconcile_rooms")
def reconcile_rooms() -> int:
    """Set calls in LiveKit rooms right whose agents died. Run it every 3 seconds. Returns how many there were."""
    try:
        return reconcile.reconcile(now=timezone.now()).acted
    except LiveKitError as error:
        count("reconcile_failed")
        log.warning("Calls could not be compared with their rooms: %s", error)
        return 0


@shared_task(name="phone.tasks.look_for_lines_without_keys")
def look_for_lines_without_keys() -> int:
    """Tell the office of lines on which no caller's keys arrive. Run it every 5 minutes. Returns how many are new."""
    return keys_heard.tell_of_lines_without_keys(now=timezone.now())


@shared_task(name="phone.tasks.delete_what_is_due")
def delete_what_is_due() -> bool:
    """Delete what the clinics' rules no longer keep. Run it every night; it sends itself again until it is done.

    Returns whether there is more.
    """
    run = services.retention_run(now=timezone.now(), seconds=SECONDS_AT_A_TIME)
    if run.more:
        delete_on()
    return run.more


@shared_task(name="phone.tasks.delete_marked_sounds")
def delete_marked_sounds() -> int:
    """Remove sounds whose deletion was interrupted or refused. Run it every 5 minutes. Returns how many went."""
    return services.recordings_delete(now=timezone.now()).deleted.total()


def delete_on() -> None:
    """Let the background go on deleting. Where the broker is away, the next night does."""
    try:
        current_app.send_task("phone.tasks.delete_what_is_due", retry=False)
    except BrokerAway as error:
        log.warning("Deleting goes on only with the next schedule: %s", type(error).__name__)


@shared_task(name="phone.tasks.check_lines")
def check_lines() -> int:
    """Begin the line checks that are due, end those that hang, and tell the office of those that went wrong.

    Run it every minute. Returns how many checks began.
    """
    now = timezone.now()
    services.line_check_end_overdue(now=now)
    line_checks.tell_of_checks(now=now)
    return line_checks.begin_due_checks(now=now)


@shared_task(name="phone.tasks.tell_of_late_sounds")
def tell_of_late_sounds() -> int:
    """Tell the office of sounds that do not get to their storage. Run it every 5 minutes. Returns how many mails."""
    return late_sounds.tell_of_late_sounds(now=timezone.now())


@shared_task(name="phone.tasks.store_recording")
def store_recording(recording: str) -> bool:
    """Bring a recording into its storage that is complete. Sent at its end; whether it was stored now."""
    return services.recording_store(recording=uuid.UUID(recording), now=timezone.now())


@shared_task(name="phone.tasks.store_waiting_recordings")
def store_waiting_recordings() -> int:
    """Store recordings that a dead worker or an absent storage left. Run it every 30 seconds. How many were stored."""
    return services.recordings_store_waiting(now=timezone.now())
