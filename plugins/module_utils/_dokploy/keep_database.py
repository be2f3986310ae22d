# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping and starting a database service. No webhook starts one, so nothing needs to be remembered."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import ServerFailed
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import Database
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.keeper import (
    Keeper,
    Outcome,
    Plan,
    state_word,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.tasks import Task, running


class DatabaseKeeper(Keeper[Database]):
    def plan_stop(self, service: Database, tasks: Sequence[Task] | None) -> Plan:
        alive = service.status != "idle" if tasks is None else any(task.alive for task in tasks)
        # What may not be seen is stopped again to be sure.
        return self._plan(tasks, alive or tasks is None, alive, "stopped")

    def plan_run(self, service: Database, tasks: Sequence[Task] | None, replicas: int | None) -> Plan:
        serving = service.status == "done" if tasks is None else self._serves(tasks)
        return self._plan(tasks, not serving, not serving, "running")

    @staticmethod
    def _plan(tasks: Sequence[Task] | None, act: bool, changed: bool, state: str) -> Plan:
        before = {"state": state_word(tasks)}
        return Plan({}, act, changed, before, {"state": state} if changed else before)

    def send_stop(self, service: Database) -> None:
        self._client.post(f"{service.kind}.stop", **self.identity(service))

    def send_run(self, outcome: Outcome[Database], deadline: float) -> None:
        service = outcome.service
        try:
            self._client.post(f"{service.kind}.start", **self.identity(service))
        except ServerFailed as error:
            error.hint = f"If {service.name} was never deployed, deploy it once from the dashboard."
            raise

    @staticmethod
    def _serves(tasks: Sequence[Task]) -> bool:
        up = running(tasks)
        return bool(up) and len(up) == len([task for task in tasks if task.wanted])

    def shortfall(self, tasks: Sequence[Task], plan: Plan) -> str | None:
        return None if self._serves(tasks) else f"{len(running(tasks))} running tasks"
