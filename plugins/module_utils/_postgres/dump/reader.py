# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the plain SQL that pg_dump writes, as psql would, without a server and in bounded memory.

The lexer follows psql's own rules (psqlscan.l): what ends a statement, what is data, and what is a meta-command. It
never guesses from line beginnings: SQL text inside of data, quotes or function bodies stays what it is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from operator import itemgetter
from typing import Union

from .model import CORRUPT, TRUNCATED, UNSUPPORTED, DumpRejected

# A statement longer than this is no statement of pg_dump; a 1 GB field is PostgreSQL's own limit.
LONGEST_STATEMENT = 1 << 30
_NEEDED_FOR_HEAD = 256
# Dropping what was read copies what was not: not for every statement of a dump that has millions.
_WORTH_FORGETTING = 1 << 16
_LONGEST_TERMINATOR = len(b"\n\\.\r")
_SPACE = re.compile(rb"[ \t\r\n\f\v]+")
_WORD = rb"[\w$\x80-\xff]"
# It begins with one set of bytes, which Python's engine looks for ten times faster than for alternatives.
_STOP = re.compile(rb"""['";$\\()/-](?:(?<=['";$\\()])|(?<=-)-|(?<=/)\*)""")
# Unlike psql, which takes every "begin" for one, and so cannot read pg_dump's own script of a function of that name.
_STOP_IN_ROUTINE = re.compile(
    rb"""['";$\\()]|--|/\*|(?<![\w$\x80-\xff])(?:begin\s{1,9}atomic|case|end)(?![\w$\x80-\xff])""", re.IGNORECASE
)
_LONGEST_STOP = 32
_ROUTINE = re.compile(rb"create\s+(?:or\s+replace\s+)?(?:function|procedure)\b", re.IGNORECASE)
_NAME = rb'(?:"(?:[^"]|"")*"|[\w$\x80-\xff]+)'
# Exactly what pg_dump writes: in any other form, what looks like this may stand in a comment or a name.
_COPY_FROM_STDIN = re.compile(
    rb"copy\s+NAME(?:\s*\.\s*NAME)?\s*(?:\(\s*NAME(?:\s*,\s*NAME)*\s*\)\s*)?(?:with\s+oids\s+)?from\s+stdin\s*$".replace(
        b"NAME", _NAME
    ),
    re.IGNORECASE,
)
_DOLLAR_TAG = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$")
_QUOTE_OR_BACKSLASH = re.compile(rb"['\\]")
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_COPY_TARGET = re.compile(rb'copy\s+((?:"(?:[^"]|"")*"|[^\s("])+)', re.IGNORECASE)
_SAMPLE = 1 << 12
_LONG_LINE = 60
_LAST_TWO = itemgetter(slice(-2, None))
# Line breaks that may be more than the end of a row: behind a backslash, or before the closing line.
_ODD_BREAK = re.compile(rb"\n(?:(?<=\\\n)|(?=\\\.))")
# The line break counts as one: a run of even length is an odd number of backslashes and the break.
_BACKSLASHES_BEFORE_BREAK = re.compile(rb"\\+\n")
_CONFORMING = re.compile(rb"set\s+standard_conforming_strings\s*(?:=|to)\s*'?(on|off|true|false)'?\s*$", re.IGNORECASE)
_CLIENT_ENCODING = re.compile(rb"set\s+client_encoding\s*(?:=|to)\s*'([^']*)'\s*$", re.IGNORECASE)
# In these encodings the second byte of a character may be a quote or a backslash; PostgreSQL itself allows them only
# on the client's side, and pg_dump writes them only when told to. Python has nothing for the last one.
_UNSAFE_ENCODINGS = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "JOHAB", "GB18030", "EUC_TW"}


@dataclass(frozen=True)
class Place:
    """A position in the decompressed dump."""

    offset: int
    line: int

    def __str__(self) -> str:
        return f"byte {self.offset} (line {self.line})"


@dataclass(frozen=True)
class Comment:
    """A ``--`` line between statements."""

    text: bytes
    place: Place


@dataclass(frozen=True)
class Statement:
    """One SQL statement, without its semicolon; ``end`` is the offset behind it."""

    text: bytes
    place: Place
    end: int


@dataclass(frozen=True)
class MetaCommand:
    r"""A psql command: a backslash and its line."""

    text: bytes
    place: Place
    inside_statement: bool


@dataclass(frozen=True)
class CopyStart:
    """A ``COPY … FROM stdin`` statement; its data follow."""

    text: bytes
    place: Place


@dataclass(frozen=True)
class CopyData:
    """A piece of COPY data, cut anywhere."""

    data: bytes


