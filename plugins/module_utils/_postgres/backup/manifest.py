# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump is, in a file beside it. It is read by whoever takes, verifies, fetches or deletes the dump."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..._errors import PlatformError
from .files import MANIFEST, write_whole

#: How TableContent.digest is made; see snapshot.ContentDigest.
DIGEST_OF = "rows as COPY text in UTF-8 and UTC, blake2b of 64 bits each, summed"
_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 64 << 20


class ManifestError(PlatformError):
    """A manifest that cannot be believed."""


@dataclass(frozen=True)
class TableContent:
    """The rows of one table in the dump; ``digest`` is None when it was not asked for."""

    rows: int | None
    digest: str | None = None


@dataclass(frozen=True)
class Offsite:
    """The copy elsewhere.

    :param checked_by: what the checksum was compared with: ``sha256`` and so on of the remote itself, or ``download``.
    """

    remote: str
    path: str
    checksum_verified_at: str
    checked_by: str


@dataclass(frozen=True)
class Manifest:
    """One dump.

    :param dump: its file name, or that of its folder.
    :param sha256: of the file; of a folder, of the names, lengths and contents of its files by name.
    :param compression: what packs it, or ``none``.
    :param encrypted_for: the public keys; empty when it is not encrypted.
    :param server: version, system_identifier and host.
    :param tables: by ``schema.table``.
    """

    dump: str
    sha256: str
    bytes: int
    format: str
    compression: str
    database: str
    began: str
    ended: str
    encrypted_for: tuple[str, ...] = ()
    server: Mapping[str, Any] = field(default_factory=dict)
    pg_dump: str | None = None
    tables: Mapping[str, TableContent] = field(default_factory=dict)
    digest_of: str | None = None
    migration_head: str | None = None
    release: str | None = None
    offsite: Offsite | None = None

    @property
    def began_at(self) -> datetime:
        return _moment(self.began)

    @property
    def rows(self) -> int:
        return sum(table.rows or 0 for table in self.tables.values())

    def with_offsite(self, offsite: Offsite) -> Manifest:
        return replace(self, offsite=offsite)

    def as_dict(self) -> dict[str, Any]:
        return {"manifest": _VERSION, **asdict(self), "encrypted_for": list(self.encrypted_for)}

    def write(self, path: str) -> None:
        """Whole or not at all; what was there is replaced."""
        write_whole(path, json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: str) -> Manifest:
        """The manifest in a file, which must lie beside the very dump that it names.

        :raises ManifestError: for a link, for what is no manifest, and for one that names another file.
        """
        name = os.path.basename(path)
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8") as file:
                manifest = cls._from(json.loads(file.read(_MOST_BYTES)))
        except OSError as error:
            raise ManifestError(f"The manifest {name} cannot be read: {error.strerror}.") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ManifestError(f"{name} is no manifest of a dump: {_said(error)}.") from None
        if manifest.dump + MANIFEST != name:
            raise ManifestError(f"The manifest {name} names another file, {manifest.dump!r}.")
        return manifest

    @classmethod
    def _from(cls, found: Any) -> Manifest:
        if not isinstance(found, dict) or found.get("manifest") != _VERSION:
            raise ValueError(f'it does not say "manifest": {_VERSION}')
        for name in ("dump", "sha256", "format", "compression", "database", "began", "ended"):
            if not isinstance(found[name], str):
                raise ValueError(f"its {name} is no text")
        if not is_plain_name(found["dump"]):
            raise ValueError(f"its dump {found['dump']!r} is no file name")
        if not _SHA256.fullmatch(found["sha256"]):
            raise ValueError("its sha256 is no checksum")
        if not isinstance(found["bytes"], int):
            raise ValueError("its bytes are no number")
        _moment(found["began"]), _moment(found["ended"])
        offsite = found.get("offsite")
        return cls(
            **{name: found[name] for name in ("dump", "sha256", "bytes", "format", "compression", "database")},
            began=found["began"],
            ended=found["ended"],
            encrypted_for=tuple(map(str, found.get("encrypted_for") or ())),
            server=dict(found.get("server") or {}),
            pg_dump=found.get("pg_dump"),
            tables={str(name): TableContent(**content) for name, content in (found.get("tables") or {}).items()},
            digest_of=found.get("digest_of"),
            migration_head=found.get("migration_head"),
            release=found.get("release"),
            offsite=Offsite(**offsite) if offsite else None,
        )


def manifest_of(dump: str) -> str:
    """The path of a dump's manifest."""
    return dump.rstrip("/") + MANIFEST


def is_plain_name(name: str) -> bool:
    """Whether it names something in the folder itself, and nothing hidden."""
    return (
        bool(name) and not name.startswith((".", "-")) and "/" not in name and "\0" not in name and name.isprintable()
    )


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _said(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error).split("\n", maxsplit=1)[0]
