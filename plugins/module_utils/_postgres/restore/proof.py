# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves that a restored database is the dump's equal, before it may take over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from ..connect import ServerError, Session, quote
from ..dump.model import Dump

PASSED, FAILED, COULD_NOT_RUN = "passed", "failed", "could not run"
_SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One check and its result."""

    name: str
    result: str
    detail: str = ""


@dataclass
class Proof:
    """All checks of one restore. It holds only when every single one ran and passed."""

    checks: list[Check] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.result == PASSED for check in self.checks)

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks if check.result != PASSED]

    def check(self, name: str, find_problems: Callable[[], list[str]]) -> None:
        """Add a check; a server that refuses to answer is no pass."""
        try:
            problems = find_problems()
        except ServerError as error:
            self.checks.append(Check(name, COULD_NOT_RUN, error.msg))
            return
        shown = "; ".join(problems[:_SHOWN])
        if len(problems) > _SHOWN:
            shown += f"; and {len(problems) - _SHOWN} more"
        self.checks.append(Check(name, FAILED if problems else PASSED, shown))

    def as_dicts(self) -> list[dict[str, str]]:
        return [{"name": check.name, "result": check.result, "detail": check.detail} for check in self.checks]


@dataclass(frozen=True)
class Invariant:
    """A query of the user's whose first value must be what is expected."""

    name: str
    query: str
    expect: str


def prove(session: Session, dump: Dump, loaded: Mapping[str, int], invariants: Sequence[Invariant]) -> Proof:
    """Compare a database with what was read from the dump and what was sent.

    :param session: connected to staging.
    :param loaded: rows that the server acknowledged, by table.
    """
    proof = Proof()
    # What a policy hides must be an error, never a smaller number.
    session.run("SET row_security TO off")
    proof.check("rows", lambda: _rows(session, dump, loaded, proof))
    proof.check("catalogue", lambda: _catalogue(session, dump))
    proof.check("valid indexes and constraints", lambda: _valid(session, dump))
    for invariant in invariants:
        proof.check(invariant.name, partial(_invariant, session, invariant))
    return proof


def count_rows(session: Session, roots: Collection[str]) -> dict[str, int]:
    """Rows by table (``schema.name``) of the connected database; partitions count for themselves.

    :param roots: partitioned tables among these are counted too, with all their partitions.
    """
    found = session.rows(
        "SELECT n.nspname, c.relname, c.relkind = 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY 1, 2"
    )
    counts = {}
    for schema, name, partitioned in found:
        if not partitioned or f"{schema}.{name}" in roots:
            only = "" if partitioned else "ONLY "
            query = f"SELECT count(*) FROM {only}{quote(schema)}.{quote(name)}"  # noqa: S608  # quoted names
            counts[f"{schema}.{name}"] = int(session.value(query))
    return counts


@contextmanager
def _policies_lifted(session: Session) -> Iterator[None]:
    """The owner may read every row of its tables, but for those that force their policies on it too."""
    forced = session.rows("SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    session.run("BEGIN")
    try:
        for (table,) in forced:
            session.run(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        yield
    finally:
        session.run("ROLLBACK")


def _rows(session: Session, dump: Dump, loaded: Mapping[str, int], proof: Proof) -> list[str]:
    with _policies_lifted(session):
        proof.rows = count_rows(session, dump.data)
    problems = []
    for table, data in dump.data.items():
        expected = data.rows if data.rows is not None else loaded.get(table)
        stored = proof.rows.get(table)
        if stored is None:
            problems.append(f"table {table} is missing")
        elif stored != expected or loaded.get(table, 0) != expected:
            problems.append(f"table {table} has {stored} rows, the dump {expected}")
    return problems


# Every object by the same name that the dump's statements gave it.
_RELATIONS = """
SELECT n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = ANY ({})
"""
_CATALOGUE = {
    "table": _RELATIONS.format("'{r,p,f}'"),
    "index": _RELATIONS.format("'{i,I}'"),
    "sequence": _RELATIONS.format("'{S}'"),
    "view": _RELATIONS.format("'{v,m}'"),
    "column": """
        SELECT n.nspname || '.' || relname || '.' || attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'f')""",
    "constraint": """
        SELECT n.nspname || '.' || relname || '.' || conname || ' (' || CASE contype WHEN 'p' THEN 'primary key'
            WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check' WHEN 'x' THEN 'exclude'
            ELSE contype::text END || ')'
        FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace""",
    "function": """
        SELECT n.nspname || '.' || proname || ' #' || row_number() OVER (PARTITION BY n.nspname, proname)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace""",
    "trigger": """
        SELECT n.nspname || '.' || relname || '.' || tgname
        FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
        WHERE NOT tgisinternal""",
    "policy": """
        SELECT n.nspname || '.' || relname || '.' || polname
        FROM pg_policy p JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace""",
    "type": "SELECT n.nspname || '.' || typname FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace",
    "extension": "SELECT extname FROM pg_extension",
    "schema": "SELECT nspname FROM pg_namespace",
}


def _wanted(dump: Dump) -> dict[str, set[str]]:
    objects = dump.catalogue
    return {
        "table": set(objects.tables),
        "column": {f"{table}.{column}" for table, columns in objects.tables.items() for column in columns},
        "constraint": {f"{name} ({kind})" for name, kind in objects.constraints.items()},
        "index": objects.indexes,
        "sequence": objects.sequences,
        "view": objects.views,
        "function": {f"{name} #{n + 1}" for name, count in objects.functions.items() for n in range(count)},
        "trigger": objects.triggers,
        "type": objects.types,
        "policy": objects.policies,
        "extension": objects.extensions,
        "schema": objects.schemas,
    }


def _catalogue(session: Session, dump: Dump) -> list[str]:
    problems = []
    for kind, wanted in _wanted(dump).items():
        present = {row[0] for row in session.rows(_CATALOGUE[kind])}
        problems += [f"{kind} {name} is missing" for name in sorted(wanted - present)]
    return problems


def _valid(session: Session, dump: Dump) -> list[str]:
    indexes = session.rows(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        " WHERE NOT indisvalid AND c.relkind = 'i'"
    )
    constraints = session.rows(
        "SELECT n.nspname || '.' || relname || '.' || conname FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid"
        " JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT convalidated"
    )
    return [f"index {row[0]} is not valid" for row in indexes] + [
        f"constraint {row[0]} is not validated" for row in constraints if row[0] not in dump.catalogue.not_valid
    ]


def _invariant(session: Session, invariant: Invariant) -> list[str]:
    # Read-only: a check must not change what it checks.
    session.run("BEGIN READ ONLY")
    try:
        found = session.value(invariant.query)
    finally:
        session.run("ROLLBACK")
    shown = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
    return [] if shown == invariant.expect else [f"expected {invariant.expect}, found {shown or 'nothing'}"]
