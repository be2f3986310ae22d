# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a load cost, in seconds of one core of the machine they were measured on.

Only their proportions matter: they order the work and choose between ways to do it.
"""

from __future__ import annotations

import re

from ..dump.model import Dump, TableData

_COPY_BYTES_PER_SECOND = 32e6
_FROZEN = 0.92
# To empty a table, and to have the commit of that written through.
_EMPTIED = 0.02
_SCAN_BYTES_PER_SECOND = 2e9
_SORTED_ROWS_PER_SECOND = 0.9e6
_GIN_ROWS_PER_SECOND = 0.11e6
_SLOW_ROWS_PER_SECOND = 0.03e6
_VALIDATED_ROWS_PER_SECOND = 1.5e6
_SAMPLED_ROWS = 30_000
_SAMPLED_ROWS_PER_SECOND = 100_000
_EXPRESSION = 1.5
# A connection's share of a table must be worth its own transaction and its look at what others wrote.
_LEAST_TO_SPLIT = 16 << 20
_MOST_SPLIT = 3
_TYPICAL_ROW = 100
_PROGRAM_SECONDS = 0.04
_MOST_FOR_PROGRAMS = 0.3
_METHOD = re.compile(rb"\susing\s+(\w+)", re.IGNORECASE)


def rows_of(data: TableData | None) -> float:
    if data is None:
        return 0.0
    return data.rows if data.rows is not None else data.bytes / _TYPICAL_ROW


def copy_seconds(size: int, frozen: bool) -> float:
    seconds = size / _COPY_BYTES_PER_SECOND + 0.002
    return seconds * _FROZEN + _EMPTIED if frozen else seconds


def index_seconds(statement: bytes, data: TableData | None) -> float:
    """Of CREATE INDEX, or of a constraint that makes one."""
    rows = rows_of(data)
    found = _METHOD.search(statement)
    method = found.group(1).lower() if found else b"btree"
    per_second = {b"btree": _SORTED_ROWS_PER_SECOND, b"hash": _SORTED_ROWS_PER_SECOND, b"gin": _GIN_ROWS_PER_SECOND}
    if method == b"brin":
        rows = 0
    seconds = (
        rows / per_second.get(method, _SLOW_ROWS_PER_SECOND) + (data.bytes if data else 0) / _SCAN_BYTES_PER_SECOND
    )
    columns = statement[found.end() :] if found else statement
    return seconds * (_EXPRESSION if columns.count(b"(") > 1 else 1.0) + 0.002


def validate_seconds(data: TableData | None, referenced: TableData | None) -> float:
    return (rows_of(data) + rows_of(referenced)) / _VALIDATED_ROWS_PER_SECOND + 0.002


def analyze_seconds(data: TableData | None) -> float:
    return min(rows_of(data), _SAMPLED_ROWS) / _SAMPLED_ROWS_PER_SECOND + 0.002


def worth_splitting(dump: Dump, jobs: int) -> list[str]:
    """The few tables for which it is worth asking, largest first."""
    if jobs < 2:
        return []
    large = [data for data in dump.data.values() if data.rows is not None and data.bytes >= _LEAST_TO_SPLIT]
    return [data.table for data in sorted(large, key=lambda data: -data.bytes)[:_MOST_SPLIT]]


def worth_a_program_each(dump: Dump) -> bool:
    """Whether the tables of an archive are large enough for a pg_restore of their own."""
    return len(dump.data) * _PROGRAM_SECONDS < _MOST_FOR_PROGRAMS * dump.plain_bytes / _COPY_BYTES_PER_SECOND
