# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of contents of a folder made by pg_dump, as far as it names files.

pg_restore opens whatever it names, ``../../etc/shadow`` too, and takes what it finds for data (ReadToc in
pg_backup_archiver.c, _ReadExtraToc in pg_backup_directory.c).
"""

from __future__ import annotations

import re

from .model import CORRUPT, LEAVES_DATABASE, NOT_A_DUMP, UNSUPPORTED, DumpRejected

_MAGIC = b"PGDMP"
_OLDEST, _NEWEST = (1, 12), (1, 16)
_WITH_ACCESS_METHOD, _WITH_COMPRESSION_BYTE, _WITH_KIND = (1, 14), (1, 15), (1, 16)
# So says that of a folder too.
_TAR = 3
_NUMBERS_OF_A_DATE = 7
_TEXTS_BEFORE_SECTION, _TEXTS_BEHIND_SECTION = 4, 5
_MOST_TEXT = 1 << 30


_ROWS = re.compile(r"\d+\.dat")
_LARGE_OBJECTS = re.compile(r"blobs(?:_\d+)?\.toc")


def require_own_files(toc: bytes) -> None:
    """Each file that a folder's table of contents names is one as pg_dump names them.

    :raises DumpRejected: when it is not, or the table cannot be read to its end.
    """
    try:
        found = _Toc(toc).files()
    except IndexError:
        raise DumpRejected(CORRUPT, "the table of contents of the folder is cut off or damaged") from None
    for kind, name in found:
        if not (_LARGE_OBJECTS if kind == "BLOBS" else _ROWS).fullmatch(name):
            raise DumpRejected(
                LEAVES_DATABASE,
                f"the table of contents names the file {name!r}, as pg_dump never names one",
                hint="It may lie outside of the folder; find out who made this dump.",
            )


class _Toc:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(_MAGIC) + 6
        if not data.startswith(_MAGIC):
            raise DumpRejected(NOT_A_DUMP, "the table of contents of the folder is none of pg_dump")
        self._version = (data[5], data[6])
        self._int_size, self._format = data[8], data[10]
        if not _OLDEST <= self._version <= _NEWEST or not 0 < self._int_size <= 8:
            raise DumpRejected(
                UNSUPPORTED,
                f"the folder is an archive of version {self._version[0]}.{self._version[1]}, which is unknown here",
                hint="Make the dump with pg_dump 9.6 to 18, or in custom format.",
            )
        if self._format != _TAR:
            raise DumpRejected(NOT_A_DUMP, "the table of contents of the folder is not that of a folder")

    def files(self) -> list[tuple[str, str]]:
        """The kinds of the entries that have a file, and its name."""
        if self._version >= _WITH_COMPRESSION_BYTE:
            self._at += 1
        else:
            self._number()
        for _number in range(_NUMBERS_OF_A_DATE):
            self._number()
        for _text in ("database", "version of the server", "version of pg_dump"):
            self._text()
        return [entry for entry in (self._entry() for _entry in range(self._number())) if entry[1]]

    def _entry(self) -> tuple[str, str]:
        self._number(), self._number()
        kind = [self._text() for _text in range(_TEXTS_BEFORE_SECTION)][-1]
        self._number()
        for _text in range(_TEXTS_BEHIND_SECTION):
            self._text()
        if self._version >= _WITH_ACCESS_METHOD:
            self._text()
        if self._version >= _WITH_KIND:
            self._number()
        self._text(), self._text()
        while self._text() is not None:
            pass
        return _shown(kind), _shown(self._text())

    def _number(self) -> int:
        sign, end = self._data[self._at], self._at + 1 + self._int_size
        if end > len(self._data):
            raise IndexError
        found = int.from_bytes(self._data[self._at + 1 : end], "little")
        self._at = end
        return -found if sign else found

    def _text(self) -> bytes | None:
        length = self._number()
        if length < 0:
            return None
        begin, self._at = self._at, self._at + length
        if length > _MOST_TEXT or self._at > len(self._data):
            raise IndexError
        return self._data[begin : self._at]


def _shown(text: bytes | None) -> str:
    return (text or b"").decode("utf-8", "backslashreplace")
