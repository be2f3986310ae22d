# SPDX-License-Identifier: GPL-3.0-or-later
"""The connections of a load and the threads behind them: when one fails, the others are stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..connect import Session
from .schedule import Board, Task

# What still runs when the first error is known is cancelled, again and again until it stops or this time is over.
_PATIENCE = 8.0
_BETWEEN_CANCELS = 0.2


class Stopped(Exception):
    """Another connection failed; its error is the one to tell."""


class Crew:
    """The calling thread with its own session, and helpers with theirs.

    :param open_session: makes a session ready to load.
    """

    def __init__(self, first: Session, open_session: Callable[[], Session], jobs: int) -> None:
        self._sessions: list[Session] = [first]
        self._open_session = open_session
        self._jobs = jobs
        self._busy: set[Session] = set()
        self._guard = threading.Lock()
        self._error: BaseException | None = None

    @property
    def failed(self) -> bool:
        return self._error is not None

    def run(self, tasks: Sequence[Task], work: Callable[[Session, Task, Board], None]) -> None:
        """Let the crew work until all tasks are done; raises the first error."""
        board = Board(tasks)
        wanted = min(self._jobs, len(tasks))
        helpers = [
            threading.Thread(target=self._work, args=(number, tasks, board, work), daemon=True)
            for number in range(1, wanted)
        ]
        for helper in helpers:
            helper.start()
        self._work(0, tasks, board, work)
        deadline = time.monotonic() + _PATIENCE
        for helper in helpers:
            # Without an error the helper is at work for as long as it takes.
            while helper.is_alive() and not (self.failed and time.monotonic() > deadline):
                helper.join(_BETWEEN_CANCELS)
                if not self.failed:
                    deadline = time.monotonic() + _PATIENCE
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the helpers' sessions; the first one belongs to the caller."""
        with self._guard:
            for session in self._sessions[1:]:
                # A session that never came back from a dead server is left to its thread.
                if session not in self._busy:
                    session.close()

    def _work(
        self, number: int, tasks: Sequence[Task], board: Board, work: Callable[[Session, Task, Board], None]
    ) -> None:
        try:
            session = self._session(number)
            while (task := board.take()) is not None:
                with self._guard:
                    self._busy.add(session)
                try:
                    if self.failed:
                        return
                    work(session, tasks[task], board)
                finally:
                    with self._guard:
                        self._busy.discard(session)
                board.finish(task)
        except BaseException as error:  # raised again by run()
            self._fail(error, board)

    def _session(self, number: int) -> Session:
        with self._guard:
            if number < len(self._sessions):
                return self._sessions[number]
        session = self._open_session()
        with self._guard:
            self._sessions.append(session)
        return session

    def _fail(self, error: BaseException, board: Board) -> None:
        with self._guard:
            if self._error is None:
                self._error = error
        board.stop()
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with self._guard:
                busy = list(self._busy)
            if not busy:
                return
            for session in busy:
                # A cancel that comes too late for one statement may hit nothing: the next round does.
                with suppress(Exception):
                    session.cancel()
            time.sleep(_BETWEEN_CANCELS)
