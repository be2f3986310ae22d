# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages from npm, with an npm that does as it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import npm


def test_an_npm_that_hangs_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, does in {"node": "echo v20.0.0", "npm": "exec sleep 60"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "package.json").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(npm, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(npm, "LONGEST", 0.1)
    with pytest.raises(npm.NotInstalled, match="not done within"):
        npm.install(tmp_path, names=["package.json"])
    assert not list((tmp_path / "cache").iterdir())
