# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements of a migration.sql, each with its lines and with the comments that stand before it."""

from __future__ import annotations

from dataclasses import dataclass

from .._errors import PlatformError
from .._postgres.dump.model import DumpRejected
from .._postgres.dump.reader import Comment, Reader, Statement
from .._postgres.dump.statements import Token, tokens

_SHOWN = 160


class Unreadable(PlatformError):
    """A script that breaks off, or holds what only psql understands.

    :param line: where, from 1.
    """

    def __init__(self, line: int, msg: str) -> None:
        super().__init__(msg)
        self.line = line


@dataclass(frozen=True)
class Part:
    """One statement, from its first line to its last.

    :param comments: the lines of comment before it, with their numbers.
    """

    text: str
    first: int
    last: int
    tokens: tuple[Token, ...]
    comments: tuple[tuple[int, str], ...] = ()

    @property
    def shown(self) -> str:
        """The statement in a line."""
        words = " ".join(self.text.split())
        return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 1]}…"


def parts_of(sql: str) -> tuple[list[Part], list[tuple[int, str]]]:
    """The statements, and the comments behind the last one.

    :raises Unreadable: when it breaks off inside of a statement.
    """
    parts: list[Part] = []
    comments: list[tuple[int, str]] = []
    # Prisma needs no semicolon behind the last statement; the reader does.
    reader = Reader([sql.encode().replace(b"\0", b" "), b"\n;\n"])
    lines = sql.count("\n") + 1
    try:
        for event in reader:
            if isinstance(event, Comment):
                comments.append((event.place.line, event.text.decode("utf-8", "replace")))
            elif isinstance(event, Statement):
                found = tuple(tokens(event.text))
                if found:
                    text = event.text.decode("utf-8", "replace").rstrip()
                    first = event.place.line
                    parts.append(Part(text, first, first + text.count("\n"), found, tuple(comments)))
                    comments = []
            else:
                place = getattr(event, "place", None)
                line = place.line if place else lines
                raise Unreadable(line, "Only psql understands this line; the server does not.")
    except DumpRejected as error:
        last = parts[-1].last + 1 if parts else 1
        raise Unreadable(
            min(last, lines), f"The script breaks off: {error.reason.replace('the dump', 'it')}."
        ) from None
    return parts, comments
