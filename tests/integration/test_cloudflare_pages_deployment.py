# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment of Pages waited for, asked for, repeated and rolled back, on the double and its time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import deployments
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.info import gather
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.project import read_project

from tests.modules import run_module
from tests.unit.lab.pages_world import LONG, World, commit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def fails(world: World, **options: Any) -> PlatformError:
    with pytest.raises(PlatformError) as failure:
        world.run(**options)
    return failure.value


def details(error: PlatformError) -> dict[str, Any]:
    return dict(error.details)


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_push_is_waited_for_until_production_serves_it(world: World) -> None:
    (first,) = world.built("a")
    world.later(10, lambda: world.push("b"))
    done = world.run(commit=commit("b"))
    assert done.changed
    assert (done.before["id"], done.before["commit"]) == (first, commit("a"))
    assert done.after["id"] == world.serving != first
    assert done.deployment
    assert (done.deployment.status, done.deployment.commit) == ("success", commit("b"))
    assert 10 < done.waited < LONG
    again = world.run(commit=commit("b")[:7])
    assert (again.changed, again.before) == (False, done.after)
    assert not again.triggered


def test_a_push_that_is_not_heard_of_fails_in_time_and_says_what_to_do(world: World) -> None:
    world.built("a")
    error = fails(world, commit=commit("b"), appear_timeout=30.0)
    assert f"No deployment of commit {commit('b')} appeared in vedfinance-web within 30 s" in error.msg
    assert "of commit aaaaaaa" in error.msg
    assert error.hint
    assert "trigger=missing" in error.hint
    assert "vedfinance/vedfinance" in error.hint
    assert (details(error)["changed"], details(error)["before"]["commit"]) == (False, commit("a"))


def test_where_no_push_deploys_it_fails_at_once(world: World) -> None:
    world.built("a")
    world.run(production_deployments="disabled")
    error = fails(world, commit=commit("b"))
    assert "production deployments of vedfinance-web are disabled" in error.msg
    assert details(error)["waited"] == 0


def test_an_older_commit_is_found_on_a_later_page(world: World) -> None:
    made = world.built(*"a123456789abcdef0123456789abcdef")
    found = list(deployments(world.client(), "production"))
    assert [deployment.id for deployment in found] == made[::-1]
    error = fails(world, commit=commit("1")[:7] + "0", appear_timeout=2.0)
    assert "No deployment" in error.msg
    outcome = fails(world, commit=commit("0"))
    assert "superseded by a newer one: production serves" in outcome.msg


def test_a_build_that_fails_tells_stage_line_and_log_without_its_secrets(world: World) -> None:
    world.built("a")
    world.push("b", "fail")
    error = fails(world, commit=commit("b"), log_lines=6)
    assert "failed in stage build: src/charts.tsx(12,7): error TS2322" in error.msg
    assert "Production serves" in error.msg
    assert "of commit aaaaaaa" in error.msg
    result = details(error)
    assert result["deployment"]["status"] == "failure"
    assert result["log_tail"][-1].startswith("Failed: Error while executing user command")
    assert len(result["log_tail"]) == 6
    secret = world.model.project["env_vars"]["SENTRY_AUTH_TOKEN"]["value"]
    assert secret not in json.dumps(result) + str(error)
    assert "uploading source maps with ***" in result["log_tail"]
    assert "env_vars" not in json.dumps(result)


def test_a_build_that_does_not_end_is_given_up_with_its_stage(world: World) -> None:
    world.push("a", "stuck")
    error = fails(world, commit=commit("a"), wait_timeout=100.0)
    assert "is still active (stage build) after 100 s" in error.msg
    assert details(error)["log_tail"]


def test_a_failed_deployment_is_repeated_once_if_wanted(world: World) -> None:
    world.built("a")
    (failed,) = world.built("b", behaviour="flaky")
    done = world.run(commit=commit("b"), retry_failed=True)
    assert (done.retried, done.changed) == (True, True)
    assert done.deployment
    assert done.deployment.id == world.serving != failed
    world.push("c", "fail")
    before = len(world.rows)
    error = fails(world, commit=commit("c"), retry_failed=True)
    assert "failed in stage build" in error.msg
    assert details(error)["retried"]
    assert details(error)["changed"]
    assert len(world.rows) == before + 1


