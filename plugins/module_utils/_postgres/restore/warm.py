# SPDX-License-Identifier: GPL-3.0-or-later
"""Verified databases: restored from a dump, proved, closed to everybody, and ready to take over.

``<database>__verified_<dump id>`` carries a mark with the dump's SHA-256 and with the transaction that closed it. A
closed database refuses every connection, a superuser's too; opening it writes another transaction into its row of
``pg_database``. So one that is closed by the transaction that its mark names is what it was when it was proved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ..connect import ServerError, Session, quote
from ..dump.model import Dump
from .database import LONGEST_NAME, drop
from .mark import Origin, mark, origin_of
from .proof import Invariant

LEVELS = ("rows", "content", "deep")
_ID_LENGTH = 12


@dataclass(frozen=True)
class Kept:
    """A verified database that can take over."""

    name: str
    origin: Origin


def fingerprint(path: str) -> str | None:
    """What tells, without reading it, that a dump is the file it was: any write to it changes its ctime.

    None when it cannot be looked at.
    """
    try:
        paths = [path]
        if os.path.isdir(path):
            paths += sorted(os.path.join(folder, name) for folder, _folders, names in os.walk(path) for name in names)
        told = [
            (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            for status in map(os.stat, paths)
        ]
    except OSError:
        return None
    return hashlib.sha256(repr(told).encode()).hexdigest()[: 2 * _ID_LENGTH]


def invariant_fingerprints(invariants: Sequence[Invariant]) -> tuple[str, ...]:
    """Which SQL invariants a database has passed, in few letters."""
    return tuple(
        sorted(hashlib.sha256(repr((one.query, one.expect)).encode()).hexdigest()[:_ID_LENGTH] for one in invariants)
    )


def name_of(database: str, sha256: str) -> str:
    """The name under which a verified database is kept."""
    return f"{database}__verified_{sha256[:_ID_LENGTH]}"


def too_long(database: str) -> bool:
    """Whether PostgreSQL would cut such a name off."""
    return len(name_of(database, "0" * _ID_LENGTH).encode()) > LONGEST_NAME


def usable(session: Session, database: str) -> list[Kept]:
    """The verified databases of a database that are closed and unchanged since their proof, newest first."""
    rows = session.rows(
        "SELECT datname, xmin::text FROM pg_database WHERE NOT datallowconn AND starts_with(datname, %s)",
        (name_of(database, ""),),
    )
    marked = [(name, closed, origin_of(session, name)) for name, closed in rows]
    found = [Kept(name, origin) for name, closed, origin in marked if origin is not None and origin.closed == closed]
    return sorted(found, key=lambda one: one.origin.at, reverse=True)


def find(session: Session, database: str, *, sha256: str | None = None, file: str | None = None) -> Kept | None:
    """The verified database of a dump, known by its SHA-256 or by its unchanged file."""
    for kept in usable(session, database):
        if (sha256 is not None and kept.origin.sha256 == sha256) or (file is not None and kept.origin.file == file):
            return kept
    return None


def falls_short(kept: Kept, level: str, invariants: Sequence[Invariant]) -> str | None:
    """Why a verified database does not do for what is asked now; None when it does."""
    if kept.origin.verify not in LEVELS or LEVELS.index(kept.origin.verify) < LEVELS.index(level):
        return f"it was verified by {kept.origin.verify} only, and verify is {level}"
    if not set(invariant_fingerprints(invariants)) <= set(kept.origin.checks):
        return "not all of the checks that are wanted now were run on it"
    return None


def close(session: Session, scratch: str, name: str, origin: Origin) -> None:
    """Give a proved database its name and close it, in one transaction with the mark that says so."""
    drop(session, name)
    session.run("BEGIN")
    try:
        session.run(f"ALTER DATABASE {quote(scratch)} RENAME TO {quote(name)}")
        session.run(f"ALTER DATABASE {quote(name)} ALLOW_CONNECTIONS false")
        closed = session.value("SELECT xmin::text FROM pg_database WHERE datname = %s", (name,))
        mark(session, name, replace(origin, closed=str(closed)))
        session.run("COMMIT")
    except ServerError:
        with suppress(ServerError):
            session.run("ROLLBACK")
        raise


def all_of(session: Session, database: str) -> list[str]:
    """Every verified database, usable or not, newest first; those without a readable mark come last."""
    names = [
        row[0]
        for row in session.rows(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", (name_of(database, ""),)
        )
    ]
    marks = {name: origin_of(session, name) for name in names}
    times = {name: origin.at if origin is not None else "" for name, origin in marks.items()}
    return sorted(names, key=lambda name: times[name], reverse=True)


def origin_for(dump: Dump, file: str | None, level: str, invariants: Sequence[Invariant], seconds: float) -> Origin:
    """The mark of a database that was restored from a dump just now."""
    return Origin(
        sha256=dump.sha256,
        dump=dump.path,
        at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        bytes=dump.plain_bytes,
        seconds=round(seconds, 3),
        verify=level,
        checks=invariant_fingerprints(invariants),
        file=file,
    )
