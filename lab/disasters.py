# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in production, made on purpose. Each one tells what it did, with counts before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from psycopg import sql

from lab import client
from lab.platform import Description, LabError, server_of
from lab.releases import Change, ask_dokploy, commit, dokploy_of, image_of

BAD_RELEASE = "bad-release"
BAD_VERSION = "1.5.0"
DEPLOY_SECONDS = 120.0
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 15.0

_EVERY_THIRD_ACCOUNT = (
    "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM accounts) numbered WHERE n % 3 = 0"
)


def data_loss(description: Description) -> Iterator[str]:
    """rows are deleted, and a table is emptied"""
    server = server_of(description)
    before = server.row_counts()
    with server.connect(server.app, server.settings.database) as connection, connection.transaction():
        connection.execute(f'DELETE FROM transactions WHERE "accountId" IN ({_EVERY_THIRD_ACCOUNT})'.encode())
        connection.execute("TRUNCATE savings_goals")
    yield from _changes(before, server.row_counts())
    yield from _complaint(description)


def dropped_table(description: Description) -> Iterator[str]:
    """a table is dropped, with what depends on it"""
    server = server_of(description)
    before = server.row_counts()
    with server.connect(server.app, server.settings.database) as connection:
        connection.execute("DROP TABLE transactions CASCADE")
    yield from _changes(before, server.row_counts())
    yield from _complaint(description)


def dropped_database(description: Description) -> Iterator[str]:
    """all sessions are ended and the whole database is dropped"""
    server = server_of(description)
    database = server.settings.database
    rows = sum(server.row_counts().values())
    with server.connect() as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
    yield f"database {database}: {rows} rows -> gone"
    yield from _complaint(description)


def corrupt(description: Description) -> Iterator[str]:
    """values become wrong, no row is lost"""
    server = server_of(description)
    with server.connect(server.app, server.settings.database) as connection, connection.transaction():
        wrong = f'UPDATE accounts SET "balanceCents" = -"balanceCents" * 100 WHERE id IN ({_EVERY_THIRD_ACCOUNT})'
        before = _scalar(connection, 'SELECT sum("balanceCents") FROM accounts')
        accounts = connection.execute(wrong.encode()).rowcount
        enrollments = connection.execute("UPDATE enrollments SET progress = 42 WHERE state = 'DONE'").rowcount
        after = _scalar(connection, 'SELECT sum("balanceCents") FROM accounts')
    yield f"accounts: {accounts} balances turned negative; the sum of all was {before} cents, now {after}"
    yield f"enrollments: {enrollments} with a progress of 42"
    yield from _complaint(description)


def bad_release(description: Description, how: str = "crash") -> Iterator[str]:
    """a broken version is deployed through Dokploy"""
    yield f"before: {_version(description)}"
    known = {row["deploymentId"] for row in _deployments(description)}
    if dokploy_of(description)["source"] == "git":
        behaviour = "fail-integrity" if how == "fail" else how
        yield from commit(description, Change(version=BAD_VERSION, behaviour=behaviour), push=True)
        name = "the commit"
    else:
        name = image_of(BAD_VERSION, how)
        application = {"applicationId": description["dokploy"]["application_id"]}
        ask_dokploy(description, "application.update", {**application, "dockerImage": name})
        ask_dokploy(description, "application.deploy", {**application, "title": f"release {BAD_VERSION}"})
    yield f"deployment of {name}: {_wait_for_new_deployment(description, known)}"
    if how == "fail":
        _wait_until_served_alone(description, BAD_VERSION)
    yield f"after: {_version(description)}"
    yield from _complaint(description)


ALL: dict[str, Callable[..., Iterator[str]]] = {
    "data-loss": data_loss,
    "dropped-table": dropped_table,
    "dropped-database": dropped_database,
    "corrupt": corrupt,
    BAD_RELEASE: bad_release,
}


def _changes(before: dict[str, int], after: dict[str, int]) -> Iterator[str]:
    for table, rows in before.items():
        if after.get(table) != rows:
            yield f"{table}: {rows} rows -> {after.get(table, 'table gone')}"


def _complaint(description: Description) -> Iterator[str]:
    """What the API itself says about it."""
    if description["api"] is None:
        return
    try:
        status, body = ask_api(description, "integrity_path")
    except client.Unreachable as error:
        yield f"the API: {error}"
        return
    verdict = body.get("integrity", body)
    yield f"the API's integrity check: {status} {verdict.get('status', '')} {verdict.get('message', '')}".rstrip()


def _version(description: Description) -> str:
    try:
        _status, body = ask_api(description, "version_path")
    except client.Unreachable as error:
        return str(error)
    return f"version {body.get('version')} serves"


def _wait_until_served_alone(description: Description, version: str) -> None:
    """Swarm starts the new task first: for a moment the old one answers as well."""
    deadline, in_a_row = time.monotonic() + DEPLOY_SECONDS, 0
    while in_a_row < 3 and time.monotonic() < deadline:
        in_a_row = in_a_row + 1 if _version(description) == f"version {version} serves" else 0
        time.sleep(POLL_SECONDS)


def ask_api(description: Description, path: str) -> tuple[int, dict[str, Any]]:
    """Waits while the API says that it was asked too often."""
    api = description["api"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status, body = client.call(api["url"] + api[path])
        if status != 429 or time.monotonic() > deadline:
            return status, body if isinstance(body, dict) else {}
        time.sleep(POLL_SECONDS)


def _wait_for_new_deployment(description: Description, known: set[str]) -> str:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        for row in _deployments(description):
            if row["deploymentId"] not in known and row["status"] != "running":
                return str(row["status"])
        time.sleep(POLL_SECONDS)
    raise LabError(
        f"Dokploy finished no deployment within {DEPLOY_SECONDS:.0f} s; see the logs in {description['state']}/logs"
    )


def _deployments(description: Description) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask_dokploy(
        description, f"deployment.all?applicationId={description['dokploy']['application_id']}"
    )
    return rows


def _scalar(connection: Any, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0]
