# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules promise, against any Dokploy: the double, or the real one that DOKPLOY_URL names.

See config.example.yml for what a real one must offer; what its config leaves out is skipped, and said.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.dokploy.server import Double
from tests.contract.subject import Config, Images, Result, Service, Subject
from tests.unit.lab.dokploy_world import GIT_URL, World

pytestmark = pytest.mark.slow

COMPOSE_FILE = "services:\n  web:\n    image: lab/api:1.4.0\n"


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    if os.environ.get("CONTRACT_CONFIG"):
        config = Config.read(Path(os.environ["CONTRACT_CONFIG"]))
        yield from _prepared(Subject(os.environ["DOKPLOY_URL"], os.environ["DOKPLOY_API_KEY"], config))
        return
    with World(tmp_path_factory.mktemp("dokploy")) as world:
        yield from _prepared(_of_the_double(world))


def _prepared(subject: Subject) -> Iterator[Subject]:
    subject.prepare()
    try:
        yield subject
    finally:
        subject.clean()


def _of_the_double(world: World) -> Subject:
    _give_a_repository(world.double)
    world.snapshots()
    with world.double.model.change():
        world.double.model.tables["registries"]["r"]["registryName"] = "lab"
    document = {
        "project": "contract",
        "images": {
            "good": ["lab/api:1.4.0", "lab/api:1.5.0"],
            "crashing": "lab/api:1.6.0-crash",
            "missing": "lab/api:nosuchtag",
        },
        "env": "PORT=1\n",
        "registry": "lab",
        "git": {"url": GIT_URL, "branch": "main", "older": "v1.0.0", "failing": "broken"},
        "compose": COMPOSE_FILE,
        "stack": COMPOSE_FILE,
        "stable_for": 0.5,
        "timeout": 30,
    }
    return Subject(world.double.url, world.seeded.api_key, Config.from_document(document))


def _give_a_repository(double: Double) -> None:
    def commit(version: str, **more: Any) -> dict[str, Any]:
        sha = version.replace(".", "").ljust(40, "a")
        return {"sha": sha, "message": f"release {version}", "version": version, "build_seconds": 20, **more}

    with double.model.change():
        older, newer = commit("1.0.0"), commit("1.1.0")
        broken = commit("1.2.0", behaviour="fail-build")
        double.model.tables["repositories"][GIT_URL] = {
            "main": [older, newer],
            "v1.0.0": [older],
            "broken": [newer, broken],
        }


def offered(subject: Subject, what: str) -> Any:
    """A part of the configuration, or a skip that names it."""
    found: Any = subject.config
    for name in what.split("."):
        found = getattr(found, name)
        if found is None:
            pytest.skip(f"the configuration offers no {what}")
    return found


@pytest.fixture(scope="module")
def images(subject: Subject) -> Images:
    return subject.config.images


@pytest.fixture
def deployed(subject: Subject, images: Images) -> Service:
    """An application that serves the first of the good images."""
    service = subject.application(images.good[0])
    succeeded(service.deploy(title="first"))
    return service


def succeeded(result: Result, changed: bool | None = True) -> Result:
    assert not result.get("failed"), result["msg"]
    assert changed is None or result["changed"] == changed
    return result


def failed(result: Result) -> Result:
    assert result.get("failed"), result
    return result


# -- reading -----------------------------------------------------------------------------------------------------------


def test_an_application_is_found_by_its_names_and_by_its_id(
    subject: Subject, deployed: Service, images: Images
) -> None:
    config = subject.config
    names = {"project": config.project, "environment": config.environment, "application": deployed.name}
    by_names, by_id = subject.module("dokploy_info", **names), deployed.info()
    assert by_names["application"] == by_id["application"]
    assert by_names["application"]["image"] == images.good[0]
    assert [record["title"] for record in by_id["deployments"]] == ["first"]
    assert deployed.runs() == {images.good[0]}


def test_an_application_that_exists_is_read(subject: Subject) -> None:
    config = subject.config
    names = {"project": config.project, "environment": config.environment}
    result = succeeded(subject.module("dokploy_info", application=offered(subject, "application"), **names), False)
    assert result["application"]["name"] == config.application


def test_what_is_not_there_is_told(subject: Subject) -> None:
    result = failed(subject.module("dokploy_info", project=subject.config.project, application="no-such-application"))
    assert "no-such-application" in result["msg"]
    assert "not found" in failed(subject.module("dokploy_info", application_id="no-such-id"))["msg"]


