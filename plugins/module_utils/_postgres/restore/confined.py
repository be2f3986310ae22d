# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that is made for one restore, can do nothing outside of its staging database, and is gone afterwards.

A dump may hold code that runs while it is loaded and proved (checks, domains, defaults, generated columns). SET ROLE is
no wall against it: whoever is in a superuser's session can set the role back. A session of this role has nowhere to go
back to, owns nothing but staging, and is a member of nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from ..._errors import PlatformError
from ..connect import Server, ServerError, Session, literal, quote
from ..dump.model import Dump
from ..dump.script import Step
from ..dump.statements import Understood
from . import database as databases
from .roles import Renaming

_DEFAULTS = "alter default privileges"


class Confinement:
    """A staging database, and the role that fills it, which has the same name."""

    def __init__(self, server: Server, session: Session, staging: str) -> None:
        self._server = server
        self._session = session
        self.role = staging
        password = secrets.token_urlsafe(24)
        self.server = replace(server, user=self.role, password=password, maintenance_database=staging)
        session.run(
            f"CREATE ROLE {quote(self.role)} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE"
            f" PASSWORD {literal(session.encrypted(self.role, password))}"
        )

    def require_login(self) -> None:
        """Say at once when the server lets the role not in."""
        try:
            with self.server.connect(purpose="look"):
                pass
        except ServerError as error:
            raise PlatformError(
                f"The server does not let in the role that confined makes for the restore. {error.msg}",
                "Let pg_hba.conf take passwords (scram-sha-256) on this way in, or restore with confined: false, as a"
                " login that is no superuser.",
            ) from None

    def renaming(self, other: Renaming, dump: Dump) -> ConfinedRenaming:
        """Whoever owns or grants something in the dump is this role, until it is handed over."""
        steps = [item.understood for item in dump.script if isinstance(item, Step)]
        grantors = {one.name.name for one in steps if one.kind == "become role" and one.name is not None}
        return ConfinedRenaming(other, self.role, dump, grantors)

    def hand_over(self, owner: str, dump: Dump, other: Renaming) -> None:
        """Give all of it to the owner. None of these statements runs what the dump brought."""
        role = quote(self.role)
        with self._server.connect(self.role, "hand over") as inside:
            inside.run("SET search_path TO pg_catalog")
            inside.run(f"REASSIGN OWNED BY {role} TO {quote(owner)}")
            # Default privileges belong to the role itself and go with it; said again, they are the owner's.
            inside.run(f"DROP OWNED BY {role}")
            for item in dump.script:
                if not isinstance(item, Step) or item.understood.kind != _DEFAULTS:
                    continue
                if (text := other.apply(item.text, item.understood)) is not None:
                    inside.run(text)
        self.remove()

    def remove(self) -> None:
        remove_role(self._session, self.role)


class ConfinedRenaming(Renaming):
    """As another renaming, but owners and grantors become one role. Policies stay those of the roles they are for."""

    def __init__(self, other: Renaming, role: str, dump: Dump, grantors: set[str]) -> None:
        owners = dict.fromkeys(dump.owners | grantors, role)
        super().__init__({**other.mapping, **owners}, dump.owners, dump.encoding)
        self._other = other
        self._role = role

    def apply(self, text: bytes, understood: Understood) -> bytes | None:
        if understood.kind == "policy":
            return self._other.apply(text, understood)
        if understood.kind == _DEFAULTS:
            return None
        return super().apply(text, understood)


def remove_role(session: Session, name: str) -> None:
    """The role of a staging database that is gone or handed over, if there is one of that name."""
    if session.value("SELECT true FROM pg_roles WHERE rolname = %s", (name,)):
        session.run(f"DROP ROLE {quote(name)}")


def leftovers(session: Session, database: str, kind: str) -> list[str]:
    """Roles whose staging database is gone already."""
    prefix = f"{database}__{kind}_"
    rows = session.rows("SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, %s)", (prefix,))
    return [name for (name,) in rows if databases.is_time(name[len(prefix) :])]
