# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's HTTP API: one call in, one JSON value or one telling exception out."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable, Mapping
from urllib.parse import urljoin, urlsplit

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
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import MASK, clip, redact_text, shown_url

OLDEST_SUPPORTED = (0, 25, 0)
MAX_WORDS = 300
_ENVIRONMENT = re.compile(r"(?<![\w$-])([A-Z][A-Z0-9_]{2,})=(\"[^\"]*\"|'[^']*'|[^\s\"']+)")
_COMMAND = re.compile(
    r"\brclone\b|\bdocker (?:exec|run|login|service|stack|compose)\b|--s3-|\$\(|\|\|| \| |^\s*(?:set|echo) "
)


def safe_words(text: str, limit: int = MAX_WORDS, secrets: Iterable[str] = ()) -> str:
    """Words of Dokploy's on one line, without credentials and values of environment variables."""
    words = redact_text(" ".join(text.split()), secrets)
    return clip(_ENVIRONMENT.sub(rf"\1={MASK}", words), limit)


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
        self._key_worked = False

    def get(self, procedure: str, **params: str) -> object:
        return self._call("GET", procedure, params, None)

    def post(self, procedure: str, **body: object) -> object:
        """A mutation; sent again only when the connection was refused, since a lost answer may stand for a success."""
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
        try:
            response = send_with_retries(self._transport, request, self._clock)
        except TransportError as error:
            if method == "POST" and error.kind in ("timeout", "reset", "too_large"):
                error.hint = f"{procedure} may have taken effect all the same. Look before you repeat it."
            raise
        return self.read(procedure, response)

    def read(self, procedure: str, response: Response) -> object:
        """The value in an answer of Dokploy, or the exception that it stands for."""
        if 200 <= response.status < 300:
            value = self._value(procedure, response)
            self._key_worked = True
            return value
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
            return self._redirected(procedure, response)
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return self._without_json(procedure, response)
        told = self._told(body)
        if status == 401 and "code" not in body:
            return self._key_rejected(procedure)
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

    def _redirected(self, procedure: str, response: Response) -> NotDokploy:
        """Never followed: the key would go along."""
        location = response.headers.get("location", "")
        here, there = urlsplit(self.url), urlsplit(urljoin(f"{self.url}/api/{procedure}", location))
        hint = "Set dokploy_url to the address it redirects to, if that is your Dokploy."
        if there.hostname == here.hostname and there.scheme == "https" and here.scheme == "http":
            hint = f"Dokploy wants https here: set dokploy_url to https://{there.netloc.rpartition('@')[2]}."
        elif (there.scheme, there.netloc) == (here.scheme, here.netloc):
            hint = "It only wants another path: check that dokploy_url ends with the host and port, or with /api."
        target = safe_words(shown_url(location)) if location else "elsewhere"
        return NotDokploy(
            f"{shown_url(self.url)} redirects {procedure} to {target}; the key is not sent there.",
            hint,
            procedure,
            response.status,
        )

    def _key_rejected(self, procedure: str) -> KeyRejected:
        """The gate says the same of a key that is wrong and of one whose rate limit is used up."""
        remedy = (
            "Make a key without a rate limit in the dashboard, under Settings > Profile > API/CLI Keys, or through "
            "user.createApiKey with rateLimitEnabled: false, and give it as dokploy_api_key or DOKPLOY_API_KEY."
        )
        counting = (
            "Dokploy verifies a key twice per request, so one made through its API with the default of ten "
            "verifications a day lasts for five requests."
        )
        if self._key_worked:
            return KeyRejected(
                f"The rate limit of the API key is used up: Dokploy at {shown_url(self.url)} took it a moment ago, and "
                f"refuses it now (401 before {procedure} was reached).",
                f"{counting} {remedy}",
                procedure,
                401,
            )
        return KeyRejected(
            f"Dokploy at {shown_url(self.url)} did not accept the API key (401 before {procedure} was reached).",
            "The key is wrong, expired or revoked, or its rate limit is used up, for which Dokploy answers 401 as "
            f"well. {counting} {remedy}",
            procedure,
            401,
        )

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
            # The command may have several lines, and is not set apart from what it wrote.
            lines = [line for line in message.partition("\n")[2].splitlines() if line.strip()]
            outcome = " ".join([line for line in lines if not _COMMAND.search(line)][-4:])
            message = f"a command on its server failed: {outcome or 'no output'}"
        issues = [issue for issue in body.get("issues") or [] if isinstance(issue, dict)]
        fields = [str(issue["path"][0]) for issue in issues if issue.get("path")]
        return self._safe(message) + (f" ({', '.join(fields)})" if fields else "")

    def _safe(self, text: str) -> str:
        return safe_words(text, secrets=(self._api_key,))
