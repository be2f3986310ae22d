# SPDX-License-Identifier: GPL-3.0-or-later
"""Real repositories: what Dokploy builds from them, and how their hook tells of a push."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab import git
from lab.dokploy import repositories
from lab.dokploy.images import find
from lab.git import Git
from lab.pages.model import seed
from lab.pages.server import Double
from lab.releases import Change, commit
from tests.unit.lab.dokploy_world import World, until

FREE_PORT_OF_NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a lab is; its name has what a shell would take apart."""
    folder = tmp_path / "a lab's state"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(state: Path) -> dict[str, str]:
    return git.create(state)


def checkout_of(repository: dict[str, str]) -> Git:
    return Git(Path(repository["checkout"]))


def from_origin(world: World, repository: dict[str, str], **columns: Any) -> None:
    world.post(
        "application.update",
        **{
            "sourceType": "git", "customGitUrl": Path(repository["origin"]).as_uri(), "customGitBranch": "main",
            "customGitBuildPath": "/apps/api", **columns,
        },
    )  # fmt: skip


# -- the repository ------------------------------------------------------------------------------------------------


def test_a_new_repository_has_a_history_by_the_rule_and_a_clean_checkout(repository: dict[str, str]) -> None:
    checkout = checkout_of(repository)
    assert [commit.subject for commit in checkout.log()] == ["(ved-101) release 1.4.0", "(ved-100) release 1.3.0"]
    assert checkout("status", "--porcelain") == ""
    assert Git(Path(repository["origin"])).log() == checkout.log()
    assert checkout("rev-parse", "--abbrev-ref", "main@{upstream}").strip() == "origin/main"


