# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: complete, self-contained, and harmless whatever stands in the ledger."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report import charts, words
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.charts import SIZES, TIMES, Chart, Point
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.model import Page, Targets, file_of
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.pages import NO_CHARTS, book_of
from ansible_collections.vedfinance.platform.plugins.plugin_utils._report.runs import drill_page, recovery_page

from tests.reports import CUT_OFF, HOSTILE, HOUR, bad_night, good_month, night, other, recovery, source_of, write

TARGETS = Targets(rpo=26 * HOUR, rto=HOUR / 2, max_age=26 * HOUR)
VOID = {"meta", "link"}


class Elements(HTMLParser):
    """Every element with its attributes, and whether all of them are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page_of(page: Page, name: str) -> str:
    return dict(page.facts)[name]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("host")
    write(folder, good_month()[:4], [recovery(), other(), other("rollback", run="20261120T064500Z")])
    return book_of(source_of(folder))


def test_there_is_a_page_for_each_drill_and_recovery_and_the_index(book: Any) -> None:
    assert set(book.pages) == {
        "index.html",
        "20261123T033000Z_vedfinance.html",
        "20261122T033000Z_vedfinance.html",
        "20261121T033000Z_vedfinance.html",
        "20261120T033000Z_vedfinance.html",
        "20261123T054500Z_disaster_recovery.html",
    }
    assert book.keys["20261123T033000Z_vedfinance"] == "20261123T033000Z_vedfinance.html"


def test_every_link_leads_to_a_page(book: Any) -> None:
    for text in book.pages.values():
        links = {attributes["href"] for attributes in Elements(text).all("a")}
        assert links - {"#main"} <= set(book.pages)
    assert set(book.keys.values()) <= {link["href"] for link in Elements(book.pages["index.html"]).all("a")}


def test_pages_need_nothing_else(book: Any) -> None:
    for text in book.pages.values():
        elements = Elements(text)
        assert not elements.all("script")
        assert not [attributes for _tag, attributes in elements.found if attributes.get("src")]
        assert [link["href"] for link in elements.all("link")] == ["data:,"]
        assert not re.search(r"url\(|@import", text)


def test_every_picture_has_its_name_and_description(book: Any) -> None:
    for text in book.pages.values():
        elements = Elements(text)
        pictures = elements.all("svg")
        identities = [attributes["id"] for _tag, attributes in elements.found if attributes.get("id")]
        assert len(pictures) == 3
        assert len(identities) == len(set(identities))
        for one in pictures:
            assert one["role"] == "img"
            assert set((one["aria-labelledby"] or "").split()) <= set(identities)


def test_a_page_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    write(tmp_path, [night(0), night(1)])
    made = book_of(source_of(tmp_path, present=["index.html", "20261122T033000Z_vedfinance.html"]))
    assert set(made.pages) == {"index.html", "20261123T033000Z_vedfinance.html"}


def test_a_page_does_not_know_the_future(tmp_path: Path) -> None:
    write(tmp_path, [bad_night(0), night(1), night(2)])
    text = book_of(source_of(tmp_path)).pages["20261122T033000Z_vedfinance.html"]
    assert "No need to worry" in text
    assert "23 Nov" not in text


def test_nothing_hostile_gets_through(tmp_path: Path) -> None:
    drill = night(
        0,
        database="a" + HOSTILE.replace("/", ""),
        host=HOSTILE,
        dump={**night(0).dump, "name": HOSTILE, "path": HOSTILE, "sha256": HOSTILE, "format": HOSTILE},
        proof=[{"name": HOSTILE, "result": HOSTILE, "detail": HOSTILE}],
        tables=[{"name": HOSTILE, "rows": 1, "live_rows": 2}],
        rejected=[{"path": f"/x/{HOSTILE}", "reason": HOSTILE}],
        compared_to_live={"msg": HOSTILE},
        kept_as=HOSTILE, rpo_source=HOSTILE, rto_source=HOSTILE, verify=HOSTILE,
    )  # fmt: skip
    entry = recovery(**dict.fromkeys(("message", "host", "user", "previous_database"), HOSTILE))
    source = source_of(
        tmp_path,
        drills=[drill.as_dict(), bad_night(1, "could_not_run", HOSTILE).as_dict()],
        journal=[entry, other(message=HOSTILE, outcome=HOSTILE)],
        databases=[],
        host=HOSTILE,
        problems=[HOSTILE],
    )
    made = book_of(source)
    assert len(made.pages) == 4
    for name, text in made.pages.items():
        assert re.fullmatch(r"[\w.-]+", name)
        elements = Elements(text)
        assert not elements.all("script")
        assert not elements.all("img")
        assert not [attributes for _tag, attributes in elements.found if "onerror" in attributes]
        assert "&lt;script&gt;" in text


def test_an_entry_that_somebody_has_damaged_hides_no_other(tmp_path: Path) -> None:
    broken = [night(1, tables="none").as_dict(), night(2, seconds={"load": "long"}).as_dict()]
    source = source_of(
        tmp_path, drills=[night(0).as_dict(), *broken], journal=[recovery(clock=7), recovery(run="20261122T000000Z")]
    )
    made = book_of(source)
    assert set(made.keys) == {"20261123T033000Z_vedfinance", "20261122T000000Z_disaster_recovery"}
    assert [problem.split(" cannot be shown")[0] for problem in made.problems] == [
        "20261122T033000Z (drill)",
        "20261121T033000Z (drill)",
        "20261123T054500Z (disaster_recovery)",
    ]
    assert "What cannot be read" in made.pages["index.html"]


def test_without_the_charting_library_the_figures_remain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "HAS_PYGAL", False)
    made = book_of({**source_of(tmp_path), "drills": [night(0).as_dict()]})
    page = made.pages["20261123T033000Z_vedfinance.html"]
    assert not Elements(page).all("svg")
    assert "Newest 1 h 30 min, lowest 1 h 30 min" in page
    assert made.warnings == [NO_CHARTS]


def test_keys_become_names_that_never_collide() -> None:
    assert file_of("20261123T033000Z_vedfinance") == "20261123T033000Z_vedfinance.html"
    assert file_of("a b") != file_of("a/b")
    assert re.fullmatch(r"[\w.-]+\.html", file_of("a b"))


def test_checks_that_did_not_pass_come_first_and_in_words() -> None:
    proof = [
        {"name": "content", "result": "passed"},
        {"name": "a crowd", "result": "could not run", "detail": "no"},
    ]
    page = drill_page([bad_night(0, proof=proof)], TARGETS)
    assert [(check.words, check.level) for check in page.checks] == [
        ("Your check: a crowd", "bad"),
        ("Every row equals the dump's, bit for bit", "good"),
    ]
    assert page.verdict.level == "bad"


def test_tables_come_by_the_largest_difference() -> None:
    tables = [
        {"name": "same", "rows": 900, "live_rows": 900},
        {"name": "gained", "rows": 10, "live_rows": 3},
        {"name": "lost", "rows": 10, "live_rows": 60},
        {"name": "not counted", "rows": 5, "live_rows": None},
    ]
    rows = drill_page([night(0, tables=tables)], TARGETS).rows
    assert [(row.name, words.difference(row.difference)) for row in rows] == [
        ("lost", "−50"), ("gained", "+7"), ("same", "0"), ("not counted", "unknown"),
    ]  # fmt: skip


def test_phases_stand_one_behind_the_other() -> None:
    bars = {bar.name: bar for bar in drill_page([night(0)], TARGETS).bars}
    load, rows, prove = bars["Load"], bars["Rows"], bars["Prove"]
    assert bars["Read and judge the dump"].start == 0
    assert rows.part
    assert load.start <= rows.start
    assert rows.start + rows.width <= load.start + load.width + 0.1
    assert prove.start == pytest.approx(load.start + load.width, abs=0.05)
    last = bars["Keep it ready"]
    assert last.start + last.width == pytest.approx(100, abs=0.1)


def test_the_timeline_of_a_recovery_shows_the_outage() -> None:
    bars = {bar.name: bar for bar in recovery_page(recovery(), [], TARGETS).bars}
    outage = bars["API out of service"]
    assert outage.outage
    assert outage.seconds == pytest.approx(85)
    assert outage.start == pytest.approx(100 * 9.2 / 99, abs=0.1)


@pytest.mark.parametrize(
    ("marks", "last", "out"),
    [
        (["began"], "Find the dump, plan (failed), and back", False),
        (["began", "planned", "stopped"], "Restore, prove, swap (failed), and back", True),
        (["began", "planned", "stopped", "restored"], "Start the API, until it is healthy (failed), and back", True),
    ],
)
def test_a_failed_recovery_ends_where_it_failed(marks: list[str], last: str, out: bool) -> None:
    clock = {name: at for name, at in recovery()["clock"].items() if name in marks}
    entry = recovery(outcome="failed", message="no", clock=clock, outage_seconds=None, rto_seconds=None, seconds={})
    page = recovery_page(entry, [], TARGETS)
    assert page.bars[-1].name == last
    assert any(bar.outage for bar in page.bars) is out
    assert page.verdict.headline == "Not recovered"
    assert page.tiles[0].value != words.UNKNOWN
    assert page.checks[0].level == "bad"


def test_a_recovery_says_what_is_left_to_do() -> None:
    page = recovery_page(recovery(outstanding_indexes=["public.i"], rto_seconds=1900.0), [], TARGETS)
    assert page.verdict.level == "warning"
    assert "But it took 31 min, and 30 min were promised." in str(page.verdict)
    assert "But 1 index must still be built" in str(page.verdict)
    assert [dump.name for dump in page.rejected] == [Path(CUT_OFF["path"]).name]
    assert page_of(page, "Indexes still to be built") == "public.i"


def test_an_undone_recovery_is_told_as_that() -> None:
    page = recovery_page(recovery(outcome="undone", message="back", proof=[]), [], TARGETS)
    assert page.verdict.headline == "Undone"
    assert [check.words for check in page.checks] == ["The API is healthy on the old database"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"), (0, "0 s"), (0.004, "4 ms"), (3.42, "3.4 s"), (84.4, "84 s"), (1800, "30 min"),
        (7200, "2 h"), (7260, "2 h 1 min"), (93600, "26 h"), (172800, "2 d"), (190000, "2 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds: float | None, text: str) -> None:
    assert words.span(seconds) == text


def test_ordinals() -> None:
    assert [words.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip


def test_a_target_is_drawn_where_it_does_not_flatten_the_rest() -> None:
    near = Chart("n", "N", [Point("1", 100.0)], words.span, TIMES, 300.0)
    far = Chart("f", "F", [Point("1", 100.0)], words.span, TIMES, 3000.0)
    assert "the dashed line" in near.caption
    assert "far above this chart" in far.caption
    assert (charts.line(near) or "").count("color-2") > (charts.line(far) or "").count("color-2") == 0


def test_what_was_not_proved_is_crossed() -> None:
    chart = Chart("s", "S", [Point("1", 10.0), Point("2", 10.0, proved=False)], words.size, SIZES)
    assert (charts.bars(chart) or "").count("✕") == 2  # in the picture and in its description
    assert "1 of 2 without a proof" in chart.caption


def test_nothing_measured_is_nothing_drawn() -> None:
    chart = Chart("s", "S", [Point("1", None, proved=False)], words.span, TIMES)
    assert charts.line(chart) is None
    assert chart.caption == "Nothing has been measured yet."
