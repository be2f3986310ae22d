# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, where, and what is in it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psycopg

from lab import client, git, processes
from lab.platform import describe, is_complete, pages_project, server_of
from lab.postgres import Server


def status(state: Path) -> dict[str, Any]:
    """What runs, where, and what is in it; every part that cannot be read says why instead."""
    description = describe(state)
    if description is None:
        return {"state": str(state), "up": False, "processes": _process_table(state)}
    server = server_of(description)
    chosen = server.settings
    return {
        "state": str(state),
        "up": is_complete(state, description),
        "processes": _process_table(state),
        "postgres": {"host": chosen.host, "port": chosen.port, "socket": chosen.socket, **_databases(server)},
        "api": _api_status(description["api"]),
        "dokploy": {"url": description["dokploy"]["url"]} if description["dokploy"] else None,
        "git": _git_status(description["git"]),
        "pages": _pages_status(description["pages"]),
        "dumps": _dumps(Path(description["backups"])),
    }


def _process_table(state: Path) -> list[dict[str, Any]]:
    return [{"name": name, "pid": processes.pid_of(state, name)} for name in processes.recorded(state)]


def _databases(server: Server) -> dict[str, Any]:
    try:
        with server.connect() as connection:
            names = [
                row[0]
                for row in connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
            ]
        return {"databases": names, "rows": server.row_counts() if server.settings.database in names else None}
    except psycopg.OperationalError as error:
        return {"error": str(error).strip()}


def _api_status(api: dict[str, str] | None) -> dict[str, Any] | None:
    if api is None:
        return None
    try:
        code, body = client.call(api["url"] + api["health_path"], timeout=2)
    except client.Unreachable as error:
        return {"url": api["url"], "error": str(error)}
    return {"url": api["url"], "status": code, "body": body}


def _git_status(repository: dict[str, str] | None) -> dict[str, Any] | None:
    if repository is None:
        return None
    checkout = git.Git(Path(repository["checkout"]))
    try:
        head = checkout.log("--max-count=1")[0]
        ahead = len(checkout.log(f"origin/{repository['branch']}..HEAD"))
        changed = len(checkout("status", "--porcelain").splitlines())
    except git.GitError as error:
        return {**repository, "error": str(error)}
    return {**repository, "commit": head.sha, "subject": head.subject, "to_push": ahead, "changed_files": changed}


def _pages_status(frontend: dict[str, str] | None) -> dict[str, Any] | None:
    if frontend is None:
        return None
    project, authorization = pages_project(frontend)
    try:
        _code, body = client.call(project, headers=authorization, timeout=2)
    except client.Unreachable as error:
        return {"url": frontend["url"], "error": str(error)}
    canonical = (body["result"] or {}).get("canonical_deployment") or {}
    serves = canonical.get("deployment_trigger", {}).get("metadata", {}).get("commit_hash")
    return {"url": frontend["url"], "project": frontend["project"], "serves": serves}


def _dumps(folder: Path) -> list[dict[str, Any]]:
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime)
    return [
        {
            "name": path.name,
            "bytes": path.stat().st_size,
            "modified": time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime)),
            "link_to": os.readlink(path) if path.is_symlink() else None,
        }
        for path in files
    ]
