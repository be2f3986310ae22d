# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of a platform as its ledger and journal tell it, and the picture of it in docs/reports.md.

``PYTHONPATH=collections python -m tests.reports`` makes the picture anew; with the folder of a lab, one of the newest
drill in there. Both need a Chromium.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill, write_drill
from ansible_collections.vedfinance.platform.plugins.module_utils._report import read_source
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.pages import Book, book_of

from tests.conftest import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NOW = datetime(2026, 11, 23, 6, 45, tzinfo=UTC)
HOUR = 3600.0
PICTURE, LAB_PICTURE = (ROOT / "docs" / "images" / f"{name}.png" for name in ("drill-report", "lab-drill-report"))
_WIDTH = 900
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"
SECRET = "postgres://app:hunter2hunter2@db/vedfinance"
CHECKS = (
    "rows", "catalogue", "valid indexes and constraints", "sequences", "prisma_migrations", "there are users",
    "every account belongs to a user", "no migration is stuck", "content", "settings and grants of the database",
)  # fmt: skip
TABLES = (
    ("behavior_logs", 1_632_000, 68_000), ("transactions", 576_400, 24_000), ("lesson_progress", 480_000, 20_000),
    ("enrollments", 240_000, 10_000), ("notifications", 240_000, 10_000), ("quiz_attempts", 192_000, 8_000),
    ("sessions", 144_000, 6_000), ("accounts", 96_000, 4_000), ("users", 96_000, 4_000),
    ("savings_goals", 95_970, 4_002), ("integrity_checks", 1_804, 24), ("courses", 500, 0),
    ("lessons", 1_086, 0), ("_prisma_migrations", 14, 0),
)  # fmt: skip
SECONDS = {
    "judge": 7.8, "create": 0.4, "load": 52.6, "schema": 0.4, "data": 38.1, "indexes": 9.4, "constraints": 4.5,
    "views": 0.2, "verify": 11.2, "keep": 0.6, "total": 72.9,
}  # fmt: skip
CLOCK = {"began": 0.0, "planned": 9.2, "stopped": 13.0, "restored": 87.0, "healthy": 94.2}
CUT_OFF = {
    "path": "/backups/postgres/vedfinance_20261123_020000.sql.gz",
    "reason": "cut off in the data of table public.behavior_logs: the end of the dump is missing",
    "code": "truncated",
}


def night(days_ago: int, **changes: Any) -> Drill:
    """The drill of a night, at half past three, of the dump of two o'clock."""
    began = NOW.replace(hour=3, minute=30) - timedelta(days=days_ago)
    dumped = began.replace(hour=2, minute=0)
    grown = 1 - days_ago * 0.006
    values: dict[str, Any] = {
        "run": f"{began:%Y%m%dT%H%M%SZ}",
        "database": "vedfinance",
        "host": "vps",
        "outcome": "proved",
        "dump": {
            "path": f"/backups/postgres/vedfinance_{dumped:%Y%m%d_%H%M%S}.dump",
            "name": f"vedfinance_{dumped:%Y%m%d_%H%M%S}.dump",
            "sha256": hashlib.sha256(str(dumped).encode()).hexdigest(),
            "bytes": int(214_000_000 * grown),
            "format": "custom",
            "dumped_at": dumped.isoformat(),
        },
        "verify": "content",
        "began": began.isoformat(),
        "ended": (began + timedelta(seconds=81)).isoformat(),
        "proof": [
            *({"name": name, "result": "passed", "detail": "", "seconds": 0.4} for name in CHECKS),
            {"name": "newest business row", "result": "passed", "detail": str(dumped.timestamp() - 41), "seconds": 0.1},
        ],
        "rows": sum(rows for _name, rows, _new in TABLES),
        "tables": [{"name": f"public.{name}", "rows": rows, "live_rows": rows + new} for name, rows, new in TABLES],
        "compared_to_live": {"msg": "The recovery would lose 158,026 rows in 11 tables."},
        "seconds": SECONDS,
        "restore_seconds": 72.0 * grown,
        "rto_seconds": 84.0 * grown + 3 * (days_ago % 4),
        "rto_source": "restore and swap, and the API's restart as in the last recovery",
        "rpo_seconds": 5441.0 + 300 * (days_ago % 5),
        "rpo_source": "newest business row",
        "kept_as": "vedfinance__verified_1f0a9c33d2b7",
    }
    return Drill(**{**values, **changes})


def bad_night(days_ago: int, outcome: str = "failed", reason: str = "", **changes: Any) -> Drill:
    nothing: dict[str, Any] = {
        "outcome": outcome,
        "reason": reason or "the rows of public.users are not those of the dump: 95,998 of 96,000",
        "proof": [{"name": "rows", "result": "failed", "detail": "public.users has 95,998 rows, 96,000 were sent"}],
        "rto_seconds": None,
        "rpo_seconds": None,
        "restore_seconds": None,
        "kept_as": None,
        **changes,
    }
    if outcome == "could_not_run":
        nothing = {"dump": {}, "tables": [], "rows": 0, "seconds": {}, **nothing, "proof": []}
    return night(days_ago, **nothing)


