# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far a backup is, while the module of the same name runs."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction

_VERBS = {"present": "back up", "fetched": "fetch", "sent": "send"}


class ActionModule(ProgressAction):
    def title(self) -> str:
        asked = self._task.args
        state = str(asked.get("state", "present"))
        database = next((asked[name] for name in ("database", "db") if asked.get(name)), "")
        return f"{_VERBS.get(state, state)} {database}".strip()
