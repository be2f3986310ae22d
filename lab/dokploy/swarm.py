# SPDX-License-Identifier: GPL-3.0-or-later
"""A swarm of one node whose tasks are real processes: rolling updates, restarts, and its own roll-back."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lab import processes
from lab.dokploy import images
from lab.dokploy.images import Image
from lab.dokploy.model import Model
from lab.dokploy.tasks import ENDED_BY_ITSELF, ENDED_BY_SIGNAL, Former, Service, Spec, Task, stored_service, stored_task
from lab.dokploy.tempo import Tempo

TASK_COMMAND = (sys.executable, "-m", "lab.api", "--port", "{port}")
STAND_IN_COMMAND = ("sh", "-c", 'test "$APP_BEHAVIOUR" = crash && exit 1; exec sleep infinity')
FAILING_COMMANDS = ("/bin/false", "false")
HISTORY = 5
#: Of a swarm that runs: written once, so that who removes the folder, in whatever order, is noticed.
LIFE_SIGN = "swarm.runs"
# A plain container has no history: a new one of its name takes its place.
CONTAINER_HISTORY = 1

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
SLOW_START_SECONDS = 10.0

_PROJECT_ROOT = Path(__file__).resolve().parents[2]
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
_SLEEP_FIRST = "import os, sys, time; time.sleep(float(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"


class NoSuchService(Exception):
    """docker says that there is none."""


class Swarm:
    """Keeps the tasks of every service as its spec wants them, in a thread of its own."""

    def __init__(self, state: Path, model: Model, tempo: Tempo, task_command: Sequence[str] = TASK_COMMAND) -> None:
        self._state = state
        self._model = model
        self._tempo = tempo
        self._task_command = task_command
        self._ended = threading.Event()
        self._life_sign = state / LIFE_SIGN
        self._begun = 0.0
        self._thread = threading.Thread(target=self._run, name="swarm", daemon=True)
        self._services = {name: stored_service(row) for name, row in model.tables["services"].items()}
        self._tasks = [stored_task(row) for row in model.tables["tasks"].values()]

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def bereft(self) -> bool:
        """Whether the folder was removed, as by a test that was killed: nobody will ask for anything any more."""
        return not self._life_sign.exists()

    def start(self) -> None:
        """Finds the tasks of a former life that still run; the others are started anew, without delay."""
        self._life_sign.touch()
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
        if self.bereft:
            self._abandon()
            return
        with self._model.change():
            for task in self._running():
                self._end(task)
            self._keep()
        self._life_sign.unlink()

    def _run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            if self.bereft:
                self._abandon()
                return
            self.tick()

    def _abandon(self) -> None:
        """The records are gone with the folder; of the pids, only those of children are surely no one else's."""
        with self._model.lock:
            for task in self._running():
                if task.pid and _is_child(task.pid):
                    os.kill(task.pid, signal.SIGKILL)

    # -- what docker offers -----------------------------------------------------------------------------------------

    def apply(self, name: str, spec: Spec, replicas: int, *, force: bool = True) -> None:
        """`docker service update --force`, or `create` when there is none. Waits for nothing.

        Without `force`, tasks whose spec stays the same are left alone, as `docker stack deploy` does.
        """
        with self._model.change():
            service = self._services.get(name)
            if service is None:
                self._services[name] = Service(spec, replicas)
            else:
                if force or service.spec != spec:
                    self._update(service, spec)
                service.replicas = replicas
            self._keep()

    def _update(self, service: Service, spec: Spec) -> None:
        service.previous = Former(service.spec, service.replicas, service.version)
        service.spec = spec
        service.updates += 1
        service.version = service.updates
        service.roll_back_at = None
        service.paused = False
        self._monitor(service)

    def _monitor(self, service: Service) -> None:
        window = max(self._tempo.scaled(MONITOR_SECONDS), SHORTEST_MONITOR_SECONDS)
        service.monitored_until = time.time() + window

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

    def halt(self, name: str) -> None:
        """`docker compose stop`: the containers end and stay."""
        with self._model.change():
            self._services[name].replicas = 0
            for task in self._tasks_of(name):
                self._end(task)
            self._keep()

    def remove(self, *names: str) -> None:
        with self._model.change():
            for name in names:
                self._services.pop(name, None)
                for task in self._tasks_of(name):
                    self._end(task)
            self._tasks = [task for task in self._tasks if task.service not in names]
            self._keep()

    def names_of(self, project: str) -> list[str]:
        """The services of a stack or a compose project."""
        with self._model.lock:
            return [name for name, service in self._services.items() if service.spec.project == project]

    def runs(self, name: str) -> bool:
        """Whether a service has all its tasks."""
        return name in self._services and self._converged(name)

    def tasks(self, name: str) -> list[Task]:
        """Newest first, up to the history limit of each slot. Of a service of the swarm: containers have no tasks."""
        with self._model.lock:
            return [replace(task) for task in reversed(self._tasks_of(name)) if not task.spec.containers]

    def containers(self, prefix: str) -> list[Task]:
        """What `docker ps --all` lists of the containers whose names begin so."""
        with self._model.lock:
            named = (task for task in reversed(self._tasks) if task.container_name.startswith(prefix))
            return [replace(task) for task in named if task.has_container]

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
        """Any failure of a task that an update brought is one too many, while the update is watched."""
        service = self._services.get(task.service)
        if service is None or service.previous is None or task.version != service.version:
            return
        if task.spec.containers or time.time() >= service.monitored_until:
            return
        if service.spec.on_failure == "pause":
            service.paused = True
        elif service.spec.on_failure == "rollback" and service.roll_back_at is None:
            service.roll_back_at = time.time() + self._tempo.scaled(ROLLBACK_DELAY_SECONDS)

    def _roll_back_when_due(self, service: Service) -> None:
        """The version of before comes back too, so that tasks which the update had not reached go on."""
        former = service.previous
        if former is None or service.roll_back_at is None or time.time() < service.roll_back_at:
            return
        service.spec, service.replicas, service.version = former.spec, former.replicas, former.version
        service.previous, service.roll_back_at = None, None

    def _converge(self, name: str, service: Service) -> None:
        """One slot is updated at a time; what is replaced ends when its successor has run for a moment, or failed."""
        wanted = [task for task in self._tasks_of(name) if task.desired != "shutdown"]
        for task in wanted:
            if task.slot > service.replicas:
                self._end(task)
        is_update = any(task.version != service.version for task in wanted)
        for slot in range(1, service.replicas + 1):
            mine = [task for task in wanted if task.slot == slot]
            old = [task for task in mine if task.version != service.version]
            current = next((task for task in mine if task.version == service.version), None)
            failed = self._has_failed(name, slot, service.version)
            if old and current is None and service.paused and not failed:
                continue
            if service.spec.stop_first or failed:
                self._end_all(old)
            current = current or self._next_try(name, slot, service)
            if current is None:
                continue
            if current.desired == "ready" and time.time() >= current.start_at:
                self._start(current, service)
            settled = self._has_settled(current)
            self._end_all(task for task in old if settled or task.state != "Running")
            goes_on = settled or service.paused or (failed and service.spec.on_failure == "continue")
            if is_update and not goes_on and not service.spec.containers:
                break

    def _next_try(self, name: str, slot: int, service: Service) -> Task | None:
        """None when a container has ended that is not to be restarted."""
        ended = [task for task in self._tries(name, slot, service.version) if task.state in ENDED_BY_ITSELF]
        if ended and not service.spec.restarts:
            return None
        task = Task(name, slot, service.version, service.spec)
        if ended and ended[-1].since > self._begun:
            task.start_at = ended[-1].since + self._tempo.scaled(RESTART_DELAY_SECONDS)
        if ended and service.spec.containers:
            task.container_id, task.exit_code = ended[-1].container_id, ended[-1].exit_code
        self._tasks.append(task)
        return task

    def _has_failed(self, name: str, slot: int, version: int) -> bool:
        """Whether a try has run there and failed; one that was rejected never ran."""
        return any(task.state == "Failed" for task in self._tries(name, slot, version))

    def _has_settled(self, task: Task) -> bool:
        enough = max(self._tempo.scaled(SETTLE_SECONDS), SHORTEST_SETTLE_SECONDS)
        return task.state == "Running" and time.time() - task.since >= enough

    def _converged(self, name: str) -> bool:
        with self._model.lock:
            running = [task for task in self._tasks_of(name) if task.state == "Running"]
            service = self._services.get(name)
            return service is None or len(running) == service.replicas

    # -- one task ------------------------------------------------------------------------------------------------------

    def _start(self, task: Task, service: Service) -> None:
        image = images.find(self._model, task.spec.image)
        if image is None:
            self._reject(task, f'"No such image: {task.spec.image}"')
            return
        command = STAND_IN_COMMAND if task.spec.stand_in else self._task_command
        variables = task.spec.variables()
        if "{port}" in command and "PORT" not in variables:
            self._reject(task, '"PORT is not in the environment of the application"')
            return
        if _always_fails(task.spec.command):
            image = replace(image, behaviour="crash")
        argv = [variables["PORT"] if part == "{port}" else part for part in command]
        if image.behaviour == "slow":
            argv = [sys.executable, "-c", _SLEEP_FIRST, str(self._tempo.scaled(SLOW_START_SECONDS)), *argv]
        if service.previous is not None and self._is_first_try(task):
            self._monitor(service)
        task.become("Running", "running")
        task.image_id, task.exit_code = image.id, None
        try:
            env = environment_of(task.spec, image)
            task.pid = processes.spawn(self._state, task.process, argv, env, self.log(task.service))
        except processes.ProcessError:
            task.exit_code = 1
            task.become("Failed", "shutdown", '"task: non-zero exit (1)"')
            self._consider_roll_back(task)

    def _is_first_try(self, task: Task) -> bool:
        return self._tries(task.service, task.slot, task.version) == [task]

    def _reject(self, task: Task, error: str) -> None:
        task.become("Rejected", "shutdown", error)
        self._consider_roll_back(task)

    def _end(self, task: Task) -> None:
        if task.state == "Running":
            processes.end(self._state, task.process, END_TIMEOUT_SECONDS)
            task.exit_code = ENDED_BY_SIGNAL
        if task.desired != "shutdown":
            task.become("Shutdown", "shutdown")

    def _end_all(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._end(task)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _running(self) -> list[Task]:
        return [task for task in self._tasks if task.state == "Running"]

    def _tasks_of(self, name: str) -> list[Task]:
        """Oldest first."""
        return [task for task in self._tasks if task.service == name]

    def _tries(self, name: str, slot: int, version: int) -> list[Task]:
        return [task for task in self._tasks_of(name) if (task.slot, task.version) == (slot, version)]

    def _forget_history(self) -> None:
        seen: dict[tuple[str, int], int] = {}
        kept: list[Task] = []
        for task in reversed(self._tasks):
            place = (task.service, task.slot)
            seen[place] = seen.get(place, 0) + 1
            limit = CONTAINER_HISTORY if task.spec.containers else HISTORY
            if seen[place] <= limit or task.desired != "shutdown":
                kept.append(task)
        self._tasks = kept[::-1]

    def _snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]:
        services = {name: asdict(service) for name, service in self._services.items()}
        return services, {task.id: asdict(task) for task in self._tasks}

    def _keep(self) -> None:
        self._model.tables["services"], self._model.tables["tasks"] = self._snapshot()


def environment_of(spec: Spec, image: Image) -> dict[str, str]:
    """What a process in a container of the service sees."""
    return {**inherited_environment(), "PYTHONPATH": str(_PROJECT_ROOT), **spec.variables(), **image.environment()}


def inherited_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _always_fails(command: str | None) -> bool:
    return command is not None and (command in FAILING_COMMANDS or command.endswith("exit 1"))


def _is_child(pid: int) -> bool:
    """One that has ended and was not reaped included: its pid cannot be another's yet."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _exit_code(pid: int | None) -> int | None:
    """Docker's exit code of an ended child, which is left to be reaped; None when it runs or is not our child."""
    try:
        status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) if pid else None
    except ChildProcessError:
        return None
    if status is None:
        return None
    return status.si_status if status.si_code == os.CLD_EXITED else 128 + status.si_status
