# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's own clients from npm, unmodified: against the double they work, and fail, as against the real one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.lab.dokploy_world import World, until

PINNED = Path(__file__).parent / "npm"
CACHE = Path(__file__).parents[2] / ".build" / "cache" / "npm"
# Wrong pins are our fault; whatever else keeps npm from installing is the machine's.
OUR_FAULT = re.compile(r"npm (?:error|ERR!) code (EINTEGRITY|EUSAGE|ETARGET|EJSONPARSE)")
CHOSEN = re.compile(r"^npm_config_|_proxy$|^node_extra_ca_certs$")
OLDEST_NODE = 18

pytestmark = pytest.mark.slow


def run(*argv: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "NO_COLOR": "1", "NO_PROXY": "127.0.0.1", **variables}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def installed() -> Path:
    """The pinned clients, installed once for each set of pins."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("node and npm are not installed: Dokploy's own clients are not tried")
    version = run("node", "--version", cwd=PINNED).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is older than {OLDEST_NODE}: Dokploy's own clients are not tried")
    files = sorted(PINNED.iterdir())
    contents = b"".join(file.name.encode() + file.read_bytes() for file in files)
    folder = CACHE / hashlib.sha256(contents).hexdigest()[:16]
    if not folder.exists():
        _install(files, folder)
    return folder


def _install(files: list[Path], folder: Path) -> None:
    partial = folder.with_suffix(f".{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        for file in files:
            shutil.copy(file, partial)
        # Whoever chose a registry or a proxy did so by the environment, or in their own home, which `make` replaces.
        own = {name: value for name, value in os.environ.items() if CHOSEN.search(name.lower())}
        home = os.environ.get("USER_HOME", os.environ["HOME"])
        options = ("--ignore-scripts", "--no-audit", "--no-fund", f"--cache={CACHE / 'downloads'}")
        done = run("npm", "ci", *options, cwd=partial, **own, HOME=home)
        if OUR_FAULT.search(done.stderr):
            pytest.fail(done.stderr)
        if done.returncode:
            reasons = [line for line in done.stderr.splitlines() if line.startswith(("npm error", "npm ERR!"))]
            pytest.skip(f"npm could not install Dokploy's own clients here: {' '.join(reasons[:2])}")
        # Another test process may have been faster.
        with contextlib.suppress(OSError):
            partial.rename(folder)
        assert folder.exists()
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
