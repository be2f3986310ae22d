# SPDX-License-Identifier: GPL-3.0-or-later
"""Which task comes next: of those that may run now, the one with the longest way to go behind it.

A task that would only wait for another's lock on its table is not handed out, so no connection ever stands in a queue
of the server's.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class Hold(Enum):
    """What a task holds of its table while it runs, as PostgreSQL's locks do."""

    #: COPY, beside others of its kind.
    WRITE = "write"
    #: CREATE INDEX, beside others of its kind.
    BUILD = "build"
    #: ANALYZE and VALIDATE CONSTRAINT, one at a time.
    MAINTAIN = "maintain"
    #: TRUNCATE and ADD CONSTRAINT.
    ALONE = "alone"


_SHARED = {Hold.WRITE, Hold.BUILD}


@dataclass
class Task:
    """A piece of work for one connection.

    :param seconds: what it will take, by estimate.
    :param after: the places in the list of those that come before it.
    """

    label: str
    table: str
    hold: Hold
    seconds: float
    after: list[int] = field(default_factory=list)


class Order:
    """The state of a list of tasks: what is ready, what holds what, and what comes next."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._missing = [len(set(task.after)) for task in tasks]
        self._followers: list[list[int]] = [[] for _task in tasks]
        for number, task in enumerate(tasks):
            for earlier in set(task.after):
                self._followers[earlier].append(number)
        self._way_to_go = self._ways()
        self._ready = [
            (-self._way_to_go[number], number) for number, missing in enumerate(self._missing) if not missing
        ]
        heapq.heapify(self._ready)
        self._held: dict[str, Counter[Hold]] = {}
        self.unfinished = len(tasks)

    def take(self) -> int | None:
        """The most urgent task whose table is free for it."""
        passed_over = []
        found = None
        while self._ready:
            entry = heapq.heappop(self._ready)
            if self._is_free(self._tasks[entry[1]]):
                found = entry[1]
                break
            passed_over.append(entry)
        for entry in passed_over:
            heapq.heappush(self._ready, entry)
        if found is not None:
            task = self._tasks[found]
            self._held.setdefault(task.table, Counter())[task.hold] += 1
        return found

    def finish(self, number: int) -> None:
        task = self._tasks[number]
        self._held[task.table][task.hold] -= 1
        self.unfinished -= 1
        for follower in self._followers[number]:
            self._missing[follower] -= 1
            if not self._missing[follower]:
                heapq.heappush(self._ready, (-self._way_to_go[follower], follower))

    def _is_free(self, task: Task) -> bool:
        held = +self._held.get(task.table, Counter())
        return not held or (task.hold in _SHARED and set(held) == {task.hold})

    def _ways(self) -> list[float]:
        """Per task, the seconds of the longest chain that begins with it."""
        ways = [task.seconds for task in self._tasks]
        # A task stands behind all that it waits for.
        for number in range(len(self._tasks) - 1, -1, -1):
            for earlier in self._tasks[number].after:
                ways[earlier] = max(ways[earlier], self._tasks[earlier].seconds + ways[number])
        return ways


def seconds_for(tasks: Sequence[Task], jobs: int) -> float:
    """How long so many connections will take for these tasks, by their estimates."""
    order = Order(tasks)
    running: list[tuple[float, int]] = []
    now = 0.0
    while order.unfinished:
        while len(running) < jobs and (number := order.take()) is not None:
            heapq.heappush(running, (now + tasks[number].seconds, number))
        now, number = heapq.heappop(running)
        order.finish(number)
    return now


class Board:
    """Hands tasks to threads."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._order = Order(tasks)
        self._changed = threading.Condition()
        self._stopped = False

    def take(self) -> int | None:
        """The next task, as soon as there is one; None when there will be none."""
        with self._changed:
            while not self._stopped and self._order.unfinished:
                number = self._order.take()
                if number is not None:
                    return number
                self._changed.wait()
            return None

    def finish(self, number: int) -> None:
        with self._changed:
            self._order.finish(number)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
