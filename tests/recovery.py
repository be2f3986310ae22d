# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole lab to break and to recover: plays run against it, and everything that a test may want to know about it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

import psycopg
from psycopg import sql

from lab import client, disasters, platform, processes
from lab.platform import Wanted, server_of
from tests.conftest import IN_PLAYS, ROOT

RECOVER = "playbooks/disaster_recovery.yml"
UNDO = "playbooks/undo_recovery.yml"
DATABASE = "vedfinance"
PRISTINE, EXPECTED = "pristine", "expected"
GOOD_IMAGE = "lab/api:1.4.0"
# Each call of the integrity report adds a row: the one table that may hold more than the dump.
WRITTEN_BY_INTEGRITY = "integrity_checks"
SCALE = 0.002
REPLICAS = 2
PLAY_SECONDS = 600.0
# A recovery waits for nothing that is not there; a test needs no three looks at a distance, and no page each time.
BRISK = (
    "-e",
    json.dumps(
        {
            "disaster_recovery_health_consecutive": 1,
            "disaster_recovery_stable_for": 1,
            "disaster_recovery_report": False,
            "disaster_recovery_jsonb_schemas": [],
        }
    ),
)

Reading = tuple[int, ...]
Content = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Play:
    """How an ansible-playbook ended, and what it said."""

    returncode: int
    text: str
    #: Host → counter of the recap (ok, changed, failed, …).
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    def succeeded(self) -> Play:
        assert self.returncode == 0, self.text
        assert self.recap, "the play met no host"
        return self

    def failed(self) -> Play:
        assert self.returncode != 0, self.text
        return self


@dataclass(frozen=True)
class Running:
    """A play under way."""

    process: subprocess.Popen[bytes]
    _output: IO[str]

    def text(self) -> str:
        """All that it has said so far."""
        self._output.seek(0)
        return self._output.read()

    def ended(self) -> Play:
        returncode = self.process.wait(timeout=PLAY_SECONDS)
        text = self.text()
        return Play(returncode, text, recap_of(text))


@dataclass(frozen=True)
class Service:
    """What Dokploy has stored about the API, and how many of its processes live."""

    replicas: int
    description: str | None
    alive: int


@dataclass(frozen=True)
class Database:
    oid: int
    content: Content
    #: What belongs to a database itself and is in no plain dump.
    properties: dict[str, Any]

    @property
    def state(self) -> tuple[int, Content]:
        return self.oid, self.content


@dataclass(frozen=True)
class Seen:
    """The lab at a moment."""

    databases: dict[str, Database]
    service: Service
    journal: list[dict[str, Any]]
    #: Of the journal's folder, and of its entries.
    journal_modes: tuple[int, set[int]]

    @property
    def live(self) -> Database | None:
        return self.databases.get(DATABASE)

    def beside(self, role: str) -> list[str]:
        """Names of the databases beside the live one (before, undone, staging), oldest first."""
        return sorted(name for name in self.databases if name.startswith(f"{DATABASE}__{role}_"))


