# SPDX-License-Identifier: GPL-3.0-or-later
"""dokploy_rollback and its policy over real HTTP, against the double and its real processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import deploy, rollback, verdict
from ansible_collections.vedfinance.platform.plugins.modules import (
    dokploy_application_rollback_policy,
    dokploy_rollback,
)

from lab.dokploy import keys
from tests.unit.lab.dokploy_world import World as DoubleWorld
from tests.unit.lab.dokploy_world import until
from tests.unit.lab.test_dokploy_compose import from_git
from tests.unit.plugins.run_module import run_main

SECRET = "s3cr3t-of-the-env"
OLD, NEW, BAD = "lab/api:1.4.0", "lab/api:1.5.0", "lab/api:1.6.0-crash"
SHAS = {"1": "1" * 40, "2": "2" * 40, "3": "3" * 40}


def commit(version: str, **more: Any) -> dict[str, Any]:
    return {"sha": SHAS[version], "message": f"feat: {version}", "version": version, "build_seconds": 0.1, **more}


class World(DoubleWorld):
    """The double, with the modules to be run against it."""

    capsys: pytest.CaptureFixture[str]

    def run(self, main: Callable[[], None], check: bool, **options: Any) -> dict[str, Any]:
        given = {
            "dokploy_url": self.double.url,
            "dokploy_api_key": self.seeded.api_key,
            "application_id": self.id,
            **options,
        }
        result = run_main(main, self.capsys, given, check)
        assert SECRET not in json.dumps(result)
        assert self.seeded.api_key not in json.dumps(result)
        return result

    def rollback(self, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.run(dokploy_rollback.main, check, **{"stable_for": 0.3, "wait_timeout": 20, **options})

    def policy(self, **options: Any) -> dict[str, Any]:
        return self.run(dokploy_application_rollback_policy.main, False, **options)

    def release(self, image: str, **fields: Any) -> dict[str, Any]:
        self.post("application.update", dockerImage=image)
        return self.deployed(**fields)

    def push(self, *commits: dict[str, Any]) -> dict[str, Any]:
        """The record of the last one, when it bears its commit's message."""
        self.from_git(*commits)
        self.deployed()
        title = commits[-1]["message"]
        until(lambda: self.deployments()[0]["title"] == title, "the commit's title")
        return self.deployments()[0]

    def tag(self, name: str, *commits: dict[str, Any]) -> None:
        with self.double.model.change():
            next(iter(self.double.model.tables["repositories"].values()))[name] = list(commits)

    def snapshot_image(self, version: int) -> str:
        return f"127.0.0.1:5000/lab/{self.name}:v{version}"


