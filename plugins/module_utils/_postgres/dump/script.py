# SPDX-License-Identifier: GPL-3.0-or-later
"""A judged dump as a list of steps: what the load takes, so that it need not read statements a second time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from .reader import Place
from .statements import Understood


@dataclass(frozen=True)
class Step:
    """One statement; ``text`` as it stands in the dump, without its semicolon."""

    text: bytes
    place: Place
    understood: Understood


@dataclass
class Rows:
    """The data of one COPY block: bytes ``begin`` to ``end`` of the decompressed dump, without the closing line.

    :param statement: the COPY statement.
    :param table: the name as ``TableData`` has it.
    :param schema: where a name without a schema is.
    :param checksum: CRC-32 of the data; a load that reads other bytes is reading another file.
    """

    statement: bytes
    place: Place
    table: str
    begin: int = 0
    end: int = 0
    rows: int = 0
    checksum: int = 0
    schema: str = ""


@dataclass
class Bulk:
    """A run of statements that carry data (INSERT, large objects), too many to be kept: they are read again.

    Bytes ``begin`` to ``end`` of the decompressed dump, the last semicolon included.

    :param schema: where a name without a schema is.
    :param checksum: CRC-32 of the statements' texts, one behind the other.
    """

    place: Place
    begin: int
    end: int
    statements: int = 0
    checksum: int = 0
    schema: str = ""
    tables: set[str] = field(default_factory=set)


Item = Union[Step, Rows, Bulk]
Script = list[Item]
