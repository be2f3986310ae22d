# SPDX-License-Identifier: GPL-3.0-or-later
"""Where exceptions become results: the only place in which a module of this collection fails."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._loopback import is_loopback
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import printable


@contextmanager
def guard(module: AnsibleModule) -> Iterator[None]:
    """Turn a :class:`PlatformError` into ``fail_json`` with its details; let everything else be a traceback (a bug)."""
    for risk in risks_of(module.params):
        module.warn(risk)
    try:
        yield
    except PlatformError as error:
        module.fail_json(msg=printable(str(error)), **t.cast("dict[str, t.Any]", error.details))


def risks_of(params: Mapping[str, t.Any]) -> list[str]:
    """What the options of a module switch off that protects from whoever sits in between."""
    risks = []
    if params.get("validate_certs") is False:
        risks.append(
            "validate_certs is false: whoever sits between this host and the server can answer in its place and read"
            " what is sent. Name the authority of its certificate in ca_path instead."
        )
    if params.get("allow_plain_http"):
        risks.append("allow_plain_http is true: secrets may cross the network in clear, for anyone to read.")
    host, mode = params.get("login_host"), params.get("sslmode")
    if host and not host.startswith(("/", "@")) and not is_loopback(host) and mode and not mode.startswith("verify-"):
        risks.append(
            f"sslmode is {mode}: whoever sits between this host and the PostgreSQL server can answer in its place. Use"
            " verify-full, with sslrootcert."
        )
    return risks


def require_library(module: AnsibleModule, name: str, available: bool, traceback: str | None) -> None:
    """Fail with Ansible's usual text when a Python library is missing on the host that runs the module."""
    if not available:
        module.fail_json(msg=missing_required_lib(name), exception=traceback)
