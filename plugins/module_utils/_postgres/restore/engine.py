# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk of a restore: judge, preflight, staging, load, proof, swap. Each stage takes what the former gives."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from ..._errors import PlatformError
from ..._progress import Progress
from ..connect import Server, ServerError, Session, quote
from ..dump.source import Tools
from . import database as databases
from . import warm
from .build import Builder
from .complete import renew_statistics
from .early import EarlyStart
from .housekeeping import prune, remove_leftovers
from .lock import RESTORE, exclusive
from .mark import Origin, mark
from .planning import BEFORE, STAGING, Planned, Planner, Subject
from .proof import PASSED
from .report import Options, Report
from .swap import Swapped, swap


def restore(server: Server, options: Options, tools: Tools, progress: Progress, *, check: bool) -> Report:
    """Bring a database to what a dump holds. In check mode: judge, look, plan, and touch nothing.

    :raises PlatformError: with the report so far among its details, and ``live_untouched`` telling the truth.
    """
    return _Restore(server, options, tools, progress).run(check)


class _Restore:
    def __init__(self, server: Server, options: Options, tools: Tools, progress: Progress) -> None:
        self._server = server
        self._options = options
        self._report = Report(options.database)
        self._planner = Planner(server, options, tools, self._report, progress)
        self._builder = Builder(server, options, tools, self._report, progress)

    def run(self, check: bool) -> Report:
        report = self._report
        with report.kept_on_failure():
            if check:
                subject = self._planner.subject()
                with self._server.connect(purpose="plan") as session:
                    self._plan(session, subject, check=True).preflight.require()
            else:
                with EarlyStart(self._server, self._options) as early:
                    self._restore(early)
        return report

    def _restore(self, early: EarlyStart) -> None:
        report = self._report
        subject = self._planner.subject(early.before_data)
        with ExitStack() as locked:
            session = early.lock() or locked.enter_context(
                exclusive(self._server, report.database, RESTORE, self._options.lock_timeout)
            )
            remove_leftovers(session, report, STAGING, early.staging)
            planned = self._plan(session, subject, check=False, staging=early.staging)
            planned.preflight.require()
            if not report.plan["already_restored"]:
                self._take_over(session, planned, early)

    def _plan(self, session: Session, subject: Subject, *, check: bool, staging: str | None = None) -> Planned:
        report, planner = self._report, self._planner
        planned = planner.plan(session, subject, counts=check, staging=staging)
        already = planned.already
        report.changed = not report.plan["already_restored"]
        if already is not None and not self._options.force:
            report.msg = (
                f"{report.database} was already restored from {already.dump} at {already.at} and lacks none of its"
                " rows; nothing was done. To restore it again, and lose what was written since, set force: true."
            )
        else:
            report.msg = planner.would_restore(planned)
            if report.plan["live"]["rows"] is not None:
                report.diff = planner.diff(subject)
        return planned

    def _take_over(self, session: Session, planned: Planned, early: EarlyStart) -> None:
        if planned.subject.kept is not None:
            early.abandon()
            try:
                self._warm(session, planned, planned.subject.kept)
            except _CannotBeUsed as refused:
                self._report.note(f"{refused} It was left as it is, and the dump was restored instead.")
                planned = self._without_verified(session)
        if planned.subject.kept is None:
            self._cold(session, planned, early)
        if self._report.previous_database and (planned.subject.kept is None or self._options.diff):
            # Nobody writes to it any more, and nobody waits for this.
            self._planner.compare_with(self._report.previous_database, planned.subject)
        prune(session, self._report, self._options)

    def _without_verified(self, session: Session) -> Planned:
        self._planner.use_verified = False
        planned = self._planner.plan(session, self._planner.judged())
        planned.preflight.require()
        return planned

    # -- from the dump -------------------------------------------------------------------------------------------

    def _cold(self, session: Session, planned: Planned, early: EarlyStart) -> None:
        report, options, subject = self._report, self._options, planned.subject
        if subject.dump is None:
            raise ValueError("a cold restore without a judged dump")
        with self._builder.discarded_on_failure(planned.staging):
            outstanding, origin = self._builder.build(session, planned, subject.dump, swaps=True, early=early)
            origin = replace(origin, outstanding=tuple(vars(one) for one in outstanding), quick_statistics=True)
            mark(session, planned.staging, origin)
            with report.phase("swap"):
                previous = databases.unused_beside(session, options.database, BEFORE)
                swapped = swap(self._server, options.database, planned.staging, previous)
        report.outstanding_indexes = [one.index for one in outstanding]
        self._taken_over(swapped, subject.path)
        if outstanding:
            report.msg += f" {len(outstanding)} indexes are still to be built: state: completed does it."
        else:
            self._renew_statistics(origin)

    def _renew_statistics(self, origin: Origin) -> None:
        """The swap had no need to wait for these. They are no reason to call a restore failed that clients use."""
        report = self._report
        try:
            with report.phase("analyze"):
                renew_statistics(self._server, report, origin)
        except ServerError as error:
            report.note(f"The statistics are quick ones still; state: completed renews them. {error.msg}")

    # -- from a verified database --------------------------------------------------------------------------------

    def _warm(self, session: Session, planned: Planned, kept: warm.Kept) -> None:
        report, options = self._report, self._options
        with ExitStack() as clean:
            name = kept.name
            if options.clone_verified:
                name = planned.staging
                clean.enter_context(self._builder.discarded_on_failure(name))
                with report.phase("clone"):
                    _clone(session, name, kept, planned.properties.owner)
            with report.phase("swap"):
                previous = databases.unused_beside(session, options.database, BEFORE)
                prepare = partial(_open, name=name, properties=planned.properties, kept=kept)
                swapped = swap(self._server, options.database, name, previous, prepare)
        detail = f"at {kept.origin.at}, by {kept.origin.verify}, and closed since"
        report.proof = [{"name": "verified before", "result": PASSED, "detail": detail}]
        report.verified_database = kept.name if options.clone_verified else None
        self._taken_over(swapped, planned.subject.path)

    # -- behind the swap -----------------------------------------------------------------------------------------

    def _taken_over(self, swapped: Swapped, path: str) -> None:
        report = self._report
        report.live_untouched = False
        report.changed = True
        report.previous_database = swapped.previous
        report.downtime_seconds = swapped.downtime
        report.seconds["to_service"] = report.elapsed
        report.msg = f"{report.database} now holds {report.rows} rows from {path}."


