# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the rows of a database with those of its dump, to the bit: the server writes them as pg_dump had them
written, and both streams must have one digest.

Large objects are no rows of a table and are not compared.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

from ..connect import ServerError, Session
from ..content import RowsDigest
from ..dump.model import Dump
from ..dump.reader import in_utf8
from ..dump.script import Rows, Step
from ..dump.statements import tokens
from .promised import promises
from .tables import Connect, Table, in_parallel, stored_tables
from .written import HOUSE_STYLE, LEFT_OPEN, Settings, ways_told

_COPY = re.compile(
    rb"""copy\s+(?P<table>(?:"(?:[^"]|"")*"|[^\s("])+)\s*(?:\((?P<columns>.*)\))?\s+from\s+stdin\s*$""",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(rb'copy\s+"', re.IGNORECASE)
_SHOWN = 5
# While one waits for the server, the other counts; Python itself does no more than one thing at a time.
_MOST_SESSIONS = 2
# As pg_dump sets them for itself; search_path, because names of objects may be data (regclass).
_PINNED = {
    "datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "3", "search_path": "",
    "statement_timeout": "0",
}  # fmt: skip
_FLOATS = {"real", "double", "float4", "float8", "point", "line", "lseg", "box", "path", "polygon", "circle"}
_FIRST_WITH_SHORT_FLOATS = 12


def obstacles(dump: Dump) -> list[str]:
    """Why the rows of a dump could not be compared, as far as the dump itself tells."""
    found = []
    inserted = sorted(name for name, data in dump.data.items() if data.rows is None)
    if inserted:
        found.append(
            f"The rows of {_some(inserted)} are INSERT statements in the dump and cannot be compared:"
            " use verify: rows, or a dump that was made without --inserts."
        )
    if dump.server_major is not None and dump.server_major < _FIRST_WITH_SHORT_FLOATS:
        floating = sorted(_with_floats(dump))
        if floating:
            found.append(
                f"PostgreSQL {dump.server_version} wrote floating-point numbers in other digits than a server of today"
                f" ({_some(floating)}): use verify: rows."
            )
    mixed = sorted(name for name, statements in _blocks(dump).items() if len(statements) > 1)
    if mixed:
        found.append(f"The dump holds data of {_some(mixed)} by different columns: use verify: rows.")
    return found


def differences(
    session: Session, dump: Dump, connect: Connect | None, jobs: int, remarks: list[str] | None = None
) -> list[str]:
    """The tables whose rows are not those of the dump.

    :param remarks: takes what was not compared, and why.
    """
    return _Comparison(session, dump, [] if remarks is None else remarks).run(session, connect, jobs)


class _Comparison:
    def __init__(self, session: Session, dump: Dump, remarks: list[str]) -> None:
        self._remarks = remarks
        self._dump = dump
        self._statements = {name: next(iter(statements)) for name, statements in _blocks(dump).items()}
        self._tables = {str(table): table for table in stored_tables(session, dump.data)}
        self._all_quoted = all(_QUOTED.match(statement) for statement in self._statements.values())
        self._ways = self._with_quotes(_ways_to_write(session))
        self._told: list[Settings] | None = None
        self._guard = threading.Lock()
        self._problems: dict[str, str] = {}

    def run(self, session: Session, connect: Connect | None, jobs: int) -> list[str]:
        sizes = {name: float(data.bytes) for name, data in self._dump.data.items()}
        in_parallel(session, connect, min(jobs, _MOST_SESSIONS), sizes, self._compare)
        return [self._problems[name] for name in sorted(self._problems)]

    def _compare(self, session: Session, name: str) -> None:
        expected = self._dump.data[name].digest
        table = self._tables.get(name)
        if table is None:
            self._problems[name] = f"table {name} is missing"
            return
        if table.of_extension:
            self._remarks.append(f"table {name} belongs to an extension and holds rows of its own: not compared")
            return
        if expected is None or name not in self._statements:
            raise ServerError(f"The rows of table {name} in the dump have no digest.")
        statement = _copy_out(self._statements[name], partitioned=table.partitioned)
        zones = set()
        for way in self._candidates(session):
            if self._digest(session, table, statement, way) == expected:
                with self._guard:
                    # The next table was written in the same way.
                    self._ways = [way, *(other for other in self._ways if other != way)]
                return
            zones |= {way["timezone"]} if "timezone" in way else set()
        self._problems[name] = f"the rows of table {name} are not those of the dump" + (
            f" (timestamps were read in the server's time zone and in {', '.join(sorted(zones))})" if zones else ""
        )

    def _candidates(self, session: Session) -> Iterator[Settings]:
        """The settings that the server knows of; and those that the dump tells, which take a while to find."""
        known = list(self._ways)
        yield from known
        with self._guard:
            if self._told is None:
                columns = {
                    name: found.group("columns") or b""
                    for name, statement in self._statements.items()
                    if (found := _COPY.match(statement))
                }
                self._told = self._with_quotes(ways_told(session, self._dump, columns))
        yield from (way for way in self._told if way not in known)

    def _with_quotes(self, ways: list[Settings]) -> list[Settings]:
        """By pg_dump --quote-all-identifiers, names that are data (regclass) are quoted as well."""
        return [*({**way, "quote_all_identifiers": "on"} for way in ways), *ways] if self._all_quoted else ways

    def _digest(self, session: Session, table: Table, statement: bytes, way: Settings) -> int:
        digest = RowsDigest()
        with table.whole(session):
            for setting, value in {**_PINNED, **way, "client_encoding": self._dump.encoding}.items():
                session.run("SELECT pg_catalog.set_config(%s, %s, true)", (setting, value))
            for piece in session.copy_out(statement):
                digest.update(piece)
        return digest.value


def _blocks(dump: Dump) -> dict[str, set[bytes]]:
    blocks: dict[str, set[bytes]] = {}
    for item in dump.script:
        if isinstance(item, Rows):
            blocks.setdefault(item.table, set()).add(item.statement)
    return blocks


def _copy_out(statement: bytes, *, partitioned: bool) -> bytes:
    found = _COPY.match(statement)
    if found is None:
        raise ServerError("A COPY statement of the dump cannot be turned round.")
    table, columns = found.group("table"), found.group("columns")
    if partitioned:
        return b"COPY (SELECT %s FROM %s) TO stdout" % (columns or b"", table)
    return b"COPY %s %s TO stdout" % (table, b"(%s)" % columns if columns is not None else b"")


def _ways_to_write(session: Session) -> list[Settings]:
    """The settings under which the dump may have been written; those of this session come first."""
    ways: list[Settings] = [{}]
    for (settings,) in session.rows("SELECT DISTINCT setconfig FROM pg_db_role_setting ORDER BY 1"):
        pairs = (entry.partition("=") for entry in settings)
        ways.append({name.lower(): value for name, _equals, value in pairs if name.lower() in LEFT_OPEN})
    ways.append(HOUSE_STYLE)
    return [way for at, way in enumerate(ways) if way not in ways[:at]]


def _with_floats(dump: Dump) -> set[str]:
    """Tables with columns of such types, and types that are made of them."""
    found = {
        column.rpartition(".")[0]
        for column, written in promises(dump, {}).facts.get("type of column", {}).items()
        if _FLOATS & set(written.split())
    }
    for step in dump.script:
        if isinstance(step, Step) and step.understood.kind in ("type", "domain"):
            words = {token.value for token in tokens(in_utf8(step.text, dump.encoding))}
            found |= {str(step.understood.name)} if words & _FLOATS else set()
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
