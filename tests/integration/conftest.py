# SPDX-License-Identifier: GPL-3.0-or-later
"""A live database for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from lab.postgres import Server
from tests.integration.world import DISASTER, SCHOOL, Live

_NUMBER = count(1)


@pytest.fixture
def live(postgres: Server, tmp_path: Path) -> Iterator[Live]:
    """An empty database; everything beside it is dropped at the end."""
    live = Live(postgres, f"school{next(_NUMBER)}", tmp_path)
    live.create()
    yield live
    live.drop()


@pytest.fixture
def school(live: Live) -> Live:
    """A small database with keys, and everything about it that no plain dump holds."""
    live.execute(SCHOOL)
    live.decorate()
    return live


@pytest.fixture
def broken(school: Live) -> tuple[Live, Path, str]:
    """A database after a disaster, the dump of before, and the content of before."""
    before = school.content()
    dump = school.dump(name="before.sql")
    school.execute(DISASTER)
    return school, dump, before
