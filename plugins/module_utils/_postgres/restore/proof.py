# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves that a restored database is the dump's equal, before it may take over.

``rows`` counts, and compares the catalogue with what the dump's statements promise (``catalogue.py``). ``content``
compares every row to the bit (``contents.py``). ``deep`` lets amcheck look for damage as well (``damage.py``).

CPU seconds for 880,000 rows (170 MB), of Python and of the server: ``rows`` 0.1 and 0.2; ``content`` adds 0.7 to the
judgement of the dump, then 1.7 and 1.8 (6 of Python where psycopg has no C part); ``deep`` adds 2 of the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..connect import ServerError, Session
from ..dump.model import Dump
from . import catalogue, contents, damage, integrity
from .tables import Connect, count_rows, in_parallel, stored_tables

PASSED, FAILED, COULD_NOT_RUN = "passed", "failed", "could not run"
ROWS, CONTENT, DEEP = LEVELS = ("rows", "content", "deep")
SEQUENCES, MIGRATIONS = SKIPPABLE = ("sequences", "prisma_migrations")
ANY = "*"
_SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One check and its result; a check that passed may still have something to say."""

    name: str
    result: str
    detail: str = ""
    seconds: float = 0.0


@dataclass
class Proof:
    """All checks of one restore. It holds only when every single one ran and passed."""

    checks: list[Check] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return bool(self.checks) and all(check.result == PASSED for check in self.checks)

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks if check.result != PASSED]

    def check(self, name: str, find_problems: Callable[[], list[str]], remarks: Sequence[str] = ()) -> None:
        """Add a check; a server that refuses to answer is no pass.

        :param remarks: what is no problem and worth saying; may be filled while problems are looked for.
        """
        self.checks.append(_checked(name, find_problems, remarks))

    def as_dicts(self) -> list[dict[str, Any]]:
        return [{**vars(check), "seconds": round(check.seconds, 3)} for check in self.checks]


@dataclass(frozen=True)
class Invariant:
    """A query of the user's whose first value must be what is expected, or with ``ANY`` not NULL."""

    name: str
    query: str
    expect: str


def obstacles(dump: Dump, level: str, session: Session) -> list[str]:
    """Why a proof of this level could not be made; known before anything is loaded.

    :param session: connected to any database of the server.
    """
    found = contents.obstacles(dump) if level != ROWS else []
    return found + (damage.obstacles(session) if level == DEEP else [])


def prove(
    session: Session,
    dump: Dump,
    loaded: Mapping[str, int],
    invariants: Sequence[Invariant],
    *,
    level: str = ROWS,
    deferred: Collection[str] = frozenset(),
    connect: Connect | None = None,
    jobs: int = 1,
    skip: Collection[str] = frozenset(),
    renamed: Mapping[str, str] | None = None,
) -> Proof:
    """Compare a database with what was read from the dump and what was sent.

    :param session: connected to staging.
    :param loaded: rows that the server acknowledged, by table.
    :param level: how closely to look, one of ``LEVELS``.
    :param deferred: indexes (``schema.name``) that may be missing, as they are built after the swap.
    :param connect: opens one more such session, for work side by side.
    :param skip: those of ``SKIPPABLE`` that are not wanted.
    :param renamed: roles that have another name on this server than in the dump.
    """
    proof = Proof()
    others = jobs - 1 if connect is not None else 0

    def counted(counting: Session) -> list[str]:
        # What a policy hides must be an error, never a smaller number.
        counting.run("SET row_security TO off")
        proof.rows = count_rows(counting, dump.data, connect, max(1, others))
        own_rows = {str(table) for table in stored_tables(counting, dump.data) if table.of_extension}
        return _wrong_counts(dump, loaded, proof.rows, own_rows)

    def compared(comparing: Session) -> list[str]:
        return catalogue.differences(comparing, dump, deferred, renamed or {})

    proof.checks += _side_by_side(session, connect if others else None, {"rows": counted, "catalogue": compared})
    session.run("SET row_security TO off")
    proof.check("valid indexes and constraints", lambda: catalogue.invalid(session, dump))
    if SEQUENCES not in skip:
        remarks: list[str] = []
        proof.check(SEQUENCES, lambda: integrity.lagging_sequences(session, dump, remarks), remarks)
    if MIGRATIONS not in skip:
        proof.check(MIGRATIONS, lambda: integrity.unfinished_migrations(session))
    for invariant in invariants:
        told: list[str] = []
        proof.check(invariant.name, partial(_invariant, session, invariant, told), told)
    if level != ROWS:
        left_out: list[str] = []
        proof.check("content", lambda: contents.differences(session, dump, connect, jobs, left_out), left_out)
    if level == DEEP:
        proof.check("amcheck", lambda: damage.find(session))
    return proof


def _checked(name: str, find_problems: Callable[[], list[str]], remarks: Sequence[str] = ()) -> Check:
    begun = time.monotonic()
    try:
        problems = find_problems()
    except ServerError as error:
        result, detail = COULD_NOT_RUN, error.msg
    else:
        result, detail = FAILED if problems else PASSED, _in_short(problems or remarks)
    return Check(name, result, detail, time.monotonic() - begun)


def _side_by_side(
    session: Session, connect: Connect | None, looks: Mapping[str, Callable[[Session], list[str]]]
) -> list[Check]:
    """Checks that lock nothing that another of them needs, in their order."""
    checks: dict[str, Check] = {}

    def look(own: Session, name: str) -> None:
        checks[name] = _checked(name, partial(looks[name], own))

    in_parallel(session, connect, len(looks), dict.fromkeys(looks, 1.0), look)
    return [checks[name] for name in looks]


def _wrong_counts(
    dump: Dump, loaded: Mapping[str, int], stored: Mapping[str, int], own_rows: Collection[str]
) -> list[str]:
    """:param own_rows: tables that held rows before anything was loaded."""
    problems = []
    for table, data in dump.data.items():
        expected = data.rows if data.rows is not None else loaded.get(table, 0)
        if table not in stored:
            problems.append(f"table {table} is missing")
            continue
        all_there = stored[table] >= expected if table in own_rows else stored[table] == expected
        if not all_there or loaded.get(table, 0) != expected:
            problems.append(f"table {table} has {stored[table]} rows, the dump {expected}")
    return problems


def _invariant(session: Session, invariant: Invariant, told: list[str]) -> list[str]:
    # Read-only: a check must not change what it checks.
    session.run("BEGIN READ ONLY")
    try:
        found = session.value(invariant.query)
    finally:
        session.run("ROLLBACK")
    shown = "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
    if invariant.expect == ANY and shown:
        told.append(shown)
        return []
    return [] if shown == invariant.expect else [f"expected {invariant.expect}, found {shown or 'nothing'}"]


def _in_short(sentences: Sequence[str]) -> str:
    shown = "; ".join(sentences[:_SHOWN])
    return f"{shown}; and {len(sentences) - _SHOWN} more" if len(sentences) > _SHOWN else shown
