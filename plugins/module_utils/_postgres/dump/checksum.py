# SPDX-License-Identifier: GPL-3.0-or-later
"""CRC-32, by the fastest that is here."""

from __future__ import annotations

import zlib
from collections.abc import Callable

crc32: Callable[..., int]
try:
    from isal.isal_zlib import crc32
except ImportError:
    crc32 = zlib.crc32