class PlayedLab:
    """A running lab that plays are run against."""

    def __init__(self, state: Path, description: platform.Description) -> None:
        self.state = state
        self.description = description
        self.journal_folder = Path(self.description["journal"])
        self.connections = state.parent / "connections"
        # A play of a user has none of make's settings: ansible.cfg alone must do.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        self.environment = inherited | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LAB_STATE": str(state),
            "PYTHONPATH": str(IN_PLAYS),
            "PYTHONUNBUFFERED": "1",
            # Without compiled code, which some environments forbid to keep, a play takes twice as long.
            "PYTHONPYCACHEPREFIX": str(ROOT / ".build" / "cache" / "pycache"),
            "NOTED_CONNECTIONS": str(self.connections),
        }

    def down(self) -> None:
        platform.down(self.state, lambda _line: None)

    def dokploy(self, procedure: str, **body: Any) -> Any:
        dokploy = self.description["dokploy"]
        status, answer = client.call(
            f"{dokploy['url']}/api/{procedure}", body or None, {"x-api-key": dokploy["api_key"]}
        )
        assert status == 200, answer
        return answer

    # -- what there is -----------------------------------------------------------------------------------------------

    def pids(self) -> dict[str, int | None]:
        return {name: processes.pid_of(self.state, name) for name in processes.recorded(self.state)}

    def api_pids(self) -> list[int]:
        return [pid for name, pid in self.pids().items() if name.startswith("api.") and pid]

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.journal_folder.iterdir())]

    def ask(self, path: str) -> tuple[int, Any]:
        return client.call(self.description["api"]["url"] + path)

    # -- plays -------------------------------------------------------------------------------------------------------

    def play(self, playbook: str = RECOVER, *arguments: str, cwd: Path = ROOT) -> Play:
        with self.started(playbook, *arguments, cwd=cwd) as running:
            return running.ended()

    @contextmanager
    def started(self, playbook: str = RECOVER, *arguments: str, cwd: Path = ROOT) -> Iterator[Running]:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            process = subprocess.Popen(
                ["ansible-playbook", playbook, *arguments],
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield Running(process, output)
            finally:
                process.kill()
                process.wait()

    def run(self, folder: Path, playbook: str = RECOVER, project: Path = ROOT, **extra: Any) -> Play:
        """Through ansible-runner, as AWX does it."""
        import ansible_runner

        outcome = ansible_runner.run(
            private_data_dir=str(folder),
            project_dir=str(project),
            playbook=playbook,
            envvars=self.environment,
            extravars=extra,
            quiet=True,
            timeout=int(PLAY_SECONDS),
        )
        text = "\n".join(event.get("stdout", "") for event in outcome.events)
        stats = outcome.stats or {}
        counters = ("ok", "changed", "failures", "dark", "rescued")
        recap = {
            host: {name: int(stats.get(name, {}).get(host, 0)) for name in counters}
            for host in stats.get("processed", {})
        }
        return Play(int(outcome.rc), text, recap)

    def addresses(self) -> set[str]:
        """Where the plays have connected to so far; sockets of the file system left out."""
        noted = self.connections.read_text().split("\n") if self.connections.exists() else []
        return {line for line in noted if line and not line.startswith(("/", "b'"))}


def quiet_lab(state: Path, replicas: int) -> platform.Description:
    """A whole lab that waits no longer than it must."""
    return platform.up(state, Wanted(scale=SCALE, tempo=0.1, rate_limit="off", replicas=replicas), lambda _line: None)


class RecoveryLab(PlayedLab):
    """One with a pristine copy of its database and one of what its latest stable dump holds."""

    def __init__(self, state: Path) -> None:
        super().__init__(state, quiet_lab(state, REPLICAS))
        self.server = server_of(self.description)
        self._watching: psycopg.Connection[tuple[object, ...]] | None = None
        self.backups = Path(self.description["backups"])
        self._copy_database(DATABASE, PRISTINE)
        self._restore_by_hand()

    @property
    def stable_dump(self) -> Path:
        """Dokploy's own, of the night before the last: the one of the last night is cut off."""
        return next(self.backups.glob("*Z.sql.gz"))

    def _restore_by_hand(self) -> None:
        """What the dump holds, by PostgreSQL's own tool."""
        self._create_database(EXPECTED, "template0")
        with gzip.open(self.stable_dump) as packed:
            archive = self.state.parent / "expected.dump"
            archive.write_bytes(packed.read())
        self.server.tool("pg_restore", "--exit-on-error", f"--dbname={EXPECTED}", str(archive))

    def _create_database(self, name: str, template: str) -> None:
        names = map(sql.Identifier, (name, template, self.server.settings.app_user))
        with self.server.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))

    def _copy_database(self, source: str, target: str) -> None:
        with self.server.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                (source,),
            )
        self._create_database(target, source)

    # -- breaking and mending ----------------------------------------------------------------------------------------

    def stop_postgres(self) -> None:
        if self._watching:
            self._watching.close()
        self.server.stop()

    def destroy(self, disaster: str, **how: str) -> None:
        for _line in disasters.ALL[disaster](self.description, **how):
            pass

    def mend(self) -> None:
        """Everything as it was when the lab came up."""
        for name in self.family():
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        self._copy_database(PRISTINE, DATABASE)
        self.server.set_what_dumps_leave_out()
        for entry in self.journal_folder.iterdir():
            entry.unlink()

    def deploy(self, image: str) -> None:
        """Returns when nothing but the image serves."""
        application = self.description["dokploy"]["application_id"]
        before = set(self.api_pids())
        self.dokploy("application.update", applicationId=application, dockerImage=image)
        self.dokploy("application.deploy", applicationId=application, title=image)
        wait_until(lambda: len(now := set(self.api_pids())) == REPLICAS and not now & before, f"{image} takes over")

    def execute(self, statement: str, database: str = "postgres") -> None:
        with self.server.connect(database=database) as connection:
            connection.execute(statement.encode())

    def value(self, query: str, database: str = DATABASE) -> Any:
        with self.server.connect(database=database) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None

    # -- what there is -----------------------------------------------------------------------------------------------

    def content(self, database: str = DATABASE) -> Content:
        """Rows of each table, and a hash over all that is in them."""
        found: Content = {}
        with self.server.connect(database=database) as connection:
            connection.execute("SET timezone TO 'UTC'")  # the live one has another, which is how times are written
            for (table,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'm') ORDER BY 1"
            ).fetchall():
                query = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t"
                rows, digest = connection.execute(sql.SQL(query).format(sql.Identifier(str(table)))).fetchone() or ()
                found[str(table)] = int(str(rows)), str(digest)
        return found

    def properties(self, database: str = DATABASE) -> dict[str, Any]:
        """What belongs to a database itself; of the comment what people wrote, not the mark of a restore."""
        query = (
            "SELECT json_build_object('owner', datdba::regrole, 'encoding', encoding, 'collate', datcollate,"
            " 'ctype', datctype, 'limit', datconnlimit, 'comment', split_part(shobj_description(oid, 'pg_database'),"
            " E'\\nvedfinance.platform restored', 1), 'grants', (SELECT json_agg(a::text ORDER BY a::text) FROM"
            " unnest(datacl) a), 'settings', (SELECT json_agg(json_build_array(setrole::regrole, setconfig) ORDER BY"
            " setrole::regrole::text) FROM pg_db_role_setting WHERE setdatabase = d.oid))"
            " FROM pg_database d WHERE datname = current_database()"
        )
        return dict(self.value(query, database))

    def oid(self, database: str = DATABASE) -> int | None:
        return self.databases().get(database)

    def databases(self) -> dict[str, int]:
        """Asked again and again while a play runs, so the session is kept."""
        if self._watching is None or self._watching.closed:
            self._watching = self.server.connect()
        rows = self._watching.execute("SELECT datname, oid FROM pg_database WHERE NOT datistemplate").fetchall()
        return {str(name): int(str(oid)) for name, oid in rows}

    def family(self, role: str = "") -> list[str]:
        """The live database and those beside it, or only those of one role (before, undone, staging)."""
        names = sorted(name for name in self.databases() if name == DATABASE or name.startswith(f"{DATABASE}__"))
        return [name for name in names if name.startswith(f"{DATABASE}__{role}_")] if role else names

    def service(self) -> Service:
        application = self.dokploy(f"application.one?applicationId={self.description['dokploy']['application_id']}")
        return Service(application["replicas"], application["description"], len(self.api_pids()))

    def integrity(self) -> list[str]:
        """The parts of the API's own report that say FAIL."""
        status, body = self.ask(self.description["api"]["integrity_path"])
        assert status == 200, body
        return [name for name, part in body.items() if isinstance(part, dict) and part.get("status") == "FAIL"]

    def look(self) -> Seen:
        oids = self.databases()
        databases = {name: Database(oids[name], self.content(name), self.properties(name)) for name in self.family()}
        entries = {path.stat().st_mode & 0o777 for path in self.journal_folder.iterdir()}
        modes = self.journal_folder.stat().st_mode & 0o777, entries
        return Seen(databases, self.service(), self.journal(), modes)

    def fingerprint(self) -> dict[str, Any]:
        """Whatever a play that must not change a thing could have changed."""
        return {
            "databases": self.databases(),
            "contents": {name: (self.content(name), self.properties(name)) for name in self.family()},
            "dokploy": json.loads((self.state / "dokploy.json").read_text()),
            "backups": _files(self.backups),
            "journal": _files(self.journal_folder),
            "pids": self.pids(),
        }


