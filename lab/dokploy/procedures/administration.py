# SPDX-License-Identifier: GPL-3.0-or-later
"""user.*, organization.* and registry.*"""

from __future__ import annotations

from typing import Any

from lab.dokploy import keys, users
from lab.dokploy.errors import ApiError, invalid
from lab.dokploy.keys import DAY_MS, Caller
from lab.dokploy.model import Row, new_id
from lab.dokploy.procedures.registry import Collector, Server
from lab.dokploy.schema import FLAG, ID, KEY, NUMBER, OPTIONAL_TEXT, Field, choice
from lab.dokploy.tempo import iso_now

_user = Collector("user")
_organization = Collector("organization")
_registry = Collector("registry")

_NAMED = Field("string", minimum=1)
_DEFAULT_LIMIT = 10
_SHORTEST_LIFE_SECONDS = 86_400


# -- users ----------------------------------------------------------------------------------------------------------


@_user.query("get")
def who_am_i(server: Server, caller: Caller, given: Row) -> Any:
    """The member that the caller is in their organisation, and the user behind it."""
    member = users.member_of(server.model, caller.organization_id, caller.user_id)
    if member is None:
        raise ApiError("UNAUTHORIZED", "UNAUTHORIZED")
    user = server.model.tables["users"][caller.user_id]
    return {
        **member,
        "user": {
            **{name: user[name] for name in ("id", "firstName", "lastName", "email")},
            "image": None,
            "allowImpersonation": False,
            "twoFactorEnabled": False,
            "stripeCustomerId": None,
            "stripeSubscriptionId": None,
            "serversQuantity": 0,
            "isEnterpriseCloud": False,
            "sendInvoiceNotifications": False,
            "apiKeys": [keys.short(row) for row in keys.of_user(server.model.tables["keys"], caller.user_id)],
        },
    }


@_user.mutation(
    "createApiKey",
    name=Field("string", minimum=1, maximum=32),
    expiresIn=NUMBER,
    metadata=Field("object"),
    rateLimitEnabled=FLAG,
    rateLimitTimeWindow=NUMBER,
    rateLimitMax=NUMBER,
)
def create_api_key(server: Server, caller: Caller, given: Row) -> Any:
    """The trap: whoever does not switch the limit off gets a key for ten verifications a day."""
    organization = given["metadata"].get("organizationId")
    if not isinstance(organization, str):
        path = ["metadata", "organizationId"]
        message = "Invalid input: expected string, received undefined"
        raise invalid([{"expected": "string", "code": "invalid_type", "path": path, "message": message}])
    member = users.member_of(server.model, organization, caller.user_id)
    if member is None:
        raise ApiError("FORBIDDEN", "You are not a member of this organization")
    lifetime = given.get("expiresIn")
    if lifetime is not None and lifetime < _SHORTEST_LIFE_SECONDS:
        raise ApiError("INTERNAL_SERVER_ERROR", "The expiresIn is smaller than the predefined minimum value.")
    is_limited = given.get("rateLimitEnabled", True)
    limit, window = given.get("rateLimitMax", _DEFAULT_LIMIT), given.get("rateLimitTimeWindow", DAY_MS)
    with server.model.change():
        table = server.model.tables["keys"]
        key = keys.add(
            table,
            organization_id=organization,
            role=member["role"],
            services=member["accessedServices"],
            limit=limit if is_limited else None,
            window_ms=window,
            user_id=caller.user_id,
            name=given["name"],
            lifetime=lifetime,
        )
        row = keys.of_user(table, caller.user_id)[-1]
    return {
        "configId": "default",
        "name": given["name"],
        "start": key[:6],
        "referenceId": caller.user_id,
        "prefix": None,
        "key": key,
        "refillInterval": None,
        "refillAmount": None,
        "lastRefillAt": None,
        "enabled": True,
        "rateLimitEnabled": is_limited,
        "rateLimitTimeWindow": window,
        "rateLimitMax": limit,
        "requestCount": 0,
        "remaining": None,
        "lastRequest": None,
        "expiresAt": row["expiresAt"],
        "createdAt": row["createdAt"],
        "updatedAt": row["createdAt"],
        "permissions": None,
        "metadata": None,
        "id": row["id"],
    }


