# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the log of the build, and how far the deployment is, while the module of the same name runs."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction


class ActionModule(ProgressAction):
    default_interval = 2.0

    def title(self) -> str:
        asked = self._task.args
        options = ("application", "compose", "application_id", "compose_id")
        service = next((asked[name] for name in options if asked.get(name)), "")
        return f"{asked.get('method', 'deploy')} {service}".strip()
