# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines call a restore."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.action.pg_restore_from_dump import ActionModule


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ({"database": "school"}, "restore school"),
        ({"db": "school", "state": "undone"}, "undo school"),
        ({"name": "school", "state": "verified"}, "verify school"),
        ({"state": "none of them"}, "none of them"),
    ],
)
def test_title(asked: dict[str, Any], title: str) -> None:
    action: Any = SimpleNamespace(_task=SimpleNamespace(args=asked))
    assert ActionModule.title(action) == title
