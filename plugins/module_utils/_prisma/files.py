# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of the migrations, as files or as data that another machine has read."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import PlatformError

SCRIPT = "migration.sql"
_NAME = re.compile(r"\d{14}_\w[\w-]*", re.ASCII)


@dataclass(frozen=True)
class Migration:
    """One folder; ``sql`` is None where it holds no migration.sql."""

    name: str
    sql: str | None

    @property
    def well_named(self) -> bool:
        """Whether the name begins with the time to a second, by which Prisma sorts."""
        return _NAME.fullmatch(self.name) is not None

    @property
    def is_empty(self) -> bool:
        return self.sql is not None and not self.sql.strip()

    @property
    def checksum(self) -> str | None:
        return None if self.sql is None else _checksum(self.sql)

    def matches(self, checksum: str) -> bool:
        """Whether these are the bytes that Prisma has noted; it, too, does not mind how lines end."""
        if self.sql is None:
            return False
        unix = self.sql.replace("\r\n", "\n")
        return checksum in {_checksum(text) for text in (self.sql, unix, unix.replace("\n", "\r\n"))}


@dataclass(frozen=True)
class Folder:
    """All migrations, in the order in which Prisma takes them, and the .sql files that it passes over."""

    migrations: tuple[Migration, ...] = ()
    loose: tuple[str, ...] = ()

    def find(self, name: str) -> Migration | None:
        return next((migration for migration in self.migrations if migration.name == name), None)

    @property
    def newest(self) -> str | None:
        return self.migrations[-1].name if self.migrations else None

    def as_data(self) -> dict[str, Any]:
        return {
            "migrations": [{"name": each.name, "sql": each.sql} for each in self.migrations],
            "loose": list(self.loose),
        }


def read_folder(path: str) -> Folder:
    """What lies in the folder ``migrations``."""
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        return Folder(
            tuple(Migration(entry.name, _script_of(entry.path)) for entry in entries if entry.is_dir()),
            tuple(entry.name for entry in entries if entry.is_file() and entry.name.lower().endswith(".sql")),
        )
    except OSError as error:
        raise PlatformError(
            f"The folder of the migrations {path} cannot be read: {error.strerror}.",
            "Option path names the folder 'migrations' beside schema.prisma, on the host where this runs.",
        ) from None


def _script_of(folder: str) -> str | None:
    path = os.path.join(folder, SCRIPT)
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise PlatformError(
            f"{path} is not UTF-8 at byte {error.start}.", "Save it as UTF-8; Prisma reads nothing else."
        ) from None


def folder_of(data: Mapping[str, Any]) -> Folder:
    """The folder that ``read_folder`` has read elsewhere."""
    found: Sequence[Mapping[str, Any]] = data.get("migrations") or []
    try:
        migrations = sorted((Migration(str(each["name"]), each["sql"]) for each in found), key=lambda each: each.name)
    except (KeyError, TypeError):
        raise PlatformError(
            "Option files holds a migration without a name or sql.", "Pass what state=read has returned as files."
        ) from None
    return Folder(tuple(migrations), tuple(data.get("loose") or ()))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
