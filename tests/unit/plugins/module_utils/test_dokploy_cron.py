# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cron expressions are sent to Dokploy."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.cron import checked_cron
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError


@pytest.mark.parametrize(
    "text",
    [
        "0 2 * * *",
        "*/15 * * * *",
        "0,30 8-18/2 1,15 * MON-fri",
        "59 23 31 12 7",
        "0 0 * jan-Mar sun",
        "5/10 * * * *",
        "0 0 * 1-jan 0-sun",
        "@daily",
    ],
)
def test_what_cron_understands(text: str) -> None:
    assert checked_cron(text) == text


def test_spaces_do_not_count() -> None:
    assert checked_cron("  0   2 *\t* * ") == "0 2 * * *"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 fields"),
        ("0 2 * *", "has 4 fields"),
        ("0 0 2 * * *", "has 6 fields"),
        ("@dayly", "has 1 fields"),
        ("60 2 * * *", "its minute is '60', which is not 0 to 59"),
        ("0 24 * * *", "its hour is '24'"),
        ("0 2 0 * *", "its day of the month is '0', which is not 1 to 31"),
        ("0 2 * 13 *", "its month is '13'"),
        ("0 2 * * 8", "its day of the week is '8'"),
        ("0 2 * mon *", "its month is 'mon'"),
        ("18-8 2 * * *", "its minute is '18-8'"),
        ("*/0 2 * * *", "its minute is '*/0'"),
        ("0, 2 * * *", "its minute is '0,'"),
        ("-5 2 * * *", "its minute is '-5'"),
        ("² 2 * * *", "its minute is"),
    ],
)
def test_what_it_does_not(text: str, reason: str) -> None:
    with pytest.raises(PlatformError) as raised:
        checked_cron(text)
    assert reason in raised.value.msg
    assert "0 2 * * *" in str(raised.value.hint)
