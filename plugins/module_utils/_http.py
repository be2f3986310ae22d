# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP with an exchangeable transport: bounded in time, size and retries, and silent about secrets."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import time
import traceback
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import shown_url

REQUESTS_IMPORT_ERROR: str | None = None
try:
    import requests
except ImportError:
    HAS_REQUESTS = False
    REQUESTS_IMPORT_ERROR = traceback.format_exc()
else:
    HAS_REQUESTS = True

HTTP_ARGUMENTS: dict[str, dict[str, object]] = {
    "request_timeout": {"type": "float", "default": 10.0},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "allow_plain_http": {"type": "bool", "default": False},
}

MAX_BODY_BYTES = 8 * 1024 * 1024
READ_SIZE = 64 * 1024
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
MAX_RETRY_AFTER = 10.0
_NEVER_RETRIED = frozenset({"tls", "dns", "too_large"})


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 10.0


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> object:
        """The decoded body; a ValueError when it is not JSON."""
        return json.loads(self.body)


class TransportError(PlatformError):
    """No complete answer came. C(kind) is refused, unreachable, dns, tls, timeout, reset or too_large."""

    def __init__(self, kind: str, msg: str, hint: str | None = None) -> None:
        super().__init__(msg, hint)
        self.kind = kind


class Transport(t.Protocol):
    def send(self, request: Request) -> Response: ...


# --- addresses --------------------------------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(url: str, option: str) -> str:
    """The URL without a trailing slash, or the reason why it cannot be used."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PlatformError(
            f"{option} must be an address such as http://127.0.0.1:3000 or https://example.com.",
            "Begin it with http:// or https:// and name a host.",
        )
    if parts.username is not None or parts.password is not None:
        raise PlatformError(f"{option} carries a user name or password.", "Take them out of the address.")
    if parts.query or parts.fragment:
        raise PlatformError(f"{option} carries a query or fragment.", "Give only scheme, host, port and path.")
    return url.strip().rstrip("/")


def refuse_plain_http(url: str, option: str, secret: str, allowed: bool) -> None:
    """A secret never crosses a network in clear, unless someone said so."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or "") and not allowed:
        raise PlatformError(
            f"{option} is plain HTTP to {parts.hostname}, so {secret} would cross the network in "
            "clear, for anyone to read.",
            "Run the task on that host with http://127.0.0.1 as address, go through an SSH tunnel, or use https. "
            "If you accept the risk, set allow_plain_http to true.",
        )


# --- sending ----------------------------------------------------------------------------------------------------------


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything inside it: requests wraps urllib3, which wraps the socket's own error as an argument."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        item = pending.pop()
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        pending += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]


def transport_error(error: Exception, url: str) -> TransportError:
    """What kept an answer from coming, in words of our own: the library's words hold the whole URL."""
    where = shown_url(url)
    causes = list(_causes(error))

    def found(*types: type[BaseException]) -> BaseException | None:
        return next((cause for cause in causes if isinstance(cause, types)), None)

    verification = found(ssl.SSLCertVerificationError)
    if isinstance(verification, ssl.SSLCertVerificationError):
        return TransportError(
            "tls",
            f"The certificate of {where} is not trusted: {verification.verify_message or 'verification failed'}.",
            "Use the name in the certificate, or name its authority in ca_path.",
        )
    if found(ssl.SSLError):
        return TransportError("tls", f"No TLS connection to {where} could be made.", "Does that port speak HTTPS?")
    if found(ConnectionRefusedError):
        return TransportError("refused", f"Connection refused by {where}.", "Nothing listens there.")
    names = {type(cause).__name__ for cause in causes}
    if names & {"gaierror", "NameResolutionError"}:
        return TransportError("dns", f"The host of {where} has no address.", "Check its spelling and the resolver.")
    if found(TimeoutError) or names & {"ConnectTimeout", "ReadTimeout", "ConnectTimeoutError", "ReadTimeoutError"}:
        return TransportError("timeout", f"No answer from {where} in time.")
    if found(ConnectionError) or names & {"ProtocolError", "ChunkedEncodingError", "IncompleteRead", "BadStatusLine"}:
        return TransportError("reset", f"The connection to {where} was closed before the answer was complete.")
    system = found(OSError)
    reason = getattr(system, "strerror", None) or type(error).__name__
    return TransportError("unreachable", f"{where} cannot be reached: {reason}.")


