"""How a call uses the database: little at its start, batches meanwhile, and nothing while a key is handled."""

import pytest
from django.core.management import call_command

from phone.models import Call
from tests.agent_worker.query_log import QueryLog, call_with_log

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> QueryLog:
    """The guide's call: consent, appointments, the patient ID and its confirmation, then an appointment request."""
    call_command("seed_demo", verbosity=0)
    return call_with_log("1 1 4821# 1 1 2 2025550199# 1 hear hear")


def test_a_caller_waits_for_at_most_three_queries_before_the_first_word(log: QueryLog) -> None:
    assert 1 <= len(log.before_the_first_prompt) <= 3


def test_no_query_is_made_while_a_key_is_handled(log: QueryLog) -> None:
    assert len([event for event in log.of("event") if event.what == "key"]) > 15
    assert log.while_a_key_was_handled == []


def test_records_are_written_in_batches_at_most_every_200_milliseconds(log: QueryLog) -> None:
    assert len(log.of("batch")) > 5
    assert log.shortest_time_between_batches >= 0.2


def test_everything_is_stored_all_the_same(log: QueryLog) -> None:
    call = Call.objects.get()

    assert call.outcome == "request_taken"
    assert call.events.count() == len(log.of("event"))
