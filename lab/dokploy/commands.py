# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that Dokploy runs, run for real: in the environment of a container, or on the server itself."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.dokploy import images
from lab.dokploy.images import Image
from lab.dokploy.model import Model
from lab.dokploy.swarm import Swarm, environment_of, inherited_environment
from lab.dokploy.tasks import Task

_UNKNOWN_IMAGE = Image("", "")


@dataclass(frozen=True)
class Run:
    """Output and errors in one, as in a log."""

    ok: bool
    output: str


def container_of(swarm: Swarm, service: str) -> Task | None:
    """The newest that runs."""
    mine = (task for task in swarm.containers(service) if task.service == service)
    return next((task for task in mine if task.state == "Running"), None)


def in_container(model: Model, task: Task, shell: str, command: str) -> Run:
    """`docker exec`: with what the application's process sees, though not in its folder."""
    with model.lock:
        image = images.find(model, task.spec.image) or _UNKNOWN_IMAGE
    return _run([shell, "-c", command], environment_of(task.spec, image))


def on_server(script: str) -> Run:
    return _run(["bash", "-c", script], inherited_environment())


def _run(argv: Sequence[str], env: Mapping[str, str]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            argv,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    return Run(done.returncode == 0, done.stdout)