class RequestsTransport:
    """Sends over C(requests): no proxies, no C(.netrc), no redirects."""

    def __init__(
        self, validate_certs: bool = True, ca_path: str | None = None, max_bytes: int = MAX_BODY_BYTES
    ) -> None:
        if ca_path and not os.path.exists(ca_path):
            raise PlatformError(
                f"ca_path {ca_path} does not exist.", "Name a PEM file on the host that runs the module."
            )
        self._session = requests.Session()
        self._session.trust_env = False
        self._verify: bool | str = (ca_path or True) if validate_certs else False
        self._max_bytes = max_bytes

    def send(self, request: Request) -> Response:
        started = time.monotonic()
        try:
            with contextlib.closing(
                self._session.request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    params=dict(request.params),
                    data=request.body,
                    timeout=request.timeout,
                    verify=self._verify,
                    allow_redirects=False,
                    stream=True,
                )
            ) as answer:
                body = self._read(answer, request.url, started + request.timeout)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status_code, headers, body, time.monotonic() - started)
        except (requests.RequestException, OSError) as error:
            if isinstance(error, ValueError):
                raise PlatformError(
                    f"The request to {shown_url(request.url)} cannot be sent: {type(error).__name__}.",
                    "Check the address, and the headers for line breaks.",
                ) from None
            raise transport_error(error, request.url) from None

    def _read(self, answer: requests.Response, url: str, deadline: float) -> bytes:
        # read1 gives what has arrived, so that a server that drips bytes cannot hold us longer than the deadline.
        read: Callable[..., bytes] = getattr(answer.raw, "read1", answer.raw.read)
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := read(READ_SIZE, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > self._max_bytes:
                    raise TransportError(
                        "too_large", f"{shown_url(url)} answered with more than {self._max_bytes} bytes."
                    )
                if time.monotonic() > deadline:
                    raise TransportError("timeout", f"The answer of {shown_url(url)} did not end in time.")
        except PlatformError:
            raise
        except Exception as error:
            # urllib3's own errors, whose classes cannot be imported without depending on it.
            if type(error).__module__.partition(".")[0] not in ("urllib3", "requests") and not isinstance(
                error, OSError
            ):
                raise
            raise transport_error(error, url) from None
        return b"".join(chunks)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """The wait that a Retry-After header asks for (seconds or a date), never negative; None when there is none."""
    if not value:
        return None
    try:
        return max(0.0, float(int(value.strip())))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - now).total_seconds())


def send_with_retries(transport: Transport, request: Request, clock: Clock, attempts: int = 4) -> Response:
    """Send, and repeat what met a passing failure; all repeats together stay within the request's timeout.

    Only a GET is repeated after an answer, or the loss of one. Anything else is repeated when nothing was sent of it.
    """
    deadline = clock.monotonic() + request.timeout
    reads = request.method == "GET"
    for attempt in range(1, attempts + 1):
        pause = 0.25 * 2**attempt
        remaining = deadline - clock.monotonic()
        try:
            response = transport.send(replace(request, timeout=remaining))
        except TransportError as error:
            passing = error.kind not in _NEVER_RETRIED if reads else error.kind == "refused"
            if not passing or attempt == attempts or clock.monotonic() + pause >= deadline:
                raise
        else:
            if not reads or response.status not in RETRIED_STATUSES or attempt == attempts:
                return response
            asked = retry_after_seconds(response.headers.get("retry-after"), clock.now())
            pause = min(MAX_RETRY_AFTER, asked) if asked is not None else pause
            if clock.monotonic() + pause >= deadline:
                return response
        clock.sleep(pause)
    raise AssertionError("the last attempt returns or raises")
