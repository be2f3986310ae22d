# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold in every database of the platform, whatever its dump says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from ..connect import ServerError, Session, quote
from ..dump.model import Dump
from .promised import promises, value_fact

_PRISMA = "_prisma_migrations"
# Sequences that belong to a column, or give it its default.
_SEQUENCES = """
    SELECT DISTINCT sn.nspname, s.relname, tn.nspname, t.relname, a.attname, q.seqincrement
    FROM (
        SELECT objid AS sequence, refobjid AS tableid, refobjsubid::int AS number FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
            AND refobjsubid > 0
        UNION
        SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid = 0
    ) used
    JOIN pg_sequence q ON q.seqrelid = used.sequence AND NOT q.seqcycle
    JOIN pg_class s ON s.oid = used.sequence JOIN pg_namespace sn ON sn.oid = s.relnamespace
    JOIN pg_class t ON t.oid = used.tableid AND t.relkind IN ('r', 'p') JOIN pg_namespace tn ON tn.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = used.number
        AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
    ORDER BY 1, 2, 3, 4, 5"""


def lagging_sequences(session: Session, dump: Dump, remarks: list[str]) -> list[str]:
    """The sequences whose next value is not beyond all that their columns hold.

    :param remarks: takes those that the dump itself holds in this state: they are restored faithfully, and refusing
        them would refuse a recovery for a fault of the database that is lost.
    """
    lagging: list[tuple[str, str, str]] = []
    with _every_row(session):
        for schema, sequence, table_schema, table, column, step in session.rows(_SEQUENCES):
            last, called = session.rows(f"SELECT last_value, is_called FROM {quote(schema)}.{quote(sequence)}")[0]
            outermost = session.value(
                f"SELECT {'max' if step > 0 else 'min'}({quote(column)}) FROM {quote(table_schema)}.{quote(table)}"
            )
            following = last + step if called else last
            if outermost is None or (following > outermost if step > 0 else following < outermost):
                continue
            holder = f"{table_schema}.{table}.{column}"
            said = f"sequence {schema}.{sequence} will give {following}, but {holder} holds {outermost}"
            lagging.append((f"{schema}.{sequence}", value_fact(last, called), said))
    held: Mapping[str, str] = promises(dump, {}).facts.get("value of sequence", {}) if lagging else {}
    remarks += [f"{said}, in the dump too" for sequence, value, said in lagging if held.get(sequence) == value]
    return [said for sequence, value, said in lagging if held.get(sequence) != value]


def unfinished_migrations(session: Session) -> list[str]:
    """Migrations of Prisma that began, and neither ended nor were rolled back."""
    problems = []
    with _every_row(session):
        for (schema,) in session.rows(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname = %s AND c.relkind = 'r'",
            (_PRISMA,),
        ):
            stuck = session.rows(
                f"SELECT migration_name FROM {quote(schema)}.{_PRISMA}"
                " WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at"
            )
            problems += [f"migration {name} is not finished" for (name,) in stuck]
    return problems


@contextmanager
def _every_row(session: Session) -> Iterator[None]:
    """A transaction, rolled back at the end, in which no table hides rows from its owner."""
    session.run("BEGIN")
    try:
        for (table,) in session.rows(
            "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity AND relforcerowsecurity"
        ):
            session.run(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        yield
    finally:
        with suppress(ServerError):
            session.run("ROLLBACK")
