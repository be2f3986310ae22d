# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: one file for each drill, written once and never changed. Whatever asks how good a dump is asks here."""

from __future__ import annotations

import json
import os
import re
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone

from ._errors import PlatformError

PROVED, FAILED, COULD_NOT_RUN = OUTCOMES = ("proved", "failed", "could_not_run")
PASSED = "passed"
_VERSION = 1
_RUN = re.compile(r"\d{8}T\d{6}Z")
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750


@dataclass(frozen=True)
class Drill:
    """One drill: which dump, what became of it, and how that is known.

    :param dump: path, name, sha256, bytes, format, dumped_at and fingerprint, and what else was read of it; empty when
        there was none.
    :param reason: why it proved nothing; None when it did.
    :param proof: the checks, as pg_restore_from_dump returns them.
    :param rto_source: what the estimate of a recovery is made of; ``rpo_source``, what tells how old the data were.
    :param kept_as: the verified database that takes over in a recovery from the same dump.
    :param rejected: newer dumps that were passed over, and why.
    """

    run: str
    database: str
    host: str
    outcome: str
    dump: Mapping[str, t.Any]
    verify: str
    began: str
    ended: str
    reason: str | None = None
    proof: Sequence[Mapping[str, t.Any]] = ()
    rows: int = 0
    tables: Sequence[Mapping[str, t.Any]] = ()
    compared_to_live: Mapping[str, t.Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    restore_seconds: float | None = None
    rto_seconds: float | None = None
    rto_source: str | None = None
    rpo_seconds: float | None = None
    rpo_source: str | None = None
    kept_as: str | None = None
    rejected: Sequence[Mapping[str, t.Any]] = ()

    @property
    def proved(self) -> bool:
        return self.outcome == PROVED

    @property
    def sha256(self) -> str | None:
        found = self.dump.get("sha256")
        return str(found) if found else None

    @property
    def began_at(self) -> datetime:
        return moment(self.began)

    @property
    def ended_at(self) -> datetime:
        return moment(self.ended)

    def proves(self, sha256: str) -> bool:
        """Whether it restored and verified a dump of this very content."""
        return self.proved and self.sha256 == sha256

    def as_dict(self) -> dict[str, t.Any]:
        """As it stands in its file."""
        return {"ledger": _VERSION, **vars(self)}


class Ledger(list[Drill]):
    """The drills, newest first.

    :ivar problems: files of the folder that tell nothing, and why.
    """

    def __init__(self, drills: Iterable[Drill] = (), problems: Sequence[str] = ()) -> None:
        super().__init__(drills)
        self.problems = list(problems)


_FIELDS = {one.name for one in fields(Drill)}
_NEEDED = ("run", "database", "host", "outcome", "dump", "verify", "began", "ended")


def read_ledger(folder: str) -> Ledger:
    """Every drill of a folder, newest first. A folder that is not there yet holds none.

    A file that is not readable or no drill is told in ``problems``.
    """
    drills, problems = [], []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise PlatformError(
            f"The ledger {folder} cannot be read: {error.strerror}.",
            "Run with become: true, or give this user the right.",
        ) from None
    for name in names:
        if name.startswith(".") or not name.endswith(".json"):
            continue
        try:
            drills.append(_read(os.path.join(folder, name)))
        except (OSError, ValueError) as error:
            problems.append(f"{name} is no drill: {error}")
    drills.sort(key=lambda drill: (drill.began_at, drill.run), reverse=True)
    return Ledger(drills, problems)


def write_drill(folder: str, drill: Drill) -> str:
    """Add a drill to the ledger; its path. What stands in the ledger is never written again."""
    path = os.path.join(folder, f"{drill.run}_{drill.database}.json")
    if not _RUN.fullmatch(drill.run) or os.path.dirname(path) != folder.rstrip("/"):
        raise PlatformError(
            f"Run {drill.run!r} of database {drill.database!r} gives no file name.", "Write a run as 20261123T020000Z."
        )
    aside = os.path.join(folder, f".partial-{os.path.basename(path)}")
    try:
        os.makedirs(folder, mode=_FOLDER_MODE, exist_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE), "w", encoding="utf-8") as file:
            json.dump(drill.as_dict(), file, indent=2, default=list)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never replaces what is there.
        os.link(aside, path)
    except FileExistsError:
        raise PlatformError(
            f"The ledger has a drill {os.path.basename(path)} already, and none is ever changed.",
            "Give it another run.",
        ) from None
    except OSError as error:
        raise PlatformError(
            f"The drill could not be written to {path}: {error.strerror}.", "Is there room, and the right to write?"
        ) from None
    finally:
        with suppress(OSError):
            os.unlink(aside)
    return path


