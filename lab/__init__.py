# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole platform on one machine, for the demo and the tests."""

from __future__ import annotations

import sys
from pathlib import Path

# The collection under its full name, as Ansible finds it through the committed link.
_COLLECTIONS = str(Path(__file__).resolve().parent.parent / "collections")
if _COLLECTIONS not in sys.path:
    sys.path.append(_COLLECTIONS)
