# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloudflare's own client, unmodified from npm: it lists what the double of Pages has, and takes a refusal for one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import npm
from tests.unit.lab.pages_world import World, commit

PINS = Path(__file__).parent / "npm-wrangler"
OLDEST_NODE = 20
#: Of the runtime that it can start, which is large and not needed here, wrangler only wants to know where it is.
RUNTIMES = ("linux-64", "linux-arm64", "darwin-64", "darwin-arm64")

Wrangler = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed() -> Path:
    return npm.installed(PINS, "wrangler", oldest_node=OLDEST_NODE, options=("--omit=optional",))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("pages")) as world:
        world.built("a", "b")
        world.built("c", behaviour="fail")
        world.built("d", branch="hotfix/charts")
        yield world


@pytest.fixture(scope="module")
def wrangler(installed: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    home = tmp_path_factory.mktemp("home")
    # It looks for a newer version of itself.
    (home / ".npmrc").write_text("registry=http://127.0.0.1:9/\n")
    for runtime in RUNTIMES:
        folder = home / "runtimes" / "@cloudflare" / f"workerd-{runtime}" / "bin"
        folder.mkdir(parents=True)
        (folder / "workerd").touch()

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return npm.run(
            "node",
            str(installed / "node_modules" / "wrangler" / "bin" / "wrangler.js"),
            *arguments,
            cwd=home,
            NODE_PATH=str(home / "runtimes"),
            CI="true",
            WRANGLER_SEND_METRICS="false",
            CLOUDFLARE_API_BASE_URL=world.double.url,
            CLOUDFLARE_ACCOUNT_ID=world.seeded.account_id,
            CLOUDFLARE_API_TOKEN=world.seeded.read_token,
            **variables,
        )

    return call


def test_it_lists_the_project(wrangler: Wrangler, world: World) -> None:
    done = wrangler("pages", "project", "list", "--json")
    assert done.returncode == 0, done.stderr
    (project,) = json.loads(done.stdout)
    assert project["Project Name"] == world.seeded.project
    assert project["Git Provider"] == "Yes"
    assert "app.example.com" in project["Project Domains"]


def test_it_lists_the_deployments_of_production(wrangler: Wrangler, world: World) -> None:
    done = wrangler(
        "pages", "deployment", "list", "--project-name", world.seeded.project, "--environment", "production", "--json"
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert [row["Id"] for row in listed] == [row["id"] for row in world.rows if row["environment"] == "production"]
    assert [row["Source"] for row in listed] == [commit(digit)[:7] for digit in "cba"]
    assert listed[0]["Status"] == "Failure"
    assert (listed[1]["Environment"], listed[1]["Branch"]) == ("Production", "main")
    assert listed[1]["Deployment"].endswith(f".{world.seeded.project}.pages.dev")


def test_it_understands_a_refusal(wrangler: Wrangler) -> None:
    """It colours its messages with a program that is not installed either; its log tells what it took it for."""
    done = wrangler("pages", "deployment", "list", "--project-name", "other", WRANGLER_LOG="debug")
    assert done.returncode == 1
    assert "CF API RESPONSE: Not Found 404" in done.stdout
    assert '"errorType":"APIError"' in done.stdout
