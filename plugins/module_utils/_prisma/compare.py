# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether older code can live with a database that is ahead of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._postgres.dump.statements import Name
from .change import FUNCTION, TABLE, Act, Change, change_of
from .files import Folder, Migration
from .script import Part, Unreadable, parts_of
from .table import History

# The older code leaves a new column out, and so cannot live with one that demands something.
_DEMANDS = ("add required column", "set not null", "drop default", "add primary key constraint")
_UNIQUE = ("create unique index", "add unique constraint")
# These reach from a new table to one that may be old.
_REACHES_OTHERS = ("alter table attach", "alter table inherit")
_OVERLOADED = (FUNCTION, "aggregate", "operator")
_CHANGES_ROWS = ("insert", "update", "delete")


@dataclass
class Made:
    """What the migrations so far have made: the older code cannot know it, so nothing done to it hurts that code."""

    objects: set[tuple[str, Name]] = field(default_factory=set)
    columns: set[tuple[Name, str]] = field(default_factory=set)
    #: Of these, the ones that may have the same value in several rows of code that leaves them out.
    may_repeat: set[tuple[Name, str]] = field(default_factory=set)
    #: Through these, rows of old tables are changed.
    views: set[Name] = field(default_factory=set)

    def note(self, change: Change) -> None:
        if not change.tolerant:
            # What was renamed is as old as it was. And another function may have the same name: arguments are not read.
            if all(drop in self.objects for drop in change.drops):
                self.objects.update(made for made in change.creates if made[0] not in _OVERLOADED)
            if change.kind == "create view":
                self.views.update(name for _kind, name in change.creates)
            if change.table is not None:
                for column in change.columns:
                    if not column.maybe_old:
                        self.columns.add((change.table, column.name))
                    if column.may_repeat:
                        self.may_repeat.add((change.table, column.name))

    def covers(self, act: Act, change: Change) -> bool:
        """Whether the act is only about what is new."""
        if act.kind in _REACHES_OTHERS or (act.kind in _CHANGES_ROWS and act.table in self.views):
            return False
        if act.table is not None and (TABLE, act.table) in self.objects:
            return True
        if act.kind in _UNIQUE and all((act.table, column) in self.may_repeat for column in act.columns):
            return False
        if act.table is not None and act.columns and act.kind not in _DEMANDS:
            return all((act.table, column) in self.columns for column in act.columns)
        return bool(change.drops) and act.kind.startswith("drop") and all(drop in self.objects for drop in change.drops)


def effects(migrations: Iterable[Migration], schema: str) -> Iterator[tuple[Migration, list[tuple[Part, Act]]]]:
    """Of each migration, what its statements do to code from before all of them.

    :raises Unreadable: for a script that nobody can read.
    """
    made = Made()
    for migration in migrations:
        found: list[tuple[Part, Act]] = []
        for part in parts_of(migration.sql or "")[0]:
            change = change_of(part.tokens, schema)
            for act in change.acts:
                if not act.additive and made.covers(act, change):
                    act = Act(act.kind, True, "it is about what the same set of migrations has made", act.table)
                found.append((part, act))
            made.note(change)
        yield migration, found


def compare(known: Sequence[str], folder: Folder, history: History, schema: str) -> dict[str, Any]:
    """The database beside the migrations that some code knows.

    :param folder: where the SQL of what is ahead is looked up.
    """
    applied = history.applied | {row.name for row in history.rows if row.failed}
    ahead = sorted(applied - set(known))
    entries = list(_judged(ahead, folder, history, schema))
    return {
        "ahead": entries,
        "missing": sorted(set(known) - history.applied),
        "additive": all(entry["additive"] for entry in entries),
    }


def _judged(ahead: Sequence[str], folder: Folder, history: History, schema: str) -> Iterator[dict[str, Any]]:
    readable: list[Migration] = []
    unknown: dict[str, str] = {}
    for name in ahead:
        migration = folder.find(name)
        why = _why_unknown(name, migration, history)
        if why is None and migration is not None:
            readable.append(migration)
        elif why is not None:
            unknown[name] = why
    known = {migration.name: found for migration, found in effects(readable, schema)}
    for name in ahead:
        if name in known:
            statements = [
                {"statement": part.shown, "kind": act.kind, "reason": act.reason, "additive": act.additive}
                for part, act in known[name]
            ]
            yield {
                "name": name,
                "additive": all(each["additive"] for each in statements),
                "reason": None,
                "statements": statements,
            }
        else:
            yield {"name": name, "additive": False, "reason": unknown[name], "statements": []}


def _why_unknown(name: str, migration: Migration | None, history: History) -> str | None:
    if migration is None or migration.sql is None:
        return "Its migration.sql is not there, so that nobody can say what it did."
    rows = history.of(name)
    if any(row.failed for row in rows):
        return "It has failed, and a part of it may be in the database."
    if not any(row.applied and migration.matches(row.checksum) for row in rows):
        return "Its migration.sql is not the one that was applied (another checksum)."
    if any(row.applied and row.steps == 0 for row in rows):
        return "It was marked as applied without being run, so that nobody can say what is in the database."
    try:
        parts_of(migration.sql)
    except Unreadable as error:
        return str(error)
    return None
