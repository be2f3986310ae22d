# SPDX-License-Identifier: GPL-3.0-or-later
"""What Dokploy builds and built: its records, its queue and its logs, with the fields that are not secret."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotFound,
    NotPermitted,
    UnknownProcedure,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact_text

MAX_TEXT = 200
MOST_LOG_LINES = 10000
UNFINISHED = "running"
FINISHED = frozenset({"done", "error", "cancelled"})

# Dokploy writes "Commit:" when it has built, a webhook writes "Hash:" when it asks for a build.
_COMMIT = re.compile(r"\b(?:Commit|Hash):\s*([0-9a-fA-F]{7,40})\b")
_TOKEN = re.compile(r"\[run ([0-9a-f]{16})\]")


def with_token(description: str, token: str) -> str:
    """Nothing else tells which record came of which call."""
    return f"{description} [run {token}]".strip()


def _text(value: object) -> str:
    return clip(redact_text(str(value or "")), MAX_TEXT)


def _found(pattern: re.Pattern[str], *texts: object) -> str | None:
    """Looked for in the texts as they came: shortened, they may have lost it."""
    for text in texts:
        match = pattern.search(str(text or ""))
        if match:
            return match.group(1).lower()
    return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


class Buildable(t.Protocol):
    """An application or a compose service, as far as its builds are concerned."""

    @property
    def kind(self) -> str: ...

    @property
    def id(self) -> str: ...


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
    commit: str | None = None
    token: str | None = None

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
            commit=_found(_COMMIT, row.get("description"), row.get("title")),
            token=_found(_TOKEN, row.get("description")),
        )

    @property
    def finished(self) -> bool:
        """A status that is not known counts as not finished."""
        return self.status in FINISHED

    def to_result(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "token"}


@dataclass(frozen=True)
class Job:
    id: str
    title: str
    type: str
    state: str
    service_id: str | None = None
    description: str = ""
    #: Milliseconds, by the clock of the server, as the times of the records are.
    queued_at: float = 0.0
    begun_at: float = 0.0
    commit: str | None = None
    token: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Job:
        data = row.get("data") or {}
        return cls(
            id=str(row.get("id")),
            title=_text(data.get("titleLog")),
            type=str(data.get("type")),
            state=str(row.get("state")),
            service_id=data.get("applicationId") or data.get("composeId"),
            description=_text(data.get("descriptionLog")),
            queued_at=_number(row.get("timestamp")),
            begun_at=_number(row.get("processedOn")),
            commit=_found(_COMMIT, data.get("descriptionLog"), data.get("titleLog")),
            token=_found(_TOKEN, data.get("descriptionLog")),
        )

    def __str__(self) -> str:
        return f"{self.id} ({self.title or 'no title'}) {self.state}"

    def to_result(self) -> dict[str, object]:
        return {"id": self.id, "title": self.title, "type": self.type, "state": self.state}


def deployments_of(client: DokployClient, service: Buildable) -> list[Deployment]:
    """The records of a service, newest first; Dokploy keeps at most eleven."""
    if service.kind == "compose":
        rows = client.get("deployment.allByCompose", composeId=service.id)
    else:
        rows = client.get("deployment.all", applicationId=service.id)
    return [Deployment.from_row(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def whole_queue(client: DokployClient) -> list[Job] | None:
    """The waiting and active jobs of all services, newest first; None before 0.28.3, or when it may not be read."""
    try:
        rows = client.get("deployment.queueList")
    except (UnknownProcedure, NotPermitted):
        return None
    return [Job.from_row(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def queue_of(client: DokployClient, service: Buildable) -> list[Job] | None:
    """The jobs of one service, newest first."""
    jobs = whole_queue(client)
    return None if jobs is None else [job for job in jobs if job.service_id == service.id]


def build_log(client: DokployClient, deployment_id: str, tail: int) -> str | None:
    """The last lines of a build, raw; None before 0.29.5, when it may not be read, and when the record is gone."""
    try:
        text = client.get("deployment.readLogs", deploymentId=deployment_id, tail=str(min(tail, MOST_LOG_LINES)))
    except (UnknownProcedure, NotPermitted, NotFound):
        return None
    return text if isinstance(text, str) else None


@dataclass(frozen=True)
class Builds:
    """What could still change the service without anyone asking again."""

    running: tuple[Deployment, ...]
    queued: tuple[Job, ...]

    def __bool__(self) -> bool:
        return bool(self.running or self.queued)

    def __str__(self) -> str:
        records = [f"deployment {item.id} ({item.title or 'no title'}) {item.status}" for item in self.running]
        return ", ".join(records + [str(item) for item in self.queued])


def builds_of(client: DokployClient, service: Buildable) -> Builds:
    """The queue is read before the records: a job that starts in between is then seen at least once."""
    queued = queue_of(client, service) or []
    running = [item for item in deployments_of(client, service) if item.status == UNFINISHED]
    return Builds(tuple(running), tuple(queued))
