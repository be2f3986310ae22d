# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients from npm, for tests: installed as lab/npm.py does it, or the test is skipped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.npm import OLDEST_NODE, NotInstalled, install


def run(*argv: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "NO_COLOR": "1", "NO_PROXY": "127.0.0.1", **variables}
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)


def installed(pins: Path, what: str, *, oldest_node: int = OLDEST_NODE, options: Sequence[str] = ()) -> Path:
    """The folder into which npm installed what the lock of C(pins) names, with all files that lie beside it."""
    names = sorted(file.name for file in pins.iterdir() if file.is_file())
    try:
        return install(pins, oldest_node, names, options)
    except NotInstalled as reason:
        pytest.skip(f"{reason}: {what} is not tried")
