# SPDX-License-Identifier: GPL-3.0-or-later
"""All that may be shown of one application."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import deployments_of, queue_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    ApplicationQuery,
    find_application,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.services import remembered_replicas, tasks_of


def read_info(client: DokployClient, query: ApplicationQuery, latest: int) -> dict[str, object]:
    version = client.version()
    application = find_application(client, query)
    tasks = tasks_of(client, application)
    queue = queue_of(client, application.id)
    deployments = deployments_of(client, application.id)
    remembered = remembered_replicas(application.description)
    return {
        "version": version,
        "application": application.to_result(),
        "quiesced": remembered is not None and application.replicas == 0,
        "replicas_remembered": remembered,
        "tasks": None if tasks is None else [task.to_result() for task in tasks],
        "deployments": [deployment.to_result() for deployment in deployments[: max(0, latest)]],
        "queue": None if queue is None else [job.to_result() for job in queue],
        "building": bool(queue) or any(deployment.status == "running" for deployment in deployments),
    }
