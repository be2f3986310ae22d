# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: built to an archive, and installed from it into a clean place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def build(folder: Path) -> Path:
    """The archive of this checkout, as it is."""
    galaxy("build", str(ROOT), "--output-path", str(folder), home=folder)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def install(archive: Path, folder: Path) -> Path:
    """What to name as the place of collections."""
    galaxy("install", str(archive), "--collections-path", str(folder), "--offline", home=archive.parent)
    return folder


def galaxy(*arguments: str, home: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    subprocess.run(
        [Path(sys.executable).with_name("ansible-galaxy"), "collection", *arguments],
        cwd=home,
        env={**inherited, "ANSIBLE_HOME": str(home / "home")},
        check=True,
        stdout=subprocess.DEVNULL,
    )
