# SPDX-License-Identifier: GPL-3.0-or-later
"""A check that takes any value tells it; nothing is no value."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Session
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import proof as proofs
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.proof import Check, Invariant, Proof


class Answering:
    """A session whose every query gives one value."""

    def __init__(self, value: object) -> None:
        self._value = value

    def run(self, _statement: str) -> None: ...

    def value(self, _query: str) -> Any:
        return self._value


def check(expect: str, value: object) -> Check:
    proof, told = Proof(), list[str]()
    session = cast("Session", Answering(value))
    proof.check("x", partial(proofs._invariant, session, Invariant("x", "SELECT 1", expect), told), told)
    return proof.checks[0]


@pytest.mark.parametrize(
    ("expect", "value", "result", "detail"),
    [
        ("*", 1795411149, "passed", "1795411149"),
        ("*", False, "passed", "false"),
        ("*", None, "failed", "expected *, found nothing"),
        ("true", True, "passed", ""),
        ("true", False, "failed", "expected true, found false"),
    ],
)
def test_a_value(expect: str, value: object, result: str, detail: str) -> None:
    found = check(expect, value)
    assert (found.result, found.detail) == (result, detail)
