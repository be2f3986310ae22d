# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own calls to its servers: loopback only, never through a proxy."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


class Unreachable(Exception):
    """Nothing answered."""


def call(
    url: str,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> tuple[int, Any]:
    """GET, or POST when there is a body; gives the status and the parsed JSON (None for an empty or other body)."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        if body is None:
            connection.request("GET", target, headers=dict(headers or {}))
        else:
            connection.request(
                "POST", target, json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
            )
        response = connection.getresponse()
        return response.status, _parsed(response.read())
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{url} does not answer: {error}") from error
    finally:
        connection.close()


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
