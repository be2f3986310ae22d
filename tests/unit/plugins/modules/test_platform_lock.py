# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module returns, and that its documentation names all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._lock import LOCK_ARGUMENTS
from ansible_collections.vedfinance.platform.plugins.modules import platform_lock

from tests.unit.plugins.run_module import run_main


def test_options_are_documented_as_they_are() -> None:
    documented = yaml.safe_load(platform_lock.DOCUMENTATION)["options"]
    assert documented.keys() == LOCK_ARGUMENTS.keys()
    for name, option in LOCK_ARGUMENTS.items():
        assert documented[name].get("default") == option.get("default"), name


def test_held_refused_and_released(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def call(state: str, run: str, **given: Any) -> dict[str, Any]:
        options = {"state": state, "run": run, "folder": str(tmp_path), "owner": {"user": run}, **given}
        return run_main(platform_lock.main, capsys, options)

    held = call("held", "ann")
    assert (held["changed"], held["freed"], held["lock"]["owner"]["user"]) == (True, None, "ann")
    documented = yaml.safe_load(platform_lock.RETURN)
    assert {"alive", *held["lock"]} == documented["lock"]["contains"].keys() == documented["lock"]["sample"].keys()

    refused = call("held", "ben")
    assert refused["failed"]
    assert refused["lock"] == {**held["lock"], "age": refused["lock"]["age"], "age_seconds": pytest.approx(0, abs=60)}

    assert call("released", "ben")["changed"] is False
    freed = call("released", "", force=True)
    assert (freed["changed"], freed["lock"], freed["freed"]["run"]) == (True, None, "ann")
