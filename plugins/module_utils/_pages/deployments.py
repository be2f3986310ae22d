# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments as Cloudflare tells them, without what may be secret in them."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.build_log import lines_of
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact_text, secret_values

PRODUCTION, PREVIEW = "production", "preview"
QUEUED, ACTIVE, SUCCESS, FAILURE, CANCELED, SKIPPED = "queued", "active", "success", "failure", "canceled", "skipped"
#: Cloudflare refuses more per page.
PER_PAGE = 25
LOG_LINES_READ = 10000
LONGEST_MESSAGE = 200
SHORTEST_COMMIT = 7
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class Stage:
    name: str
    status: str
    started_on: str | None
    ended_on: str | None


@dataclass(frozen=True)
class Deployment:
    id: str
    short_id: str
    url: str
    environment: str
    commit: str
    branch: str
    message: str
    created: str
    stages: tuple[Stage, ...]
    skipped: bool
    #: What a log must not show: values of the build's environment.
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def failing_stage(self) -> Stage | None:
        return next((stage for stage in self.stages if stage.status in (FAILURE, CANCELED)), None)

    @property
    def status(self) -> str:
        if self.skipped:
            return SKIPPED
        if self.failing_stage:
            return self.failing_stage.status
        done = {stage.name: stage.status for stage in self.stages}
        if done.get("deploy") == SUCCESS:
            return SUCCESS
        begun = any(name != "queued" and status in (ACTIVE, SUCCESS) for name, status in done.items())
        return ACTIVE if begun else QUEUED

    @property
    def finished(self) -> bool:
        return self.status not in (QUEUED, ACTIVE)

    @property
    def label(self) -> str:
        return f"{self.short_id} of commit {self.commit[:SHORTEST_COMMIT] or 'unknown'}"

    def is_of(self, commit: str) -> bool:
        return bool(self.commit) and same_commit(self.commit, commit)

    def to_result(self) -> dict[str, object]:
        return {
            "id": self.id,
            "short_id": self.short_id,
            "url": self.url,
            "environment": self.environment,
            "commit": self.commit,
            "branch": self.branch,
            "message": self.message,
            "created": self.created,
            "status": self.status,
            "stages": [vars(stage) for stage in self.stages],
        }


def same_commit(one: str, other: str) -> bool:
    """Either may be abbreviated."""
    return one.lower().startswith(other.lower()) or other.lower().startswith(one.lower())


def is_commit(text: str) -> bool:
    return len(text) >= SHORTEST_COMMIT and bool(_HEX.fullmatch(text.lower()))


def checked_commit(text: str) -> str:
    if not is_commit(text):
        raise PlatformError(
            f"commit {clip(text, 60)!r} is no commit.", "Give its hash, or at least the first seven digits of it."
        )
    return text.lower()


def served(deployment: Deployment | None) -> dict[str, object]:
    """What production serves, in short; nothing when nothing was ever deployed."""
    if deployment is None:
        return {"id": None, "commit": None, "url": None}
    return {"id": deployment.id, "commit": deployment.commit, "url": deployment.url}


# --- reading ----------------------------------------------------------------------------------------------------------


def deployment_from(given: object) -> Deployment:
    if not isinstance(given, dict) or not given.get("id"):
        raise PlatformError(
            "Cloudflare's answer tells of no deployment.", "Check api_url, and that this collection is up to date."
        )
    trigger = _dict(given.get("deployment_trigger"))
    metadata = _dict(trigger.get("metadata"))
    latest = _dict(given.get("latest_stage"))
    variables = {name: _dict(variable).get("value") for name, variable in _dict(given.get("env_vars")).items()}
    stages = [_dict(stage) for stage in given.get("stages") or [latest]]
    return Deployment(
        id=str(given["id"]),
        short_id=_text(given, "short_id") or str(given["id"])[:8],
        url=_text(given, "url"),
        environment=_text(given, "environment"),
        commit=_text(metadata, "commit_hash").lower(),
        branch=_text(metadata, "branch"),
        message=clip(redact_text(_text(metadata, "commit_message").partition("\n")[0]), LONGEST_MESSAGE),
        created=_text(given, "created_on"),
        stages=tuple(
            Stage(_text(stage, "name"), _text(stage, "status"), stage.get("started_on"), stage.get("ended_on"))
            for stage in stages
        ),
        skipped=given.get("is_skipped") is True or latest.get("status") == SKIPPED,
        secrets=tuple(secret_values(variables)),
    )


def optional_deployment(given: object) -> Deployment | None:
    return deployment_from(given) if given else None


def read_deployment(client: PagesClient, deployment_id: str) -> Deployment:
    return deployment_from(client.get(f"/deployments/{deployment_id}"))


def deployments(client: PagesClient, environment: str | None = None, most_pages: int = 10) -> Iterator[Deployment]:
    """Newest first. One that comes in between two pages moves the others down, so some are seen twice."""
    seen: set[str] = set()
    filters = {"env": environment} if environment else {}
    for page in range(1, most_pages + 1):
        items, counts = client.page("/deployments", **filters, page=str(page), per_page=str(PER_PAGE))
        for item in items:
            deployment = deployment_from(item)
            if deployment.id not in seen:
                seen.add(deployment.id)
                yield deployment
        total = counts.get("total_pages")
        if len(items) < PER_PAGE or (isinstance(total, int) and page >= total):
            return


def build_log(client: PagesClient, deployment: Deployment) -> list[str]:
    answer = _dict(client.get(f"/deployments/{deployment.id}/history/logs", size=str(LOG_LINES_READ)))
    lines = [str(_dict(entry).get("line", "")) for entry in answer.get("data") or []]
    return lines_of("\n".join(lines), deployment.secrets)


def _dict(value: object) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _text(given: Mapping[str, object], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""
