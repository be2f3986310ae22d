# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way is taken, what it changes, and what is refused, before anything is sent."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Application, Compose
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_marker import Marker
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_plan import (
    Plan,
    Scene,
    choose_strategy,
    make_plan,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_targets import (
    Snapshot,
    Target,
    mark_serving,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import APP_NAME, row
from tests.unit.plugins.rollback_answers import COMMITS, git_row

NOW = "2026-11-22T02:00:00Z"
LATEST = f"{APP_NAME}:latest"
SNAPSHOT = Snapshot("r1", f"{APP_NAME}:v1", replicas=2, variables={"A": "1", "OLD": "s3cr3t"})
IN_REGISTRY = f"127.0.0.1:5000/lab/{APP_NAME}:v1"


def docker(**columns: Any) -> Application:
    return Application.from_row(row(dockerImage="lab/api:2", autoDeploy=True, **columns))


def git(**columns: Any) -> Application:
    return Application.from_row(git_row(**columns))


def compose(source: str) -> Compose:
    columns = {"composeId": "c", "name": "web", "appName": "shop-web", "environment": {}, "customGitBranch": "main"}
    return Compose.from_row({**columns, "sourceType": source})


def built(identity: str, **more: Any) -> Target:
    return Target(identity, "release", "done", None, **more)


def plan(
    service: Application,
    newest: Target,
    target: Target,
    strategy: str,
    reference: str | None = None,
    pin: bool = False,
    git_ref: str | None = None,
) -> Plan:
    targets = mark_serving(service, [newest, target] if target.id else [newest], reference)
    target = next((known for known in targets if known.id == target.id), target)
    scene = Scene(service, targets, reference, {"A": "1", "NEW": "s3cr3t"})
    return make_plan(scene, target, strategy, git_ref, pin, NOW)


DOCKER_NEW = built("d1", image="lab/api:2")
DOCKER_OLD = built("d0", image="lab/api:1", snapshot=SNAPSHOT)
GIT_NEW = built("d1", commit=COMMITS["B"])
GIT_OLD = built("d0", commit=COMMITS["A"], snapshot=SNAPSHOT)


# --- the way ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "target", "wanted", "git_ref", "way"),
    [
        (docker(), DOCKER_OLD, "auto", None, "snapshot"),
        (docker(), DOCKER_OLD, "image", None, "image"),
        (docker(), replace(DOCKER_OLD, snapshot=None), "auto", None, "image"),
        (docker(), Target.of_image("lab/api:0"), "auto", None, "image"),
        (git(), GIT_OLD, "auto", "v1", "snapshot"),
        (git(), GIT_OLD, "git", "v1", "git"),
        (git(), replace(GIT_OLD, snapshot=None), "auto", "v1", "git"),
        (git(), Target.of_git_ref("v1"), "auto", "v1", "git"),
        (compose("git"), replace(GIT_OLD, snapshot=None), "auto", "v1", "git"),
    ],
)
def test_the_first_way_that_is_open(
    service: Application, target: Target, wanted: str, git_ref: str | None, way: str
) -> None:
    assert choose_strategy(service, target, wanted, git_ref) == way


BARE = replace(GIT_OLD, snapshot=None)


@pytest.mark.parametrize(
    ("service", "target", "wanted", "git_ref", "told"),
    [
        (git(), replace(GIT_OLD, status="error", reason="broken"), "auto", None, r"deployment d0 \(.*\): broken"),
        (git(), BARE, "auto", None, f"Push a branch or tag that is at {COMMITS['A']}.*dokploy_application_rollback_"),
        (git(), BARE, "snapshot", "v1", "There is no way back .* snapshot: no snapshot was kept of it"),
        (git(), GIT_OLD, "image", None, "overwrites its image with each build"),
        (git(), BARE, "auto", COMMITS["A"], "git_ref .* is a commit.*git tag rollback-aaaaaa0"),
        (git(), BARE, "auto", COMMITS["A"][:8], "takes branches and tags only"),
        (docker(), replace(DOCKER_OLD, image=None, snapshot=None), "auto", None, "Name the image that it ran"),
        (docker(), DOCKER_OLD, "git", "v1", "a source of the type docker has no branch"),
        (docker(), Target.of_image("lab/api:0"), "snapshot", None, "lab/api:0 is no way of strategy=snapshot"),
        (docker(), Target.of_git_ref("v1"), "auto", "v1", "a source of the type docker has no branch"),
        (git(sourceType="drop"), BARE, "auto", None, "To have one next time, switch on snapshots"),
        (compose("git"), BARE, "auto", None, "no former versions of a compose service. Push a branch"),
        (compose("raw"), BARE, "auto", "v1", "no former versions of a compose service. Store its former file"),
    ],
)
def test_a_refusal_says_what_to_do(
    service: Application, target: Target, wanted: str, git_ref: str | None, told: str
) -> None:
    with pytest.raises(PlatformError) as error:
        choose_strategy(service, target, wanted, git_ref)
    assert re.search(told, str(error.value)), str(error.value)


def test_a_tag_of_digits_is_no_commit() -> None:
    assert choose_strategy(git(), BARE, "auto", "20261122") == "git"


# --- a snapshot -------------------------------------------------------------------------------------------------------


def test_a_snapshot_does_not_last_and_brings_its_environment() -> None:
    made = plan(git(), GIT_NEW, GIT_OLD, "snapshot", LATEST)
    assert (made.there, made.sticky, made.stored) == (False, False, {})
    assert made.environment == {"added": ["OLD"], "removed": ["NEW"], "changed": []}
    assert made.marker == Marker(NOW, "d1", "d0")
    told = " ".join(made.warnings)
    assert "(added: OLD; removed: NEW)" in told
    assert "the next deploy, rebuild or reload of api leads back" in told
    assert "s3cr3t" not in told + repr(made)


def test_a_snapshot_is_there_when_its_image_runs() -> None:
    assert plan(git(), GIT_NEW, GIT_OLD, "snapshot", IN_REGISTRY).there
    assert not plan(git(), GIT_NEW, GIT_OLD, "snapshot", None).there


def test_one_tag_for_two_builds_does_not_make_them_one() -> None:
    old = replace(DOCKER_OLD, image="lab/api:2")
    assert not plan(docker(), DOCKER_NEW, old, "snapshot", "lab/api:2").there
    made = plan(docker(), DOCKER_NEW, old, "image", "lab/api:2")
    assert made.there
    assert "somebody moved that tag" in " ".join(made.warnings)


@pytest.mark.parametrize(
    ("service", "newest", "target", "git_ref", "stored", "sticky"),
    [
        (docker(), DOCKER_NEW, DOCKER_OLD, None, {"dockerImage": ("lab/api:2", "lab/api:1")}, True),
        (git(), GIT_NEW, GIT_OLD, "v1", {"customGitBranch": ("main", "v1")}, True),
        (git(), GIT_NEW, GIT_OLD, None, {"autoDeploy": (True, False)}, False),
        (git(autoDeploy=False), GIT_NEW, GIT_OLD, None, {}, False),
    ],
)
def test_a_pinned_snapshot_stores_what_makes_it_last(
    service: Application, newest: Target, target: Target, git_ref: str | None, stored: dict[str, Any], sticky: bool
) -> None:
    made = plan(service, newest, target, "snapshot", IN_REGISTRY, pin=True, git_ref=git_ref)
    assert (made.stored, made.sticky, made.serves) == (stored, sticky, True)
    assert made.marker is not None
    assert made.marker.stored == stored
    assert ("no push does it" in " ".join(made.warnings)) is not sticky


def test_the_number_of_replicas_of_a_snapshot() -> None:
    other = replace(GIT_OLD, snapshot=replace(SNAPSHOT, replicas=3))
    assert "3 in the place of 2" in " ".join(plan(git(), GIT_NEW, other, "snapshot", LATEST).warnings)
    stopped = replace(GIT_OLD, snapshot=replace(SNAPSHOT, replicas=0))
    with pytest.raises(PlatformError, match="and would stop it"):
        plan(git(), GIT_NEW, stopped, "snapshot", LATEST)


# --- an image, a branch -----------------------------------------------------------------------------------------------


def test_an_image_lasts_and_is_there_when_it_is_stored_and_runs() -> None:
    made = plan(docker(), DOCKER_NEW, DOCKER_OLD, "image", "lab/api:2")
    assert (made.there, made.sticky, made.environment) == (False, True, None)
    assert made.stored == {"dockerImage": ("lab/api:2", "lab/api:1")}
    assert "dockerImage was 'lab/api:2' and becomes 'lab/api:1'" in " ".join(made.warnings)
    # Docker Swarm has put it back, but Dokploy would deploy the other.
    assert not plan(docker(), DOCKER_NEW, DOCKER_OLD, "image", "lab/api:1@sha256:0a").there
    rolled = Application.from_row(row(dockerImage="lab/api:1"))
    assert plan(rolled, DOCKER_NEW, DOCKER_OLD, "image", "docker.io/lab/api:1@sha256:0a").there


def test_a_branch_is_there_when_it_is_stored_and_its_commit_was_built_last() -> None:
    old = replace(GIT_OLD, snapshot=None)
    assert not plan(git(), GIT_NEW, old, "git", LATEST, git_ref="v1").there
    on_tag = git(customGitBranch="v1")
    assert not plan(on_tag, GIT_NEW, old, "git", LATEST, git_ref="v1").there
    assert plan(on_tag, replace(GIT_NEW, commit=COMMITS["A"]), old, "git", LATEST, git_ref="v1").there
    failed = replace(GIT_NEW, commit=COMMITS["A"], status="error")
    assert not plan(on_tag, failed, old, "git", LATEST, git_ref="v1").there


def test_a_bare_branch_is_there_when_this_module_has_built_it() -> None:
    target = Target.of_git_ref("v1")
    on_tag = git(customGitBranch="v1")
    assert not plan(on_tag, GIT_NEW, target, "git", LATEST, git_ref="v1").there
    memory = str(Marker(NOW, "d0", target.mark))
    remembered = git(customGitBranch="v1", description=memory)
    assert plan(remembered, GIT_NEW, target, "git", LATEST, git_ref="v1").there
    interrupted = git(customGitBranch="v1", description=memory.replace("d0", "d1"))
    assert not plan(interrupted, GIT_NEW, target, "git", LATEST, git_ref="v1").there


# --- memory -----------------------------------------------------------------------------------------------------------


def test_what_was_stored_first_is_what_comes_back() -> None:
    memory = Marker(NOW, "d1", "d0", {"dockerImage": ("lab/api:3", "lab/api:2"), "autoDeploy": (True, False)})
    service = Application.from_row(row(dockerImage="lab/api:2", autoDeploy=False, description=str(memory)))
    made = plan(service, DOCKER_NEW, DOCKER_OLD, "image", "lab/api:2")
    assert made.marker is not None
    assert made.marker.stored == {"dockerImage": ("lab/api:3", "lab/api:1"), "autoDeploy": (True, False)}
    changed = Application.from_row(row(dockerImage="lab/api:2", autoDeploy=True, description=str(memory)))
    made = plan(changed, DOCKER_NEW, DOCKER_OLD, "snapshot", "lab/api:2")
    assert made.marker is not None
    assert made.marker.stored == {"dockerImage": ("lab/api:3", "lab/api:2")}


def test_a_return_to_the_newest_version_is_no_rollback_to_remember() -> None:
    newest = replace(GIT_NEW, snapshot=replace(SNAPSHOT, id="r2", image=f"{APP_NAME}:v2"))
    made = plan(git(description=str(Marker(NOW, "d1", "d0"))), newest, newest, "snapshot", IN_REGISTRY)
    assert (made.there, made.marker) == (False, None)
