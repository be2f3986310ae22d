# SPDX-License-Identifier: GPL-3.0-or-later
"""A swarm of one node whose tasks are real processes: rolling updates, restarts, and its own roll-back."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab import processes
from lab.dokploy import images
from lab.dokploy.model import Model
from lab.dokploy.tempo import Tempo, human_duration

TASK_COMMAND = (sys.executable, "-m", "lab.api", "--port", "{port}")
ALWAYS_FAILS = "/bin/false"
ENDED_BY_ITSELF = ("Failed", "Rejected", "Complete")
NODE = "vm"
HISTORY = 5

POLL_SECONDS = 0.05
SETTLE_SECONDS = 1.0
RESTART_DELAY_SECONDS = 5.0
ROLLBACK_DELAY_SECONDS = 2.0
MONITOR_SECONDS = 5.0
# A process does not start faster because the tempo is: it must still get to listen before its predecessor ends,
# and be caught when it crashes at its start.
SHORTEST_SETTLE_SECONDS = 0.5
SHORTEST_MONITOR_SECONDS = 3.0
CONVERGE_SECONDS = 5.0
LONGEST_START_SECONDS = 30.0
END_TIMEOUT_SECONDS = 5.0

_PROJECT_ROOT = Path(__file__).resolve().parents[2]
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
_TASK_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class NoSuchService(Exception):
    """docker says that there is none."""


@dataclass(frozen=True)
class Spec:
    """What the tasks of a service run."""

    image: str
    env: str
    command: str | None = None

    def variables(self) -> dict[str, str]:
        pairs = (line.split("=", 1) for line in self.env.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


@dataclass
class Service:
    """`version` grows with every update; tasks of another version are to be replaced."""

    spec: Spec
    replicas: int
    version: int = 1
    previous: Spec | None = None
    monitored_until: float = 0.0
    roll_back_at: float | None = None


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
    id: str = field(default_factory=lambda: "".join(secrets.choice(_TASK_ID_ALPHABET) for _turn in range(25)))
    container_id: str = field(default_factory=lambda: secrets.token_hex(32))

    @property
    def process(self) -> str:
        return f"api.{self.id}"

    @property
    def container_name(self) -> str:
        return f"{self.service}.{self.slot}.{self.id}"

    @property
    def has_container(self) -> bool:
        return self.pid is not None

    def become(self, state: str, desired: str, error: str = "") -> None:
        self.state, self.desired, self.error, self.since = state, desired, error, time.time()


class Swarm:
    """Keeps the tasks of every service as its spec wants them, in a thread of its own."""

    def __init__(self, state: Path, model: Model, tempo: Tempo, task_command: Sequence[str] = TASK_COMMAND) -> None:
        self._state = state
        self._model = model
        self._tempo = tempo
        self._task_command = task_command
        self._ended = threading.Event()
        self._begun = 0.0
        self._thread = threading.Thread(target=self._run, name="swarm", daemon=True)
        self._services = {name: _service(row) for name, row in model.tables["services"].items()}
        self._tasks = [_task(row) for row in model.tables["tasks"].values()]

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Finds the tasks of a former life that still run; the others are started anew, without delay."""
        with self._model.change():
            for task in self._running():
                if not processes.alive(self._state, task.process):
                    processes.end(self._state, task.process)
                    task.become("Shutdown", "shutdown")
            self._keep()
        self._begun = time.time()
        self._thread.start()

    def stop(self) -> None:
        """Ends every task. The services stay, so that the next start brings their tasks back."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._model.change():
            for task in self._running():
                self._end(task)
            self._keep()

    def _run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self.tick()

    # -- what docker offers -----------------------------------------------------------------------------------------

    def apply(self, name: str, spec: Spec, replicas: int) -> None:
        """`docker service update --force`, or `create` when there is none. Waits for nothing."""
        with self._model.change():
            service = self._services.get(name)
            if service is None:
                self._services[name] = Service(spec, replicas)
            else:
                service.previous, service.spec, service.replicas = service.spec, spec, replicas
                service.version += 1
                service.roll_back_at = None
                window = max(self._tempo.scaled(MONITOR_SECONDS), SHORTEST_MONITOR_SECONDS)
                service.monitored_until = time.time() + window
            self._keep()

    def scale(self, name: str, replicas: int) -> None:
        """`docker service scale`: returns when the service has converged."""
        begun = time.monotonic()
        with self._model.change():
            if name not in self._services:
                raise NoSuchService(name)
            self._services[name].replicas = replicas
            self._keep()
        while time.monotonic() - begun < LONGEST_START_SECONDS and not self._converged(name):
            if self._ended.wait(POLL_SECONDS):
                return
        self._ended.wait(max(0.0, self._tempo.scaled(CONVERGE_SECONDS) - (time.monotonic() - begun)))

    def remove(self, name: str) -> None:
        with self._model.change():
            self._services.pop(name, None)
            for task in self._tasks_of(name):
                self._end(task)
            self._tasks = [task for task in self._tasks if task.service != name]
            self._keep()

    def tasks(self, name: str) -> list[Task]:
        """Newest first, up to the history limit of each slot."""
        with self._model.lock:
            return [replace(task) for task in reversed(self._tasks_of(name))]

    def container(self, container_id: str) -> Task | None:
        with self._model.lock:
            return next((task for task in self._tasks if task.container_id.startswith(container_id)), None)

    def log(self, name: str) -> Path:
        return self._state / "logs" / f"{name}.log"

    # -- the loop ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """One look at everything; writes only when something changed."""
        with self._model.lock:
            before = self._snapshot()
            for task in self._running():
                self._notice_end(task)
            for name, service in self._services.items():
                self._roll_back_when_due(service)
                self._converge(name, service)
            self._forget_history()
            if self._snapshot() != before:
                with self._model.change():
                    self._keep()

    def _notice_end(self, task: Task) -> None:
        """A task that ended by itself has failed, whatever its exit code: a service is to run for ever."""
        code = _exit_code(task.pid)
        if code is None and processes.alive(self._state, task.process):
            return
        processes.end(self._state, task.process)
        task.exit_code = 1 if code is None else code
        if task.exit_code == 0:
            task.become("Complete", "shutdown")
        else:
            task.become("Failed", "shutdown", f'"task: non-zero exit ({task.exit_code})"')
        self._consider_roll_back(task)

    def _consider_roll_back(self, task: Task) -> None:
        service = self._services.get(task.service)
        if service is None or service.previous is None or task.version != service.version:
            return
        if service.roll_back_at is None and time.time() < service.monitored_until:
            service.roll_back_at = time.time() + self._tempo.scaled(ROLLBACK_DELAY_SECONDS)

    def _roll_back_when_due(self, service: Service) -> None:
        if service.previous is None or service.roll_back_at is None or time.time() < service.roll_back_at:
            return
        service.spec, service.previous = service.previous, None
        service.version += 1
        service.roll_back_at = None

    def _converge(self, name: str, service: Service) -> None:
        """Start first: an old task ends when its successor has run for a moment. One slot is updated at a time."""
        wanted = [task for task in self._tasks_of(name) if task.desired != "shutdown"]
        for task in wanted:
            if task.slot > service.replicas:
                self._end(task)
        for slot in range(1, service.replicas + 1):
            mine = [task for task in wanted if task.slot == slot]
            old = [task for task in mine if task.version != service.version]
            current = next((task for task in mine if task.version == service.version), None)
            if current is None:
                start_at = self._next_start(name, slot, service)
                current = Task(name, slot, service.version, service.spec, start_at=start_at)
                self._tasks.append(current)
            if current.desired == "ready" and time.time() >= current.start_at:
                self._start(current)
            for task in old:
                if task.state != "Running" or self._has_settled(current):
                    self._end(task)
            if old and not self._has_settled(current):
                break

    def _next_start(self, name: str, slot: int, service: Service) -> float:
        ended = [
            task.since
            for task in self._tasks_of(name)
            if (task.slot, task.version) == (slot, service.version) and task.state in ENDED_BY_ITSELF
        ]
        return max(ended) + self._tempo.scaled(RESTART_DELAY_SECONDS) if ended and max(ended) > self._begun else 0.0

    def _has_settled(self, task: Task) -> bool:
        enough = max(self._tempo.scaled(SETTLE_SECONDS), SHORTEST_SETTLE_SECONDS)
        return task.state == "Running" and time.time() - task.since >= enough

    def _converged(self, name: str) -> bool:
        with self._model.lock:
            running = [task for task in self._tasks_of(name) if task.state == "Running"]
            service = self._services.get(name)
            return service is None or len(running) == service.replicas

    # -- one task ------------------------------------------------------------------------------------------------------

    def _start(self, task: Task) -> None:
        image = images.find(self._model, task.spec.image)
        variables = task.spec.variables()
        if image is None:
            self._reject(task, f'"No such image: {task.spec.image}"')
        elif "{port}" in self._task_command and "PORT" not in variables:
            self._reject(task, '"PORT is not in the environment of the application"')
        else:
            if task.spec.command == ALWAYS_FAILS:
                image = replace(image, behaviour="crash")
            inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
            argv = [variables["PORT"] if part == "{port}" else part for part in self._task_command]
            env = {**inherited, "PYTHONPATH": str(_PROJECT_ROOT), **variables, **image.environment()}
            task.become("Running", "running")
            try:
                task.pid = processes.spawn(self._state, task.process, argv, env, self.log(task.service))
            except processes.ProcessError:
                task.become("Failed", "shutdown", '"task: non-zero exit (1)"')
                self._consider_roll_back(task)

    def _reject(self, task: Task, error: str) -> None:
        task.become("Rejected", "shutdown", error)
        self._consider_roll_back(task)

    def _end(self, task: Task) -> None:
        if task.state == "Running":
            processes.end(self._state, task.process, END_TIMEOUT_SECONDS)
        if task.desired != "shutdown":
            task.become("Shutdown", "shutdown")

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _running(self) -> list[Task]:
        return [task for task in self._tasks if task.state == "Running"]

    def _tasks_of(self, name: str) -> list[Task]:
        """Oldest first."""
        return [task for task in self._tasks if task.service == name]

    def _forget_history(self) -> None:
        seen: dict[tuple[str, int], int] = {}
        kept: list[Task] = []
        for task in reversed(self._tasks):
            place = (task.service, task.slot)
            seen[place] = seen.get(place, 0) + 1
            if seen[place] <= HISTORY or task.desired != "shutdown":
                kept.append(task)
        self._tasks = kept[::-1]

    def _snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        services = {name: asdict(service) for name, service in self._services.items()}
        return services, {task.id: asdict(task) for task in self._tasks}

    def _keep(self) -> None:
        self._model.tables["services"], self._model.tables["tasks"] = self._snapshot()


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


def _exit_code(pid: int | None) -> int | None:
    """Docker's exit code of an ended child, which is left to be reaped; None when it runs or is not our child."""
    try:
        status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) if pid else None
    except ChildProcessError:
        return None
    if status is None:
        return None
    return status.si_status if status.si_code == os.CLD_EXITED else 128 + status.si_status


def _service(row: dict[str, Any]) -> Service:
    previous = row.get("previous")
    return Service(**{**row, "spec": Spec(**row["spec"]), "previous": Spec(**previous) if previous else None})


def _task(row: dict[str, Any]) -> Task:
    return Task(**{**row, "spec": Spec(**row["spec"])})
