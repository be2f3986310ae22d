# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's migrations: its database is made from the very files that Prisma reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What the developers of the platform push.
REPOSITORY = Path(__file__).parent / "repository"
PRISMA = "apps/api/prisma"
# As Prisma makes it, before the first migration.
BOOKS = """
CREATE TABLE "_prisma_migrations" (
  "id" VARCHAR(36) PRIMARY KEY NOT NULL, "checksum" VARCHAR(64) NOT NULL,
  "finished_at" TIMESTAMPTZ, "migration_name" VARCHAR(255) NOT NULL, "logs" TEXT,
  "rolled_back_at" TIMESTAMPTZ, "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
  "applied_steps_count" INTEGER NOT NULL DEFAULT 0)
"""
BOOK = """
INSERT INTO "_prisma_migrations"
  ("id", "checksum", "migration_name", "started_at", "finished_at", "applied_steps_count")
SELECT md5(%(name)s)::uuid::text, %(checksum)s, %(name)s, applied, applied + interval '1 second', 1
FROM to_timestamp(left(%(name)s, 14), 'YYYYMMDDHH24MISS') AS applied
"""
# What rows are put into; all else is made after them, because that is much faster.
_BEFORE_ROWS = ("CreateSchema", "CreateEnum", "CreateTable", "AlterTable")
_HEADING = re.compile(r"^-- ([A-Z]\w+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def _parts(self) -> Iterator[tuple[str, str]]:
        """What stands under each of the headings that Prisma writes."""
        _before, *parts = _HEADING.split(self.sql)
        return zip(parts[::2], parts[1::2], strict=True)

    @property
    def tables(self) -> str:
        return "".join(sql for heading, sql in self._parts() if heading in _BEFORE_ROWS)

    @property
    def rest(self) -> str:
        return "".join(sql for heading, sql in self._parts() if heading not in _BEFORE_ROWS)


def read(repository: Path = REPOSITORY) -> list[Migration]:
    """Oldest first."""
    files = sorted((repository / PRISMA / "migrations").glob("*/migration.sql"))
    return [Migration(path.parent.name, path.read_text(encoding="utf-8")) for path in files]
