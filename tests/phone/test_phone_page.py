"""The pages for callers, as they are sent."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from phone.publishing import publish
from tests.phone.clinics import a_clinic

pytestmark = pytest.mark.django_db


def test_anybody_may_open_the_phone_and_sees_whom_they_call(client: Client) -> None:
    publish(a_clinic().pk)
    page = client.get("/phone/").content.decode()
    assert "<h1>River Clinic</h1>" in page
    assert page.count("data-key=") == 16


def test_the_welcome_leads_to_the_phone_and_to_the_office(client: Client) -> None:
    page = client.get("/").content.decode()
    assert 'href="/phone/"' in page
    assert 'href="/admin/"' in page


def test_where_the_phone_page_is_off_there_is_none(client: Client, settings: Settings) -> None:
    settings.PHONE_PAGE_ENABLED = False
    assert client.get("/phone/").status_code == 404
    assert 'href="/phone/"' not in client.get("/").content.decode()


@pytest.mark.parametrize("available", [True, False])
def test_the_microphone_is_offered_where_somebody_can_listen(
    client: Client, settings: Settings, available: bool
) -> None:
    settings.PHONE_PAGE_MICROPHONE = available
    assert ("Microphone" in client.get("/phone/").content.decode()) is available


def test_the_page_needs_no_loosened_security_policy(client: Client) -> None:
    answer = client.get("/phone/")
    page = answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "<style" not in page
    assert " style=" not in page
    assert " on" + "click" not in page
