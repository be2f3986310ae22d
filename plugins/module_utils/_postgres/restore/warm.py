# SPDX-License-Identifier: GPL-3.0-or-later
"""Verified databases: restored from a dump, proved, closed to everybody, and ready to take over.

``<database>__verified_<dump id>`` carries a mark with the dump's SHA-256 and with the transaction that closed it. A
closed database refuses every connection, a superuser's too; opening it writes another transaction into its row of
``pg_database``. So one that is closed by the transaction that its mark names is what it was when it was proved.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ..connect import Server, Session, quote
from ..dump.model import Dump
from .database import LONGEST_NAME, drop
from .mark import Origin, mark, origin_of
from .preflight import MAP
from .proof import Invariant
from .report import Options
from .swap import swap

LEVELS = ("rows", "content", "deep")
_ID_LENGTH = 12
_ID = re.compile(f"[0-9a-f]{{{_ID_LENGTH}}}")


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
            # pg_dump's own folders are flat; any other is no dump, and may be a whole file system.
            os.stat(os.path.join(path, "toc.dat"))
            paths += sorted(os.path.join(path, name) for name in os.listdir(path))
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
    marked = [(name, origin_of(session, name)) for name in _names(session, database)]
    found = [Kept(name, origin) for name, origin in marked if origin is not None]
    return sorted((one for one in found if unchanged(session, one)), key=lambda one: one.origin.at, reverse=True)


def unchanged(session: Session, kept: Kept) -> bool:
    """Whether it has been closed all the time since it was proved."""
    closed_by = session.value(
        "SELECT xmin::text FROM pg_database WHERE datname = %s AND NOT datallowconn", (kept.name,)
    )
    return closed_by is not None and closed_by == kept.origin.closed


def find(session: Session, database: str, *, sha256: str | None = None, file: str | None = None) -> Kept | None:
    """The verified database of a dump, known by its SHA-256 or by its unchanged file."""
    for kept in usable(session, database):
        if (sha256 is not None and kept.origin.sha256 == sha256) or (file is not None and kept.origin.file == file):
            return kept
    return None


def falls_short(kept: Kept, options: Options) -> str | None:
    """Why a verified database does not do for what is asked now; None when it does."""
    origin = kept.origin
    if origin.verify not in LEVELS or LEVELS.index(origin.verify) < LEVELS.index(options.verify):
        return f"it was verified by {origin.verify} only, and verify is {options.verify}"
    missing = [one.name for one in options.invariants if not set(invariant_fingerprints([one])) <= set(origin.checks)]
    if missing:
        return f"these checks were not run on it: {', '.join(missing)}"
    if not set(origin.skipped) <= options.skip_checks:
        return f"the checks {', '.join(origin.skipped)} were skipped"
    given, wanted = origin.roles or {}, options.role_map if options.roles == MAP else {}
    if (given and options.roles != MAP) or any(given.get(role) != name for role, name in wanted.items()):
        return "the roles of its objects were mapped otherwise"
    return None


def close(server: Server, session: Session, scratch: str, name: str, origin: Origin) -> None:
    """Give a proved database its name and close it, in one transaction with the mark that says so."""

    def shut(swapping: Session) -> None:
        swapping.run(f"ALTER DATABASE {quote(scratch)} ALLOW_CONNECTIONS false")
        # The rename behind this belongs to the same transaction.
        closed = swapping.value("SELECT xmin::text FROM pg_database WHERE datname = %s", (scratch,))
        mark(swapping, scratch, replace(origin, closed=str(closed)))

    drop(session, name)
    # Whoever looks into every database, as monitoring does, is sent away.
    swap(server, name, scratch, scratch, shut)


def all_of(session: Session, database: str) -> list[str]:
    """Every verified database, usable or not, newest first; those without a readable mark come last."""
    marks = {name: origin_of(session, name) for name in _names(session, database)}
    times = {name: origin.at if origin is not None else "" for name, origin in marks.items()}
    return sorted(times, key=lambda name: times[name], reverse=True)


def _names(session: Session, database: str) -> list[str]:
    """Other people's databases may have names that only begin alike."""
    prefix = name_of(database, "")
    rows = session.rows("SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", (prefix,))
    return [name for (name,) in rows if _ID.fullmatch(name[len(prefix) :])]


def origin_for(dump: Dump, file: str | None, options: Options, roles: Mapping[str, str], seconds: float) -> Origin:
    """The mark of a database that was restored from a dump just now.

    :param roles: the names that were given to roles of the dump.
    """
    return Origin(
        sha256=dump.sha256,
        dump=dump.path,
        at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        bytes=dump.plain_bytes,
        seconds=round(seconds, 3),
        verify=options.verify,
        checks=invariant_fingerprints(options.invariants),
        skipped=tuple(sorted(options.skip_checks)),
        roles=dict(roles) or None,
        file=file,
    )
