# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk of a restore: judge, preflight, staging, load, proof, swap. Each stage takes what the former gives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session
from ..dump.folder import require_age
from ..dump.judge import judge
from ..dump.model import Dump
from ..dump.report import describe, in_units
from ..dump.source import Tools
from . import database as databases
from .archived import properties_in
from .load import Loaded, Loader
from .lock import exclusive
from .preflight import Preflight, bytes_needed, examine
from .proof import Invariant, Proof, count_rows, prove
from .swap import Swapped, swap

BEFORE, STAGING, UNDONE = "before", "staging", "undone"
_COUNT_TIMEOUT = "10s"


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    database: str
    src: str | None = None
    owner: str | None = None
    jobs: int = 2
    max_age: float | None = None
    keep_previous: int = 3
    previous_database: str | None = None
    invariants: tuple[Invariant, ...] = ()
    force: bool = False
    lock_timeout: float = 60.0
    disk_path: str | None = None
    check_disk: bool = True


@dataclass
class Report:
    """What is known, filled stage by stage, so that a failure can say how far it came."""

    database: str
    changed: bool = False
    msg: str = ""
    previous_database: str | None = None
    dump: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    tables: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    downtime_seconds: float = 0.0
    proof: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    removed_databases: list[str] = field(default_factory=list)
    live_untouched: bool = True
    diff: dict[str, str] = field(default_factory=dict)

    def as_result(self) -> dict[str, Any]:
        result = dict(vars(self))
        result["seconds"] = {phase: round(seconds, 3) for phase, seconds in self.seconds.items()}
        result["downtime_seconds"] = round(self.downtime_seconds, 3)
        diff = result.pop("diff")
        return {**result, **({"diff": diff} if diff else {})}


def restore(server: Server, options: Options, tools: Tools, *, check: bool) -> Report:
    """Bring a database to what a dump holds. In check mode: judge, look, plan, and touch nothing.

    :raises PlatformError: with the report so far among its details, and ``live_untouched`` telling the truth.
    """
    return _Restore(server, options, tools).run(check)


