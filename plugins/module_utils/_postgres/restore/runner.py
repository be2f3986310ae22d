# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs single statements of a dump in sessions of the new database, each under the settings that it was written for."""

from __future__ import annotations

import re
import threading

from ..._errors import PlatformError
from ..connect import ServerError, Session, quote
from ..dump.reader import Place
from ..dump.script import Step
from ..dump.statements import Phase
from .plan import Settings
from .roles import Renaming

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


class Runner:
    """Whoever works on the same database shares one of these.

    :param role: whom the objects shall belong to; None: what the dump says, by the login's own rights.
    """

    def __init__(self, role: str | None, renaming: Renaming, *, jobs: int, quick_statistics: bool = False) -> None:
        self.role = role
        self.renaming = renaming
        self.notes: list[str] = []
        self._jobs = jobs
        self._quick_statistics = quick_statistics
        self._memory = _MEMORY // jobs
        #: The settings that a session has now, by name.
        self._in_effect: dict[Session, dict[str, Step]] = {}
        self._guard = threading.Lock()

    def prepare(self, session: Session) -> None:
        """Make a session ready to load."""
        # Nothing of staging has to survive a crash; the swap's own commit is written through.
        session.run("SET synchronous_commit TO off")
        session.run(f"SET maintenance_work_mem TO '{self._memory // 1024}kB'")
        # Foreign keys are validated by a query whose cost would have it compiled, which takes longer than it gains.
        session.run("SET jit TO off")
        session.run("SET statement_timeout TO 0")
        if self._jobs > 1:
            # Each connection has a core of its own to build with; workers beside it would share it.
            session.run("SET max_parallel_maintenance_workers TO 0")
        if self._quick_statistics:
            session.run(f"SET default_statistics_target TO {_QUICK_STATISTICS}")
        self._in_effect[session] = {}
        if self.role is not None:
            session.run(f"SET ROLE {quote(self.role)}")

    def go_on_from(self, other: Runner, session: Session) -> None:
        """Take over a session, with the settings that it has, and what there was to say."""
        self.prepare(session)
        self._in_effect[session] = other._in_effect[session]
        self.notes += other.notes

    def apply(self, session: Session, settings: Settings) -> None:
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

    def run(self, session: Session, step: Step, text: bytes | None = None) -> None:
        kind = step.understood.kind
        text = self.renaming.apply(step.text if text is None else text, step.understood)
        if text is None:
            return
        try:
            if kind == "become role" and step.understood.name is not None:
                session.run(f"SET ROLE {quote(self.renaming.of(step.understood.name.name))}")
            elif kind == "become owner":
                session.run("RESET ROLE" if self.role is None else f"SET ROLE {quote(self.role)}")
            elif step.understood.phase is Phase.EXTENSION:
                self._as_login(session, text)
            elif step.understood.phase is Phase.INDEX:
                self._build(session, text)
            elif not _CREATE_PUBLIC.match(text):
                # pg_dump --schema=public says nothing of the grants that every new database has on it.
                session.run(text)
        except ServerError as error:
            if kind == "comment on extension" and error.sqlstate == _NOT_PERMITTED:
                self.note_once("Comments on extensions were left out: only their owner may write them.")
                return
            raise failed(f"statement '{in_short(step.text)}'", step.place, error) from None

    def note_once(self, note: str) -> None:
        with self._guard:
            if note not in self.notes:
                self.notes.append(note)

    def _setting(self, session: Session, name: str, step: Step) -> None:
        try:
            session.run(step.text)
        except ServerError as error:
            if error.sqlstate == _UNKNOWN_SETTING and name in _OPTIONAL_SETTINGS:
                self.note_once(f"Setting {name} is unknown to this server and was left out.")
                return
            raise failed(f"setting {name}", step.place, error) from None

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
        if self.role is not None:
            session.run("RESET ROLE")
        session.run(statement)
        if self.role is not None:
            session.run(f"SET ROLE {quote(self.role)}")


def failed(what: str, place: Place, error: ServerError) -> PlatformError:
    return LoadFailed(f"The dump cannot be loaded: {what} at {place} of the dump failed. {error.msg}")


def in_short(statement: bytes) -> str:
    text = " ".join(statement[:120].decode("utf-8", "replace").split())
    return text[:80] + "…" if len(text) > 80 else text
