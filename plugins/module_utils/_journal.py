# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what was done on a host, one file for each run of a playbook."""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import suppress

from ._errors import PlatformError
from ._whole_file import write_whole

_ENTRY = re.compile(r"\d{8}T\d{6}Z_(?P<kind>[a-z_]+)\.json")
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
_NEEDED = frozenset({"run", "kind", "outcome", "began", "ended"})


def names_in(folder: str, kind: str | None = None) -> list[str]:
    """The files of its entries, newest first; of one kind, when it is named. A folder that is not there holds none."""
    try:
        found = {name: _ENTRY.fullmatch(name) for name in os.listdir(folder)}
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PlatformError(
            f"The journal {folder} cannot be read: {error.strerror}.",
            "Run with become: true, or give this user the right.",
        ) from None
    return sorted((name for name, match in found.items() if match and kind in (None, match["kind"])), reverse=True)


def read_entry(path: str) -> dict[str, t.Any]:
    """One entry.

    :raises OSError, ValueError: when it cannot be read, or is none.
    """
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict) or not found.keys() >= _NEEDED:
        raise ValueError("it lacks run, kind, outcome, began or ended")
    return found


def path_of(folder: str, entry: t.Mapping[str, t.Any]) -> str:
    """Where an entry belongs."""
    lacking = sorted(_NEEDED - entry.keys())
    if lacking:
        raise PlatformError(f"The entry lacks {', '.join(lacking)}.", "Give it what every entry of the journal has.")
    name = f"{entry['run']}_{entry['kind']}.json"
    if not _ENTRY.fullmatch(name):
        raise PlatformError(
            f"Run {entry['run']!r} of kind {entry['kind']!r} gives no file name.",
            "Write a run as 20261123T020000Z, and a kind in small letters and '_'.",
        )
    return os.path.join(folder, name)


def write_entry(path: str, entry: t.Mapping[str, t.Any]) -> None:
    """Whole or not at all; an entry of the same run and kind is replaced."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=_FOLDER_MODE, exist_ok=True)
        with suppress(PermissionError):  # a folder of somebody else is as they made it
            os.chmod(folder, _FOLDER_MODE)
        write_whole(path, json.dumps(entry, indent=4, ensure_ascii=False) + "\n", _FILE_MODE)
    except OSError as error:
        raise PlatformError(
            f"The journal entry could not be written to {path}: {error.strerror}.",
            "Is there room, and the right to write? Run with become: true, or name another journal_dir.",
        ) from None
