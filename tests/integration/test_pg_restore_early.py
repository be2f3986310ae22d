# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore begins while the judge still reads, and that nothing of it is left when nobody wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import database as databases
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.early import EarlyStart
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.lock import RESTORE, exclusive
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore.report import Options

from .world import Live


@pytest.fixture
def server(school: Live) -> Server:
    login = school.login_as(school.server.operator)
    return Server(login["login_host"], login["login_port"], login["login_user"], login["login_password"])


@pytest.fixture
def options(school: Live) -> Options:
    return Options(school.name, src=str(school.dump()))


def properties(server: Server, options: Options) -> databases.Properties:
    with server.connect() as session:
        return databases.properties_for(session, options.database, options.owner)


def test_the_opening_is_there_when_the_dump_is_judged(school: Live, server: Server, options: Options) -> None:
    with EarlyStart(server, options) as early:
        judge(str(options.src), before_data=early.before_data)
        assert early.lock() is not None
        staging = early.staging
        begun = early.begun(properties(server, options))
        assert begun is not None
        assert begun.done
        assert school.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", staging) == 4
        begun.session.close()
    # Whoever has taken it over is to drop it.
    assert school.family() == sorted([school.name, str(staging)])


def test_what_nobody_takes_over_is_dropped(school: Live, server: Server, options: Options) -> None:
    with EarlyStart(server, options) as early:
        assert early.lock() is not None
        assert early.staging is not None
    assert school.family() == [school.name]
    with EarlyStart(server, options) as early:
        judge(str(options.src), before_data=early.before_data)
        assert early.begun(replace(properties(server, options), connection_limit=7)) is None
        assert school.family() == [school.name]


def test_two_restores_do_not_both_begin(school: Live, server: Server, options: Options) -> None:
    with exclusive(server, school.name, RESTORE, 0), EarlyStart(server, options) as early:
        assert early.lock() is None
        assert early.staging is None


def _marked(live: Live, dump: Path) -> None:
    live.restore(dump, keep_previous=0)


def _verified(live: Live, dump: Path) -> None:
    live.verify(dump, keep=True)


@pytest.mark.parametrize("before", [_marked, _verified], ids=["restored already", "verified before"])
def test_nothing_is_begun_where_it_is_likely_to_be_needless(
    school: Live, server: Server, options: Options, before: Callable[[Live, Path], None]
) -> None:
    before(school, Path(str(options.src)))
    with EarlyStart(server, options) as early:
        assert early.lock() is not None
        assert early.staging is None
