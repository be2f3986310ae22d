# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a database is as its migrations say. A check that could not run never passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .._postgres.connect import Session
from .files import Folder
from .runner import Runner
from .status import AHEAD, EDITED, FAILED, INCOMPLETE, RESOLVED, Status

PASSED, BROKEN, WARNS, COULD_NOT_RUN = "passed", "failed", "warning", "could not run"
_SAME, _DIFFERS = 0, 2


@dataclass(frozen=True)
class Check:
    name: str
    outcome: str
    detail: str

    @property
    def passes(self) -> bool:
        return self.outcome in (PASSED, WARNS)


def verify(
    session: Session, folder: Folder, status: Status, schema: str, runner: Runner | None, schema_file: str
) -> list[Check]:
    """All checks.

    :param runner: compares the schema with the code; None to leave that out.
    """
    checks = [*_of_status(status, folder), _invalid_indexes(session, schema), _unvalidated(session, schema)]
    if runner is not None:
        checks.append(_drift(runner, schema_file))
    return checks


def _of_status(status: Status, folder: Folder) -> Iterator[Check]:
    yield _none_of("nothing pending", status.pending, "pending")
    for name, state in (("nothing failed", FAILED), ("no folder without its file", INCOMPLETE)):
        yield _none_of(name, [each.name for each in status.migrations if each.state == state], state)
    same = status.head == folder.newest
    yield Check(
        "newest applied is the newest file",
        PASSED if same else BROKEN,
        f"database: {status.head or 'none'}, files: {folder.newest or 'none'}",
    )
    for name, state in (("nothing edited", EDITED), ("nothing ahead of the code", AHEAD)):
        yield _none_of(name, [each.name for each in status.migrations if each.state == state], state)
    resolved = [each.name for each in status.migrations if each.state == RESOLVED]
    yield Check(
        "nothing resolved without running",
        WARNS if resolved else PASSED,
        f"marked as applied by hand: {', '.join(resolved)}" if resolved else "none",
    )


def _none_of(name: str, found: list[str], word: str) -> Check:
    return Check(name, BROKEN if found else PASSED, f"{word}: {', '.join(found)}" if found else "none")


def _invalid_indexes(session: Session, schema: str) -> Check:
    found = session.rows(
        "SELECT c.relname, t.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
        " WHERE NOT i.indisvalid AND n.nspname = %s ORDER BY 1",
        (schema,),
    )
    what = "; ".join(f"{index} on {table} (DROP INDEX CONCURRENTLY, then make it again)" for index, table in found)
    return Check("no invalid index", BROKEN if found else PASSED, what or "none")


def _unvalidated(session: Session, schema: str) -> Check:
    found = session.rows(
        "SELECT k.conname, t.relname FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid"
        " JOIN pg_namespace n ON n.oid = t.relnamespace WHERE NOT k.convalidated AND n.nspname = %s ORDER BY 1",
        (schema,),
    )
    what = "; ".join(f"{constraint} on {table}" for constraint, table in found)
    # NOT VALID is the advised way to begin; it becomes a fault only when nobody goes on.
    detail = f"{what}: run ALTER TABLE … VALIDATE CONSTRAINT" if found else "none"
    return Check("every constraint validated", WARNS if found else PASSED, detail)


def _drift(runner: Runner, schema_file: str) -> Check:
    name = "schema is as the code says"
    done = runner.prisma(
        "migrate", "diff", "--exit-code", "--from-schema-datasource", schema_file, "--to-schema-datamodel", schema_file
    )
    said = [line.strip() for line in done.output.splitlines() if line.strip()]
    if done.code == _SAME:
        return Check(name, PASSED, "no difference")
    if done.code == _DIFFERS:
        return Check(name, BROKEN, "; ".join(said)[-1000:])
    return Check(name, COULD_NOT_RUN, "; ".join(said[-3:]) or "prisma migrate diff said nothing")
