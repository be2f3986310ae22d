# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that logs in: on a new server there is none of those that the application and its dumps know."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from .connect import ServerError, Session, quote

_SCRAM = "SCRAM-SHA-256"
_CREATOR_IS_NO_MEMBER = 160000


@dataclass(frozen=True)
class Wanted:
    """:param password: None leaves it as it is.

    :param member_of: roles whose rights it has; what it has besides is left alone.
    """

    name: str
    password: str | None = field(default=None, repr=False)
    createdb: bool = False
    member_of: Sequence[str] = ()


@dataclass
class Outcome:
    changed: bool = False
    created: bool = False
    password_set: bool = False
    granted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def keep(session: Session, wanted: Wanted, *, check: bool) -> Outcome:
    """Make the role, or bring it to what is wanted of it."""
    known = session.rows("SELECT rolcanlogin, rolcreatedb FROM pg_roles WHERE rolname = %s", (wanted.name,))
    outcome = Outcome(created=not known)
    statements: list[str] = []
    name = quote(wanted.name)
    if not known:
        statements.append(f"CREATE ROLE {name} LOGIN{' CREATEDB' if wanted.createdb else ''}")
    else:
        ((may_log_in, may_create),) = known
        lacking = [
            word
            for word, there in (("LOGIN", may_log_in), ("CREATEDB", may_create or not wanted.createdb))
            if not there
        ]
        if lacking:
            statements.append(f"ALTER ROLE {name} {' '.join(lacking)}")
    if wanted.password is not None and not (known and _has_password(session, wanted, outcome)):
        outcome.password_set = True
        statements.append(f"ALTER ROLE {name} PASSWORD '{session.encrypted(wanted.name, wanted.password)}'")
    outcome.granted = [role for role in wanted.member_of if not (known and _is_member(session, wanted.name, role))]
    inherited = " WITH INHERIT TRUE, SET TRUE" if session.server_version >= _CREATOR_IS_NO_MEMBER else ""
    statements += [f"GRANT {quote(role)} TO {name}{inherited}" for role in outcome.granted]
    outcome.changed = bool(statements)
    if statements and not check:
        session.run("BEGIN")
        try:
            for statement in statements:
                session.run(statement)
            session.run("COMMIT")
        except ServerError:
            session.run("ROLLBACK")
            raise
    return outcome


def _has_password(session: Session, wanted: Wanted, outcome: Outcome) -> bool:
    try:
        stored = session.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (wanted.name,))
    except ServerError:
        outcome.notes.append(f"Only a superuser sees whether {wanted.name} has this password; it was left as it is.")
        return True
    return stored is not None and is_verifier_of(stored, wanted.password or "")


def _is_member(session: Session, name: str, role: str) -> bool:
    query = "SELECT EXISTS (SELECT FROM pg_auth_members WHERE member = %s::regrole AND roleid = %s::regrole)"
    return bool(session.value(query, (quote(name), quote(role))))


def is_verifier_of(stored: str, password: str) -> bool:
    """Whether this is what PostgreSQL stores of that password."""
    kind, _first, rest = stored.partition("$")
    if kind != _SCRAM:
        return False
    work, _second, keys = rest.partition("$")
    iterations, _colon, salt = work.partition(":")
    stored_key = keys.partition(":")[0]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(base64.b64encode(hashlib.sha256(client_key).digest()).decode(), stored_key)
