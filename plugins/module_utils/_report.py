# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's half of the report: reads ledger and journal, and writes the pages that the controller made of them."""

from __future__ import annotations

import json
import os
import re
import typing as t
from collections.abc import Mapping, Sequence

from ._errors import PlatformError
from ._journal import names_in, read_entry
from ._ledger import read_ledger
from ._redact import clip, redact
from ._whole_file import write_whole

INDEX = "index.html"
_PAGE = re.compile(r"[\w.-]+\.html")
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
# Nobody reads more of one message, and a page must open on a phone.
_LONGEST_TEXT = 2000


def read_source(ledger: str, journal: str, databases: Sequence[str], limit: int) -> dict[str, t.Any]:
    """Newest first, and without secrets: the drills of these databases (of all, when none is named), and the journal.

    :param limit: how many drills of each database, and how many entries of the journal.
    """
    drills = read_ledger(ledger)
    problems, told, counts = list(drills.problems), [], dict.fromkeys(databases, 0)
    for drill in drills:
        if databases and drill.database not in databases:
            continue
        counts[drill.database] = counts.get(drill.database, 0) + 1
        if counts[drill.database] <= limit:
            told.append(drill.as_dict())
    entries = []
    for name in names_in(journal)[: max(0, limit)]:
        path = os.path.join(journal, name)
        try:
            entries.append(read_entry(path))
        except (OSError, ValueError) as error:
            problems.append(f"{name} is no entry of the journal: {error}")
    return {"drills": _harmless(told), "journal": _harmless(entries), "problems": _harmless(problems)}


def pages_in(folder: str) -> list[str]:
    """The pages that are there. A folder that is not there yet holds none."""
    try:
        return sorted(name for name in os.listdir(folder) if _PAGE.fullmatch(name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unwritable(folder, error) from None


def write_pages(folder: str, pages: Mapping[str, str], *, check: bool) -> list[str]:
    """The paths of those that were not there, or differed; in check mode, of those that would be written."""
    strange = [name for name in pages if not _PAGE.fullmatch(name)]
    if strange:
        raise PlatformError(f"{strange[0]!r} is no name of a page.", "Leave O(pages) to the action plugin.")
    # The index comes last: it must not lead to a page that is not there yet.
    names = sorted(pages, key=lambda name: (name == INDEX, name))
    changed = [name for name in names if _content(os.path.join(folder, name)) != pages[name]]
    if not check:
        for name in changed:
            _write(folder, name, pages[name])
    return [os.path.join(folder, name) for name in changed]


def _harmless(value: list[t.Any]) -> t.Any:
    return _clipped(redact(json.loads(json.dumps(value, default=list))))


def _clipped(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _clipped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clipped(item) for item in value]
    return clip(value, _LONGEST_TEXT) if isinstance(value, str) else value


def _content(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def _write(folder: str, name: str, text: str) -> None:
    try:
        write_whole(os.path.join(folder, name), text, _FILE_MODE, _FOLDER_MODE)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: str, error: OSError) -> PlatformError:
    return PlatformError(
        f"The folder of the reports {folder} cannot be used: {error.strerror}.",
        "Is there room, and the right to read and write it?",
    )
