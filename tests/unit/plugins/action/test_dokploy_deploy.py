# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines call a deployment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.action.dokploy_deploy import ActionModule


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ({"application": "api", "application_id": "x"}, "deploy api"),
        ({"application_id": "iKGxALnfjMm3lPX3CDY-e", "method": "watch"}, "watch iKGxALnfjMm3lPX3CDY-e"),
        ({"compose": "shop", "method": "rebuild"}, "rebuild shop"),
        ({}, "deploy"),
    ],
)
def test_title(asked: dict[str, Any], title: str) -> None:
    action: Any = SimpleNamespace(_task=SimpleNamespace(args=asked))
    assert ActionModule.title(action) == title
