# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment from the first look to the verdict: the exact calls, and what is said when it goes wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import deploy as deploy_module
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import ServerFailed
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deploy import (
    DEPLOY_ARGUMENTS,
    Outcome,
    check_options,
    deploy,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ServiceQuery
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

from tests.unit.plugins.dokploy_answers import (
    APP_NAME,
    APPLICATION_ID,
    COMPOSE_APP_NAME,
    COMPOSE_ID,
    DATABASE_ID,
    client_for,
    compose_one,
    config_of,
    container,
    containers,
    database_one,
    get,
    no_docker,
    one,
    post,
    problem,
    task,
    tasks,
)
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer, refused

TOKEN = "0123456789abcdef"
MARK = f"[run {TOKEN}]"
SHA = "6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5"
VERSION = get("settings.getDokployVersion", "v0.30.2")
DEFAULTS = {name: option.get("default") for name, option in DEPLOY_ARGUMENTS.items()}
OLD_IMAGE, NEW_IMAGE = "lab/api:1.4.0", "lab/api:1.5.0"
OLD_ID, NEW_ID = "5pf4cxnyzj15bvrknww4120fl", "ppf7c5wz0swk6pl17v7odfioz"
START = [VERSION, one(replicas=1)]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_module.secrets, "token_hex", lambda _size: TOKEN)


def record(number: int, status: str = "done", description: str = "", title: str = "t") -> dict[str, Any]:
    created = f"2026-11-22T01:{number:02d}:00.000Z"
    return {
        "deploymentId": f"d{number}",
        "title": title,
        "description": description,
        "status": status,
        "createdAt": created,
    }


MINE = record(2, description=MARK)


def job(
    description: str = MARK, state: str = "waiting", service: str = APPLICATION_ID, number: int = 8
) -> dict[str, Any]:
    data = {"applicationId": service, "titleLog": "t", "descriptionLog": description, "type": "deploy"}
    return {"id": f"job-{number}", "data": data, "state": state, "timestamp": number}


def image(identity: str, reference: str) -> list[Call]:
    """A task whose image is not yet known is asked for it."""
    return [
        containers(container(f"{APP_NAME}.1.{identity}", identity=f"c-{identity}")),
        config_of(f"c-{identity}", reference, f"sha256:{reference}"),
    ]


def look(
    *seen: dict[str, str],
    images: Sequence[Call] = (),
    recorded: Sequence[dict[str, Any]] = (record(1),),
    queued: Sequence[dict[str, Any]] = (),
) -> list[Call]:
    return [
        tasks(*seen),
        *images,
        get("deployment.all", list(recorded), applicationId=APPLICATION_ID),
        get("deployment.queueList", list(queued)),
    ]


def log(text: str = "Initializing deployment\n", number: int = 2) -> Call:
    return get("deployment.readLogs", text, deploymentId=f"d{number}", tail="1000")


def send(verb: str = "deploy", description: str = MARK, **options: Any) -> Call:
    body = {"applicationId": APPLICATION_ID, **options, "description": description}
    return post(f"application.{verb}", body)


def store(reference: str) -> Call:
    return post("application.update", {"applicationId": APPLICATION_ID, "dockerImage": reference}, True)


OLD, NEW = task("Running", OLD_ID), task("Running", NEW_ID)
GONE = task("Shutdown", OLD_ID, "shutdown")
FIRST = look(OLD, images=image(OLD_ID, OLD_IMAGE))


class Run:
    def __init__(self, *calls: Call, check: bool = False, api: Sequence[Call] = (), **options: Any) -> None:
        self.clock = FakeClock()
        client, dokploy = client_for(self.clock, *calls)
        word = ScriptedTransport(self.clock, *api)
        self.outcome: Outcome | None = None
        self.error: PlatformError | None = None
        compose, database = options.pop("compose_id", None), options.pop("database_id", None)
        query = ServiceQuery(
            application_id=None if compose or database else APPLICATION_ID, compose_id=compose, database_id=database
        )
        params = {**DEFAULTS, "stable_for": 2.0, "request_timeout": 10.0, **options}
        try:
            self.outcome = deploy(client, self.clock, word, query, params, check, Progress())
        except PlatformError as error:
            self.error = error
        dokploy.assert_all_made()
        word.assert_all_made()
        assert "s3cr3t" not in json.dumps(self.result)

    @property
    def result(self) -> dict[str, Any]:
        if self.outcome is not None:
            return {**self.outcome.to_result(), "changed": self.outcome.changed}
        return dict(self.error.details) if self.error else {}

    @property
    def told(self) -> str:
        assert self.error is not None
        assert not self.result.get("verdict") or self.result["verdict"]["serving"] is False
        return str(self.error)


