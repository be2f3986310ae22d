# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows when each gate begins and how it ends, while the module of the same name runs."""

from __future__ import annotations

from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction


class ActionModule(ProgressAction):
    default_interval = 2.0

    def title(self) -> str:
        return "gates"
