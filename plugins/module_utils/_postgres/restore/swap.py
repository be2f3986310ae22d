# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts one database in the place of another, in one transaction. The only code that touches the live database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session, quote
from .database import CLIENTS_OF, oid_of, terminate_sessions

#: For which clients have no database, seen over a dozen swaps under clients that hammered (0.10 to 0.12 s).
TYPICAL_SECONDS = 0.12
_EVICT_EVERY = 0.02
# RENAME itself waits 5 s for sessions to end; a client that is told to go every 20 ms is gone long before.
_ATTEMPTS = 3
# The same patience for whoever else holds the database: meanwhile its clients are sent away.
_LOCK_TIMEOUT = "5s"
_IN_USE, _LOCKED = "55006", "55P03"


class SwapFailed(PlatformError):
    """The swap did not happen; both databases have the names that they had, unless ``live_untouched`` is False."""


@dataclass(frozen=True)
class Swapped:
    """What a swap did.

    :param previous: the name that the old database has now, or None when there was none.
    :param downtime: seconds between the first session told to go and the commit.
    """

    previous: str | None
    downtime: float


Prepare = Callable[[Session], None]


def swap(server: Server, live: str, replacement: str, previous: str, prepare: Prepare | None = None) -> Swapped:
    """Rename ``live`` to ``previous`` and ``replacement`` to ``live``: both or none.

    A missing live database is no error: the replacement just takes the name.

    :param prepare: what else belongs to the same transaction; it runs before any client is sent away.
    """
    with server.connect(purpose=f"swap of {live}") as session, server.connect(purpose="evict") as evicting:
        wanted = oid_of(session, replacement)
        replaced = oid_of(session, live)
        begun = None
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    _begin(session, prepare)
                    begun = begun or time.monotonic()
                    with _Eviction(evicting, [live, replacement]):
                        _rename(session, live if replaced is not None else None, live, replacement, previous)
                    break
                except ServerError as error:
                    if error.sqlstate in (_IN_USE, _LOCKED) and attempt < _ATTEMPTS:
                        continue
                    if session.lost and _live_is(server, live, wanted):
                        break
                    raise SwapFailed(
                        f"The swap of {live} was rolled back; {live} is what it was. {error.msg}",
                        "Run it again." if session.lost else _who_is_in_the_way(session, [live, replacement]),
                    ) from None
        except KeyboardInterrupt:
            # A commit that is under way when somebody ends the module is not undone by that.
            if not _live_is(server, live, wanted):
                raise
        ended = time.monotonic()
    return Swapped(previous if replaced is not None else None, ended - (begun or ended))


def _begin(session: Session, prepare: Prepare | None) -> None:
    session.run("BEGIN")
    with _rolled_back(session):
        # The commit of a swap is never only promised.
        session.run("SET LOCAL synchronous_commit TO on")
        session.run(f"SET LOCAL lock_timeout TO '{_LOCK_TIMEOUT}'")
        if prepare is not None:
            prepare(session)


def _rename(session: Session, old: str | None, live: str, replacement: str, previous: str) -> None:
    with _rolled_back(session):
        if old is not None:
            session.run(f"ALTER DATABASE {quote(old)} RENAME TO {quote(previous)}")
        session.run(f"ALTER DATABASE {quote(replacement)} RENAME TO {quote(live)}")
        if session.run("COMMIT") != "COMMIT":
            raise SwapFailed(f"The swap of {live} was rolled back; {live} is what it was.", "Run it again.")


@contextmanager
def _rolled_back(session: Session) -> Iterator[None]:
    """After an error of any kind, the transaction is over."""
    try:
        yield
    except BaseException:
        with suppress(ServerError):
            session.run("ROLLBACK")
        raise


def _live_is(server: Server, live: str, wanted: int | None) -> bool:
    """Asked in a new session: when the old one broke during the commit, only the server knows how it ended."""
    try:
        with server.connect(purpose="look") as session:
            return oid_of(session, live) == wanted
    except ServerError as error:
        raise SwapFailed(
            f"The connection broke during the swap of {live}, and whether it was committed cannot be told. {error.msg}",
            "When the server is back, run it again: it goes on from what it finds.",
            live_untouched=False,
        ) from None


def _who_is_in_the_way(session: Session, names: list[str]) -> str:
    rows = session.rows(
        "SELECT a.datname, a.usename, coalesce(nullif(a.application_name, ''), 'unnamed program'), a.pid" + CLIENTS_OF,
        (names,),
    )
    if not rows:
        return "Run it again."
    listed = ", ".join(f"{user} ({program}, pid {pid}) in {database}" for database, user, program, pid in rows[:5])
    return f"Still connected: {listed}. End these sessions, then run it again."


class _Eviction:
    """Tells sessions to go, again and again, while the rename waits for them; new ones queue behind its lock."""

    def __init__(self, session: Session, names: list[str]) -> None:
        self._session = session
        self._names = names
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        terminate_sessions(self._session, self._names)
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        # A refusal ends the eviction; the rename then says who is in the way.
        with suppress(ServerError):
            while not self._done.wait(_EVICT_EVERY):
                terminate_sessions(self._session, self._names)
