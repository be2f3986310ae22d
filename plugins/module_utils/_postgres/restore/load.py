# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a dump into an empty database, as its plan says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..._progress import Progress
from ..connect import Server, ServerError, Session
from ..dump.model import Dump
from ..dump.reader import in_utf8
from ..dump.script import Bulk, Rows
from ..dump.source import Tools
from ..dump.statements import target_table
from .crew import Crew, Stopped
from .plan import Copy, Ordered, Outstanding, Plan, Run, plan, way_to_read
from .roles import Renaming
from .rows import Block, Data
from .runner import LoadFailed, Runner, failed, in_short
from .schedule import Board, Task


@dataclass
class Loaded:
    """What a load did.

    :param rows: rows that the server stored, by table as the dump names it.
    :param seconds: time by phase.
    :param outstanding: indexes that were left out.
    :param plan: what was done and why, for people.
    """

    rows: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    outstanding: list[Outstanding] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class Begun:
    """A load whose first statements were run before the rest of the dump was known.

    :param session: ready to go on.
    """

    session: Session
    runner: Runner
    done: list[Ordered]


class Loader:
    """Loads one dump into one database.

    :param owner: whom the objects shall belong to; a superuser's session becomes this role, so that what the dump
        runs has no more rights than the application.
    :param jobs: connections that work at the same time.
    :param defer_indexes: leave out the indexes that no constraint needs.
    :param quick_statistics: gather a tenth of the usual statistics; whoever asks for this has ANALYZE run later.
    :param renaming: for a dump whose roles have other names on this server.
    :param planned: what :func:`.plan.plan` said, to spare saying it again.
    """

    def __init__(
        self,
        server: Server,
        database: str,
        dump: Dump,
        tools: Tools,
        *,
        owner: str,
        superuser: bool,
        jobs: int,
        defer_indexes: bool = False,
        quick_statistics: bool = False,
        progress: Progress | None = None,
        renaming: Renaming | None = None,
        planned: Plan | None = None,
    ) -> None:
        self._server = server
        self._database = database
        self._dump = dump
        self._superuser = superuser
        self._progress = progress or Progress()
        self._data = Data(dump, tools, way_to_read(dump))
        # What an archive holds may not be what its list promised.
        fits = planned is not None and planned.way == self._data.way
        self._plan = planned if planned is not None and fits else plan(dump, jobs, defer_indexes, self._data.way)
        self._begun: Begun | None = None
        renaming = renaming or Renaming({})
        self._runner = Runner(
            owner if {renaming.of(role) for role in dump.owners} <= {owner} else None,
            renaming,
            jobs=jobs,
            # With indexes to be built later, their builder gathers all statistics.
            quick_statistics=quick_statistics or bool(self._plan.outstanding),
        )
        self._shared: dict[int, Block] = {}
        self._guard = threading.Lock()
        self._data_done = 0.0
        self._crew: Crew | None = None
        self._loaded = Loaded(outstanding=self._plan.outstanding, plan=self._plan.as_dict(), sha256=dump.sha256)

    def goes_on_from(self, begun: Begun) -> bool:
        """Take over what was begun, if it is the beginning of what this load would do, by the same role."""
        fits = begun.runner.role == self._runner.role and self._plan.before[: len(begun.done)] == begun.done
        self._begun = begun if fits else None
        return fits

    def load(self) -> Loaded:
        todo, begun = self._plan, self._begun
        if todo.cleaned:
            self._runner.note_once(
                "The dump was made with --clean; its DROP statements were left out: staging is empty."
            )
        if self._runner.role is None and self._superuser:
            self._runner.note_once(
                f"Objects of the dump belong to {', '.join(sorted(self._dump.owners))}, not to the database's owner"
                " alone, so it was loaded with a superuser's rights."
            )
        session = begun.session if begun is not None else self._server.open(self._database, "load")
        with closing(session):
            if begun is not None:
                self._runner.go_on_from(begun.runner, session)
            else:
                self._runner.prepare(session)
            crew = self._crew = Crew(session, self._another, todo.jobs)
            try:
                with self._phase("schema"):
                    self._in_order(session, todo.before[len(begun.done) if begun is not None else 0 :])
                since = time.monotonic()
                with self._phase("data", self._dump.plain_bytes):
                    crew.run(todo.tasks, self._do)
                self._split_seconds(since)
                self._require_all_rows()
                with self._phase("constraints"):
                    self._in_order(session, todo.then)
                    crew.run(todo.finish, self._do)
                with self._phase("views"):
                    self._in_order(session, todo.last)
                    self._in_order(session, todo.analyze_last)
            finally:
                self._data.close()
                crew.close()
        self._loaded.notes = self._runner.notes
        return self._loaded

    @contextmanager
    def _phase(self, name: str, total: int = 0) -> Iterator[None]:
        begun = time.monotonic()
        self._progress.begin(name, total)
        try:
            yield
        finally:
            self._loaded.seconds[name] = time.monotonic() - begun

    def _split_seconds(self, begun: float) -> None:
        """Indexes are built beside the data; what took longer than the data is theirs."""
        seconds = self._loaded.seconds
        data = max(0.0, self._data_done - begun)
        seconds["indexes"] = seconds["data"] - data
        seconds["data"] = data

    # -- sessions ------------------------------------------------------------------------------------------------

    def _another(self) -> Session:
        session = self._server.open(self._database, "load")
        self._runner.prepare(session)
        return session

    # -- statements ----------------------------------------------------------------------------------------------

    def _in_order(self, session: Session, items: Sequence[Ordered]) -> None:
        in_transaction = False
        for ordered in items:
            item = ordered.item
            self._runner.apply(session, ordered.settings)
            if isinstance(item, Rows):
                self._copy_block(session, ordered, item.statement)
            elif isinstance(item, Bulk):
                self._bulk(session, ordered, item, in_transaction)
            else:
                if item.understood.kind in ("begin", "commit"):
                    in_transaction = item.understood.kind == "begin"
                self._runner.run(session, item, ordered.text)

    # -- data ----------------------------------------------------------------------------------------------------

    def _bulk(self, session: Session, ordered: Ordered, bulk: Bulk, in_transaction: bool) -> None:
        # One transaction for a run of INSERTs: a commit per row would take most of the time.
        if not in_transaction:
            session.run("BEGIN")
        for text, place in self._data.statements(bulk, ordered.settings):
            self._stop_if_failed()
            try:
                tag = session.run(text)
            except ServerError as error:
                raise failed(f"statement '{in_short(text)}'", place, error) from None
            if tag.startswith("INSERT"):
                table = target_table(in_utf8(text, self._dump.encoding), bulk.schema)
                self._count(str(table), int(tag.rsplit(" ", 1)[-1]))
            self._progress.add(len(text))
        if not in_transaction:
            session.run("COMMIT")

    def _count(self, table: str, rows: int) -> None:
        with self._guard:
            self._loaded.rows[table] = self._loaded.rows.get(table, 0) + rows

    def _copy_block(self, session: Session, ordered: Ordered, statement: bytes) -> None:
        if not isinstance(ordered.item, Rows):
            raise TypeError("no rows to copy")
        block = self._data.block(ordered.item)
        try:
            self._send(session, ordered.item, statement, block.chunks())
        finally:
            block.close()

    def _send(self, session: Session, rows: Rows, statement: bytes, chunks: Iterator[bytes]) -> None:
        try:
            with session.copy_in(statement) as copying:
                for chunk in chunks:
                    self._stop_if_failed()
                    copying.write(chunk)
                    self._progress.add(len(chunk))
        except ServerError as error:
            raise failed(f"loading table {rows.table}", rows.place, error) from None
        self._progress.add(0, copying.stored)
        self._count(rows.table, copying.stored)

    def _require_all_rows(self) -> None:
        for table, data in self._dump.data.items():
            stored = self._loaded.rows.get(table, 0)
            if data.rows is not None and stored != data.rows:
                raise LoadFailed(f"The server stored {stored} rows of table {table}, the dump holds {data.rows}.")

    def _stop_if_failed(self) -> None:
        if self._crew is not None and self._crew.failed:
            raise Stopped

    def _copy(self, session: Session, task: Copy) -> None:
        if task.frozen:
            self._runner.apply(session, task.blocks[0].settings)
            session.run("BEGIN")
            session.run(b"TRUNCATE ONLY " + task.target)
        for ordered in task.blocks:
            self._runner.apply(session, ordered.settings)
            if not isinstance(ordered.item, Rows):
                raise TypeError("no rows to copy")
            if task.shares > 1:
                self._share(session, ordered.item)
            else:
                freeze = b" WITH (FREEZE)" if task.frozen else b""
                self._copy_block(session, ordered, ordered.item.statement + freeze)
        if task.frozen:
            session.run("COMMIT")

    def _share(self, session: Session, rows: Rows) -> None:
        """One of several connections that write the same block."""
        with self._guard:
            block = self._shared.get(id(rows))
            if block is None:
                block = self._shared[id(rows)] = self._data.block(rows)
        self._send(session, rows, rows.statement, block.rows())

    # -- the crew ------------------------------------------------------------------------------------------------

    def _do(self, session: Session, task: Task, _board: Board) -> None:
        if isinstance(task, Copy):
            self._progress.doing(task.label)
            self._copy(session, task)
            self._data_done = time.monotonic()
        elif isinstance(task, Run):
            self._progress.doing(task.label)
            self._in_order(session, task.items)