@dataclass(frozen=True)
class CopyEnd:
    """The end of COPY data: how much there was, and from where to where in the decompressed dump."""

    rows: int
    begin: int
    end: int

    @property
    def bytes(self) -> int:
        return self.end - self.begin


Event = Union[Comment, Statement, MetaCommand, CopyStart, CopyData, CopyEnd]


class Reader:
    """Turns chunks of plain SQL into events.

    :param chunks: the decompressed dump, in pieces of any size.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._position = 0
        self._base = 0
        self._line = 1
        self._counted_to = 0
        self._ended = False
        self.encoding = "UTF8"
        self.conforming = True

    def __iter__(self) -> Iterator[Event]:
        while self._skip_space():
            beginning = self._peek(2)
            if beginning == b"--":
                yield self._line_comment()
            elif beginning == b"/*":
                self._position = self._end_of_comment(self._position)
            elif beginning[:1] == b"\\":
                yield self._meta_command(inside_statement=False)
            else:
                yield from self._statement()

    @property
    def bytes_read(self) -> int:
        return self._base + len(self._buffer)

    # -- the buffer ----------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        """Append the next chunk; False at the end of the dump."""
        if self._ended:
            return False
        for chunk in self._chunks:
            if chunk:
                self._buffer += chunk
                return True
        self._ended = True
        return False

    def _forget(self) -> None:
        """Drop what lies behind the position."""
        self._count_lines()
        self._base += self._position
        self._buffer = self._buffer[self._position :]
        self._position = self._counted_to = 0

    def _count_lines(self) -> None:
        self._line += self._buffer.count(b"\n", self._counted_to, self._position)
        self._counted_to = self._position

    def _peek(self, length: int) -> bytes:
        while len(self._buffer) < self._position + length and self._more():
            pass
        return self._buffer[self._position : self._position + length]

    def _here(self) -> Place:
        self._count_lines()
        return Place(self._base + self._position, self._line)

    def _skip_space(self) -> bool:
        """Move to the next byte that is not white space; False at the end of the dump."""
        while True:
            match = _SPACE.match(self._buffer, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._buffer):
                return True
            self._forget()
            if not self._more():
                return False

    # -- outside of statements -----------------------------------------------------------------------------------

    def _rest_of_line(self) -> bytes:
        end = self._buffer.find(b"\n", self._position)
        searched = len(self._buffer)
        while end < 0 and self._more():
            end = self._buffer.find(b"\n", searched)
            searched = len(self._buffer)
        end = len(self._buffer) if end < 0 else end
        line = self._buffer[self._position : end]
        self._position = end
        return line.rstrip(b"\r")

    def _line_comment(self) -> Comment:
        place = self._here()
        return Comment(self._rest_of_line(), place)

    def _meta_command(self, inside_statement: bool) -> MetaCommand:
        place = self._here()
        return MetaCommand(self._rest_of_line(), place, inside_statement)

    # -- statements ----------------------------------------------------------------------------------------------

    def _statement(self) -> Iterator[Event]:
        if self._position > _WORTH_FORGETTING:
            self._forget()
        place = self._here()
        head = self._peek(_NEEDED_FOR_HEAD)
        routine = head[:1] in b"cC" and _ROUTINE.match(head) is not None
        pattern = _STOP_IN_ROUTINE if routine else _STOP
        parentheses = blocks = 0
        at = self._position
        while True:
            found = pattern.search(self._buffer, at)
            # A token at the very end of the buffer may be half of a longer one.
            if found is None or found.end() + _LONGEST_STOP > len(self._buffer):
                resume = found.start() if found else max(at, len(self._buffer) - _LONGEST_STOP)
                if len(self._buffer) > LONGEST_STATEMENT:
                    raise DumpRejected(CORRUPT, "a statement of more than 1 GB begins", str(place))
                if self._more():
                    at = resume
                    continue
                if found is None:
                    raise self._cut(place, "the dump ends inside a statement")
            token = found.group().lower()
            at = found.end()
            if token == b";":
                if parentheses == 0 and blocks == 0:
                    break
            elif token == b"(":
                parentheses += 1
            elif token == b")":
                parentheses = max(0, parentheses - 1)
            elif token == b"'":
                at = self._end_of_string(at, self._string_has_escapes(found.start()), place)
            elif token == b'"':
                at = self._end_of_identifier(at, place)
            elif token == b"$":
                at = self._end_of_dollar_quote(found.start(), place)
            elif token == b"--":
                at = self._find(b"\n", at, place, "the dump ends inside a comment")
            elif token == b"/*":
                at = self._end_of_comment(found.start())
            elif token == b"\\":
                self._position = found.start()
                yield self._meta_command(inside_statement=True)
                return
            elif parentheses == 0:
                blocks = self._routine_depth(token, blocks)
        text = self._buffer[self._position : at - 1]
        if b"\0" in text:
            raise DumpRejected(CORRUPT, "a zero byte inside of a statement that begins", str(place))
        self._position = at
        if text[:5].lower().startswith(b"copy") and _COPY_FROM_STDIN.match(text):
            yield CopyStart(text, place)
            yield from self._copy_data(text, place)
        else:
            self._note_settings(text, place)
            yield Statement(text, place, self._base + self._position)

    @staticmethod
    def _routine_depth(word: bytes, depth: int) -> int:
        if word.startswith(b"begin"):
            return depth + 1
        if word == b"case":
            return depth + 1 if depth else 0
        return max(0, depth - 1)

    def _note_settings(self, text: bytes, place: Place) -> None:
        if text[:4].lower() != b"set ":
            return
        conforming = _CONFORMING.match(text)
        if conforming:
            self.conforming = conforming.group(1).lower() in (b"on", b"true")
        encoding = _CLIENT_ENCODING.match(text)
        if encoding:
            self.encoding = encoding.group(1).decode("ascii", "replace").upper()
            if self.encoding.replace("-", "_") in _UNSAFE_ENCODINGS:
                raise DumpRejected(
                    UNSUPPORTED,
                    f"the dump is written in {self.encoding}, which cannot be read safely",
                    str(place),
                    "Make the dump again with pg_dump --encoding=UTF8.",
                )

    def _cut(self, place: Place, what: str) -> DumpRejected:
        end = self._base + len(self._buffer)
        return DumpRejected(TRUNCATED, f"{what} that begins at {place}; the file is cut off", f"byte {end}")

    def _find(self, needle: bytes, at: int, place: Place, what: str) -> int:
        """The position behind the next needle."""
        while True:
            end = self._buffer.find(needle, at)
            if end >= 0:
                return end + len(needle)
            at = max(at, len(self._buffer) - len(needle) + 1)
            if not self._more():
                raise self._cut(place, what)

    def _string_has_escapes(self, quote: int) -> bool:
        if not self.conforming:
            return True
        before = self._buffer[max(0, quote - 2) : quote]
        return before[-1:] in (b"e", b"E") and not re.match(_WORD, before[-2:-1])

    def _end_of_string(self, at: int, escapes: bool, place: Place) -> int:
        what = "the dump ends inside a string of the statement"
        if not escapes:
            # A doubled quote ends one string and begins the next: the result is the same.
            return self._find(b"'", at, place, what)
        while True:
            found = _QUOTE_OR_BACKSLASH.search(self._buffer, at)
            if found is None:
                at = len(self._buffer)
                if not self._more():
                    raise self._cut(place, what)
            elif found.group() == b"'":
                return found.end()
            else:
                at = found.end() + 1
                while len(self._buffer) < at:
                    if not self._more():
                        raise self._cut(place, what)

    def _end_of_identifier(self, at: int, place: Place) -> int:
        return self._find(b'"', at, place, "the dump ends inside a quoted name of the statement")

    def _end_of_dollar_quote(self, dollar: int, place: Place) -> int:
        if dollar and re.match(_WORD, self._buffer[dollar - 1 : dollar]):
            return dollar + 1
        end = -1
        while end < 0:
            match = _DOLLAR_TAG.match(self._buffer, dollar)
            if match:
                end = match.end()
            elif len(self._buffer) - dollar > 64 or not self._more():
                return dollar + 1
        tag = self._buffer[dollar:end]
        return self._find(tag, end, place, "the dump ends inside a dollar-quoted text of the statement")

    def _end_of_comment(self, start: int) -> int:
        depth, at, place = 0, start, Place(self._base + start, self._line)
        while True:
            found = _COMMENT_EDGE.search(self._buffer, at)
            if found is None:
                at = max(at, len(self._buffer) - 1)
                if not self._more():
                    raise self._cut(place, "the dump ends inside a comment")
                continue
            depth += 1 if found.group() == b"/*" else -1
            at = found.end()
            if depth == 0:
                return at

    # -- data ----------------------------------------------------------------------------------------------------

    def _copy_data(self, statement: bytes, place: Place) -> Iterator[Event]:
        if self._rest_of_line().strip():
            raise DumpRejected(CORRUPT, "text stands behind the COPY statement", str(place))
        if self._peek(1) != b"\n":
            raise self._cut_in_data(statement, 0, False)
        self._position += 1
        self._count_lines()
        rows = 0
        begin = end_offset = self._base + self._position
        escaped = False
        line_start = True
        while True:
            ordinary = None if escaped else ordinary_rows(self._buffer[self._position :])
            if ordinary is None:
                end, after = self._end_of_data(line_start)
                piece = self._buffer[self._position : end]
                lines, escaped = count_rows(piece, escaped)
            else:
                end = after = self._end_of_safe_data()
                piece = self._buffer[self._position : end]
                lines, escaped = ordinary - self._buffer.count(b"\n", end), ends_in_backslash(piece)
                # Every line break is a row here: no need to count them again.
                self._line += lines
                self._counted_to = end
            if b"\0" in piece:
                raise DumpRejected(CORRUPT, f"a zero byte in the data of table {copy_target(statement)}", str(place))
            if piece:
                rows += lines
                end_offset += len(piece)
                line_start = piece.endswith(b"\n")
                yield CopyData(piece)
            self._position = after
            if after > end:
                yield CopyEnd(rows, begin, end_offset)
                return
            self._forget()
            if not self._more():
                raise self._cut_in_data(statement, rows, escaped)

    def _end_of_data(self, line_start: bool) -> tuple[int, int]:
        r"""Where the data end and where the line ``\.`` ends; both are the same while there is no such line yet."""
        at = self._position
        if not (line_start and self._buffer.startswith(b"\\.", at)):
            at = self._next_terminator(at)
        while at >= 0:
            line_end = self._buffer[at + 2 : at + 4]
            if line_end[:1] == b"\n":
                return at, at + 3
            if line_end == b"\r\n":
                return at, at + 4
            if line_end in (b"", b"\r"):
                if self._more():
                    continue
                return at, len(self._buffer)
            at = self._next_terminator(at + 2)
        safe = self._end_of_safe_data()
        return safe, safe

    def _end_of_safe_data(self) -> int:
        r"""A line ``\.`` may be half read: its bytes stay for the next round."""
        return max(self._position, len(self._buffer) - _LONGEST_TERMINATOR)

    def _next_terminator(self, at: int) -> int:
        found = self._buffer.find(b"\n\\.", at)
        return found + 1 if found >= 0 else -1

    def _cut_in_data(self, statement: bytes, rows: int, escaped: bool) -> DumpRejected:
        table = copy_target(statement)
        # The last bytes were kept back, as they might have become the end of the data.
        rows += count_rows(self._buffer[self._position :], escaped)[0]
        self._position = len(self._buffer)
        return DumpRejected(
            TRUNCATED,
            f"the dump ends inside the data of table {table}, after {rows} whole rows; the file is cut off",
            str(self._here()),
        )


def count_rows(data: bytes, escaped: bool) -> tuple[int, bool]:
    """The rows that end in a piece of COPY data; a line break behind a backslash belongs to its row.

    :param escaped: whether the piece before ended in an open backslash; the second result says so of this piece.
    """
    if escaped:
        data = b"\\" + data
    rows = data.count(b"\n")
    if b"\\\n" in data:
        rows -= sum(1 for run in _BACKSLASHES_BEFORE_BREAK.finditer(data) if len(run.group()) % 2 == 0)
    return rows, ends_in_backslash(data)


def ordinary_rows(data: bytes) -> int | None:
    """The rows that end in a piece of COPY data where every line break ends one; None where it has to be looked at.

    This sees every byte of a dump, and nothing here may take longer than it must.
    """
    if data.count(b"\n", 0, _SAMPLE) > _SAMPLE // _LONG_LINE:
        return None if data.startswith(b"\\.") or _ODD_BREAK.search(data) else data.count(b"\n")
    # Python takes long lines one by one much faster than it looks through them.
    lines = BytesIO(data).readlines()
    if b"\\.\n" in lines or b"\\.\r\n" in lines or b"\\\n" in map(_LAST_TWO, lines):
        return None
    return len(lines) - (not data.endswith(b"\n") and bool(data))


def ends_in_backslash(data: bytes) -> bool:
    """Whether the last byte is a backslash that escapes what follows."""
    return data.endswith(b"\\") and (len(data) - len(data.rstrip(b"\\"))) % 2 == 1


def in_utf8(text: bytes, encoding: str) -> bytes:
    """A statement in the one encoding in which names are compared; bytes that are no text stay what they are.

    :param encoding: PostgreSQL's name of the encoding that the dump is written in.
    """
    try:
        return text if text.isascii() else text.decode(codec_of(encoding)).encode()
    except UnicodeError:
        return text


def codec_of(encoding: str) -> str:
    """Python's name of an encoding of PostgreSQL's."""
    try:
        return codecs.lookup(re.sub("^KOI8", "KOI8-", re.sub("^WIN", "CP", encoding))).name
    except LookupError:
        return "utf-8"


def copy_target(statement: bytes) -> str:
    """The table of a COPY statement, as it is written there."""
    match = _COPY_TARGET.match(statement)
    return match.group(1).decode("utf-8", "replace") if match else "?"