Journey: TypeAlias = Callable[[Any, Path], Any]


@contextmanager
def under_way(
    lives: Iterable[Mapping[str, Journey]],
    folder: Callable[[], Path],
    lab_in: Callable[[Path], PlayedLab] = RecoveryLab,
) -> Iterator[dict[str, Future[Any]]]:
    """What each journey gives. Those of one life follow each other in one lab; the lives go on at the same time."""
    futures: dict[str, Future[Any]] = {}
    with ExitStack() as ends:
        for life in filter(None, lives):
            state = folder() / "lab"
            ends.callback(processes.end_all, state)
            thread = ThreadPoolExecutor(1)
            ends.callback(thread.shutdown, cancel_futures=True)
            lab = thread.submit(lab_in, state)
            for name, journey in life.items():
                futures[name] = thread.submit(_go, journey, lab, folder())
        yield futures


def _go(journey: Journey, lab: Future[PlayedLab], folder: Path) -> Any:
    try:
        return journey(lab.result(), folder)
    finally:
        # Whatever it was, it has talked to this machine only.
        assert lab.result().addresses() <= {"127.0.0.1"}


def recap_of(text: str) -> dict[str, dict[str, int]]:
    lines = text.rpartition("PLAY RECAP")[2].splitlines()[1:] if "PLAY RECAP" in text else []
    recap = {}
    for line in lines:
        host, colon, counters = line.partition(":")
        if colon and "ok=" in counters:
            pairs = (counter.split("=") for counter in counters.split())
            recap[host.strip()] = {name: int(number) for name, number in pairs}
    return recap


