# SPDX-License-Identifier: GPL-3.0-or-later
"""docker.*"""

from __future__ import annotations

import time
from typing import Any

from lab.dokploy.keys import Caller
from lab.dokploy.model import Row
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import ID, choice
from lab.dokploy.tasks import Task, task_row
from lab.dokploy.tempo import human_duration, iso

_docker = Collector("docker")
PROCEDURES = _docker.procedures


@_docker.query("getServiceContainersByAppName", appName=ID)
def service_containers(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("docker")
    now = time.time()
    return [task_row(task, now) for task in server.swarm.tasks(given["appName"])]


@_docker.query("getContainersByAppNameMatch", appName=ID, appType=choice("stack", "docker-compose"))
def containers(server: Server, caller: Caller, given: Row) -> Any:
    """Of a compose project by its label; everything else by how the name begins, whatever follows."""
    caller.need_permission("docker")
    of_project = given.get("appType") == "docker-compose"
    return [
        {
            "containerId": task.container_id[:12],
            "name": task.container_name,
            "state": _state(task),
            "status": _status(task),
        }
        for task in server.swarm.containers("" if of_project else given["appName"])
        if not of_project or (task.spec.containers and task.spec.project == given["appName"])
    ]


@_docker.query("getConfig", containerId=ID)
def config(server: Server, caller: Caller, given: Row) -> Any:
    """The part of `docker inspect` that tells what runs; an unknown container is answered with an empty body."""
    caller.need_permission("docker")
    task = server.swarm.container(given["containerId"])
    if task is None or not task.has_container:
        return None
    return {
        "Id": task.container_id,
        "Image": task.image_id,
        "Created": iso(task.since),
        "State": {
            "Status": _state(task),
            "Running": task.state == "Running",
            "Paused": False,
            "Restarting": _state(task) == "restarting",
            "OOMKilled": False,
            "Dead": False,
            "Pid": task.pid or 0,
            "ExitCode": task.exit_code or 0,
            "Error": "",
            "StartedAt": iso(task.since),
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Name": f"/{task.container_name}",
        "RestartCount": 0,
        "Platform": "linux",
        "Config": {
            "Hostname": task.container_id[:12],
            "Env": [f"{name}={value}" for name, value in task.spec.variables().items()],
            "Image": task.spec.image,
            "Labels": _labels(task),
        },
    }


def _state(task: Task) -> str:
    if task.state == "Running":
        return "running"
    return "restarting" if task.desired == "ready" else "exited"


def _status(task: Task) -> str:
    age = human_duration(time.time() - task.since)
    if task.state == "Running":
        return f"Up {age}"
    word = "Restarting" if task.desired == "ready" else "Exited"
    return f"{word} ({task.exit_code}) {age} ago"


def _labels(task: Task) -> dict[str, str]:
    project = task.spec.project
    if task.spec.containers:
        return {
            "com.docker.compose.project": str(project),
            "com.docker.compose.service": task.service.removeprefix(f"{project}-"),
        }
    stack = {} if project is None else {"com.docker.stack.namespace": project}
    return {
        **stack,
        "com.docker.swarm.service.name": task.service,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task.id,
        "com.docker.swarm.task.name": task.container_name,
    }