def test_what_its_user_has_configured_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a home without an identity, nor one that signs, nor variables that a hook of another repository sets."""
    (tmp_path / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nowhere\n")
    for name, value in {"HOME": str(tmp_path), "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/index"}.items():
        monkeypatch.setenv(name, value)
    state = tmp_path / "state"
    state.mkdir()
    assert len(checkout_of(git.create(state)).log()) == 2


def test_the_gates_of_the_repository_pass_and_can_fail(repository: dict[str, str]) -> None:
    folder = Path(repository["checkout"])

    def passes(gate: str) -> bool:
        return (
            subprocess.run(["sh", f"scripts/{gate}.sh"], cwd=folder, capture_output=True, check=False).returncode == 0
        )

    assert passes("test")
    assert passes("lint")
    page = folder / "apps/web/src/index.html"
    page.write_text(page.read_text() + "<p>blanks </p> \n")
    assert not passes("lint")
    for version in ("1.4", "1.4.x", "1.4.0.1", "", "1..4"):
        (folder / git.VERSION_FILE).write_text(version)
        assert not passes("test")
    (folder / git.VERSION_FILE).write_text("1.4.1")
    assert passes("test")
    (folder / "apps/api/prisma/migrations/20260101_too_short").mkdir()
    assert not passes("test")


# -- what Dokploy builds -------------------------------------------------------------------------------------------


def test_the_head_of_the_branch_is_built_with_its_sha_message_and_files(
    tmp_path: Path, repository: dict[str, str]
) -> None:
    checkout = checkout_of(repository)
    (checkout.folder / git.VERSION_FILE).write_text("2.0.0\n")
    (checkout.folder / git.BEHAVIOUR_FILE).write_text("degraded\n")
    sha = checkout.commit("(ved-7) charts\n\nWith a body.")
    checkout("push", "--quiet")
    with World(tmp_path / "dokploy") as world:
        from_origin(world, repository)
        world.deployed()
        until(lambda: world.deployments()[0]["description"] == f"Commit: {sha}", "the title of what was cloned")
        assert world.deployments()[0]["title"] == "(ved-7) charts\n\nWith a body."
        image = find(world.double.model, f"{world.name}:latest")
        assert image
        assert (image.version, image.commit, image.behaviour) == ("2.0.0", sha, "degraded")


def test_a_build_that_fails_and_one_without_a_version(tmp_path: Path, repository: dict[str, str]) -> None:
    checkout = checkout_of(repository)
    with World(tmp_path / "dokploy") as world:
        from_origin(world, repository)
        (checkout.folder / git.BEHAVIOUR_FILE).write_text("fail-build\n")
        checkout.commit("fails")
        checkout("push", "--quiet")
        world.deployed("error")
        from_origin(world, repository, customGitBuildPath="/apps/web")
        world.deployed("error")
        from_origin(world, repository, customGitBranch="nosuch")
        world.deployed("error")
        newest = world.deployments()[0]["deploymentId"]
        assert "Remote branch nosuch not found" in world.get("deployment.readLogs", deploymentId=newest, tail=20)


def test_a_tag_is_found_and_a_sha_is_not(tmp_path: Path, repository: dict[str, str]) -> None:
    origin = Path(repository["origin"])
    first = checkout_of(repository).log("--reverse")[0].sha
    Git(origin)("tag", "v1.3.0", first)
    with World(tmp_path / "dokploy") as world:
        for url in (str(origin), origin.as_uri()):
            found = repositories.head(world.double.model, url, "v1.3.0", "apps/api")
            assert found
            assert (found["sha"], found["version"]) == (first, "1.3.0")
            assert repositories.head(world.double.model, url, first, "apps/api") is None
        assert repositories.head(world.double.model, "https://example.invalid/x.git", "main") is None
        assert repositories.head(world.double.model, "file:///nowhere.git", "main") is None


# -- commits -------------------------------------------------------------------------------------------------------


def test_a_commit_brings_a_version_a_behaviour_and_a_migration(tmp_path: Path, repository: dict[str, str]) -> None:
    sql = tmp_path / "add_badges.sql"
    sql.write_text("CREATE TABLE badges ();\n")
    checkout = checkout_of(repository)
    description: dict[str, Any] = {"git": repository}
    for behaviour in ("crash", "ok"):
        told = list(commit(description, Change(behaviour=behaviour, migration=sql if behaviour == "ok" else None)))
        assert f"commit {checkout.log()[0].sha}" in told[-1]
        assert (checkout.folder / git.BEHAVIOUR_FILE).read_text() == f"{behaviour}\n"
    assert (checkout.folder / git.VERSION_FILE).read_text() == "1.4.2\n"
    newest = max((checkout.folder / "apps/api/prisma/migrations").glob("*/migration.sql"))
    assert newest.parent.name.endswith("_add_badges")
    assert newest.read_text() == sql.read_text()
    assert Git(Path(repository["origin"])).log()[0].subject == "(ved-101) release 1.4.0"
    list(commit(description, Change(version="2.0.0", message="as it is"), push=True))
    assert Git(Path(repository["origin"])).log()[0].message == "as it is"


# -- the hook ------------------------------------------------------------------------------------------------------


@contextmanager
def told_of_pushes(state: Path, repository: dict[str, str], world: World) -> Iterator[Double]:
    """The two doubles, as lab.json describes them."""
    seeded = seed(state)
    with Double(state, tempo=0.01) as cloudflare:
        describe(state, repository, world, cloudflare.origin)
        assert seeded.project
        yield cloudflare


def describe(state: Path, repository: dict[str, str], world: World, pages_url: str) -> None:
    dokploy = {"url": world.double.url, "api_key": world.seeded.api_key, "application_id": world.id}
    description = {"git": repository, "dokploy": dokploy, "pages": {"url": pages_url}}
    (state / "lab.json").write_text(json.dumps(description))


def push(repository: dict[str, str], *arguments: str) -> str:
    """What git shows; the push itself has succeeded."""
    command = ["git", "-C", repository["checkout"], "push", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr


def test_a_push_is_told_to_dokploy_and_to_pages(tmp_path: Path, state: Path, repository: dict[str, str]) -> None:
    description: dict[str, Any] = {"git": repository}
    list(commit(description, Change()))
    list(commit(description, Change(frontend="fail", message="(ved-8) newest\n\nbody")))
    with World(tmp_path / "dokploy") as world, told_of_pushes(state, repository, world) as cloudflare:
        from_origin(world, repository)
        shown = push(repository, "origin", "main")
        assert "remote: Dokploy: 200 Application deployed successfully" in shown
        assert "remote: Cloudflare Pages: 200" in shown
        head = checkout_of(repository).log()[0]
        until(lambda: world.deployments()[0]["description"] == f"Commit: {head.sha}", "the deployment")
        (built,) = cloudflare.model.deployments
        assert (built["branch"], built["commit"], built["message"]) == ("main", head.sha, head.message)
        assert built["behaviour"] == "fail"


def test_another_branch_is_a_preview_and_nothing_for_dokploy(
    tmp_path: Path, state: Path, repository: dict[str, str]
) -> None:
    with World(tmp_path / "dokploy") as world, told_of_pushes(state, repository, world) as cloudflare:
        from_origin(world, repository)
        before = len(world.deployments())
        assert "Dokploy: 301 Branch Not Match" in push(repository, "origin", "main:hotfix/x")
        assert [row["environment"] for row in cloudflare.model.deployments] == ["preview"]
        assert "remote:" not in push(repository, "origin", ":hotfix/x")
        assert "remote:" not in push(repository, "origin", "main:refs/tags/v1")
        assert len(cloudflare.model.deployments) == 1
        assert len(world.deployments()) == before


def test_what_is_deployed_from_an_image_is_not_told(tmp_path: Path, state: Path, repository: dict[str, str]) -> None:
    with World(tmp_path / "dokploy") as world, told_of_pushes(state, repository, world):
        list(commit({"git": repository}, Change()))
        assert "Dokploy" not in push(repository, "origin", "main")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("not json")])
def test_a_push_succeeds_when_nobody_can_be_told(
    state: Path, repository: dict[str, str], damage: Callable[[Path], object]
) -> None:
    dokploy = {"url": FREE_PORT_OF_NOBODY, "api_key": "k", "application_id": "a"}
    description = {"git": repository, "dokploy": dokploy, "pages": {"url": FREE_PORT_OF_NOBODY}}
    path = state / "lab.json"
    path.write_text(json.dumps(description))
    list(commit({"git": repository}, Change()))
    shown = push(repository, "origin", "main")
    assert "Dokploy: http://127.0.0.1:1/" in shown
    assert "Cloudflare Pages: http://127.0.0.1:1/" in shown
    damage(path)
    list(commit({"git": repository}, Change()))
    push(repository, "origin", "main")
    assert Git(Path(repository["origin"])).log() == checkout_of(repository).log()
