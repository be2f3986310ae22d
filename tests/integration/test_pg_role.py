# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles that log in, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.role import is_verifier_of

from lab.postgres import Login, Server
from tests.modules import run_module

ROLE, GROUP = "of-a test", "group of-a test"
PASSWORD = "it's s3cret"


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    with postgres.connect() as connection:
        connection.execute(f'CREATE ROLE "{GROUP}"')
    yield postgres
    with postgres.connect() as connection:
        connection.execute(f'DROP ROLE IF EXISTS "{ROLE}"')
        connection.execute(f'DROP ROLE "{GROUP}"')


def keep(server: Server, login: Login | None = None, *, check: bool = False, **options: Any) -> dict[str, Any]:
    settings, chosen = server.settings, login or server.superuser
    reached = {"login_host": settings.host, "login_port": settings.port, "login_user": chosen.user}
    return run_module("pg_role", {"name": ROLE, **reached, "login_password": chosen.password, **options}, check=check)


def stored(server: Server) -> tuple[Any, ...] | None:
    with server.connect() as connection:
        query = "SELECT rolcanlogin, rolcreatedb, rolpassword FROM pg_authid WHERE rolname = %s"
        return connection.execute(query, (ROLE,)).fetchone()


def enters(server: Server, password: str) -> bool:
    try:
        server.connect(Login(ROLE, password)).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_role_is_made_once(server: Server) -> None:
    wanted = {"password": PASSWORD, "createdb": True, "member_of": [GROUP]}
    planned = keep(server, check=True, **wanted)
    assert (planned["changed"], stored(server)) == (True, None)
    made = keep(server, **wanted)
    assert (made["created"], made["password_set"], made["granted"]) == (True, True, [GROUP])
    assert made["diff"]["after"].replace("was", "would be") == planned["diff"]["after"]
    assert PASSWORD not in str({**made, "invocation": None})
    assert enters(server, PASSWORD)
    before = stored(server)
    for again in (keep(server, **wanted), keep(server, check=True, **wanted)):
        assert (again["changed"], again["diff"]) == (False, {"before": "", "after": ""})
    assert stored(server) == before


def test_what_it_lacks_is_added_and_nothing_taken(server: Server) -> None:
    with server.connect() as connection:
        connection.execute(f'CREATE ROLE "{ROLE}" NOLOGIN CREATEDB')
    assert keep(server)["changed"] is True
    assert stored(server) == (True, True, None)
    assert keep(server, password=PASSWORD)["password_set"] is True
    assert keep(server, password="another")["password_set"] is True
    assert (enters(server, "another"), enters(server, PASSWORD)) == (True, False)
    assert keep(server)["changed"] is False


def test_who_may_not_see_passwords_leaves_them(server: Server) -> None:
    keep(server, password=PASSWORD)
    left = keep(server, server.operator, password="another")
    assert left["changed"] is False
    assert "Only a superuser sees" in left["notes"][0]
    assert enters(server, PASSWORD)


def test_who_may_not_make_roles_is_told(server: Server) -> None:
    refused = keep(server, server.operator, password=PASSWORD)
    assert refused["failed"] is True
    assert "permission denied" in refused["msg"]
    assert stored(server) is None


def test_a_statement_that_fails_leaves_nothing(server: Server) -> None:
    assert keep(server, password=PASSWORD, member_of=["nobody here"])["failed"] is True
    assert stored(server) is None


def test_other_verifiers_are_other_passwords() -> None:
    assert not is_verifier_of("md5d41d8cd98f00b204e9800998ecf8427e", PASSWORD)