def served(image_of_new: str = NEW_IMAGE, **seen: Any) -> list[Call]:
    """Looks until the new task has run for long enough."""
    first = look(NEW, GONE, images=image(NEW_ID, image_of_new), **seen)
    return [*first, *look(NEW, GONE, **seen), *look(NEW, GONE, **seen)]


# -- what goes well ------------------------------------------------------------------------------------------------


def test_check_mode_looks_and_predicts() -> None:
    first = look(OLD, images=image(OLD_ID, OLD_IMAGE), queued=[job("x", service="other", state="active")])
    run = Run(*START, *first, check=True, image=NEW_IMAGE)
    assert run.result["changed"]
    assert run.result["before"] == {"commit": None, "image": OLD_IMAGE, "version": None, "stored_image": OLD_IMAGE}
    assert run.result["after"] == {"commit": None, "image": NEW_IMAGE, "version": None, "stored_image": NEW_IMAGE}
    assert [ahead["id"] for ahead in run.result["ahead"]] == ["job-8"]
    assert (run.result["sent"], run.result["verdict"]) == (0, None)


def test_a_new_image() -> None:
    both = [MINE, record(1)]
    run = Run(
        *START,
        *FIRST,
        store(NEW_IMAGE),
        send(title="release", description=f"by me {MARK}"),
        *look(OLD, recorded=both),
        log("Initializing deployment\nPulling\n"),
        *served(recorded=both),
        image=NEW_IMAGE,
        title="release",
        description="by me",
    )
    assert run.result["verdict"]["serving"]
    assert run.result["verdict"]["reasons"] == ["its tasks have run for 2 s"]
    assert run.result["after"]["image"] == NEW_IMAGE
    assert run.result["log_tail"] == ["Initializing deployment", "Pulling"]
    assert (run.result["changed"], run.result["sent"], run.result["waited"]) == (True, 1, 3.0)


def test_the_image_that_is_stored_already_is_not_stored_again() -> None:
    both = [MINE, record(1)]
    calls = [send(), *look(OLD, recorded=both), log(), *served(OLD_IMAGE, recorded=both)]
    assert Run(*START, *FIRST, *calls, image=OLD_IMAGE).result["verdict"]["serving"]


def test_a_build_that_is_queued_first_and_its_log_while_it_grows() -> None:
    ahead = [job(), job("x", "active", "other", 7)]
    run = Run(
        *START,
        *FIRST,
        send("redeploy"),
        *look(OLD, queued=ahead),
        *look(OLD, queued=[job(state="active")], recorded=[record(2, "running", MARK), record(1)]),
        log("one\ntwo\nhal"),
        *look(OLD, recorded=[MINE, record(1)]),
        log("one\ntwo\nhalf\n"),
        *served(OLD_IMAGE, recorded=[MINE, record(1)]),
        method="rebuild",
        log_lines=2,
    )
    assert run.result["log_tail"] == ["two", "half"]
    assert run.result["appeared"]
    assert run.result["seconds"] == {"queued": 2.0, "build": 1.0, "rollout": 2.0}


def test_without_waiting_nothing_is_proved() -> None:
    queued = Run(*START, *FIRST, send(), *look(OLD, queued=[job()]), wait=False)
    assert (queued.result["changed"], queued.result["deployment"], queued.result["verdict"]) == (True, None, None)
    begun = Run(*START, *FIRST, send(), *look(OLD, recorded=[record(2, "running", MARK)]), log(), wait=False)
    assert begun.result["deployment"]["id"] == "d2"


def version(told: str) -> Call:
    return Call("GET", "/api/version", answer({"version": told, "commit": SHA}))


API = {"api_url": "http://127.0.0.1:3001"}


def test_what_serves_already_is_left_alone() -> None:
    run = Run(*START, *FIRST, api=[version("1.5.0")] * 3, unless_version="1.5.0", **API)
    assert (run.result["changed"], run.result["sent"]) == (False, 0)
    assert run.clock.sleeps == [1.0, 1.0]


