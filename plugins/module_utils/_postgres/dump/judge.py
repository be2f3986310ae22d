# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a whole dump before any server is touched: is it complete, is it harmless, and what does it hold?"""

from __future__ import annotations

import re
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .model import (
    CLUSTER_DUMP,
    CORRUPT,
    LEAVES_DATABASE,
    NOT_A_DUMP,
    RUNS_PROGRAM,
    TRUNCATED,
    UNREADABLE,
    Catalogue,
    Dump,
    DumpRejected,
    TableData,
)
from .reader import Comment, CopyData, CopyEnd, CopyStart, MetaCommand, Place, Reader, Statement, copy_target, in_utf8
from .script import Bulk, Rows, Script, Step
from .source import Source, Tools
from .statements import BULK_FUNCTIONS, Phase, Understood, target_table, understand

_HEADER = b"-- PostgreSQL database dump"
_TRAILER = b"-- PostgreSQL database dump complete"
_CLUSTER_HEADER = b"-- PostgreSQL database cluster dump"
_SERVER_VERSION = re.compile(rb"-- Dumped from database version (\d+(?:\.\d+)*)")
_DUMP_VERSION = re.compile(rb"-- Dumped by pg_dump version (\d+(?:\.\d+)*)")
_STARTED = re.compile(rb"-- Started on (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
# 20261122_020000, 2026-11-22T02-00-00-945Z and their like
_TIME_IN_NAME = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T_-]?(\d\d)[-:]?(\d\d)[-:]?(\d\d)?")


def judge(path: str, tools: Tools | None = None) -> Dump:
    """The dump, if it may be restored.

    :raises DumpRejected: with the reason and the place.
    """
    return _Judge(path, tools or Tools()).verdict()


class _Judge:
    def __init__(self, path: str, tools: Tools) -> None:
        self._source = Source(path, tools)
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

    def verdict(self) -> Dump:
        packing = self._source.sniff()
        archive = ArchiveHeader.read(self._source.head) if packing.kind == "custom" else None
        reader = Reader(self._source.plain())
        try:
            self._read(reader)
        except DumpRejected as rejected:
            if rejected.where is None:
                inside = f", in the data of table {self._table.table}" if self._table else ""
                raise rejected.at(f"byte {reader.bytes_read} of its SQL{inside}") from None
            raise
        self._require_complete(reader)
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
        )

    def _read(self, reader: Reader) -> None:
        for event in reader:
            if isinstance(event, CopyData):
                if self._block is not None:
                    self._block.checksum = zlib.crc32(event.data, self._block.checksum)
            elif isinstance(event, CopyEnd):
                if self._table is not None and self._block is not None:
                    self._table.rows = (self._table.rows or 0) + event.rows
                    self._table.bytes += event.bytes
                    self._block.rows, self._block.begin, self._block.end = event.rows, event.begin, event.end
            elif isinstance(event, Comment):
                self._comment(event)
            elif isinstance(event, MetaCommand):
                self._meta_command(event)
            else:
                self._require_open(event.place)
                self._table = self._statement(event, reader.encoding)

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

    def _statement(self, event: Statement | CopyStart, encoding: str) -> TableData | None:
        if not self._seen_header:
            raise DumpRejected(
                NOT_A_DUMP, "SQL stands where pg_dump's own header should: this is no dump of pg_dump", str(event.place)
            )
        text = in_utf8(event.text, encoding)
        if isinstance(event, CopyStart):
            table = target_table(text)
            name = str(table) if table is not None else copy_target(event.text)
            self._block = Rows(event.text, event.place, name)
            self._script.append(self._block)
            return self._data.setdefault(name, TableData(name))
        understood = understand(text, str(event.place), self._catalogue, self._owners, self._roles)
        if understood.phase is Phase.INSERT and understood.table is not None:
            name = str(understood.table)
            data = self._data.setdefault(name, TableData(name, rows=None))
            data.bytes += len(event.text)
        self._note_step(event, understood)
        return None

    def _note_step(self, event: Statement, understood: Understood) -> None:
        last = self._script[-1] if self._script else None
        # A dump of large objects or INSERTs has millions of these.
        if understood.phase is Phase.INSERT or understood.kind in BULK_FUNCTIONS:
            if not isinstance(last, Bulk):
                last = Bulk(event.place, event.place.offset, event.end)
                self._script.append(last)
            last.end = event.end
            last.statements += 1
            if understood.table is not None:
                last.tables.add(str(understood.table))
        else:
            self._script.append(Step(event.text, event.place, understood))

    def _require_complete(self, reader: Reader) -> None:
        end = f"byte {reader.bytes_read}"
        if not self._seen_header:
            raise DumpRejected(NOT_A_DUMP, "the file is text, but not a dump of pg_dump")
        if not self._seen_trailer:
            raise DumpRejected(
                TRUNCATED, "the closing line 'PostgreSQL database dump complete' is missing; the file is cut off", end
            )
        if self._restricted is not None:
            raise DumpRejected(TRUNCATED, r"the closing \unrestrict is missing; the file is cut off", end)

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
    """The fixed beginning of a custom-format archive (pg_backup_archiver.c, ReadHead)."""

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
