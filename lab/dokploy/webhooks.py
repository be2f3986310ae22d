# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy URLs, which need no key: a push of the branch that is built, or any call for a source without branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lab.dokploy.kinds import APPLICATION, COMPOSE, Kind
from lab.dokploy.procedures.registry import Server

Reply = tuple[int, str]

_COMPOSE_PATH = "compose/"
_BRANCHLESS = ("docker", "raw")
_BRANCH_COLUMNS = {"git": "customGitBranch", "github": "branch"}
_NO_PUSH = "NEW CHANGES"


class Push(NamedTuple):
    """What a git host tells of one."""

    branch: str | None
    title: str
    sha: str


def deploy(server: Server, path: str, headers: Mapping[str, str], body: Any) -> Reply:
    """`path` is what follows /api/deploy/."""
    kind = COMPOSE if path.startswith(_COMPOSE_PATH) else APPLICATION
    if headers.get("x-github-event") == "ping":
        return 200, "Ping received, webhook is active"
    token = path.removeprefix(_COMPOSE_PATH)
    row = next((row for row in server.model.tables[kind.table].values() if row["refreshToken"] == token), None)
    if row is None:
        return 404, f"{kind.title} Not Found"
    if not row["autoDeploy"]:
        return 400, f"Automatic deployments are disabled for this {kind.name}"
    push = _push(headers, body if isinstance(body, dict) else {})
    if row["sourceType"] not in _BRANCHLESS:
        column = _BRANCH_COLUMNS.get(row["sourceType"])
        if column is None or not push.branch or push.branch != row[column]:
            return 301, "Branch Not Match"
    server.queue.add(row[kind.id], push.title, _description(kind, push), "deploy", kind.name)
    return 200, f"{kind.title} deployed successfully"


def _push(headers: Mapping[str, str], body: dict[str, Any]) -> Push:
    branch = str(body.get("ref", "")).replace("refs/heads/", "")
    if "x-github-event" in headers:
        commit = body.get("head_commit") or {}
        return Push(branch, commit.get("message", "NEW COMMIT"), commit.get("id", ""))
    if "x-gitea-event" in headers:
        commits = body.get("commits") or [{}]
        return Push(branch, commits[0].get("message", "NEW COMMIT"), body.get("after", "NEW COMMIT"))
    return Push(None, _NO_PUSH, "")


def _description(kind: Kind, push: Push) -> str:
    """A compose service is told of a hash even when there is none."""
    return f"Hash: {push.sha}" if push.sha or kind is COMPOSE else ""