class _Restore:
    def __init__(self, server: Server, options: Options, tools: Tools) -> None:
        self._server = server
        self._options = options
        self._tools = tools
        self._report = Report(options.database)
        self._begun = time.monotonic()

    def run(self, check: bool) -> Report:
        report = self._report
        try:
            with self._phase("judge"):
                dump = self._judge()
            if check:
                with self._server.connect(purpose="plan") as session:
                    self._plan(session, dump)[1].require()
                return report
            with exclusive(self._server, report.database, self._options.lock_timeout) as session:
                self._remove_leftovers(session)
                properties, preflight = self._plan(session, dump)
                preflight.require()
                if report.plan["already_restored"]:
                    return report
                self._restore(session, dump, properties, preflight)
        except PlatformError as error:
            report.seconds["total"] = time.monotonic() - self._begun
            raise _with_report(error, report) from None
        report.seconds["total"] = time.monotonic() - self._begun
        return report

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self._report.seconds[name] = time.monotonic() - begun

    # -- before anything is written ------------------------------------------------------------------------------

    def _judge(self) -> Dump:
        options = self._options
        if options.src is None:
            raise PlatformError("Option src is needed to restore.", "Name the dump, or ask pg_dump_info for one.")
        dump = judge(options.src, self._tools)
        self._report.dump = describe(dump, datetime.now(timezone.utc))
        require_age(dump, options.max_age)
        return dump

    def _plan(self, session: Session, dump: Dump) -> tuple[databases.Properties, Preflight]:
        options, report = self._options, self._report
        properties = self._properties(session, dump)
        preflight = examine(
            session, self._server, dump, options.database, properties, options.disk_path, options.check_disk
        )
        live_rows = self._live_rows(dump) if preflight.live_exists else {}
        already = self._already_restored(session, dump, live_rows) if preflight.live_exists else None
        staging = databases.beside(options.database, STAGING)
        report.notes += preflight.warnings
        report.plan = {
            "already_restored": already is not None and not options.force,
            "live": {
                "exists": preflight.live_exists,
                "bytes": preflight.live_bytes,
                "rows": sum(live_rows.values()) if live_rows is not None else None,
                "tables": len(live_rows) if live_rows is not None else None,
            },
            "staging_database": staging,
            "properties_from": properties.taken_from,
            "disk": {
                "path": preflight.disk.path if preflight.disk else None,
                "free": preflight.disk.free if preflight.disk else None,
                "needed": bytes_needed(dump, preflight.live_bytes),
            },
            "problems": preflight.problems,
        }
        report.tables = _table_list(dump, live_rows or {})
        report.rows = dump.rows
        report.changed = not report.plan["already_restored"]
        if already is not None and not options.force:
            report.msg = (
                f"{options.database} was already restored from {already.dump} at {already.at} and lacks none of its"
                " rows; nothing was done. To restore it again, and lose what was written since, set force: true."
            )
        else:
            report.msg = (
                f"Would restore {dump.rows} rows in {len(dump.data)} tables into {options.database}; needs"
                f" {in_units(report.plan['disk']['needed'])} of disk."
            )
            report.diff = _diff(options.database, dump, live_rows)
        return properties, preflight

    def _properties(self, session: Session, dump: Dump) -> databases.Properties:
        """From the live database; if it is gone, from the newest one that stands beside it; at last from the dump."""
        name = self._options.database
        kept = sorted(
            (
                *databases.listed_beside(session, name, BEFORE),
                *databases.listed_beside(session, name, UNDONE),
            ),
            key=databases.time_of,
            reverse=True,
        )
        source = name if databases.oid_of(session, name) is not None else next(iter(kept), None)
        if source is not None:
            properties = databases.read_properties(session, source)
            properties.give_to(self._options.owner or properties.owner)
            return properties
        archived = properties_in(dump, self._tools)
        only_owner = next(iter(dump.owners)) if len(dump.owners) == 1 else None
        owner = self._options.owner or (archived.owner if archived else None) or only_owner
        if owner is None:
            raise PlatformError(
                f"Database {name} does not exist, and its owner cannot be told from the dump"
                f" ({', '.join(sorted(dump.owners)) or 'which names none'}).",
                "Say who shall own it with the option owner.",
            )
        if archived is not None:
            archived.give_to(owner)
            return archived
        template = databases.read_properties(session, "template1")
        self._report.notes.append(
            f"Database {name} was missing: settings, grants and comment of the database itself are not in this dump and"
            " must be set again."
        )
        return databases.Properties(owner, dump.encoding, template.locale, taken_from="the dump and template1")

    def _live_rows(self, dump: Dump) -> dict[str, int] | None:
        """Rows by table of the live database; None when counting would take too long or is not permitted."""
        try:
            with self._server.connect(self._options.database, "count") as session:
                session.run(f"SET statement_timeout TO '{_COUNT_TIMEOUT}'")
                session.run("SET row_security TO off")
                return count_rows(session, dump.data)
        except ServerError as error:
            self._report.notes.append(f"The rows of the live database could not be counted: {error.msg}")
            return None

    def _already_restored(
        self, session: Session, dump: Dump, live_rows: dict[str, int] | None
    ) -> databases.Origin | None:
        """The mark of an earlier restore of this dump, unless the live database lacks rows of it."""
        origin = databases.origin_of(session, self._options.database)
        if origin is None or origin.sha256 != dump.sha256 or live_rows is None:
            return None
        # Rows of an INSERT-style dump are unknown before it is loaded, so nobody can say that none are lacking.
        complete = all(
            data.rows is not None and live_rows.get(table, -1) >= data.rows for table, data in dump.data.items()
        )
        return origin if complete else None

    def _remove_leftovers(self, session: Session) -> None:
        """With the lock held, whoever made these staging databases is dead."""
        for name in databases.listed_beside(session, self._options.database, STAGING):
            databases.drop(session, name)
            self._report.notes.append(f"Removed {name}, left behind by an interrupted restore.")

    # -- staging -------------------------------------------------------------------------------------------------

    def _restore(self, session: Session, dump: Dump, properties: databases.Properties, preflight: Preflight) -> None:
        staging = str(self._report.plan["staging_database"])
        try:
            self._build(session, staging, dump, properties, preflight)
            with self._phase("swap"):
                previous = databases.unused_beside(session, self._options.database, BEFORE)
                swapped = swap(self._server, self._options.database, staging, previous)
        except BaseException as error:
            self._discard(staging, error)
            raise
        self._taken_over(swapped, dump)
        self._prune(session)

    def _build(
        self, session: Session, staging: str, dump: Dump, properties: databases.Properties, preflight: Preflight
    ) -> None:
        report = self._report
        with self._phase("create"):
            databases.create(session, staging, properties)
        loader = Loader(
            self._server, staging, dump, self._tools,
            owner=properties.owner, superuser=preflight.superuser, jobs=self._options.jobs,
        )  # fmt: skip
        with self._phase("load"):
            loaded = loader.load()
        report.seconds.update(loaded.seconds)
        report.notes += loaded.notes
        if loaded.sha256 != dump.sha256:
            raise PlatformError(f"The dump {dump.path} changed while it was being restored.", "Run it again.")
        with self._phase("verify"):
            self._verify(session, staging, dump, loaded, properties)
        databases.mark(session, staging, databases.Origin(dump.sha256, dump.path, _now()))

    def _verify(
        self, session: Session, staging: str, dump: Dump, loaded: Loaded, properties: databases.Properties
    ) -> None:
        report = self._report
        with self._server.connect(staging, "verify") as inside:
            proof = prove(inside, dump, loaded.rows, self._options.invariants)
        self._carry_over(session, staging, properties, proof)
        report.proof = proof.as_dicts()
        for table in report.tables:
            table["rows"] = proof.rows.get(table["name"], 0)
        report.rows = sum(table["rows"] for table in report.tables)
        if not proof.holds:
            failures = "; ".join(f"{check.name} {check.result}: {check.detail}" for check in proof.failures)
            raise PlatformError(f"The restored database was not proved: {failures}.", "Look at the dump, take another.")

    def _carry_over(self, session: Session, staging: str, properties: databases.Properties, proof: Proof) -> None:
        def check() -> list[str]:
            databases.apply_properties(session, staging, properties)
            lacking = databases.differences(session, staging, properties)
            return [f"{what} of {properties.taken_from} could not be carried over" for what in lacking]

        proof.check("settings and grants of the database", check)

    def _discard(self, staging: str, error: BaseException) -> None:
        """Leave nothing behind; a lost connection is made anew for it."""
        try:
            with self._server.connect(purpose="discard") as session:
                databases.drop(session, staging)
        except PlatformError as another:
            if isinstance(error, PlatformError):
                error.hint = (
                    f"{error.hint or ''} Staging database {staging} could not be dropped ({another.msg.rstrip('.')});"
                    " the next restore removes it."
                ).strip()

    # -- behind the swap -----------------------------------------------------------------------------------------

    def _taken_over(self, swapped: Swapped, dump: Dump) -> None:
        report = self._report
        report.live_untouched = False
        report.changed = True
        report.previous_database = swapped.previous
        report.downtime_seconds = swapped.downtime
        report.seconds["to_service"] = time.monotonic() - self._begun
        report.msg = f"{report.database} now holds {report.rows} rows from {dump.path}."

    def _prune(self, session: Session) -> None:
        """The restore is done; an old database that cannot be dropped is no reason to call it failed."""
        report = self._report
        for name in databases.listed_beside(session, report.database, BEFORE)[self._options.keep_previous :]:
            try:
                databases.drop(session, name)
            except ServerError as error:
                report.notes.append(f"{name} should be dropped (keep_previous), and could not be: {error.msg}")
                continue
            report.removed_databases.append(name)
            if name == report.previous_database:
                report.previous_database = None
        if report.previous_database:
            report.msg += f" The old one is kept as {report.previous_database}."


