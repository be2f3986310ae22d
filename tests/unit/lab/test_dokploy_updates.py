# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates of services: what the swarm does when the new version fails, and what a version does that is not right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import processes
from lab.dokploy import repositories
from lab.dokploy.images import Image, find
from lab.dokploy.model import Model, Row
from tests.unit.lab.dokploy_world import GIT_URL, World, until

OLD = "lab/api:1.4.0"
NEW = "lab/api:1.5.0"
CRASHES_BEFORE = 2.0


def failed(world: World) -> list[Row]:
    return [row for row in world.tasks() if row["currentState"].startswith("Failed")]


def serving(world: World) -> list[str]:
    return [row["containerId"] for row in world.tasks() if row["state"] == "running"]


def crashing(world: World, **settings: Any) -> None:
    world.post("application.update", dockerImage=f"{NEW}-crash", **settings)
    world.deployed()
    until(lambda: bool(failed(world)), "a failed task")


def test_a_roll_back_leaves_the_replicas_alone_that_the_update_had_not_reached(tmp_path: Path) -> None:
    with World(tmp_path, replicas=3, settle=CRASHES_BEFORE) as world:
        world.serves(OLD, OLD, OLD)
        before = set(serving(world))
        crashing(world)
        until(lambda: world.swarm_is_calm() and len(serving(world)) == 3, "all replicas again")
        world.serves(OLD, OLD, OLD)
        assert len(before & set(serving(world))) == 2
        assert {row["name"] for row in failed(world)} == {f"{world.name}.1"}


def test_a_paused_update_goes_on_failing_beside_the_old_replicas(tmp_path: Path) -> None:
    with World(tmp_path, replicas=2, settle=CRASHES_BEFORE) as world:
        world.serves(OLD, OLD)
        crashing(world, updateConfigSwarm={"FailureAction": "pause", "Order": "start-first"})
        until(lambda: len(failed(world)) >= 2, "another try")
        assert {row["name"] for row in failed(world)} == {f"{world.name}.1"}
        assert world.images() == [OLD]


def test_an_update_that_continues_takes_every_replica_down(tmp_path: Path) -> None:
    with World(tmp_path, replicas=2, settle=CRASHES_BEFORE) as world:
        world.serves(OLD, OLD)
        crashing(world, updateConfigSwarm={"FailureAction": "continue", "Order": "start-first"})
        until(lambda: {row["name"][-1] for row in failed(world)} == {"1", "2"}, "a failure of each replica")
        until(lambda: OLD not in world.images(), "the end of the old version")


def test_an_update_that_names_no_action_is_paused_and_stops_first(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.serves(OLD)
        crashing(world, updateConfigSwarm={"Parallelism": 1})
        until(lambda: len(failed(world)) >= 2, "another try")
        assert OLD not in world.images()


def test_the_swarms_default_was_to_pause_before_0_29(tmp_path: Path) -> None:
    with World(tmp_path, version="v0.28.8") as world:
        world.serves(OLD)
        crashing(world)
        until(lambda: len(failed(world)) >= 2, "another try")
        assert OLD not in world.images()


def test_a_roll_back_brings_the_replicas_of_before_too(tmp_path: Path) -> None:
    with World(tmp_path, replicas=1) as world:
        world.serves(OLD)
        crashing(world, replicas=2)
        until(lambda: world.swarm_is_calm() and serving(world) != [], "the old version")
        world.serves(OLD)


def test_a_good_version_after_a_bad_one_is_a_fresh_one(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.serves(OLD)
        crashing(world)
        world.serves(OLD)
        world.post("application.update", dockerImage=NEW)
        world.deployed()
        world.serves(NEW)


def test_the_image_id_tells_a_rebuilt_latest_from_the_one_before(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.from_git({"sha": "a" * 40, "message": "A", "version": "1"})
        world.deployed()
        latest = f"{world.name}:latest"
        world.serves(latest)
        first = image_ids(world)
        repositories.push(world.double.model, GIT_URL, {"sha": "b" * 40, "message": "B", "version": "2"})
        world.deployed()
        until(lambda: image_ids(world) != first and len(image_ids(world)) == 1, "another image")
        world.serves(latest)


def image_ids(world: World) -> set[str]:
    listed = world.get("docker.getContainersByAppNameMatch", appName=world.name)
    running = [row["containerId"] for row in listed if row["state"] == "running"]
    return {world.get("docker.getConfig", containerId=container)["Image"] for container in running}


@pytest.mark.parametrize("behaviour", ["slow", "wrong-version"])
def test_a_version_that_is_late_or_another_still_counts_as_running(behaviour: str, tmp_path: Path) -> None:
    with World(tmp_path) as world:
        commit = {"sha": "a" * 40, "message": "A", "version": "2", "behaviour": behaviour}
        world.from_git(commit)
        world.deployed()
        world.serves(f"{world.name}:latest")
        name = processes.recorded(tmp_path)[0]
        until(lambda: b"sleep\x00600" in cmdline(tmp_path, name), "the program behind the wait")
        seen = Path(f"/proc/{processes.pid_of(tmp_path, name)}/environ").read_bytes().split(b"\0")
        told = b"2" if behaviour == "slow" else b"0.0.0"
        assert {b"APP_VERSION=" + told, b"APP_BEHAVIOUR=ok"} <= set(seen)


def cmdline(state: Path, name: str) -> bytes:
    return Path(f"/proc/{processes.pid_of(state, name)}/cmdline").read_bytes()


@pytest.mark.parametrize(
    ("tag", "behaviour"),
    [
        ("1.5.0", "ok"),
        ("1.5.0-crash", "crash"),
        ("1.5.0-fail", "fail-integrity"),
        ("1.5.0-degraded", "degraded"),
        ("1.5.0-slow", "slow"),
        ("1.5.0-wrong-version", "wrong-version"),
    ],
)
def test_the_tag_of_a_pulled_image_says_what_it_does(tag: str, behaviour: str, tmp_path: Path) -> None:
    image = find(Model(tmp_path), f"lab/api:{tag}")
    assert isinstance(image, Image)
    assert (image.version, image.behaviour) == ("1.5.0", behaviour)


def test_an_image_that_nobody_pushed_is_not_found(tmp_path: Path) -> None:
    assert find(Model(tmp_path), "lab/api:nosuch-tag") is None
