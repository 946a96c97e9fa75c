"""The phone as a Django app."""

from importlib import import_module

from django.apps import AppConfig


class PhoneConfig(AppConfig):
    name = "phone"
    verbose_name = "Telephone"

    def ready(self) -> None:
        # The listeners name models, which exist only now.
        import_module("phone.listeners")
