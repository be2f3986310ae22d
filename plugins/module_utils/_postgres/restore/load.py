# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a dump into an empty database, as its plan says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..._errors import PlatformError
from ..._progress import Progress
from ..connect import Server, ServerError, Session, quote
from ..dump.model import Dump
from ..dump.reader import Place, in_utf8
from ..dump.script import Bulk, Rows, Step
from ..dump.source import Tools
from ..dump.statements import Phase, target_table
from .crew import Crew, Stopped
from .plan import Copy, Ordered, Outstanding, Plan, Run, Settings, plan, way_to_read
from .roles import Renaming
from .rows import Block, Data
from .schedule import Board, Task

# Settings that newer pg_dump writes for newer servers, without effect on what is loaded.
_OPTIONAL_SETTINGS = {
    "transaction_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "default_table_access_method",
    "row_security", "xmloption", "lock_timeout", "statement_timeout",
}  # fmt: skip
_UNKNOWN_SETTING = "42704"
_NOT_PERMITTED = "42501"
_CREATE_PUBLIC = re.compile(rb"create\s+schema\s+(?:public|\"public\")\s*$", re.IGNORECASE)
_MEGABYTE = 1 << 20
# Of a server's memory, what all connections of a load may take together; more was no faster.
_MEMORY = 256 * _MEGABYTE
# Its tree of keys is larger than the processor's cache beyond that, which costs more than writing it out more often.
_GIN_MEMORY = 64 * _MEGABYTE
# These need all of their graph in memory.
_GRAPH = re.compile(rb"\susing\s+(?:hnsw|ivfflat)\b", re.IGNORECASE)
_GIN = re.compile(rb"\susing\s+gin\b", re.IGNORECASE)
# A tenth of PostgreSQL's own default: enough to choose an index by.
_QUICK_STATISTICS = 10


class LoadFailed(PlatformError):
    """The server did not take the dump."""


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


