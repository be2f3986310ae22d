# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to return to, which one is meant, and what must never be shown of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Application, Compose
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_marker import (
    Marker,
    Stored,
    marker_in,
    with_marker,
    without_marker,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_targets import (
    Target,
    changed_names,
    choose_target,
    mark_serving,
    read_targets,
    targets_of,
    variables_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import APP_NAME, client_for, get, no_docker, problem, row, task, tasks
from tests.unit.plugins.rollback_answers import COMMITS, build, built_log, containers, git_row, history
from tests.unit.plugins.scripted import FakeClock

T1, T2 = "t1".ljust(25, "0"), "t2".ljust(25, "0")
AT = "2026-11-22T02:00:00Z"


def application(**columns: Any) -> Application:
    return Application.from_row(row(**columns))


def git_application(**columns: Any) -> Application:
    return Application.from_row(git_row(**columns))


def read(service: Application | Compose, *calls: Any) -> list[Target]:
    client, transport = client_for(FakeClock(), *calls)
    targets = read_targets(client, service)
    transport.assert_all_made()
    return targets


def of_images(*images: str | None, status: str = "done") -> list[Target]:
    """Newest first, as records d0, d1, …"""
    return [Target(f"d{n}", "release", status, None, image=image) for n, image in enumerate(images)]


def of_commits(*letters: str) -> list[Target]:
    return [Target(f"d{n}", "release", "done", None, commit=COMMITS[letter]) for n, letter in enumerate(letters)]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_each_record_has_its_way_back_or_the_reason_why_not() -> None:
    targets = read(
        git_application(),
        history(
            build("d3", "D", status="error", snapshot=3),
            build("d2", "C", snapshot=2),
            build("d1", "B", status="running"),
            build("d0", "A"),
        ),
    )
    assert [target.strategy for target in targets] == [None, "snapshot", None, None]
    assert [target.commit for target in targets] == [COMMITS[letter] for letter in "DCBA"]
    assert targets[0].reason == "its build ended with error, so that there is no image of it"
    assert targets[2].reason == "it is still being built"
    assert "no branch or tag that holds it was given in git_ref" in str(targets[3].reason)


def test_the_image_of_a_docker_source_comes_from_its_snapshot_or_its_log() -> None:
    targets = read(
        application(),
        history(build("d3", status="error"), build("d2", snapshot=4, image="lab/api:1.4.0"), build("d1"), build("d0")),
        built_log("d1", "Initializing deployment\nPulling lab/api:1.3.0\nv1: Pulling from lab/api\n"),
        built_log("d0", "Initializing deployment\n"),
    )
    assert [(target.image, target.strategy) for target in targets] == [
        (None, None),
        ("lab/api:1.4.0", "snapshot"),
        ("lab/api:1.3.0", "image"),
        (None, None),
    ]
    assert "which image it ran is not known" in str(targets[3].reason)


def test_a_log_that_is_gone_keeps_nobody_from_reading_the_rest() -> None:
    gone = problem("ENOENT", "INTERNAL_SERVER_ERROR", 500, "deployment.readLogs")
    calls = [history(build("d0")), get("deployment.readLogs", gone, 500, deploymentId="d0", tail="10000")]
    assert read(application(), *calls)[0].image is None


def test_a_compose_service_has_no_snapshots() -> None:
    columns = {"composeId": "c", "composeType": "stack", "sourceType": "git", "customGitBranch": "main"}
    compose = Compose.from_row({**columns, "name": "web", "appName": "shop-web", "environment": {}})
    rows = [{"deploymentId": "d0", "status": "done", "description": f"Commit: {COMMITS['A']}"}]
    targets = read(compose, get("deployment.allByCompose", rows, composeId="c"))
    assert targets[0].commit == COMMITS["A"]
    assert "git_ref" in str(targets[0].reason)


def test_no_secret_of_a_snapshot_is_in_a_target() -> None:
    targets = read(git_application(), history(build("d0", "A", snapshot=1, env="TOKEN=s3cr3t")))
    assert "s3cr3t" not in repr(targets)
    assert "s3cr3t" not in json.dumps([target.to_result() for target in targets])


# --- what serves ------------------------------------------------------------------------------------------------------


def test_a_snapshot_that_runs_tells_of_a_rollback_that_left_no_record() -> None:
    client, transport = client_for(
        FakeClock(),
        history(build("d1", "B", snapshot=2), build("d0", "A", snapshot=1)),
        tasks(task("Running", T1)),
        *containers({T1: f"127.0.0.1:5000/lab/{APP_NAME}:v1@sha256:0a"}),
    )
    assert [target.serving for target in targets_of(client, git_application())] == [False, True]
    transport.assert_all_made()


@pytest.mark.parametrize("images", [{T1: f"lab/{APP_NAME}:v1", T2: f"{APP_NAME}:latest"}, {}])
def test_an_update_under_way_serves_nothing_for_sure(images: dict[str, str]) -> None:
    client, transport = client_for(
        FakeClock(),
        history(build("d1", "B"), build("d0", "A", snapshot=1)),
        tasks(task("Running", T1), task("Running", T2)),
        *containers(images),
    )
    assert not any(target.serving for target in targets_of(client, git_application()))
    transport.assert_all_made()


def test_without_docker_nothing_is_said_of_what_serves() -> None:
    client, _transport = client_for(FakeClock(), history(build("d0", "A")), no_docker())
    assert not targets_of(client, git_application())[0].serving


def test_what_serves_is_the_newest_build_unless_swarm_put_an_older_image_back() -> None:
    targets = of_images("lab/api:2", "lab/api:1", "lab/api:1")
    assert [target.serving for target in mark_serving(application(), targets, "lab/api:1")] == [False, True, False]
    targets = [Target("d1", "", "error", None), *of_commits("A")]
    marked = mark_serving(git_application(), targets, f"{APP_NAME}:latest")
    assert [target.serving for target in marked] == [False, True]
    assert not any(target.serving for target in mark_serving(git_application(), targets, "other:latest"))


# --- which one is meant -----------------------------------------------------------------------------------------------


def chosen(targets: list[Target], wanted: str = "previous", description: str | None = None) -> str | None:
    target = choose_target(application(description=description), targets, wanted)
    return target.id or target.image


def serving(targets: list[Target], reference: str) -> list[Target]:
    return mark_serving(application(), targets, reference)


def test_previous_is_the_one_before_the_newest_that_succeeded() -> None:
    failed = [Target("e", "", "error", None), Target("x", "", "cancelled", None)]
    assert chosen([*failed, *of_images("a:3", "a:2", "a:1")]) == "d1"


def test_previous_is_the_same_when_swarm_put_it_back_already() -> None:
    assert chosen(serving(of_images("a:3", "a:2", "a:1"), "a:2")) == "d1"


def test_previous_skips_rebuilds_of_the_same_version() -> None:
    assert chosen(of_images("a:3", "a:3", "a:2")) == "d2"
    assert chosen(of_commits("C", "C", "B")) == "d2"


def test_an_unknown_version_counts_as_another() -> None:
    assert chosen(of_images("a:3", None, "a:2")) == "d1"


def test_with_one_tag_for_all_only_a_snapshot_can_be_previous() -> None:
    same = of_images("a:latest", "a:latest", "a:latest")
    with pytest.raises(PlatformError, match="of the same version as all that were before it"):
        chosen(same)
    client, _transport = client_for(
        FakeClock(),
        history(build("d1", snapshot=2, image="a:latest"), build("d0", snapshot=1, image="a:latest")),
    )
    assert chosen(read_targets(client, application())) == "d0"


def test_previous_does_not_flip_after_a_rollback_without_a_record() -> None:
    memory = str(Marker(AT, left="d0", to="d1"))
    targets = serving(of_images("a:3", "a:2", "a:1"), "a:2")
    assert chosen(targets, description=memory) == "d1"


def test_previous_does_not_flip_after_a_rollback_that_is_the_newest_record() -> None:
    assert chosen(of_images("a:2", "a:3", "a:2"), description=str(Marker(AT, left="d1", to="d2"))) == "d2"


def test_previous_of_the_release_after_a_rollback_is_what_served_before_it() -> None:
    assert chosen(of_images("a:4", "a:3", "a:2"), description=str(Marker(AT, left="d1", to="d2"))) == "d2"


def test_a_rollback_of_long_ago_means_nothing() -> None:
    assert chosen(of_images("a:5", "a:4", "a:3", "a:2"), description=str(Marker(AT, left="d2", to="d3"))) == "d1"


def test_a_return_to_the_newest_is_no_rollback() -> None:
    assert chosen(of_images("a:3", "a:2"), description=str(Marker(AT, left="d0", to="d0"))) == "d1"


def test_a_rollback_to_a_bare_image_is_remembered() -> None:
    memory = str(Marker(AT, left="d0", to=Target.of_image("lab/api:0.9").mark))
    assert chosen(of_images("a:3", "a:2"), description=memory) == "lab/api:0.9"
    assert chosen(of_images("lab/api:0.9", "a:3", "a:2"), description=memory.replace("d0", "d1")) == "d0"


def test_a_rollback_to_a_branch_is_its_build() -> None:
    memory = str(Marker(AT, left="d1", to=Target.of_git_ref("release/1.4").mark))
    targets = of_commits("A", "C", "B")
    assert choose_target(git_application(description=memory), targets, "previous").id == "d0"
    unbuilt = memory.replace("d1", "d0")
    with pytest.raises(PlatformError, match=r"It was rolled back to branch:release/1\.4"):
        choose_target(git_application(description=unbuilt), targets, "previous")


def test_a_remembered_record_may_be_gone() -> None:
    with pytest.raises(PlatformError, match="of which Dokploy keeps no record"):
        chosen(of_images("a:3", "a:2"), description=str(Marker(AT, left="d0", to="gone")))


def test_somebody_elses_rollback_is_not_guessed_at() -> None:
    with pytest.raises(PlatformError, match="somebody rolled it back already") as error:
        chosen(serving(of_images("a:3", "a:2", "a:1"), "a:1"))
    assert "Name in to" in str(error.value)
    with pytest.raises(PlatformError, match=r"seems to have rolled back from deployment d1 \(a:3\)"):
        chosen(of_images("a:2", "a:3", "a:2"))


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ([Target("e", "", "error", None)], "no successful deployment at all"),
        (of_images("a:1"), "is the only successful one"),
    ],
)
def test_nothing_to_return_to(targets: list[Target], told: str) -> None:
    with pytest.raises(PlatformError, match=told):
        chosen(targets)


