# SPDX-License-Identifier: GPL-3.0-or-later
"""Where exceptions become results: the only place in which a module of this collection fails."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError


@contextmanager
def guard(module: AnsibleModule) -> Iterator[None]:
    """Turn a :class:`PlatformError` into ``fail_json`` with its details; let everything else be a traceback (a bug)."""
    try:
        yield
    except PlatformError as error:
        module.fail_json(msg=str(error), **t.cast("dict[str, t.Any]", error.details))


def require_library(module: AnsibleModule, name: str, available: bool, traceback: str | None) -> None:
    """Fail with Ansible's usual text when a Python library is missing on the host that runs the module."""
    if not available:
        module.fail_json(msg=missing_required_lib(name), exception=traceback)