def test_a_newer_deployment_that_takes_over_is_told(world: World) -> None:
    world.push("a")
    world.push("b")
    world.clock.seconds += LONG
    error = fails(world, commit=commit("a"))
    assert "superseded by a newer one" in error.msg
    assert "bbbbbbb" in error.msg
    assert details(error)["after"]["commit"] == commit("b")


def test_one_that_waits_behind_is_a_note(world: World) -> None:
    world.push("a")
    world.push("b")
    done = world.run(commit=commit("a"))
    assert done.after["commit"] == commit("a")
    assert "of commit bbbbbbb is being built" in " ".join(done.notes)


def test_what_was_rolled_back_does_not_count_as_serving(world: World) -> None:
    first, second = world.built("a", "b")
    world.run(state="rolled_back", to=first)
    error = fails(world, commit=commit("b"))
    assert "production serves the older" in error.msg
    assert "rolled back" in error.msg
    assert error.hint
    assert "state=rolled_back" in error.hint
    assert world.serving == first != second


def test_a_skipped_build_is_a_failure_unless_accepted(world: World) -> None:
    world.built("a")
    world.push("b", message="docs: typo [CF-Pages-Skip]")
    error = fails(world, commit=commit("b"))
    assert "Cloudflare skipped" in error.msg
    assert "of commit aaaaaaa" in error.msg
    accepted = world.run(commit=commit("b"), accept_skipped=True, trigger="missing")
    assert not accepted.changed
    assert accepted.deployment
    assert accepted.deployment.status == "skipped"
    assert "Cloudflare skipped" in accepted.notes[0]


def test_a_preview_is_done_when_it_is_built(world: World) -> None:
    world.built("a")
    preview = {"commit": commit("b"), "branch": "hotfix/charts"}
    assert not world.run(check=True, **preview).changed
    assert world.run(check=True, **preview, trigger="missing").changed
    world.push("b", branch="hotfix/charts")
    assert not world.run(check=True, **preview).changed
    done = world.run(**preview)
    assert done.deployment
    assert (done.deployment.environment, done.deployment.status) == ("preview", "success")
    assert not done.changed
    assert "not the production branch" in done.notes[0]


# --- asking for one ---------------------------------------------------------------------------------------------------


def test_a_missing_one_is_asked_for_after_the_limit(world: World) -> None:
    world.built("a")
    world.run(production_deployments="disabled")
    assert world.push("b") is None
    world.run(production_deployments="enabled")
    done = world.run(commit=commit("b"), trigger="missing", appear_timeout=20.0)
    assert done.triggered
    assert done.changed
    assert done.after["commit"] == commit("b")
    assert done.waited > 20
    count = len(world.rows)
    again = world.run(commit=commit("b"), trigger="missing", appear_timeout=20.0)
    assert (again.triggered, again.changed, len(world.rows)) == (False, False, count)


def test_where_no_push_deploys_a_missing_one_is_asked_for_at_once(world: World) -> None:
    world.built("a")
    world.run(production_deployments="disabled")
    world.push("b")
    done = world.run(commit=commit("b"), trigger="missing", appear_timeout=1000.0)
    assert done.triggered
    assert done.waited < LONG


def test_the_head_of_the_branch_may_be_another_commit(world: World) -> None:
    world.built("a", "b")
    error = fails(world, commit=commit("c"), trigger="missing", appear_timeout=4.0)
    assert f"The head of main is not commit {commit('c')}" in error.msg
    assert "of commit bbbbbbb" in error.msg
    assert details(error)["triggered"]
    assert details(error)["changed"]


def test_always_builds_again(world: World) -> None:
    (first,) = world.built("a")
    done = world.run(commit=commit("a"), trigger="always")
    assert done.triggered
    assert done.after["id"] == world.serving != first


# --- going back -------------------------------------------------------------------------------------------------------