@pytest.mark.parametrize(
    ("first", "api"),
    [
        (FIRST, [version("1.4.0")]),
        (FIRST, [version("1.5.0"), version("1.4.0")]),
        (look(OLD, images=image(OLD_ID, OLD_IMAGE), queued=[job("x")]), []),
        (look(OLD, images=image(OLD_ID, OLD_IMAGE), recorded=[record(1, "running")]), []),
    ],
)
def test_what_does_not_serve_yet_or_is_under_way_is_deployed(first: list[Call], api: list[Call]) -> None:
    assert Run(*START, *first, api=api, check=True, unless_version="1.5.0", **API).result["changed"]


def test_the_application_itself_tells() -> None:
    both = [MINE, record(1)]
    calls = [send(), *look(OLD, recorded=both), log(), *served(OLD_IMAGE, recorded=both)]
    run = Run(*START, *FIRST, *calls, api=[version("1.4.0"), *[version("1.5.0")] * 3], expect_version="1.5.0", **API)
    assert run.result["verdict"]["serving"]
    assert (run.result["before"]["version"], run.result["after"]["version"]) == ("1.4.0", "1.5.0")


def test_a_compose_service() -> None:
    where = {"composeId": COMPOSE_ID}

    def seen(*recorded: dict[str, Any]) -> list[Call]:
        running = containers(container("shop_web_1"), app_name=COMPOSE_APP_NAME, appType="docker-compose")
        return [running, get("deployment.allByCompose", list(recorded), **where), get("deployment.queueList", [])]

    first = seen()
    images = containers(container("shop_web_1"), app_name=COMPOSE_APP_NAME, appType="docker-compose")
    sent = post("compose.deploy", {**where, "description": MARK}, {"success": True})
    run = Run(
        VERSION,
        compose_one(),
        *[first[0], images, config_of("c1", "nginx:1"), *first[1:]],
        sent,
        *seen(MINE),
        log(),
        *seen(MINE),
        *seen(MINE),
        *seen(MINE),
        compose_id=COMPOSE_ID,
    )
    assert run.result["verdict"]["serving"]
    assert run.result["service"]["kind"] == "compose"


def test_the_commit_that_a_push_has_started() -> None:
    git = [VERSION, one(replicas=1, sourceType="git", dockerImage=None, customGitBranch="main")]
    first = look(OLD, images=image(OLD_ID, "shop:latest"))
    hashed = record(2, "running", f"Hash: {SHA}")
    built = record(2, "done", f"Commit: {SHA}", "feat: 1")
    run = Run(
        *git,
        *first,
        *look(OLD, queued=[job(f"Hash: {SHA}")]),
        *look(OLD, recorded=[hashed, record(1)]),
        log(),
        *look(OLD, recorded=[built, record(1)]),
        log(),
        *served("shop:latest", recorded=[built, record(1)]),
        method="watch",
        commit=SHA[:8],
    )
    assert run.result["verdict"]["serving"]
    assert (run.result["changed"], run.result["sent"], run.result["after"]["commit"]) == (False, 0, SHA)


# -- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_failed_build_and_the_former_image_put_back() -> None:
    broken = [record(2, "error", MARK), record(1)]
    text = "Pulling\nError response from daemon: manifest for x not found: manifest unknown\n❌ Pulling image failed\n"
    run = Run(
        *START,
        *FIRST,
        store(NEW_IMAGE),
        send(),
        *look(OLD, recorded=broken),
        log(text),
        one(dockerImage=NEW_IMAGE),
        store(OLD_IMAGE),
        image=NEW_IMAGE,
    )
    assert run.told.startswith("The deployment of api failed: Error response from daemon: manifest for x not found")
    assert f"The stored image is {OLD_IMAGE} again, as before." in run.told
    assert (run.result["source_put_back"], run.result["changed"]) == (True, True)
    assert run.result["failing_line"].startswith("Error response")


@pytest.mark.parametrize(
    ("after", "options", "told"),
    [
        ([], {"keep_source_on_failure": True}, f"The stored image is now {NEW_IMAGE}; before, it was {OLD_IMAGE}."),
        ([one(dockerImage="lab/api:9")], {}, "The stored image is lab/api:9, which somebody else has set."),
        (
            [
                get(
                    "application.one",
                    problem("no", "NOT_FOUND", 404, "application.one"),
                    404,
                    applicationId=APPLICATION_ID,
                )
            ],
            {},
            "It could not be put back",
        ),
    ],
)
def test_how_the_stored_image_stands_is_told(after: list[Call], options: dict[str, Any], told: str) -> None:
    broken = [record(2, "error", MARK), record(1)]
    calls = [store(NEW_IMAGE), send(), *look(OLD, recorded=broken), log("x failed\n"), *after]
    run = Run(*START, *FIRST, *calls, image=NEW_IMAGE, **options)
    assert told in run.told
    assert not run.result["source_put_back"]


