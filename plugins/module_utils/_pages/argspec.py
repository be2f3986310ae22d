# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the Pages modules share; documented in doc_fragments/pages.py and web.py."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HTTP_ARGUMENTS, RequestsTransport
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.client import PagesClient

PAGES_ARGUMENTS: dict[str, dict[str, object]] = {
    **HTTP_ARGUMENTS,
    "request_timeout": {"type": "float", "default": 30.0},
    "api_url": {"type": "str", "default": "https://api.cloudflare.com/client/v4"},
    "account_id": {"type": "str", "required": True, "fallback": (env_fallback, ["CLOUDFLARE_ACCOUNT_ID"])},
    "api_token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"]),
    },
    "project": {"type": "str", "required": True},
}


def client_from(params: dict[str, t.Any], clock: Clock) -> PagesClient:
    return PagesClient(
        api_url=params["api_url"],
        account_id=params["account_id"],
        api_token=params["api_token"],
        project=params["project"],
        transport=RequestsTransport(params["validate_certs"], params["ca_path"]),
        clock=clock,
        request_timeout=params["request_timeout"],
        allow_plain_http=params["allow_plain_http"],
    )
