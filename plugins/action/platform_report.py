# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the pages on the controller, between two calls of the module: one reads on the host, one writes there."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.pages import book_of


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        known = task_vars or {}
        result: dict[str, Any] = super().run(tmp, known)
        arguments = {"host": known.get("inventory_hostname", ""), **self._task.args, "pages": {}}
        read = self._asked(arguments, known)
        if "source" not in read:
            return {**result, **read}
        book = book_of(read["source"])
        written = self._asked({**arguments, "pages": dict(book.pages)}, known)
        result.update(written)
        if not written.get("failed"):
            folder = os.path.dirname(written["index"])
            result.update(
                msg=str(book.verdict),
                verdict=book.verdict.level,
                pages={key: os.path.join(folder, name) for key, name in book.keys.items()},
                problems=list(book.problems),
            )
            if book.warnings:
                result["warnings"] = [*result.get("warnings", []), *book.warnings]
        return result

    def _asked(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        return dict(
            self._execute_module(
                module_name="vedfinance.platform.platform_report", module_args=arguments, task_vars=task_vars
            )
        )
