# SPDX-License-Identifier: GPL-3.0-or-later
"""Users, their organisations and their sessions, within a `model.change()`."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Mapping
from typing import Any, NamedTuple

from lab.dokploy.keys import Caller
from lab.dokploy.model import Model, Row, new_id
from lab.dokploy.tempo import iso_now

COOKIE = "better-auth.session_token"
_LETTERS = string.ascii_letters + string.digits
RIGHTS = (
    "canCreateProjects",
    "canAccessToSSHKeys",
    "canCreateServices",
    "canDeleteProjects",
    "canDeleteServices",
    "canAccessToDocker",
    "canAccessToAPI",
    "canAccessToGitProviders",
    "canAccessToTraefikFiles",
    "canDeleteEnvironments",
    "canCreateEnvironments",
)
ACCESSES = ("accessedProjects", "accessedEnvironments", "accessedServices", "accessedGitProviders", "accessedServers")


class Signed(NamedTuple):
    """What a sign-up or sign-in is answered with; the token is the cookie's, too."""

    status: int
    body: Row
    token: str | None = None


def sign_up(model: Model, given: Mapping[str, Any]) -> Signed:
    """Only the first becomes one: the owner of a new organisation."""
    if model.tables["users"]:
        return Signed(400, {"message": "Admin is already created"})
    user = add_user(model, given["email"], given["password"], given.get("name", ""), given.get("lastName", ""))
    add_organization(model, "My Organization", user["id"], is_default=True)
    token = _new_session(model, user)
    return Signed(200, {"token": token, "user": _own_view(user)}, token)


def sign_in(model: Model, given: Mapping[str, Any]) -> Signed:
    user = next((row for row in model.tables["users"].values() if row["email"] == given["email"]), None)
    if user is None or not secrets.compare_digest(user["password"], _hashed(user["id"], given["password"])):
        return Signed(401, {"message": "Invalid email or password", "code": "INVALID_EMAIL_OR_PASSWORD"})
    token = _new_session(model, user)
    return Signed(200, {"redirect": False, "token": token, "user": _own_view(user)}, token)


def caller_of(model: Model, token: str | None) -> Caller | None:
    """Whose session it is, in the organisation that is theirs by default."""
    user_id = model.tables["sessions"].get(token or "")
    mine = [row for row in model.tables["members"].values() if row["userId"] == user_id]
    member = max(mine, key=lambda row: bool(row["isDefault"]), default=None)
    if member is None:
        return None
    return Caller(member["role"], member["organizationId"], tuple(member["accessedServices"]), member["userId"])


def add_user(
    model: Model, email: str, password: str, first_name: str = "", last_name: str = "", user_id: str | None = None
) -> Row:
    user_id = user_id or new_secret()
    row: Row = {
        "id": user_id,
        "firstName": first_name,
        "lastName": last_name,
        "email": email,
        "password": _hashed(user_id, password),
        "createdAt": iso_now(),
    }
    model.tables["users"][user_id] = row
    return row


def add_organization(
    model: Model, name: str, owner_id: str, slug: str | None = None, *, is_default: bool = False
) -> Row:
    row: Row = {
        "id": new_id(),
        "name": name,
        "slug": slug,
        "logo": None,
        "createdAt": iso_now(),
        "metadata": None,
        "defaultRole": None,
        "ownerId": owner_id,
    }
    model.tables["organizations"][row["id"]] = row
    add_member(model, row["id"], owner_id, "owner", is_default=is_default)
    return row


def add_member(model: Model, organization_id: str, user_id: str, role: str, *, is_default: bool) -> Row:
    row: Row = {
        "id": new_id(),
        "organizationId": organization_id,
        "userId": user_id,
        "role": role,
        "createdAt": iso_now(),
        "teamId": None,
        "isDefault": is_default,
        **dict.fromkeys(RIGHTS, False),
        **{name: [] for name in ACCESSES},
    }
    model.tables["members"][row["id"]] = row
    return row


def member_of(model: Model, organization_id: str, user_id: str) -> Row | None:
    wanted = (organization_id, user_id)
    rows = model.tables["members"].values()
    return next((row for row in rows if (row["organizationId"], row["userId"]) == wanted), None)


def new_secret() -> str:
    return "".join(secrets.choice(_LETTERS) for _turn in range(32))


def _new_session(model: Model, user: Row) -> str:
    token = new_secret()
    model.tables["sessions"][token] = user["id"]
    return token


def _own_view(user: Row) -> Row:
    return {
        "name": user["firstName"],
        "email": user["email"],
        "emailVerified": False,
        "image": None,
        "createdAt": user["createdAt"],
        "updatedAt": user["createdAt"],
        "twoFactorEnabled": False,
        "role": "user",
        "banned": False,
        "banReason": None,
        "banExpires": None,
        "allowImpersonation": False,
        "lastName": user["lastName"],
        "enableEnterpriseFeatures": False,
        "isValidEnterpriseLicense": False,
        "id": user["id"],
    }


def _hashed(salt: str, password: str) -> str:
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=1024, r=8, p=1).hex()
