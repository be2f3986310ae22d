# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-memory queue of builds: one at a time for the whole server, and lost when the server restarts."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.dokploy.tempo import Interrupted


@dataclass
class Job:
    """One deploy or redeploy that was asked for; `service` is the kind of what is to be deployed."""

    number: int
    service_id: str
    title: str
    description: str
    kind: str
    queued_ms: int
    service: str = "application"
    started_ms: int | None = None

    def row(self, service_path: dict[str, str]) -> dict[str, Any]:
        started = {} if self.started_ms is None else {"processedOn": self.started_ms}
        return {
            "id": f"job-{self.number}",
            "name": "deployments",
            "data": {
                f"{self.service}Id": self.service_id,
                "titleLog": self.title,
                "descriptionLog": self.description,
                "type": self.kind,
                "applicationType": self.service,
                "server": False,
            },
            "timestamp": self.queued_ms,
            **started,
            "state": "waiting" if self.started_ms is None else "active",
            "servicePath": service_path,
        }


class BuildQueue:
    """First in, first out; `build` runs a job, and is told by the event when the server ends under it."""

    def __init__(self, build: Callable[[Job, threading.Event], None]) -> None:
        self._build = build
        self._changed = threading.Condition()
        self._jobs: list[Job] = []
        self._count = 0
        self._ended = threading.Event()
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        self._ended = threading.Event()
        self._worker = threading.Thread(target=self._run, args=(self._ended,), name="builds", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """The running job is broken off and the waiting ones are lost without a trace."""
        self._ended.set()
        with self._changed:
            self._jobs.clear()
            self._changed.notify_all()
        if self._worker:
            self._worker.join()

    def add(self, service_id: str, title: str, description: str, kind: str, service: str = "application") -> None:
        with self._changed:
            self._count += 1
            self._jobs.append(Job(self._count, service_id, title, description, kind, _now_ms(), service))
            self._changed.notify_all()

    def jobs(self) -> list[Job]:
        """Newest first, the active one included."""
        with self._changed:
            return self._jobs[::-1]

    def clean(self, service_id: str) -> None:
        """Drops what waits for this service; what runs goes on."""
        with self._changed:
            self._jobs = [job for job in self._jobs if job.service_id != service_id or job.started_ms]

    def _run(self, ended: threading.Event) -> None:
        while job := self._next(ended):
            try:
                self._build(job, ended)
            except Interrupted:
                return
            except Exception:  # one broken build must not stop all later ones
                traceback.print_exc()
            with self._changed:
                if job in self._jobs:
                    self._jobs.remove(job)

    def _next(self, ended: threading.Event) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: ended.is_set() or bool(self._jobs))
            if ended.is_set():
                return None
            job = self._jobs[0]
            job.started_ms = _now_ms()
            return job


def _now_ms() -> int:
    return int(time.time() * 1000)