class Loader:
    """Loads one dump into one database.

    :param owner: whom the objects shall belong to; a superuser's session becomes this role, so that what the dump
        runs has no more rights than the application.
    :param jobs: connections that work at the same time.
    :param defer_indexes: leave out the indexes that no constraint needs.
    :param quick_statistics: gather a tenth of the usual statistics; whoever asks for this has ANALYZE run later.
    :param renaming: for a dump whose roles have other names on this server.
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
    ) -> None:
        self._server = server
        self._database = database
        self._dump = dump
        self._superuser = superuser
        self._renaming = renaming or Renaming({})
        owners = {self._renaming.of(role) for role in dump.owners}
        self._role = owner if owners <= {owner} else None
        self._progress = progress or Progress()
        self._data = Data(dump, tools, way_to_read(dump))
        self._plan: Plan = plan(dump, jobs, defer_indexes, self._data.way)
        # With indexes to be built later, their builder gathers all statistics.
        self._quick_statistics = quick_statistics or bool(self._plan.outstanding)
        #: The settings that a session has now, by name.
        self._in_effect: dict[Session, dict[str, Step]] = {}
        self._memory = _MEMORY // jobs
        self._shared: dict[int, Block] = {}
        self._guard = threading.Lock()
        self._data_done = 0.0
        self._crew: Crew | None = None
        self._loaded = Loaded(outstanding=self._plan.outstanding, plan=self._plan.as_dict(), sha256=dump.sha256)

    def load(self) -> Loaded:
        todo = self._plan
        if todo.cleaned:
            self._note_once("The dump was made with --clean; its DROP statements were left out: staging is empty.")
        with self._server.connect(self._database, "load") as session:
            self._prepare(session)
            crew = self._crew = Crew(session, self._another, todo.jobs)
            try:
                with self._phase("schema"):
                    self._in_order(session, todo.before)
                begun = time.monotonic()
                with self._phase("data", self._dump.plain_bytes):
                    crew.run(todo.tasks, self._do)
                self._split_seconds(begun)
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
        self._prepare(session)
        return session

    def _prepare(self, session: Session) -> None:
        # Nothing of staging has to survive a crash; the swap's own commit is written through.
        session.run("SET synchronous_commit TO off")
        session.run(f"SET maintenance_work_mem TO '{self._memory // 1024}kB'")
        # Foreign keys are validated by a query whose cost would have it compiled, which takes longer than it gains.
        session.run("SET jit TO off")
        session.run("SET statement_timeout TO 0")
        if self._plan.jobs > 1:
            # Each connection has a core of its own to build with; workers beside it would share it.
            session.run("SET max_parallel_maintenance_workers TO 0")
        if self._quick_statistics:
            session.run(f"SET default_statistics_target TO {_QUICK_STATISTICS}")
        self._in_effect[session] = {}
        if self._role is not None:
            session.run(f"SET ROLE {quote(self._role)}")
        elif self._superuser:
            self._note_once(
                f"Objects of the dump belong to {', '.join(sorted(self._dump.owners))}, not to the database's owner"
                " alone, so it was loaded with a superuser's rights."
            )

    def _apply(self, session: Session, settings: Settings) -> None:
        """Give a session the settings that a statement was written for, and take away those that came later."""
        in_effect = self._in_effect[session]
        wanted = {str(step.understood.name): step for step in settings}
        for name in in_effect.keys() - wanted.keys():
            session.run(f"RESET {name}")
            del in_effect[name]
        for name, step in wanted.items():
            if in_effect.get(name) is not step:
                self._setting(session, name, step)
                in_effect[name] = step

    def _setting(self, session: Session, name: str, step: Step) -> None:
        try:
            session.run(step.text)
        except ServerError as error:
            if error.sqlstate == _UNKNOWN_SETTING and name in _OPTIONAL_SETTINGS:
                self._note_once(f"Setting {name} is unknown to this server and was left out.")
                return
            raise self._failed(f"setting {name}", step.place, error) from None

    def _note_once(self, note: str) -> None:
        with self._guard:
            if note not in self._loaded.notes:
                self._loaded.notes.append(note)

    # -- statements ----------------------------------------------------------------------------------------------

    def _in_order(self, session: Session, items: Sequence[Ordered]) -> None:
        in_transaction = False
        for ordered in items:
            item = ordered.item
            self._apply(session, ordered.settings)
            if isinstance(item, Rows):
                self._copy_block(session, ordered, item.statement)
            elif isinstance(item, Bulk):
                self._bulk(session, ordered, item, in_transaction)
            else:
                if item.understood.kind in ("begin", "commit"):
                    in_transaction = item.understood.kind == "begin"
                self._statement(session, item, ordered.text)

    def _statement(self, session: Session, step: Step, text: bytes | None = None) -> None:
        kind = step.understood.kind
        text = self._renaming.apply(step.text if text is None else text, step.understood)
        if text is None:
            return
        try:
            if kind == "become role" and step.understood.name is not None:
                session.run(f"SET ROLE {quote(self._renaming.of(step.understood.name.name))}")
            elif kind == "become owner":
                session.run("RESET ROLE" if self._role is None else f"SET ROLE {quote(self._role)}")
            elif step.understood.phase is Phase.EXTENSION:
                self._as_login(session, text)
            elif step.understood.phase is Phase.INDEX:
                self._build(session, text)
            elif not _CREATE_PUBLIC.match(text):
                # pg_dump --schema=public says nothing of the grants that every new database has on it.
                session.run(text)
        except ServerError as error:
            if kind == "comment on extension" and error.sqlstate == _NOT_PERMITTED:
                self._note_once("Comments on extensions were left out: only their owner may write them.")
                return
            raise self._failed(f"statement '{_short(step.text)}'", step.place, error) from None

    def _build(self, session: Session, statement: bytes) -> None:
        memory = (
            f"'{_GIN_MEMORY // 1024}kB'" if _GIN.search(statement) else "DEFAULT" if _GRAPH.search(statement) else ""
        )
        if memory:
            session.run(f"SET maintenance_work_mem TO {memory}")
        session.run(statement)
        if memory:
            session.run(f"SET maintenance_work_mem TO '{self._memory // 1024}kB'")

    def _as_login(self, session: Session, statement: bytes) -> None:
        """Extensions need the login's own rights."""
        if self._role is not None:
            session.run("RESET ROLE")
        session.run(statement)
        if self._role is not None:
            session.run(f"SET ROLE {quote(self._role)}")

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
                raise self._failed(f"statement '{_short(text)}'", place, error) from None
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
            raise self._failed(f"loading table {rows.table}", rows.place, error) from None
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
            self._apply(session, task.blocks[0].settings)
            session.run("BEGIN")
            session.run(b"TRUNCATE ONLY " + task.target)
        for ordered in task.blocks:
            self._apply(session, ordered.settings)
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

    def _failed(self, what: str, place: Place, error: ServerError) -> PlatformError:
        return LoadFailed(f"The dump cannot be loaded: {what} at {place} of the dump failed. {error.msg}")


def _short(statement: bytes) -> str:
    text = " ".join(statement[:120].decode("utf-8", "replace").split())
    return text[:80] + "…" if len(text) > 80 else text
