# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real Dokploy was sent and answered, for the tests that script it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.conftest import ROOT

_CAPTURES = ROOT / "tests" / "contract" / "captures"


@cache
def _capture(name: str) -> dict[str, Any]:
    return dict(json.loads((_CAPTURES / f"{name}.json").read_text(encoding="utf-8")))


def body_of(name: str) -> Any:
    return _capture(name)["response"]["body"]


def request_of(name: str) -> dict[str, Any]:
    return dict(_capture(name)["request"]["body"])
