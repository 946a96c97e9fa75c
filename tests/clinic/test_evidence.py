"""Evidence is written once: the models refuse, the database refuses, and what was changed all the same shows."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import IntegrityError, connection, models, transaction
from pytest_django.fixtures import Settings

from clinic.append_only import Guard, guards, missing_guards
from clinic.evidence import EvidenceIsFinal, broken_seals
from clinic.models import AccessRecord

pytestmark = pytest.mark.django_db


def a_record(**fields: object) -> AccessRecord:
    wanted = {
        "username": "rita",
        "action": "view",
        "model": "phone.call",
        "object_id": "1",
        "address": "127.0.0.1",
    }
    return AccessRecord.objects.create(**(wanted | fields))


def the_guard() -> Guard:
    [guard] = [each for each in guards() if each.table == "clinic_accessrecord"]
    return guard


def verified() -> tuple[bool, str]:
    """What `verify_evidence` says."""
    out = StringIO()
    try:
        call_command("verify_evidence", stdout=out, stderr=out)
    except CommandError as error:
        return False, f"{out.getvalue()}{error}"
    return True, out.getvalue()


def test_the_models_refuse_to_change_or_delete_it() -> None:
    record = a_record()
    record.username = "somebody else"
    with pytest.raises(EvidenceIsFinal):
        record.save()
    with pytest.raises(EvidenceIsFinal):
        AccessRecord.objects.update(username="somebody else")
    with pytest.raises(EvidenceIsFinal):
        record.delete()
    with pytest.raises(EvidenceIsFinal):
        AccessRecord.objects.all().delete()


@pytest.mark.parametrize("column", ["username", "at", "action", "object_id", "count", "address", "seal"])
def test_the_database_refuses_to_change_it(column: str) -> None:
    a_record()
    value = {"at": "2001-01-01 00:00:00+00:00", "count": 7, "address": "10.0.0.1"}.get(column, "other")
    with (
        pytest.raises(IntegrityError, match="never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE clinic_accessrecord SET {column} = %s", [value])
    assert AccessRecord.objects.get().username == "rita"


def test_a_login_can_go_and_its_records_stay_and_hold() -> None:
    user, other = User.objects.create_user("rita"), User.objects.create_user("otto")
    record = a_record(user=user)
    with pytest.raises(IntegrityError), transaction.atomic():
        models.QuerySet(AccessRecord).update(user=other)
    user.delete()
    record.refresh_from_db()
    assert (record.user, record.username) == (None, "rita")
    assert not list(broken_seals(AccessRecord.objects.all()))


@pytest.mark.parametrize("address", [None, "192.0.2.7", "2001:DB8:0:0::7", "::ffff:192.0.2.7"])
def test_a_seal_holds_however_the_database_spells_an_address(address: str | None) -> None:
    a_record(address=address)
    assert not list(broken_seals(AccessRecord.objects.all()))


def test_rows_that_are_added_together_have_seals_too() -> None:
    AccessRecord.objects.bulk_create(
        AccessRecord(username="rita", action="play", model="phone.call", count=count) for count in (1, 2)
    )
    assert not list(broken_seals(AccessRecord.objects.all()))
    assert len(set(AccessRecord.objects.values_list("seal", flat=True))) == 2


def test_what_was_changed_behind_everybodys_back_is_named() -> None:
    a_record()
    changed = a_record()
    assert verified()[0]
    with connection.cursor() as cursor:
        cursor.execute(the_guard().drop(connection))
    models.QuerySet(AccessRecord).filter(pk=changed.pk).update(username="nobody")
    true, said = verified()
    assert not true
    assert f"Access record {changed.pk} is not as it was written." in said
    assert "The database does not guard clinic_accessrecord" in said
    assert "Access records: 2, broken: 1." in said


def test_a_seal_cannot_be_made_anew_with_another_key(settings: Settings, tmp_path: object) -> None:
    a_record()
    settings.CLINIC_KEY_FILE = f"{tmp_path}/others.json"
    assert len(list(broken_seals(AccessRecord.objects.all()))) == 1


def test_without_keys_the_record_is_kept_and_shows_that_it_has_no_seal(
    settings: Settings, tmp_path: object
) -> None:
    settings.DEMO = False
    keys, settings.CLINIC_KEY_FILE = settings.CLINIC_KEY_FILE, f"{tmp_path}/missing.json"
    record = a_record()
    settings.DEMO, settings.CLINIC_KEY_FILE = True, keys
    assert f"Access record {record.pk} has no seal." in verified()[1]


def test_the_guards_go_before_a_migration_and_come_back_after_it() -> None:
    assert not missing_guards()
    emit_pre_migrate_signal(verbosity=0, interactive=False, db="default")
    assert {guard.table for guard in missing_guards()} >= {"clinic_accessrecord", "phone_consentrecord"}
    for _ in range(2):
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        assert not missing_guards()
