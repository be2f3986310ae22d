# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the log of the build while the module of the same name waits for it."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction


class ActionModule(ProgressAction):
    default_interval = 2.0

    def title(self) -> str:
        return f"pages {self._task.args.get('project', '')}".strip()
