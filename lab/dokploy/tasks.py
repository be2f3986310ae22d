# SPDX-License-Identifier: GPL-3.0-or-later
"""What the swarm is told to run, and each try to run it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from lab.dokploy.tempo import human_duration

NODE = "vm"
ENDED_BY_ITSELF = ("Failed", "Rejected", "Complete")
ENDED_BY_SIGNAL = 143

_TASK_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Spec:
    """What the tasks of a service run, and how an update of it goes.

    `on_failure` is rollback, pause or continue. `project` is the stack or the compose project that the service belongs
    to; of a compose project it runs as plain `containers`, which the swarm does not know. A `stand_in` has a process
    that only sleeps: a database, or a service that listens nowhere.
    """

    image: str
    env: str
    command: str | None = None
    on_failure: str = "rollback"
    stop_first: bool = False
    project: str | None = None
    containers: bool = False
    restarts: bool = True
    stand_in: bool = False

    def variables(self) -> dict[str, str]:
        pairs = (line.split("=", 1) for line in self.env.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


@dataclass(frozen=True)
class Former:
    """What an update replaced, and a roll-back takes back."""

    spec: Spec
    replicas: int
    version: int


@dataclass
class Service:
    """Tasks of another version than this one are to be replaced; `updates` counts, so that no version comes twice."""

    spec: Spec
    replicas: int
    version: int = 1
    updates: int = 1
    previous: Former | None = None
    monitored_until: float = 0.0
    roll_back_at: float | None = None
    paused: bool = False


@dataclass
class Task:
    """One try to run a replica. `desired` is what swarm wants of it, `state` what it is."""

    service: str
    slot: int
    version: int
    spec: Spec
    desired: str = "ready"
    state: str = "Ready"
    error: str = ""
    start_at: float = 0.0
    since: float = field(default_factory=time.time)
    pid: int | None = None
    exit_code: int | None = None
    image_id: str | None = None
    id: str = field(default_factory=lambda: "".join(secrets.choice(_TASK_ID_ALPHABET) for _turn in range(25)))
    container_id: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def process(self) -> str:
        return f"api.{self.id}"

    @property
    def container_name(self) -> str:
        return f"{self.service}-{self.slot}" if self.spec.containers else f"{self.service}.{self.slot}.{self.id}"

    @property
    def has_container(self) -> bool:
        """A plain container that is to be restarted is still the one that ended."""
        return self.pid is not None or (self.spec.containers and self.exit_code is not None)

    def become(self, state: str, desired: str, error: str = "") -> None:
        self.state, self.desired, self.error, self.since = state, desired, error, time.time()


def task_row(task: Task, now: float) -> dict[str, str]:
    """As `docker service ps` tells it."""
    age = human_duration(now - task.since)
    return {
        "containerId": task.id,
        "name": f"{task.service}.{task.slot}",
        "state": task.desired,
        "currentState": f"{task.state} {age[0].lower()}{age[1:]} ago",
        "node": NODE,
        "error": task.error,
    }


def stored_service(row: dict[str, Any]) -> Service:
    previous = row.get("previous")
    former = Former(**{**previous, "spec": Spec(**previous["spec"])}) if previous else None
    return Service(**{**row, "spec": Spec(**row["spec"]), "previous": former})


def stored_task(row: dict[str, Any]) -> Task:
    return Task(**{**row, "spec": Spec(**row["spec"])})
