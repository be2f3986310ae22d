# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Prisma CLI, with its own WASM engine, so that nothing native is downloaded."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.npm import NotInstalled, install

PINS = Path(__file__).parent
CONFIG = PINS / "prisma.config.ts"


def installed_prisma() -> Path | None:
    """The folder that holds node_modules with the pinned Prisma; None when this machine cannot install it."""
    try:
        return install(PINS)
    except NotInstalled:
        return None


def prepare_project(folder: Path, installed: Path) -> list[str]:
    """Let Prisma work in a folder that holds prisma/schema.prisma; the command that calls it there."""
    shutil.copy(CONFIG, folder)
    modules = folder / "node_modules"
    if not modules.is_symlink():
        modules.symlink_to(installed / "node_modules")
    return [str(modules / ".bin" / "prisma")]
