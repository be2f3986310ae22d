# SPDX-License-Identifier: GPL-3.0-or-later
"""How the API shows what the model knows, at this moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lab.pages.model import STAGES, Model, Row


def project_view(model: Model) -> Row:
    project = model.project
    rows = model.deployments
    canonical = next((row for row in rows if row["id"] == project["canonical"]), None)
    return {
        "id": project["id"],
        "name": project["name"],
        "subdomain": f"{project['name']}.pages.dev",
        "domains": project["domains"],
        "production_branch": project["production_branch"],
        "created_on": _text(project["created"]),
        "build_config": _build_config(),
        "deployment_configs": {"production": {"env_vars": project["env_vars"]}, "preview": {"env_vars": None}},
        "source": {"type": "github", "config": project["source"]},
        "canonical_deployment": None if canonical is None else deployment_view(model, canonical),
        "latest_deployment": deployment_view(model, rows[0]) if rows else None,
    }


def deployment_view(model: Model, row: Row) -> Row:
    project = model.project
    stages = _stages(model, row)
    begun = [stage for stage in stages if stage["status"] != "idle"]
    return {
        "id": row["id"],
        "short_id": row["short_id"],
        "project_id": project["id"],
        "project_name": project["name"],
        "environment": row["environment"],
        "url": f"https://{row['short_id']}.{project['name']}.pages.dev",
        "aliases": None,
        "created_on": _text(row["created"]),
        "modified_on": _text(max([row["created"], *_passed(model, row)])),
        "is_skipped": row["skipped"],
        "latest_stage": begun[-1] if begun else stages[0],
        "stages": stages,
        "deployment_trigger": {
            "type": row["trigger"],
            "metadata": {
                "branch": row["branch"],
                "commit_hash": row["commit"],
                "commit_message": row["message"],
                "commit_dirty": False,
            },
        },
        "env_vars": project["env_vars"],
        "build_config": _build_config(),
        "source": {"type": "github", "config": project["source"]},
    }


def log_lines(model: Model, row: Row) -> list[Row]:
    """What the build has written so far."""
    written = {
        "initialize": ["Initializing build environment...", "Success: Finished initializing build environment"],
        "clone_repo": [
            "Cloning repository...",
            f"HEAD is now at {row['commit'][:7]} {row['message'].partition(chr(10))[0]}",
        ],
        "build": [
            "Installing project dependencies: pnpm install",
            *_environment(model),
            "Executing user command: pnpm build",
        ],
        "deploy": [
            "Finished",
            "Deploying your site to Cloudflare's global network...",
            "Success: Your site was deployed!",
        ],
    }
    failing = {
        "clone_repo": [
            "fatal: could not read from remote repository",
            "Failed: error occurred while fetching repository",
        ],
        "build": [
            "src/charts.tsx(12,7): error TS2322: Type 'string' is not assignable to type 'number'.",
            "ELIFECYCLE Command failed with exit code 2.",
            "Failed: Error while executing user command. Exited with error code: 2",
        ],
        "deploy": ["Failed: an internal error occurred. If this continues, contact support"],
    }
    lines: list[Row] = []
    for stage in row["stages"]:
        if stage["started"] > model.now():
            break
        texts = written.get(stage["name"], [])
        if stage["status"] != "success":
            texts = texts[:-1] if stage["name"] == "deploy" else texts
            if stage["ended"] <= model.now():
                texts = [*texts, *failing.get(stage["name"], ["Failed: the build was stopped"])]
        lines += [{"ts": _text(stage["started"]), "line": text} for text in texts]
    return lines


def _environment(model: Model) -> list[str]:
    """Careless builds do this."""
    variables = model.project["env_vars"]
    value = variables["SENTRY_AUTH_TOKEN"]["value"]
    return [f"SENTRY_AUTH_TOKEN={value}", f"uploading source maps with {value}"]


def _stages(model: Model, row: Row) -> list[Row]:
    if row["skipped"]:
        return [_stage(name, None, None, "skipped" if name == "deploy" else "idle") for name in STAGES]
    now = model.now()
    shown = []
    by_name = {stage["name"]: stage for stage in row["stages"]}
    for name in STAGES:
        stage = by_name.get(name)
        if stage is None or (stage["started"] > now):
            shown.append(_stage(name, None, None, "idle"))
        elif stage["ended"] > now:
            shown.append(_stage(name, stage["started"], None, "active"))
        else:
            shown.append(_stage(name, stage["started"], stage["ended"], stage["status"]))
    return shown


def _stage(name: str, started: float | None, ended: float | None, status: str) -> Row:
    return {"name": name, "started_on": _text(started), "ended_on": _text(ended), "status": status}


def _passed(model: Model, row: Row) -> list[float]:
    moments = [stage[edge] for stage in row["stages"] for edge in ("started", "ended")]
    return [moment for moment in moments if moment <= model.now()]


def _build_config() -> dict[str, Any]:
    return {"build_command": "pnpm build", "destination_dir": "dist", "root_dir": "apps/web", "build_caching": True}


def _text(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
