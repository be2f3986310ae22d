# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to bring the same data into an empty database, each timed until the database could serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.postgres import Login, Server
from tests.bench.data import DATABASE, Dumps
from tests.bench.processes import Peak, Used, used_by_server, waited
from tests.conftest import ROOT
from tests.modules import PACKAGE

MODULE = f"{PACKAGE}.pg_restore_from_dump"


@dataclass(frozen=True)
class Measured:
    """One restore.

    :param seconds: until the database could serve; of the module, what it says itself (its start is not part of it).
    :param phases: where the module's time went.
    """

    seconds: float
    server_cpu: float
    client: Used
    phases: dict[str, float]


@dataclass(frozen=True)
class Contestant:
    name: str
    run: Callable[[Server, Dumps], Measured]


def _client(server: Server, name: str) -> str:
    return str(Path(server.settings.bin) / name)


def _timed(server: Server, command: Sequence[str | Path], stdin: IO[bytes] | None = None) -> Measured:
    before = used_by_server(server)
    begun = time.monotonic()
    process = subprocess.Popen(
        command, env=server.client_environment(server.app, DATABASE), stdin=stdin, stdout=subprocess.DEVNULL
    )
    used = waited(process, Peak(process))
    seconds = time.monotonic() - begun
    return Measured(seconds, used_by_server(server) - before, used, {})


def psql(*options: str) -> Callable[[Server, Dumps], Measured]:
    """``cat dump | psql``"""

    def run(server: Server, dumps: Dumps) -> Measured:
        command = [_client(server, "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *options]
        with subprocess.Popen(["cat", dumps.plain], stdout=subprocess.PIPE) as cat:
            return _timed(server, command, cat.stdout)

    return run


def pg_restore(kind: str, *options: str) -> Callable[[Server, Dumps], Measured]:
    def run(server: Server, dumps: Dumps) -> Measured:
        source: Path = getattr(dumps, kind)
        return _timed(
            server, [_client(server, "pg_restore"), f"--dbname={DATABASE}", "--exit-on-error", *options, source]
        )

    return run


def module(
    kind: str, *, jobs: int = 2, deferred: bool = False, warm: bool = False
) -> Callable[[Server, Dumps], Measured]:
    """The module as Ansible starts it, by the operator who has no more rights than it needs.

    :param warm: what a drill has verified and kept beforehand takes over.
    """

    def run(server: Server, dumps: Dumps) -> Measured:
        arguments = {
            "database": DATABASE,
            "src": str(getattr(dumps, kind)),
            "jobs": jobs,
            "keep_previous": 0,
            **({"defer_indexes": "non_unique"} if deferred else {}),
            **login_of(server, server.operator),
        }
        if warm:
            _run_module({**arguments, "state": "verified", "keep": True})
        before = used_by_server(server)
        result, used = _run_module(arguments)
        phases = {name: float(seconds) for name, seconds in result["seconds"].items()}
        return Measured(phases["to_service"], used_by_server(server) - before, used, phases)

    return run


def _run_module(arguments: Mapping[str, object]) -> tuple[dict[str, Any], Used]:
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the module was started without pipes")
    peak = Peak(process)
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    process.stdin.close()
    result = json.load(process.stdout)
    used = waited(process, peak)
    if result.get("failed"):
        raise RuntimeError(result["msg"])
    return result, used


def login_of(server: Server, login: Login) -> dict[str, object]:
    settings = server.settings
    return {
        "login_host": settings.host,
        "login_port": settings.port,
        "login_user": login.user,
        "login_password": login.password,
        "client_bin_dir": settings.bin,
    }


BASELINE = Contestant("cat | psql", psql())
CONTESTANTS = (
    BASELINE,
    Contestant("psql -1", psql("--single-transaction")),
    Contestant("pg_restore -Fc -j1", pg_restore("custom")),
    Contestant("pg_restore -Fc -j2", pg_restore("custom", "--jobs=2")),
    Contestant("pg_restore -Fd -j1", pg_restore("directory")),
    Contestant("pg_restore -Fd -j2", pg_restore("directory", "--jobs=2")),
    Contestant("ours, plain", module("plain")),
    Contestant("ours, plain, deferred indexes", module("plain", deferred=True)),
    Contestant("ours, verified before", module("plain", warm=True)),
    Contestant("ours, plain, one job", module("plain", jobs=1)),
    Contestant("ours, gzip", module("gzip")),
    Contestant("ours, gzip, deferred indexes", module("gzip", deferred=True)),
    Contestant("ours, -Fc", module("custom")),
    Contestant("ours, -Fd", module("directory")),
    Contestant("ours, -Fd, deferred indexes", module("directory", deferred=True)),
)
