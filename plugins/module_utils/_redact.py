# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts without secrets, and without end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

MASK = "***"
# A shorter value hides nothing, and would be masked everywhere.
_SHORTEST_SECRET = 6

_SECRET_WORD = (
    r"(?:secret|passw|pwd|token|api[-_]?key|access[-_]?key|private[-_]?key|encryption[-_]?key|authorization|cookie"
    r"|credential|dsn|database[-_]?url|connection[-_]?string|jwt)"
)
_SECRET_KEY = re.compile(_SECRET_WORD, re.IGNORECASE)
# The look-behinds keep the search linear: a long word is entered at its beginning only.
_SECRET_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (re.compile(r"(?<![a-z0-9+.-])([a-z0-9+.-]+://)[^\s/@\"']+@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"), MASK),
    # The token of a deploy webhook.
    (re.compile(r"(/api/deploy/(?:[a-z]+/)?)[\w-]+"), rf"\1{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bsk_(?:live|test)_[A-Za-z0-9]{8,}"), MASK),
    (
        re.compile(
            rf"(?<![\w-])(--?[\w-]*{_SECRET_WORD}[\w-]*\s+)(?![-|&;])(\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            rf"(?<![\w-])([\w-]*{_SECRET_WORD}[\w-]*[\"']?\s*(?:=|:)\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without what looks like a secret, and without the given ones."""
    # The longest first, as one may be the beginning of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: object, secrets: Iterable[str] = ()) -> object:
    """The same JSON value with the values of secret-looking keys, and secret-looking texts, masked."""
    known = tuple(secrets)
    if isinstance(value, dict):
        return {
            key: MASK
            if _SECRET_KEY.search(str(key)) and item is not None and not isinstance(item, bool)
            else redact(item, known)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact(item, known) for item in value]
    return redact_text(value, known) if isinstance(value, str) else value


def secret_values(named: Mapping[str, object]) -> set[str]:
    """The texts whose names, or whose own shape, say that nobody shall read them."""
    return {
        value
        for name, value in named.items()
        if isinstance(value, str) and len(value) >= _SHORTEST_SECRET and redact({name: value}) != {name: value}
    }


def clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def shown_url(url: str) -> str:
    """An address that can be printed: without credentials, query and fragment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return (
        f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}" if parts.scheme else parts.path
    )
