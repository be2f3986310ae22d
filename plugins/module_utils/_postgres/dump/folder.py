# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of a backup folder: what each dump is, and which dump a recovery should take."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatch
from pathlib import Path

from ..._errors import PlatformError
from ..._ledger import Drill, condemned, known_file, moment, newest_proof
from ..backup.files import MANIFEST
from ..backup.manifest import Manifest, ManifestError, manifest_of
from .judge import created_by_name, judge
from .model import CORRUPT, DRILL_FAILED, TOO_OLD, Dump, DumpRejected
from .source import Tools, is_archive


@dataclass(frozen=True)
class Proofs:
    """What the ledger knows of the dumps of a folder.

    :param prefer: seconds; a dump that a drill has proved is preferred to one without a proof that is at most so much
        newer.
    """

    drills: Sequence[Drill] = ()
    prefer: float = 0.0


@dataclass(frozen=True)
class Entry:
    """One file, or archive in directory format: a dump that may be restored, or the reason why not.

    Neither: it was not read.

    :param known: the drill that read this very file, which nobody has written to since: it need not be read again.
    :param proof: the newest drill that proved a dump of this content.
    :param fingerprint: what tells that the file is the one that was read; None when it was not, or has changed.
    """

    path: str
    size: int
    modified: datetime
    dump: Dump | None = None
    rejected: DumpRejected | None = None
    known: Drill | None = None
    proof: Drill | None = None
    fingerprint: str | None = None

    @property
    def judged(self) -> bool:
        return self.stable or self.rejected is not None

    @property
    def stable(self) -> bool:
        """Whether it may be restored."""
        return self.rejected is None and (self.dump is not None or self.known is not None)

    @property
    def created(self) -> datetime:
        """Of a file that could not be read, the name or its own time is the best witness left."""
        if self.dump is not None:
            return self.dump.created
        if self.known is not None:
            return moment(str(self.known.dump["dumped_at"]))
        named = created_by_name(Path(self.path).name, self.modified)
        return named[0] if named else self.modified


@dataclass
class Folder:
    """All dumps of a folder, newest first, and the links that point to them."""

    path: str
    entries: list[Entry] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    prefer: float = 0.0

    @property
    def newest_stable(self) -> Entry | None:
        """The newest that may be restored, proved or not."""
        return next((entry for entry in self.entries if entry.stable), None)

    @property
    def latest_stable(self) -> Entry | None:
        """The newest that may be restored, or an older one that was proved, within what is preferred."""
        newest = self.newest_stable
        if newest is None:
            return None
        return next((entry for entry in self.entries if entry.proof and self._is_preferred(entry, newest)), newest)

    @property
    def newer_unproved(self) -> list[Entry]:
        """What may be restored, is newer than the latest stable dump, and no drill has proved."""
        stable = self.latest_stable
        return self.entries[: self.entries.index(stable)] if stable and stable is not self.newest_stable else []

    def _is_preferred(self, entry: Entry, newest: Entry) -> bool:
        return entry.stable and newest.created - entry.created <= timedelta(seconds=self.prefer)

    @property
    def newer_rejected(self) -> list[Entry]:
        """What is newer than the latest stable dump and was rejected."""
        stable = self.latest_stable
        return [
            entry
            for entry in self.entries
            if entry.rejected is not None and (stable is None or entry.created >= stable.created)
        ]


def catalogue(
    path: str,
    patterns: Sequence[str],
    tools: Tools,
    *,
    until_stable: bool = False,
    database: str | None = None,
    max_age: float | None = None,
    proofs: Proofs | None = None,
    fingerprint: Callable[[str], str | None] | None = None,
) -> Folder:
    """Judge the files of a folder, newest first. What the ledger knows of unchanged files is not read again.

    :param fingerprint: tells without reading it whether a file is the one it was.
    :param until_stable: stop reading at the first dump that may be restored.
    :param max_age: seconds; what is older is rejected.
    :param database: take only dumps that name this database; those that name none are taken too.
    """
    known = proofs or Proofs()
    look = fingerprint or _nobody_can_tell
    folder = Folder(path, prefer=known.prefer)
    unread = sorted(_files(folder, patterns), key=lambda entry: entry.created, reverse=True)
    for entry in unread:
        enough = until_stable and (stable := folder.newest_stable) is not None and stable.created >= entry.created
        judged = _recalled(entry, known.drills, look(entry.path))
        if not judged.judged and not enough:
            judged = _judged(entry, tools, known.drills, look)
        if judged.stable:
            judged = _within(judged, max_age)
        if database and _database_of(judged) not in (None, database):
            continue
        folder.entries.append(judged)
        folder.entries.sort(key=lambda one: one.created, reverse=True)
    return folder


