# SPDX-License-Identifier: GPL-3.0-or-later
"""One moment of a database, which pg_dump dumps and in which its rows can be counted and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b

from ..connect import Server, ServerError, Session, quote
from ..content import RowsDigest
from .manifest import TableContent

_TABLES = """
SELECT n.nspname, c.relname, coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
    '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname NOT LIKE 'pg\\_toast%' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
GROUP BY 1, 2 ORDER BY 1, 2
"""
_FIRST_WITH_GENERATED = 120000
# Without the indexes, of which a dump holds none. pg_table_size would wait for whoever has locked a table.
_BYTES = """
SELECT greatest(0, pg_database_size(current_database()) - current_setting('block_size')::bigint * (
    SELECT coalesce(sum(relpages), 0) FROM pg_class WHERE relkind = 'i'))::bigint
"""
# As pg_dump sets them for itself, and what it leaves to the role's own settings.
_PINNED = {
    "datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "3", "search_path": "",
    "timezone": "UTC", "bytea_output": "hex", "client_encoding": "UTF8",
}  # fmt: skip
_WORD = 8


class ContentDigest:
    """A digest over rows in any order, the same in every process: their number, and the sum of a hash of each.

    Unlike RowsDigest it can be stored, and takes several times as long.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0
        self._row = blake2b(digest_size=_WORD)

    def update(self, data: bytes) -> None:
        """Add COPY text data as a server writes them, cut anywhere."""
        *ended, rest = data.split(b"\n")
        for line in ended:
            self._row.update(line)
            self._sum += int.from_bytes(self._row.digest(), "little")
            self._row = blake2b(digest_size=_WORD)
        self.rows += len(ended)
        self._row.update(rest)

    def __str__(self) -> str:
        return f"{self.rows}:{self._sum % (1 << 8 * _WORD):016x}"


@dataclass(frozen=True)
class StoredTable:
    """A table with rows of its own that pg_dump dumps, and its columns in pg_dump's order."""

    schema: str
    name: str
    columns: Sequence[str]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


@dataclass(frozen=True)
class Digested:
    """The content of one table: to be stored, and to be compared with what the judge reads in this process."""

    content: TableContent
    judges: int


class Snapshot:
    """What one transaction sees, exported under its id for as long as that lasts."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.id = str(session.value("SELECT pg_export_snapshot()"))

    def tables(self) -> list[StoredTable]:
        older = self._session.server_version < _FIRST_WITH_GENERATED
        query = _TABLES.replace(" FILTER (WHERE a.attgenerated = '')", "") if older else _TABLES
        # Of a table without columns, the array holds one null.
        rows = self._session.rows(query)
        return [
            StoredTable(schema, name, [one for one in columns if one is not None]) for schema, name, columns in rows
        ]

    def hold(self, tables: Sequence[StoredTable], lock_timeout: float) -> None:
        """Keep everybody from rewriting these tables: a snapshot would find such a one empty."""
        if tables:
            names = ", ".join(f"ONLY {table.sql}" for table in tables)
            self._session.run(f"SET LOCAL lock_timeout TO {int(lock_timeout * 1000)}")
            self._session.run(f"LOCK TABLE {names} IN ACCESS SHARE MODE")

    def count(self, table: StoredTable) -> TableContent:
        return TableContent(int(self._session.value(f"SELECT count(*) FROM ONLY {table.sql}")))

    def digest(self, table: StoredTable) -> Digested:
        stored, judges = ContentDigest(), RowsDigest()
        columns = f" ({', '.join(map(quote, table.columns))})" if table.columns else ""
        for piece in self._session.copy_out(f"COPY {table.sql}{columns} TO STDOUT".encode()):
            stored.update(piece)
            judges.update(piece)
        return Digested(TableContent(stored.rows, str(stored)), judges.value)

    def migration_head(self) -> str | None:
        """The newest migration that Prisma has applied."""
        for schema in self._session.rows(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname = '_prisma_migrations' AND c.relkind = 'r' ORDER BY n.nspname <> 'public', 1 LIMIT 1"
        ):
            found = self._session.value(
                f"SELECT migration_name FROM {quote(schema[0])}._prisma_migrations"
                " WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
                " ORDER BY finished_at DESC, migration_name DESC LIMIT 1"
            )
            return str(found) if found is not None else None
        return None


@contextmanager
def exported(server: Server, database: str) -> Iterator[Snapshot]:
    """A snapshot of a database; what row security hides from this role is an error, as with pg_dump."""
    with server.connect(database, "backup") as session:
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            session.run("SET LOCAL row_security TO off")
            for setting, value in _PINNED.items():
                session.run("SELECT pg_catalog.set_config(%s, %s, true)", (setting, value))
            yield Snapshot(session)
        finally:
            with suppress(ServerError):
                session.run("ROLLBACK")


def table_bytes(session: Session) -> int:
    """Bytes of all tables of the connected database, without their indexes."""
    return int(session.value(_BYTES) or 0)


def identity_of(session: Session, server: Server) -> dict[str, str | None]:
    """Which server this is."""
    try:
        identifier = str(session.value("SELECT system_identifier FROM pg_control_system()"))
    except ServerError:
        identifier = None
    return {
        "version": str(session.value("SHOW server_version")).split(" ", maxsplit=1)[0],
        "system_identifier": identifier,
        "host": None if server.container is not None else server.host,
    }
