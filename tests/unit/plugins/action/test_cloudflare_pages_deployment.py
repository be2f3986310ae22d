# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines call a deployment of Pages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible_collections.vedfinance.platform.plugins.action.cloudflare_pages_deployment import ActionModule


def test_title() -> None:
    action: Any = SimpleNamespace(_task=SimpleNamespace(args={"project": "vedfinance-web", "api_token": "secret"}))
    assert ActionModule.title(action) == "pages vedfinance-web"
