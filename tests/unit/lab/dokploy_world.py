# SPDX-License-Identifier: GPL-3.0-or-later
"""A double with one deployed application whose tasks are sleeping shells, and the means to call and watch it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from lab.dokploy import swarm
from lab.dokploy.kinds import KINDS
from lab.dokploy.model import Model, Row
from lab.dokploy.server import Double
from lab.dokploy.services import add_database
from lab.dokploy.versions import CURRENT

if TYPE_CHECKING:
    from lab.postgres import Server

# A crash comes when the predecessor has been ended.
SLEEPS_UNLESS_CRASHING = ("sh", "-c", 'test "$APP_BEHAVIOUR" = crash && sleep 0.3 && exit 3; exec sleep 600')
GIT_URL = "http://127.0.0.1:1/shop.git"


class World:
    """Use it in a with statement; its end leaves no process."""

    def __init__(
        self, state: Path, tempo: float = 0.02, version: str = CURRENT, settle: float = 0.1, **seed: Any
    ) -> None:
        self.state = state
        self.seeded = Model(state).seed(**seed)
        self.double = Double(state, tempo=tempo, task_command=SLEEPS_UNLESS_CRASHING, version=version)
        self._shell_starts_at_once = patch.object(swarm, "SHORTEST_SETTLE_SECONDS", settle)
        self.id = self.seeded.application_id
        self.name = self.seeded.app_name

    def __enter__(self) -> World:
        self._shell_starts_at_once.start()
        self.double.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.double.stop()
        self._shell_starts_at_once.stop()

    def get(self, procedure: str, key: str | None = None, **query: Any) -> Any:
        return self.send("GET", f"{procedure}?{urlencode(query)}", None, key)[1]

    def post(self, procedure: str, key: str | None = None, **fields: Any) -> Any:
        status, body = self.send("POST", procedure, {"applicationId": self.id, **fields}, key)
        assert status == 200, body
        return body

    def send(self, method: str, path: str, fields: Row | None = None, key: str | None = None) -> tuple[int, Any]:
        headers = {"x-api-key": key or self.seeded.api_key}
        if fields is not None:
            headers["Content-Type"] = "application/json"
        data = None if fields is None else json.dumps(fields).encode()
        request = Request(f"{self.double.url}/api/{path}", data, headers, method=method)
        try:
            with urlopen(request, timeout=20) as response:
                status, body = response.status, response.read()
        except HTTPError as error:
            status, body = error.code, error.read()
        return status, json.loads(body) if body else None

    def deployments(self) -> list[Row]:
        rows: list[Row] = self.get("deployment.all", applicationId=self.id)
        return rows

    def application(self) -> Row:
        row: Row = self.get("application.one", applicationId=self.id)
        return row

    def tasks(self) -> list[Row]:
        rows: list[Row] = self.get("docker.getServiceContainersByAppName", appName=self.name)
        return rows

    def images(self) -> list[str]:
        """Of the running tasks."""
        containers = self.get("docker.getContainersByAppNameMatch", appName=self.name)
        running = [row["containerId"] for row in containers if row["state"] == "running"]
        return [self.get("docker.getConfig", containerId=row)["Config"]["Image"] for row in running]

    def swarm_is_calm(self) -> bool:
        """No update is being taken back, and no task waits to be started."""
        service = self.double.model.tables["services"][self.name]
        return service["roll_back_at"] is None and all(row["state"] != "ready" for row in self.tasks())

    def newest_task_runs(self, image: str) -> bool:
        newest = self.get("docker.getContainersByAppNameMatch", appName=self.name)[0]
        config = self.get("docker.getConfig", containerId=newest["containerId"])["Config"]
        return bool(newest["state"] == "running" and config["Image"] == image)

    def serves(self, *images: str) -> None:
        until(lambda: sorted(self.images()) == sorted(images), f"{images} to run, not {self.images()}")

    def deployed(self, status: str = "done", **fields: Any) -> Row:
        """Deploys and waits until the application has the status; the record of the deployment."""
        known = {row["deploymentId"] for row in self.deployments()}
        self.post("application.deploy", **fields)

        def finished() -> bool:
            new = [row for row in self.deployments() if row["deploymentId"] not in known]
            return bool(new) and new[0]["status"] == status and self.application()["applicationStatus"] == status

        until(finished, f"a deployment that ends {status}")
        return self.deployments()[0]

    def from_git(self, *commits: Row) -> None:
        """Makes the application one that is built from these commits, the last of which is the head of main."""
        with self.double.model.change():
            self.double.model.tables["repositories"][GIT_URL] = {"main": list(commits)}
            self.double.model.tables["applications"][self.id].update(
                sourceType="git", customGitUrl=GIT_URL, customGitBranch="main"
            )

    def publish(self, server: Server, database: str, name: str = "db") -> Row:
        """A PostgreSQL of Dokploy's that is in truth the lab's, reached through a published port."""
        login = {"databaseUser": server.app.user, "databasePassword": server.app.password}
        model = self.double.model
        with model.change():
            environment = self.seeded.environment_id
            row = add_database(model, KINDS["postgres"], name, environment, name, databaseName=database, **login)
            row.update(externalPort=server.settings.port, applicationStatus="done")
        return row

    def snapshots(self) -> None:
        """Switches rollbacks on, with a registry to keep them in."""
        registry = {"registryId": "r", "registryUrl": "127.0.0.1:5000", "username": "lab", "password": "p"}
        with self.double.model.change():
            self.double.model.tables["registries"]["r"] = registry
        self.post("application.update", rollbackActive=True, rollbackRegistryId="r")


def until(holds: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)
