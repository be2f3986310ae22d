# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs of a service: the tasks of Docker Swarm, the containers of Docker Compose, and the images in them."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotFound,
    NotPermitted,
    Rejected,
    ServerFailed,
    UnknownProcedure,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Compose, Service, rows_of
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact_text

ENDED_STATES = frozenset(
    {"complete", "shutdown", "failed", "rejected", "remove", "orphaned", "created", "exited", "dead", "removing"}
)
_TASK_CONTAINER = re.compile(r"(?P<slot>.+\.[a-z0-9]+)\.(?P<task>[a-z0-9]{25})\Z")
_EXIT_CODE = re.compile(r"Exited \((\d+)\)")


def _error(text: str) -> str:
    """Of the last row Dokploy cuts the space off, and leaves its own label for an error that is not there."""
    return clip(redact_text("" if text == "Error:" else text.strip('"')), 200)


@dataclass(frozen=True)
class Task:
    """A swarm task, or a container of a compose service. C(desired) is what is wanted of it, C(state) what it is."""

    id: str
    name: str
    desired: str
    state: str
    since: str
    error: str

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Task:
        current = str(row.get("currentState") or "")
        return cls(
            id=str(row.get("containerId")),
            name=str(row.get("name")),
            desired=str(row.get("state") or "").lower(),
            state=(current.split() or ["unknown"])[0].lower(),
            since=current,
            error=_error(str(row.get("error") or "")),
        )

    @classmethod
    def from_container(cls, row: Mapping[str, t.Any]) -> Task:
        """A container does not tell what is wanted of it; one that exits with 0 did what it was for."""
        state = str(row.get("state") or "unknown").lower()
        since = str(row.get("status") or "")
        exited = _EXIT_CODE.match(since)
        code = int(exited.group(1)) if exited else 0
        return cls(
            id=str(row.get("containerId")),
            name=str(row.get("name")),
            desired="shutdown" if state in ENDED_STATES else "running",
            state="complete" if exited and not code else state,
            since=since,
            error=f"exit code {code}" if code else "",
        )

    @property
    def slot(self) -> str:
        """What it follows others in: the name of a swarm task's container ends with the id of the task."""
        match = _TASK_CONTAINER.match(self.name)
        return match["slot"] if match else self.name

    @property
    def alive(self) -> bool:
        """Whether it runs or may yet run; a state that is not known counts as alive."""
        return self.state not in ENDED_STATES

    @property
    def wanted(self) -> bool:
        return self.alive and self.desired != "shutdown"

    @property
    def failed(self) -> bool:
        """Ended by itself; a task that swarm shut down, and one that did its work, did not fail."""
        return not self.alive and (self.state not in ("shutdown", "complete", "created") or bool(self.error))

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


@dataclass(frozen=True)
class RunningImage:
    """C(reference) is the image as it was asked for, C(image_id) what it is."""

    reference: str
    image_id: str

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


def tasks_of(client: DokployClient, service: Service) -> list[Task] | None:
    """The tasks or containers, newest first, ended ones included; None when this key may not read Docker."""
    try:
        if isinstance(service, Compose):
            return [Task.from_container(row) for row in _containers(client, service)]
        return swarm_tasks(client, service, service.app_name)
    except (NotPermitted, UnknownProcedure):
        return None


def swarm_tasks(client: DokployClient, service: Service, name: str) -> list[Task]:
    """Of one swarm service by its name in Docker; a stack has one for each service in its file."""
    rows = client.get("docker.getServiceContainersByAppName", **_server(service), appName=name)
    return [Task.from_row(row) for row in rows_of(rows)]


def running(tasks: Sequence[Task]) -> list[Task]:
    return [task for task in tasks if task.wanted and task.state == "running"]


def images_of(client: DokployClient, service: Service) -> dict[str, RunningImage] | None:
    """The images of the running containers, by the ids that C(tasks_of) gives.

    None when this key may not read Docker. Containers on other nodes of a swarm are not among them.
    """
    images: dict[str, RunningImage] = {}
    try:
        for row in _containers(client, service):
            if row.get("state") != "running":
                continue
            container = str(row.get("containerId"))
            config = _config_of(client, service, container)
            if config is not None:
                images[_task_id(row, service) or container] = config
    except (NotPermitted, UnknownProcedure):
        return None
    return images


def _config_of(client: DokployClient, service: Service, container: str) -> RunningImage | None:
    """None when the container is gone by now. The rest of the answer, which holds the environment, is dropped."""
    try:
        row = client.get("docker.getConfig", **_server(service), containerId=container)
    except (NotFound, Rejected, ServerFailed):
        return None
    if not isinstance(row, dict):
        return None
    config = row.get("Config")
    reference = config.get("Image") if isinstance(config, dict) else None
    return RunningImage(str(reference or ""), str(row.get("Image") or ""))


def _containers(client: DokployClient, service: Service) -> list[dict[str, t.Any]]:
    """Dokploy looks for names that begin with the service's, which may also be another's."""
    kind = {"appType": service.compose_type} if isinstance(service, Compose) else {}
    rows = rows_of(
        client.get("docker.getContainersByAppNameMatch", **_server(service), **kind, appName=service.app_name)
    )
    if kind == {"appType": "docker-compose"}:
        return rows
    separator = "_" if kind else "."
    return [row for row in rows if str(row.get("name")).startswith(f"{service.app_name}{separator}")]


def _task_id(row: Mapping[str, t.Any], service: Service) -> str | None:
    match = _TASK_CONTAINER.match(str(row.get("name")))
    return match["task"] if match and not isinstance(service, Compose) else None


def _server(service: Service) -> dict[str, str]:
    return {"serverId": service.server_id} if service.server_id else {}