@_user.mutation(
    "createUserWithCredentials", email=KEY, password=Field("string", minimum=8), role=Field("string", minimum=1)
)
def create_user(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("member")
    with server.model.change():
        user = users.add_user(server.model, given["email"], given["password"])
        users.add_member(server.model, caller.organization_id, user["id"], given["role"], is_default=True)
    return {"userId": user["id"], "email": given["email"], "role": given["role"]}


@_user.mutation(
    "assignPermissions",
    id=ID,
    **dict.fromkeys(users.ACCESSES, Field("array")),
    **dict.fromkeys(users.RIGHTS, Field("boolean")),
)
def assign_permissions(server: Server, caller: Caller, given: Row) -> Any:
    """Holds for the keys that there are, too. Of the rights the double heeds none, of the lists that of services."""
    caller.need_permission("member")
    user_id = given.pop("id")
    with server.model.change():
        member = users.member_of(server.model, caller.organization_id, user_id)
        if member is None:
            raise ApiError("NOT_FOUND", "Member not found")
        member.update(given)
        for row in keys.of_user(server.model.tables["keys"], user_id):
            if row["organizationId"] == caller.organization_id:
                row["services"] = list(given["accessedServices"])


# -- organisations --------------------------------------------------------------------------------------------------


@_organization.query("all")
def organizations(server: Server, caller: Caller, given: Row) -> Any:
    """The caller's, each with their own membership."""
    mine = [row for row in server.model.tables["members"].values() if row["userId"] == caller.user_id]
    return [{**server.model.tables["organizations"][row["organizationId"]], "members": [row]} for row in mine]


@_organization.mutation("create", name=KEY, logo=OPTIONAL_TEXT)
def create_organization(server: Server, caller: Caller, given: Row) -> Any:
    caller.need_permission("organization")
    with server.model.change():
        row = users.add_organization(server.model, given["name"], caller.user_id, slug=new_id())
        row["logo"] = given.get("logo")
    return row


# -- registries -----------------------------------------------------------------------------------------------------


@_registry.query("all")
def registries(server: Server, caller: Caller, given: Row) -> Any:
    """As the source says, not seen: the whole rows, passwords included."""
    caller.need_permission("registry")
    rows = server.model.tables["registries"].values()
    return [row for row in rows if row.get("organizationId", caller.organization_id) == caller.organization_id]


@_registry.mutation(
    "create",
    registryName=_NAMED,
    username=_NAMED,
    password=_NAMED,
    registryUrl=KEY,
    registryType=choice("cloud", required=True),
    imagePrefix=Field("string", nullable=True),
)
def create_registry(server: Server, caller: Caller, given: Row) -> Any:
    """Logs in first. A registry of which the double knows no logins lets everybody in."""
    caller.need_permission("registry")
    url, user = given["registryUrl"], given["username"]
    known = server.model.tables["logins"].get(url)
    if known is not None and known.get(user) != given["password"]:
        raise ApiError(
            "BAD_REQUEST",
            f"Command execution failed: Command failed: printf %s '***' | docker login '{url}' -u '{user}' "
            f"--password-stdin\nError response from daemon: login attempt to http://{url}/v2/ failed with status: "
            "401 Unauthorized\n",
        )
    row: Row = {
        "registryId": new_id(),
        **{name: given[name] for name in ("registryName", "imagePrefix", "username", "password", "registryUrl")},
        "createdAt": iso_now(),
        "registryType": given["registryType"],
        "organizationId": caller.organization_id,
    }
    with server.model.change():
        server.model.tables["registries"][row["registryId"]] = row
    return row


PROCEDURES = [
    *_user.procedures,
    *_organization.procedures,
    *_registry.procedures,
]
