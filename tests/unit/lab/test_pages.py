# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of Pages: pushes, time, pages of lists, refusals, and its life beyond a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import client
from lab.pages.model import Push
from lab.pages.server import Double
from tests.unit.lab.pages_world import LONG, World, commit


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def get(world: World, suffix: str = "", **headers: str) -> tuple[int, Any]:
    own = {"Authorization": f"Bearer {world.seeded.api_token}"}
    path = f"{world.double.url}/accounts/{world.seeded.account_id}/pages/projects/{world.seeded.project}{suffix}"
    return client.call(path, headers=headers or own)


def push(world: World, **given: Any) -> tuple[int, Any]:
    return client.call(f"{world.double.origin}/lab/push", given)


def test_a_push_is_built_in_stages_and_takes_production(world: World) -> None:
    status, told = push(world, branch="main", commit=commit("a"), message="feat: x")
    assert status == 200
    seen = []
    for _look in range(40):
        _status, body = get(world, f"/deployments/{told['deployment']}")
        latest = body["result"]["latest_stage"]
        seen.append((latest["name"], latest["status"]))
        world.clock.seconds += 0.25
    assert list(dict.fromkeys(seen)) == [
        ("queued", "active"),
        ("initialize", "active"),
        ("clone_repo", "active"),
        ("build", "active"),
        ("deploy", "active"),
        ("deploy", "success"),
    ]
    assert get(world)[1]["result"]["canonical_deployment"]["id"] == told["deployment"]


def test_builds_wait_for_each_other(world: World) -> None:
    first, second = world.push("a"), world.push("b")
    world.clock.seconds += 6
    stages = {row["id"]: get(world, f"/deployments/{row['id']}")[1]["result"]["latest_stage"] for row in world.rows}
    assert (stages[first]["name"], stages[second]["name"]) == ("build", "queued")


@pytest.mark.parametrize(
    ("message", "behaviour", "ending"),
    [
        ("feat: x", "fail", ("build", "failure")),
        ("feat: x [pages: fail:clone_repo]", None, ("clone_repo", "failure")),
        ("feat: x", "canceled", ("build", "canceled")),
        ("docs: x [ci skip]", None, ("deploy", "skipped")),
        ("feat: x", "stuck", ("build", "active")),
    ],
)
def test_what_a_push_may_say(world: World, message: str, behaviour: str | None, ending: tuple[str, str]) -> None:
    made = world.push("a", behaviour, message=message)
    world.clock.seconds += LONG
    latest = get(world, f"/deployments/{made}")[1]["result"]["latest_stage"]
    assert (latest["name"], latest["status"]) == ending
    assert get(world)[1]["result"]["canonical_deployment"] is None


def test_an_unknown_behaviour_is_refused(world: World) -> None:
    assert push(world, branch="main", commit=commit("a"), behaviour="explode")[0] == 400
    assert push(world, branch="main")[0] == 400
    assert world.rows == []


def test_a_list_comes_in_pages_of_25_at_most(world: World) -> None:
    for _turn in range(27):
        world.push("a")
    status, body = get(world, "/deployments?env=production&page=2&per_page=25")
    assert (status, len(body["result"])) == (200, 2)
    assert body["result_info"] == {"page": 2, "per_page": 25, "count": 2, "total_count": 27, "total_pages": 2}
    for wrong in ("per_page=100", "page=0", "page=x"):
        status, body = get(world, f"/deployments?{wrong}")
        assert (status, body["errors"][0]["code"]) == (400, 8000024)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"X-Nothing": "1"}, 400, 9106),
        ({"Authorization": "Token x"}, 400, 6003),
        ({"Authorization": "Bearer 0123456789abcdef"}, 401, 10000),
    ],
)
def test_who_is_let_in(world: World, headers: dict[str, str], status: int, code: int) -> None:
    answered, body = get(world, **headers)
    assert (answered, body["success"], body["errors"][0]["code"]) == (status, False, code)


def test_its_time_goes_on_while_it_is_away(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        made = world.push("a")
        world.clock.seconds += LONG
        again = Double(tmp_path, now=world.model.now)
        with again, again.model.change():
            assert again.model.project["canonical"] == made
        assert json.loads((tmp_path / "pages.json").read_text())["project"]["canonical"] == made


def test_without_a_project_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"lab\.pages\.model\.seed"):
        Double(tmp_path)


def test_a_push_beside_the_production_branch_is_a_preview(world: World) -> None:
    world.model.project["source"]["production_deployments_enabled"] = False
    assert world.model.push(Push("main", commit("a"))) is None
    row = world.model.push(Push("hotfix/x", commit("b")))
    assert row
    assert row["environment"] == "preview"