def test_a_version_that_swarm_took_back() -> None:
    both = [MINE, record(1)]
    crash = task("Failed", NEW_ID, "shutdown", "task: non-zero exit (1)")
    crashed = look(crash, OLD, recorded=both)
    run = Run(*START, *FIRST, send(), *look(OLD, recorded=both), log(), *crashed, *crashed, *crashed)
    assert "Docker Swarm kept the version from before. What serves now: image lab/api:1.4.0." in run.told
    assert "rollback" in run.told


def test_nothing_is_proved_without_docker() -> None:
    blind = [
        no_docker(),
        get("deployment.all", [record(1)], applicationId=APPLICATION_ID),
        get("deployment.queueList", []),
    ]
    done = [
        no_docker(),
        get("deployment.all", [MINE, record(1)], applicationId=APPLICATION_ID),
        get("deployment.queueList", []),
    ]
    run = Run(*START, *blind, send(), *done, log(), *done)
    assert "not proved: this API key may not read Docker" in run.told
    assert run.result["verdict"]["tasks"] is None


def test_lost_and_sent_again() -> None:
    nowhere = look(OLD) * 6
    both = [MINE, record(1)]
    lost = Run(*START, *FIRST, send(), *nowhere, one())
    assert "neither in its queue nor among its records" in lost.told
    calls = [
        send(),
        *nowhere,
        one(),
        *look(OLD),
        send(),
        *look(OLD, recorded=both),
        log(),
        *served(OLD_IMAGE, recorded=both),
    ]
    again = Run(*START, *FIRST, *calls, resubmit=1)
    assert again.result["sent"] == 2
    assert again.outcome is not None
    assert "It was sent again." in again.outcome.warnings[0]


def test_deleted_while_it_waited() -> None:
    gone = problem("Application not found", "NOT_FOUND", 404, "application.one")
    deleted = get("application.one", gone, 404, applicationId=APPLICATION_ID)
    assert "was deleted" in Run(*START, *FIRST, send(), *look(OLD, recorded=[]) * 6, deleted).told


def test_cancelled_by_a_restart() -> None:
    calls = [send(), *look(OLD, recorded=[record(2, "cancelled", MARK)]), log()]
    assert "was restarted while it built api (deployment d2 is cancelled)" in Run(*START, *FIRST, *calls).told


def test_a_record_that_is_removed_while_it_is_built() -> None:
    calls = [send(), *look(OLD, recorded=[record(2, "running", MARK)]), log(), *look(OLD, recorded=[])]
    assert "was removed while it was being built" in Run(*START, *FIRST, *calls).told


def test_two_that_cannot_be_told_apart() -> None:
    git = [VERSION, one(replicas=1, sourceType="git", dockerImage=None)]
    built = [record(number, "done", f"Commit: {SHA}") for number in (3, 2)]
    first = look(OLD, images=image(OLD_ID, "shop:latest"))
    run = Run(*git, *first, send(), *look(OLD, recorded=built) * 6)
    assert "Which of 2 new deployments of api is this one cannot be told: d2, d3." in run.told
    assert [candidate["id"] for candidate in run.result["candidates"]] == ["d2", "d3"]


def test_a_server_that_restarts_meanwhile_is_waited_for() -> None:
    down = [Call("GET", tasks().path, refused(), params={"appName": APP_NAME})] * 4
    both = [MINE, record(1)]
    calls = [send(), *down, *look(OLD, recorded=both), log(), *served(OLD_IMAGE, recorded=both)]
    assert Run(*START, *FIRST, *calls).result["verdict"]["serving"]


def test_a_server_that_stays_away() -> None:
    down = [Call("GET", tasks().path, refused(), params={"appName": APP_NAME})] * 4
    run = Run(*START, *FIRST, store(NEW_IMAGE), send(), *down, image=NEW_IMAGE, wait_timeout=3)
    assert "Dokploy stopped to answer while it deployed api" in run.told
    assert f"The stored image is now {NEW_IMAGE}" in run.told


