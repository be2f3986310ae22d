# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how many documents were judged, while the module of the same name runs."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction


class ActionModule(ProgressAction):
    def title(self) -> str:
        asked = self._task.args
        database = next((asked[name] for name in ("database", "db") if asked.get(name)), "")
        return f"check documents of {database}".removesuffix(" of ")
