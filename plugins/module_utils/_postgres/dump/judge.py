# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a whole dump before any of its rows is loaded: is it complete, is it harmless, and what does it hold?"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from .checksum import crc32
from .data import entries
from .model import (
    CLUSTER_DUMP,
    CORRUPT,
    LEAVES_DATABASE,
    NOT_A_DUMP,
    RUNS_PROGRAM,
    TRUNCATED,
    UNKNOWN_STATEMENT,
    UNREADABLE,
    UNSUPPORTED,
    Catalogue,
    Dump,
    DumpRejected,
    Format,
    TableData,
)
from .reader import Comment, CopyData, CopyEnd, CopyStart, MetaCommand, Place, Reader, Statement, copy_target, in_utf8
from .script import Bulk, Rows, Script, Step
from .source import Source, Tools
from .statements import (
    BULK_FUNCTIONS,
    DATABASES_OWN,
    Phase,
    Understood,
    only_literals,
    role_changed,
    target_table,
    understand,
)

if TYPE_CHECKING:
    from ..._progress import Progress
    from ..content import RowsDigest

_HEADER = b"-- PostgreSQL database dump"
_TRAILER = b"-- PostgreSQL database dump complete"
_CLUSTER_HEADER = b"-- PostgreSQL database cluster dump"
_SERVER_VERSION = re.compile(rb"-- Dumped from database version (\d+(?:\.\d+)*)")
_DUMP_VERSION = re.compile(rb"-- Dumped by pg_dump version (\d+(?:\.\d+)*)")
_STARTED = re.compile(rb"-- Started on (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_OF_TABLES = {"index", "primary key", "unique", "foreign key", "pg_restore_relation_stats"}
_MOST_BEGINNINGS = 10_000
_SAMPLE = 2048
# 20261122_020000, 2026-11-22T02-00-00-945Z and their like
_TIME_IN_NAME = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T_-]?(\d\d)[-:]?(\d\d)[-:]?(\d\d)?")


@dataclass(frozen=True)
class Opening:
    """What stands before the first data. All of it is harmless; whether the dump is whole is not known yet."""

    script: Script
    owners: frozenset[str]


def judge(
    path: str,
    tools: Tools | None = None,
    *,
    digests: bool = False,
    progress: Progress | None = None,
    before_data: Callable[[Opening], None] | None = None,
) -> Dump:
    """The dump, if it may be restored.

    :param digests: also what the rows of each table come to, in any order; this takes most of the time.
    :param before_data: is told the opening as soon as it is known; not called for a dump without data.
    :raises DumpRejected: with the reason and the place.
    """
    return _Judge(path, tools or Tools(), digests, progress, before_data).verdict()


