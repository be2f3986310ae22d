# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for damage in tables and B-tree indexes with PostgreSQL's amcheck, which leaves no trace of itself."""

from __future__ import annotations

from contextlib import suppress

from ..connect import ServerError, Session, quote

_CORRUPTED = ("XX001", "XX002")
_FIRST_TO_LOOK_AT_TABLES = 140000
_SCHEMA = "vedfinance_platform_amcheck"


def obstacles(session: Session) -> list[str]:
    """Why a server cannot be asked for it."""
    found = []
    if not session.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"):
        found.append(
            "The server lacks the extension amcheck, which verify: deep needs: install PostgreSQL's contrib package, or"
            " use verify: content."
        )
    if not session.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        found.append(
            "verify: deep needs a superuser, as only one may create amcheck: use verify: content, or another login."
        )
    return found


def find(session: Session) -> list[str]:
    """What amcheck says of every table and of every B-tree index. In one transaction, which is rolled back."""
    problems = []
    session.run("BEGIN")
    try:
        schema = quote(_installed(session))
        for index, shown in session.rows(
            "SELECT i.indexrelid, i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid"
            " AND c.relpersistence <> 't' ORDER BY 2"
        ):
            said = _asked(session, f"SELECT {schema}.bt_index_parent_check({index}::regclass, true)")
            problems += [f"index {shown} is damaged: {line}" for line, *_rest in said if line]
        if session.server_version >= _FIRST_TO_LOOK_AT_TABLES:
            for table, shown in session.rows(
                # amcheck knows no other way to store a table.
                "SELECT c.oid, c.oid::regclass::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
                " WHERE a.amname = 'heap' AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' ORDER BY 2"
            ):
                said = _asked(session, f"SELECT msg, blkno FROM {schema}.verify_heapam({table}::regclass)")
                problems += [f"table {shown} is damaged: {line} (block {place[0]})" for line, *place in said]
    finally:
        with suppress(ServerError):
            session.run("ROLLBACK")
    return problems


def _installed(session: Session) -> str:
    """The schema of the extension; one that the dump brought along is used as it is."""
    there = session.value(
        "SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck'"
    )
    if there is None:
        # Event triggers of the dump are none of this one's business.
        session.run("SET LOCAL session_replication_role TO replica")
        session.run(f"CREATE SCHEMA {quote(_SCHEMA)}")
        session.run(f"CREATE EXTENSION amcheck SCHEMA {quote(_SCHEMA)}")
    return str(there or _SCHEMA)


def _asked(session: Session, query: str) -> list[tuple[str, ...]]:
    """The answer, or the error that says what is damaged."""
    session.run("SAVEPOINT asked")
    try:
        answer = session.rows(query)
    except ServerError as error:
        if error.sqlstate not in _CORRUPTED:
            raise
        session.run("ROLLBACK TO asked")
        answer = [(error.msg, "unknown")]
    session.run("RELEASE asked")
    return answer
