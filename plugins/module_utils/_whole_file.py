# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there: whoever reads them, and whenever the power fails."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress


def write_whole(path: str, text: str, mode: int, folder_mode: int = 0o755) -> None:
    """Write aside and rename; what was there is replaced, and a folder that is missing is made.

    :raises OSError: when it cannot be written; nothing of it is left behind.
    """
    folder = os.path.dirname(path)
    aside = None
    try:
        os.makedirs(folder, mode=folder_mode, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=".partial-", dir=folder)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        aside = None
    finally:
        if aside is not None:
            with suppress(OSError):
                os.unlink(aside)
