# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a real Chromium shows it: on a phone, in the dark, on paper, to a screen reader, and under attack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.reports import (
    BROWSERS,
    CUT_OFF,
    HOSTILE,
    bad_night,
    browser_path,
    chromium,
    good_month,
    made,
    night,
    other,
    recovery,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
DRILL, RECOVERY = "20261123T033000Z_vedfinance.html", "20261123T054500Z_disaster_recovery.html"
PAGES = ("good/index.html", f"good/{DRILL}", "good/" + RECOVERY, "bad/index.html", f"bad/{DRILL}", "hostile/index.html")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a good month, of a bad one, and of one that means ill."""
    folder = tmp_path_factory.mktemp("reports")
    made(folder / "good", good_month()[:16], [recovery(), other()])
    bad = bad_night(0, rejected=[CUT_OFF], tables=night(0).tables)
    made(folder / "bad", [bad, night(1, rto_seconds=1500.0)], [recovery(outcome="failed", message="no", seconds={})])
    long = {"path": f"/x/{'a' * 200}", "reason": HOSTILE}
    hostile = night(0, rejected=[long], tables=[{"name": f"{'w' * 150}{HOSTILE}", "rows": 1, "live_rows": 10**12}])
    made(folder / "hostile", [hostile], [recovery(message=HOSTILE), other(message="b" * 300 + HOSTILE)])
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright", reason="the Python package playwright is not installed: make setup")
    path = browser_path()
    if path is None:
        pytest.skip(f"no browser is installed, so nobody has looked at the report: one of {', '.join(BROWSERS)}")
    with chromium(path) as found:
        yield found


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """One that reports whatever the browser complains of, and whatever it fetches."""
    context = browser.new_context(offline=True, bypass_csp=bool(getattr(request, "param", False)))
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    opened.on("requestfailed", lambda asked: complaints.append(f"failed {asked.url}"))
    opened.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or complaints.append(asked.url))
    yield opened
    context.close()
    assert not complaints


def show(page: Page, path: Path, size: Any = DESKTOP, **media: Any) -> None:
    page.set_viewport_size(size)
    page.emulate_media(**media)
    page.goto(path.as_uri())


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_needs_no_sideways_scrolling(page: Page, reports: Path, name: str) -> None:
    show(page, reports / name, PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1"
        " && !one.closest('thead, .hidden')).map(one => one.outerHTML.slice(0, 120))"
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("name", ["good/index.html", f"good/{DRILL}", "bad/index.html"])
def test_the_first_screen_of_a_phone_answers(page: Page, reports: Path, name: str) -> None:
    show(page, reports / name, PHONE)
    verdict = page.locator(".verdict")
    box = verdict.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < PHONE["height"] or "bad" in name
    assert page.locator(".verdict h2").bounding_box()["y"] < PHONE["height"] / 2  # type: ignore[index]
    assert page.locator(".verdict h2").inner_text() == ("Worry" if "bad" in name else "No need to worry")


@pytest.mark.parametrize("page", [True], indirect=True)
@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("good/index.html", "dark"),
        (f"good/{DRILL}", "light"),
        ("bad/index.html", "light"),
        (f"bad/{DRILL}", "dark"),
        ("hostile/index.html", "light"),
    ],
)
def test_axe_finds_nothing(page: Page, reports: Path, name: str, scheme: str) -> None:
    """Contrast, names, landmarks, headers and all the other rules of axe-core."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    show(page, reports / name, DESKTOP, color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_a_screen_reader_is_told_what_the_charts_show(page: Page, reports: Path) -> None:
    show(page, reports / "good" / DRILL)
    told = page.locator("main").aria_snapshot()
    assert 'img "RPO: age of the newest data Newest 1 h 30 min' in told
    assert 'heading "No need to worry"' in told
    assert 'rowheader "Read and judge the dump"' in told
    assert 'columnheader "Difference"' in told


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_it_is_dark_in_the_dark_and_white_on_paper(page: Page, reports: Path) -> None:
    show(page, reports / "good" / DRILL, color_scheme="light")
    light = background(page)
    page.emulate_media(color_scheme="dark")
    assert background(page) != light
    line = "getComputedStyle(document.querySelector('svg .color-0 .line')).stroke"
    in_the_dark = page.evaluate(line)
    page.emulate_media(color_scheme="dark", media="print")
    assert background(page) == "rgb(255, 255, 255)"
    assert page.evaluate(line) != in_the_dark


def test_paper_shows_what_a_screen_folds_away(page: Page, reports: Path) -> None:
    show(page, reports / "good" / DRILL)
    folded = page.locator("details table")
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()


def test_folded_tables_open_by_keyboard_with_a_visible_focus(page: Page, reports: Path) -> None:
    show(page, reports / "good" / DRILL)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("details table").is_visible()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("page", [False, True], indirect=True, ids=["as it is", "without its policy"])
def test_hostile_texts_do_nothing(page: Page, reports: Path) -> None:
    for path in sorted((reports / "hostile").glob("*.html")):
        show(page, path)
        assert page.title() != "owned"
        assert page.locator("script, img").count() == 0
        assert "onerror=alert(1)" in page.locator("body").inner_text()


def test_pictures_for_people(browser: Browser, reports: Path) -> None:
    """Kept where REPORT_PICTURES names a folder; each is more than an empty page in any case."""
    folder = os.environ.get("REPORT_PICTURES")
    for name, size in (("index.html", PHONE), (DRILL, DESKTOP)):
        page = browser.new_page(viewport=size)  # type: ignore[arg-type]
        page.goto((reports / "good" / name).as_uri())
        picture = page.screenshot(path=f"{folder}/{name}.png" if folder else None)
        page.close()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 20_000
