# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds as they go: their log grows, they clone branches and tags, and a restart leaves them where they were."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from lab.dokploy import repositories
from lab.dokploy.images import find
from tests.unit.lab.dokploy_world import GIT_URL, World, until

A, B = ({"sha": letter * 40, "message": letter, "version": letter} for letter in "ab")


def log(world: World, tail: int = 10000) -> str:
    return str(world.get("deployment.readLogs", deploymentId=world.deployments()[0]["deploymentId"], tail=tail))


def test_the_log_grows_while_a_long_build_runs(tmp_path: Path) -> None:
    with World(tmp_path, tempo=0.2) as world:
        world.from_git({**A, "build_seconds": 6})
        world.post("application.deploy")
        until(lambda: len(world.deployments()) == 2, "the record")
        seen = []

        def reaches_the_end() -> bool:
            seen.append(log(world))
            return world.deployments()[0]["status"] == "done"

        until(reaches_the_end, "the end of the build")
        stages = sorted({text.count("Step ") for text in seen})
        assert stages[-1] == 5
        assert len(stages) > 2
        assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
        assert log(world).endswith("✅ Docker build completed.\n")


def test_a_failed_build_tells_the_command_that_failed(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git({**A, "behaviour": "fail-build"})
        world.deployed("error")
        assert log(world, 5) == (
            "compiling\nThe command '/bin/sh -c echo compiling && false' returned a non-zero code: 1\n"
            "❌ Docker build failed\n\nError occurred ❌, check the logs for details.\n"
        )


def test_a_tag_can_be_cloned_and_a_sha_cannot(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(A, B)
        repositories.tag(world.double.model, GIT_URL, "v1", A["sha"])
        world.post("application.update", customGitBranch="v1")
        world.deployed()
        until(lambda: world.deployments()[0]["description"] == f"Commit: {A['sha']}", "the tagged commit")
        world.post("application.update", customGitBranch=A["sha"])
        world.deployed("error")
        assert f"fatal: Remote branch {A['sha']} not found in upstream origin\n" in log(world)


def test_a_build_outlives_a_restart_and_is_not_rolled_out(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git(A)
        world.deployed()
        latest = f"{world.name}:latest"
        world.serves(latest)
        before = world.tasks()
        repositories.push(world.double.model, GIT_URL, {**B, "build_seconds": 3600})
        world.post("application.deploy")
        world.post("application.deploy", title="lost")
        until(lambda: len(world.deployments()) == 3 and "Step 1/5" in log(world), "a build")
        world.double.restart()
        records = world.deployments()
        assert (len(records), records[0]["status"], records[0]["finishedAt"]) == (3, "cancelled", None)
        assert world.get("deployment.queueList") == []
        assert log(world).endswith("✅ Docker build completed.\n")
        assert [row["containerId"] for row in world.tasks()] == [row["containerId"] for row in before]
        image = find(world.double.model, latest)
        assert image is not None
        assert image.commit == B["sha"]


def test_a_kept_image_is_told_in_the_log(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.snapshots()
        world.from_git(A)
        world.deployed()
        assert "🔄 [Enabled Rollback Registry]\n" in log(world)
        assert log(world).endswith("✅ Image Pushed\n")
