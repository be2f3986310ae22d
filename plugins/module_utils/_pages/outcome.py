# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of cloudflare_pages_deployment returns, whether it succeeds or fails half way."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import Deployment, served
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.project import Project

#: What will be, where its id cannot be known yet.
UNKNOWN_YET = {"id": None, "url": None}


@dataclass
class Outcome:
    before: dict[str, object]
    after: dict[str, object]
    switch_before: bool | None
    switch_after: bool | None
    #: Set where a run would change, or has changed, more than the two pairs above show.
    acted: bool = False
    deployment: Deployment | None = None
    triggered: bool = False
    retried: bool = False
    log_tail: list[str] = field(default_factory=list)
    failing_line: str | None = None
    notes: list[str] = field(default_factory=list)
    waited: float = 0.0

    @classmethod
    def of(cls, project: Project) -> Outcome:
        now, enabled = served(project.canonical), project.production_deployments_enabled
        return cls(now, now, enabled, enabled)

    def saw(self, project: Project) -> None:
        self.after = served(project.canonical)
        self.switch_after = project.production_deployments_enabled

    @property
    def changed(self) -> bool:
        return self.acted or self.before != self.after or self.switch_before != self.switch_after

    def diff(self) -> dict[str, object]:
        return {
            "before": {"production": self.before, "production_deployments_enabled": self.switch_before},
            "after": {"production": self.after, "production_deployments_enabled": self.switch_after},
        }

    def to_result(self) -> dict[str, object]:
        return {
            "before": self.before,
            "after": self.after,
            "production_deployments_enabled": self.switch_after,
            "deployment": None if self.deployment is None else self.deployment.to_result(),
            "triggered": self.triggered,
            "retried": self.retried,
            "log_tail": self.log_tail,
            "failing_line": self.failing_line,
            "note": " ".join(self.notes) or None,
            "waited": round(self.waited, 1),
        }
