# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the indexes that a restore left for later, while clients work. Each run goes on where the last one stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..._errors import PlatformError
from ..._progress import Progress
from ..connect import Server, ServerError, Session, quote
from ..dump.model import Catalogue
from ..dump.statements import understand
from . import database as databases
from .lock import COMPLETION, exclusive
from .mark import Origin, mark, origin_of
from .plan import sql_name
from .report import Options, Report
from .roles import located

_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY c.relpages DESC, 1
"""
_CREATE_INDEX = re.compile(r"create\s+index\s+", re.IGNORECASE)
_PURPOSE = "complete"
_UNDEFINED_COLUMN = "42703"


def complete(server: Server, options: Options, progress: Progress, *, check: bool) -> Report:
    """Bring a database to have all indexes of its dump."""
    report = Report(options.database)
    with report.kept_on_failure():
        if check:
            with server.connect(purpose="plan") as session:
                _plan(session, report)
        else:
            with exclusive(server, options.database, COMPLETION, options.lock_timeout) as session:
                origin = _plan(session, report)
                if origin is not None and report.changed:
                    _build(server, report, origin, progress)
    return report


def _plan(session: Session, report: Report) -> Origin | None:
    if databases.oid_of(session, report.database) is None:
        raise PlatformError(f"Database {report.database} does not exist.", "Check the option database.")
    origin = origin_of(session, report.database)
    report.outstanding_indexes = [str(one["index"]) for one in origin.outstanding] if origin is not None else []
    report.changed = origin is not None and (origin.quick_statistics or bool(origin.outstanding))
    report.msg = f"{report.database} has all of its indexes and statistics."
    if report.changed:
        report.msg = (
            f"Would build {len(report.outstanding_indexes)} indexes of {report.database} and renew its statistics."
        )
        report.diff = {"before": "", "after": "".join(f"index {name}\n" for name in report.outstanding_indexes)}
    return origin


def _build(server: Server, report: Report, planned: Origin, progress: Progress) -> None:
    progress.begin("complete", len(planned.outstanding), "indexes")
    with report.phase("complete"), _inside(server, report.database) as (session, name):
        origin = origin_of(session, name)
        if origin is None or origin.sha256 != planned.sha256:
            raise PlatformError(f"{report.database} has just been replaced by another database.", "Run it again.")
        # With the lock held, whoever builds here is left over from a killed run, and would finish in our way.
        session.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = current_setting('application_name') AND usename = current_user"
            " AND pid <> pg_backend_pid()"
        )
        failures = []
        report.live_untouched = False
        for one in origin.outstanding:
            progress.doing(str(one["index"]))
            try:
                _build_one(session, one, report)
            except PlatformError as error:
                if session.lost:
                    raise PlatformError(
                        f"The session in {report.database} was ended while index {one['index']} was built: {error.msg}",
                        "A restore, an undo and a stop of the server do so. Run it again: it goes on from there.",
                    ) from None
                failures.append(f"{one['index']}: {error}")
                continue
            # Written after each: an interruption costs one index at most.
            origin = replace(origin, outstanding=tuple(left for left in origin.outstanding if left != one))
            mark(session, name, origin)
            report.outstanding_indexes = [str(left["index"]) for left in origin.outstanding]
            progress.add(1)
        progress.doing("statistics")
        _analyze(session, report, name, origin)
    if failures:
        raise PlatformError(
            f"{len(failures)} of the indexes of {report.database} cannot be built: {' '.join(failures)}",
            "Everything else is done. Mend the cause, then run it again.",
        )
    report.msg = (
        f"Built {len(report.built_indexes)} indexes of {report.database}, and renewed its statistics, while it was in"
        " use."
    )


def renew_statistics(server: Server, report: Report, origin: Origin) -> None:
    """Replace the quick statistics that a restored database went live with."""
    with _inside(server, report.database) as (session, name):
        if origin_of(session, name) == origin:
            _analyze(session, report, name, origin)


def _analyze(session: Session, report: Report, name: str, origin: Origin) -> None:
    for (table,) in session.rows(_TABLES):
        _analyze_table(session, report, table)
    mark(session, name, replace(origin, quick_statistics=False))


def _analyze_table(session: Session, report: Report, table: str) -> None:
    try:
        session.run(f"ANALYZE {table}")
    except ServerError as error:
        # Of a table with foreign parts, another server is asked, which may not be there.
        if session.lost:
            raise
        report.note(f"The statistics of {table} could not be renewed. {error.msg}")


@contextmanager
def _inside(server: Server, database: str) -> Iterator[tuple[Session, str]]:
    """Inside of the live database: when another takes its place, the session ends and can do it no harm.

    Its name is the one that it has in its own encoding, which need not be that of the server's list of databases.
    """
    with server.connect(database, _PURPOSE) as session:
        # Set for the database, it keeps clients from writing, and not whoever was asked for this.
        session.run("SET default_transaction_read_only TO off")
        yield session, str(session.value("SELECT current_database()"))


def _build_one(session: Session, one: dict[str, Any], report: Report) -> None:
    create, *dependents = [str(statement) for statement in one["statements"]]
    understood = understand(create.encode(), "the mark", Catalogue(), set(), set())
    if understood.name is None or understood.table is None:
        raise PlatformError(f"The mark of {report.database} does not say how index {one['index']} is built.")
    index, table = sql_name(understood.name), sql_name(understood.table)
    if session.value("SELECT to_regclass(%s) IS NULL", (table,)):
        report.note(f"Index {one['index']} was left out for good: table {one['table']} is gone.")
        return
    with _as_owner_of(session, table):
        for setting in one.get("settings", ()):
            session.run(setting)
        if _is_valid(session, index) is False:
            # What an interrupted build leaves behind is of no use, and costs every write.
            session.run(f"DROP INDEX CONCURRENTLY {index}")
        if _is_valid(session, index) is None:
            try:
                session.run(_CREATE_INDEX.sub("CREATE INDEX CONCURRENTLY ", create, count=1))
            except ServerError as error:
                if error.sqlstate != _UNDEFINED_COLUMN:
                    raise
                report.note(f"Index {one['index']} was left out for good: a column of {one['table']} is gone.")
                return
        elif not _is_the_same(session, index, table, create):
            raise PlatformError(
                f"another index has this name already: {_definition(session, index)}; the dump's is: {create}.",
                "Rename it, or drop it.",
            )
        if not _is_valid(session, index):
            raise PlatformError(f"Index {one['index']} was built and is not valid.", "Run it again: it is built anew.")
        for statement in dependents:
            session.run(statement)
    report.built_indexes.append(str(one["index"]))


@contextmanager
def _as_owner_of(session: Session, table: str) -> Iterator[None]:
    """A superuser becomes the table's owner, so that what the dump wrote runs with no more rights than that."""
    owner, becomes = session.rows(
        "SELECT pg_get_userbyid(relowner), current_setting('is_superuser')::bool"
        " AND has_schema_privilege(relowner, relnamespace, 'CREATE') FROM pg_class WHERE oid = to_regclass(%s)",
        (table,),
    )[0]
    if becomes:
        session.run(f"SET ROLE {quote(owner)}")
    try:
        yield
    finally:
        if becomes and not session.lost:
            session.run("RESET ROLE")


