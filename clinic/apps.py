"""The clinic as a Django app."""

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ClinicConfig(AppConfig):
    name = "clinic"
    verbose_name = "Clinic"

    def ready(self) -> None:
        # Tasks are sent through the project's Celery app; system checks register as they are imported.
        import_module("clinic.celery")
        import_module("clinic.checks")
        post_migrate.connect(import_module("clinic.roles").create_roles, sender=self)
