# SPDX-License-Identifier: GPL-3.0-or-later
"""dokploy_deploy over real HTTP, against the double and its real processes: true only for the real thing."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import correlate, deploy, verdict
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ServiceQuery
from ansible_collections.vedfinance.platform.plugins.module_utils._http import RequestsTransport
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress
from ansible_collections.vedfinance.platform.plugins.modules import dokploy_deploy

from lab.dokploy import images, keys
from tests.conftest import ROOT
from tests.unit.lab.dokploy_world import World, until
from tests.unit.lab.test_dokploy_compose import Compose
from tests.unit.plugins.run_module import run_main

SECRET = "s3cr3t-of-the-env"
DeploysOf = Callable[..., AbstractContextManager["Deploys"]]


class Api(ThreadingHTTPServer):
    """Answers with the version of one of the running tasks after the other, as a published port of swarm does."""

    daemon_threads = True

    def __init__(self, world: World) -> None:
        turn = itertools.count()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tasks = [task for task in world.double.swarm.tasks(world.name) if task.state == "Running"]
                image = tasks and images.find(world.double.model, tasks[next(turn) % len(tasks)].spec.image)
                body = json.dumps({"version": image.version, "commit": image.commit} if image else {}).encode()
                self.send_response(200 if image else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Deploys:
    def __init__(self, world: World, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self.api = api
        self._capsys = capsys

    def __call__(self, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {
            "dokploy_url": self.world.double.url,
            "dokploy_api_key": self.world.seeded.api_key,
            "project": "vedfinance",
            "application": "api",
            "stable_for": 0.4,
            "wait_timeout": 30,
            **options,
        }
        result = run_main(dokploy_deploy.main, self._capsys, arguments, check)
        assert SECRET not in json.dumps(result)
        assert arguments["dokploy_api_key"] not in json.dumps(result)
        return result

    def expecting(self, version: str, **options: Any) -> dict[str, Any]:
        return self(api_url=self.api.url, expect_version=version, **options)


@pytest.fixture
def deploys_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> DeploysOf:
    for module in (deploy, verdict):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(verdict, "MARGIN_SECONDS", 0.1)
    monkeypatch.setattr(correlate, "GRACE_SECONDS", 0.5)

    @contextmanager
    def deploys_of(image: str = "lab/api:1.4.0", **options: Any) -> Iterator[Deploys]:
        seed = {"docker_image": image, "replicas": 2, "env": f"APP_SECRET={SECRET}"}
        with World(tmp_path / "dokploy", **seed, **options) as world, Api(world) as api:
            serving = threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True)
            serving.start()
            if not image.endswith("-crash"):
                world.serves(image, image)
            yield Deploys(world, api, capsys)
            api.shutdown()
            serving.join()

    return deploys_of


@pytest.fixture
def deploys(deploys_of: DeploysOf) -> Iterator[Deploys]:
    with deploys_of() as deploys:
        yield deploys


def commit(number: int, **columns: Any) -> dict[str, Any]:
    sha = f"{number:x}" * 40
    return {"sha": sha, "message": f"feat: {number}", "version": f"1.{number}.0", "build_seconds": 5, **columns}


def failed(result: dict[str, Any]) -> str:
    assert result["failed"]
    assert result["verdict"]["serving"] is False
    return str(result["msg"])


def serving(result: dict[str, Any]) -> bool:
    assert not result.get("failed"), result["msg"]
    return bool(result["verdict"]["serving"])


def in_background(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def other_application(world: World, seconds: float) -> str:
    """One whose build from git takes this long."""
    created = world.post("application.create", name="other", environmentId=world.seeded.environment_id)
    with world.double.model.change():
        world.double.model.tables["repositories"]["other.git"] = {"main": [commit(9, build_seconds=seconds)]}
        world.double.model.tables["applications"][created["applicationId"]].update(
            sourceType="git", customGitUrl="other.git", customGitBranch="main"
        )
    return str(created["applicationId"])


def test_an_image_that_serves(deploys: Deploys) -> None:
    planned = deploys(image="lab/api:1.5.0", check=True)
    assert planned["changed"]
    assert planned["verdict"] is None
    assert planned["diff"]["before"]["stored_image"] == "lab/api:1.4.0"
    assert planned["diff"]["after"]["stored_image"] == "lab/api:1.5.0"
    assert deploys.world.application()["dockerImage"] == "lab/api:1.4.0"

    result = deploys(image="lab/api:1.5.0", title="release 1.5.0")
    assert serving(result)
    assert (result["deployment"]["title"], result["deployment"]["status"]) == ("release 1.5.0", "done")
    assert (result["before"]["image"], result["after"]["image"]) == ("lab/api:1.4.0", "lab/api:1.5.0")
    assert result["log_tail"][-1] == "✅ Pulling image completed."
    deploys.world.serves("lab/api:1.5.0", "lab/api:1.5.0")

    result = deploys.expecting("1.6.0", image="lab/api:1.6.0")
    assert serving(result)
    assert (result["before"]["version"], result["after"]["version"]) == ("1.5.0", "1.6.0")

    again = deploys.expecting("1.6.0", unless_version="1.6.0")
    assert (again["changed"], again["sent"]) == (False, 0)
    assert again["before"] == again["after"]


def test_an_image_that_crashes_although_dokploy_says_done(deploys: Deploys) -> None:
    result = deploys(image="lab/api:1.5.0-crash")
    assert "Swarm kept the version from before" in failed(result) or "runs instead of" in failed(result)
    assert "What serves now: image lab/api:1.4.0" in result["msg"]
    assert result["deployment"]["status"] == "done"
    assert deploys.world.application()["applicationStatus"] == "done"
    assert result["source_put_back"]
    assert "The stored image is lab/api:1.4.0 again" in result["msg"]
    assert deploys.world.application()["dockerImage"] == "lab/api:1.4.0"

    kept = deploys.expecting("1.5.0", image="lab/api:1.5.0-crash", keep_source_on_failure=True)
    assert "version 1.4.0" in failed(kept)
    assert deploys.world.application()["dockerImage"] == "lab/api:1.5.0-crash"


def test_an_image_that_is_not_there(deploys: Deploys) -> None:
    result = deploys(image="lab/api:nosuchtag")
    assert failed(result).startswith("The deployment of api failed: Error response from daemon: manifest for")
    assert result["failing_line"] in result["log_tail"]
    assert result["source_put_back"]


def test_a_build_from_git(deploys: Deploys) -> None:
    deploys.world.from_git(commit(1))
    first = deploys(commit=commit(1)["sha"])
    assert serving(first)
    assert first["after"]["commit"] == commit(1)["sha"]

    deploys.world.from_git(commit(1), commit(2))
    result = deploys.expecting("1.2.0")
    assert serving(result)
    assert (result["before"]["commit"], result["after"]["commit"]) == (commit(1)["sha"], commit(2)["sha"])
    assert result["deployment"]["title"] == "feat: 2"

    other = deploys(commit=commit(1)["sha"])
    assert f"built commit {commit(2)['sha']} instead of {commit(1)['sha']}" in failed(other)
    assert serving(deploys(method="rebuild", title="again"))

    deploys.world.from_git(commit(3, behaviour="fail-build"))
    broken = deploys()
    assert "returned a non-zero code: 1" in failed(broken)
    assert broken["failing_line"] in broken["log_tail"]
    assert broken["deployment"]["status"] == "error"

    deploys.world.from_git(commit(4, behaviour="crash"))
    failed(deploys())
    failed(deploys.expecting("1.4.0"))


def test_a_version_that_never_changes(deploys: Deploys) -> None:
    """The wrong commit was tagged: all is well, but it is not what was wanted."""
    result = deploys.expecting("9.9.9", image="lab/api:1.5.0")
    assert "serves version 1.5.0 instead of 9.9.9" in failed(result)
    assert "What serves now: version 1.5.0" in result["msg"]
    assert result["waited"] < 20


def test_a_job_that_a_restart_loses(deploys: Deploys) -> None:
    world = deploys.world
    other = other_application(world, seconds=3000)

    def restart_when_queued() -> None:
        until(lambda: len(world.get("deployment.queueList")) == 2, "two jobs")
        world.double.restart()

    world.post("application.deploy", applicationId=other)
    restart = in_background(restart_when_queued)
    result = deploys(image="lab/api:1.5.0")
    restart.join()
    assert "neither in its queue nor among its records" in failed(result)
    assert result["deployment"] is None
    assert result["source_put_back"]

    world.post("application.deploy", applicationId=other)
    restart = in_background(restart_when_queued)
    result = deploys(image="lab/api:1.5.0", resubmit=1)
    restart.join()
    assert serving(result)
    assert result["sent"] == 2
    assert "sent again" in json.dumps(result["warnings"])


def test_a_build_that_a_restart_cancels(deploys: Deploys) -> None:
    world = deploys.world
    world.from_git(commit(1, build_seconds=3000))

    def restart_when_building() -> None:
        until(lambda: world.deployments()[0]["status"] == "running", "a build")
        world.from_git(commit(1))
        world.double.restart()

    restart = in_background(restart_when_building)
    result = deploys(resubmit=1)
    restart.join()
    assert serving(result)
    assert result["sent"] == 2
    assert [row["status"] for row in world.deployments()[:2]] == ["done", "cancelled"]


def test_another_who_deploys_at_the_same_time(deploys: Deploys) -> None:
    """Before, between and after: each is told from mine, and what came last counts."""
    world = deploys.world
    world.from_git(commit(1, build_seconds=20))

    def mine_is_building() -> bool:
        newest = world.deployments()[0]
        log = world.get("deployment.readLogs", deploymentId=newest["deploymentId"])
        return newest["description"].startswith("[run ") and "Building" in log

    def push_while_building() -> None:
        until(mine_is_building, "my build")
        world.from_git(commit(1), commit(2, build_seconds=20))
        world.post("application.deploy", title="theirs", description=f"Hash: {commit(2)['sha']}")

    world.post("application.deploy", title="before mine")
    push = in_background(push_while_building)
    result = deploys(title="mine")
    push.join()
    assert "another deployment (feat: 2" in failed(result)
    assert result["deployment"]["commit"] == commit(1)["sha"]

    push = in_background(push_while_building)
    assert serving(deploys.expecting("1.2.0", title="mine"))
    push.join()


def test_two_runs_and_a_webhook_at_once(deploys: Deploys) -> None:
    """Builds that are over between two looks, with their titles overwritten: the place in the queue tells them."""
    world = deploys.world
    world.from_git(commit(1))
    found: dict[str, Any] = {}

    def run(name: str) -> None:
        client = DokployClient(world.double.url, world.seeded.api_key, RequestsTransport(), SystemClock())
        params: dict[str, Any] = {name: option.get("default") for name, option in deploy.DEPLOY_ARGUMENTS.items()}
        params.update(stable_for=0.3, wait_timeout=20.0, request_timeout=10.0, title=name)
        query = ServiceQuery(application_id=world.id)
        found[name] = deploy.deploy(
            client, SystemClock(), RequestsTransport(), query, params, check=False, progress=Progress()
        )

    other = other_application(world, seconds=30)
    world.post("application.deploy", applicationId=other)
    threads = [in_background(lambda name=name: run(name)) for name in ("one", "two")]
    until(lambda: len(world.get("deployment.queueList")) == 3, "three jobs")
    world.post("application.deploy", title="webhook")
    for thread in threads:
        thread.join()
    ids = {outcome.record.id for outcome in found.values()}
    assert len(ids) == 2
    assert ids < {row["deploymentId"] for row in world.deployments()}
    assert all(outcome.verdict.serving for outcome in found.values())


def test_a_long_build_while_the_old_version_crash_loops(deploys_of: DeploysOf) -> None:
    with deploys_of("lab/api:1.4.0-crash") as deploys:
        deploys.world.from_git(commit(2, build_seconds=60))
        assert serving(deploys())


def test_a_key_that_may_not_read_docker(deploys: Deploys) -> None:
    world = deploys.world
    projects = world.get("project.all")
    with world.double.model.change():
        member = keys.add(
            world.double.model.tables["keys"],
            organization_id=projects[0]["organizationId"],
            role="member",
            services=(world.id,),
        )
    world.post("application.update", dockerImage="lab/api:1.5.0")
    result = deploys(dokploy_api_key=member)
    assert "not proved: this API key may not read Docker" in failed(result)
    assert "docker:read" in result["msg"]
    assert result["verdict"]["tasks"] is None

    world.post("application.update", dockerImage="lab/api:1.6.0")
    assert serving(deploys.expecting("1.6.0", dokploy_api_key=member))
    world.post("application.update", dockerImage="lab/api:1.7.0-crash")
    failed(deploys.expecting("1.7.0", dokploy_api_key=member, wait_timeout=3))
    assert "told the same before" in failed(deploys.expecting("1.6.0", dokploy_api_key=member, wait_timeout=3))


def test_watching_what_a_push_has_started(deploys: Deploys) -> None:
    world = deploys.world
    world.from_git(commit(1, build_seconds=20))
    missing = deploys(method="watch", commit=commit(5)["sha"], appear_timeout=0.3)
    assert "No deployment of commit 5555555" in failed(missing)
    assert not missing["changed"]

    world.post("application.deploy", title="feat: 1", description=f"Hash: {commit(1)['sha']}")
    result = deploys(method="watch", commit=commit(1)["sha"])
    assert serving(result)
    assert (result["changed"], result["sent"]) == (False, 0)

    late = deploys(method="watch", commit=commit(1)["sha"])
    assert "before this looked for the first time" in failed(late)
    assert serving(deploys(method="watch", commit=commit(1)["sha"], api_url=deploys.api.url, expect_version="1.1.0"))


def test_what_is_stopped_is_not_deployed(deploys: Deploys) -> None:
    deploys.world.post("application.update", replicas=0)
    before = deploys.world.deployments()
    assert "has 0 replicas" in deploys()["msg"]
    assert deploys.world.deployments() == before


COMPOSE = "services:\n  web:\n    image: lab/web:{version}\n  worker:\n    image: lab/worker:1\n"


@pytest.mark.parametrize("compose_type", ["docker-compose", "stack"])
def test_a_compose_service(deploys: Deploys, compose_type: str) -> None:
    compose = Compose(deploys.world, compose_type, composeFile=COMPOSE.format(version=1))
    first = deploys(application=None, compose="stackapp")
    assert serving(first)
    assert first["service"]["compose_type"] == compose_type
    compose.call("update", composeFile=COMPOSE.format(version="2-crash"))
    result = deploys(application=None, compose="stackapp")
    reason = {"docker-compose": "exit code 1", "stack": "task: non-zero exit (1)"}[compose_type]
    assert f"of the new version ended ({reason})" in failed(result)
    compose.call("update", composeFile=COMPOSE.format(version=3))
    assert serving(deploys(application=None, compose="stackapp"))
    compose.call("update", composeFile="services: [\n")
    broken = deploys(application=None, compose="stackapp")
    assert broken["deployment"]["status"] == "error"
    assert "has occurred an error" in failed(broken).lower()


@pytest.mark.parametrize("version", ["v0.25.0", "v0.27.0"])
def test_an_older_dokploy_has_neither_queue_nor_log(deploys_of: DeploysOf, version: str) -> None:
    with deploys_of(version=version) as deploys:
        result = deploys(image="lab/api:1.5.0")
        assert serving(result)
        assert "cannot be read" in json.dumps(result["warnings"])
        deploys.world.from_git(commit(1))
        assert serving(deploys())
        failed(deploys(image=None, git_ref="nosuch"))


def test_the_log_is_shown_while_it_is_built(deploys: Deploys, tmp_path: Path) -> None:
    world = deploys.world
    world.from_git(commit(1, build_seconds=60))
    task = {
        "dokploy_url": world.double.url,
        "project": "vedfinance",
        "application": "api",
        "stable_for": 0.4,
        "progress_interval": 0.3,
    }
    play = [{"hosts": "vps1", "gather_facts": False, "tasks": [{"vedfinance.platform.dokploy_deploy": task}]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    (tmp_path / "inventory").write_text(f"vps1 ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", tmp_path / "inventory", "--diff", "-vvv"]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "DOKPLOY_API_KEY": world.seeded.api_key,
    }
    done = subprocess.run(
        [*command, tmp_path / "play.yml"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  vps1 · deploy api | Cloning into " in done.stderr
    assert f"+    commit: '{commit(1)['sha']}'" in done.stdout
    for secret in (SECRET, world.seeded.api_key):
        assert secret not in done.stdout + done.stderr
