# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact calls to Cloudflare, and what is made of its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient, PagesError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deploy import DEPLOYMENT_ARGUMENTS, deploy
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import deployment_from
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.project import (
    needs_switch,
    read_project,
    switch,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer

URL = "https://api.cloudflare.test/client/v4"
TOKEN = "token-0123456789"
PATH = "/client/v4/accounts/acc/pages/projects/web"
OLD, NEW = "a" * 40, "b" * 40


def envelope(result: object, **more: object) -> dict[str, object]:
    return {"result": result, "success": True, "errors": [], "messages": [], **more}


def problem(status: int, code: int, message: str = "Something", **headers: str) -> Any:
    body = {"result": None, "success": False, "errors": [{"code": code, "message": message}], "messages": []}
    return answer(body, status, headers=headers)


def stage(name: str, status: str) -> dict[str, object]:
    return {"name": name, "status": status, "started_on": None, "ended_on": None}


def deployment(commit: str, status: str = "success", **more: object) -> dict[str, object]:
    latest = stage("deploy" if status == "success" else "build", status)
    return {
        "id": f"id-of-{commit[:4]}",
        "short_id": commit[:8],
        "environment": "production",
        "url": f"https://{commit[:8]}.web.pages.dev",
        "created_on": f"2026-11-22T02:00:0{ord(commit[0]) - ord('a')}.000000Z",
        "deployment_trigger": {
            "metadata": {"branch": "main", "commit_hash": commit, "commit_message": "feat: x\n\nmore"}
        },
        "latest_stage": latest,
        "stages": [latest],
        **more,
    }


def project(canonical: object = None, **config: object) -> dict[str, object]:
    source = {"owner": "o", "repo_name": "r", "production_deployments_enabled": True, "deployments_enabled": True}
    return {
        "name": "web",
        "production_branch": "main",
        "canonical_deployment": canonical,
        "latest_deployment": canonical,
        "source": {"type": "github", "config": {**source, **config}},
    }


def client_for(*calls: Call, url: str = URL) -> tuple[PagesClient, ScriptedTransport, FakeClock]:
    clock = FakeClock()
    transport = ScriptedTransport(clock, *calls)
    return PagesClient(url, "acc", TOKEN, "web", transport, clock), transport, clock


def test_a_call_names_account_and_project_and_carries_the_token() -> None:
    client, transport, _clock = client_for(
        Call("GET", PATH, answer(envelope({"name": "web"})), headers={"Authorization": f"Bearer {TOKEN}"}),
        url=f"{URL}/",
    )
    assert client.get() == {"name": "web"}
    transport.assert_all_made()


def test_the_token_does_not_cross_a_network_in_clear() -> None:
    with pytest.raises(PlatformError, match="the API token would cross"):
        client_for(url="http://api.cloudflare.test/client/v4")


@pytest.mark.parametrize("option", ["api_token", "account_id", "project"])
def test_what_is_empty_is_refused(option: str) -> None:
    clock = FakeClock()
    given = {"account_id": "acc", "api_token": TOKEN, "project": "web", option: " "}
    with pytest.raises(PlatformError, match=f"{option} is empty"):
        PagesClient(URL, transport=ScriptedTransport(clock), clock=clock, **given)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (problem(401, 10000, "Authentication error"), "api_token (CLOUDFLARE_API_TOKEN)"),
        (problem(403, 9109, "Invalid access token"), "Cloudflare Pages > Read"),
        (problem(400, 6003, "Invalid request headers"), "does not accept the API token"),
        (problem(404, 7003, "Could not route"), "Check account_id (CLOUDFLARE_ACCOUNT_ID)"),
        (problem(404, 8000007, "Project not found."), "no Pages project 'web': Project not found (code 8000007)."),
        (problem(404, 8000009, "The deployment ID"), "has no such deployment"),
        (problem(400, 8000024, "Invalid list options"), "Cloudflare declined (status 400): Invalid list options"),
        (problem(400, 8000000, f"no {TOKEN}"), "no *** (code 8000000)"),
        (answer(b"<html>", 404), "not as Cloudflare's API does. Check api_url"),
        (answer({"hello": 1}, 200), "not as Cloudflare's API does"),
        (answer({"success": True}, 302), "Cloudflare declined (status 302)"),
    ],
)
def test_an_answer_without_success_says_what_to_do(outcome: Any, words: str) -> None:
    client, transport, _clock = client_for(Call("GET", PATH, outcome))
    with pytest.raises(PagesError) as failure:
        client.get()
    assert words in str(failure.value)
    assert not failure.value.passing
    transport.assert_all_made()


