# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of a dump that the server does not have: made, or given the names of others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..connect import Session, quote
from ..dump.reader import codec_of
from ..dump.statements import _TOKEN, Phase, Token, Understood, _after_comment, tokens

_CREATOR_IS_NO_MEMBER = 160000


def missing_roles(session: Session, names: Iterable[str]) -> list[str]:
    """Those of the names that are no role of this server."""
    wanted = sorted(set(names))
    known = {row[0] for row in session.rows("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (wanted,))}
    return [name for name in wanted if name not in known]


def create_roles(session: Session, names: Iterable[str]) -> None:
    """Make roles that cannot log in; a login that is no superuser becomes their member, to give them their objects."""
    superuser = session.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    for name in names:
        session.run(f"CREATE ROLE {quote(name)} NOLOGIN")
        if not superuser:
            # From 16 on, whoever creates a role may grant it, but is not yet one who may act as it.
            options = " WITH INHERIT TRUE, SET TRUE" if session.server_version >= _CREATOR_IS_NO_MEMBER else ""
            session.run(f"GRANT {quote(name)} TO CURRENT_USER{options}")


def mapping_for(missing: Iterable[str], role_map: Mapping[str, str], owner: str) -> dict[str, str]:
    """The new name of each role: the one asked for; for a missing role that nobody asked about, the owner."""
    return {**dict.fromkeys(missing, owner), **role_map}


@dataclass(frozen=True)
class Located:
    """A token and the place of its text."""

    token: Token
    begin: int
    end: int


class Renaming:
    """Gives other names to the roles that a dump's statements name.

    :param mapping: new names by old ones.
    :param owners: the roles that own objects of the dump.
    :param encoding: PostgreSQL's name of the dump's encoding.
    """

    def __init__(self, mapping: Mapping[str, str], owners: Collection[str] = (), encoding: str = "UTF8") -> None:
        self.mapping = dict(mapping)
        self._owners = frozenset(owners)
        self._codec = codec_of(encoding)

    def of(self, role: str) -> str:
        return self.mapping.get(role, role)

    def apply(self, text: bytes, understood: Understood) -> bytes | None:
        """The statement with the new names; None when it has nothing left to say."""
        if understood.phase is not Phase.IN_ORDER:
            return text
        try:
            utf8 = text if text.isascii() else text.decode(self._codec).encode()
        except UnicodeError:
            # No text in its own encoding, so no statement about a role.
            return text
        renamed = self._renamed(utf8)
        if renamed is None or renamed == utf8:
            return None if renamed is None else text
        return renamed.decode("utf-8", "surrogateescape").encode(self._codec, "surrogateescape")

    def _renamed(self, text: bytes) -> bytes | None:
        first = next(tokens(text), None)
        if first is None or not first.says("grant", "revoke", "alter", "create", "set"):
            return text
        words = list(located(text))
        for places in reversed(_role_lists([word.token for word in words])):
            named = [words[at] for at in places]
            if first.says("revoke"):
                # A role that is not here was given nothing here; whoever stands in for it keeps what is its own.
                named = [word for word in named if not self._stands_in(word.token.value)]
            if not named:
                return None
            new = {self.of(word.token.value): self._written(text, word) for word in named}
            text = text[: words[places[0]].begin] + b", ".join(new.values()) + text[words[places[-1]].end :]
        return text

    def _stands_in(self, role: str) -> bool:
        return role in self.mapping and role not in self._owners

    def _written(self, text: bytes, word: Located) -> bytes:
        new = self.mapping.get(word.token.value)
        return text[word.begin : word.end] if new is None else quote(new).encode()


def _role_lists(said: list[Token]) -> list[list[int]]:
    """The places of the role names in a statement, list by list."""
    first, second = said[0], said[1] if len(said) > 1 else said[0]
    if first.says("grant", "revoke") or (first.says("create") and second.says("policy")):
        return [_list_behind(said, at) for at in _outside(said, "to", "from")]
    if first.says("alter") and second.says("default"):
        owners = [_list_behind(said, 4)] if len(said) > 4 and said[3].says("for") else []
        return owners + [_list_behind(said, at) for at in _outside(said, "to", "from")]
    if first.says("create", "alter") and second.says("user") and len(said) > 4 and said[2].says("mapping"):
        return [[at + 1] for at in _outside(said, "for")][:1]
    if first.says("alter") and len(said) > 4 and said[-3].says("owner") and said[-2].says("to"):
        return [[len(said) - 1]]
    if first.says("set") and len(said) == 4 and second.says("session") and said[2].says("authorization"):
        return [[3]]
    return []


def located(text: bytes) -> Iterator[Located]:
    at = 0
    while (match := _TOKEN.match(text, at)) is not None:
        begin, end = match.span()
        if match.lastgroup == "comment":
            at = _after_comment(text, begin)
            continue
        if match.lastgroup == "dollar":
            closing = text.find(match.group(), end)
            end = len(text) if closing < 0 else closing + len(match.group())
        token = next(tokens(text[begin:end]), None)
        if token is not None:
            yield Located(token, begin, end)
        at = end


def _outside(said: list[Token], *wanted: str) -> Iterator[int]:
    """The places of keywords that stand outside of parentheses."""
    depth = 0
    for at, token in enumerate(said):
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.value, 0)
        elif depth == 0 and token.says(*wanted):
            yield at


def _list_behind(said: list[Token], at: int) -> list[int]:
    """The places of the names of a list that follows a keyword."""
    found = []
    while at + 1 < len(said) and said[at + 1].is_name:
        at += 1
        found.append(at)
        if at + 1 == len(said) or said[at + 1].value != ",":
            break
        at += 1
    return found
