# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps and folders of dumps, for results and for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..._ledger import Drill
from .folder import Entry, Folder
from .model import Dump

_WIDTH = 4
_RECALLED = (
    "created_from", "format", "readers", "server_version", "pg_dump_version", "database", "sha256", "tables", "rows",
)  # fmt: skip


def in_time(seconds: float) -> str:
    """A duration for people: 45 s, 12 min, 5 h 10 min, 3 d 4 h."""
    span = timedelta(seconds=int(seconds))
    hours, minutes = span.seconds // 3600, span.seconds // 60 % 60
    if span.days:
        return f"{span.days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def in_units(size: float) -> str:
    """A size for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def describe(dump: Dump, now: datetime) -> dict[str, Any]:
    """A dump that may be restored."""
    age = (now - dump.created).total_seconds()
    return {
        "path": dump.path,
        "size": dump.size,
        "created": dump.created.isoformat(timespec="seconds"),
        "created_from": dump.created_from,
        "age_seconds": int(age),
        "age": in_time(age),
        "format": str(dump.format),
        "readers": dump.readers,
        "server_version": dump.server_version,
        "pg_dump_version": dump.dump_version,
        "database": dump.database,
        "sha256": dump.sha256,
        "tables": len(dump.data),
        "rows": dump.rows,
    }


def proof_of(drill: Drill) -> dict[str, Any]:
    """How it is known that a dump can be restored."""
    return {
        "run": drill.run,
        "ended": drill.ended,
        "verify": drill.verify,
        "checks": len(drill.proof),
        "restore_seconds": drill.restore_seconds,
        "kept_as": drill.kept_as,
    }


def summary(folder: Folder, now: datetime) -> dict[str, Any]:
    """The catalogue of a folder, as pg_dump_info returns it."""
    stable = folder.latest_stable
    rejected = folder.newer_rejected
    if stable is not None:
        age = in_time((now - stable.created).total_seconds())
        proved = f", proved by the drill of {stable.proof.ended}" if stable.proof else ""
        msg = (
            f"The latest stable dump is {stable.path} ({age} old{proved}); {len(rejected) or 'nothing'} newer was"
            " rejected."
        )
    elif folder.entries:
        reasons = "; ".join(f"{entry.path}: {entry.rejected.reason}" for entry in rejected[:_WIDTH] if entry.rejected)
        msg = f"There is no stable dump among the {len(folder.entries)} files of {folder.path}. {reasons}."
    else:
        msg = (
            f"The backup folder {folder.path} holds no dump at all. Is the backup job running, and does it write here?"
        )
    return {
        "msg": msg,
        "latest_stable": _entry(stable, now) if stable else None,
        "rejected": [_entry(entry, now) for entry in rejected],
        "unproved": [_entry(entry, now) for entry in folder.newer_unproved if entry.stable],
        "dumps": [_entry(entry, now) for entry in folder.entries],
        "links": folder.links,
    }


def _entry(entry: Entry, now: datetime) -> dict[str, Any]:
    result: dict[str, Any] = {"path": entry.path, "judged": entry.judged, "complete": None}
    result |= {"proof": proof_of(entry.proof) if entry.proof else None, "fingerprint": entry.fingerprint}
    if entry.stable:
        details = describe(entry.dump, now) if entry.dump is not None else _recalled(entry, now)
        return {**result, **details, "complete": True}
    result |= _size_and_age(entry, now)
    if entry.rejected is not None:
        rejected = entry.rejected
        result |= {"complete": False, "code": rejected.code, "reason": rejected.reason, "where": rejected.where}
        result["hint"] = rejected.hint
    return result


def _size_and_age(entry: Entry, now: datetime) -> dict[str, Any]:
    age = (now - entry.created).total_seconds()
    return {
        "size": entry.size,
        "created": entry.created.isoformat(timespec="seconds"),
        "age_seconds": int(age),
        "age": in_time(age),
    }


def _recalled(entry: Entry, now: datetime) -> dict[str, Any]:
    """A dump that was not read now, as it was described when a drill read it."""
    told: Mapping[str, Any] = entry.known.dump if entry.known is not None else {}
    return {**_size_and_age(entry, now), **{name: told.get(name) for name in _RECALLED}}
