# SPDX-License-Identifier: GPL-3.0-or-later
"""The nightly plays in a real lab whose newest dump is cut off: what they write, whom they tell, and how they fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab import platform, processes
from lab.platform import Wanted, server_of
from tests.recovery import DATABASE, SCALE, Play, PlayedLab

pytestmark = pytest.mark.slow

DRILL, BACKUP = "playbooks/verify_backup.yml", "playbooks/backup.yml"
QUIETLY = ("-e", '{"platform_contacts": [], "backup_verification_report": false}')


@contextmanager
def dead_mans_switch() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was called with."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", calls
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Night:
    """What was seen of a play."""

    play: Play
    ledger: list[dict[str, Any]]
    metrics: dict[str, float]
    databases: list[str]
    pings: list[str]


@dataclass(frozen=True)
class Nights:
    planned: Night
    drill: Night
    backup: Night
    unreachable: Night
    dumps: list[str]
    link: str
    pages: list[str]


class NightLab(PlayedLab):
    """A lab of a database alone."""

    def __init__(self, state: Path, switch: tuple[str, list[str]]) -> None:
        super().__init__(state, platform.up(state, Wanted(scale=SCALE, only_postgres=True), lambda _line: None))
        self.server = server_of(self.description)
        self.backups = Path(self.description["backups"])
        self._url, self._calls = switch

    def night(self, playbook: str, name: str, *arguments: str) -> Night:
        urls = json.dumps({f"platform_{which}_ping_url": f"{self._url}/{name}" for which in ("backup", "drill")})
        play = self.play(playbook, "-e", urls, *arguments)
        return Night(play, self.ledger(), self.metrics(), self.databases(), [
            call.removeprefix(f"/{name}") for call in self._calls if call.startswith(f"/{name}")
        ])  # fmt: skip

    def ledger(self) -> list[dict[str, Any]]:
        folder = self.state / "ledger"
        return [json.loads(path.read_text()) for path in sorted(folder.iterdir())] if folder.exists() else []

    def metrics(self) -> dict[str, float]:
        path = self.state / "metrics" / f"vedfinance_{DATABASE}.prom"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line.split("{")[0]: float(line.split()[-1]) for line in lines if not line.startswith("#")}

    def databases(self) -> list[str]:
        with self.server.connect() as connection:
            rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'vedfinance%' ORDER BY 1")
            return [str(row[0]) for row in rows.fetchall()]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    state = tmp_path_factory.mktemp("night") / "lab"
    try:
        with dead_mans_switch() as switch, ThreadPoolExecutor(2) as side_by_side:
            lab = NightLab(state, switch)
            drill = lab.night(DRILL, "one")
            planning = side_by_side.submit(lab.night, DRILL, "two", "--check", *QUIETLY)
            failing = side_by_side.submit(lab.night, DRILL, "three", "-e", '{"platform_postgres_port": 1}', *QUIETLY)
            planned, unreachable = planning.result(), failing.result()
            backup = lab.night(BACKUP, "four", *QUIETLY)
            names = sorted(path.name for path in lab.backups.iterdir())
            link = (lab.backups / "latest_dump.sql").resolve().name
            pages = [path.name for path in (state / "reports").iterdir()]
            assert lab.addresses() <= {"127.0.0.1"}
            yield Nights(planned, drill, backup, unreachable, names, link, pages)
    finally:
        processes.end_all(state)


def test_a_plan_touches_nothing(nights: Nights) -> None:
    nights.planned.play.succeeded()
    assert "PLAN  drill of vedfinance on lab" in nights.planned.play.text
    assert "the dump ends inside the data of table" in nights.planned.play.text
    assert nights.planned.pings == []
    # The other play that went on meanwhile has made one entry.
    assert len(nights.backup.ledger) == 2
    assert nights.planned.databases == nights.drill.databases


def test_the_newest_good_dump_is_proved(nights: Nights) -> None:
    nights.drill.play.succeeded()
    (entry,) = nights.drill.ledger
    assert (entry["outcome"], entry["host"], entry["database"]) == ("proved", "lab", DATABASE)
    assert entry["dump"]["name"].endswith("Z.sql.gz")
    assert {check["result"] for check in entry["proof"]} == {"passed"}
    assert {"there are users", "newest business row", "content"} <= {check["name"] for check in entry["proof"]}
    assert [Path(one["path"]).suffix for one in entry["rejected"]] == [".sql"]
    assert entry["rpo_source"] == "newest business row"
    assert entry["rto_seconds"] > entry["restore_seconds"] > 0
    assert nights.drill.databases == [DATABASE, entry["kept_as"]]
    assert "WARNING" in nights.drill.play.text
    assert f"{entry['run']}_{DATABASE}.html" in nights.pages
    assert nights.drill.metrics["vedfinance_drill_success"] == 1
    assert nights.drill.metrics["vedfinance_backup_rejected"] == 1


def test_the_dead_mans_switch_hears_of_beginning_and_end(nights: Nights) -> None:
    assert nights.drill.pings == ["/start", ""]
    assert nights.backup.pings == ["/start", ""]
    assert nights.unreachable.pings == ["/start", "/fail"]


def test_a_drill_that_could_not_run_is_a_failure(nights: Nights) -> None:
    nights.unreachable.play.failed()
    assert nights.unreachable.ledger[-1]["outcome"] == "could_not_run"
    assert nights.unreachable.ledger[-1]["reason"]
    metrics = nights.unreachable.metrics
    assert (metrics["vedfinance_drill_success"], metrics["vedfinance_drill_failures_in_a_row"]) == (0, 1)
    assert metrics["vedfinance_backup_last_verified_age_seconds"] < 600
    assert "NOT PROVED" in nights.unreachable.play.text
    assert nights.unreachable.databases == nights.drill.databases


def test_a_backup_takes_the_place_of_the_broken_one(nights: Nights) -> None:
    nights.backup.play.succeeded()
    assert nights.link in nights.dumps
    assert f"{nights.link}.manifest.json" in nights.dumps
    assert nights.backup.metrics["vedfinance_backup_age_seconds"] < 120
    assert nights.backup.metrics["vedfinance_backup_rejected"] == 0
    assert "BACKED UP" in nights.backup.play.text
    # The role's own retention, which lets nothing go that is not one of its own dumps.
    assert "dropped    Nothing goes" in nights.backup.play.text or "dropped    0 of" in nights.backup.play.text
