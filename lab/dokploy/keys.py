# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys: who calls, how often and how long they may, and what they may touch."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.dokploy.errors import ApiError
from lab.dokploy.tempo import iso, iso_now

Row = dict[str, Any]

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Caller:
    """Whose key it is. A member reaches only the services given to them."""

    role: str
    organization_id: str
    services: tuple[str, ...]
    user_id: str = ""

    @property
    def is_member(self) -> bool:
        return self.role == "member"

    def reaches(self, service_id: str) -> bool:
        return not self.is_member or service_id in self.services

    def need_service(self, service_id: str) -> None:
        """Raised before the service is looked for, so that a member learns nothing about unknown ids."""
        if not self.reaches(service_id):
            raise ApiError("UNAUTHORIZED", "You don't have access to this service")

    def need_permission(self, resource: str) -> None:
        if self.is_member:
            raise ApiError("UNAUTHORIZED", f'unauthorized to access resource "{resource}"')

    def need_organization(self, organization_id: str, what: str) -> None:
        if organization_id != self.organization_id:
            raise ApiError("UNAUTHORIZED", f"You are not authorized to access this {what}")


def add(
    table: Row,
    *,
    organization_id: str,
    role: str = "owner",
    services: Sequence[str] = (),
    limit: int | None = None,
    window_ms: int = DAY_MS,
    user_id: str = "",
    name: str = "",
    lifetime: float | None = None,
) -> str:
    """A new key; only its hash is kept. `limit` counts verifications, of which a REST request makes two."""
    key = secrets.token_urlsafe(48)
    table[_hash(key)] = {
        "id": secrets.token_hex(16),
        "name": name,
        "userId": user_id,
        "createdAt": iso_now(),
        "expiresAt": None if lifetime is None else iso(time.time() + lifetime),
        "organizationId": organization_id,
        "role": role,
        "services": list(services),
        "rateLimitEnabled": limit is not None,
        "rateLimitMax": limit,
        "rateLimitTimeWindow": window_ms,
        "requestCount": 0,
        "lastRequest": None,
    }
    return key


def verify(table: Row, key: str | None, times: int) -> Caller | None:
    """None when the gate stays shut: no key, a wrong one, or one whose limit is used up."""
    row = find(table, key)
    if row is None or (row["expiresAt"] and row["expiresAt"] <= iso_now()):
        return None
    if row["rateLimitEnabled"] and not all(_count(row) for _turn in range(times)):
        return None
    return Caller(row["role"], row["organizationId"], tuple(row["services"]), row["userId"])


def find(table: Row, key: str | None) -> Row | None:
    row: Row | None = table.get(_hash(key)) if key else None
    return row


def of_user(table: Row, user_id: str) -> list[Row]:
    return [row for row in table.values() if row["userId"] == user_id]


def short(row: Row) -> Row:
    """As a user's own list shows it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "prefix": None,
        "enabled": True,
        "expiresAt": row["expiresAt"],
        "createdAt": row["createdAt"],
    }


def _count(row: Row) -> bool:
    now = time.time() * 1000
    if row["lastRequest"] is None or now - row["lastRequest"] > row["rateLimitTimeWindow"]:
        row["requestCount"] = 0
    if row["requestCount"] >= row["rateLimitMax"]:
        return False
    row["requestCount"] += 1
    row["lastRequest"] = now
    return True


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
