# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's own clients from npm, unmodified: against the double they work, and fail, as against the real one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import npm
from tests.npm import run
from tests.unit.lab.dokploy_world import World, until

PINNED = Path(__file__).parent / "npm"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed() -> Path:
    return npm.installed(PINNED, "Dokploy's own client")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("state")) as world:
        yield world


@pytest.fixture
def dokploy(installed: Path, world: World) -> Any:
    """The command line client, with the owner's key unless another is given."""

    def call(*arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
        login = {"DOKPLOY_URL": world.double.url, "DOKPLOY_API_KEY": key or world.seeded.api_key}
        return run(str(installed / "node_modules" / ".bin" / "dokploy"), *arguments, cwd=installed, **login)

    return call


def test_a_call_without_parameters(dokploy: Any) -> None:
    done = dokploy("project", "all")
    assert done.returncode == 0
    assert [project["name"] for project in json.loads(done.stdout)] == ["vedfinance"]


@pytest.mark.parametrize("command", [("application", "one"), ("deployment", "all")])
def test_a_query_with_parameters_fails_for_want_of_the_wrapper(
    dokploy: Any, world: World, command: tuple[str, str]
) -> None:
    done = dokploy(*command, "--applicationId", world.id)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Request failed with status code 400" in done.stderr


def test_a_mutation_prints_its_answer(dokploy: Any, world: World) -> None:
    done = dokploy("project", "create", "--name", "shop")
    assert done.returncode == 0
    assert json.loads(done.stdout)["project"]["name"] == "shop"
    assert "shop" in [project["name"] for project in world.get("project.all")]


def test_a_deploy_prints_the_envelope_and_returns_at_once(dokploy: Any, world: World) -> None:
    done = dokploy("application", "deploy", "--applicationId", world.id, "--title", "through the cli")
    assert done.returncode == 0
    assert json.loads(done.stdout)["result"]["data"]["json"] is None
    until(lambda: world.deployments()[0]["title"] == "through the cli", "the deployment")


def test_errors_tell_no_more_than_their_status(dokploy: Any, world: World) -> None:
    for arguments, status in ((("application", "stop", "--applicationId", "nope"), 404), (("project", "all"), 401)):
        done = dokploy(*arguments, key="wrong" if status == 401 else None)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.strip() == f"Request failed with status code {status}"


def test_the_sdk_with_options_for_each_call(installed: Path, world: World) -> None:
    login = {"DOKPLOY_URL": world.double.url, "DOKPLOY_API_KEY": world.seeded.api_key, "APPLICATION_ID": world.id}
    done = run(str(installed / "node_modules" / ".bin" / "tsx"), "calls.mts", cwd=installed, **login)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "vedfinance" in [project["name"] for project in told["projects"]["data"]]
    assert told["one"]["data"]["appName"] == world.name
    assert (told["unknown"]["status"], told["unknown"]["error"]["message"]) == (404, "Application not found")
    assert (told["deploy"]["status"], told["deploy"]["data"]) == (200, {})
    until(lambda: "through the sdk" in [row["title"] for row in world.deployments()], "the deployment")