class _CannotBeUsed(PlatformError):
    """A verified database turned out not to do."""


def _clone(session: Session, name: str, kept: warm.Kept, owner: str) -> None:
    try:
        databases.clone(session, name, kept.name, owner)
    except ServerError as error:
        raise _CannotBeUsed(f"{kept.name} cannot be copied: {error.msg}") from None


def _open(session: Session, *, name: str, properties: databases.Properties, kept: warm.Kept) -> None:
    """Inside of the swap's transaction: what the live database has become since, and the way in."""
    if not warm.unchanged(session, kept):
        raise _CannotBeUsed(f"{kept.name} has been opened since it was verified.")
    try:
        session.run(f"ALTER DATABASE {quote(name)} OWNER TO {quote(properties.owner)}")
        databases.reset_properties(session, name)
        if databases.read_properties(session, name).grants is not None:
            properties = replace(properties, grants=databases.effective_grants(properties))
        databases.apply_properties(session, name, properties)
        lacking = databases.differences(session, name, properties)
        if lacking:
            raise _CannotBeUsed(f"{name} could not be given the {', '.join(lacking)} of {properties.taken_from}.")
        mark(session, name, replace(kept.origin, closed=None, dump_details=None, rows=None))
        databases.open_to_connections(session, name)
    except ServerError as error:
        raise _CannotBeUsed(f"{name} cannot take over: {error.msg}") from None
