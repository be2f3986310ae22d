# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump that names roles which the server lacks: refused, the roles made, or what was theirs given to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.postgres import Login
from tests.integration.world import Live

FORMATS = {"plain": [], "custom": ["--format=custom"]}
# In the order in which they are made again: a policy lists its roles by their age.
GONE = ("auditor", "clerk", '"the teacher"')
# Everything in which a dump can name a role.
PEOPLED = """
CREATE TABLE grades (id int PRIMARY KEY, mark int);
INSERT INTO grades SELECT n, n % 6 FROM generate_series(1, 9) n;
CREATE TABLE reports (id int);
ALTER TABLE reports OWNER TO "the teacher";
ALTER TABLE grades ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON grades FOR SELECT TO auditor, "the teacher" USING (mark > 1);
GRANT SELECT ON grades TO auditor WITH GRANT OPTION;
SET ROLE auditor;
GRANT SELECT ON grades TO clerk;
RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE "the teacher" GRANT SELECT ON TABLES TO auditor;
"""


@pytest.fixture(params=FORMATS)
def peopled(request: pytest.FixtureRequest, live: Live) -> Iterator[tuple[Live, Path, str]]:
    """An empty database, the dump of one whose roles are gone, and its content."""
    live.administer(*(f"CREATE ROLE {role}" for role in GONE))
    live.execute(
        f'GRANT CREATE ON SCHEMA public TO "the teacher"; {PEOPLED};'
        f" ALTER TABLE grades OWNER TO {live.server.settings.app_user}",
        live.server.superuser,
    )
    before, dump = live.content(), live.dump(*FORMATS[request.param])
    forget(live)
    yield live, dump, before
    forget(live)


def forget(live: Live) -> None:
    live.drop()
    live.administer(*(f"DROP ROLE IF EXISTS {role}" for role in GONE))
    live.create()


@pytest.fixture
def creator(live: Live) -> Iterator[Login]:
    """May make roles, and has no other right that a restore does not need."""
    login = Login("role_maker", "maker")
    live.administer(
        f"CREATE ROLE {login.user} LOGIN CREATEDB CREATEROLE PASSWORD '{login.password}'",
        f"GRANT {live.server.settings.app_user}, pg_signal_backend TO {login.user}",
    )
    yield login
    live.drop()
    live.administer(*(f"DROP ROLE IF EXISTS {role}" for role in GONE), f"DROP ROLE {login.user}")
    live.create()


def test_roles_are_required(peopled: tuple[Live, Path, str]) -> None:
    live, dump, _before = peopled
    state = live.state()
    refused = live.refuse(dump)
    for role in ("the teacher", "auditor", "clerk"):
        assert f'CREATE ROLE "{role}"' in refused["msg"]
    assert "CREATEROLE" in live.refuse(dump, roles="create")["msg"]
    assert live.state() == state


def in_one_order(content: str) -> str:
    """pg_dump lists the roles of a policy in the order of their making."""
    return content.replace('auditor, "the teacher"', '"the teacher", auditor')


def test_roles_are_created(peopled: tuple[Live, Path, str]) -> None:
    live, dump, before = peopled
    live.login = live.login_as(live.server.superuser)
    planned = live.restore(dump, roles="create", check=True)
    assert any("the teacher" in note for note in planned["notes"])
    assert live.value("SELECT count(*) FROM pg_roles WHERE rolname = 'clerk'") == 0
    live.restore(dump, roles="create")
    assert in_one_order(live.content()) == in_one_order(before)
    assert live.value("SELECT bool_or(rolcanlogin) FROM pg_roles WHERE rolname IN ('auditor', 'clerk')") is False
    assert live.restore(dump, roles="create")["changed"] is False


def test_a_login_that_is_no_superuser_creates_them(live: Live, creator: Login) -> None:
    live.administer("CREATE ROLE auditor")
    live.execute("CREATE TABLE grades (id int); GRANT SELECT ON grades TO auditor WITH GRANT OPTION")
    live.execute("SET ROLE auditor; GRANT SELECT ON grades TO vedfinance_report", live.server.superuser)
    before, dump = live.content(), live.dump()
    forget(live)
    live.login = live.login_as(creator)
    live.restore(dump, roles="create", check_disk=False)
    assert live.content() == before


def test_what_was_theirs_is_given_to_others(peopled: tuple[Live, Path, str]) -> None:
    live, dump, _before = peopled
    live.administer("CREATE ROLE auditor")
    options = {"roles": "map", "role_map": {"clerk": "vedfinance_report"}}
    assert "GRANT auditor to it" in live.refuse(dump, **options)["msg"]
    live.administer(f"GRANT auditor TO {live.server.settings.operator_user}")
    live.restore(dump, **options)
    owner = live.server.settings.app_user
    assert live.value("SELECT array_agg(DISTINCT tableowner::text) FROM pg_tables WHERE schemaname = 'public'") == [
        owner
    ]
    assert live.value("SELECT count(*) FROM grades") == 9
    assert live.value("SELECT roles::text[] FROM pg_policies") == ["auditor", owner]
    assert live.value("SELECT has_table_privilege('vedfinance_report', 'grades', 'SELECT')") is True
    # Kept verified for these roles, it is not what a restore with others asks for.
    live.verify(dump, keep=True, **options)
    other = live.restore(dump, force=True, roles="map", role_map={"clerk": "auditor"})
    assert other["plan"]["verified_database"] is None
    assert any("mapped otherwise" in note for note in other["notes"])
    assert live.restore(dump, force=True, **options)["plan"]["verified_database"]
