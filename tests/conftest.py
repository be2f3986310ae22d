# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the collection importable from any checkout, and shares one real PostgreSQL among all tests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: What every Python of a play reads first.
IN_PLAYS = ROOT / "tests" / "in_plays"
for entry in (ROOT, ROOT / "collections"):
    if str(entry) not in sys.path:
        sys.path.insert(0, str(entry))

if TYPE_CHECKING:
    from lab.postgres import Server


def pytest_configure(config: pytest.Config) -> None:
    """All plays of this run, of whichever worker, share what Ansible makes of the modules."""
    if not hasattr(config, "workerinput"):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(IN_PLAYS), os.environ.get("PYTHONPATH"))))
        os.environ["KEPT_MODULES"] = folder = tempfile.mkdtemp(prefix="kept-modules-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real PostgreSQL with the lab's roles, for the whole run; each test makes databases of its own in it."""
    from lab.postgres import Server

    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    try:
        server.create_roles()
        with server.connect() as connection:
            # No test pulls the plug of the machine.
            connection.execute("ALTER SYSTEM SET fsync TO off")
            connection.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.state, ignore_errors=True)
