# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole double: its parts, their start and their end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from lab.dokploy.backups import Backups
from lab.dokploy.buckets import Buckets
from lab.dokploy.builds import Builder
from lab.dokploy.model import Model
from lab.dokploy.procedures import Server
from lab.dokploy.queue import BuildQueue
from lab.dokploy.swarm import TASK_COMMAND, Swarm
from lab.dokploy.tempo import Tempo
from lab.dokploy.transport import Transport
from lab.dokploy.versions import CURRENT, Version

HTTP_POLL_SECONDS = 0.01


class Double:
    """Serves on the loopback. Usable within a process (`with Double(state) as double: double.url`) or as a program."""

    def __init__(
        self,
        state: Path,
        port: int = 0,
        tempo: float = 1.0,
        task_command: Sequence[str] = TASK_COMMAND,
        version: str = CURRENT,
    ) -> None:
        pace = Tempo(tempo)
        shown = Version(version)
        self.model = Model(state)
        self.swarm = Swarm(state, self.model, pace, task_command)
        self.queue = BuildQueue(Builder(self.model, self.swarm, pace, shown).build)
        self.buckets = Buckets(state)
        backups = Backups(self.model, self.swarm, self.buckets)
        self._transport = Transport(Server(self.model, self.swarm, self.queue, self.buckets, backups, shown), port)
        serve = self._transport.serve_forever
        self._thread = threading.Thread(target=serve, args=(HTTP_POLL_SECONDS,), name="http", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._transport.server_port}"

    def start(self) -> None:
        """As Dokploy starts: what was running is cancelled, what was waiting is lost; the swarm goes on."""
        self._recover()
        self.swarm.start()
        self.queue.start()
        self._thread.start()

    def restart(self) -> None:
        """A restart of Dokploy alone, which the tasks of the swarm outlive."""
        self.queue.stop()
        self._recover()
        self.queue.start()

    def stop(self) -> None:
        self._transport.shutdown()
        self._transport.server_close()
        self.queue.stop()
        self.swarm.stop()

    def _recover(self) -> None:
        with self.model.change():
            self.model.cancel_running()

    def __enter__(self) -> Double:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
