"""Who may do what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management.sql import emit_post_migrate_signal

from clinic.demo import DEMO_LOGINS
from clinic.roles import PERMISSIONS, Role

pytestmark = pytest.mark.django_db


def member_of(role: Role) -> User:
    user = User.objects.create_user(f"a {role}")
    user.groups.add(Group.objects.get(name=role))
    return user


def test_the_groups_are_there_after_the_first_migration() -> None:
    assert {group.name for group in Group.objects.all()} == set(Role)
    assert set(DEMO_LOGINS.values()) == set(Role)


def test_every_permission_of_the_table_exists() -> None:
    for role in Role:
        expected = sum(len(actions) for actions in PERMISSIONS[role].values())
        assert Group.objects.get(name=role).permissions.count() == expected, role


def test_a_receptionist_works_with_callers_but_takes_nothing_out() -> None:
    user = member_of(Role.RECEPTIONIST)
    assert user.has_perms(["phone.view_call", "phone.change_request", "clinic.change_patient"])
    assert not user.has_perm("clinic.export_patient")
    assert not user.has_perm("phone.change_menu")
    assert not user.has_perm("clinic.view_accessrecord")


def test_a_manager_edits_what_callers_hear() -> None:
    user = member_of(Role.MANAGER)
    assert user.has_perms(
        ["phone.change_menu", "phone.publish_plan", "clinic.add_closure", "clinic.export_patient"]
    )
    assert not user.has_perm("auth.add_user")


def test_an_administrator_lets_a_colleague_log_in_again() -> None:
    user = member_of(Role.ADMINISTRATOR)
    assert user.has_perms(["axes.view_accessattempt", "axes.delete_accessattempt"])


def test_an_auditor_only_looks() -> None:
    permissions = member_of(Role.AUDITOR).get_all_permissions()
    assert "clinic.view_accessrecord" in permissions
    assert all(".view_" in permission or ".listen_" in permission for permission in permissions)


def test_nobody_writes_evidence() -> None:
    evidence = ["call", "callevent", "keypadentry", "consentrecord", "recording", "accessrecord", "deletion"]
    written = Permission.objects.filter(group__isnull=False, content_type__model__in=evidence)
    assert {permission.codename.partition("_")[0] for permission in written} == {"view", "export", "listen"}


def test_a_manager_holds_calls_and_erases_callers_and_others_do_not() -> None:
    deciding = [
        "phone.add_legalhold",
        "phone.erase_caller",
        "phone.change_retentionrules",
        "phone.export_consentrecord",
    ]
    assert member_of(Role.MANAGER).has_perms(deciding)
    assert member_of(Role.ADMINISTRATOR).has_perms(deciding)
    for role in (Role.RECEPTIONIST, Role.AUDITOR):
        user = member_of(role)
        assert not any(user.has_perm(permission) for permission in deciding)


def test_migrating_again_brings_the_groups_back_to_the_table() -> None:
    group = Group.objects.get(name=Role.RECEPTIONIST)
    before = set(group.permissions.all())
    group.permissions.remove(*list(before)[:3])
    group.permissions.add(Permission.objects.get(codename="delete_patient"))
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert set(group.permissions.all()) == before
    assert Group.objects.count() == len(Role)
