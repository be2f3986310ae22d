# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whose play wants the lock, and looks whether the play that holds it still runs on this controller."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vedfinance.platform.plugins.module_utils._lock import refusal
from ansible_collections.vedfinance.platform.plugins.plugin_utils._play import alive, this_owner


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        known = task_vars or {}
        result: dict[str, Any] = super().run(tmp, known)
        arguments = {"owner": this_owner(known), **self._task.args}
        answer = self._asked(arguments, known)
        if lock := answer.get("lock"):
            lock["alive"] = alive(lock["owner"])
            if answer.get("failed") and lock["alive"] is False:
                answer = self._asked({**arguments, "dead": lock["id"]}, known)
            elif answer.get("failed"):
                answer["msg"] = refusal(lock, lock["alive"])
        result.update(answer)
        return result

    def _asked(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return dict(
            self._execute_module(
                module_name="vedfinance.platform.platform_lock", module_args=arguments, task_vars=task_vars
            )
        )