def good_month() -> list[Drill]:
    """One with two bad nights, long past."""
    past = {17: bad_night(17), 18: bad_night(18, "could_not_run", "No space left for a second copy of the database.")}
    return [past.get(days) or night(days) for days in range(30)]


def recovery(**changes: Any) -> dict[str, Any]:
    began = (NOW - timedelta(hours=1)).timestamp()
    drill = night(0)
    return {
        "run": "20261123T054500Z",
        "kind": "disaster_recovery",
        "outcome": "succeeded",
        "message": "vedfinance now holds 3,795,774 rows from /backups/postgres/vedfinance_20261123_020000.dump.",
        "restored": True,
        "host": "vps",
        "user": "ops",
        "began": began,
        "ended": began + 99,
        "database": "vedfinance",
        "previous_database": "vedfinance__before_20261123_054501",
        "verified_database": None,
        "built_indexes": [],
        "outstanding_indexes": [],
        "dump": {**drill.dump, "size": drill.dump["bytes"], "created": drill.dump["dumped_at"]},
        "rejected": [CUT_OFF],
        "rpo_seconds": 3.75 * HOUR,
        "rto_seconds": 94.2,
        "outage_seconds": 85.0,
        "database_downtime_seconds": 0.11,
        "seconds": {**SECONDS, "swap": 0.11},
        "rows": drill.rows,
        "tables": list(drill.tables),
        "compared_to_live": dict(drill.compared_to_live),
        "proof": list(drill.proof)[:-1],
        "clock": {name: began + after for name, after in CLOCK.items()},
        **changes,
    }


def other(kind: str = "deploy", **changes: Any) -> dict[str, Any]:
    began = (NOW - timedelta(days=2)).timestamp()
    run = "20261121T064500Z"
    return {
        "run": run, "kind": kind, "outcome": "succeeded", "message": "1.5.0 serves", "host": "vps", "began": began,
        "ended": began + 60, **changes,
    }  # fmt: skip


def write(folder: Path, drills: list[Drill], journal: list[dict[str, Any]] | None = None) -> None:
    """A ledger and a journal, as they stand on a host."""
    (folder / "ledger").mkdir(parents=True, exist_ok=True)
    (folder / "journal").mkdir(exist_ok=True)
    for drill in drills:
        write_drill(str(folder / "ledger"), drill)
    for entry in journal or []:
        (folder / "journal" / f"{entry['run']}_{entry['kind']}.json").write_text(json.dumps(entry))


def source_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """As the module reads it."""
    return {
        **read_source(str(folder / "ledger"), str(folder / "journal"), ["vedfinance"], 60),
        "databases": ["vedfinance"],
        "host": "vps",
        "now": NOW.isoformat(),
        "max_age": 26 * HOUR,
        "targets": {"rpo": 26 * HOUR, "rto": HOUR / 2},
        "present": [],
        **changes,
    }


def made(folder: Path, drills: list[Drill], journal: list[dict[str, Any]] | None = None, **changes: Any) -> Book:
    """The pages, as files in the folder."""
    write(folder, drills, journal)
    book = book_of(source_of(folder, **changes))
    for name, page in book.pages.items():
        (folder / name).write_text(page, encoding="utf-8")
    return book


def browser_path() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def picture(page_file: Path, browser: str, target: Path) -> None:
    """Of the page of a drill, down to the charts: the tables below are a long read."""
    with chromium(browser) as opened:
        page = opened.new_page(viewport={"width": _WIDTH, "height": 800})
        page.goto(page_file.as_uri())
        end = page.locator("section", has=page.locator("figure")).bounding_box() or {}
        target.parent.mkdir(exist_ok=True)
        whole = {"x": 0.0, "y": 0.0, "width": _WIDTH, "height": end["y"] + end["height"] + 24}
        page.screenshot(path=target, full_page=True, clip=whole)  # type: ignore[arg-type]
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1000} kB")


def main() -> None:
    browser = browser_path()
    if browser is None:
        sys.exit(f"No browser is installed: one of {', '.join(BROWSERS)} is needed.")
    with tempfile.TemporaryDirectory() as folder:
        if lab := sys.argv[1:]:
            book = book_of_lab(Path(lab[0]), Path(folder))
            picture(Path(folder) / next(iter(book.keys.values())), browser, LAB_PICTURE)
        else:
            book = made(Path(folder), good_month())
            picture(Path(folder) / book.keys[f"{night(0).run}_vedfinance"], browser, PICTURE)


def book_of_lab(state: Path, folder: Path) -> Book:
    """The pages of the drills that a lab has really made."""
    found = read_source(str(state / "ledger"), str(state / "journal"), [], 60)
    book = book_of(source_of(folder, **found, databases=[], host="lab", now=datetime.now(UTC).isoformat()))
    for name, page in book.pages.items():
        (folder / name).write_text(page, encoding="utf-8")
    return book


if __name__ == "__main__":
    main()