def _with_report(error: PlatformError, report: Report) -> PlatformError:
    """The error with all that is known; only a swap may say of itself that it does not know how it ended."""
    untouched = bool(error.details.get("live_untouched", report.live_untouched))
    error.details = {**report.as_result(), **error.details, "live_untouched": untouched, "changed": not untouched}
    for unhelpful in ("msg", "tables", "diff"):
        error.details.pop(unhelpful, None)
    if untouched:
        error.hint = f"{error.hint or ''} Database {report.database} is untouched.".strip()
    return error


def undo(server: Server, options: Options, *, check: bool) -> Report:
    """Swap back: what a restore put aside serves again, and what it brought is put aside as ``…__undone_…``."""
    report = Report(options.database)
    begun = time.monotonic()
    try:
        _undo(server, options, report, check)
    except PlatformError as error:
        raise _with_report(error, report) from None
    report.seconds = {"swap": report.downtime_seconds, "total": time.monotonic() - begun}
    return report


def _undo(server: Server, options: Options, report: Report, check: bool) -> None:
    with exclusive(server, options.database, options.lock_timeout) as session:
        if databases.oid_of(session, options.database) is None:
            raise PlatformError(
                f"Database {options.database} does not exist.", "Restore it from a dump with state: restored."
            )
        source = _to_undo(session, options)
        if source is None:
            report.msg = f"Nothing to undo: no database of before a restore of {options.database} is kept."
            if done := databases.listed_beside(session, options.database, UNDONE):
                report.msg = (
                    f"The last restore of {options.database} is undone already; what it brought is {done[0]}."
                    " Name an older one with previous_database to go further back."
                )
            return
        aside = databases.unused_beside(session, options.database, UNDONE)
        report.changed = True
        report.plan = {"takes_over": source, "put_aside_as": aside}
        report.diff = {"before": f"{options.database}\n", "after": f"{options.database} (was {source})\n"}
        report.msg = f"Would put {source} in the place of {options.database}, and that aside as {aside}."
        if not check:
            swapped = swap(server, options.database, source, aside)
            report.live_untouched = False
            report.previous_database = swapped.previous
            report.downtime_seconds = swapped.downtime
            report.msg = (
                f"{options.database} is again what it was before the restore; the restored one is kept as {aside}."
            )


