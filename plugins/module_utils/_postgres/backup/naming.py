# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of dumps."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from string import Formatter

from ..._errors import PlatformError
from .manifest import is_plain_name

DEFAULT = "{database}_{time:%Y%m%d_%H%M%S}"
_ODD = re.compile(r"[^A-Za-z0-9_.+@-]")
_FIELDS = ("database", "time", "utc", "release")
_SUFFIXES = {"plain": ".sql", "custom": ".dump", "tar": ".tar", "directory": ".dir"}
_LAYERS = {"gzip": ".gz", "zstd": ".zst", "age": ".age", "gpg": ".gpg"}
# A file system allows 255 bytes, of which the partial name and the manifest's need some.
_LONGEST = 200


def dump_name(template: str, database: str, when: datetime, release: str | None, suffix: str) -> str:
    """The name of a dump that was begun at a moment.

    :raises PlatformError: when the template gives no name of a file in the folder.
    """
    values = {"time": when.astimezone(), "utc": when.astimezone(timezone.utc)}
    texts = {"database": _plain(database), "release": _plain(release or "")}
    parts = []
    try:
        for text, name, layout, conversion in Formatter().parse(template):
            parts.append(text)
            if name is None:
                continue
            if name not in _FIELDS or conversion:
                raise ValueError(f"{{{name}}} is none of {', '.join(_FIELDS)}")
            parts.append(values[name].strftime(layout or "%Y%m%d_%H%M%S") if name in values else texts[name])
    except ValueError as error:
        raise PlatformError(f"Option name is {template!r}: {error}.", f"Write for example {DEFAULT}.") from None
    whole = "".join(parts) + suffix
    if not is_plain_name(whole) or len(whole.encode()) > _LONGEST:
        raise PlatformError(
            f"Option name gives {whole!r}, which is no name for a file in the folder.", f"Write for example {DEFAULT}."
        )
    return whole


def suffix_of(dump_format: str, layers: list[str]) -> str:
    """The end of a name: the format, then what it is packed and encrypted with, innermost first."""
    return _SUFFIXES[dump_format] + "".join(_LAYERS[layer] for layer in layers)


def _plain(text: str) -> str:
    return _ODD.sub("_", text)
