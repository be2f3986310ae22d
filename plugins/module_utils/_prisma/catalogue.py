# SPDX-License-Identifier: GPL-3.0-or-later
"""What the target database holds, by its own catalogue: no table is touched, and no lock is waited for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .._postgres.connect import Session
from .._postgres.dump.statements import Name

_PAGE = 8192


@dataclass(frozen=True)
class Relation:
    """A table or view. Its size is the server's own estimate."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Routine:
    """One function of a name; of ``types``, the last ``defaults`` may be left out.

    :param volatility: i, s or v, as pg_proc has it.
    """

    volatility: str
    types: tuple[str, ...] = ()
    defaults: int = 0
    variadic: bool = False

    def takes(self, count: int) -> bool:
        if self.variadic:
            return count >= len(self.types) - 1
        return len(self.types) - self.defaults <= count <= len(self.types)


@dataclass
class Target:
    """The database as a migration will find it: what is there, and what earlier migrations make and drop."""

    relations: dict[Name, Relation] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    extensions: set[str] = field(default_factory=set)
    available: set[str] = field(default_factory=set)
    routines: dict[str, list[Routine]] = field(default_factory=dict)
    #: Of tables that are asked for, the type of each column.
    columns: dict[Name, dict[str, str]] = field(default_factory=dict)
    #: From type to type, whether the cast always gives the same.
    casts: dict[tuple[str, str], str] = field(default_factory=dict)
    version: int = 0


def read_target(session: Session, functions: Iterable[str]) -> Target:
    """Everything that the rules ask for.

    :param functions: the names of functions that the migrations call in an index.
    """
    relations = {
        Name(schema, name): Relation(max(int(rows), 0), int(pages) * _PAGE)
        for schema, name, rows, pages in session.rows(
            "SELECT n.nspname, c.relname, greatest(c.reltuples::bigint, s.n_live_tup, 0), c.relpages"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_toast%'"
        )
    }
    columns: dict[Name, dict[str, str]] = {}
    for schema, table, column, kind in session.rows(
        "SELECT n.nspname, c.relname, a.attname, t.typname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm')"
        " AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'"
    ):
        columns.setdefault(Name(schema, table), {})[column] = kind
    routines: dict[str, list[Routine]] = {}
    for name, volatility, types, defaults, variadic in session.rows(
        "SELECT p.proname, p.provolatile::text, array(SELECT t.typname::text FROM unnest(p.proargtypes) WITH ORDINALITY"
        " a(oid, position) JOIN pg_type t ON t.oid = a.oid ORDER BY position), p.pronargdefaults, p.provariadic <> 0"
        " FROM pg_proc p WHERE p.proname = ANY(%s)",
        (sorted(set(functions)),),
    ):
        routines.setdefault(name, []).append(Routine(volatility, tuple(types), defaults, variadic))
    casts = {
        (source, target): volatility
        for source, target, volatility in session.rows(
            "SELECT s.typname, t.typname, p.provolatile::text FROM pg_cast c JOIN pg_type s ON s.oid = c.castsource"
            " JOIN pg_type t ON t.oid = c.casttarget JOIN pg_proc p ON p.oid = c.castfunc"
        )
    }
    return Target(
        relations,
        {name for (name,) in session.rows("SELECT typname FROM pg_type")},
        {name for (name,) in session.rows("SELECT extname FROM pg_extension")},
        {name for (name,) in session.rows("SELECT name FROM pg_available_extensions")},
        routines,
        columns,
        casts,
        session.server_version,
    )