def test_a_target_by_id_commit_image_and_tag() -> None:
    images = of_images("lab/api:1.5", "lab/api:1.4@sha256:0a", "lab/api:1.4@sha256:0a")
    assert chosen(images, "d2") == "d2"
    assert chosen(images, "lab/api:1.4@sha256:0a") == "d1"
    assert chosen(images, "1.4") == "d1"
    assert chosen(images, "lab/api:1.2") == "lab/api:1.2"
    commits = of_commits("B", "A")
    assert choose_target(git_application(), commits, COMMITS["A"][:7]).id == "d1"


def test_a_commit_is_taken_from_the_build_that_has_a_snapshot() -> None:
    failed = build("d2", "A", snapshot=2, status="error")
    targets = read(git_application(), history(failed, build("d1", "A"), build("d0", "A", snapshot=1)))
    assert choose_target(git_application(), targets, COMMITS["A"]).id == "d0"


@pytest.mark.parametrize("wanted", [COMMITS["A"][:6], "0" * 40, "lab/api:1.0", "nosuch"])
def test_what_is_not_there_is_refused(wanted: str) -> None:
    with pytest.raises(PlatformError, match="no successful deployment with the id") as error:
        choose_target(git_application(), of_commits("A"), wanted)
    assert error.value.details["targets"]