@pytest.fixture
def start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    monkeypatch.setattr(deploy, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(verdict, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(rollback, "POLL_SECONDS", 0.05)
    with ExitStack() as stack:

        def start(**seed: Any) -> World:
            world = World(tmp_path, env=f"APP_SECRET={SECRET}", **seed)
            world.capsys = capsys
            stack.enter_context(world)
            if seed.get("replicas") != 0:
                world.serves(OLD)
            return world

        yield start


def test_a_snapshot_is_brought_back_once_and_proved(start: Callable[..., World]) -> None:
    world = start()
    world.snapshots()
    good = world.release(OLD)
    world.post("application.update", env=f"APP_SECRET={SECRET}\nLIMIT=1")
    world.release(NEW)
    world.serves(NEW)

    planned = world.rollback(check=True)
    assert (planned["changed"], planned["strategy"], planned["sticky"]) == (True, "snapshot", False)
    assert planned["environment_changes"] == {"added": [], "removed": ["LIMIT"], "changed": []}
    world.serves(NEW)

    done = world.rollback()
    assert (done["changed"], done["verdict"]["serving"]) == (True, True)
    assert (done["from"]["image"], done["to"]["image"]) == (NEW, world.snapshot_image(1))
    assert done["to"]["deployment"] == good["deploymentId"]
    assert "It does not last" in json.dumps(done["warnings"])
    assert "or pin it (option pin; rollback_pin of the playbook)" in json.dumps(done["warnings"])
    world.serves(world.snapshot_image(1))

    again = world.rollback()
    assert (again["changed"], again["to"]["deployment"]) == (False, good["deploymentId"])
    assert [target["serving"] for target in again["targets"]] == [False, True, False]

    # What has no record is undone by a reload; the memory of it leads to the same version again.
    world.post("application.reload", appName=world.name)
    world.serves(NEW)
    pinned = world.rollback(pin=True)
    assert (pinned["changed"], pinned["sticky"]) == (True, True)
    assert pinned["stored"] == {"dockerImage": {"before": NEW, "after": OLD}}
    world.post("application.reload", appName=world.name)
    world.serves(OLD)
    assert world.rollback()["changed"] is False
    unpinned = world.rollback(state="unpinned")
    assert unpinned["stored"] == {"dockerImage": {"before": OLD, "after": NEW}}
    assert world.application()["dockerImage"] == NEW


def test_a_failed_build_is_no_target_and_does_not_count(start: Callable[..., World]) -> None:
    world = start()
    world.snapshots()
    world.release(OLD)
    world.release(NEW)
    failed = world.release("lab/api:nosuch", status="error")
    refused = world.rollback(to=failed["deploymentId"])
    assert "its build ended with error, so that there is no image of it" in refused["msg"]
    assert world.rollback()["to"]["image"] == world.snapshot_image(1)


def test_an_image_that_is_gone_is_no_success(start: Callable[..., World]) -> None:
    world = start()
    world.snapshots()
    good = world.release(OLD)
    world.release(NEW)
    world.serves(NEW)
    with world.double.model.change():
        del world.double.model.tables["images"][world.snapshot_image(1)]
    description = world.application()["description"]
    result = world.rollback(to=good["deploymentId"])
    assert result["failed"]
    assert "No such image" in result["msg"]
    assert not result["verdict"]["serving"]
    world.serves(NEW)
    assert world.application()["description"] == description


def test_a_docker_source_goes_back_by_its_tag(start: Callable[..., World]) -> None:
    world = start()
    world.release(NEW)
    world.serves(NEW)
    listed = world.rollback(state="listed")
    assert [(target["image"], target["serving"]) for target in listed["targets"]] == [(NEW, True), (OLD, False)]

    done = world.rollback()
    assert (done["strategy"], done["sticky"], done["to"]["image"]) == ("image", True, OLD)
    assert done["stored"] == {"dockerImage": {"before": NEW, "after": OLD}}
    world.serves(OLD)
    again = world.rollback()
    assert (again["changed"], again["to"]["image"]) == (False, OLD)
    assert world.rollback(to="1.5.0")["to"]["image"] == NEW
    world.serves(NEW)
    assert world.rollback(to="lab/api:1.3.0")["to"]["image"] == "lab/api:1.3.0"
    world.serves("lab/api:1.3.0")


def test_a_version_that_swarm_reverted_is_taken_out_of_dokploy(start: Callable[..., World]) -> None:
    world = start()
    world.release(NEW)
    world.serves(NEW)
    world.release(BAD)
    until(lambda: any("non-zero exit" in task["error"] for task in world.tasks()), "the crash")
    world.serves(NEW)
    done = world.rollback()
    assert (done["from"]["image"], done["to"]["image"], done["changed"]) == (NEW, NEW, True)
    assert world.application()["dockerImage"] == NEW
    assert world.rollback()["changed"] is False


def test_an_image_that_crashes_or_is_gone_is_put_back(start: Callable[..., World]) -> None:
    world = start()
    description = world.application()["description"]
    for image, told in ((BAD, "does not serve"), ("lab/api:nosuch", "not found")):
        result = world.rollback(to=image)
        assert result["failed"]
        assert told in result["msg"]
        assert "The stored image is lab/api:1.4.0 again" in result["msg"]
        world.serves(OLD)
        application = world.application()
        assert (application["dockerImage"], application["description"]) == (OLD, description)


def test_a_tag_in_git_is_built_again(start: Callable[..., World]) -> None:
    world = start()
    world.push(commit("1"))
    world.push(commit("1"), commit("2"))
    refused = world.rollback()
    assert "dokploy_application_rollback_policy" in refused["msg"]
    assert f"Push a branch or tag that is at {SHAS['1']}" in refused["msg"]
    assert "takes branches and tags only" in world.rollback(git_ref=SHAS["1"])["msg"]

    world.tag("v1", commit("1"))
    done = world.rollback(to=SHAS["1"][:7], git_ref="v1")
    assert (done["strategy"], done["sticky"], done["to"]["commit"]) == ("git", True, SHAS["1"])
    assert done["stored"] == {"customGitBranch": {"before": "main", "after": "v1"}}
    assert world.rollback(to=SHAS["1"][:7], git_ref="v1")["changed"] is False

    wrong = world.rollback(to=SHAS["2"], git_ref="main", check=True)
    assert wrong["changed"]
    world.tag("v3", commit("3"))
    wrong = world.rollback(to=SHAS["2"], git_ref="v3")
    assert f"Dokploy built commit {SHAS['3']} instead of {SHAS['2']}" in wrong["msg"]
    assert world.application()["customGitBranch"] == "v1"

    assert world.rollback(state="unpinned")["stored"] == {"customGitBranch": {"before": "v1", "after": "main"}}
    assert world.application()["customGitBranch"] == "main"
    assert world.rollback(state="unpinned")["changed"] is False


def test_with_the_policy_the_next_one_is_possible(start: Callable[..., World]) -> None:
    world = start()
    world.push(commit("1"))
    assert "Dokploy has no registry" in world.policy()["msg"]
    login = {"registryUrl": "127.0.0.1:5000", "registryType": "cloud", "imagePrefix": None}
    world.post("registry.create", registryName="snapshots", username="lab", password=SECRET, **login)
    assert world.policy(registry="snapshots")["changed"]
    assert world.policy()["changed"] is False
    world.push(commit("1"))
    world.push(commit("1"), commit("2"))
    done = world.rollback(pin=True)
    assert (done["strategy"], done["sticky"], done["to"]["commit"]) == ("snapshot", False, SHAS["1"])
    assert done["stored"] == {"autoDeploy": {"before": True, "after": False}}
    assert "no push does it" in json.dumps(done["warnings"])
    assert world.rollback(pin=True)["changed"] is False
    world.rollback(state="unpinned")
    assert world.application()["autoDeploy"] is True
    assert world.rollback()["changed"] is False


def test_a_build_that_would_undo_it_is_refused_or_awaited(start: Callable[..., World]) -> None:
    world = start()
    world.push(commit("1"))
    world.from_git(commit("1"), commit("2", build_seconds=1 / 0.02))
    world.post("application.deploy", title="slow")
    until(lambda: world.deployments()[0]["status"] == "running", "the build")
    world.tag("v1", commit("1"))
    assert "has builds under way, which would undo a rollback" in world.rollback(git_ref="v1")["msg"]
    assert "It would wait for" in json.dumps(world.rollback(True, git_ref="v1", wait_for_builds=True)["warnings"])
    assert "is still being built after" in world.rollback(git_ref="v1", wait_for_builds=True, wait_timeout=0)["msg"]
    done = world.rollback(git_ref="v1", wait_for_builds=True)
    assert (done["changed"], done["to"]["commit"]) == (True, SHAS["1"])
    assert world.rollback(git_ref="v1")["changed"] is False


def test_what_is_stopped_stays_stopped(start: Callable[..., World]) -> None:
    world = start()
    world.release(NEW)
    world.serves(NEW)
    world.post("application.stop")
    assert "is stopped, and a rollback would start it" in world.rollback()["msg"]
    world.serves()
    world.post("application.update", replicas=0)
    world.post("application.reload", appName=world.name)
    assert "dokploy_service, state=running" in world.rollback()["msg"]


def test_a_compose_service_goes_back_by_a_tag_only(start: Callable[..., World]) -> None:
    world = start(replicas=0)
    files = {version: f"services:\n  web:\n    image: lab/web:{version}\n" for version in "12"}
    commits = [commit(version, compose_file=file) for version, file in files.items()]
    compose = from_git(world, *commits)
    compose.deployed()
    given = {"application_id": None, "compose_id": compose.id}
    assert "Dokploy keeps no former versions of a compose service" in world.rollback(to=SHAS["2"], **given)["msg"]
    world.tag("v1", commits[0])
    done = world.rollback(git_ref="v1", **given)
    assert (done["changed"], done["strategy"], done["to"]["commit"]) == (True, "git", SHAS["1"])
    assert done["verdict"]["serving"], done["msg"]
    assert done["compose"]["git_ref"] == "v1"
    assert done["verdict"]["images"] == ["lab/web:1"]
    assert world.rollback(git_ref="v1", **given)["changed"] is False
    assert world.rollback(state="unpinned", **given)["compose"]["git_ref"] == "main"


def test_what_may_not_be_looked_at_is_not_called_a_success(start: Callable[..., World]) -> None:
    world = start()
    world.snapshots()
    world.release(OLD)
    world.release(NEW)
    world.serves(NEW)
    organization = world.get("project.all")[0]["organizationId"]
    with world.double.model.change():
        table = world.double.model.tables["keys"]
        member = keys.add(table, organization_id=organization, role="member", services=(world.id,))
    result = world.rollback(dokploy_api_key=member)
    assert result["failed"]
    assert "may not read Docker" in result["msg"]
    assert result["changed"]
    assert not world.application()["description"]
    world.serves(world.snapshot_image(1))
    # What one without the permission could not see, another can.
    assert world.rollback()["changed"] is False


def test_somebody_elses_rollback_is_not_flipped(start: Callable[..., World]) -> None:
    world = start()
    world.snapshots()
    first = world.release(OLD)
    world.release("lab/api:1.4.1")
    world.release(NEW)
    world.post("rollback.rollback", rollbackId=first["rollbackId"])
    world.serves(world.snapshot_image(1))
    refused = world.rollback()
    assert "somebody rolled it back already" in refused["msg"]
    assert [target["serving"] for target in refused["targets"]] == [False, False, True, False]
    assert world.rollback(to="1.4.1")["to"]["image"] == world.snapshot_image(2)
    # Now it is known which one was left, and for which.
    assert world.rollback()["changed"] is False
