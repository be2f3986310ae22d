# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what was done on a host, one file for each run of a playbook."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ._errors import PlatformError

_ENTRY = re.compile(r"\d{8}T\d{6}Z_(?P<kind>[a-z_]+)\.json")
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
