# SPDX-License-Identifier: GPL-3.0-or-later
"""What cloudflare_pages_deployment_info returns: ``gather(client, params)``."""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Mapping

from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.deployments import PER_PAGE, deployments
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.project import read_project

INFO_ARGUMENTS: dict[str, dict[str, object]] = {
    "environment": {"type": "str", "choices": ["production", "preview"]},
    "limit": {"type": "int", "default": 25},
}


def gather(client: PagesClient, params: Mapping[str, t.Any]) -> dict[str, object]:
    limit = params["limit"]
    if limit < 0:
        raise PlatformError("limit must not be negative.", "0 reads the project only.")
    found = deployments(client, params["environment"], -(-limit // PER_PAGE))
    return {
        "project": read_project(client).to_result(),
        "deployments": [deployment.to_result() for deployment in itertools.islice(found, limit)],
    }
