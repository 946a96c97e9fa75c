"""`manage.py metrics`: the counters of all processes, as Prometheus reads them (a textfile of node_exporter)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from phone.metrics import exposition


class Command(BaseCommand):
    help = "Prints the counters of calls set right and webhooks taken, in Prometheus' text format."

    def handle(self, **options: Any) -> None:
        self.stdout.write(exposition(), ending="")