def test_a_wrong_key_is_told_apart(subject: Subject) -> None:
    result = failed(
        subject.module("dokploy_info", project=subject.config.project, application="api", dokploy_api_key="wrong")
    )
    assert "did not accept the API key" in result["msg"]


# -- deploying ---------------------------------------------------------------------------------------------------------


def test_a_deployment_is_found_followed_and_proved(deployed: Service, images: Images) -> None:
    planned = succeeded(deployed.deploy(check=True, image=images.good[1]))
    assert deployed.info()["application"]["image"] == images.good[0]
    result = succeeded(deployed.deploy(image=images.good[1], title="second", description="by hand"))
    assert result["verdict"]["serving"]
    assert result["verdict"]["images"] == [images.good[1]]
    assert result["deployment"]["title"] == "second"
    assert result["deployment"]["description"].startswith("by hand")
    assert result["log_tail"]
    assert planned["before"]["image"] == result["before"]["image"] == images.good[0]
    assert planned["after"]["image"] == result["after"]["image"] == images.good[1]
    assert deployed.runs() == {images.good[1]}


def test_a_rebuild_is_proved(deployed: Service) -> None:
    result = succeeded(deployed.deploy(method="rebuild", title="again"))
    assert result["deployment"]["title"] == "again"
    assert result["verdict"]["serving"]


def test_each_of_two_deploys_at_once_finds_its_own(deployed: Service) -> None:
    def deploy(title: str) -> Result:
        return deployed.module("dokploy_deploy", title=title, wait=False)

    first, second = deploy("one"), deploy("two")
    assert not first.get("failed")
    assert not second.get("failed")
    result = succeeded(deployed.deploy(title="three"))
    assert result["deployment"]["title"] == "three"
    assert [record["title"] for record in deployed.info(deployments=3)["deployments"]] == ["three", "two", "one"]


def test_a_missing_image_fails_and_the_old_one_stays(subject: Subject, deployed: Service, images: Images) -> None:
    missing = offered(subject, "images.missing")
    result = failed(deployed.deploy(image=missing))
    assert result["deployment"]["status"] == "error"
    assert result["failing_line"]
    assert result["source_put_back"]
    assert deployed.info()["application"]["image"] == images.good[0]
    assert deployed.runs() == {images.good[0]}


def test_done_is_not_serving_when_the_new_version_crashes(subject: Subject, deployed: Service, images: Images) -> None:
    result = failed(deployed.deploy(image=offered(subject, "images.crashing")))
    assert result["deployment"]["status"] == "done"
    assert result["verdict"]["serving"] is False
    assert result["verdict"]["reasons"]
    assert deployed.info()["application"]["image"] == images.good[0]


def test_a_stopped_application_is_not_deployed(deployed: Service) -> None:
    succeeded(deployed.service("stopped"))
    assert deployed.info()["quiesced"]
    assert "stopped" in failed(deployed.deploy())["msg"]
    succeeded(deployed.service("running"))
    succeeded(deployed.deploy())


def test_the_number_of_replicas_survives_a_stop(subject: Subject, images: Images) -> None:
    service = subject.application(images.good[0], replicas=2)
    succeeded(service.deploy())
    stopped = succeeded(service.service("stopped"))
    assert stopped["verified"]
    succeeded(service.service("stopped"), changed=False)
    assert not [task for task in service.info()["tasks"] if task["state"] == "running"]
    started = succeeded(service.service("running"))
    assert started["verified"]
    assert started["application"]["replicas"] == 2
    succeeded(service.service("running"), changed=False)


# -- builds from git -------------------------------------------------------------------------------------------------


def test_a_build_from_git_is_found_whatever_its_title_becomes(subject: Subject) -> None:
    git = offered(subject, "git")
    service = subject.application(git_ref=git.branch)
    first = succeeded(service.deploy(title="my title"))
    assert first["verdict"]["serving"]
    assert len(first["deployment"]["commit"]) == 40
    again = succeeded(service.deploy(commit=first["deployment"]["commit"][:10]))
    assert again["deployment"]["id"] != first["deployment"]["id"]
    assert again["before"]["commit"] == again["after"]["commit"] == first["deployment"]["commit"]


def test_a_failing_build_is_told_with_its_line(subject: Subject) -> None:
    failing = offered(subject, "git.failing")
    service = subject.application(git_ref=subject.config.git.branch if subject.config.git else "")
    before = succeeded(service.deploy())
    result = failed(service.deploy(git_ref=failing))
    assert result["deployment"]["status"] == "error"
    assert result["log_tail"]
    assert result["failing_line"]
    assert result["source_put_back"]
    assert service.info()["application"]["git_ref"] == before["service"]["git_ref"]


