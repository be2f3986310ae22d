# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of a backup folder: what each dump is, and which dump a recovery should take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path

from ..._errors import PlatformError
from .judge import created_by_name, judge
from .model import TOO_OLD, Dump, DumpRejected
from .source import Tools, is_archive


@dataclass(frozen=True)
class Entry:
    """One file, or archive in directory format: a dump that may be restored, or the reason why not.

    Neither: it was not read.
    """

    path: str
    size: int
    modified: datetime
    dump: Dump | None = None
    rejected: DumpRejected | None = None

    @property
    def judged(self) -> bool:
        return self.dump is not None or self.rejected is not None

    @property
    def created(self) -> datetime:
        """Of a file that could not be read, the name or its own time is the best witness left."""
        if self.dump is not None:
            return self.dump.created
        named = created_by_name(Path(self.path).name, self.modified)
        return named[0] if named else self.modified


@dataclass
class Folder:
    """All dumps of a folder, newest first, and the links that point to them."""

    path: str
    entries: list[Entry] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)

    @property
    def latest_stable(self) -> Entry | None:
        return next((entry for entry in self.entries if entry.dump is not None), None)

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
) -> Folder:
    """Judge the files of a folder, newest first.

    :param until_stable: stop reading at the first dump that may be restored.
    :param max_age: seconds; what is older is rejected.
    :param database: take only dumps that name this database; those that name none are taken too.
    """
    folder = Folder(path)
    unread = sorted(_files(folder, patterns), key=lambda entry: entry.created, reverse=True)
    for entry in unread:
        if until_stable and (stable := folder.latest_stable) is not None and stable.created >= entry.created:
            folder.entries.append(entry)
            continue
        judged = _judged(entry, tools, max_age)
        if judged.dump is not None and database and judged.dump.database not in (None, database):
            continue
        folder.entries.append(judged)
    folder.entries.sort(key=lambda entry: entry.created, reverse=True)
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
        if item.name.startswith(".") or not any(fnmatch(item.name, pattern) for pattern in patterns):
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


def _judged(entry: Entry, tools: Tools, max_age: float | None) -> Entry:
    try:
        dump = judge(entry.path, tools)
        require_age(dump.path, dump.created, max_age)
    except DumpRejected as rejected:
        return replace(entry, rejected=rejected)
    return replace(entry, dump=dump)


def require_age(path: str, created: datetime, max_age: float | None) -> None:
    """Reject a dump that is older than it may be."""
    age = (datetime.now(timezone.utc) - created).total_seconds()
    if max_age is not None and age > max_age:
        raise DumpRejected(
            TOO_OLD,
            f"the dump {path} is {int(age / 3600)} h old, more than max_age ({int(max_age / 3600)} h) allows",
            hint="Take a newer dump, or raise max_age and accept the loss of what was written since.",
        )
