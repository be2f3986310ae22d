# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the indexes that a restore left for later, while clients work. Each run goes on where the last one stopped."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..._errors import PlatformError
from ..._progress import Progress
from ..connect import Server, Session, quote
from ..dump.model import Catalogue
from ..dump.statements import Name, understand
from . import database as databases
from .lock import COMPLETION, exclusive
from .mark import Origin, mark, origin_of
from .report import Options, Report

_CREATE_INDEX = re.compile(r"create\s+index\s+", re.IGNORECASE)


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
                if origin is not None and origin.outstanding:
                    _build(server, session, report, origin, progress)
    return report


def _plan(session: Session, report: Report) -> Origin | None:
    if databases.oid_of(session, report.database) is None:
        raise PlatformError(f"Database {report.database} does not exist.", "Check the option database.")
    origin = origin_of(session, report.database)
    report.outstanding_indexes = [str(one["index"]) for one in origin.outstanding] if origin is not None else []
    report.changed = bool(report.outstanding_indexes)
    report.msg = f"{report.database} has all of its indexes."
    if report.changed:
        report.msg = f"Would build {len(report.outstanding_indexes)} indexes of {report.database}."
        report.diff = {"before": "", "after": "".join(f"index {name}\n" for name in report.outstanding_indexes)}
    return origin


def _build(server: Server, session: Session, report: Report, origin: Origin, progress: Progress) -> None:
    properties = databases.read_properties(session, report.database)
    superuser = session.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    progress.begin("complete", len(origin.outstanding), "indexes")
    with report.phase("complete"), server.connect(report.database, "complete") as inside:
        inside.run("SET maintenance_work_mem TO '256MB'")
        if superuser:
            inside.run(f"SET ROLE {quote(properties.owner)}")
        outstanding = list(origin.outstanding)
        while outstanding:
            one = outstanding[0]
            progress.doing(str(one["index"]))
            _build_one(inside, one, report)
            outstanding.pop(0)
            # Written after each: an interruption costs one index at most.
            origin = replace(origin, outstanding=tuple(outstanding))
            mark(inside, report.database, origin)
            report.outstanding_indexes = [str(left["index"]) for left in outstanding]
            progress.add(1)
        inside.run("ANALYZE")
    report.msg = f"Built {len(report.built_indexes)} indexes of {report.database}, while it was in use."
    progress.end()


def _build_one(session: Session, one: dict[str, Any], report: Report) -> None:
    create, *dependents = [str(statement) for statement in one["statements"]]
    understood = understand(create.encode(), "the mark", Catalogue(), set(), set())
    if understood.name is None or understood.table is None:
        raise PlatformError(f"The mark of {report.database} does not say how index {one['index']} is built.")
    index, table = _sql_name(understood.name), _sql_name(understood.table)
    if session.value("SELECT to_regclass(%s) IS NULL", (table,)):
        report.note(f"Index {one['index']} was left out for good: table {one['table']} is gone.")
        return
    for setting in one.get("settings", ()):
        session.run(setting)
    if _is_valid(session, index) is False:
        # What an interrupted build leaves behind is of no use, and costs every write.
        session.run(f"DROP INDEX CONCURRENTLY {index}")
    if _is_valid(session, index) is None:
        session.run(_CREATE_INDEX.sub("CREATE INDEX CONCURRENTLY ", create, count=1))
    if not _is_valid(session, index):
        raise PlatformError(f"Index {one['index']} was built and is not valid.", "Run it again: it is built anew.")
    for statement in dependents:
        session.run(statement)
    report.built_indexes.append(str(one["index"]))


def _is_valid(session: Session, index: str) -> bool | None:
    """None when there is no such index."""
    found = session.value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (index,))
    return None if found is None else bool(found)


def _sql_name(name: Name) -> str:
    return f"{quote(name.schema)}.{quote(name.name)}" if name.schema else quote(name.name)
