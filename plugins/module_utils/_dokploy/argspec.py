# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all Dokploy modules share; documented in doc_fragments/dokploy.py and web.py."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import ApplicationQuery
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HTTP_ARGUMENTS,
    Clock,
    RequestsTransport,
)

DOKPLOY_ARGUMENTS: dict[str, dict[str, object]] = {
    **HTTP_ARGUMENTS,
    "dokploy_url": {"type": "str", "required": True, "fallback": (env_fallback, ["DOKPLOY_URL"])},
    "dokploy_api_key": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["DOKPLOY_API_KEY"]),
    },
    "request_timeout": {"type": "float", "default": 60.0},
    "project": {"type": "str"},
    "environment": {"type": "str"},
    "application": {"type": "str"},
    "application_id": {"type": "str"},
}


def client_from(params: dict[str, t.Any], clock: Clock) -> DokployClient:
    return DokployClient(
        url=params["dokploy_url"],
        api_key=params["dokploy_api_key"],
        transport=RequestsTransport(params["validate_certs"], params["ca_path"]),
        clock=clock,
        request_timeout=params["request_timeout"],
        allow_plain_http=params["allow_plain_http"],
    )


def query_from(params: dict[str, t.Any]) -> ApplicationQuery:
    return ApplicationQuery(
        project=params["project"],
        environment=params["environment"],
        application=params["application"],
        application_id=params["application_id"],
    )
