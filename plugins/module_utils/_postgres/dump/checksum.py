# SPDX-License-Identifier: GPL-3.0-or-later
"""CRC-32, by the fastest that is here."""

from __future__ import annotations

import zlib
from collections.abc import Callable

try:
    from isal import isal_zlib
except ImportError:
    HAS_ISAL = False
else:
    HAS_ISAL = True

crc32: Callable[..., int] = isal_zlib.crc32 if HAS_ISAL else zlib.crc32
