# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a run over several platforms: each has a row, whatever became of it."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.plugin_utils._summary import Summary, reason_in

from tests.unit.plugins.scripted import FakeClock

PAGE = """NOT RECOVERED  vedfinance on b

what happened  "Restore, prove, swap" failed: the disk
database       untouched
"""


def summary_of(*hosts: str) -> tuple[Summary, FakeClock]:
    clock = FakeClock()
    summary = Summary(clock)
    summary.expect(["localhost", *hosts])
    summary.expect(hosts)
    return summary, clock


def test_each_platform_has_a_row_in_the_order_of_the_play() -> None:
    summary, clock = summary_of("a", "b", "long-name", "d")
    for host in ("a", "b", "long-name"):
        summary.begin(host)
    clock.sleep(1.5)
    summary.begin("a")
    summary.end("a")
    summary.end("b", PAGE)
    clock.sleep(1)
    summary.end("long-name", "no route to host")
    figures = {"a": {"what": "x.dump", "rpo_seconds": 36000.4, "rto_seconds": 12.2}}
    assert summary.lines({"b": 1}, {"long-name": 1}, figures) == [
        "PLATFORMS  1 FAILED, 1 UNREACHABLE, 1 not begun, 1 done",
        "",
        "platform   outcome      seconds",
        "a          done             1.5  RPO 10 h 00 min, RTO 12 s, x.dump",
        'b          FAILED           1.5  "Restore, prove, swap" failed: the disk',
        "long-name  UNREACHABLE      2.5  no route to host",
        "d          not begun",
        "the others again: --limit b,long-name,d",
    ]


def test_what_was_rescued_is_no_failure_and_the_last_word_of_a_failure_is_its_reason() -> None:
    summary, _clock = summary_of("a", "b")
    for host in ("a", "b"):
        summary.begin(host)
        summary.end(host, "the first thing that went wrong")
        summary.end(host)
    summary.end("b", PAGE)
    summary.end("b")
    rows = summary.lines(["b"], [], {})
    assert rows[3].split() == ["a", "done", "0.0"]
    assert rows[4].endswith('"Restore, prove, swap" failed: the disk')


def test_a_plan_is_called_a_plan() -> None:
    summary, _clock = summary_of("a", "b")
    summary.begin("a")
    summary.begin("b")
    assert summary.lines([], [], {}, planned=True)[0] == "PLATFORMS  2 planned"


@pytest.mark.parametrize("hosts", [(), ("a",)])
def test_one_platform_needs_no_table(hosts: tuple[str, ...]) -> None:
    summary, _clock = summary_of(*hosts)
    for host in (*hosts, "localhost"):
        summary.begin(host)
        summary.end(host, "failed")
    assert summary.lines(hosts, [], {}) == []


def test_no_table_when_the_check_before_the_work_has_refused() -> None:
    clock = FakeClock()
    summary = Summary(clock)
    summary.expect(["a", "b", "localhost"])
    summary.begin("a")
    summary.end("a", "No host matches")
    assert summary.lines(["a"], [], {}) == []


@pytest.mark.parametrize("kept", [None, "text", {}, {"rpo_seconds": None}])
def test_figures_that_are_none_say_nothing(kept: object) -> None:
    summary, _clock = summary_of("a", "b")
    summary.begin("a")
    assert summary.lines([], [], {"a": kept})[3].split() == ["a", "done", "0.0"]


def test_a_reason_is_one_short_line_of_what_can_be_printed() -> None:
    assert reason_in("a\n  b\tc") == "a b c"
    assert reason_in("what happened  \x1b[2Jgone\nmore") == "�[2Jgone"
    assert len(reason_in("x" * 500)) == 160
