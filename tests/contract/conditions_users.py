# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of the captures of users, sessions, organisations and registries."""

from __future__ import annotations

from typing import Any

from lab.dokploy import keys, users
from lab.dokploy.model import Model

PASSWORD = "<PASSWORD>"


def prepare(name: str, model: Model, captures: dict[str, Any]) -> None:
    """The first admin with their organisation, and a member; before the sign-up there is nobody."""
    if name == "01-signup-first-admin":
        return

    def body(capture: str) -> Any:
        return captures[capture]["response"]["body"]

    admin = body("02-signin")["user"]
    organization = dict(body("03-organization.all-cookie")[0])
    member = organization.pop("members")[0]
    added = users.add_user(model, admin["email"], PASSWORD, admin["name"], admin["lastName"], admin["id"])
    added["createdAt"] = admin["createdAt"]
    model.tables["organizations"][organization["id"]] = organization
    model.tables["members"][member["id"]] = dict(member)

    if name.startswith("a5-otherorg"):
        other = dict(body("a5-organization.create"))
        model.tables["organizations"][other["id"]] = other
        users.add_member(model, other["id"], admin["id"], "owner", is_default=False)
    if name != "a0-user.createUserWithCredentials":
        created = body("a0-user.createUserWithCredentials")
        users.add_user(model, created["email"], "<MEMBER_PASSWORD>", user_id=created["userId"])
        users.add_member(model, organization["id"], created["userId"], "member", is_default=True)
    model.tables["logins"]["127.0.0.1:5000"] = {"lab": "<REGISTRY_PASSWORD>"}


def admins_key(model: Model, captures: dict[str, Any], organization_id: str, **limits: int) -> str:
    """As it was when it was made."""
    admin = captures["02-signin"]["response"]["body"]["user"]
    key = keys.add(model.tables["keys"], organization_id=organization_id, user_id=admin["id"], **limits)
    made = captures["04-user.createApiKey"]["response"]["body"]
    row = keys.find(model.tables["keys"], key)
    assert row is not None
    row.update({column: made[column] for column in ("id", "name", "createdAt")})
    return key
