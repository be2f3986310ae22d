# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a dump into an empty database: in the dump's order up to the data, then keys and indexes side by side."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session, quote
from ..dump.model import Catalogue, Dump
from ..dump.reader import CopyData, CopyEnd, CopyStart, Event, Place, Reader, Statement, codec_of, in_utf8
from ..dump.source import Source, Tools
from ..dump.statements import Name, Phase, Understood, target_table, understand

# Settings that newer pg_dump writes for newer servers, without effect on what is loaded.
_OPTIONAL_SETTINGS = {
    "transaction_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "default_table_access_method",
    "row_security", "xmloption", "lock_timeout", "statement_timeout",
}  # fmt: skip
_UNKNOWN_SETTING = "42704"
_NOT_PERMITTED = "42501"
_CREATE_PUBLIC = re.compile(rb"create\s+schema\s+(?:public|\"public\")\s*$", re.IGNORECASE)


class LoadFailed(PlatformError):
    """The server did not take the dump."""


@dataclass
class Loaded:
    """What a load did.

    :param rows: rows that the server stored, by table as the dump names it.
    :param seconds: time by phase.
    """

    rows: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sha256: str = ""


@dataclass(frozen=True)
class _Deferred:
    """A statement that waits for its phase, with the session settings that it was written for."""

    text: bytes
    place: Place
    understood: Understood
    settings: tuple[bytes, ...]
    weight: int = 0


