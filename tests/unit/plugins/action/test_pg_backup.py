# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines call a backup."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.action.pg_backup import ActionModule


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ({"database": "school"}, "back up school"),
        ({"db": "school", "state": "fetched"}, "fetch school"),
        ({}, "back up"),
    ],
)
def test_title(asked: dict[str, Any], title: str) -> None:
    action: Any = SimpleNamespace(_task=SimpleNamespace(args=asked))
    assert ActionModule.title(action) == title
