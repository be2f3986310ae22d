# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of a judged dump, read again for the load: no statement is looked for, the judge has noted every place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .model import CORRUPT, UNREADABLE, Dump, DumpRejected
from .script import Bulk, Rows
from .source import CHUNK, Bytes, Source, Tools, listing

_TABLE_DATA = re.compile(r"(\d+); \d+ \d+ TABLE DATA (\S+) (.*) \S+$")


def plain_range(path: str, begin: int, end: int) -> Bytes:
    """Bytes of a plain file that is not packed, in pieces; any number of threads may read at once."""
    try:
        with open(path, "rb", buffering=0) as file:
            at = begin
            while at < end:
                chunk = os.pread(file.fileno(), min(CHUNK, end - at), at)
                if not chunk:
                    raise DumpRejected(CORRUPT, f"{path} has become shorter since it was judged")
                at += len(chunk)
                yield chunk
    except OSError as error:
        raise DumpRejected(UNREADABLE, f"{path} cannot be read: {error.strerror}") from None


def in_order(dump: Dump, tools: Tools) -> Iterator[tuple[Rows | Bulk, Bytes]]:
    """All data of any dump, in one pass over it; what is left unread of an item is passed over.

    The bytes are those of the item's range: check its checksum, as the file may have changed since it was judged.
    """
    walk = _Walk(Source(dump.path, tools, hashing=False).plain())
    try:
        for item in dump.script:
            if isinstance(item, (Rows, Bulk)):
                yield item, walk.range(item.begin, item.end)
    finally:
        walk.close()


class _Walk:
    """Ranges of a stream, each behind the one before."""

    def __init__(self, stream: Bytes) -> None:
        self._stream = stream
        self._chunk = b""
        #: The offset of the chunk in the stream.
        self._base = 0

    def range(self, begin: int, end: int) -> Bytes:
        while begin < end:
            chunk_end = self._base + len(self._chunk)
            if begin < chunk_end:
                piece = self._chunk[begin - self._base : end - self._base]
                begin += len(piece)
                yield piece
            else:
                chunk = next(self._stream, None)
                if chunk is None:
                    raise DumpRejected(CORRUPT, "the dump has become shorter since it was judged")
                self._base, self._chunk = chunk_end, chunk

    def close(self) -> None:
        self._stream.close()


@dataclass(frozen=True)
class Entry:
    """One ``TABLE DATA`` entry of an archive.

    ``schema`` and ``table`` are for people: pg_restore lists them without quotes, so that a name with spaces cannot be
    told from its neighbours. What identifies the entry is its id.
    """

    dump_id: int
    schema: str
    table: str


def entries(path: str, tools: Tools) -> list[Entry]:
    """The tables of an archive (custom, directory or tar; not packed), in the archive's order.

    pg_restore writes its script in this order too, so the first entry is the first ``Rows`` of the dump's script, and
    so on, unless the archive holds INSERT statements and no ``Rows`` at all.
    """
    found = (_TABLE_DATA.match(line) for line in listing(path, tools))
    return [Entry(int(line.group(1)), line.group(2), line.group(3)) for line in found if line]


def table_data(path: str, tools: Tools, entry: Entry, block: Rows) -> Bytes:
    """The rows of one entry, by a pg_restore of its own: the same bytes that the judge saw in its COPY block.

    What stands before the rows is passed over, and their number is known, so none of them is looked at.
    """
    script = Source(path, tools, ("--data-only",), only=entry.dump_id, hashing=False).plain()
    wanted, left = block.statement + b";\n", block.end - block.begin
    head = b""
    try:
        for chunk in script:
            if wanted:
                head += chunk
                at = head.find(wanted)
                if at < 0:
                    continue
                chunk, wanted = head[at + len(wanted) :], b""
            if piece := chunk[:left]:
                left -= len(piece)
                yield piece
            if not left:
                return
    finally:
        script.close()
