# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are this very machine, so that nobody sits in between."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
