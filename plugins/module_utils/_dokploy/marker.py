# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service was like before it was stopped, kept in its description, which the dashboard shows."""

from __future__ import annotations

import re
from datetime import datetime

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import utc_text

_MARKER = re.compile(
    r"\s*\[stopped by vedfinance\.platform at \S+, "
    r"(?:replicas before: (?P<replicas>\d+)|auto deploy before: (?P<auto_deploy>on|off))\]"
)


def remembered_replicas(description: str | None) -> int | None:
    match = _MARKER.search(description or "")
    return int(match["replicas"]) if match and match["replicas"] else None


def remembered_auto_deploy(description: str | None) -> bool | None:
    match = _MARKER.search(description or "")
    return match["auto_deploy"] == "on" if match and match["auto_deploy"] else None


def with_marker(description: str | None, remembered: int | bool, now: datetime) -> str:
    if isinstance(remembered, bool):
        words = f"auto deploy before: {'on' if remembered else 'off'}"
    else:
        words = f"replicas before: {remembered}"
    marker = f"[stopped by vedfinance.platform at {utc_text(now)}, {words}]"
    return f"{without_marker(description) or ''} {marker}".strip()


def without_marker(description: str | None) -> str | None:
    return _MARKER.sub("", description or "").strip() or None