def same_as_dump(found: Content, dumped: Content) -> bool:
    """Equal to the last bit, but for the rows that the integrity report has added since."""
    rows, most = dumped[WRITTEN_BY_INTEGRITY][0], found.get(WRITTEN_BY_INTEGRITY, (0, ""))[0]
    return most >= rows and {**found, WRITTEN_BY_INTEGRITY: None} == {**dumped, WRITTEN_BY_INTEGRITY: None}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.02)


def _files(folder: Path) -> dict[str, tuple[int, float, str]]:
    return {
        path.name: (path.lstat().st_mode, path.lstat().st_mtime, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }


class Hammer:
    """Clients that read without a pause, through the API and from the database itself, until told to stop."""

    _WATCHED = ("users", "courses", "transactions", "savings_goals")
    _PAUSE = 0.05

    def __init__(self, lab: RecoveryLab) -> None:
        self._lab = lab
        self._done = threading.Event()
        self._session: psycopg.Connection[tuple[object, ...]] | None = None
        #: What each client has read, in order and without repetitions.
        self.from_api: list[Reading] = []
        self.from_database: list[Reading] = []
        clients = ((self._ask_api, self.from_api), (self._ask_database, self.from_database))
        self._threads = [threading.Thread(target=self._loop, args=client) for client in clients]

    def __enter__(self) -> Hammer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        if self._session:
            self._session.close()

    def _loop(self, read: Callable[[], Reading | None], history: list[Reading]) -> None:
        while not self._done.wait(self._PAUSE):
            reading = read()
            if reading is not None and (not history or history[-1] != reading):
                history.append(reading)

    def _ask_api(self) -> Reading | None:
        with suppress(client.Unreachable):
            status, body = self._lab.ask("/api/courses")
            if status == 200:
                return body["database_oid"], body["users"], body["courses"]
        return None

    def _ask_database(self) -> Reading | None:
        """As a pool does: a session is used until the server ends it. One statement can only be of one database."""
        counts = "".join(f", (SELECT count(*) FROM {table})" for table in self._WATCHED)
        oid = "(SELECT oid::bigint FROM pg_database WHERE datname = current_database())"
        try:
            if self._session is None or self._session.closed:
                self._session = self._lab.server.connect(self._lab.server.app, DATABASE)
            row = self._session.execute(f"SELECT {oid}{counts}".encode()).fetchone()
        except psycopg.Error:
            return None
        return tuple(int(str(value)) for value in row or ())

    @staticmethod
    def api_reading(database: Database) -> Reading:
        return database.oid, database.content["users"][0], database.content["courses"][0]

    @classmethod
    def database_reading(cls, database: Database) -> Reading | None:
        """None when it lacks a table that is read."""
        if not set(cls._WATCHED) <= set(database.content):
            return None
        return database.oid, *(database.content[table][0] for table in cls._WATCHED)

    def require_old_then_new(self, old: Database | None, new: Database) -> None:
        """Each client read the old database (where it could), then the new one, and nothing else."""
        for history, reading_of in ((self.from_api, self.api_reading), (self.from_database, self.database_reading)):
            possible = [reading_of(database) for database in (old, new) if database]
            assert history == [reading for reading in possible if reading]