@pytest.mark.parametrize("kind", ["timeout", "reset"])
def test_an_answer_that_is_lost_does_not_mean_that_nothing_was_done(kind: str) -> None:
    lost = send()
    lost.outcome = TransportError(kind, "no answer")
    both = [MINE, record(1)]
    calls = [lost, *look(OLD, recorded=both), log(), *served(OLD_IMAGE, recorded=both)]
    assert Run(*START, *FIRST, *calls).result["verdict"]["serving"]


def test_what_was_never_sent_has_changed_nothing() -> None:
    lost = send()
    lost.outcome = refused()
    back = [one(dockerImage=NEW_IMAGE), store(OLD_IMAGE)]
    run = Run(*START, *FIRST, store(NEW_IMAGE), *[lost] * 4, *back, image=NEW_IMAGE)
    assert "Connection refused" in run.told
    assert (run.result["changed"], run.result["sent"], run.result["source_put_back"]) == (False, 0, True)


def test_a_deploy_that_dokploy_fails_at() -> None:
    failing = send()
    failing.outcome = answer(problem("out of order", "INTERNAL_SERVER_ERROR", 500, "application.deploy"), 500)
    run = Run(*START, *FIRST, failing)
    assert isinstance(run.error, ServerFailed)
    assert run.result["sent"] == 0


def test_time_that_is_over_while_it_waits_or_is_built() -> None:
    waiting = Run(*START, *FIRST, send(), *look(OLD, queued=[job(), job("x", "active", "other", 7)]), wait_timeout=1)
    assert "has not begun (in the queue of Dokploy: job-8 (t) waiting, job-7 (t) active) after 1 s" in waiting.told
    building = [send(), *look(OLD, recorded=[record(2, "running", MARK)]), log()]
    assert "is still being built (deployment d2) after 1 s" in Run(*START, *FIRST, *building, wait_timeout=1).told


def test_time_that_is_over_before_it_is_proved() -> None:
    both = [MINE, record(1)]
    starting = look(task("Starting", NEW_ID, "running"), OLD, recorded=both)
    calls = [send(), *look(OLD, recorded=both), log(), *starting, *starting]
    assert "not in time: running tasks: 1 of 1" in Run(*START, *FIRST, *calls, wait_timeout=2).told


def test_another_that_took_over_and_one_that_failed() -> None:
    git = [VERSION, one(replicas=1, sourceType="git", dockerImage=None)]
    first = look(OLD, images=image(OLD_ID, "shop:latest"))
    mine = record(2, "done", f"Commit: {SHA}")
    mine_first = [send(), *look(OLD, recorded=[record(2, "running", MARK)]), log()]

    theirs = [record(3, "done", "Commit: 9afab97141e86600947b82822410f3e0ff163288", "fix"), mine]
    taken = look(NEW, GONE, images=image(NEW_ID, "shop:latest"), recorded=theirs)
    run = Run(*git, *first, *mine_first, *look(OLD, recorded=[mine]), log(), *taken)
    assert "another deployment (fix, d3) took over" in run.told

    same = [record(3, "done", f"Commit: {SHA}", "again"), mine]
    run = Run(*git, *first, *mine_first, *look(OLD, recorded=[mine]), log(), *served("shop:latest", recorded=same))
    assert run.result["verdict"]["serving"]

    # Dokploy writes the commit a moment after the end of the build.
    not_yet = look(NEW, GONE, images=image(NEW_ID, "shop:latest"), recorded=[record(3, "done", "", "webhook"), mine])
    then = [*look(NEW, GONE, recorded=same), *look(NEW, GONE, recorded=same)]
    run = Run(*git, *first, *mine_first, *look(OLD, recorded=[mine]), log(), *not_yet, *then)
    assert run.result["verdict"]["serving"]

    failing = [record(3, "error", "", "fix"), mine]
    run = Run(*git, *first, *mine_first, *look(OLD, recorded=[mine]), log(), *served("shop:latest", recorded=failing))
    assert run.result["verdict"]["serving"]


def test_another_that_is_queued_is_waited_for() -> None:
    both = [MINE, record(1)]
    image_of_new = image(NEW_ID, OLD_IMAGE)
    calls = [send(), *look(OLD, recorded=both), log(), *look(NEW, GONE, images=image_of_new, recorded=both)]
    waits = [look(NEW, GONE, recorded=both, queued=[job("theirs")]) for _second in range(4)]
    run = Run(*START, *FIRST, *calls, *[call for look in waits for call in look], *look(NEW, GONE, recorded=both))
    assert run.result["verdict"]["serving"]