def _to_undo(session: Session, options: Options) -> str | None:
    if options.previous_database is not None:
        if databases.oid_of(session, options.previous_database) is None:
            kept = databases.listed_beside(session, options.database, BEFORE)
            raise PlatformError(
                f"Database {options.previous_database} does not exist.", f"Kept: {', '.join(kept) or 'none'}."
            )
        return options.previous_database
    before = databases.listed_beside(session, options.database, BEFORE)
    undone = databases.listed_beside(session, options.database, UNDONE)
    # A second undo must not go further back by itself: the last thing that happened was an undo.
    if before and undone and databases.time_of(undone[0]) >= databases.time_of(before[0]):
        return None
    return before[0] if before else None


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _table_list(dump: Dump, live: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"name": table, "rows": data.rows, "live_rows": live.get(table)} for table, data in sorted(dump.data.items())
    ]


def _diff(database: str, dump: Dump, live: dict[str, int] | None) -> dict[str, str]:
    """Tables and row counts, live against dump."""
    before = "".join(f"{table}: {rows} rows\n" for table, rows in sorted((live or {}).items()))
    after = "".join(f"{table}: {data.rows} rows\n" for table, data in sorted(dump.data.items()))
    return {"before_header": f"{database} (live)", "after_header": dump.path, "before": before, "after": after}
