# SPDX-License-Identifier: GPL-3.0-or-later
"""From the first sign-up to a member's key: sessions, organisations, keys and their limit, permissions, registries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from lab.dokploy import users
from lab.dokploy.server import Double
from tests.unit.lab.dokploy_world import World

ADMIN = {"name": "Ada", "lastName": "L", "email": "ada@lab.invalid", "password": "correct horse"}
NO_RIGHTS = dict.fromkeys(users.RIGHTS, False)
NOTHING: dict[str, list[str]] = {name: [] for name in users.ACCESSES}


def call(double: Double, path: str, fields: Any = None, **headers: str) -> tuple[int, Any, str]:
    """The status, the body, and the cookie that was set."""
    data = None if fields is None else json.dumps(fields).encode()
    sent = {"Content-Type": "application/json", **headers} if data else headers
    try:
        with urlopen(Request(f"{double.url}/api/{path}", data, sent), timeout=20) as response:
            status, body, cookie = response.status, response.read(), response.headers.get("Set-Cookie", "")
    except HTTPError as error:
        status, body, cookie = error.code, error.read(), error.headers.get("Set-Cookie", "")
    return status, json.loads(body) if body else None, cookie.partition(";")[0]


def test_the_first_to_sign_up_is_the_owner_and_the_only_one(tmp_path: Path) -> None:
    with Double(tmp_path) as double:
        assert call(double, "user.get")[0] == 401
        status, signed, cookie = call(double, "auth/sign-up/email", ADMIN)
        assert (status, signed["user"]["email"]) == (200, ADMIN["email"])
        assert call(double, "auth/sign-up/email", {**ADMIN, "email": "x@lab.invalid"})[:2] == (
            400,
            {"message": "Admin is already created"},
        )
        (organization,) = call(double, "organization.all", Cookie=cookie)[1]
        me = call(double, "user.get", Cookie=cookie)[1]
        assert (me["role"], me["organizationId"], me["user"]["firstName"]) == ("owner", organization["id"], "Ada")
    with Double(tmp_path) as double:
        assert call(double, "auth/sign-in/email", {**ADMIN, "password": "wrong"})[::2] == (401, "")
        assert call(double, "auth/sign-in/email", ADMIN)[2] != cookie
        assert call(double, "user.get", Cookie=cookie)[0] == 200
    assert "correct horse" not in (tmp_path / "dokploy.json").read_text()


def test_a_key_is_limited_unless_one_says_otherwise(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        organization = world.get("user.get")["organizationId"]
        asked = {"name": "mine", "metadata": {"organizationId": organization}}
        status, made = world.send("POST", "user.createApiKey", asked)
        assert (status, made["rateLimitEnabled"], made["rateLimitMax"]) == (200, True, 10)
        statuses = [world.send("GET", "settings.getDokployVersion", key=made["key"])[0] for _turn in range(6)]
        assert statuses == [200] * 5 + [401]

        made = world.send("POST", "user.createApiKey", {**asked, "rateLimitEnabled": False})[1]
        assert all(world.send("GET", "settings.health", key=made["key"])[0] == 200 for _turn in range(7))
        listed = [key["name"] for key in world.get("user.get", made["key"])["user"]["apiKeys"]]
        assert listed == ["lab", "mine", "mine"]


@pytest.mark.parametrize(
    ("fields", "expected", "message"),
    [
        ({"name": "x" * 33}, 400, "Input validation failed"),
        ({"metadata": {}}, 400, "Input validation failed"),
        ({"metadata": {"organizationId": "foreign"}}, 403, "You are not a member of this organization"),
        ({"expiresIn": 60}, 500, "The expiresIn is smaller than the predefined minimum value."),
    ],
)
def test_keys_that_are_not_made(tmp_path: Path, fields: dict[str, Any], expected: int, message: str) -> None:
    with World(tmp_path, replicas=0) as world:
        asked = {"name": "mine", "metadata": {"organizationId": world.get("user.get")["organizationId"]}, **fields}
        status, answer = world.send("POST", "user.createApiKey", asked)
        assert (status, answer["message"]) == (expected, message)


def test_a_member_reaches_what_is_assigned_to_them(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        person = {"email": "dev@lab.invalid", "password": "long enough", "role": "member"}
        user_id = world.send("POST", "user.createUserWithCredentials", person)[1]["userId"]
        cookie = call(world.double, "auth/sign-in/email", person)[2]
        organization = call(world.double, "user.get", Cookie=cookie)[1]["organizationId"]
        asked = {"name": "dev", "rateLimitEnabled": False, "metadata": {"organizationId": organization}}
        key = call(world.double, "user.createApiKey", asked, Cookie=cookie)[1]["key"]
        assert world.send("GET", f"application.one?applicationId={world.id}", key=key)[0] == 401

        given = {"id": user_id, **NO_RIGHTS, **NOTHING, "accessedServices": [world.id]}
        assert world.send("POST", "user.assignPermissions", given) == (200, None)
        assert world.send("GET", f"application.one?applicationId={world.id}", key=key)[0] == 200
        assert world.send("POST", "user.assignPermissions", given, key=key)[0] == 401
        assert world.send("POST", "settings.updateServerIp", {"serverIp": "127.0.0.1"}, key=key)[0] == 401


def test_an_organisation_of_ones_own_sees_nothing_of_the_other(tmp_path: Path) -> None:
    with World(tmp_path, replicas=0) as world:
        other = world.send("POST", "organization.create", {"name": "Other"})[1]
        assert [row["name"] for row in world.get("organization.all")] == ["My Organization", "Other"]
        asked = {"name": "o", "rateLimitEnabled": False, "metadata": {"organizationId": other["id"]}}
        key = world.send("POST", "user.createApiKey", asked)[1]["key"]
        assert world.get("project.all", key) == []
        assert world.get("user.get", key)["organizationId"] == other["id"]


def test_a_registry_is_logged_in_to_first(tmp_path: Path) -> None:
    asked = {
        "registryName": "lab",
        "username": "lab",
        "password": "right",
        "registryUrl": "127.0.0.1:5000",
        "registryType": "cloud",
        "imagePrefix": None,
    }
    with World(tmp_path, replicas=0) as world:
        world.double.model.tables["logins"]["127.0.0.1:5000"] = {"lab": "right"}
        status, answer = world.send("POST", "registry.create", {**asked, "password": "wrong"})
        assert status == 400
        assert "401 Unauthorized" in answer["message"]
        assert "wrong" not in answer["message"]
        assert world.send("POST", "registry.create", asked)[1]["password"] == "right"