def _is_valid(session: Session, index: str) -> bool | None:
    """None when there is no such index."""
    found = session.value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (index,))
    return None if found is None else bool(found)


def _definition(session: Session, index: str) -> str:
    return str(session.value("SELECT pg_get_indexdef(to_regclass(%s))", (index,)))


def _is_the_same(session: Session, index: str, table: str, create: str) -> bool:
    """Whether an index is the one that a statement makes. Another version of PostgreSQL may use other words for it."""
    found = _definition(session, index)
    if found == create:
        return True
    if not session.value(
        "SELECT indrelid = to_regclass(%s) FROM pg_index WHERE indexrelid = to_regclass(%s)", (table, index)
    ):
        return False
    session.run("BEGIN")
    try:
        session.run(f"CREATE TEMPORARY TABLE probe (LIKE {table}) ON COMMIT DROP")
        session.run(f"CREATE INDEX probe_index ON pg_temp.probe {_behind_table(create)}")
        wanted = _definition(session, "pg_temp.probe_index")
    finally:
        session.run("ROLLBACK")
    return _behind_table(found) == _behind_table(wanted)


def _behind_table(create: str) -> str:
    """``USING method (…) …``"""
    text = create.encode()
    begin = next((word.begin for word in located(text) if word.token.says("using")), len(text))
    return text[begin:].decode()
