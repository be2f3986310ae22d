# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as people write them."""

from __future__ import annotations

import re

from ._errors import PlatformError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", re.IGNORECASE)


def seconds_in(text: str, option: str) -> float:
    """The seconds of ``90``, ``90s``, ``15m``, ``26h``, ``7d`` or ``2w``.

    :param option: the option's name, for the message.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise PlatformError(
            f"Option {option} is {text!r}, which is no duration.", "Write a number and s, m, h, d or w, as in 26h."
        )
    return float(match.group(1)) * _UNITS[match.group(2).lower() or "s"]
