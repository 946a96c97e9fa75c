"""The clinic as a Django app."""

from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from clinic.roles import create_roles


class ClinicConfig(AppConfig):
    name = "clinic"
    verbose_name = "Clinic"

    def ready(self) -> None:
        # Tasks are sent through the project's Celery app; system checks register as they are imported.
        import_module("clinic.celery")
        import_module("clinic.checks")
        # For each app, because an app's permissions exist only after its own signal.
        post_migrate.connect(create_roles, dispatch_uid="clinic.roles")
        # Imported here, because it names models, which exist only now.
        append_only = import_module("clinic.append_only")
        pre_migrate.connect(append_only.remove, dispatch_uid="clinic.append_only.remove")
        post_migrate.connect(append_only.install, dispatch_uid="clinic.append_only.install")