class _Judge:
    def __init__(
        self,
        path: str,
        tools: Tools,
        digests: bool,
        progress: Progress | None,
        before_data: Callable[[Opening], None] | None,
    ) -> None:
        self._tools = tools
        self._before_data = before_data
        self._source = Source(path, tools, progress=progress)
        self._progress = progress
        self._digests: dict[str, RowsDigest] | None = {} if digests else None
        self._digest: RowsDigest | None = None
        self._catalogue = Catalogue()
        self._owners: set[str] = set()
        self._roles: set[str] = set()
        self._data: dict[str, TableData] = {}
        self._server_version: str | None = None
        self._dump_version: str | None = None
        self._started: datetime | None = None
        self._restricted: bytes | None = None
        self._seen_header = self._seen_trailer = False
        self._table: TableData | None = None
        self._script: Script = []
        self._block: Rows | None = None
        #: Where the dump became another role, for a grant of that role.
        self._became: Place | None = None
        self._in_transaction = False
        self._notes: list[str] = []
        self._inserts: dict[bytes, Understood] = {}

    def verdict(self) -> Dump:
        packing = self._source.sniff()
        archive = None if packing.kind == "plain" else ArchiveHeader.read(self._source.head)
        reader = Reader(self._source.plain())
        if self._progress is not None:
            self._progress.begin("reading", self._total(packing))
        try:
            self._read(reader)
        except DumpRejected as rejected:
            if rejected.where is None:
                inside = f", in the data of table {self._table.table}" if self._table else ""
                raise rejected.at(f"byte {reader.bytes_read} of its SQL{inside}") from None
            raise
        finally:
            if self._progress is not None:
                self._progress.end()
        self._require_complete(reader)
        if packing.kind == "directory":
            self._require_every_table()
        self._note_digests()
        created, created_from = self._created(archive)
        return Dump(
            path=self._source.path,
            size=self._source.raw_bytes,
            sha256=self._source.sha256,
            format=packing,
            created=created,
            created_from=created_from,
            plain_bytes=reader.bytes_read,
            server_version=self._server_version,
            dump_version=self._dump_version,
            database=archive.database if archive else None,
            encoding=reader.encoding,
            data=self._data,
            catalogue=self._catalogue,
            owners=frozenset(self._owners),
            roles=frozenset(self._roles),
            script=self._script,
            readers=self._source.readers(packing),
            notes=self._notes,
        )

    def _total(self, packing: Format) -> int:
        """The bytes of the file; of a folder, nobody knows how much pg_restore makes."""
        return 0 if packing.kind == "directory" else os.path.getsize(self._source.path)

    def _read(self, reader: Reader) -> None:
        for event in reader:
            if isinstance(event, CopyData):
                if self._block is not None:
                    self._block.checksum = crc32(event.data, self._block.checksum)
                if self._digest is not None and self._table is not None:
                    self._digest.update(event.data)
                    self._table.first = self._table.first or event.data[:_SAMPLE]
                    self._table.last = event.data[-_SAMPLE:]
            elif isinstance(event, CopyEnd):
                if self._table is not None and self._block is not None:
                    if self._table.rows is not None:
                        self._table.rows += event.rows
                    self._table.bytes += event.bytes
                    self._block.rows, self._block.begin, self._block.end = event.rows, event.begin, event.end
            elif isinstance(event, Comment):
                self._comment(event)
            elif isinstance(event, MetaCommand):
                self._meta_command(event)
            else:
                self._require_open(event.place)
                self._table = self._statement(event, reader)

    def _comment(self, comment: Comment) -> None:
        text = comment.text.rstrip()
        if text == _CLUSTER_HEADER:
            raise DumpRejected(
                CLUSTER_DUMP,
                "this is a pg_dumpall script of a whole server: it would write into other databases, live ones too",
                str(comment.place),
                "Use a dump of the one database, made by pg_dump.",
            )
        if text == _HEADER:
            self._require_open(comment.place)
            self._seen_header = True
        elif text == _TRAILER:
            self._seen_trailer = True
        elif found := _SERVER_VERSION.match(text):
            self._server_version = self._server_version or found.group(1).decode()
        elif found := _DUMP_VERSION.match(text):
            self._dump_version = self._dump_version or found.group(1).decode()
        elif found := _STARTED.match(text):
            with suppress(ValueError, OverflowError):
                self._started = datetime.strptime(found.group(1).decode(), "%Y-%m-%d %H:%M:%S").astimezone()

    def _meta_command(self, command: MetaCommand) -> None:
        words = command.text.split()
        if not command.inside_statement and len(words) == 2:
            if words[0] == b"\\restrict" and self._restricted is None and not self._seen_trailer:
                self._restricted = words[1]
                return
            if words[0] == b"\\unrestrict" and words[1] == self._restricted and self._seen_trailer:
                self._restricted = None
                return
        closing = b"\\unrestrict " + (self._restricted or b"")
        if self._seen_trailer and self._restricted and closing.startswith(command.text):
            raise DumpRejected(
                TRUNCATED, r"the closing \unrestrict is not whole; the file is cut off", str(command.place)
            )
        shown = command.text[:40].decode("utf-8", "replace")
        if words[0] in (b"\\connect", b"\\c"):
            raise DumpRejected(
                LEAVES_DATABASE,
                f"'{shown}' would go on in another database",
                str(command.place),
                "Use a dump made by pg_dump without --create.",
            )
        raise DumpRejected(
            RUNS_PROGRAM, f"the psql command '{shown}' is not one that pg_dump writes there", str(command.place)
        )

    def _require_open(self, place: Place) -> None:
        if self._seen_trailer:
            raise DumpRejected(CORRUPT, "something follows the end of the dump: two dumps in one file?", str(place))

    def _statement(self, event: Statement | CopyStart, reader: Reader) -> TableData | None:
        if not self._seen_header:
            raise DumpRejected(
                NOT_A_DUMP, "SQL stands where pg_dump's own header should: this is no dump of pg_dump", str(event.place)
            )
        text = in_utf8(event.text, reader.encoding)
        if isinstance(event, CopyStart):
            if self._became is not None:
                raise role_changed(str(self._became))
            if self._in_transaction:
                raise DumpRejected(UNKNOWN_STATEMENT, "a transaction holds more than large objects", str(event.place))
            schema = self._catalogue.search_schema
            table = target_table(text, schema)
            name = str(table) if table is not None else copy_target(event.text)
            self._note_opening()
            self._block = Rows(event.text, event.place, name, schema=schema)
            self._script.append(self._block)
            self._digest = self._digest_of(name)
            return self._data.setdefault(name, TableData(name))
        understood = self._insert(text) or understand(
            text, str(event.place), self._catalogue, self._owners, self._roles
        )
        if understood.phase is Phase.INSERT and not only_literals(text, reader.conforming):
            raise DumpRejected(RUNS_PROGRAM, "INSERT computes its values, which pg_dump never writes", str(event.place))
        if understood.phase is Phase.INSERT and understood.table is not None:
            name = str(understood.table)
            data = self._data.setdefault(name, TableData(name))
            data.rows = None
            data.bytes += len(event.text)
        if understood.phase is Phase.SETTING:
            # A name without a schema may now be another table.
            self._inserts.clear()
        self._note_role(event, understood)
        self._note_transaction(event, understood)
        if understood.kind in DATABASES_OWN:
            self._note_once(f"The dump's {understood.kind.upper()} was left out; the restored database keeps its own.")
        self._note_step(event, understood)
        return None

    def _insert(self, text: bytes) -> Understood | None:
        """An INSERT that begins as one before: there are millions, so they are not understood one by one."""
        end = text.find(b" VALUES") if text.startswith(b"INSERT") else -1
        beginning = text[:end]
        # An odd number of quotes: this is a part of a name.
        if end < 0 or beginning.count(b'"') % 2:
            return None
        known = self._inserts.get(beginning)
        if known is None and len(self._inserts) < _MOST_BEGINNINGS:
            known = understand(text, "", self._catalogue, self._owners, self._roles)
            self._inserts[beginning] = known
        return known

    def _note_step(self, event: Statement, understood: Understood) -> None:
        last = self._script[-1] if self._script else None
        # A dump of large objects or INSERTs has millions of these.
        if understood.phase is Phase.INSERT or understood.kind in BULK_FUNCTIONS:
            if not isinstance(last, Bulk):
                self._note_opening()
                last = Bulk(event.place, event.place.offset, event.end, schema=self._catalogue.search_schema)
                self._script.append(last)
            last.end = event.end
            last.statements += 1
            last.checksum = crc32(event.text, last.checksum)
            if understood.table is not None:
                last.tables.add(str(understood.table))
        else:
            self._script.append(Step(event.text, event.place, understood))

    def _note_opening(self) -> None:
        if self._before_data is not None:
            self._before_data(Opening(list(self._script), frozenset(self._owners)))
            self._before_data = None

    def _note_role(self, event: Statement, understood: Understood) -> None:
        """Between becoming another role and the way back, pg_dump writes that role's grants and nothing else."""
        if understood.kind == "become role" and self._became is None:
            self._became = event.place
        elif understood.kind == "become owner" and self._became is not None:
            self._became = None
        elif understood.kind.startswith("become") or (self._became is not None and understood.kind != "grant"):
            raise role_changed(str(self._became or event.place))

    def _note_transaction(self, event: Statement, understood: Understood) -> None:
        """pg_dump writes transactions around large objects, and nowhere else."""
        if understood.kind in ("begin", "commit"):
            if self._in_transaction is (understood.kind == "begin"):
                raise DumpRejected(
                    UNKNOWN_STATEMENT, f"pg_dump never writes {understood.kind.upper()} there", str(event.place)
                )
            self._in_transaction = not self._in_transaction
        elif self._in_transaction and understood.kind not in BULK_FUNCTIONS:
            raise DumpRejected(UNKNOWN_STATEMENT, "a transaction holds more than large objects", str(event.place))

    def _note_once(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    def _digest_of(self, table: str) -> RowsDigest | None:
        if self._digests is None:
            return None
        from ..content import RowsDigest

        return self._digests.setdefault(table, RowsDigest())

    def _note_digests(self) -> None:
        for name, digest in (self._digests or {}).items():
            if self._data[name].rows is not None:
                self._data[name].digest = digest.value

    def _require_every_table(self) -> None:
        """Where the file of one table is cut, the rows run on into what follows, up to the end of the next table."""
        blocks = sum(isinstance(item, Rows) for item in self._script)
        tables = len(entries(self._source.path, self._tools))
        if blocks and blocks != tables:
            raise DumpRejected(TRUNCATED, f"only {blocks} of its {tables} tables have whole data; a file is cut off")

    def _require_complete(self, reader: Reader) -> None:
        end = f"byte {reader.bytes_read}"
        if not self._seen_header:
            raise DumpRejected(NOT_A_DUMP, "the file is text, but not a dump of pg_dump")
        if not self._seen_trailer:
            raise DumpRejected(
                TRUNCATED, "the closing line 'PostgreSQL database dump complete' is missing; the file is cut off", end
            )
        if self._became is not None:
            raise role_changed(str(self._became))
        if self._in_transaction:
            raise DumpRejected(UNKNOWN_STATEMENT, "a transaction is never ended", end)
        self._require_tables()
        if self._restricted is not None:
            raise DumpRejected(TRUNCATED, r"the closing \unrestrict is missing; the file is cut off", end)

    def _require_tables(self) -> None:
        """A part of a dump would be restored to a database without tables, or to none."""
        needs = self._data or any(
            isinstance(item, Step) and item.understood.kind in _OF_TABLES for item in self._script
        )
        # The tables of an extension are not in the dump, their rows may be.
        if needs and not self._catalogue.tables and not self._catalogue.extensions:
            raise DumpRejected(
                UNSUPPORTED,
                "the dump holds rows, keys or statistics, but no tables: it is a part of a dump",
                hint="Use a dump of everything, made without --data-only, --section and --statistics-only.",
            )
        if self._catalogue.tables and not self._data:
            self._note_once("The dump holds no rows at all; was it made with --schema-only?")

    def _created(self, archive: ArchiveHeader | None) -> tuple[datetime, str]:
        """When the dump was begun, from the best witness: inside of the dump, in its name, or the file's own time."""
        path = Path(self._source.path)
        try:
            modified = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
        except OSError as error:
            raise DumpRejected(UNREADABLE, f"{path} cannot be read: {error.strerror}") from None
        inside = archive.created if archive else self._started
        if inside is not None and inside <= modified + timedelta(days=1):
            return inside.astimezone(timezone.utc), "dump"
        return created_by_name(path.name, modified) or (modified, "mtime")


def created_by_name(name: str, modified: datetime) -> tuple[datetime, str] | None:
    """The time in a file's name, unless the file is older than that; None when there is none."""
    found = _TIME_IN_NAME.search(name)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        if name[found.end() :].startswith(("Z", "-", ".")) and "T" in found.group():
            named = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        else:
            named = datetime(year, month, day, hour, minute, second).astimezone()
    except ValueError:
        return None
    return (named.astimezone(timezone.utc), "name") if named <= modified + timedelta(days=1) else None


class ArchiveHeader:
    """The fixed beginning of an archive: of the file in custom format, else of its toc.dat (ReadHead in pg_dump)."""

    def __init__(self, created: datetime | None, database: str | None) -> None:
        self.created = created
        self.database = database

    @classmethod
    def read(cls, head: bytes) -> ArchiveHeader:
        """Parse the first bytes of an archive; what cannot be read stays unknown, pg_restore is the judge of it."""
        try:
            version = tuple(head[5:8])
            at, int_size = 11, head[8]
            if version >= (1, 15, 0):
                at += 1
            else:
                at += 1 + int_size
            numbers = []
            for _number in range(7):
                numbers.append(int.from_bytes(head[at + 1 : at + 1 + int_size], "little"))
                at += 1 + int_size
            second, minute, hour, day, month, year, _dst = numbers
            length = int.from_bytes(head[at + 1 : at + 1 + int_size], "little")
            at += 1 + int_size
            database = head[at : at + length].decode("utf-8", "replace")
            created = datetime(year + 1900, month + 1, day, hour, minute, min(second, 59)).astimezone()
        except (IndexError, ValueError, OverflowError):
            return cls(None, None)
        return cls(created, database or None)
