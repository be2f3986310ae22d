# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the part of a compose file that the lab runs: image or build, command, environment, restart and deploy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import yaml


class BadComposeFile(Exception):
    """Says what docker would say of the file."""


@dataclass(frozen=True)
class ComposeService:
    """An image of None is one to be built from the commit. `on_failure` and `stop_first` are of a stack's updates."""

    name: str
    image: str | None
    env: str
    command: str | None
    replicas: int
    restarts: bool
    on_failure: str
    stop_first: bool


def read(text: str, env: str | None) -> list[ComposeService]:
    """`env` fills in the variables of the file."""
    values = dict(line.split("=", 1) for line in (env or "").splitlines() if "=" in line)
    try:
        content = yaml.safe_load(Template(text).safe_substitute(values))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}:\n" if mark else ""
        raise BadComposeFile(f"{error.problem}{where}") from error
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, dict) or not services:
        raise BadComposeFile("services must be a mapping")
    return [_service(name, given) for name, given in services.items()]


def _service(name: str, given: Any) -> ComposeService:
    if not isinstance(given, dict) or not {"image", "build"} & given.keys():
        raise BadComposeFile(f'service "{name}" has neither an image nor a build context specified')
    deploy = given.get("deploy") or {}
    update = deploy.get("update_config") or {}
    command = given.get("command")
    return ComposeService(
        name=name,
        image=given.get("image"),
        env=_environment(given.get("environment") or {}),
        command=" ".join(command) if isinstance(command, list) else command,
        replicas=int(deploy.get("replicas", 1)),
        restarts=given.get("restart", "no") not in ("no", False),
        on_failure=update.get("failure_action", "pause"),
        stop_first=update.get("order", "stop-first") == "stop-first",
    )


def _environment(given: Mapping[str, Any] | list[str]) -> str:
    lines = given if isinstance(given, list) else [f"{name}={value}" for name, value in given.items()]
    return "\n".join(lines)
