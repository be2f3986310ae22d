# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a dump once it was read from end to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ..._errors import PlatformError

if TYPE_CHECKING:
    from .script import Script

#: By another name, since a table has a number of bytes.
Raw = bytes

TRUNCATED = "truncated"
CORRUPT = "corrupt"
EMPTY = "empty"
NOT_A_DUMP = "not_a_dump"
CLUSTER_DUMP = "cluster_dump"
LEAVES_DATABASE = "leaves_database"
RUNS_PROGRAM = "runs_program"
UNKNOWN_STATEMENT = "unknown_statement"
UNSUPPORTED = "unsupported"
UNREADABLE = "unreadable"
TOO_OLD = "too_old"
DRILL_FAILED = "drill_failed"


class DumpRejected(PlatformError):
    """A dump that must not be restored.

    :param code: one of the constants of this file, for machines.
    :param reason: what is wrong, for people.
    :param where: the place in the (decompressed) dump, for example ``byte 812 (line 31)``.
    """

    def __init__(self, code: str, reason: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"{reason} at {where}." if where else f"{reason}.", hint)
        self.code = code
        self.reason = reason
        self.where = where

    def at(self, where: str) -> DumpRejected:
        """The same rejection, with its place."""
        return DumpRejected(self.code, self.reason, where, self.hint)


@dataclass(frozen=True)
class Format:
    """How a dump is packed: outermost layer first, then what lies inside."""

    layers: tuple[str, ...]
    kind: str

    def __str__(self) -> str:
        return " in ".join((self.kind, *reversed(self.layers)))


@dataclass
class TableData:
    """The rows that a dump holds for one table; ``rows`` is None when only the server can count them (INSERT style).

    :param digest: what all rows together come to, in any order; None when it was not asked for or cannot be known.
    :param first: with a digest, what the rows begin with.
    :param last: with a digest, what they end with.
    """

    table: str
    rows: int | None = 0
    bytes: int = 0
    digest: int | None = None
    first: Raw = b""
    last: Raw = b""


@dataclass
class Catalogue:
    """Every object that the dump's statements create, by the names that they will have on the server."""

    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    partitioned: set[str] = field(default_factory=set)
    constraints: dict[str, str] = field(default_factory=dict)
    not_valid: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    sequences: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)
    functions: dict[str, int] = field(default_factory=dict)
    triggers: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    policies: set[str] = field(default_factory=set)
    extensions: set[str] = field(default_factory=set)
    schemas: set[str] = field(default_factory=set)
    #: Where the statement that is read next makes what it names without a schema; pg_dump did so until 2018.
    search_schema: str = ""


@dataclass
class Dump:
    """A dump that was read from its first byte to its last and found whole and harmless.

    :param readers: what unpacked it, outermost layer first.
    :param notes: what will be left out of it, for people.
    """

    path: str
    size: int
    sha256: str
    format: Format
    created: datetime
    created_from: str
    plain_bytes: int
    server_version: str | None
    dump_version: str | None
    database: str | None
    encoding: str
    data: dict[str, TableData]
    catalogue: Catalogue
    owners: frozenset[str]
    roles: frozenset[str]
    script: Script = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(table.rows or 0 for table in self.data.values())

    @property
    def server_major(self) -> int | None:
        return int(self.server_version.split(".")[0]) if self.server_version else None
