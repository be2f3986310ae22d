# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of PostgreSQL, made and restored for real where the database is published on a port of this machine."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import time
from collections.abc import Iterator

from lab.dokploy import buckets
from lab.dokploy.buckets import Buckets, RcloneFailed
from lab.dokploy.commands import container_of
from lab.dokploy.model import Model, Row
from lab.dokploy.swarm import Swarm, inherited_environment
from lab.dokploy.tempo import iso_now

HOST = "127.0.0.1"
_KEYS = ("accessKey", "secretAccessKey")


class BackupFailed(Exception):
    """Says what Dokploy says: the whole command, keys of the storage included."""


def without_keys(destination: Row) -> Row:
    return {name: value for name, value in destination.items() if name not in _KEYS}


def of_service(model: Model, column: str, service_id: str) -> list[Row]:
    """As the answers about a database list them."""
    rows = [row for row in model.tables["backups"].values() if row[column] == service_id]
    return [
        {
            **row,
            "destination": without_keys(model.tables["destinations"][row["destinationId"]]),
            "deployments": model.records_of("backupId", row["backupId"]),
        }
        for row in rows
    ]


class Backups:
    """Runs and restores the backups that the model knows."""

    def __init__(self, model: Model, swarm: Swarm, storage: Buckets) -> None:
        self._model = model
        self._swarm = swarm
        self._storage = storage

    def run(self, backup_id: str) -> None:
        """Returns when the object is stored; the record tells how it went, and the exception why it did not."""
        with self._model.change():
            backup = dict(self._model.tables["backups"][backup_id])
            database = dict(self._model.tables["postgres"][backup["postgresId"]])
            destination = dict(self._model.tables["destinations"][backup["destinationId"]])
            record = self._model.add_record(
                "backupId", backup, "Initializing Backup", "Initializing Backup", "Initializing backup\n"
            )
        log: list[str] = []
        failure: Exception | None = None
        try:
            self._store(backup, database, destination, log)
        except (BackupFailed, RcloneFailed) as error:
            failure = error
        with self._model.change():
            self._model.end_record(record, failure is None, "".join(log))
        if failure:
            raise failure

    def _store(self, backup: Row, database: Row, destination: Row, log: list[str]) -> None:
        folder = "/".join(filter(None, (database["appName"], backup["prefix"].strip().strip("/"))))
        key = f"{folder}/{iso_now().replace(':', '-').replace('.', '-')}.sql.gz"
        dump = f"pg_dump -Fc --no-acl --no-owner -h localhost -U {database['databaseUser']} --no-password"
        script = (
            f"set -eo pipefail; CONTAINER_ID=$({_search(database)}); docker exec -i $CONTAINER_ID "
            f"bash -c \"{dump} '{backup['database']}' | gzip\" | {buckets.command('rcat', destination, key)}"
        )
        log += [_stamped("Starting backup process..."), _stamped("Executing backup command...")]
        container = self._container(database)
        if container is None:
            log.append(_stamped("❌ Error: Container not found"))
            raise BackupFailed(f"Command execution failed: Command failed: {script}\n")
        log += [_stamped(f"Container Up: {container}"), _stamped("Starting backup and upload to S3...")]
        done = _tool(database, "pg_dump", "-Fc", "--no-acl", "--no-owner", "--no-password", backup["database"])
        if done.returncode:
            reason = done.stderr.decode(errors="replace")
            log += [_stamped("❌ Error: Backup failed"), f"Error: {reason}"]
            raise BackupFailed(f"Command execution failed: Command failed: {script}\n{reason}")
        self._storage.put(destination, key, gzip.compress(done.stdout))
        if backup["keepLatestCount"]:
            self._storage.keep_latest(destination, folder, int(backup["keepLatestCount"]))
        log += [_stamped("✅ Backup uploaded to S3 successfully"), "Backup done ✅\n"]

    def restore(self, database: Row, destination: Row, name: str, key: str) -> Iterator[str]:
        """What Dokploy tells while it restores into the live database. It tells a failure twice."""
        yield "Starting restore..."
        yield f"Restoring database: {name} from {key}"
        error = self._restore(database, destination, name, key)
        yield from [f"Error: {error}"] * 2 if error else ["Restore completed successfully!"]

    def _restore(self, database: Row, destination: Row, name: str, key: str) -> str | None:
        script = (
            f"CONTAINER_ID=$({_search(database)}) && {buckets.command('cat', destination, key)} | gunzip | "
            f"docker exec -e DB_NAME={name} -e DB_USER={database['databaseUser']} -i $CONTAINER_ID "
            'sh -c \'pg_restore -U "$DB_USER" -d "$DB_NAME" -O --clean --if-exists\''
        )
        failed = f"Command execution failed: Command failed: {script}\n{buckets.notice()}"
        content = self._storage.get(destination, key) or b""
        if self._container(database) is None:
            return f"{failed}Error: No such container: sh\n"
        unpacked = subprocess.run(["gunzip"], input=content, capture_output=True, check=False)
        options = ("-O", "--clean", "--if-exists", f"--dbname={name}")
        done = _tool(database, "pg_restore", *options, standard_input=unpacked.stdout)
        if done.returncode == 0:
            return None
        return failed + (unpacked.stderr + done.stderr).decode(errors="replace")

    def _container(self, database: Row) -> str | None:
        """Nothing can be reached that is stopped, or published nowhere."""
        task = container_of(self._swarm, database["appName"])
        is_stopped = task is None and bool(self._swarm.tasks(database["appName"]))
        if is_stopped or not database["externalPort"]:
            return None
        container = task.container_id if task else hashlib.sha256(database["appName"].encode()).hexdigest()
        return container[:12]


def _tool(database: Row, name: str, *arguments: str, standard_input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    # Only a backup needs PostgreSQL and its driver.
    from lab.postgres import ServerError, find_binaries

    try:
        program = find_binaries() / name
    except ServerError as error:
        return subprocess.CompletedProcess([name], 127, b"", f"{error}\n".encode())
    login = {
        "PGHOST": HOST,
        "PGPORT": str(database["externalPort"]),
        "PGUSER": database["databaseUser"],
        "PGPASSWORD": database["databasePassword"],
        "PGCONNECT_TIMEOUT": "5",
    }
    env = {**inherited_environment(), **login}
    return subprocess.run([str(program), *arguments], env=env, input=standard_input, capture_output=True, check=False)


def _search(database: Row) -> str:
    label = f"label=com.docker.swarm.service.name={database['appName']}"
    return f'docker ps -q --filter "status=running" --filter "{label}" | head -n 1'


def _stamped(text: str) -> str:
    return f"[{time.strftime('%a %b %e %H:%M:%S UTC %Y', time.gmtime())}] {text}\n"