def _files(folder: Folder, patterns: Sequence[str]) -> list[Entry]:
    entries = []
    try:
        listed = sorted(os.scandir(folder.path), key=lambda entry: entry.name)
    except FileNotFoundError:
        raise PlatformError(
            f"The backup folder {folder.path} does not exist.", "Check the path; is the backup disk mounted?"
        ) from None
    except NotADirectoryError:
        raise PlatformError(f"{folder.path} is a file.", "Name the folder that holds the dumps.") from None
    except PermissionError:
        raise PlatformError(
            f"The backup folder {folder.path} cannot be read.", "Run with become: true, or give this user the right."
        ) from None
    for item in listed:
        if item.name.startswith(".") or item.name.endswith(MANIFEST):
            continue
        if not any(fnmatch(item.name, pattern) for pattern in patterns):
            continue
        if item.is_symlink():
            folder.links[item.name] = os.path.basename(os.path.realpath(item.path))
        elif item.is_file():
            status = item.stat()
            entries.append(Entry(item.path, status.st_size, datetime.fromtimestamp(status.st_mtime, timezone.utc)))
        elif is_archive(item.path):
            # Of a folder, the time is that of its last file; pg_dump writes the table of contents at the end.
            files = [file.stat() for file in os.scandir(item.path) if file.is_file()]
            modified = datetime.fromtimestamp(max(file.st_mtime for file in files), timezone.utc)
            entries.append(Entry(item.path, sum(file.st_size for file in files), modified))
    return entries


def _nobody_can_tell(_path: str) -> str | None:
    return None


def _recalled(entry: Entry, drills: Sequence[Drill], fingerprint: str | None) -> Entry:
    """As the ledger knows this very file; unchanged when it does not."""
    known = known_file(drills, fingerprint)
    if known is None or not known.sha256 or not known.dump.get("dumped_at"):
        return entry
    return _by_ledger(replace(entry, known=known, fingerprint=fingerprint), drills, known.sha256)


def _judged(entry: Entry, tools: Tools, drills: Sequence[Drill], look: Callable[[str], str | None]) -> Entry:
    before = look(entry.path)
    try:
        dump = judge(entry.path, tools)
        _require_as_made(dump)
    except DumpRejected as rejected:
        return replace(entry, rejected=rejected)
    after = look(entry.path)
    return _by_ledger(replace(entry, dump=dump, fingerprint=after if before == after else None), drills, dump.sha256)


def _require_as_made(dump: Dump) -> None:
    """A plain dump has no checksum of its own; its manifest has. One that has none is taken as it is."""
    try:
        manifest = Manifest.read(manifest_of(dump.path))
    except ManifestError:
        return
    if manifest.sha256 != dump.sha256:
        raise DumpRejected(
            CORRUPT,
            "it is not what was made: the checksum in its manifest is another",
            hint="Take another dump. If this one was put here on purpose, remove the manifest beside it.",
        )


def _by_ledger(entry: Entry, drills: Sequence[Drill], sha256: str) -> Entry:
    """A dump that reads well and did not pass its last drill is not stable."""
    last = condemned(drills, sha256)
    if last is not None:
        rejected = DumpRejected(
            DRILL_FAILED,
            f"the drill of {last.ended} did not prove it: {last.reason}",
            hint="Look into it with another drill, which may prove it after all.",
        )
        return replace(entry, rejected=rejected)
    return replace(entry, proof=newest_proof(drills, sha256))


def _within(entry: Entry, max_age: float | None) -> Entry:
    try:
        require_age(entry.path, entry.created, max_age)
    except DumpRejected as rejected:
        return replace(entry, rejected=rejected)
    return entry


def _database_of(entry: Entry) -> str | None:
    if entry.dump is not None:
        return entry.dump.database
    return entry.known.dump.get("database") if entry.known is not None else None


def require_age(path: str, created: datetime, max_age: float | None) -> None:
    """Reject a dump that is older than it may be."""
    age = (datetime.now(timezone.utc) - created).total_seconds()
    if max_age is not None and age > max_age:
        raise DumpRejected(
            TOO_OLD,
            f"the dump {path} is {int(age / 3600)} h old, more than max_age ({int(max_age / 3600)} h) allows",
            hint="Take a newer dump, or raise max_age and accept the loss of what was written since.",
        )
