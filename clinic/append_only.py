"""The database itself refuses to change evidence: triggers on SQLite and PostgreSQL.

They are no part of the migrations, because they belong to the models as they are: before a migration they go, so that
tables can be altered, and after it they are made anew. Deleting is left to the models: a test database is emptied, and
retention has to take calls' timelines away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from clinic.evidence import Sealed

VENDORS = ("sqlite", "postgresql")

REFUSE = """
CREATE OR REPLACE FUNCTION clinic_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


@dataclass(frozen=True)
class Guard:
    """One trigger. Once `settled_by` is not empty, `columns` keep what they hold; without it always.

    `emptied` columns may become NULL and nothing else.
    """

    name: str
    table: str
    says: str
    columns: tuple[str, ...]
    emptied: tuple[str, ...] = ()
    settled_by: str = ""

    def condition(self, connection: BaseDatabaseWrapper) -> str:
        """When an UPDATE is refused, in SQL."""
        quote = connection.ops.quote_name
        differs = "IS NOT" if connection.vendor == "sqlite" else "IS DISTINCT FROM"
        changes = [f"OLD.{quote(name)} {differs} NEW.{quote(name)}" for name in self.columns]
        changes += [
            f"(NEW.{quote(name)} IS NOT NULL AND OLD.{quote(name)} {differs} NEW.{quote(name)})"
            for name in self.emptied
        ]
        changed = " OR ".join(changes)
        return f"OLD.{quote(self.settled_by)} <> '' AND ({changed})" if self.settled_by else changed

    def create(self, connection: BaseDatabaseWrapper) -> Iterator[str]:
        """The statements that make it."""
        quote = connection.ops.quote_name
        head = f"CREATE TRIGGER {quote(self.name)} BEFORE UPDATE ON {quote(self.table)} FOR EACH ROW"
        when = f"WHEN ({self.condition(connection)})"
        if connection.vendor == "sqlite":
            yield f"{head} {when} BEGIN SELECT RAISE(ABORT, '{self.says}'); END"
        else:
            yield REFUSE
            yield f"{head} {when} EXECUTE FUNCTION clinic_refuse_change('{self.says}')"

    def drop(self, connection: BaseDatabaseWrapper) -> str:
        """The statement that takes it away, if it is there."""
        quote = connection.ops.quote_name
        of_table = "" if connection.vendor == "sqlite" else f" ON {quote(self.table)}"
        return f"DROP TRIGGER IF EXISTS {quote(self.name)}{of_table}"


def guards(app_config: AppConfig | None = None) -> list[Guard]:
    """The triggers that there should be, for one app or for all."""
    of_models = app_config.get_models() if app_config else apps.get_models()
    return [guard for model in of_models if (guard := _guard_of(model))]


def missing_guards(using: str = "default") -> list[Guard]:
    """Those that the database does not have."""
    connection = connections[using]
    if connection.vendor not in VENDORS:
        return guards()
    present = _present(connection)
    return [guard for guard in guards() if guard.name not in present]


def install(*, app_config: AppConfig, using: str, **_: Any) -> None:
    """Make the triggers of `app_config` that are missing: a `post_migrate` receiver."""
    connection = connections[using]
    wanted = guards(app_config)
    if not wanted or connection.vendor not in VENDORS:
        return
    present = _present(connection)
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for guard in wanted:
            # Migrating back to before there was the table, or a column of it, leaves nothing to guard.
            if guard.name not in present and guard.table in tables and _has_columns(connection, guard):
                for statement in guard.create(connection):
                    cursor.execute(statement)


def remove(*, app_config: AppConfig, using: str, **_: Any) -> None:
    """Take the triggers of `app_config` away, so that its tables can be altered: a `pre_migrate` receiver."""
    connection = connections[using]
    if connection.vendor not in VENDORS:
        return
    present = _present(connection)
    with connection.cursor() as cursor:
        for guard in guards(app_config):
            if guard.name in present:
                cursor.execute(guard.drop(connection))


def _guard_of(model: type[models.Model]) -> Guard | None:
    table = model._meta.db_table
    name = model._meta.verbose_name
    settled_by = getattr(model, "settled_by", "")
    if settled_by:
        says = f"What proves this {name} is never changed."
        columns = tuple(_column(model, each) for each in model.settled)  # type: ignore[attr-defined]
        return Guard(f"{table}_is_final", table, says, columns, settled_by=settled_by)
    if not issubclass(model, Sealed):
        return None
    emptied = {_column(model, each) for each in model.may_be_emptied}
    columns = tuple(str(field.column) for field in model._meta.concrete_fields if field.column not in emptied)
    says = f"This {name} is evidence: it is never changed."
    return Guard(f"{table}_is_final", table, says, columns, emptied=tuple(sorted(emptied)))


def _column(model: type[models.Model], name: str) -> str:
    return str(model._meta.get_field(name).column)  # type: ignore[union-attr]


def _present(connection: BaseDatabaseWrapper) -> set[str]:
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "WHERE NOT tgisinternal AND relnamespace = to_regnamespace(current_schema()::text)"
    )
    with connection.cursor() as cursor:
        cursor.execute(names)
        return {row[0] for row in cursor.fetchall()}


def _has_columns(connection: BaseDatabaseWrapper, guard: Guard) -> bool:
    with connection.cursor() as cursor:
        there = {
            column.name for column in connection.introspection.get_table_description(cursor, guard.table)
        }
    return there.issuperset(guard.columns)
