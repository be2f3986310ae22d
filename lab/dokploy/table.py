# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of a table, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.dokploy.schema import Field


class Columns:
    """Each column has the default of a new row, and what an update accepts: None when an update cannot set it."""

    def __init__(self, columns: Mapping[str, tuple[Any, Field | None]]) -> None:
        self._columns = columns
        self.updatable: dict[str, Field] = {name: field for name, (_default, field) in columns.items() if field}

    def new(self, **given: Any) -> dict[str, Any]:
        """A row as it is right after creation."""
        defaults = {
            name: list(default) if isinstance(default, list) else default
            for name, (default, _field) in self._columns.items()
        }
        return {**defaults, **given}

    def of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row without what views add to it."""
        return {name: row[name] for name in self._columns}
