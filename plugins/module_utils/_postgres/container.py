# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaches a PostgreSQL server inside of a container that publishes no port."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from typing import Any

from .._errors import PlatformError
from .connect import Server
from .relay import Relay, probe

# Dokploy's own database runs beside the platform's, under a name that a search for "postgres" finds first.
_DOKPLOY_OWN = "dokploy-postgres"
_SWARM_SERVICE = "com.docker.swarm.service.name"
# /var/run is an absolute link in most images and would be resolved on the host.
_SOCKETS = "run/postgresql"


@dataclass(frozen=True)
class Container:
    """A running container.

    :param pid: of its first process, as this host counts.
    :param relay: kept for as long as the server is used; None when the container's own socket is.
    """

    id: str
    pid: int
    relay: Relay | None = None

    @property
    def root(self) -> str:
        """The container's root folder as seen from this host."""
        return f"/proc/{self.pid}/root"

    def output(self, *command: str) -> str | None:
        """What a program inside prints; None when it cannot be run there."""
        done = _docker("exec", self.id, *command)
        return done.stdout if done.returncode == 0 else None


def in_container(server: Server, name: str) -> Server:
    """The same server, reached inside of its container: over its socket for root, else through ``docker exec``.

    :param name: a container's name or id, or the name of a Swarm service.
    """
    container = find(name)
    folder = f"{container.root}/{_SOCKETS}"
    if os.path.exists(f"{folder}/.s.PGSQL.{server.port}") and os.access(folder, os.X_OK):
        return replace(server, host=folder, container=container)
    probe(container.id, server.port)
    relay = Relay(container.id, server.port)
    return replace(server, host=relay.folder, container=replace(container, relay=relay))


def find(name: str) -> Container:
    """The running container of that name or id, or the one of that Swarm service."""
    details = _inspect(name)
    pid = int(details.get("State", {}).get("Pid") or 0)
    own_name = str(details.get("Name", "")).lstrip("/")
    service = (details.get("Config", {}).get("Labels") or {}).get(_SWARM_SERVICE, "")
    if _DOKPLOY_OWN in (own_name.split(".", maxsplit=1)[0], service) and name not in (own_name, _DOKPLOY_OWN):
        raise PlatformError(
            f"Container {name} is {_DOKPLOY_OWN}, Dokploy's own database.",
            "Name the platform's database container; ask for dokploy-postgres by its full name if you mean it.",
        )
    if not pid:
        raise PlatformError(f"Container {name} is not running.", "Start it, then run this again.")
    return Container(str(details["Id"]), pid)


def _inspect(name: str) -> dict[str, Any]:
    details = _details(name) or _details(_task_of_service(name))
    if details:
        return details
    running = _listed("--format", "{{.Names}}")
    raise PlatformError(
        f"There is no container {name!r}, and no Swarm service of that name.",
        f"Running here: {', '.join(sorted(running)) or 'none'}.",
    )


def _details(name: str | None) -> dict[str, Any]:
    result = _docker("inspect", "--type", "container", name) if name else None
    found = json.loads(result.stdout) if result is not None and result.returncode == 0 else []
    return dict(found[0]) if found else {}


def _task_of_service(service: str) -> str | None:
    tasks = _listed("--quiet", "--filter", f"label={_SWARM_SERVICE}={service}")
    if len(tasks) > 1:
        raise PlatformError(f"Service {service} has {len(tasks)} containers.", "Name one of them by its id.")
    return tasks[0] if tasks else None


def _listed(*words: str) -> list[str]:
    done = _docker("ps", *words)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise PlatformError(
            f"Docker does not answer: {said}",
            "Run as root (become: true) or as a member of the group docker, and see that the daemon is running.",
        )
    return done.stdout.split()


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ("docker", *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        raise PlatformError(
            "The program docker is not on this host.",
            "The option container needs it; use login_host or login_unix_socket otherwise.",
        ) from None
    except subprocess.TimeoutExpired:
        raise PlatformError(f"'docker {words[0]}' did not answer within 30 s.", "Is the Docker daemon well?") from None
