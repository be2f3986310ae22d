# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins a restore while the judge still reads: the lock, the staging database, and what stands before the data.

It is a bet. Whatever goes wrong with it, a refused dump included, leaves nothing behind, is told to nobody, and the
restore goes the ordinary way, which finds its own errors.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import ExitStack, suppress
from types import TracebackType

from ..._errors import PlatformError
from ..connect import Server, Session
from ..dump.judge import Opening
from ..dump.script import Step
from . import database as databases
from . import warm
from .load import Begun
from .lock import RESTORE, exclusive
from .mark import origin_of
from .plan import opening as opening_of
from .planning import STAGING
from .preflight import REQUIRE
from .report import Options
from .roles import Renaming
from .runner import Runner

# As long as a crew waits for what it has cancelled.
_PATIENCE = 8.0
_BETWEEN_CANCELS = 0.2


class EarlyStart:
    """Begins with the ``with`` block; what nobody has taken over by its end is dropped."""

    def __init__(self, server: Server, options: Options) -> None:
        self._server = server
        self._options = options
        self._opening: queue.Queue[Opening | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="early start", daemon=True)
        self._decided = threading.Event()
        self._given_up = threading.Event()
        self._held = ExitStack()
        self._lock: Session | None = None
        self._session: Session | None = None
        self._properties: databases.Properties | None = None
        self._begun: Begun | None = None
        #: The new database, from the decision to make it until somebody takes it over.
        self.staging: str | None = None

    def __enter__(self) -> EarlyStart:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.abandon()
        finally:
            self._held.close()

    def before_data(self, opening: Opening) -> None:
        """For the judge."""
        self._opening.put(opening)

    def lock(self) -> Session | None:
        """The session that holds the restore's lock; None when the ordinary way has to get it.

        From then on, :attr:`staging` tells whether anything was begun.
        """
        self._decided.wait()
        if self._lock is None:
            return None
        try:
            self._lock.value("SELECT true")
        except PlatformError:
            self.abandon()
            self._lock = None
        return self._lock

    def begun(self, properties: databases.Properties) -> Begun | None:
        """What there is to go on from, in a database with these properties.

        :returns: None when there is nothing; then nothing is left of it either.
        """
        # A dump without data has no opening, and the dump is judged by now.
        self._opening.put(None)
        self._thread.join()
        if self._begun is None or self._properties != properties:
            self.abandon()
            return None
        self.staging = None
        return self._begun

    def abandon(self) -> None:
        """Drop what was begun, as far as the server lets us: the next restore drops the rest."""
        self._given_up.set()
        self._opening.put(None)
        deadline = time.monotonic() + _PATIENCE
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(_BETWEEN_CANCELS)
            for session in (self._session, self._lock):
                if self._thread.is_alive() and session is not None:
                    with suppress(PlatformError):
                        session.cancel()
        if self.staging is not None:
            if self._session is not None:
                self._session.close()
            with suppress(PlatformError), self._server.connect(purpose="discard") as session:
                databases.drop(session, self.staging)
        self.staging = self._begun = None

    def _run(self) -> None:
        with suppress(PlatformError):
            try:
                self._lock = lock = self._held.enter_context(
                    exclusive(self._server, self._options.database, RESTORE, 0)
                )
                if self._promises_well(lock):
                    self.staging = databases.unused_beside(lock, self._options.database, STAGING)
            finally:
                self._decided.set()
            if self.staging is not None:
                self._begin(lock, self.staging)

    def _promises_well(self, session: Session) -> bool:
        """Not where the restore may turn out to be needless, or to need more than the opening tells."""
        options = self._options
        if options.roles != REQUIRE or databases.oid_of(session, options.database) is None:
            return False
        if options.use_verified and warm.all_of(session, options.database):
            return False
        origin = origin_of(session, options.database)
        return options.force or origin is None or origin.file != warm.fingerprint(str(options.src))

    def _begin(self, lock: Session, name: str) -> None:
        properties = databases.properties_for(lock, self._options.database, self._options.owner)
        databases.create(lock, name, properties)
        self._session = session = self._server.open(name, "load")
        runner = Runner(properties.owner, Renaming({}), jobs=1)
        runner.prepare(session)
        opening = self._opening.get()
        if opening is None or not opening.owners <= {properties.owner}:
            return
        done = opening_of(opening.script)
        for ordered in done:
            if self._given_up.is_set():
                return
            runner.apply(session, ordered.settings)
            if isinstance(ordered.item, Step):
                runner.run(session, ordered.item)
        self._properties, self._begun = properties, Begun(session, runner, done)
