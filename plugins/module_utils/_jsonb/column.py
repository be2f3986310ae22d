# SPDX-License-Identifier: GPL-3.0-or-later
"""A column of documents: found in the catalogue, and cut into pieces that can be read side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._errors import PlatformError
from .._postgres.connect import Session, quote
from .schema import Schema

_NAME = r'"(?:[^"]|"")+"|[^".\s]+'
_TABLE = re.compile(rf"(?:(?P<schema>{_NAME})\.)?(?P<table>{_NAME})")
_FOUND = """
SELECT c.oid::bigint, c.relkind::text, c.reltuples::float8,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END,
    coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
"""
_KEY = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = %s AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)
"""
_FIRST_WITH_TID_RANGES = 140000
_PIECE_PAGES = 1024
# From here on, whole pages are drawn, so that not all of them must be read.
_MANY_PAGES = 20_000


@dataclass(frozen=True)
class Sample:
    """How much of a column is judged."""

    rows: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str) -> Sample:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
        number = float(match.group(1)) if match else 0.0
        if match is not None and match.group(2) and 0 < number <= 100:
            return cls(percent=number)
        if match is not None and not match.group(2) and number >= 1 and number.is_integer():
            return cls(rows=int(number))
        raise PlatformError(
            f"Option sample is {text!r}.", "Write a number of rows, such as 10000, or a share as in 5%."
        )


@dataclass(frozen=True)
class Wanted:
    """What the options say of a column."""

    table: str
    column: str
    schema: Schema
    ids: Sequence[str] = ()
    where: str = ""
    nullable: bool = True

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True)
class Column:
    """A column that can be read."""

    wanted: Wanted
    relation: str
    is_text_json: bool
    ids: Sequence[str]
    pages: int
    #: Rows by the server's own estimate, or counted where that matters.
    estimate: int
    counted: bool
    #: The part of the query that draws the sample; empty for the whole.
    drawn: str = ""
    condition: str = ""
    limit: str = ""

    @property
    def sampled(self) -> bool:
        return bool(self.drawn or self.condition)

    def pieces(self, version: int) -> list[str]:
        """Queries that give every document once: it, and its id. They can be read side by side."""
        if self.sampled or self.pages <= _PIECE_PAGES or version < _FIRST_WITH_TID_RANGES:
            return [self._query(())]
        starts = range(0, self.pages, _PIECE_PAGES)
        # What was added since is beyond the last page.
        ends = [f"ctid < '({start},0)'" for start in starts[1:]] + [""]
        return [self._query((f"ctid >= '({start},0)'", end)) for start, end in zip(starts, ends)]

    def _query(self, conditions: Sequence[str]) -> str:
        fields = ", ".join([f"{quote(self.wanted.column)}::text", *(f"{one}::text" for one in self.ids)])
        # A line break ends a comment in what was given.
        given = f"({self.wanted.where}\n)" if self.wanted.where else ""
        every = " AND ".join(one for one in (given, self.condition, *conditions) if one)
        where = f" WHERE {every}" if every else ""
        return f"COPY (SELECT {fields} FROM {self.relation}{self.drawn}{where}{self.limit}) TO STDOUT"


def find_column(session: Session, wanted: Wanted, sample: Sample | None) -> Column:
    """The column in the database.

    :raises PlatformError: when it is not there, or holds no documents.
    """
    schema, table = _names(wanted.table)
    rows = session.rows(_FOUND, (wanted.column, schema, table))
    if not rows:
        raise PlatformError(f"there is no table {schema}.{table}", "Names are taken as they are, capitals included.")
    oid, kind, tuples, pages, of_type = rows[0]
    if of_type is None:
        raise PlatformError(f"there is no column {wanted.column} in {schema}.{table}", "Correct its name.")
    if of_type not in ("json", "jsonb"):
        raise PlatformError(f"it is of type {of_type}, neither json nor jsonb", "Leave it out.")
    ids = [quote(one) for one in wanted.ids] or [quote(row[0]) for row in session.rows(_KEY, (oid,))]
    if not ids and kind in ("r", "m", "p"):
        ids = ["ctid"]
    column = Column(
        wanted=wanted,
        relation=f"{quote(schema)}.{quote(table)}",
        is_text_json=of_type == "json",
        ids=ids,
        pages=int(pages),
        estimate=max(0, int(tuples)),
        counted=False,
    )
    return _drawn(session, column, kind, sample) if sample is not None else column


def _drawn(session: Session, column: Column, kind: str, sample: Sample) -> Column:
    percent = sample.percent
    count, counted = column.estimate, False
    if percent is None:
        rows = sample.rows or 1
        # A column that is not much larger is read as a whole; that takes more than an estimate.
        if count < 2 * rows or column.wanted.where:
            given = f" WHERE ({column.wanted.where}\n)" if column.wanted.where else ""
            count, counted = int(session.value(f"SELECT count(*) FROM {column.relation}{given}")), True
        if counted and count <= rows:
            return replace(column, estimate=count, counted=True)
        # A little more, since it is drawn by chance and cut off.
        percent = min(100.0, 120.0 * rows / max(1, count))
    if percent >= 100 and sample.percent is not None:
        return column
    drawn, condition = "", ""
    if kind in ("r", "m", "p"):
        method = "SYSTEM" if column.pages > _MANY_PAGES else "BERNOULLI"
        drawn = f" TABLESAMPLE {method} ({percent:.9f})"
    else:
        condition = f"random() < {percent / 100:.9f}"
    limit = f" LIMIT {sample.rows}" if sample.rows else ""
    return replace(column, estimate=count, counted=counted, drawn=drawn, condition=condition, limit=limit)


def _names(table: str) -> tuple[str, str]:
    match = _TABLE.fullmatch(table.strip())
    if match is None:
        raise PlatformError(f"{table!r} names no table", "Write schema.table, as in public.users.")

    def plain(name: str) -> str:
        return name[1:-1].replace('""', '"') if name.startswith('"') else name

    return plain(match.group("schema") or "public"), plain(match.group("table"))
