"""What the clinic announces to whoever listens. The phone listens; the clinic does not know it."""

from django.dispatch import Signal

clinic_changed = Signal()
"""Sent inside the transaction when anything callers could hear of a clinic was saved. Argument: `clinic_id`."""
