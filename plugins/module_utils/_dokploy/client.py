# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's HTTP API: one call in, one JSON value or one telling exception out."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping

from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    Clock,
    Request,
    Response,
    Transport,
    checked_base_url,
    clip,
    redact_text,
    refuse_plain_http,
    send_with_retries,
    shown_url,
)

OLDEST_SUPPORTED = (0, 25, 0)


class DokployError(PlatformError):
    """Dokploy answered, but not with success."""

    def __init__(self, msg: str, hint: str | None, procedure: str, status: int) -> None:
        super().__init__(msg, hint, procedure=procedure, status=status)
        self.procedure = procedure
        self.status = status


class KeyRejected(DokployError):
    """The gate's 401: no procedure was reached."""


class NotPermitted(DokployError):
    """The key is good, but its user may not do this."""


class NotFound(DokployError):
    """The procedure exists, the object does not (or not for this key)."""


class UnknownProcedure(DokployError):
    """This version of Dokploy does not have the procedure."""


class Rejected(DokployError):
    """Dokploy understood the call and declined it."""


class ServerFailed(DokployError):
    """Dokploy itself, or something before it, failed."""


class NotDokploy(DokployError):
    """Whatever answers there is not Dokploy's API."""


class DokployClient:
    def __init__(
        self,
        url: str,
        api_key: str,
        transport: Transport,
        clock: Clock,
        request_timeout: float = 60.0,
        allow_plain_http: bool = False,
    ) -> None:
        base = checked_base_url(url, "dokploy_url")
        self.url = base.removesuffix("/api")
        refuse_plain_http(self.url, "dokploy_url", "the API key", allow_plain_http)
        if not api_key.strip():
            raise PlatformError("dokploy_api_key is empty.", "Set it, or the environment variable DOKPLOY_API_KEY.")
        self._api_key = api_key.strip()
        self._transport = transport
        self._clock = clock
        self._request_timeout = request_timeout

    def get(self, procedure: str, **params: str) -> object:
        return self._call("GET", procedure, params, None)

    def post(self, procedure: str, **body: object) -> object:
        """A mutation; sent once, because a repeat after a lost answer could act twice."""
        return self._call("POST", procedure, {}, body)

    def version(self) -> str:
        """The version, such as C(v0.30.2); an error when it is too old to be understood."""
        answer = self.get("settings.getDokployVersion")
        if not isinstance(answer, str):
            raise NotDokploy(
                f"{shown_url(self.url)} does not tell a version of Dokploy.",
                "Check dokploy_url.",
                "settings.getDokployVersion",
                200,
            )
        numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer)
        if numbers and tuple(map(int, numbers.groups())) < OLDEST_SUPPORTED:
            raise PlatformError(
                f"Dokploy at {shown_url(self.url)} is {answer}; at least 0.25.0 is needed, which "
                "introduced environments.",
                "Update Dokploy.",
            )
        return answer

    def _call(
        self, method: str, procedure: str, params: Mapping[str, str], body: Mapping[str, object] | None
    ) -> object:
        headers = {"Accept": "application/json", "x-api-key": self._api_key}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(
            method=method,
            url=f"{self.url}/api/{procedure}",
            headers=headers,
            params=params,
            body=None if body is None else json.dumps(body).encode(),
            timeout=self._request_timeout,
        )
        return self.read(procedure, send_with_retries(self._transport, request, self._clock))

    def read(self, procedure: str, response: Response) -> object:
        """The value in an answer of Dokploy, or the exception that it stands for."""
        if 200 <= response.status < 300:
            return self._value(procedure, response)
        raise self._error(procedure, response)

    def _value(self, procedure: str, response: Response) -> object:
        if not response.body:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._not_dokploy(procedure, response) from None

    def _not_dokploy(self, procedure: str, response: Response) -> NotDokploy:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        return NotDokploy(
            f"{shown_url(self.url)} answered {procedure} with status {response.status} and {kind}, "
            "which is not Dokploy's API.",
            "Check that dokploy_url is the address of the dashboard, without /dashboard, and that no "
            "proxy answers for it.",
            procedure,
            response.status,
        )

    def _error(self, procedure: str, response: Response) -> DokployError:
        status = response.status
        if 300 <= status < 400:
            target = shown_url(response.headers.get("location", "elsewhere"))
            return NotDokploy(
                f"{shown_url(self.url)} redirects {procedure} to {target}; the key is not sent there.",
                "Set dokploy_url to the address it redirects to, if that is your Dokploy.",
                procedure,
                status,
            )
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return self._without_json(procedure, response)
        told = self._told(body)
        if status == 401 and "code" not in body:
            return KeyRejected(
                f"Dokploy at {shown_url(self.url)} did not accept the API key (401 before {procedure} was reached).",
                "The key is wrong, expired or revoked, or its rate limit is used up, for which "
                "Dokploy answers 401 as well. "
                "A key made through the API allows ten verifications a day unless it was made with "
                "rateLimitEnabled: false. "
                "Make one in the dashboard under Settings > Profile > API/CLI Keys, without a rate "
                "limit, and give it as "
                "dokploy_api_key or DOKPLOY_API_KEY.",
                procedure,
                status,
            )
        if status in (401, 403):
            return NotPermitted(
                f"The API key is good, but its user may not call {procedure}: {told}",
                "Use the key of an owner or admin of the organisation that the application is in, or "
                "grant the permission.",
                procedure,
                status,
            )
        if status == 404:
            data = body.get("data")
            if body.get("message") == "Not found" and not (isinstance(data, dict) and data.get("path")):
                return UnknownProcedure(
                    f"Dokploy at {shown_url(self.url)} has no {procedure}.",
                    "Its version is too old, or new enough to have renamed it.",
                    procedure,
                    status,
                )
            return NotFound(
                f"{procedure}: {told}", "Check the id and that the key is of its organisation.", procedure, status
            )
        if status >= 500:
            return ServerFailed(f"Dokploy failed in {procedure} (status {status}): {told}", None, procedure, status)
        return Rejected(f"Dokploy rejected {procedure} (status {status}): {told}", None, procedure, status)

    def _without_json(self, procedure: str, response: Response) -> DokployError:
        status = response.status
        if status >= 500:
            return ServerFailed(
                f"{shown_url(self.url)} answered {procedure} with status {status} and no explanation.",
                "Is Dokploy running behind it? Look at its container's log.",
                procedure,
                status,
            )
        if status in (401, 404) or "html" in response.headers.get("content-type", ""):
            return self._not_dokploy(procedure, response)
        return Rejected(
            f"Dokploy rejected {procedure} (status {status}): {self._safe(response.text)}", None, procedure, status
        )

    def _told(self, body: Mapping[str, t.Any]) -> str:
        """Dokploy's own words, without the command lines and secrets that it puts in them."""
        message = str(body.get("message") or "no reason given").strip()
        if "Command failed:" in message:
            separator, outcome = message.partition("\n")[1:]
            message = f"a command on its server failed: {outcome if separator else 'no output'}"
        fields = [str(issue["path"][0]) for issue in body.get("issues") or [] if issue.get("path")]
        return self._safe(message) + (f" ({', '.join(fields)})" if fields else "")

    def _safe(self, text: str) -> str:
        return clip(redact_text(" ".join(text.split()), (self._api_key,)), 300)
