# SPDX-License-Identifier: GPL-3.0-or-later
"""Which task comes next, and that a failure of one stops all."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Session
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.crew import Crew
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.schedule import (
    Board,
    Hold,
    Order,
    Task,
    seconds_for,
)

PATIENCE = 10.0


def task(table: str, hold: Hold, seconds: float, *after: int) -> Task:
    return Task(f"{hold.value} {table}", table, hold, seconds, list(after))


def test_the_longest_way_comes_first() -> None:
    tasks = [
        task("a", Hold.ALONE, 5),
        task("b", Hold.ALONE, 2),
        task("b", Hold.BUILD, 9, 1),
        task("c", Hold.ALONE, 1),
    ]
    order = Order(tasks)
    assert [order.take(), order.take(), order.take(), order.take()] == [1, 0, 3, None]
    order.finish(1)
    assert order.take() == 2


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (Hold.BUILD, Hold.BUILD, True),
        (Hold.WRITE, Hold.WRITE, True),
        (Hold.WRITE, Hold.BUILD, False),
        (Hold.BUILD, Hold.MAINTAIN, False),
        (Hold.MAINTAIN, Hold.MAINTAIN, False),
        (Hold.ALONE, Hold.BUILD, False),
    ],
)
def test_nobody_waits_for_a_lock(first: Hold, second: Hold, together: bool) -> None:
    order = Order([task("t", first, 2), task("t", second, 1)])
    assert order.take() == 0
    assert order.take() == (1 if together else None)
    order.finish(0)
    if not together:
        assert order.take() == 1


def test_what_many_take_together() -> None:
    tasks = [
        task("a", Hold.ALONE, 4),
        task("b", Hold.ALONE, 3),
        task("b", Hold.BUILD, 3, 1),
        task("a", Hold.BUILD, 1, 0),
    ]
    assert seconds_for(tasks, 1) == 11
    assert seconds_for(tasks, 2) == 6
    assert seconds_for([], 2) == 0


class Fake:
    """A session that can be cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.closed = False

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed = True


def crew_of(*sessions: Fake) -> Crew:
    waiting = list(sessions[1:])
    return Crew(cast(Session, sessions[0]), lambda: cast(Session, waiting.pop()), len(sessions))


def test_every_task_is_done_once_and_in_its_turn() -> None:
    tasks = [
        task("t", Hold.WRITE, 1),
        *(task("t", Hold.BUILD, 1, 0) for _number in range(20)),
        task("u", Hold.ALONE, 9),
    ]
    done: list[Task] = []
    crew = crew_of(Fake(), Fake(), Fake())
    crew.run(tasks, lambda _session, one, _board: done.append(one))
    assert sorted(map(id, done)) == sorted(map(id, tasks))
    loaded = done.index(tasks[0])
    assert all(done.index(one) > loaded for one in tasks[1:21])


def test_an_error_cancels_the_others_and_is_raised() -> None:
    first, second = Fake(), Fake()
    both = threading.Barrier(2, timeout=PATIENCE)

    def work(session: Session, one: Task, _board: Board) -> None:
        both.wait()
        if one.table == "bad":
            raise ValueError("this one")
        assert cast(Fake, session).cancelled.wait(PATIENCE)

    crew = crew_of(first, second)
    with pytest.raises(ValueError, match="this one"):
        crew.run([task("good", Hold.ALONE, 1), task("bad", Hold.ALONE, 1), task("never", Hold.ALONE, 0)], work)
    assert crew.failed
    crew.close()
    assert (first.closed, second.closed) == (False, True)


def test_a_session_that_cannot_be_opened_stops_the_rest() -> None:
    def refused() -> Session:
        raise ConnectionError("no more")

    first = Fake()
    crew = Crew(cast(Session, first), refused, 2)
    with pytest.raises(ConnectionError):
        crew.run([task("a", Hold.ALONE, 1), task("b", Hold.ALONE, 1)], lambda *_: first.cancelled.wait(PATIENCE))
