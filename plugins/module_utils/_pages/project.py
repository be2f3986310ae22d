# SPDX-License-Identifier: GPL-3.0-or-later
"""The project: what production serves, and whether a push deploys it again."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import (
    PREVIEW,
    PRODUCTION,
    Deployment,
    optional_deployment,
)

_ALL, _PRODUCTION_ONLY = "deployments_enabled", "production_deployments_enabled"


@dataclass(frozen=True)
class Project:
    name: str
    production_branch: str
    domains: tuple[str, ...]
    canonical: Deployment | None
    latest: Deployment | None
    #: As Cloudflare tells it; empty for a project that files are uploaded to.
    source: dict[str, t.Any] = field(default_factory=dict, repr=False)

    @property
    def production_deployments_enabled(self) -> bool | None:
        """Whether a push to the production branch deploys; None when no repository is connected."""
        config = self.source.get("config")
        if not isinstance(config, dict):
            return None
        return config.get(_ALL) is not False and config.get(_PRODUCTION_ONLY) is not False

    @property
    def repository(self) -> str:
        config = self.source.get("config")
        config = config if isinstance(config, dict) else {}
        return f"{config.get('owner', '')}/{config.get('repo_name', '')}".strip("/") or "the connected repository"

    def environment_of(self, branch: str) -> str:
        return PRODUCTION if branch == self.production_branch else PREVIEW

    def to_result(self) -> dict[str, object]:
        return {
            "name": self.name,
            "production_branch": self.production_branch,
            "production_deployments_enabled": self.production_deployments_enabled,
            "domains": list(self.domains),
            "canonical": None if self.canonical is None else self.canonical.to_result(),
            "latest": None if self.latest is None else self.latest.to_result(),
        }


def read_project(client: PagesClient) -> Project:
    given = client.get()
    if not isinstance(given, dict):
        raise PlatformError("Cloudflare's answer tells of no project.", "Check api_url.")
    domains, source = given.get("domains"), given.get("source")
    return Project(
        name=str(given.get("name") or client.project),
        production_branch=str(given.get("production_branch") or "main"),
        domains=tuple(str(domain) for domain in domains) if isinstance(domains, list) else (),
        canonical=optional_deployment(given.get("canonical_deployment")),
        latest=optional_deployment(given.get("latest_deployment")),
        source=source if isinstance(source, dict) else {},
    )


def needs_switch(project: Project, wanted: str) -> bool:
    """Whether production_deployments is to be changed. Where no repository is connected, no push deploys."""
    enabled = project.production_deployments_enabled
    if enabled is None and wanted == "enabled":
        raise PlatformError(
            f"No repository is connected to {project.name}, so that no push can deploy it.",
            "Connect one in the dashboard, or leave production_deployments out.",
        )
    return wanted != "unchanged" and enabled is not None and enabled != (wanted == "enabled")


def switch(client: PagesClient, project: Project, enabled: bool) -> Project:
    """The project after production deployments were enabled or disabled, as it was then read."""
    # Sent back whole, so that nothing else is lost should Cloudflare take it for the whole.
    config = {**project.source["config"], _PRODUCTION_ONLY: enabled}
    if enabled and config.get(_ALL) is False:
        config[_ALL] = True
    client.patch({"source": {**project.source, "config": config}})
    after = read_project(client)
    if after.production_deployments_enabled is not enabled:
        raise PlatformError(
            f"Cloudflare took the change, but production deployments of {project.name} are not "
            f"{'enabled' if enabled else 'disabled'}.",
            "Set it in the dashboard: Settings > Builds > Branch control.",
        )
    return after
