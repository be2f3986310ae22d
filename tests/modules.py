# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of the collection as Ansible does: arguments as JSON in, one JSON result out."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any
from unittest.mock import patch

from ansible.module_utils.testing import patch_module_args

from tests.conftest import ROOT

PACKAGE = "ansible_collections.vedfinance.platform.plugins.modules"


def run_module(name: str, arguments: Mapping[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The module's result. It runs in this process, which takes a tenth of the time of one of its own."""
    main = importlib.import_module(f"{PACKAGE}.{name}").main
    printed = io.StringIO()
    with (
        # Whatever imported Ansible's controller before, here a module runs.
        patch("ansible.module_utils._internal.is_controller", False),
        patch_module_args({**arguments, "_ansible_check_mode": check}),
        redirect_stdout(printed),
    ):
        try:
            main()
        except SystemExit:
            return dict(json.loads(printed.getvalue()))
    raise AssertionError(f"{name} ended without a result")


def start_module(name: str, arguments: Mapping[str, Any]) -> subprocess.Popen[str]:
    """The module in a process of its own, which can be killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"{PACKAGE}.{name}"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections"), "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": dict(arguments)}))
    process.stdin.close()
    process.stdin = None
    return process


def result_of(process: subprocess.Popen[str], timeout: float = 60) -> dict[str, Any]:
    """Wait for a started module's result."""
    out, complaints = process.communicate(timeout=timeout)
    assert not complaints, complaints
    return dict(json.loads(out))
