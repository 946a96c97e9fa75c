"""When the clinic or the phone's own setup changes: look, after the commit, whether to publish."""

from __future__ import annotations

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from clinic.signals import clinic_changed
from phone.models import DirectoryEntry, Menu, MenuOption, PhoneLine, PhoneSettings, Wording
from phone.publishing import publish_on_commit


@receiver(clinic_changed)
def clinic_was_changed(clinic_id: int, **_: object) -> None:
    publish_on_commit(clinic_id)


@receiver([post_save, post_delete], sender=DirectoryEntry)
@receiver([post_save, post_delete], sender=Menu)
@receiver([post_save, post_delete], sender=PhoneLine)
@receiver([post_save, post_delete], sender=PhoneSettings)
@receiver([post_save, post_delete], sender=Wording)
def setup_was_changed(
    instance: DirectoryEntry | Menu | PhoneLine | PhoneSettings | Wording, **_: object
) -> None:
    publish_on_commit(instance.clinic_id)


@receiver([post_save, post_delete], sender=MenuOption)
def option_was_changed(instance: MenuOption, **_: object) -> None:
    publish_on_commit(instance.menu.clinic_id)