class Loader:
    """Loads one dump into one database.

    :param owner: whom the objects shall belong to; a superuser's session becomes this role, so that what the dump
        runs has no more rights than the application.
    :param jobs: connections that build keys and indexes at the same time.
    """

    def __init__(
        self, server: Server, database: str, dump: Dump, tools: Tools, *, owner: str, superuser: bool, jobs: int
    ) -> None:
        self._server = server
        self._database = database
        self._dump = dump
        self._tools = tools
        self._superuser = superuser
        self._role = owner if dump.owners <= {owner} else None
        self._jobs = jobs
        self._settings: dict[str, bytes] = {}
        #: The settings that a session has now, by its server process.
        self._in_effect: dict[int, tuple[bytes, ...]] = {}
        self._loaded = Loaded()
        self._indexes: list[_Deferred] = []
        self._in_order: list[_Deferred] = []
        self._refreshes: list[_Deferred] = []
        self._event_triggers: list[_Deferred] = []
        #: Materialised views that depend on a key; their indexes cannot be built before.
        self._late_views: set[Name] = set()
        self._after_data = False

    def load(self) -> Loaded:
        with self._server.connect(self._database, "load") as session:
            self._prepare(session)
            self._timed("data", lambda: self._stream(session))
            self._timed("indexes", lambda: self._in_parallel([(item, item.text) for item in self._heaviest_first()]))
            self._timed("constraints", lambda: self._constraints(session))
            self._timed("analyze", lambda: session.run("ANALYZE"))
        return self._loaded

    def _timed(self, phase: str, work: Callable[[], object]) -> None:
        begun = time.monotonic()
        work()
        self._loaded.seconds[phase] = time.monotonic() - begun

    def _prepare(self, session: Session) -> None:
        # Nothing of staging has to survive a crash; the swap's own commit is written through.
        session.run("SET synchronous_commit TO off")
        session.run("SET maintenance_work_mem TO '128MB'")
        if self._role is not None:
            session.run(f"SET ROLE {quote(self._role)}")
        elif self._superuser:
            self._loaded.notes.append(
                f"Objects of the dump belong to {', '.join(sorted(self._dump.owners))}, not to the database's owner"
                " alone, so it was loaded with a superuser's rights."
            )

    # -- the stream ----------------------------------------------------------------------------------------------

    def _stream(self, session: Session) -> None:
        source = Source(self._dump.path, self._tools)
        reader = Reader(source.plain())
        events = iter(reader)
        catalogue, ignored = Catalogue(), set[str]()
        inserting = False
        for event in events:
            if isinstance(event, CopyStart):
                self._copy(session, event, events)
            elif isinstance(event, Statement):
                understood = understand(
                    in_utf8(event.text, reader.encoding), str(event.place), catalogue, ignored, ignored
                )
                if (understood.phase is Phase.INSERT) != inserting:
                    # One transaction for a run of INSERTs: a commit per row would take most of the time.
                    session.run("COMMIT" if inserting else "BEGIN")
                    inserting = not inserting
                self._statement(session, event, understood)
        self._loaded.sha256 = source.sha256

    def _copy(self, session: Session, start: CopyStart, events: Iterator[Event]) -> None:
        table = str(target_table(in_utf8(start.text, self._dump.encoding)))
        sent = -1
        try:
            with session.copy_in(start.text) as copying:
                for event in events:
                    if isinstance(event, CopyData):
                        copying.write(event.data)
                    elif isinstance(event, CopyEnd):
                        sent = event.rows
                        break
        except ServerError as error:
            raise self._failed(f"loading table {table}", start.place, error) from None
        if copying.stored != sent:
            raise LoadFailed(f"The server stored {copying.stored} rows of table {table}, the dump holds {sent}.")
        self._loaded.rows[table] = self._loaded.rows.get(table, 0) + copying.stored

    def _statement(self, session: Session, event: Statement, understood: Understood) -> None:
        phase = understood.phase
        if phase is Phase.CLEAN:
            self._note_once("The dump was made with --clean; its DROP statements were left out: staging is empty.")
            return
        if phase is Phase.SETTING:
            self._setting(session, event, understood)
            return
        if phase in (Phase.INDEX, Phase.FOREIGN_KEY, Phase.REFRESH):
            self._after_data = True
        if self._after_data:
            self._defer(event, understood)
            return
        try:
            if phase is Phase.EXTENSION:
                self._as_login(session, event.text)
            elif phase is Phase.INSERT:
                self._insert(session, event, understood)
            else:
                if _CREATE_PUBLIC.match(event.text):
                    self._as_login(session, b"DROP SCHEMA public")
                session.run(event.text)
        except ServerError as error:
            if understood.kind == "comment on extension" and error.sqlstate == _NOT_PERMITTED:
                self._note_once("Comments on extensions were left out: only their owner may write them.")
                return
            raise self._failed(f"statement '{_short(event.text)}'", event.place, error) from None

    def _as_login(self, session: Session, statement: bytes) -> None:
        """Extensions, and the schema public, need the login's own rights."""
        if self._role is not None:
            session.run("RESET ROLE")
        session.run(statement)
        if self._role is not None:
            session.run(f"SET ROLE {quote(self._role)}")

    def _insert(self, session: Session, event: Statement, understood: Understood) -> None:
        tag = session.run(event.text)
        table = str(understood.table)
        self._loaded.rows[table] = self._loaded.rows.get(table, 0) + int(tag.rsplit(" ", 1)[-1])

    def _setting(self, session: Session, event: Statement, understood: Understood) -> None:
        name = str(understood.name)
        try:
            session.run(event.text)
        except ServerError as error:
            if error.sqlstate == _UNKNOWN_SETTING and name in _OPTIONAL_SETTINGS:
                self._note_once(f"Setting {name} is unknown to this server and was left out.")
                return
            raise self._failed(f"setting {name}", event.place, error) from None
        self._settings[name] = event.text

    def _defer(self, event: Statement, understood: Understood) -> None:
        table = str(understood.table) if understood.table else ""
        weight = self._dump.data[table].bytes if table in self._dump.data else 0
        item = _Deferred(event.text, event.place, understood, tuple(self._settings.values()), weight)
        if understood.kind == "materialized view" and understood.name is not None:
            self._late_views.add(understood.name)
        if understood.phase is Phase.INDEX and understood.table not in self._late_views:
            self._indexes.append(item)
        elif understood.phase is Phase.REFRESH:
            self._refreshes.append(item)
        elif understood.kind in ("event trigger", "alter event", "comment on event"):
            # They would fire on what still has to be done here.
            self._event_triggers.append(item)
        else:
            self._in_order.append(item)

    def _note_once(self, note: str) -> None:
        if note not in self._loaded.notes:
            self._loaded.notes.append(note)

    # -- behind the data -----------------------------------------------------------------------------------------

    def _heaviest_first(self) -> list[_Deferred]:
        return sorted(self._indexes, key=lambda item: -item.weight)

    def _constraints(self, session: Session) -> None:
        validations: list[tuple[_Deferred, bytes]] = []
        for item in self._in_order:
            text = item.text
            if item.understood.phase is Phase.FOREIGN_KEY and self._may_validate_later(item.understood):
                text += b" NOT VALID"
                validations.append((item, _validation(item.understood, self._dump.encoding)))
            self._run_deferred(session, item, text)
        self._in_parallel(validations)
        for item in (*self._refreshes, *self._event_triggers):
            self._run_deferred(session, item, item.text)

    def _may_validate_later(self, key: Understood) -> bool:
        """Not where either side is partitioned: there, PostgreSQL does not validate the keys of the partitions."""
        if key.table is None or key.name is None or f"{key.table}.{key.name.name}" in self._dump.catalogue.not_valid:
            return False
        return not {str(key.table), str(key.references)} & self._dump.catalogue.partitioned

    def _run_deferred(self, session: Session, item: _Deferred, text: bytes) -> None:
        try:
            if self._in_effect.get(session.pid) != item.settings:
                for setting in item.settings:
                    session.run(setting)
                self._in_effect[session.pid] = item.settings
            session.run(text)
        except ServerError as error:
            raise self._failed(f"statement '{_short(item.text)}'", item.place, error) from None

    def _in_parallel(self, work: Sequence[tuple[_Deferred, bytes]]) -> None:
        """Run statements on several connections; the first failure stops the others."""
        waiting: queue.SimpleQueue[tuple[_Deferred, bytes]] = queue.SimpleQueue()
        for entry in work:
            waiting.put(entry)
        team = _Team()
        for _worker in range(min(self._jobs, len(work))):
            team.start(lambda: self._worker(waiting, team))
        team.wait()

    def _worker(self, waiting: queue.SimpleQueue[tuple[_Deferred, bytes]], team: _Team) -> None:
        with self._server.connect(self._database, "index") as session:
            team.add(session)
            self._prepare(session)
            while not team.failed:
                try:
                    item, text = waiting.get_nowait()
                except queue.Empty:
                    return
                self._run_deferred(session, item, text)

    def _failed(self, what: str, place: Place, error: ServerError) -> LoadFailed:
        return LoadFailed(f"The dump cannot be loaded: {what} at {place} of the dump failed. {error.msg}")


class _Team:
    """Threads that work together: when one fails, the others are cancelled and the first error is raised."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._sessions: list[Session] = []
        self._guard = threading.Lock()
        self._error: BaseException | None = None

    @property
    def failed(self) -> bool:
        return self._error is not None

    def start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def add(self, session: Session) -> None:
        with self._guard:
            self._sessions.append(session)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # raised again by wait()
            with self._guard:
                if self._error is None:
                    self._error = error
                    for session in self._sessions:
                        session.cancel()


def _sql_name(name: Name) -> str:
    return f"{quote(name.schema)}.{quote(name.name)}" if name.schema else quote(name.name)


def _validation(understood: Understood, encoding: str) -> bytes:
    if understood.table is None or understood.name is None:
        raise ValueError("a constraint without table or name")
    constraint = quote(understood.name.name)
    statement = f"ALTER TABLE {_sql_name(understood.table)} VALIDATE CONSTRAINT {constraint}"
    return statement.encode(codec_of(encoding), "surrogateescape")


def _short(statement: bytes) -> str:
    text = " ".join(statement[:120].decode("utf-8", "replace").split())
    return text[:80] + "…" if len(text) > 80 else text
