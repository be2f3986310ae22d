# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill: restores a dump beside the live database, proves it, and drops it, or keeps it to take over in a blink."""

from __future__ import annotations

from dataclasses import replace

from ..._progress import Progress
from ..connect import Server, Session
from ..dump.model import Dump
from ..dump.report import in_time, in_units
from ..dump.source import Tools
from . import database as databases
from . import warm
from .build import Builder
from .housekeeping import prune_verified, remove_leftovers
from .lock import VERIFICATION, exclusive
from .mark import Origin
from .planning import VERIFYING, Planned, Planner, Subject
from .preflight import free_bytes
from .report import Options, Report


def verify(server: Server, options: Options, tools: Tools, progress: Progress, *, check: bool) -> Report:
    """Prove that a dump can be restored. Of the live database, only the rows are counted."""
    return _Verification(server, options, tools, progress).run(check)


class _Verification:
    def __init__(self, server: Server, options: Options, tools: Tools, progress: Progress) -> None:
        self._server = server
        self._options = options
        self._report = Report(options.database)
        self._planner = Planner(server, options, tools, self._report, progress)
        # What is to be verified is the dump, not what an earlier run made of it.
        self._planner.use_verified = False
        self._builder = Builder(server, options, tools, self._report, progress)

    def run(self, check: bool) -> Report:
        report, options = self._report, self._options
        with report.kept_on_failure():
            subject = self._planner.judged()
            if check:
                with self._server.connect(purpose="plan") as session:
                    self._plan(session, subject).preflight.require()
                return report
            with exclusive(self._server, report.database, VERIFICATION, options.lock_timeout) as session:
                remove_leftovers(session, report, VERIFYING)
                planned = self._plan(session, subject)
                if not report.plan["already_verified"] and subject.dump is not None:
                    planned.preflight.require()
                    self._drill(session, planned, subject.dump)
        return report

    def _plan(self, session: Session, subject: Subject) -> Planned:
        report, options = self._report, self._options
        planned = self._planner.plan(session, subject, swaps=False, counts=True)
        kept = warm.find(session, options.database, sha256=subject.sha256) if options.keep else None
        done = kept is not None and warm.falls_short(kept, options) is None
        report.plan["already_verified"] = done and not options.force
        report.changed = options.keep and not report.plan["already_verified"]
        if kept is not None and report.plan["already_verified"]:
            report.verified_database = kept.name
            report.msg = f"{subject.path} was verified at {kept.origin.at} and is kept as {kept.name}."
        else:
            report.msg = (
                f"Would verify {subject.known_rows} rows in {len(subject.rows)} tables; needs"
                f" {in_units(report.plan['disk']['needed'])} of disk and about"
                f" {in_time(report.plan['estimated_seconds'])}."
            )
        return planned

    def _drill(self, session: Session, planned: Planned, dump: Dump) -> None:
        report, options = self._report, self._options
        report.changed = False
        with self._builder.discarded_on_failure(planned.staging):
            _none, origin = self._builder.build(session, planned, dump, swaps=False)
            passed = (
                f"{planned.subject.path} was restored and verified: {report.rows} rows in {len(report.tables)} tables."
            )
            if options.keep and self._room_to_keep(planned):
                self._keep(session, planned, origin)
                report.msg = f"{passed} It is kept as {report.verified_database}, ready to take over."
            else:
                databases.drop(session, planned.staging)
                report.msg = passed

    def _room_to_keep(self, planned: Planned) -> bool:
        """The policy's disk floor, seen now that the verified database takes its room."""
        disk, floor = planned.preflight.disk, self._options.disk_floor
        free = free_bytes(disk.path) if disk is not None else None
        if not floor or free is None or free >= floor:
            return True
        self._report.note(
            f"The verified database was not kept: {in_units(free)} are free, and disk_floor is {in_units(floor)}."
        )
        return False

    def _keep(self, session: Session, planned: Planned, origin: Origin) -> None:
        report, options, subject = self._report, self._options, planned.subject
        name = warm.name_of(options.database, subject.sha256)
        rows = {str(table["name"]): int(table["rows"]) for table in report.tables}
        with report.phase("keep"):
            details = replace(origin, dump_details=subject.details, rows=rows)
            warm.close(self._server, session, planned.staging, name, details)
        report.verified_database = name
        report.changed = True
        prune_verified(session, report, options.keep_verified)
