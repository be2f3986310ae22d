# SPDX-License-Identifier: GPL-3.0-or-later
"""The table _prisma_migrations: what was applied to a database, as it says itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from .._postgres.connect import Session, quote

TABLE = "_prisma_migrations"
#: The lock under which Prisma migrates.
ADVISORY_LOCK = 72707369


@dataclass(frozen=True)
class Row:
    """One attempt at a migration."""

    name: str
    checksum: str
    started: datetime | None
    finished: datetime | None
    rolled_back: datetime | None
    steps: int
    logs: str = ""

    @property
    def applied(self) -> bool:
        return self.finished is not None and self.rolled_back is None

    @property
    def failed(self) -> bool:
        return self.finished is None and self.rolled_back is None

    @property
    def seconds(self) -> float | None:
        if self.started is None or self.finished is None:
            return None
        return round(max(0.0, (self.finished - self.started).total_seconds()), 3)


@dataclass(frozen=True)
class History:
    """All that the database says of its migrations.

    :param exists: whether there is a table at all.
    :param empty_schema: whether there is nothing else in the schema.
    """

    rows: tuple[Row, ...] = ()
    exists: bool = True
    empty_schema: bool = False

    def of(self, name: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.name == name)

    @property
    def applied(self) -> set[str]:
        return {row.name for row in self.rows if row.applied}

    @property
    def head(self) -> str | None:
        return head_of(self.applied)


@dataclass(frozen=True)
class Holder:
    """Who holds Prisma's lock."""

    pid: int
    application: str
    client: str
    since: str
    seconds: int

    def __str__(self) -> str:
        called = self.application or "without a name"
        return f"process {self.pid} ({called}, from {self.client}), connected since {self.since}, {self.seconds} s ago"


def head_of(names: Iterable[str]) -> str | None:
    """The newest: Prisma sorts by name, which begins with the time."""
    return max(names, default=None)


def read_history(session: Session, schema: str) -> History:
    if session.value("SELECT to_regclass(%s)", (f"{quote(schema)}.{quote(TABLE)}",)) is None:
        others = session.value(
            "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'))",
            (schema,),
        )
        return History(exists=False, empty_schema=not others)
    rows = session.rows(
        "SELECT migration_name, checksum, started_at, finished_at, rolled_back_at, applied_steps_count, logs"
        f" FROM {quote(schema)}.{quote(TABLE)} ORDER BY started_at, migration_name"
    )
    return History(
        tuple(
            Row(name, checksum, started, finished, rolled_back, steps, logs or "")
            for name, checksum, started, finished, rolled_back, steps, logs in rows
        )
    )


def lock_holder(session: Session) -> Holder | None:
    """Whoever holds Prisma's lock in this database; looking at it takes none."""
    found = session.rows(
        "SELECT l.pid, coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'this host'),"
        " to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
        " coalesce(extract(epoch FROM clock_timestamp() - a.backend_start), 0)::int"
        " FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND (l.classid::bigint << 32 | l.objid::bigint) = %s LIMIT 1",
        (ADVISORY_LOCK,),
    )
    if not found:
        return None
    pid, application, client, since, seconds = found[0]
    return Holder(pid, application, client, since or "an unknown time", seconds)
