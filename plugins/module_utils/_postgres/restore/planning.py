# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at dump and server and decides what a restore would do. Writes nothing: this is check mode."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..._errors import PlatformError
from ..._progress import Progress
from ..connect import Server, ServerError, Session
from ..dump.folder import require_age
from ..dump.judge import Opening, judge
from ..dump.model import Dump
from ..dump.report import describe, in_time, in_units
from ..dump.source import Tools
from . import database as databases
from . import warm
from .archived import properties_in
from .compare import compare
from .cores import cores, within_connections
from .mark import Origin, origin_of
from .plan import Plan, plan
from .preflight import Preflight, bytes_needed, estimate, examine
from .proof import obstacles
from .report import Options, Report
from .swap import TYPICAL_SECONDS
from .tables import stored_tables

BEFORE, STAGING, UNDONE, VERIFYING = "before", "staging", "undone", "verifying"
BeforeData = Callable[[Opening], None]
_COUNT_SECONDS = 10
# Classes of PostgreSQL's errors: the system's (a disk that cannot be read), and its own.
_DAMAGED = ("58", "XX")


@dataclass
class Subject:
    """What is to be restored: a judged dump, or a database that was verified from it."""

    sha256: str
    path: str
    created: datetime
    plain_bytes: int
    #: By table; None where only the server can count them.
    rows: dict[str, int | None]
    details: dict[str, Any]
    file: str | None
    dump: Dump | None = None
    kept: warm.Kept | None = None

    @property
    def known_rows(self) -> int:
        return sum(rows or 0 for rows in self.rows.values())


@dataclass
class Planned:
    """What was decided."""

    subject: Subject
    properties: databases.Properties
    preflight: Preflight
    staging: str
    jobs: int
    already: Origin | None
    #: How the dump would be loaded; None when nothing is to be loaded.
    load: Plan | None = None


