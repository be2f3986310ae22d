# SPDX-License-Identifier: GPL-3.0-or-later
"""What Dokploy builds and built: its records and its queue, with the fields that are not secret."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotPermitted,
    UnknownProcedure,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._http import clip, redact_text

MAX_TEXT = 200


def _text(value: object) -> str:
    return clip(redact_text(str(value or "")), MAX_TEXT)


@dataclass(frozen=True)
class Deployment:
    id: str
    title: str
    description: str
    status: str
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    error: str | None
    rollback_id: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Deployment:
        return cls(
            id=str(row.get("deploymentId")),
            title=_text(row.get("title")),
            description=_text(row.get("description")),
            status=str(row.get("status") or "unknown"),
            created_at=row.get("createdAt"),
            started_at=row.get("startedAt"),
            finished_at=row.get("finishedAt"),
            error=_text(row["errorMessage"]) if row.get("errorMessage") else None,
            rollback_id=row.get("rollbackId"),
        )

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


@dataclass(frozen=True)
class Job:
    id: str
    title: str
    type: str
    state: str

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


def deployments_of(client: DokployClient, application_id: str) -> list[Deployment]:
    """The records of an application, newest first; Dokploy keeps at most eleven."""
    rows = client.get("deployment.all", applicationId=application_id)
    return [Deployment.from_row(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def queue_of(client: DokployClient, application_id: str) -> list[Job] | None:
    """The waiting and active jobs of an application; None before Dokploy 0.28.3, or when it may not be read."""
    try:
        rows = client.get("deployment.queueList")
    except (UnknownProcedure, NotPermitted):
        return None
    jobs = []
    for row in rows if isinstance(rows, list) else []:
        data = row.get("data") or {}
        if data.get("applicationId") == application_id:
            jobs.append(
                Job(str(row.get("id")), _text(data.get("titleLog")), str(data.get("type")), str(row.get("state")))
            )
    return jobs


@dataclass(frozen=True)
class Builds:
    """What could still change the service without anyone asking again."""

    running: tuple[Deployment, ...]
    queued: tuple[Job, ...]

    def __bool__(self) -> bool:
        return bool(self.running or self.queued)

    def __str__(self) -> str:
        records = [f"deployment {item.id} ({item.title or 'no title'}) {item.status}" for item in self.running]
        return ", ".join(records + [f"{item.id} ({item.title or 'no title'}) {item.state}" for item in self.queued])


def builds_of(client: DokployClient, application_id: str) -> Builds:
    """The queue is read before the records: a job that starts in between is then seen at least once."""
    queued = queue_of(client, application_id) or []
    running = [item for item in deployments_of(client, application_id) if item.status == "running"]
    return Builds(tuple(running), tuple(queued))
