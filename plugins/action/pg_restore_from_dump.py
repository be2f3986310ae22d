# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far a restore is, while the module of the same name runs."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction

_VERBS = {"restored": "restore", "verified": "verify", "completed": "complete", "undone": "undo", "cleaned": "clean"}


class ActionModule(ProgressAction):
    def title(self) -> str:
        asked = self._task.args
        state = str(asked.get("state", "restored"))
        database = next((asked[name] for name in ("database", "db", "name") if asked.get(name)), "")
        return f"{_VERBS.get(state, state)} {database}".strip()
