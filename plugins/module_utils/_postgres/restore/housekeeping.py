# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases that stand beside the live one: go back to one of them, or drop those that are no longer kept."""

from __future__ import annotations

from datetime import datetime, timezone

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session
from . import database as databases
from . import warm
from .lock import RESTORE, VERIFICATION, exclusive, try_lock
from .planning import BEFORE, STAGING, UNDONE, VERIFYING
from .report import Options, Report
from .swap import swap


def remove_leftovers(session: Session, report: Report, role: str, own: str | None = None) -> None:
    """With the lock of their kind held, whoever made these databases is dead, but for our own one."""
    for name in databases.listed_beside(session, report.database, role):
        if name == own:
            continue
        databases.drop(session, name)
        report.removed_databases.append(name)
        report.note(f"Removed {name}, left behind by an interrupted run.")


def prune(session: Session, report: Report, options: Options) -> None:
    """After a restore: one that is done is not called failed because an old database cannot be dropped."""
    _drop_all(session, report, _no_longer_kept(session, options), "keep_previous")
    if report.previous_database in report.removed_databases:
        report.previous_database = None
    if report.previous_database:
        report.msg += f" The old one is kept as {report.previous_database}."


def _drop_all(session: Session, report: Report, names: list[str], option: str) -> None:
    for name in names:
        try:
            databases.drop(session, name)
        except ServerError as error:
            report.note(f"{name} should be dropped ({option}), and could not be: {error.msg}")
            continue
        report.removed_databases.append(name)


def prune_verified(session: Session, report: Report, keep: int) -> None:
    """Drop the verified databases beyond a count, unless a recovery is about to use one."""
    others = [name for name in warm.all_of(session, report.database) if name != report.verified_database]
    beyond = others[keep - 1 :]
    if beyond and not try_lock(session, report.database, RESTORE):
        report.note(f"{', '.join(beyond)} should be dropped (keep_verified), and is left while a restore runs.")
        return
    _drop_all(session, report, beyond, "keep_verified")


def clean(server: Server, options: Options, *, check: bool) -> Report:
    """Drop what dead runs left behind, and what the policies no longer keep."""
    report = Report(options.database)
    with report.kept_on_failure(), server.connect(purpose="clean") as session:
        doomed = _to_clean(session, options, report)
        report.changed = bool(doomed)
        report.msg = f"Nothing to clean beside {options.database}."
        if doomed:
            report.diff = {"before": "".join(f"{name}\n" for name in doomed), "after": ""}
            report.msg = f"{'Would drop' if check else 'Dropped'} {', '.join(doomed)}."
        if check:
            report.removed_databases = doomed
            return report
        for name in doomed:
            databases.drop(session, name)
            report.removed_databases.append(name)
    return report


def _to_clean(session: Session, options: Options, report: Report) -> list[str]:
    """Only under its lock is a database that is being built known to be a dead run's."""
    doomed: list[str] = []
    if try_lock(session, options.database, RESTORE):
        doomed += databases.listed_beside(session, options.database, STAGING)
        doomed += _no_longer_kept(session, options)
        doomed += warm.all_of(session, options.database)[options.keep_verified :]
    else:
        report.note("A restore is running: its staging database and all that is kept were left alone.")
    if try_lock(session, options.database, VERIFICATION):
        doomed += databases.listed_beside(session, options.database, VERIFYING)
    else:
        report.note("A verification is running: its database was left alone.")
    return doomed


def _no_longer_kept(session: Session, options: Options) -> list[str]:
    now = datetime.now(timezone.utc)
    return [
        name
        for role in (BEFORE, UNDONE)
        for name in options.keep_previous.beyond(databases.listed_beside(session, options.database, role), now)
    ]


def undo(server: Server, options: Options, *, check: bool) -> Report:
    """Swap back: what a restore put aside serves again, and what it brought is put aside as ``…__undone_…``."""
    report = Report(options.database)
    with report.kept_on_failure():
        _undo(server, options, report, check)
    return report


def _undo(server: Server, options: Options, report: Report, check: bool) -> None:
    with exclusive(server, options.database, RESTORE, options.lock_timeout) as session:
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
            with report.phase("swap"):
                swapped = swap(server, options.database, source, aside)
            report.live_untouched = False
            report.previous_database = swapped.previous
            report.downtime_seconds = swapped.downtime
            report.msg = (
                f"{options.database} is again what it was before the restore; the restored one is kept as {aside}."
            )


def _to_undo(session: Session, options: Options) -> str | None:
    before = databases.listed_beside(session, options.database, BEFORE)
    undone = databases.listed_beside(session, options.database, UNDONE)
    if options.previous_database is not None:
        if options.previous_database not in (*before, *undone):
            raise PlatformError(
                f"{options.previous_database} is no database that was kept from a restore of {options.database}.",
                f"Kept: {', '.join((*before, *undone)) or 'none'}.",
            )
        return options.previous_database
    # A second undo must not go further back by itself: the last thing that happened was an undo.
    if before and undone and databases.time_of(undone[0]) >= databases.time_of(before[0]):
        return None
    return before[0] if before else None
