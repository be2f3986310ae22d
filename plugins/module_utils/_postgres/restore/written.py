# SPDX-License-Identifier: GPL-3.0-or-later
"""Under which settings a dump was written, as its own rows tell: pg_dump leaves some to the database and the role, and
on another server nobody knows what those had set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from ..connect import Session
from ..dump.model import Dump
from ..dump.reader import in_utf8
from .promised import promises

Settings = Mapping[str, str]

#: What pg_dump does not set, so that data are written as the settings of the database or of the role had it.
LEFT_OPEN = frozenset({"timezone", "bytea_output", "lc_monetary"})
#: As pg_backup has it set.
HOUSE_STYLE: Settings = {"timezone": "UTC", "bytea_output": "hex"}
_MOMENT = re.compile(rb"(\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)[+-]\d\d(?::\d\d){0,2}")
_COLUMN = re.compile(r'"((?:[^"]|"")*)"|([^\s,]+)')
_HEX = rb"\\x"
# Zones that agree wherever the dump's first and last rows lie need not be tried one after the other.
_FITTING_ZONES = """
WITH written (moment, local) AS (SELECT * FROM unnest(%s::text[]::timestamptz[], %s::text[]::timestamp[]) w),
span AS (SELECT min(moment) AS first, greatest(max(moment), now()) AS last FROM written),
fitting AS (
    SELECT z.name, (SELECT array_agg(m AT TIME ZONE z.name ORDER BY m)
        FROM span, generate_series(first, last, greatest(interval '7 days', (last - first) / 1000)) m) AS course
    FROM pg_timezone_names z
    WHERE NOT EXISTS (SELECT FROM written WHERE moment AT TIME ZONE z.name <> local))
SELECT min(name) FROM fitting GROUP BY course HAVING NOT 'UTC' = ANY(array_agg(name)) ORDER BY count(*) DESC LIMIT %s
"""
_MOST_ZONES = 8
_MOST_MOMENTS = 500


def ways_told(session: Session, dump: Dump, columns: Mapping[str, bytes]) -> list[Settings]:
    """The settings that fit what the dump's first and last rows show, the likeliest first.

    :param session: connected to any database of the server, which knows the time zones.
    :param columns: of each table, as its COPY statement lists them.
    """
    moments, hexadecimal = set(), set()
    for kinds, row in _samples(dump, columns):
        for kind, value in zip(kinds, row.split(b"\t")):
            found = _MOMENT.fullmatch(value) if kind == "moment" else None
            if found is not None:
                moments.add((value.decode(), found.group(1).decode()))
            elif kind == "bytea" and value not in (b"", rb"\N"):
                hexadecimal.add(value.startswith(_HEX))
    style = {**HOUSE_STYLE, "bytea_output": "escape" if hexadecimal == {False} else "hex"}
    return [style, *({**style, "timezone": zone} for zone in _zones(session, moments))]


def _zones(session: Session, moments: Collection[tuple[str, str]]) -> list[str]:
    if not moments:
        return []
    shown = sorted(moments)[:: 1 + len(moments) // _MOST_MOMENTS]
    with_offset, local = [one for one, _local in shown], [local for _one, local in shown]
    return [str(zone) for (zone,) in session.rows(_FITTING_ZONES, (with_offset, local, _MOST_ZONES))]


def _samples(dump: Dump, columns: Mapping[str, bytes]) -> Iterator[tuple[list[str], bytes]]:
    """Whole rows of the dump, with what is in each of their columns."""
    types = promises(dump, {}).facts.get("type of column", {})
    for table, listed in columns.items():
        kinds = [_kind(types.get(f"{table}.{column}", "")) for column in _names(in_utf8(listed, dump.encoding))]
        if any(kinds):
            data = dump.data[table]
            for row in [*data.first.split(b"\n")[:-1], *data.last.split(b"\n")[1:-1]]:
                yield kinds, row


def _names(listed: bytes) -> list[str]:
    found = _COLUMN.findall(listed.decode("utf-8", "replace"))
    return [quoted.replace('""', '"') or plain for quoted, plain in found]


def _kind(written: str) -> str:
    if written.startswith("timestamp") and "with time zone" in written and "[" not in written:
        return "moment"
    return "bytea" if written == "bytea" else ""
