# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the ledger's entry of what the modules said in a drill. However it ended, there is something to write."""

from __future__ import annotations

import glob
import json
import os
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ._ledger import COULD_NOT_RUN, FAILED, PROVED, Drill, moment

FRESHNESS = "newest business row"
_RESTORING = ("judge", "create", "load", "verify")
# What is kept of a dump, so that nobody has to read it again to tell what it is.
_READ = ("created_from", "database", "server_version", "pg_dump_version", "readers", "tables", "rows")


@dataclass(frozen=True)
class Course:
    """What was said in a drill, as far as it came.

    :param found: the result of pg_dump_info; ``restored``, that of pg_restore_from_dump, which may be a failure.
    :param failure: what ended the drill early; None when nothing did.
    :param unchanged: the fingerprint of the dump's file, if nobody has written to it since it was found.
    :param swap_seconds: how long a swap takes.
    :param api_seconds: how long the API took to stop and to start in the last recovery.
    """

    run: str
    database: str
    host: str
    verify: str
    began: datetime
    ended: datetime
    found: Mapping[str, t.Any]
    restored: Mapping[str, t.Any]
    failure: str | None = None
    unchanged: str | None = None
    swap_seconds: float = 0.0
    api_seconds: float | None = None


def drill_of(course: Course) -> Drill:
    """The entry."""
    restored, proof = course.restored, list(course.restored.get("proof") or [])
    outcome = _outcome(course)
    dump = _dump(course)
    proved = outcome == PROVED
    seconds = dict(restored.get("seconds") or {})
    restore_seconds = sum(seconds.get(phase, 0.0) for phase in _RESTORING) if proved else None
    rto, rto_source = _rto(course, restore_seconds)
    rpo, rpo_source = _rpo(course, proof, dump)
    return Drill(
        run=course.run,
        database=course.database,
        host=course.host,
        outcome=outcome,
        dump=dump,
        verify=course.verify,
        began=_text(course.began),
        ended=_text(course.ended),
        reason=None if proved else _reason(course),
        proof=proof,
        rows=int(restored.get("rows") or 0),
        tables=list(restored.get("tables") or []),
        compared_to_live=dict(restored.get("compared_to_live") or {}),
        seconds=seconds,
        restore_seconds=None if restore_seconds is None else round(restore_seconds, 3),
        rto_seconds=rto,
        rto_source=rto_source,
        rpo_seconds=rpo,
        rpo_source=rpo_source,
        kept_as=restored.get("verified_database") if proved else None,
        rejected=[
            {"path": one["path"], "reason": one.get("reason") or "", "code": one.get("code")}
            for one in course.found.get("rejected") or []
        ],
    )


def api_seconds(journal: str) -> float | None:
    """How long the API took to stop and to be healthy again in the newest recovery of a journal."""
    entries = sorted(glob.glob(os.path.join(glob.escape(journal), "*_disaster_recovery.json")), reverse=True)
    return next((seconds for seconds in map(_api_seconds_in, entries) if seconds is not None), None)


def _api_seconds_in(path: str) -> float | None:
    try:
        with open(path, encoding="utf-8") as file:
            entry = json.load(file)
        clock = entry["clock"]
        if entry["outcome"] != "succeeded" or not entry["restored"]:
            return None
        return round(float(clock["stopped"] - clock["planned"] + clock["healthy"] - clock["restored"]), 3)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _outcome(course: Course) -> str:
    restored = course.restored
    results = [check.get("result") for check in restored.get("proof") or []]
    if course.failure is None and results and all(result == "passed" for result in results):
        return PROVED
    # Where the server still answered at the end, it is the dump that could not answer a check.
    if results and ("failed" in results or results[-1] == "passed"):
        return FAILED
    # Folders of nothing but bad dumps have been read, and so has a dump that the server would not take.
    refused = bool(course.found) and not course.found.get("latest_stable") and bool(course.found.get("rejected"))
    begun = "load" in (restored.get("seconds") or {}) and "could not run" not in results
    return FAILED if refused or begun else COULD_NOT_RUN


def _reason(course: Course) -> str:
    return course.failure or "The drill ended without a proof."


def _dump(course: Course) -> dict[str, t.Any]:
    stable = course.found.get("latest_stable") or {}
    read = course.restored.get("dump") or {}
    rejected: Sequence[Mapping[str, t.Any]] = course.found.get("rejected") or []
    seen = stable or read or next(iter(rejected), {})
    if not seen:
        return {}
    # Somebody may have replaced the file between the two looks at it: what counts is what was restored.
    same = stable.get("sha256") == read.get("sha256", stable.get("sha256"))
    told = {**seen, **read}
    return {
        "path": seen["path"],
        "name": os.path.basename(seen["path"]),
        "sha256": told.get("sha256"),
        "bytes": told.get("size"),
        "format": told.get("format"),
        "dumped_at": told.get("created"),
        "fingerprint": course.unchanged if same else None,
        **{name: told.get(name) for name in _READ},
    }


def _rto(course: Course, restore_seconds: float | None) -> tuple[float | None, str | None]:
    if restore_seconds is None:
        return None, None
    total, source = restore_seconds + course.swap_seconds, "restore and swap"
    if course.api_seconds is not None:
        return round(total + course.api_seconds, 3), f"{source}, and the API's restart as in the last recovery"
    return round(total, 3), f"{source}; no recovery has measured the API's restart yet"


def _rpo(
    course: Course, proof: Sequence[Mapping[str, t.Any]], dump: Mapping[str, t.Any]
) -> tuple[float | None, str | None]:
    for check in proof:
        if check.get("name") == FRESHNESS and check.get("result") == "passed":
            return round(course.began.timestamp() - float(check["detail"]), 3), FRESHNESS
    if not dump.get("sha256") or not dump.get("dumped_at"):
        return None, None
    return round((course.began - moment(dump["dumped_at"])).total_seconds(), 3), "the dump's age"


def _text(when: datetime) -> str:
    return when.astimezone(timezone.utc).isoformat(timespec="seconds")