def test_the_rate_limit_is_waited_for_and_then_named() -> None:
    limited = problem(429, 971, "Please wait", **{"retry-after": "9"})
    client, transport, clock = client_for(*[Call("GET", PATH, limited)] * 4)
    with pytest.raises(PagesError) as failure:
        client.get()
    assert clock.sleeps == [9.0, 9.0, 9.0]
    assert "rate limit is used up: Please wait (code 971). Wait 9 s" in str(failure.value)
    assert failure.value.passing
    transport.assert_all_made()


def test_a_change_is_not_repeated_when_its_answer_is_lost() -> None:
    client, transport, _clock = client_for(
        Call("POST", f"{PATH}/deployments/x/rollback", TransportError("reset", "Gone."), body={})
    )
    with pytest.raises(TransportError, match="may have taken effect"):
        client.post("/deployments/x/rollback")
    transport.assert_all_made()


def test_the_switch_sends_the_source_back_whole_and_looks() -> None:
    before, after = project(path_includes=["apps/web/*"]), project(production_deployments_enabled=False)
    sent = {
        "source": {
            "type": "github",
            "config": {
                "owner": "o",
                "repo_name": "r",
                "production_deployments_enabled": False,
                "deployments_enabled": True,
                "path_includes": ["apps/web/*"],
            },
        }
    }
    client, transport, _clock = client_for(
        Call("GET", PATH, answer(envelope(before))),
        Call("PATCH", PATH, answer(envelope(before)), body=sent),
        Call("GET", PATH, answer(envelope(after))),
    )
    assert switch(client, read_project(client), False).production_deployments_enabled is False
    transport.assert_all_made()


def test_a_switch_that_does_nothing_is_noticed() -> None:
    client, _transport, _clock = client_for(
        Call("GET", PATH, answer(envelope(project(deployments_enabled=False)))),
        Call("PATCH", PATH, answer(envelope({})), body={"source": project(deployments_enabled=True)["source"]}),
        Call("GET", PATH, answer(envelope(project(deployments_enabled=False)))),
    )
    with pytest.raises(PlatformError, match="are not enabled"):
        switch(client, read_project(client), True)


def test_a_project_without_a_repository_has_nothing_to_switch() -> None:
    client, _transport, _clock = client_for(Call("GET", PATH, answer(envelope({"name": "web", "source": None}))))
    uploaded = read_project(client)
    assert uploaded.production_deployments_enabled is None
    assert needs_switch(uploaded, "disabled") is False
    with pytest.raises(PlatformError, match="No repository is connected"):
        needs_switch(uploaded, "enabled")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"latest_stage": stage("queued", "active"), "stages": [stage("queued", "active")]}, "queued"),
        ({"stages": [stage("queued", "success"), stage("build", "idle")]}, "queued"),
        ({"stages": [stage("queued", "success"), stage("initialize", "active")]}, "active"),
        ({"stages": [stage("build", "failure"), stage("deploy", "idle")]}, "failure"),
        ({"stages": [stage("build", "canceled")]}, "canceled"),
        ({"stages": None, "latest_stage": stage("deploy", "success")}, "success"),
        ({"is_skipped": True}, "skipped"),
        ({"latest_stage": stage("deploy", "skipped")}, "skipped"),
    ],
)
def test_the_status_of_a_deployment(given: dict[str, object], status: str) -> None:
    read = deployment_from(deployment(NEW, **given))
    assert read.status == status
    assert read.finished == (status not in ("queued", "active"))
    assert read.message == "feat: x"


