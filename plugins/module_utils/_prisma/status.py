# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between the files and the database, each with a safe remedy. Nothing is ever resolved from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .._clock import utc_text
from .files import Folder, Migration
from .table import History, Row, head_of

APPLIED, RESOLVED, EDITED, PENDING = "applied", "resolved", "edited", "pending"
ROLLED_BACK, FAILED, AHEAD, INCOMPLETE = "rolled_back", "failed", "ahead", "incomplete"
#: In these, the migration is part of the database's schema.
IN_DATABASE = (APPLIED, RESOLVED, EDITED, AHEAD)
#: In these, the next deploy applies it.
TO_APPLY = (PENDING, ROLLED_BACK)

_LOOK = "See what of it is in the database (a part of its statements may be)"
_RESOLVE = (
    f"{_LOOK}. Either undo that part by hand, mend the file, mark it with 'prisma migrate resolve --rolled-back NAME'"
    " and deploy again; or complete it by hand and mark it with 'prisma migrate resolve --applied NAME'; or restore the"
    " dump from before. No migration runs before one of these is done (P3009)."
)
REMEDIES = {
    RESOLVED: "Somebody marked it with 'prisma migrate resolve --applied' and nobody ran it. Compare the schema with"
    " the code: state=verified with drift=true, or 'prisma migrate diff'.",
    EDITED: "Put the file back as it was applied (git log -p tells), and write what is missing as a migration of its"
    " own. An applied migration is never run again, whatever its file says.",
    ROLLED_BACK: "It was marked as rolled back, and the next deploy runs it again.",
    FAILED: _RESOLVE,
    AHEAD: "The database was migrated by newer code. Deploy the code that has this migration, or restore a dump from"
    " before it; there are no down migrations. state=compared tells whether the older code can live with it.",
    INCOMPLETE: "Restore migration.sql from git, or delete the folder; Prisma stops at it (P3015).",
}


@dataclass(frozen=True)
class Judged:
    """One migration, as files and database see it together."""

    name: str
    state: str
    applied_at: str | None = None
    seconds: float | None = None
    logs: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Problem:
    """Something that a person should know.

    :param blocks: whether a deploy cannot or must not begin because of it.
    """

    kind: str
    name: str
    problem: str
    remedy: str
    blocks: bool


@dataclass(frozen=True)
class Status:
    migrations: tuple[Judged, ...]
    problems: tuple[Problem, ...]
    head: str | None

    @property
    def pending(self) -> list[str]:
        return [each.name for each in self.migrations if each.state in TO_APPLY]

    @property
    def blocking(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.blocks]

    def as_result(self) -> dict[str, Any]:
        return {
            "migrations": [asdict(each) for each in self.migrations],
            "problems": [asdict(each) for each in self.problems],
            "pending": self.pending,
            "head": self.head,
        }


def status_of(folder: Folder, history: History) -> Status:
    names = {each.name for each in folder.migrations} | {row.name for row in history.rows}
    judged = []
    for name in sorted(names):
        one = _judge(name, folder.find(name), history.of(name))
        if one is not None:
            judged.append(one)
    head = head_of(each.name for each in judged if each.state in IN_DATABASE)
    return Status(tuple(judged), tuple(_problems(folder, history, judged, head)), head)


def _judge(name: str, file: Migration | None, rows: tuple[Row, ...]) -> Judged | None:
    applied = next((row for row in rows if row.applied), None)
    failed = next((row for row in reversed(rows) if row.failed), None)
    if failed is not None:
        return Judged(name, FAILED, logs=failed.logs or None, remedy=_RESOLVE.replace("NAME", name))
    if applied is None:
        if file is None:
            # An attempt that was rolled back, and whose folder is gone: nothing is left of it.
            return None
        state = INCOMPLETE if file.sql is None else ROLLED_BACK if rows else PENDING
        return Judged(name, state, remedy=REMEDIES.get(state))
    state = APPLIED
    if file is None:
        state = AHEAD
    elif not file.matches(applied.checksum):
        state = EDITED
    elif applied.steps == 0:
        state = RESOLVED
    at = utc_text(applied.finished) if applied.finished else None
    return Judged(name, state, at, applied.seconds, remedy=REMEDIES.get(state))


_SENTENCES = {
    FAILED: "{} has failed and blocks all others (P3009).",
    EDITED: "{} was edited after it was applied.",
    AHEAD: "The database has {}, and this code does not: it is ahead of the code.",
    RESOLVED: "{} was marked as applied without being run.",
    INCOMPLETE: "The folder {} holds no migration.sql.",
}


def _problems(folder: Folder, history: History, judged: list[Judged], head: str | None) -> Iterator[Problem]:
    if not history.exists and not history.empty_schema and folder.migrations:
        yield Problem(
            "baseline_needed",
            "_prisma_migrations",
            "The schema is not empty and has no table _prisma_migrations, so that Prisma refuses to deploy (P3005).",
            "Is this the right database and schema? If so, make a baseline: compare it with the code by 'prisma migrate"
            " diff', then mark each migration that it already contains with 'prisma migrate resolve --applied'.",
            True,
        )
    for one in judged:
        if one.state in _SENTENCES and one.remedy:
            sentence = _SENTENCES[one.state].format(one.name)
            yield Problem(one.state, one.name, sentence, one.remedy, one.state in (FAILED, INCOMPLETE))
        if one.state in TO_APPLY and head is not None and one.name < head:
            yield Problem(
                "late",
                one.name,
                f"{one.name} is older than {head}, which was applied before it.",
                "It will run after the newer ones. See that it does not undo them; two branches were merged, most"
                " likely.",
                False,
            )
    for name in folder.loose:
        yield Problem(
            "loose_file",
            name,
            f"{name} lies beside the migrations, where Prisma passes over it: it never ran.",
            f"Move it into a folder of its own as migration.sql, or delete it, if nobody needs {name}.",
            False,
        )
    for file in folder.migrations:
        if not file.well_named:
            yield Problem(
                "badly_named",
                file.name,
                f"{file.name} does not begin with 14 digits (YYYYmmddHHMMSS) and a name, so that it sorts among the"
                " others by chance.",
                "If it was applied nowhere yet, rename the folder; if it was, leave it: a new name would be a new"
                " migration.",
                False,
            )
        if file.is_empty:
            yield Problem(
                "empty",
                file.name,
                f"{file.name} holds an empty migration.sql: it is noted as applied and does nothing.",
                "Write what it is meant to do before it is applied, or delete the folder.",
                False,
            )