def test_a_build_from_git_is_rolled_back_by_a_tag(subject: Subject) -> None:
    older = offered(subject, "git.older")
    service = subject.application(git_ref=subject.config.git.branch if subject.config.git else "")
    newest = succeeded(service.deploy())
    result = succeeded(service.rollback(git_ref=older))
    assert result["strategy"] == "git"
    assert result["verdict"]["serving"]
    assert result["deployment"]["commit"] != newest["deployment"]["commit"]
    assert service.info()["application"]["git_ref"] == older


# -- rolling back ----------------------------------------------------------------------------------------------------


def test_an_image_is_rolled_back_to_the_previous_one(deployed: Service, images: Images) -> None:
    succeeded(deployed.deploy(image=images.good[1]))
    planned = succeeded(deployed.rollback(check=True))
    assert deployed.runs() == {images.good[1]}
    result = succeeded(deployed.rollback())
    assert planned["strategy"] == result["strategy"] == "image"
    assert result["verdict"]["serving"]
    assert deployed.runs() == {images.good[0]}
    succeeded(deployed.rollback(to=images.good[0]), changed=False)


def test_without_a_way_back_the_rollback_says_what_to_switch_on(subject: Subject) -> None:
    service = subject.application(git_ref=offered(subject, "git.older"))
    succeeded(service.deploy())
    succeeded(service.deploy(git_ref=subject.config.git.branch if subject.config.git else ""))
    assert "dokploy_application_rollback_policy" in failed(service.rollback())["msg"]


def test_a_snapshot_is_rolled_back_to(subject: Subject, images: Images) -> None:
    registry = offered(subject, "registry")
    service = subject.application(images.good[0])
    policy = {"active": True, "registry": registry}
    succeeded(service.module("dokploy_application_rollback_policy", **policy))
    succeeded(service.module("dokploy_application_rollback_policy", **policy), changed=False)
    first = succeeded(service.deploy())
    succeeded(service.deploy(image=images.good[1]))
    assert service.runs() == {images.good[1]}
    result = succeeded(service.rollback(strategy="snapshot"))
    assert result["strategy"] == "snapshot"
    assert result["to"]["deployment"] == first["deployment"]["id"]
    assert result["verdict"]["serving"]
    assert result["sticky"] is False
    assert service.runs() != {images.good[1]}
    listed = succeeded(service.rollback(state="listed"), changed=False)
    assert [target["strategy"] for target in listed["targets"]] == ["snapshot", "snapshot"]


# -- schedules -------------------------------------------------------------------------------------------------------


def test_a_schedule_is_made_run_changed_and_removed(deployed: Service) -> None:
    def schedule(**options: Any) -> Result:
        return deployed.module("dokploy_schedule", name="contract", **options)

    wanted = {"cron": "0 2 * * *", "command": "echo contract-was-here", "shell": "sh"}
    succeeded(schedule(check=True, **wanted))
    succeeded(schedule(**wanted))
    succeeded(schedule(**wanted), changed=False)
    ran = succeeded(schedule(state="run"), changed=None)
    assert any("contract-was-here" in line for line in ran["log"])
    assert [found["name"] for found in deployed.info()["schedules"]] == ["contract"]
    succeeded(schedule(cron="0 3 * * *", command="exit 3"))
    failing = failed(schedule(state="run"))
    assert failing["last_run"]["status"] == "error"
    succeeded(schedule(state="absent"))
    succeeded(schedule(state="absent"), changed=False)


# -- compose ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offer", "compose_type"), [("compose", "docker-compose"), ("stack", "stack")])
def test_a_compose_service_is_deployed_stopped_and_started(subject: Subject, offer: str, compose_type: str) -> None:
    service = subject.compose(compose_type, offered(subject, offer))
    result = succeeded(service.deploy(title="first"))
    assert result["deployment"]["title"] == "first"
    assert result["verdict"]["serving"]
    assert succeeded(service.service("stopped"))["verified"]
    assert not [task for task in service.info()["tasks"] if task["state"] == "running"]
    assert succeeded(service.service("running"))["verified"]
    succeeded(service.service("running"), changed=False)


# -- everything at once ----------------------------------------------------------------------------------------------


def test_deploys_of_two_applications_wait_for_each_other(subject: Subject, images: Images) -> None:
    """Dokploy builds one at a time, whatever the application."""
    services = [subject.application(image) for image in images.good]
    for service in services:
        assert not service.module("dokploy_deploy", wait=False).get("failed")
    for service in services:
        assert succeeded(service.deploy())["verdict"]["serving"]
