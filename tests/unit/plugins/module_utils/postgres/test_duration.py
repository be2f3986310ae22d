# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as people write them."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._duration import seconds_in
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("26h", 93600), ("7D", 604800), ("2 w", 1209600), (" 1.5h ", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_in(text, "max_age") == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1y", "1h30m", "1,5h", "nan"])
def test_no_durations(text: str) -> None:
    with pytest.raises(PlatformError, match="Option max_age is "):
        seconds_in(text, "max_age")
