# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restored database says of itself: the last line of its own comment.

The comment follows every rename, people see it in any list of databases, and no other place can be written by a role
that is not a superuser.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from ..connect import Session, literal, quote

_MARK = "vedfinance.platform restored this database: "


@dataclass(frozen=True)
class Origin:
    """Which dump a database was restored from, and what is known of it since.

    :param at: when it was restored or verified, ISO 8601.
    :param bytes: plain SQL that was loaded, in ``seconds``: the measured throughput of this host.
    :param verify: the level of its proof; ``checks`` are the fingerprints of the SQL invariants that it passed.
    :param skipped: built-in checks that it was spared; ``roles`` are the names that were given to roles of the dump.
    :param file: the fingerprint of the dump's file, see :func:`.warm.fingerprint`.
    :param closed: of a verified database: the transaction that closed it to all connections.
    :param dump_details: of a verified database: what a result tells of its dump.
    :param rows: of a verified database: rows by table.
    :param outstanding: indexes that are still to be built, see :mod:`.complete`.
    :param quick_statistics: whether the planner's statistics are those of a tenth of the usual sample.
    """

    sha256: str
    dump: str
    at: str
    bytes: int = 0
    seconds: float = 0.0
    verify: str = "rows"
    checks: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    roles: dict[str, str] | None = None
    file: str | None = None
    closed: str | None = None
    dump_details: dict[str, Any] | None = None
    rows: dict[str, int] | None = None
    outstanding: tuple[dict[str, Any], ...] = ()
    quick_statistics: bool = False

    @property
    def throughput(self) -> float | None:
        """Bytes of plain SQL per second; None when it was not measured."""
        return self.bytes / self.seconds if self.bytes and self.seconds else None


_FIELDS = {field.name for field in fields(Origin)}
_DEFAULTS = {field.name: field.default for field in fields(Origin)}


def mark(session: Session, name: str, origin: Origin) -> None:
    """Write into the database itself which dump it comes from; the comment of people stays above it."""
    told = {key: value for key, value in vars(origin).items() if value != _DEFAULTS[key]}
    line = _MARK + json.dumps(told)
    comment = without_mark(_comment(session, name))
    session.run(f"COMMENT ON DATABASE {quote(name)} IS {literal(f'{comment}{chr(10)}{line}' if comment else line)}")


def origin_of(session: Session, name: str) -> Origin | None:
    """The mark that :func:`mark` left, or None."""
    line = (_comment(session, name) or "").rsplit("\n", 1)[-1]
    if not line.startswith(_MARK):
        return None
    try:
        found = {key: value for key, value in json.loads(line[len(_MARK) :]).items() if key in _FIELDS}
        for listed in ("checks", "skipped", "outstanding"):
            found[listed] = tuple(found.get(listed, ()))
        return Origin(**found)
    except (ValueError, AttributeError, TypeError):
        return None


def without_mark(comment: str | None) -> str | None:
    """The comment as people wrote it."""
    head, _break, last = (comment or "").rpartition("\n")
    return (head or None) if last.startswith(_MARK) else comment


def _comment(session: Session, name: str) -> str | None:
    found = session.value("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,))
    return None if found is None else str(found)