def test_previous_goes_back_once_and_forward_again(world: World) -> None:
    first, second, third = world.built("a", "b", "c")
    back = world.run(state="rolled_back", to="previous")
    assert back.changed
    assert back.after["id"] == world.serving == second
    assert "The next push to main deploys again: revert the commit before" in back.notes[-1]
    assert not world.run(state="rolled_back", to="previous").changed
    assert world.serving == second
    forward = world.run(state="rolled_back", to=commit("c")[:9])
    assert forward.changed
    assert world.serving == third
    world.run(state="rolled_back", to=first)
    assert not world.run(state="rolled_back", to="previous").changed
    assert world.serving == first


def test_previous_is_of_another_commit(world: World) -> None:
    first, *_same = world.built("a", "b", "b")
    assert world.run(state="rolled_back", to="previous").after["id"] == first


@pytest.mark.parametrize("by", ["id", "short_id", "commit"])
def test_a_target_by(world: World, by: str) -> None:
    world.built("a", "b", "c")
    target = world.rows[-1]
    done = world.run(state="rolled_back", to=target[by])
    assert done.after["id"] == world.serving == target["id"]
    assert not world.run(state="rolled_back", to=target[by]).changed


def test_what_cannot_serve_production_is_refused_with_what_can(world: World) -> None:
    good, now = world.built("a", "b")
    (failed,) = world.built("c", behaviour="fail")
    (preview,) = world.built("d", branch="hotfix/charts")
    (_skipped,) = world.built("e", behaviour="skip")
    for to, reason in (
        (failed, "failure in stage build"),
        (commit("c"), "failure in stage build"),
        (preview, "a preview of branch hotfix/charts"),
        (commit("d")[:7], "a preview of branch hotfix/charts"),
        (commit("e"), "was skipped"),
        (commit("f"), "no deployment of production with the id or commit"),
        ("00000000-0000-0000-0000-000000000000", "no deployment of production with the id or commit"),
        ("nonsense", "no deployment of production with the id or commit"),
    ):
        error = fails(world, state="rolled_back", to=to)
        assert reason in error.msg, to
        assert [candidate["id"] for candidate in details(error)["candidates"]] == [now, good]
    assert world.serving == now


def test_nothing_before_is_refused(world: World) -> None:
    assert "Nothing was ever deployed" in fails(world, state="rolled_back", to="previous").msg
    world.built("a")
    assert "of another commit before" in fails(world, state="rolled_back", to="previous").msg


def test_the_next_push_undoes_a_rollback_unless_production_deployments_are_disabled(world: World) -> None:
    first, _second = world.built("a", "b")
    untouched = {
        name: value for name, value in world.model.project["source"].items() if name != "production_deployments_enabled"
    }
    done = world.run(state="rolled_back", to="previous", production_deployments="disabled")
    assert done.diff()["after"]["production_deployments_enabled"] is False
    assert "no push deploys until production_deployments=enabled" in done.notes[-1]
    world.built("c")
    assert world.serving == first
    assert not world.run(state="rolled_back", to=first, production_deployments="disabled").changed
    enabled = world.run(production_deployments="enabled")
    assert enabled.changed
    assert enabled.switch_after
    assert not world.run(production_deployments="enabled").changed
    assert untouched.items() <= world.model.project["source"].items()
    (newest,) = world.built("d")
    assert world.serving == newest


def test_a_build_under_way_is_told_when_rolling_back(world: World) -> None:
    first, _second = world.built("a", "b")
    world.push("c")
    done = world.run(state="rolled_back", to=first)
    assert "of commit ccccccc is being built, and will take production" in done.notes[0]


# --- plans ------------------------------------------------------------------------------------------------------------


