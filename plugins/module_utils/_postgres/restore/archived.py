# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive knows of the database itself, which its plain script leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..connect import quote
from ..dump.model import Dump
from ..dump.reader import Reader, Statement, in_utf8
from ..dump.source import Source, Tools
from ..dump.statements import Token, tokens
from .database import NAME_LISTS, Grant, Properties
from .mark import without_mark

_PRIVILEGES = ("CREATE", "TEMPORARY", "CONNECT")
# Of the clauses of CREATE DATABASE, those that are passed on as they are.
_LOCALE_CLAUSES = {"lc_collate", "lc_ctype", "icu_locale", "icu_rules", "builtin_locale"}


def properties_in(dump: Dump, tools: Tools) -> Properties | None:
    """The database that an archive was made of; None for a plain dump. An owner that was left out of it is empty."""
    if dump.format.kind == "plain":
        return None
    reader = Reader(Source(dump.path, tools, ("--create", "--schema-only"), hashing=False).plain())
    return properties_of(in_utf8(event.text, reader.encoding) for event in reader if isinstance(event, Statement))


def properties_of(statements: Iterator[bytes]) -> Properties:
    """The same, from the script that ``pg_restore --create`` writes."""
    found = _Found(Properties("", "UTF8", taken_from="the dump"))
    for text in statements:
        words = list(tokens(text))
        if _starts(words, "create", "database"):
            found.created(words[2:])
        elif _starts(words, "alter", "database"):
            found.altered(words[3:])
        elif _starts(words, "comment", "on", "database"):
            found.properties.comment = without_mark(words[-1].value)
        elif _starts(words, "alter", "role") and _starts(words[3:], "in", "database"):
            found.set(words[2].value, words[6:])
        elif _starts(words, "grant") or _starts(words, "revoke"):
            found.granted(words)
    return found.result()


def _starts(words: list[Token], *expected: str) -> bool:
    return len(words) >= len(expected) and all(word.says(said) for word, said in zip(words, expected))


@dataclass
class _Found:
    """What was read so far."""

    properties: Properties
    grants: dict[tuple[str | None, str], bool] | None = None
    settings: list[tuple[str | None, str, str]] = field(default_factory=list)

    def created(self, words: list[Token]) -> None:
        """``name WITH clause = value …``"""
        properties = self.properties
        for word, equals, value in zip(words, words[1:], words[2:]):
            if equals.value != "=":
                continue
            if word.says("encoding"):
                properties.encoding = value.value
            elif word.says("locale"):
                properties.locale |= {"LC_COLLATE": value.value, "LC_CTYPE": value.value}
            elif word.says("locale_provider"):
                properties.locale["LOCALE_PROVIDER"] = value.value
            elif word.says(*_LOCALE_CLAUSES):
                properties.locale[word.value.upper()] = value.value
            elif word.says("tablespace"):
                properties.tablespace = value.value

    def altered(self, words: list[Token]) -> None:
        if _starts(words, "owner", "to"):
            self.properties.owner = words[2].value
        elif _starts(words, "connection", "limit"):
            self.properties.connection_limit = int("".join(word.value for word in words[2:] if word.value != "="))
        else:
            self.set(None, words)

    def set(self, role: str | None, words: list[Token]) -> None:
        """``SET name TO value, …``"""
        if not _starts(words, "set"):
            return
        to = next(at for at, word in enumerate(words) if word.says("to") or word.value == "=")
        name = "".join(word.value for word in words[1:to])
        values = [word.value for word in words[to + 1 :] if word.value != ","]
        value = ", ".join(map(quote, values)) if name.lower() in NAME_LISTS else "".join(values)
        self.settings.append((role, name, value))

    def granted(self, words: list[Token]) -> None:
        """``GRANT privilege, … ON DATABASE name TO role [WITH GRANT OPTION]``, or its ``REVOKE … FROM``"""
        on = next((at for at in range(len(words)) if _starts(words[at:], "on", "database")), None)
        if on is None:
            return
        if self.grants is None:
            self.grants = self._defaults()
        only_option = _starts(words[1:], "grant", "option", "for")
        named = [word.value.upper() for word in words[4 if only_option else 1 : on] if word.kind == "word"]
        to = words[on + 4]
        grantee = None if to.says("public") else to.value
        for privilege in _PRIVILEGES if "ALL" in named else named:
            if words[0].says("grant"):
                self.grants[grantee, privilege] = _starts(words[on + 5 :], "with", "grant", "option")
            elif only_option:
                self.grants[grantee, privilege] = False
            else:
                self.grants.pop((grantee, privilege), None)

    def _defaults(self) -> dict[tuple[str | None, str], bool]:
        """What PostgreSQL grants on a new database; pg_dump writes only how the grants differ from it."""
        default: dict[tuple[str | None, str], bool] = {
            (self.properties.owner, privilege): False for privilege in _PRIVILEGES
        }
        return {**default, (None, "TEMPORARY"): False, (None, "CONNECT"): False}

    def result(self) -> Properties:
        if self.grants is not None:
            self.properties.grants = frozenset(
                Grant(grantee, privilege, option) for (grantee, privilege), option in self.grants.items()
            )
        self.properties.settings = tuple(self.settings)
        return self.properties
