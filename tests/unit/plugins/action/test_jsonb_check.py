# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines call a check of documents."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.action.jsonb_check import ActionModule


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ({"database": "school"}, "check documents of school"),
        ({"db": "school"}, "check documents of school"),
        ({}, "check documents"),
    ],
)
def test_title(asked: dict[str, Any], title: str) -> None:
    action: Any = SimpleNamespace(_task=SimpleNamespace(args=asked))
    assert ActionModule.title(action) == title
