# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloudflare's API, as far as one Pages project needs it: one call in, one result or one telling exception out."""

from __future__ import annotations

import json
import secrets
import typing as t
from collections.abc import Mapping
from urllib.parse import quote

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    Request,
    Response,
    Transport,
    TransportError,
    checked_base_url,
    refuse_plain_http,
    send_with_retries,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import clip, redact_text, shown_url

MAX_WORDS = 300
#: Wrong, expired, without the right, or not to be read at all: Cloudflare does not tell them apart reliably.
_TOKEN_CODES = frozenset({6003, 6111, 9106, 9109, 10000, 10001})
_ROUTE_CODES = frozenset({7000, 7003})
_NO_PROJECT = 8000007
_NO_DEPLOYMENT = 8000009


class PagesError(PlatformError):
    """Cloudflare answered, but not with success."""

    def __init__(self, msg: str, hint: str | None, status: int, codes: tuple[int, ...] = ()) -> None:
        super().__init__(msg, hint, status=status, codes=list(codes))
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self.status == 429 or self.status >= 500


class NoDeployment(PagesError):
    """The project has no deployment with this id."""


class PagesClient:
    """Speaks about one project of one account."""

    def __init__(
        self,
        api_url: str,
        account_id: str,
        api_token: str,
        project: str,
        transport: Transport,
        clock: Clock,
        request_timeout: float = 30.0,
        allow_plain_http: bool = False,
    ) -> None:
        self._base = checked_base_url(api_url, "api_url")
        refuse_plain_http(self._base, "api_url", "the API token", allow_plain_http)
        given = {"api_token": api_token, "account_id": account_id, "project": project}
        for option, value in given.items():
            if not value.strip() or not value.strip().isprintable():
                raise PlatformError(f"{option} is empty or cannot be printed.", f"Set {option}.")
        self.project = project.strip()
        self._account = account_id.strip()
        self._token = api_token.strip()
        self._transport = transport
        self._clock = clock
        self._request_timeout = request_timeout

    def get(self, suffix: str = "", **params: str) -> object:
        return self._call("GET", suffix, params)["result"]

    def page(self, suffix: str, **params: str) -> tuple[list[object], Mapping[str, object]]:
        """One page of a list, and Cloudflare's count of all."""
        answer = self._call("GET", suffix, params)
        items, counts = answer["result"], answer.get("result_info")
        return items if isinstance(items, list) else [], counts if isinstance(counts, dict) else {}

    def post(self, suffix: str) -> object:
        return self._call("POST", suffix, {}, b"{}", "application/json")["result"]

    def post_form(self, suffix: str, **fields: str) -> object:
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        body = f"{''.join(parts)}--{boundary}--\r\n".encode()
        return self._call("POST", suffix, {}, body, f"multipart/form-data; boundary={boundary}")["result"]

    def patch(self, body: Mapping[str, object]) -> object:
        return self._call("PATCH", "", {}, json.dumps(body).encode(), "application/json")["result"]

    def _call(
        self,
        method: str,
        suffix: str,
        params: Mapping[str, str],
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> dict[str, t.Any]:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self._token}"}
        if content_type:
            headers["Content-Type"] = content_type
        account, project = quote(self._account, safe=""), quote(self.project, safe="")
        request = Request(
            method=method,
            url=f"{self._base}/accounts/{account}/pages/projects/{project}{suffix}",
            headers=headers,
            params=params,
            body=body,
            timeout=self._request_timeout,
        )
        try:
            response = send_with_retries(self._transport, request, self._clock)
        except TransportError as error:
            if method != "GET" and error.kind in ("timeout", "reset", "too_large"):
                error.hint = "It may have taken effect all the same. Look at the project before you repeat it."
            raise
        return self._read(method, response)

    def _read(self, method: str, response: Response) -> dict[str, t.Any]:
        try:
            envelope = response.json()
        except ValueError:
            envelope = None
        if not isinstance(envelope, dict) or "success" not in envelope:
            raise self._not_cloudflare(response)
        if envelope["success"] is not True or not 200 <= response.status < 300:
            raise self._error(method, response, envelope)
        return {"result": None, **envelope}

    def _not_cloudflare(self, response: Response) -> PagesError:
        if response.status == 429:
            return self._rate_limited(response, "")
        if response.status >= 500:
            msg = f"{shown_url(self._base)} answered with status {response.status} and no explanation."
            return PagesError(msg, "See www.cloudflarestatus.com, and run this again.", response.status)
        return PagesError(
            f"{shown_url(self._base)} answered with status {response.status}, but not as Cloudflare's API does.",
            "Check api_url: it is https://api.cloudflare.com/client/v4, unless you use another on purpose.",
            response.status,
        )

    def _rate_limited(self, response: Response, told: str) -> PagesError:
        asked = response.headers.get("retry-after")
        return PagesError(
            f"Cloudflare's rate limit is used up{told}.",
            f"Wait {f'{asked} s' if asked else 'five minutes'}: all that use this token, or its user, share the limit.",
            429,
        )

    def _error(self, method: str, response: Response, envelope: Mapping[str, t.Any]) -> PagesError:
        errors = [error for error in envelope.get("errors") or [] if isinstance(error, dict)]
        codes = tuple(error["code"] for error in errors if isinstance(error.get("code"), int))
        told = self._told(errors)
        status = response.status
        if status == 429:
            return self._rate_limited(response, told)
        if _NO_PROJECT in codes:
            return PagesError(
                f"The account has no Pages project {self.project!r}{told}.",
                "Check project, as it is named in the dashboard under Workers & Pages, and account_id.",
                status,
                codes,
            )
        if _NO_DEPLOYMENT in codes:
            return NoDeployment(f"{self.project} has no such deployment{told}.", None, status, codes)
        if _ROUTE_CODES & set(codes):
            return PagesError(
                f"Cloudflare knows no account of this id{told}.",
                "Check account_id (CLOUDFLARE_ACCOUNT_ID): 32 hexadecimal digits, in the address of the dashboard.",
                status,
                codes,
            )
        if _TOKEN_CODES & set(codes) or status in (401, 403):
            right = "Read" if method == "GET" else "Edit"
            return PagesError(
                f"Cloudflare does not accept the API token for this{told}.",
                "Check api_token (CLOUDFLARE_API_TOKEN): it must be valid, and have the permission Account > "
                f"Cloudflare Pages > {right} for the account in account_id (CLOUDFLARE_ACCOUNT_ID).",
                status,
                codes,
            )
        if status >= 500:
            return PagesError(
                f"Cloudflare failed (status {status}){told}.",
                "See www.cloudflarestatus.com, and run this again.",
                status,
                codes,
            )
        return PagesError(f"Cloudflare declined (status {status}){told}.", None, status, codes)

    def _told(self, errors: list[dict[str, t.Any]]) -> str:
        """Cloudflare's own words, to be put behind ours."""
        words = "; ".join(f"{str(error.get('message', '')).rstrip('.')} (code {error.get('code')})" for error in errors)
        return f": {clip(redact_text(' '.join(words.split()), (self._token,)), MAX_WORDS)}" if words else ""
