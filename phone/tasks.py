"""What the phone does in the background, by Celery."""

import logging
import uuid

from celery import shared_task
from django.utils import timezone

from phone import keys_heard, notifications, publishing, reconcile, services
from phone.livekit_api import LiveKitError
from phone.metrics import count

log = logging.getLogger(__name__)


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
    """Give calls whose worker died their final row. Run it every 30 seconds. Returns how many there were."""
    return services.call_end_stale(now=timezone.now())


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


@shared_task(name="phone.tasks.store_recording")
def store_recording(recording: str) -> bool:
    """Bring a recording into its storage that is complete. Sent at its end; whether it was stored now."""
    return services.recording_store(recording=uuid.UUID(recording), now=timezone.now())


@shared_task(name="phone.tasks.store_waiting_recordings")
def store_waiting_recordings() -> int:
    """Store recordings that a dead worker or an absent storage left. Run it every 30 seconds. How many were stored."""
    return services.recordings_store_waiting(now=timezone.now())