def test_check_mode_tells_and_touches_nothing(world: World) -> None:
    first, second = world.built("a", "b")
    world.built("c", behaviour="fail")

    def plan(**options: Any) -> tuple[bool, Any, Any]:
        assert world.serving  # what was done meanwhile is noted
        before = json.dumps(world.model.tables)
        planned = world.run(check=True, **options)
        assert json.dumps(world.model.tables) == before
        assert world.clock.sleeps == []
        return planned.changed, planned.diff()["before"], planned.diff()["after"]

    changed, before, after = plan(state="rolled_back", to="previous", production_deployments="disabled")
    assert changed
    assert (before["production"]["id"], after["production"]["id"]) == (second, first)
    assert (before["production_deployments_enabled"], after["production_deployments_enabled"]) == (True, False)
    assert plan(commit=commit("b"))[0] is False
    assert plan(commit=commit("d"))[2]["production"] == {"id": None, "url": None, "commit": commit("d")}
    assert plan(commit=commit("d"), trigger="missing")[0]
    assert plan(commit=commit("c"), retry_failed=True)[0]
    with pytest.raises(PlatformError, match="failed in stage build"):
        world.run(check=True, commit=commit("c"))
    with pytest.raises(PlatformError, match="no deployment of production"):
        world.run(check=True, state="rolled_back", to=commit("d"))


# --- errors and modules -----------------------------------------------------------------------------------------------


def test_errors_of_cloudflare_name_the_option(world: World) -> None:
    for client, words in (
        (world.client(token="wrong-token-0123456789"), ("api_token", "code 10000", "Pages > Read")),
        (world.client(project="other"), ("no Pages project 'other'", "8000007", "Check project")),
        (world.client(account="f" * 32), ("account_id", "code 10000")),
        (world.client(account="shop"), ("account_id", "code 7003")),
    ):
        with pytest.raises(PlatformError) as failure:
            read_project(client)
        assert all(word in str(failure.value) for word in words), str(failure.value)
        assert "0123456789" not in str(failure.value)
    world.built("a", "b")
    with pytest.raises(PlatformError, match="Pages > Edit"):
        world.client(token=world.seeded.read_token).post(f"/deployments/{world.rows[-1]['id']}/rollback")


def test_info_pages_and_filters(world: World) -> None:
    made = world.built(*"123456789abcdef123456789abcdef")
    world.built("0", branch="hotfix/charts")
    told: Any = gather(world.client(token=world.seeded.read_token), {"environment": "production", "limit": 28})
    assert [row["id"] for row in told["deployments"]] == made[::-1][:28]
    assert told["project"]["canonical"]["id"] == made[-1]
    assert told["project"]["latest"]["environment"] == "preview"
    assert told["project"]["production_deployments_enabled"] is True
    everything: Any = gather(world.client(), {"environment": None, "limit": 0})
    assert everything["deployments"] == []
    assert "env_vars" not in json.dumps(told)
    assert "sntrys_" not in json.dumps(told)


def test_the_modules_themselves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = world.built("a", "b")
    world.built("c", behaviour="fail")
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", world.seeded.account_id)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", world.seeded.api_token)
    where = {"api_url": world.double.url, "project": world.seeded.project}
    served = run_module("cloudflare_pages_deployment", {**where, "commit": commit("b")})
    assert (served["changed"], served["deployment"]["id"]) == (False, second)
    failed = run_module("cloudflare_pages_deployment", {**where, "commit": commit("c")})
    assert failed["failed"]
    assert "failed in stage build" in failed["msg"]
    assert failed["failing_line"].startswith("src/charts.tsx")
    assert failed["after"]["id"] == second
    back = run_module("cloudflare_pages_deployment", {**where, "state": "rolled_back", "to": "previous"})
    assert (back["changed"], back["after"]["id"]) == (True, first)
    info = run_module("cloudflare_pages_deployment_info", {**where, "limit": 2})
    assert [row["commit"] for row in info["deployments"]] == [commit("c"), commit("b")]
    for wrong, words in (
        ({"to": first}, "to is for state=rolled_back"),
        ({"state": "rolled_back"}, "state=rolled_back needs to"),
        ({"state": "rolled_back", "to": first, "commit": commit("a")}, "commit is not for state=rolled_back"),
        ({"commit": "main"}, "is no commit"),
        ({"branch": "ma\nin"}, "branch is empty or cannot be printed"),
    ):
        assert words in run_module("cloudflare_pages_deployment", {**where, **wrong})["msg"]