def of_database(drills: Iterable[Drill], database: str | None) -> Ledger:
    """Those of one database, in their order; of all, when none is named."""
    return Ledger(drill for drill in drills if database is None or drill.database == database)


def newest_proof(drills: Iterable[Drill], sha256: str | None = None) -> Drill | None:
    """The newest drill that proved a dump of this content, or any dump.

    :param drills: newest first.
    """
    return next((drill for drill in drills if drill.proved and sha256 in (None, drill.sha256)), None)


def last_word(drills: Iterable[Drill], sha256: str) -> Drill | None:
    """The newest drill that restored this dump and came to a result, whatever it was."""
    return next((drill for drill in drills if drill.sha256 == sha256 and drill.outcome != COULD_NOT_RUN), None)


def condemned(drills: Sequence[Drill], sha256: str) -> Drill | None:
    """The drill that speaks against a dump of this content; None when none does.

    What was proved before cannot have become worse. Unless it was a check that failed now, which a recovery would have
    it pass too, the server was at fault.
    """
    last = last_word(drills, sha256)
    if last is None or last.outcome != FAILED:
        return None
    failed_checks = any(check.get("result") != PASSED for check in last.proof)
    return last if failed_checks or newest_proof(drills, sha256) is None else None


def known_file(drills: Iterable[Drill], fingerprint: str | None) -> Drill | None:
    """The newest drill that read this very file, which nobody has written to since."""
    if fingerprint is None:
        return None
    return next((drill for drill in drills if drill.sha256 and drill.dump.get("fingerprint") == fingerprint), None)


def failures_in_a_row(drills: Iterable[Drill]) -> int:
    """How many of the newest drills proved nothing. One that could not run is one of them."""
    count = 0
    for drill in drills:
        if drill.proved:
            break
        count += 1
    return count


def proofs_in_a_row(drills: Iterable[Drill]) -> int:
    """How many of the newest drills proved their dump."""
    count = 0
    for drill in drills:
        if not drill.proved:
            break
        count += 1
    return count


def missed(drills: Sequence[Drill], max_age: float, now: datetime) -> str | None:
    """Why a drill is missed that should have been; None when none is.

    :param max_age: seconds within which there must be one.
    """
    newest = next(iter(drills), None)
    if newest is None:
        return "there has never been a drill"
    age = (now - newest.ended_at).total_seconds()
    return f"the last drill ended {newest.ended}, {age / 3600:.0f} h ago" if age > max_age else None


def moment(text: str) -> datetime:
    """A time of the ledger; one without a zone is UTC."""
    found = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _read(path: str) -> Drill:
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict) or found.get("ledger") != _VERSION:
        raise ValueError(f'it does not say "ledger": {_VERSION}')
    lacking = [name for name in _NEEDED if name not in found]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    if found["outcome"] not in OUTCOMES:
        raise ValueError(f"its outcome is {found['outcome']!r}")
    if not isinstance(found["dump"], dict):
        raise ValueError("its dump is no mapping")
    # A newer version of the collection may have written more.
    drill = Drill(**{name: value for name, value in found.items() if name in _FIELDS})
    try:
        moment(drill.began), moment(drill.ended)
    except TypeError:
        raise ValueError("its times are no text") from None
    return drill