class Planner:
    """Fills a report with the plan of a restore."""

    def __init__(self, server: Server, options: Options, tools: Tools, report: Report, progress: Progress) -> None:
        self._server = server
        self._options = options
        self._tools = tools
        self._report = report
        self._progress = progress
        self._live: dict[str, int] = {}
        #: Whether a verified database may take the place of a restore.
        self.use_verified = options.use_verified

    # -- the dump ------------------------------------------------------------------------------------------------

    def subject(self, before_data: BeforeData | None = None) -> Subject:
        """A verified database of this very file if there is one: then the file need not be read again.

        :param before_data: for the judge.
        """
        src = self._options.src
        if src is None:
            raise PlatformError("Option src is needed to restore.", "Name the dump, or ask pg_dump_info for one.")
        kept = self._verified_of(warm.fingerprint(src))
        return self._of_kept(kept, src) if kept is not None else self.judged(before_data)

    def judged(self, before_data: BeforeData | None = None) -> Subject:
        """The dump, read to its end."""
        options, src = self._options, str(self._options.src)
        before = warm.fingerprint(src)
        with self._report.phase("judge"):
            digests = options.verify != "rows"
            dump = judge(src, self._tools, digests=digests, progress=self._progress, before_data=before_data)
        after = warm.fingerprint(src)
        require_age(dump.path, dump.created, options.max_age)
        subject = Subject(
            sha256=dump.sha256,
            path=dump.path,
            created=dump.created,
            plain_bytes=dump.plain_bytes,
            rows={table: data.rows for table, data in dump.data.items()},
            details=describe(dump, datetime.now(timezone.utc)),
            file=after if before == after else None,
            dump=dump,
        )
        self._report.dump = subject.details
        for note in dump.notes:
            self._report.note(note)
        return subject

    def _verified_of(self, file: str | None) -> warm.Kept | None:
        options = self._options
        if file is None or not self.use_verified:
            return None
        try:
            with self._server.connect(purpose="look") as session:
                kept = warm.find(session, options.database, file=file)
        except ServerError:
            # What is wrong with the dump is said before what is wrong with the server.
            return None
        return kept if kept is not None and self._serves(kept) else None

    def _serves(self, kept: warm.Kept) -> bool:
        short = warm.falls_short(kept, self._options)
        if short is not None:
            self._report.note(f"{kept.name} was verified from this dump and is not used: {short}.")
        return short is None and kept.origin.dump_details is not None

    def _of_kept(self, kept: warm.Kept, src: str) -> Subject:
        origin, now = kept.origin, datetime.now(timezone.utc)
        details = dict(origin.dump_details or {})
        created = datetime.fromisoformat(details["created"])
        age = (now - created).total_seconds()
        details |= {"path": src, "age_seconds": int(age), "age": in_time(age)}
        require_age(src, created, self._options.max_age)
        self._report.dump = details
        rows: dict[str, int | None] = dict(origin.rows or {})
        return Subject(origin.sha256, src, created, origin.bytes, rows, details, origin.file, kept=kept)

    # -- the server ----------------------------------------------------------------------------------------------

    def plan(
        self,
        session: Session,
        subject: Subject,
        *,
        swaps: bool = True,
        counts: bool = False,
        staging: str | None = None,
    ) -> Planned:
        """Look at the server.

        :param swaps: whether the database shall take over; a verification does not touch the live one.
        :param counts: whether the rows of the live database are wanted, though nothing is decided by them.
        :param staging: the new database, if it was begun already.
        """
        options, report = self._options, self._report
        if subject.kept is None and self.use_verified and swaps:
            kept = warm.find(session, options.database, sha256=subject.sha256)
            subject.kept = kept if kept is not None and self._serves(kept) else None
        properties = self._properties(session, subject)
        begun = staging
        staging = staging or databases.beside(options.database, STAGING if swaps else VERIFYING)
        preflight = examine(
            session, self._server, subject.dump if subject.kept is None else None, options.database, properties,
            options.disk_path, options.check_disk and (subject.kept is None or options.clone_verified),
            roles=options.roles, role_map=options.role_map, disk_floor=options.disk_floor, swaps=swaps,
            clones=subject.kept is not None and options.clone_verified, begun=begun,
        )  # fmt: skip
        if subject.dump is not None and subject.kept is None:
            for obstacle in obstacles(subject.dump, options.verify, session):
                preflight.problem("proof", obstacle)
        if warm.too_long(options.database) and options.keep:
            preflight.problem(
                "name", f"The name of {options.database} is too long to keep a verified database beside it."
            )
        origin = origin_of(session, options.database) if preflight.live_exists else None
        same = origin if origin is not None and swaps and origin.sha256 == subject.sha256 else None
        live_rows: dict[str, int] | None = None if preflight.live_exists else {}
        if same is not None and not options.force:
            live_rows = self._rows_to_decide_by(subject, same, only_plans=counts)
        elif preflight.live_exists and counts:
            live_rows = self._rows_of(options.database, subject)
        already = same if same is not None and _lacks_none(subject, live_rows) else None
        self._live = live_rows or {}
        if options.jobs:
            jobs, jobs_from = within_connections(session, options.jobs, "the option jobs", begun)
        else:
            jobs, jobs_from = cores(session, self._server, begun)
        for warning in preflight.warnings:
            report.note(warning)
        self._describe(subject, preflight, live_rows, origin, already, staging, properties, jobs, jobs_from)
        load = None
        if subject.dump is not None and subject.kept is None:
            load = plan(subject.dump, jobs, swaps and options.defer_indexes)
            report.plan["load"] = load.as_dict()
        if swaps:
            keeps = preflight.live_exists and options.keep_previous.count != 0
            report.plan["kept_as"] = databases.beside(options.database, BEFORE) if keeps else None
            report.plan["estimated_downtime_seconds"] = TYPICAL_SECONDS if preflight.live_exists else 0.0
        return Planned(subject, properties, preflight, staging, jobs, already, load)

    def _describe(
        self,
        subject: Subject,
        preflight: Preflight,
        live_rows: dict[str, int] | None,
        origin: Origin | None,
        already: Origin | None,
        staging: str,
        properties: databases.Properties,
        jobs: int,
        jobs_from: str,
    ) -> None:
        options, report = self._options, self._report
        seconds, basis = (
            (0.0, f"{subject.kept.name} is restored already")
            if subject.kept is not None
            else estimate(subject.plain_bytes, origin.throughput if origin is not None else None)
        )
        report.plan = {
            "already_restored": already is not None and not options.force,
            "live": {
                "exists": preflight.live_exists,
                "bytes": preflight.live_bytes,
                "rows": sum(live_rows.values()) if live_rows is not None else None,
                "tables": len(live_rows) if live_rows is not None else None,
            },
            "staging_database": staging if subject.kept is None else None,
            "verified_database": subject.kept.name if subject.kept is not None else None,
            "properties_from": properties.taken_from,
            "jobs": jobs,
            "jobs_from": jobs_from,
            "estimated_seconds": round(seconds, 1),
            "estimate_from": basis,
            "disk": {
                "path": preflight.disk.path if preflight.disk else None,
                "free": preflight.disk.free if preflight.disk else None,
                "needed": preflight.disk.needed if preflight.disk else self._bytes_needed(subject, preflight),
            },
            "preflight": preflight.as_dicts(),
            "problems": preflight.problems,
        }
        report.tables = [
            {"name": table, "rows": rows, "live_rows": (live_rows or {}).get(table)}
            for table, rows in sorted(subject.rows.items())
        ]
        report.rows = subject.known_rows
        report.outstanding_indexes = [str(one["index"]) for one in origin.outstanding] if origin is not None else []
        if live_rows:
            report.compared_to_live = compare(live_rows, subject.rows, options.compare_tolerance)

    def _bytes_needed(self, subject: Subject, preflight: Preflight) -> int:
        if subject.kept is not None and not self._options.clone_verified:
            return 0
        return bytes_needed(subject.plain_bytes if subject.kept is None else 0, preflight.live_bytes)

    def _properties(self, session: Session, subject: Subject) -> databases.Properties:
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
        if subject.kept is not None:
            kept.append(subject.kept.name)
        source = name if databases.oid_of(session, name) is not None else next(iter(kept), None)
        if source is not None:
            return databases.properties_for(session, source, self._options.owner)
        if subject.dump is None:
            raise PlatformError(f"The verified database of {subject.path} has just been removed.", "Run it again.")
        return self._properties_in_dump(session, subject.dump)

    def _properties_in_dump(self, session: Session, dump: Dump) -> databases.Properties:
        name = self._options.database
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
        self._report.note(
            f"Database {name} was missing: settings, grants and comment of the database itself are not in this dump and"
            " must be set again."
        )
        return databases.Properties(owner, dump.encoding, template.locale, taken_from="the dump and template1")

    def compare_with(self, database: str, subject: Subject) -> None:
        """What the database that was live had, and the dump has not, or the other way round."""
        rows = self._rows_of(database, subject)
        if rows is None:
            return
        report = self._report
        for table in report.tables:
            table["live_rows"] = rows.get(table["name"])
        report.compared_to_live = compare(rows, subject.rows, self._options.compare_tolerance)
        self._live = rows
        report.diff = self.diff(subject)

    def _rows_of(self, database: str, subject: Subject) -> dict[str, int] | None:
        """Rows by table; None when counting would take too long or is not permitted."""
        try:
            return self._counted(database, subject, time.monotonic() + _COUNT_SECONDS)
        except ServerError as error:
            self._report.note(f"The rows of {database} could not be counted: {error.msg}")
            return None

    def _rows_to_decide_by(self, subject: Subject, origin: Origin, *, only_plans: bool) -> dict[str, int] | None:
        """However long it takes: to restore again loses what was written since. None when tables are damaged.

        :param only_plans: clients that are in the way now may be gone when it is done.
        """
        self._progress.begin("count")
        try:
            return self._counted(self._options.database, subject)
        except ServerError as error:
            if error.sqlstate is not None and error.sqlstate[:2] in _DAMAGED:
                self._report.note(f"{self._options.database} is damaged: {error.msg}")
                return None
            unknown = (
                f"{self._options.database} was restored from this dump at {origin.at}, and whether it lacks rows of it"
                f" cannot be told: {error.msg}"
            )
            if not only_plans:
                raise PlatformError(
                    unknown, "To restore it again, and lose what was written since, set force: true."
                ) from None
            self._report.note(unknown)
            return None

    def _counted(self, database: str, subject: Subject, deadline: float | None = None) -> dict[str, int]:
        rows = {}
        with self._server.connect(database, "count") as session:
            # A migration that holds a table shall not hold a recovery.
            session.run(f"SET lock_timeout TO '{_COUNT_SECONDS}s'")
            for table in stored_tables(session, subject.rows):
                if deadline is not None:
                    session.run(f"SET statement_timeout TO {max(1, int(1000 * (deadline - time.monotonic())))}")
                rows[str(table)] = table.rows(session)
        return rows

    def diff(self, subject: Subject) -> dict[str, str]:
        """Tables and row counts, live against dump."""
        before = "".join(f"{table}: {rows} rows\n" for table, rows in sorted(self._live.items()))
        after = "".join(f"{table}: {rows} rows\n" for table, rows in sorted(subject.rows.items()))
        return {
            "before_header": f"{self._options.database} (live)",
            "after_header": subject.path,
            "before": before,
            "after": after,
        }

    def would_restore(self, planned: Planned) -> str:
        """One sentence."""
        subject, plan = planned.subject, self._report.plan
        if subject.kept is not None:
            return (
                f"Would put {subject.kept.name}, verified from this dump at {subject.kept.origin.at}, in the place of"
                f" {self._options.database}: {subject.known_rows} rows in {len(subject.rows)} tables."
            )
        return (
            f"Would restore {subject.known_rows} rows in {len(subject.rows)} tables into {self._options.database};"
            f" needs {in_units(plan['disk']['needed'])} of disk and about {in_time(plan['estimated_seconds'])}."
        )


def _lacks_none(subject: Subject, live_rows: dict[str, int] | None) -> bool:
    """Rows of an INSERT-style dump are unknown before it is loaded, so nobody can say that none are lacking."""
    return live_rows is not None and all(
        rows is not None and live_rows.get(table, -1) >= rows for table, rows in subject.rows.items()
    )
