# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the Dokploy modules share; documented in doc_fragments/dokploy.py and web.py."""

from __future__ import annotations

import itertools
import typing as t

from ansible.module_utils.basic import env_fallback
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import DATABASE_TYPES, ServiceQuery
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HTTP_ARGUMENTS, RequestsTransport

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
}
APPLICATION_ARGUMENTS: dict[str, dict[str, object]] = {
    "application": {"type": "str"},
    "application_id": {"type": "str"},
}
COMPOSE_ARGUMENTS: dict[str, dict[str, object]] = {
    "compose": {"type": "str"},
    "compose_id": {"type": "str"},
}
DATABASE_ARGUMENTS: dict[str, dict[str, object]] = {
    "database": {"type": "str"},
    "database_id": {"type": "str"},
    "database_type": {"type": "str", "choices": list(DATABASE_TYPES), "default": "postgres"},
}
ONE_KIND_OF_SERVICE = list(
    itertools.product(("application", "application_id"), ("compose", "compose_id"), ("database", "database_id"))
)
"""For mutually_exclusive: the name and the id of one service may be given together, those of two kinds may not."""


def client_from(params: dict[str, t.Any], clock: Clock) -> DokployClient:
    return DokployClient(
        url=params["dokploy_url"],
        api_key=params["dokploy_api_key"],
        transport=RequestsTransport(params["validate_certs"], params["ca_path"]),
        clock=clock,
        request_timeout=params["request_timeout"],
        allow_plain_http=params["allow_plain_http"],
    )


def query_from(params: dict[str, t.Any]) -> ServiceQuery:
    """From the parameters of a module, which may lack the options of the kinds that it does not handle."""
    return ServiceQuery(
        project=params["project"],
        environment=params["environment"],
        application=params.get("application"),
        application_id=params.get("application_id"),
        compose=params.get("compose"),
        compose_id=params.get("compose_id"),
        database=params.get("database"),
        database_id=params.get("database_id"),
        database_type=params.get("database_type") or "postgres",
    )
