# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there: whoever reads them, and whenever the power fails."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress


def make_folders(path: str, mode: int) -> None:
    """The folder, and what is missing above it, which nobody else may write to; whatever the umask is."""
    above = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(above):
        make_folders(above, 0o755)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    else:
        os.chmod(path, mode)


def write_whole(path: str, text: str, mode: int, folder_mode: int = 0o755) -> None:
    """Write aside and rename; what was there is replaced, and a folder that is missing is made.

    :raises OSError: when it cannot be written; nothing of it is left behind.
    """
    folder = os.path.dirname(path)
    aside = None
    try:
        make_folders(folder, folder_mode)
        handle, aside = tempfile.mkstemp(prefix=".partial-", dir=folder)
        # A name that is no UTF-8 is told in escapes, as JSON knows them.
        with open(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
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
