# SPDX-License-Identifier: GPL-3.0-or-later
"""All that may be shown of one service, or a little of each."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.backups import backups_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.build_log import failing_line, lines_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotPermitted,
    UnknownProcedure,
    safe_words,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import (
    Deployment,
    build_log,
    deployments_of,
    queue_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    Compose,
    Database,
    Service,
    ServiceQuery,
    all_projects,
    find_service,
    id_column,
    lists_of,
    rows_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.marker import (
    remembered_auto_deploy,
    remembered_replicas,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_targets import targets_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.runs import Run, runs_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.schedules import schedules_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import Task, images_of, tasks_of

INFO_ARGUMENTS: dict[str, dict[str, object]] = {
    "deployments": {"type": "int", "default": 5},
    "log_lines": {"type": "int", "default": 0},
    "rollback_targets": {"type": "bool", "default": False},
}
T = t.TypeVar("T")


def read_info(client: DokployClient, query: ServiceQuery, params: Mapping[str, t.Any]) -> dict[str, object]:
    """The whole of M(vedfinance.platform.dokploy_info)."""
    version = client.version()
    if query.option is None:
        return {"version": version, "services": overview(client, query)}
    return {"version": version, **_details(client, find_service(client, query), params)}


# --- of all -----------------------------------------------------------------------------------------------------------


def overview(client: DokployClient, query: ServiceQuery) -> list[dict[str, object]]:
    """Every service that the key sees, in the project and the environment that are named."""
    return [
        {
            "project": project.get("name"),
            "environment": environment.get("name"),
            "kind": kind,
            "id": row.get(id_column(kind)),
            "name": row.get("name"),
            "status": row.get("composeStatus" if kind == "compose" else "applicationStatus"),
        }
        for project in all_projects(client)
        if query.project in (None, project.get("name"))
        for environment in rows_of(project.get("environments"))
        if query.environment in (None, environment.get("name"))
        for kind, rows in lists_of(environment).items()
        for row in rows
    ]


# --- of one -----------------------------------------------------------------------------------------------------------


def _details(client: DokployClient, service: Service, params: Mapping[str, t.Any]) -> dict[str, object]:
    tasks = tasks_of(client, service)
    queue = None if isinstance(service, Database) else queue_of(client, service)
    deployments = [] if isinstance(service, Database) else deployments_of(client, service)
    images = images_of(client, service) if tasks is not None else None
    return {
        service.option: service.to_result(),
        "quiesced": _quiesced(service, tasks),
        "replicas_remembered": remembered_replicas(service.description),
        "auto_deploy_remembered": remembered_auto_deploy(service.description),
        "tasks": None if tasks is None else [task.to_result() for task in tasks],
        "images": None
        if images is None
        else [{"task": task, **image.to_result()} for task, image in sorted(images.items())],
        "deployments": [deployment.to_result() for deployment in deployments[: max(0, params["deployments"])]],
        "failed_log": _failed_log(client, deployments, params["log_lines"]),
        "queue": None if queue is None else [job.to_result() for job in queue],
        "building": bool(queue) or any(deployment.status == "running" for deployment in deployments),
        "schedules": _if_allowed(lambda: _schedules(client, service)),
        "backups": _if_allowed(lambda: _backups(client, service)),
        "rollback_targets": _if_allowed(lambda: _rollback_targets(client, service))
        if params["rollback_targets"]
        else None,
    }


def _quiesced(service: Service, tasks: Sequence[Task] | None) -> bool:
    """Stopped so that no webhook starts it again. An application cannot start with its 0 replicas, others can."""
    if isinstance(service, Application):
        return remembered_replicas(service.description) is not None and service.replicas == 0
    quiet = service.status == "idle" if tasks is None else not any(task.alive for task in tasks)
    if isinstance(service, Compose):
        return quiet and remembered_auto_deploy(service.description) is not None and not service.auto_deploy
    return quiet


def _failed_log(client: DokployClient, deployments: Sequence[Deployment], lines: int) -> dict[str, object] | None:
    """The end of the log of the newest deployment that failed."""
    failed = next((deployment for deployment in deployments if deployment.status == "error"), None)
    if failed is None or lines < 1:
        return None
    log = build_log(client, failed.id, lines)
    shown = None if log is None else [safe_words(line) for line in lines_of(log)]
    return {"deployment_id": failed.id, "lines": shown, "failing_line": failing_line(shown or ())}


def _if_allowed(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (NotPermitted, UnknownProcedure):
        return None


def _run(run: Run | None) -> dict[str, object] | None:
    return None if run is None else run.to_result()


def _schedules(client: DokployClient, service: Service) -> list[dict[str, object]]:
    """Without their commands, which may hold anything."""
    return [
        {
            "id": schedule.id,
            "name": schedule.name,
            "service_name": schedule.service_name,
            "cron": schedule.cron,
            "timezone": schedule.timezone,
            "enabled": schedule.enabled,
            "last_run": _run(schedule.last_run),
        }
        for schedule in schedules_of(client, service)
    ]


def _backups(client: DokployClient, service: Service) -> list[dict[str, object]]:
    return [
        {**backup.to_result(), "last_run": _run(next(iter(runs_of(client, "backup", backup.id)), None))}
        for backup in backups_of(client, service)
    ]


def _rollback_targets(client: DokployClient, service: Service) -> list[dict[str, object]]:
    if isinstance(service, Database):
        return []
    return [target.to_result() for target in targets_of(client, service)]
