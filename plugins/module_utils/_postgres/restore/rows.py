# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a load takes its data from, and that they are those that were judged."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence

from ..._errors import PlatformError
from ..dump.checksum import crc32
from ..dump.data import Entry, entries, in_order, plain_range, table_data
from ..dump.model import Dump
from ..dump.reader import Place, Reader, Statement
from ..dump.script import Bulk, Rows, Step
from ..dump.source import Bytes, Tools
from .plan import ARCHIVE, PLAIN, STREAM


class DumpChanged(PlatformError):
    """What is read now is not what was judged."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"The dump {path} changed while it was being restored: {what} differs.", "Run it again.")


class Data:
    """The data of one dump.

    :param way: PLAIN and ARCHIVE give every block at any time; STREAM gives them one after the other.
    """

    def __init__(self, dump: Dump, tools: Tools, way: str) -> None:
        self._dump = dump
        self._tools = tools
        self.way = way
        self._stream: Iterator[tuple[Rows | Bulk, Bytes]] | None = None
        self._entries: dict[int, Entry] = {}
        if way == ARCHIVE:
            blocks = [item for item in dump.script if isinstance(item, Rows)]
            found = entries(dump.path, tools)
            if len(found) == len(blocks):
                self._entries = {id(block): entry for block, entry in zip(blocks, found)}
            else:
                self.way = STREAM

    def block(self, block: Rows) -> Block:
        return Block(self._dump.path, block, self._chunks(block))

    def statements(self, bulk: Bulk, settings: Sequence[Step]) -> Iterator[tuple[bytes, Place]]:
        """The statements of a run, each with its place in the dump.

        :param settings: those in effect; they say how strings are to be read.
        """
        ahead = b"".join(step.text + b";\n" for step in settings if str(step.understood.name) in _LEXICAL)
        events = iter(Reader(itertools.chain([ahead], self._chunks(bulk))))
        checksum = 0
        for event in events:
            offset = event.place.offset - len(ahead) if isinstance(event, Statement) else -1
            if isinstance(event, Statement) and offset >= 0:
                checksum = crc32(event.text, checksum)
                line = bulk.place.line + event.place.line - 1 - ahead.count(b"\n")
                yield event.text, Place(bulk.begin + offset, line)
        if checksum != bulk.checksum:
            raise DumpChanged(self._dump.path, f"what stands at {bulk.place}")

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()

    def _chunks(self, item: Rows | Bulk) -> Bytes:
        if self.way == PLAIN:
            return plain_range(self._dump.path, item.begin, item.end)
        if isinstance(item, Rows) and id(item) in self._entries:
            return table_data(self._dump.path, self._tools, self._entries[id(item)], item)
        if self._stream is None:
            self._stream = in_order(self._dump, self._tools)
        for found, chunks in self._stream:
            if found is item:
                return chunks
        raise DumpChanged(self._dump.path, f"what stands at {item.place}")


_LEXICAL = {"standard_conforming_strings", "client_encoding"}


class Block:
    """The rows of one COPY block, for one taker or several at once."""

    def __init__(self, path: str, block: Rows, chunks: Bytes) -> None:
        self._path = path
        self._block = block
        self._chunks = chunks
        self._guard = threading.Lock()
        self._checksum = 0
        self._rest = b""
        self._ended = False

    def chunks(self) -> Iterator[bytes]:
        """All of it."""
        for chunk in self._chunks:
            self._checksum = crc32(chunk, self._checksum)
            yield chunk
        self._check()

    def rows(self) -> Iterator[bytes]:
        """Whole rows, as long as there are any; what one taker has got, no other gets."""
        while piece := self._next_rows():
            yield piece

    def close(self) -> None:
        self._chunks.close()

    def _next_rows(self) -> bytes:
        with self._guard:
            while not self._ended:
                chunk = next(self._chunks, None)
                if chunk is None:
                    self._ended = True
                    self._check()
                    return self._rest
                self._checksum = crc32(chunk, self._checksum)
                self._rest += chunk
                end = _end_of_rows(self._rest)
                if end:
                    piece, self._rest = self._rest[:end], self._rest[end:]
                    return piece
            return b""

    def _check(self) -> None:
        if self._checksum != self._block.checksum:
            raise DumpChanged(self._path, f"the data of table {self._block.table} at {self._block.place}")


def _end_of_rows(data: bytes) -> int:
    """The end of the last whole row; a line break behind an odd number of backslashes belongs to its row."""
    end = len(data)
    while (at := data.rfind(b"\n", 0, end)) >= 0:
        before = data[:at]
        if not (len(before) - len(before.rstrip(b"\\"))) % 2:
            return at + 1
        end = at
    return 0
