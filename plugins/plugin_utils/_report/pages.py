# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the HTML: one file each, which needs no other. Whatever comes from outside is escaped by the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._ledger import Drill, Ledger, of_database
from ansible_collections.vedfinance.platform.plugins.module_utils._report import INDEX
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import charts, words
from .index import index, section
from .model import RECOVERY, SYMBOLS, Page, Targets, Verdict, drill_key, entry_key, file_of
from .runs import drill_page, recovery_page

NO_CHARTS = "The pages have no charts, only figures: the controller lacks the Python library pygal."
_TEMPLATES = Path(__file__).with_name("templates")
# Even if a text got through unescaped, a browser would neither run nor fetch anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_SHOWN_ROWS, _SHOWN_DRILLS = 8, 14
_ENTRY_FIELDS = {one.name for one in fields(Drill)}


@dataclass(frozen=True)
class Book:
    """The pages by name, and what the index says.

    :ivar keys: by run and kind, or run and database, the name of each page that the index leads to.
    """

    pages: Mapping[str, str]
    keys: Mapping[str, str]
    verdict: Verdict
    problems: Sequence[str]
    warnings: Sequence[str]


def book_of(source: Mapping[str, Any]) -> Book:
    """:param source: what the module has read on the host."""
    now = datetime.fromisoformat(source["now"])
    targets = Targets(source["targets"]["rpo"], source["targets"]["rto"], source["max_age"])
    problems = list(source["problems"])
    ledger = Ledger(_understood(source["drills"], lambda one: _drill(one, targets), problems))
    journal = _understood(source["journal"], lambda one: _entry(one, targets), problems)
    databases = source["databases"] or sorted({drill.database for drill in ledger})
    found = [section(name, of_database(ledger, name), targets, now) for name in databases]
    newest = ledger[0].ended_at if ledger else None
    said = index(source["host"], found, journal, problems, targets, newest, now)

    recoveries = [entry for entry in journal if entry["kind"] == RECOVERY]
    keys = {key: file_of(key) for key in [*map(drill_key, ledger), *map(entry_key, recoveries)]}
    wanted = {name for name in keys.values() if name not in source["present"]}
    desk = _desk()
    pages = {INDEX: desk.get_template("index.html.j2").render(index=said)}
    told = desk.get_template("page.html.j2")
    for place, drill in enumerate(ledger):
        if file_of(drill_key(drill)) in wanted:
            page = drill_page(of_database(ledger[place:], drill.database), targets)
            pages[page.file] = told.render(page=page, host=source["host"])
    for entry in recoveries:
        if file_of(entry_key(entry)) in wanted:
            page = recovery_page(entry, _before(entry, ledger), targets)
            pages[page.file] = told.render(page=page, host=source["host"])
    return Book(pages, keys, said.verdict, problems, [] if charts.HAS_PYGAL else [NO_CHARTS])


def _understood(told: Sequence[Mapping[str, Any]], read: Any, problems: list[str]) -> list[Any]:
    """Those of which a page can be made. One that somebody has damaged by hand must not hide all others."""
    good = []
    for one in told:
        where = f"{one.get('run')} ({one.get('kind', 'drill')})"
        try:
            good.append(read(one))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, OSError) as error:
            problems.append(f"{where} cannot be shown: {type(error).__name__}: {error}")
    return good


def _drill(told: Mapping[str, Any], targets: Targets) -> Drill:
    drill = Drill(**{name: value for name, value in told.items() if name in _ENTRY_FIELDS})
    _told(drill_page([drill], targets))
    return drill


def _entry(told: Mapping[str, Any], targets: Targets) -> Mapping[str, Any]:
    index("", [], [told], [], targets, None, datetime.now().astimezone())
    if told["kind"] == RECOVERY:
        _told(recovery_page(told, [], targets))
    return told


def _told(page: Page) -> list[str]:
    """All that is still to be put into words: a damaged entry fails here, before anything is written."""
    return [*(chart.caption for chart in page.charts), *(words.span(phase.seconds) for phase in page.bars)]


def _before(entry: Mapping[str, Any], ledger: Sequence[Drill]) -> list[Drill]:
    return [
        drill
        for drill in ledger
        if drill.database == entry.get("database") and drill.began_at.timestamp() <= float(entry["began"])
    ]


def _desk() -> Environment:
    desk = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    desk.globals.update(
        policy=_POLICY,
        symbols=SYMBOLS,
        shown_rows=_SHOWN_ROWS,
        shown_drills=_SHOWN_DRILLS,
        index_file=INDEX,
        words=words,
    )
    desk.filters.update(line=charts.line, bars=charts.bars)
    return desk
