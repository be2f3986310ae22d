# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's answers about builds that can be rolled back to, with what must never be shown of them."""

from __future__ import annotations

from typing import Any

from tests.unit.plugins.dokploy_answers import APP_NAME, APPLICATION_ID, get, row
from tests.unit.plugins.scripted import Call

COMMITS = {letter: f"{letter.lower() * 6}{number}".ljust(40, "0") for number, letter in enumerate("ABCD")}


def git_row(**columns: Any) -> dict[str, Any]:
    source = {"sourceType": "git", "dockerImage": None, "customGitBranch": "main", "autoDeploy": True}
    return row(**{**source, **columns})


def build(
    identity: str,
    commit: str | None = None,
    *,
    status: str = "done",
    snapshot: int | None = None,
    image: str | None = None,
    **context: Any,
) -> dict[str, Any]:
    """A row of deployment.allByType."""
    rollback = {
        "rollbackId": f"r{snapshot}",
        "version": snapshot,
        "image": f"{APP_NAME}:v{snapshot}",
        "fullContext": {
            "appName": APP_NAME,
            "sourceType": "docker" if image else "git",
            "dockerImage": image,
            "replicas": 2,
            "env": "DATABASE_URL=postgresql://s3cr3t",
            "password": "s3cr3t",
            "rollbackRegistry": {"registryUrl": "127.0.0.1:5000", "username": "lab", "password": "s3cr3t"},
            **context,
        },
    }
    return {
        "deploymentId": identity,
        "title": f"feat: {commit}" if commit else "release",
        "description": f"Commit: {COMMITS[commit]}" if commit else "",
        "status": status,
        "createdAt": "2026-11-22T01:00:00.000Z",
        "rollbackId": f"r{snapshot}" if snapshot else None,
        "rollback": rollback if snapshot else None,
    }


def history(*rows: dict[str, Any]) -> Call:
    return get("deployment.allByType", list(rows), id=APPLICATION_ID, type="application")


def built_log(identity: str, text: str) -> Call:
    return get("deployment.readLogs", text, deploymentId=identity, tail="10000")


def containers(images: dict[str, str]) -> list[Call]:
    """The running containers, by the ids of their tasks."""
    rows = [
        {"containerId": f"c-{identity}", "name": f"{APP_NAME}.1.{identity}", "state": "running", "status": "Up"}
        for identity in images
    ]
    configs = [
        get(
            "docker.getConfig",
            {"Image": "sha256:0a", "Config": {"Image": image, "Env": ["TOKEN=s3cr3t"]}},
            containerId=f"c-{identity}",
        )
        for identity, image in images.items()
    ]
    return [get("docker.getContainersByAppNameMatch", rows, appName=APP_NAME), *configs]