def test_a_word_that_means_two_versions_is_refused() -> None:
    with pytest.raises(PlatformError, match=r"more than one version: lab/api:1\.4, lab/web:1\.4"):
        chosen(of_images("lab/api:1.4", "lab/web:1.4"), "1.4")


# --- memory -----------------------------------------------------------------------------------------------------------


def test_the_memory_survives_whatever_is_in_it() -> None:
    stored: dict[str, tuple[Stored, Stored]] = {
        "customGitBranch": ("feature/a ] b, c; d => e", "v1.4.0"),
        "autoDeploy": (True, False),
        "dockerImage": (None, "127.0.0.1:5000/lab/api:1.4@sha256:0a"),
        "branch": ("true", "null"),
    }
    marker = Marker(AT, "-_id", "id-_", stored)
    text = with_marker("the api", marker)
    assert text.startswith("the api [rolled back by vedfinance.platform at 2026-11-22T02:00:00Z: -_id -> id-_; stored")
    assert marker_in(text) == marker
    assert without_marker(text) == "the api"


def test_a_new_memory_replaces_the_old_one_and_leaves_others() -> None:
    other = "[stopped by vedfinance.platform at 2026-11-22T02:00:00Z, replicas before: 2]"
    text = with_marker(with_marker(f"the api {other}", Marker(AT, "a", "b")), Marker(AT, "c", "d"))
    assert marker_in(text) == Marker(AT, "c", "d")
    assert without_marker(text) == f"the api {other}"
    assert marker_in(None) is None
    assert without_marker(str(Marker(AT, "a", "b"))) is None


# --- environment ------------------------------------------------------------------------------------------------------


def test_the_environment_is_compared_by_name() -> None:
    before = variables_of("A=1\nexport B = 2\n# C=3\nGONE=x\nKEY='-----BEGIN\nMIIab=\n-----END'\n")
    after = variables_of("A=1\nB=3\nNEW=\"x\nY=1\"\nKEY='-----BEGIN\nMIIcd=\n-----END'\n")
    assert changed_names(before, after) == {"added": ["NEW"], "removed": ["GONE"], "changed": ["B", "KEY"]}


def test_a_piece_of_a_key_is_no_name() -> None:
    after = variables_of("KEY=-----BEGIN\nMIIEowIBAAKCAQEA0Z=\nqNm2==\n")
    assert changed_names({}, after) == {"added": ["KEY"], "removed": [], "changed": []}
