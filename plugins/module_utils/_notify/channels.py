# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels over apprise. Their addresses are secrets: nothing that leaves here holds any part of one."""

from __future__ import annotations

import logging
import re
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from .._errors import PlatformError
from .._redact import clip, redact_text
from .message import Limits, Message

try:
    import apprise
except ImportError:
    HAS_APPRISE = False
else:
    HAS_APPRISE = True

_SCHEME = re.compile(r"([a-z][a-z0-9+]{0,19})://", re.IGNORECASE)
_SHORTEST_SECRET = 4
_THREAD_DOMAIN = "thread.vedfinance.invalid"


class Channel(t.Protocol):
    """One way to reach people."""

    limits: Limits

    def send(self, message: Message) -> str | None:
        """Send; the reason when it was not taken."""


@dataclass(frozen=True)
class Sending:
    """How long and how often a channel is tried.

    :param timeout: seconds for all attempts together.
    :param retries: further attempts.
    :param retry_wait: seconds between attempts, and at most between messages.
    """

    timeout: float = 30.0
    retries: int = 2
    retry_wait: float = 2.0


def shown_address(url: str) -> str:
    """What may be shown of an address."""
    match = _SCHEME.match(url)
    return f"{match.group(1).lower()}://***" if match else "***"


def parts_of(url: str) -> Iterator[str]:
    """Every part of an address that could give something away, longest first."""
    try:
        split = urlsplit(url)
        texts = [split.netloc, split.username, split.password, split.hostname, *split.path.split("/")]
        texts += [value for _name, value in parse_qsl(split.query)]
    except ValueError:
        texts = re.split(r"[/@:?&=]+", url)
    found = {url}
    for text in texts:
        found |= {text or "", unquote(text or "")}
    return iter(sorted((part for part in found if len(part) >= _SHORTEST_SECRET), key=len, reverse=True))


class AppriseChannel:
    """A service that apprise knows."""

    def __init__(self, name: str, url: str, sending: Sending) -> None:
        if not HAS_APPRISE:
            raise PlatformError(
                "The Python library apprise is not installed where the messages are sent from.",
                "Install it for the Python that runs this module: pip install 'apprise>=2.2'.",
            )
        # Without a handler, Python would print warnings itself, and those may hold anything.
        logging.getLogger("apprise").addHandler(logging.NullHandler())
        self._secrets = list(parts_of(url))
        self._asset = apprise.AppriseAsset(
            async_mode=False,
            app_id="vedfinance.platform",
            service_timeout=sending.timeout,
            default_service_retry=sending.retries,
            default_service_wait=sending.retry_wait,
        )
        # Which attributes it has depends on the service.
        self._plugin = t.cast("t.Any", apprise.Apprise.instantiate(url, asset=self._asset, suppress_exceptions=True))
        if self._plugin is None:
            raise PlatformError(
                f"apprise makes nothing of the address of channel {name} ({shown_address(url)}).",
                "Compare it with the service's page in apprise's documentation.",
            )
        # Of its own, apprise lets most services rest 5.5 seconds after each message.
        self._plugin.request_rate_per_sec = min(self._plugin.request_rate_per_sec, sending.retry_wait)
        # A thread that apprise has given up keeps the module from ending until its socket gives up too.
        for wait in ("socket_connect_timeout", "socket_read_timeout"):
            setattr(self._plugin, wait, min(getattr(self._plugin, wait) or sending.timeout, sending.timeout))
        self._schemas = self._plugin.schemas()
        self.limits = Limits(self._plugin.title_maxlen, self._plugin.body_maxlen, bool(self._thread_option))

    @property
    def _thread_option(self) -> str:
        """By what apprise lets a message join a thread that is not known before; others need the first one's answer."""
        return "headers" if "mailto" in self._schemas else "thread_key" if "gchat" in self._schemas else ""

    def send(self, message: Message) -> str | None:
        thread = re.sub(r"[^A-Za-z0-9.-]+", "-", message.thread)
        if self._thread_option == "headers":
            # apprise makes the Message-ID itself, so all messages answer to a first one that never was.
            first = f"<{thread}@{_THREAD_DOMAIN}>"
            self._plugin.headers.update({"References": first, "In-Reply-To": first})
        elif self._thread_option == "thread_key":
            self._plugin.thread_key = thread
        service = apprise.Apprise(self._plugin, asset=self._asset)
        # An empty body is refused by apprise.
        result = service.notify(
            body=message.body or message.title,
            title=message.title,
            notify_type=message.severity,
            body_format=apprise.NotifyFormat.TEXT,
        )
        return None if result else self._reason(result)

    def _reason(self, result: t.Any) -> str:
        said = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR", "CRITICAL")]
        text = "; ".join(dict.fromkeys(said)) or f"apprise says {result.status.name}"
        return clip(redact_text(" ".join(text.split()), self._secrets), 300)


def open_channel(name: str, url: str, sending: Sending) -> Channel:
    return AppriseChannel(name, url, sending)
