# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Dokploy keeps a snapshot of each build: without a registry to keep it in, it silently keeps none."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    NotPermitted,
    UnknownProcedure,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deployments import deployments_of
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    ServiceQuery,
    find_application,
    read_application,
    rows_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

ROLLBACK_POLICY_ARGUMENTS: dict[str, dict[str, object]] = {
    "active": {"type": "bool", "default": True},
    "registry": {"type": "str"},
    "registry_id": {"type": "str"},
}


@dataclass(frozen=True)
class Registry:
    """What may be seen of it; the rest of the row is a user name and a password."""

    id: str
    name: str | None

    def to_result(self) -> dict[str, object]:
        return dict(vars(self))


@dataclass
class PolicyOutcome:
    application: Application
    before: Mapping[str, object]
    after: Mapping[str, object]
    snapshots: int
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def to_result(self) -> dict[str, object]:
        return {
            "application": self.application.to_result(),
            "before": dict(self.before),
            "after": dict(self.after),
            "snapshots": self.snapshots,
        }


def registries_of(client: DokployClient) -> list[Registry] | None:
    """None when this key may not read them."""
    try:
        rows = rows_of(client.get("registry.all"))
    except (NotPermitted, UnknownProcedure):
        return None
    return [Registry(str(row.get("registryId")), str(row.get("registryName") or "")) for row in rows]


def keep_policy(client: DokployClient, query: ServiceQuery, params: Mapping[str, t.Any], check: bool) -> PolicyOutcome:
    """The whole of M(vedfinance.platform.dokploy_application_rollback_policy)."""
    active, name, registry_id = params["active"], params["registry"], params["registry_id"]
    if not active and (name or registry_id):
        raise PlatformError("registry and registry_id are for active=true.", "Leave them out, or set active to true.")
    client.version()
    application = find_application(client, query)
    registries = registries_of(client) if active else []
    wanted = _wanted_registry(application, registries, name, registry_id) if active else None
    snapshots = sum(
        bool(record.rollback_id) for record in deployments_of(client, application) if record.status == "done"
    )
    before = _shown(application, registries)
    # The registry stays when it is switched off: the snapshots that exist are in it.
    after = (
        {"active": active, "registry_id": wanted.id, "registry": wanted.name}
        if wanted
        else {**before, "active": active}
    )
    outcome = PolicyOutcome(application, before, after, snapshots)
    _warn(outcome, active)
    if outcome.changed and not check:
        columns: dict[str, object] = {"rollbackActive": active}
        if wanted:
            columns["rollbackRegistryId"] = wanted.id
        client.post("application.update", applicationId=application.id, **columns)
        outcome.application = _reread(client, application, outcome)
    return outcome


def _shown(application: Application, registries: list[Registry] | None) -> dict[str, object]:
    registry_id = application.rollback_registry_id
    name = next((registry.name for registry in registries or () if registry.id == registry_id), None)
    return {"active": application.rollback_active, "registry_id": registry_id, "registry": name}


def _wanted_registry(
    application: Application, registries: list[Registry] | None, name: str | None, registry_id: str | None
) -> Registry:
    """The one that is named; else the one that it has; else the only one there is."""
    if registries is None:
        known = registry_id or application.rollback_registry_id
        if known and not name:
            return Registry(known, None)
        raise PlatformError(
            "The registries may not be read with this API key.",
            "Give registry_id in the place of registry, or use the key of an owner or admin.",
        )
    listed = ", ".join(sorted(f"{registry.name} ({registry.id})" for registry in registries))
    found = registries
    if registry_id:
        found = [registry for registry in found if registry.id == registry_id]
    if name:
        found = [registry for registry in found if registry.name == name]
    if not registry_id and not name:
        found = [registry for registry in found if registry.id == application.rollback_registry_id] or found
    if not registries:
        raise PlatformError(
            "Dokploy has no registry, and it keeps snapshots only in one.",
            "Add one in the dashboard under Settings > Registry; it may be one that runs on the same host.",
        )
    if len(found) == 1:
        return found[0]
    if not found:
        raise PlatformError(
            f"There is no registry {' '.join(repr(text) for text in (name, registry_id) if text)} in Dokploy.",
            f"There is: {listed}.",
        )
    raise PlatformError(
        f"There are {len(found)} registries that could be meant: {listed}.",
        "Name the right one in registry_id.",
        candidates=[registry.to_result() for registry in found],
    )


def _warn(outcome: PolicyOutcome, active: bool) -> None:
    count, name = outcome.snapshots, outcome.application.name
    if active and not count:
        outcome.warnings.append(
            f"{name} has no snapshot to roll back to yet: each successful deploy from now on makes one, so that the "
            "first rollback is possible after the second deploy."
        )
    if not active and count:
        outcome.warnings.append(
            f"{count} snapshots of {name} exist. They remain usable until their records are deleted, which Dokploy "
            "does after ten more deployments; no new ones are made."
        )
    moved = outcome.before["registry_id"] not in (None, outcome.after["registry_id"])
    if moved and count:
        outcome.warnings.append(f"{count} snapshots of {name} are in the former registry; keep it until they are gone.")


def _reread(client: DokployClient, application: Application, outcome: PolicyOutcome) -> Application:
    stored = read_application(client, application.id)
    held = (stored.rollback_active, stored.rollback_registry_id)
    if held != (outcome.after["active"], outcome.after["registry_id"]):
        raise PlatformError(
            f"Dokploy holds another rollback policy for {application.name} than was just stored.",
            "Somebody changed it meanwhile. Look who, and run this again.",
            **outcome.to_result(),
        )
    return stored