def test_values_that_are_secret_stay_inside() -> None:
    variables = {
        "API_TOKEN": {"type": "plain_text", "value": "abcdef-123"},
        "NODE_VERSION": {"type": "plain_text", "value": "20.11.1"},
        "EMPTY": None,
        "HIDDEN_SECRET": {"type": "secret_text", "value": ""},
    }
    read = deployment_from(deployment(NEW, env_vars=variables, build_config={"web_analytics_token": "t"}))
    assert read.secrets == ("abcdef-123",)
    assert "abcdef-123" not in json.dumps(read.to_result()) + repr(read)


def test_waiting_outlasts_a_failure_of_a_moment() -> None:
    listed = {"env": "production", "page": "1", "per_page": "25"}
    counts = {"page": 1, "per_page": 25, "count": 1, "total_count": 1, "total_pages": 1}
    built, old = deployment(NEW, "active"), deployment(OLD)
    one = f"{PATH}/deployments/{built['id']}"
    client, transport, clock = client_for(
        Call("GET", PATH, answer(envelope(project(old)))),
        Call("GET", f"{PATH}/deployments", answer(envelope([old], result_info=counts)), listed),
        Call("GET", f"{PATH}/deployments", answer(envelope([built, old], result_info=counts)), listed),
        *[Call("GET", one, answer(b"", 503))] * 4,
        Call("GET", one, answer(envelope(deployment(NEW)))),
        Call("GET", PATH, answer(envelope(project(old)))),
        Call("GET", PATH, answer(envelope(project(deployment(NEW))))),
    )
    params = {name: argument.get("default") for name, argument in DEPLOYMENT_ARGUMENTS.items()} | {"commit": NEW[:7]}
    with Progress() as progress:
        done = deploy(client, clock, params, False, progress)
    transport.assert_all_made()
    assert (done.changed, done.before["commit"], done.after["commit"]) == (True, OLD, NEW)


@pytest.mark.parametrize("wait_timeout", [1500.0, 0.0])
def test_production_that_does_not_take_over_in_time_may_do_so_later(wait_timeout: float) -> None:
    listed = {"env": "production", "page": "1", "per_page": "25"}
    built, old = deployment(NEW), deployment(OLD)
    client, _transport, clock = client_for(
        Call("GET", PATH, answer(envelope(project(old)))),
        Call("GET", f"{PATH}/deployments", answer(envelope([built, old])), listed),
        *[Call("GET", PATH, answer(envelope(project(old))))] * 40,
    )
    params = {name: argument.get("default") for name, argument in DEPLOYMENT_ARGUMENTS.items()}
    with Progress() as progress, pytest.raises(PlatformError, match="production serves the older") as caught:
        deploy(client, clock, {**params, "commit": NEW, "wait_timeout": wait_timeout}, False, progress)
    assert "yet, or was rolled back" in str(caught.value)
    assert "run this again" in str(caught.value)


def test_what_is_never_to_succeed_ends_the_waiting() -> None:
    gone = problem(404, 8000009)
    built = deployment(NEW, "active")
    client, _transport, clock = client_for(
        Call("GET", PATH, answer(envelope(project(built)))),
        Call("GET", f"{PATH}/deployments/{built['id']}", gone),
    )
    params = {name: argument.get("default") for name, argument in DEPLOYMENT_ARGUMENTS.items()} | {"commit": NEW}
    with Progress() as progress, pytest.raises(PagesError, match="no such deployment"):
        deploy(client, clock, params, False, progress)
    assert clock.sleeps == []
