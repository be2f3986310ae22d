# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells whether two streams of COPY text data hold the same rows, whatever their order."""

from __future__ import annotations

import re
from hashlib import blake2b

# Rows up to this length are hashed in one go; longer ones piece by piece, so that memory stays bounded.
_LONG = 1 << 20
_WORD = 64
_ESCAPED_BREAK = re.compile(rb"\\+\n")


class RowsDigest:
    r"""A digest over rows: their number, and the sum of a 64-bit hash of each.

    Equal rows give equal digests in any order; another multiplicity counts as another row. Two different contents agree
    by accident once in 2^64 (18 million million million) comparisons. It is no proof against somebody who can choose
    rows while this process runs.

    The hash is Python's own SipHash, four times faster than hashlib's best, keyed anew in each process: digests can be
    compared with each other, and must not be stored.

    Rows are compared as the server writes them: ``\r\n`` at the end of a row is ``\n``, and a backslash before a line
    break is the escape ``\n``. Neither can mean anything else in data that the server takes.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._sum = 0
        #: Bytes that say nothing without those that follow: an open backslash, or a carriage return.
        self._open = b""
        #: The pieces of a row that has not ended.
        self._row: list[bytes] = []
        self._row_length = 0
        self._long = blake2b(digest_size=_WORD // 8)

    def update(self, data: bytes) -> None:
        """Add COPY text data, cut anywhere."""
        data = self._canonical(self._open + data if self._open else data)
        if self._row_length:
            rest_of_row, ended, data = data.partition(b"\n")
            self._continue(rest_of_row)
            if not ended:
                return
            self._finish()
        lines = data.split(b"\n")
        self._continue(lines.pop())
        self._rows += len(lines)
        if len(data) > _LONG:
            self._sum += sum(map(_hash_of_row, lines))
        else:
            self._sum += sum(map(hash, lines))

    @property
    def value(self) -> int:
        """The digest of all whole rows so far."""
        return (self._rows << _WORD) | (self._sum % (1 << _WORD))

    def _canonical(self, data: bytes) -> bytes:
        kept = len(data)
        if data.endswith(b"\r"):
            kept -= 1
        elif data.endswith(b"\\"):
            kept -= (kept - len(data.rstrip(b"\\"))) % 2
        self._open, data = data[kept:], data[:kept] if kept < len(data) else data
        if b"\r\n" in data:
            data = data.replace(b"\r\n", b"\n")
        if b"\\\n" in data:
            data = _ESCAPED_BREAK.sub(_as_escape, data)
        return data

    def _continue(self, piece: bytes) -> None:
        self._row.append(piece)
        self._row_length += len(piece)
        if self._row_length > _LONG:
            for part in self._row:
                self._long.update(part)
            self._row.clear()

    def _finish(self) -> None:
        if self._row_length > _LONG:
            self._sum += int.from_bytes(self._long.digest(), "little")
            self._long = blake2b(digest_size=_WORD // 8)
        else:
            self._sum += hash(b"".join(self._row))
        self._rows += 1
        self._row.clear()
        self._row_length = 0


def _hash_of_row(row: bytes) -> int:
    if len(row) > _LONG:
        return int.from_bytes(blake2b(row, digest_size=_WORD // 8).digest(), "little")
    return hash(row)


def _as_escape(run: re.Match[bytes]) -> bytes:
    # An even number of backslashes is escaped ones, and the break ends its row.
    backslashes = run.group()[:-1]
    return backslashes + b"n" if len(backslashes) % 2 else run.group()