@pytest.mark.parametrize(
    ("built", "told"),
    [
        (record(2, "done", "Commit: 9afab97141e86600947b82822410f3e0ff163288"), "Dokploy built commit 9afab97"),
        (record(2, "done", MARK), "not proved: Dokploy does not tell which commit it built"),
    ],
)
def test_another_commit_than_was_asked_for(built: dict[str, Any], told: str) -> None:
    git = [VERSION, one(replicas=1, sourceType="git", dockerImage=None)]
    first = look(OLD, images=image(OLD_ID, "shop:latest"))
    begun = [send(), *look(OLD, recorded=[record(2, "running", MARK)]), log(), *look(OLD, recorded=[built]), log()]
    run = Run(*git, *first, *begun, *served("shop:latest", recorded=[built]), commit=SHA)
    assert told in run.told


def test_a_push_that_nothing_follows() -> None:
    git = [VERSION, one(replicas=1, sourceType="github", dockerImage=None, branch="main")]
    first = look(OLD, images=image(OLD_ID, "shop:latest"))
    run = Run(*git, *first, *look(OLD), *look(OLD), method="watch", commit=SHA, appear_timeout=2)
    assert f"No deployment of commit {SHA} of api appeared within 2 s." in run.told
    assert not run.result["changed"]
    assert not run.result["appeared"]
    assert run.result["seconds"] == {"queued": 2.0}


def test_a_log_that_cannot_be_read_is_said_once() -> None:
    missing = get(
        "deployment.readLogs", problem("Not found", "NOT_FOUND", 404, None), 404, deploymentId="d2", tail="1000"
    )
    building, both = [record(2, "running", MARK), record(1)], [MINE, record(1)]
    calls = [send(), *look(OLD, recorded=building), missing, *look(OLD, recorded=both)]
    run = Run(*START, *FIRST, *calls, *served(OLD_IMAGE, recorded=both))
    assert run.outcome is not None
    assert run.outcome.log == []
    assert len(run.outcome.warnings) == 1


# -- what is refused -----------------------------------------------------------------------------------------------


def test_what_is_stopped() -> None:
    assert "has 0 replicas" in Run(VERSION, one(replicas=0)).told


@pytest.mark.parametrize(
    ("options", "columns", "told"),
    [
        ({"image": "x:1"}, {"sourceType": "git"}, "image is for an application whose source is a Docker image"),
        ({"git_ref": "v1"}, {}, "git_ref is for what is built from git"),
        ({"commit": SHA}, {}, "commit is for what is built from git"),
    ],
)
def test_what_does_not_fit_the_source(options: dict[str, Any], columns: dict[str, Any], told: str) -> None:
    assert told in Run(VERSION, one(**columns), **options).told


def test_a_database() -> None:
    assert "is a postgres database" in Run(VERSION, database_one(), database_id=DATABASE_ID).told


def test_a_branch_to_build() -> None:
    git = [VERSION, one(replicas=1, sourceType="github", dockerImage=None, branch="main")]
    first = look(OLD, images=image(OLD_ID, "shop:latest"))
    stored = post("application.update", {"applicationId": APPLICATION_ID, "branch": "v1"}, True)
    run = Run(*git, *first, stored, send(), *look(OLD, queued=[job()]), git_ref="v1", wait=False)
    assert run.result["after"]["stored_git_ref"] == "v1"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"expect_version": "1"}, "need api_url"),
        ({"unless_commit": SHA}, "need api_url"),
        ({"api_url": "http://127.0.0.1:1"}, "nothing that the API must say"),
        ({"image": "x", "git_ref": "y"}, "exclude each other"),
        ({"image": "x", "method": "rebuild"}, "not for method=rebuild"),
        ({"git_ref": "x", "method": "watch", "commit": SHA}, "not for method=watch"),
        ({"method": "watch"}, "needs commit"),
        ({"method": "watch", "commit": SHA, "wait": False}, "does nothing"),
        ({"method": "rebuild", "commit": SHA}, "not for method=rebuild"),
        ({"commit": "6e149e"}, "at least 7"),
        ({"resubmit": -1}, "resubmit must not be negative"),
    ],
)
def test_options_that_do_not_fit_together(options: dict[str, Any], told: str) -> None:
    with pytest.raises(PlatformError, match=told):
        check_options({**DEFAULTS, **options})
