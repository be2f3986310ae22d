# SPDX-License-Identifier: GPL-3.0-or-later
"""docker.*, postgres.one and settings.*"""

from __future__ import annotations

import time
from typing import Any

from lab.dokploy import views
from lab.dokploy.keys import Caller
from lab.dokploy.model import Row
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import ID
from lab.dokploy.swarm import Task, task_row
from lab.dokploy.tempo import human_duration, iso

VERSION = "v0.30.2"

_docker = Collector("docker")
_postgres = Collector("postgres")
_settings = Collector("settings")


@_docker.query("getServiceContainersByAppName", appName=ID)
def service_containers(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("docker")
    now = time.time()
    return [task_row(task, now) for task in server.swarm.tasks(given["appName"])]


@_docker.query("getContainersByAppNameMatch", appName=ID)
def containers(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("docker")
    return [
        {
            "containerId": task.container_id[:12],
            "name": task.container_name,
            "state": "running" if task.state == "Running" else "exited",
            "status": _status(task),
        }
        for task in server.swarm.tasks(given["appName"])
        if task.has_container
    ]


def _status(task: Task) -> str:
    age = human_duration(time.time() - task.since)
    return f"Up {age}" if task.state == "Running" else f"Exited ({task.exit_code}) {age} ago"


@_docker.query("getConfig", containerId=ID)
def config(server: Server, caller: Caller, given: Row) -> Any:
    """The part of `docker inspect` that tells what runs; an unknown container is answered with an empty body."""
    caller.need_permission("docker")
    task = server.swarm.container(given["containerId"])
    if task is None or not task.has_container:
        return None
    running = task.state == "Running"
    return {
        "Id": task.container_id,
        "Created": iso(task.since),
        "State": {
            "Status": "running" if running else "exited",
            "Running": running,
            "Paused": False,
            "Restarting": False,
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
            "Labels": {
                "com.docker.swarm.service.name": task.service,
                "com.docker.swarm.task": "",
                "com.docker.swarm.task.id": task.id,
                "com.docker.swarm.task.name": task.container_name,
            },
        },
    }


@_postgres.query("one", postgresId=ID)
def postgres_one(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_service(given["postgresId"])
    row = server.model.one("postgres", given["postgresId"], "Postgres")
    caller.need_organization(server.model.organization_of(row), "Postgres")
    return {**row, "environment": views.environment_with_project(server.model, row), "server": None}


@_settings.query("getDokployVersion")
def version(server: Server, caller: Caller, given: Row) -> Any:
    return VERSION


@_settings.query("health")
def health(server: Server, caller: Caller, given: Row) -> Any:
    return {"status": "ok"}


PROCEDURES = [*_docker.procedures, *_postgres.procedures, *_settings.procedures]
