# SPDX-License-Identifier: GPL-3.0-or-later
"""The deploy URLs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPErrorProcessor, Request, build_opener

from lab.dokploy import services
from tests.unit.lab.dokploy_world import World, until

SHA = "a" * 40
PUSH = {"ref": "refs/heads/main", "head_commit": {"id": SHA, "message": "feat: pushed"}}
COMMIT = {"sha": SHA, "message": "feat: pushed", "version": "2"}
GITHUB = {"X-GitHub-Event": "push"}


class _Redirects(HTTPErrorProcessor):
    """Dokploy says 301 without saying where to."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response


def call(world: World, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, str]:
    request = Request(
        f"{world.double.url}/api/deploy/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **(headers or {})},
    )
    try:
        with build_opener(_Redirects).open(request, timeout=20) as response:
            return response.status, json.loads(response.read())["message"]
    except HTTPError as error:
        return error.code, ""


def token(world: World) -> str:
    return str(world.application()["refreshToken"])


def test_a_push_of_the_branch_deploys_its_commit(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git({**COMMIT, "message": "another message", "build_seconds": 5})
        assert call(world, token(world), PUSH, GITHUB) == (200, "Application deployed successfully")
        until(lambda: len(world.deployments()) == 2, "the record")
        record = world.deployments()[0]
        assert (record["title"], record["description"]) == ("feat: pushed", f"Hash: {SHA}")
        until(lambda: world.deployments()[0]["title"] == "another message", "the title of what was cloned")
        assert world.deployments()[0]["description"] == f"Commit: {SHA}"


def test_a_push_of_another_branch_deploys_nothing(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(COMMIT)
        for body, headers in (({**PUSH, "ref": "refs/heads/next"}, GITHUB), (PUSH, None), ({}, None)):
            assert call(world, token(world), body, headers) == (301, "Branch Not Match")
        assert call(world, token(world), {}, {"X-GitHub-Event": "ping"})[0] == 200
        assert world.get("deployment.queueList") == []


def test_a_push_to_gitea_is_read_its_own_way(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git({**COMMIT, "build_seconds": 3600})
        body = {"ref": "refs/heads/main", "after": SHA, "commits": [{"message": "from gitea"}]}
        assert call(world, token(world), body, {"X-Gitea-Event": "push"})[0] == 200
        job = world.get("deployment.queueList")[0]["data"]
        assert (job["titleLog"], job["descriptionLog"]) == ("from gitea", f"Hash: {SHA}")


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.post("application.update", autoDeploy=False)
        status, message = call(world, token(world), {})
        assert (status, message) == (400, "Automatic deployments are disabled for this application")


def test_a_compose_service_has_an_url_of_its_own(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        model = world.double.model
        with model.change():
            row = services.add_compose(model, "c", world.seeded.environment_id, sourceType="raw")
        assert call(world, row["refreshToken"], {}) == (404, "Application Not Found")
        assert call(world, "compose/nosuch", {}) == (404, "Compose Not Found")
        assert call(world, f"compose/{row['refreshToken']}", {}) == (200, "Compose deployed successfully")
        job = world.get("deployment.queueList")[0]["data"]
        assert (job["titleLog"], job["composeId"]) == ("NEW CHANGES", row["composeId"])
