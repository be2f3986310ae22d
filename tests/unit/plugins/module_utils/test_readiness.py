# SPDX-License-Identifier: GPL-3.0-or-later
"""What was not seen has not passed, and what is lacking is told in the order in which it matters."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._readiness import (
    ESSENTIAL_LACKING,
    FAIL,
    OK,
    PROBES,
    SKIPPED,
    UNCHECKED,
    WARN,
    Limits,
    judge,
    score,
)

from tests.modules import run_module

NOBODY: dict[str, Any] = {"skipped": True, "changed": False}
READY: dict[str, Any] = {
    "ping": {"ping": "pong"},
    "host": {
        "clock_skew": 0.4,
        "folders": [{"path": "/l", "exists": False, "writable": True}],
        "database": {"reached": True, "exists": True, "skew": -0.01, "version": "16.14", "detail": ""},
        "schedules": [{"name": "vedfinance-drill", "state": "present", "detail": "Tue 03:30"}],
        "offsite": {"reached": True, "copies": 14, "detail": ""},
    },
    "dokploy": {
        "version": "v0.30.2",
        "application": {"project": "p", "environment": "e", "name": "api"},
        "quiesced": False,
        "tasks": [{"state": "running"}, {"state": "shutdown"}],
    },
    "health": {"healthy": True, "url": "http://127.0.0.1/health"},
    "outside": {"healthy": True, "url": "http://x/health"},
    "integrity": {"healthy": True, "url": "http://127.0.0.1/i"},
    "dumps": {"msg": "found", "latest_stable": {"age": "3 h", "age_seconds": 10800}, "rejected": []},
    "restore": {
        "msg": "Would restore.",
        "plan": {"problems": [], "preflight": [{"name": "roles", "result": "passed", "detail": ""}],
                 "disk": {"free": 5_000, "needed": 1_000}},
    },
    "ledger": {"msg": "proved", "missed": None, "failures_in_a_row": 0},
    "lock": {"lock": None},
    "notify": {"msg": "Would tell System Admin."},
}  # fmt: skip


def judged(**changes: Any) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in judge({**deepcopy(READY), **changes}, Limits())}


def points(**changes: Any) -> int:
    return score(judge({**deepcopy(READY), **changes}, Limits()))


def part(name: str, **changes: Any) -> dict[str, Any]:
    return {name: {**deepcopy(READY[name]), **changes}}


def test_all_is_well() -> None:
    probes = judged()
    assert {one["result"] for one in probes.values()} == {OK}
    assert points() == 100
    assert not any(one["fix"] for one in probes.values())


def test_nothing_asked_is_nothing_passed() -> None:
    probes = judge({}, Limits())
    assert {one["result"] for one in probes} == {UNCHECKED, SKIPPED}
    assert score(probes) == 0


@pytest.mark.parametrize("name", sorted(set(READY) - {"outside", "integrity", "notify"}))
def test_what_could_not_be_asked_never_passes(name: str) -> None:
    for answer in (NOBODY, {}, {"unreachable": True, "msg": "no route"}):
        results = {one["result"] for one in judged(**{name: answer}).values()}
        assert UNCHECKED in results
        assert points(**{name: answer}) < 100


@pytest.mark.parametrize("name", sorted(set(READY)))
def test_an_answer_that_nobody_understands_never_passes(name: str) -> None:
    before, after = points(), points(**{name: {"strange": 1}})
    assert name == "ping" or after < before or name == "notify"


@pytest.mark.parametrize("name", ["outside", "integrity", "notify"])
def test_what_is_not_configured_does_not_count(name: str) -> None:
    assert points(**{name: NOBODY}) == 100


def test_no_offsite_is_told_and_does_not_count() -> None:
    probe = judged(**part("host", offsite={}))["the offsite remote has copies"]
    assert probe["result"] == SKIPPED
    assert "if its disk dies" in probe["detail"]
    assert points(**part("host", offsite={})) == 100


@pytest.mark.parametrize(
    ("changes", "name", "result", "words"),
    [
        (part("host", clock_skew=-20.0), "the host's clock is right", WARN, "20.0 s behind the controller"),
        (part("host", clock_skew=61.0), "the host's clock is right", FAIL, "61.0 s ahead"),
        (part("host", clock_skew=None), "the host's clock is right", UNCHECKED, "did not tell"),
        (part("host", folders=[{"path": "/j", "exists": True, "writable": False}]),
         "the folders of the records can be written", FAIL, "/j cannot be written"),
        (part("host", database={"reached": False, "exists": False, "skew": None, "version": None, "detail": "refused"}),
         "the database server answers", FAIL, "refused"),
        (part("host", database={**READY["host"]["database"], "exists": False}),
         "the database server answers", WARN, "has no such database"),
        (part("host", schedules=[{"name": "b", "state": "stopped", "detail": "b.timer is inactive"}]),
         "backups and drills are scheduled", FAIL, "inactive"),
        (part("host", schedules=[{"name": "b", "state": "unknown", "detail": "systemctl does not answer"}]),
         "backups and drills are scheduled", UNCHECKED, "does not answer"),
        (part("host", schedules=[]), "backups and drills are scheduled", OK, "drills are made in time"),
        ({**part("host", schedules=[]), **part("ledger", missed="there has never been a drill")},
         "backups and drills are scheduled", UNCHECKED, "no drill shows"),
        (part("host", offsite={"reached": False, "copies": 0, "detail": "no such remote"}),
         "the offsite remote has copies", FAIL, "no such remote"),
        (part("host", offsite={"reached": True, "copies": 0, "detail": ""}),
         "the offsite remote has copies", FAIL, "0 dumps"),
        (part("dokploy", tasks=None), "the key may read Docker", FAIL, "may not read Docker"),
        (part("dokploy", tasks=None), "the application runs", UNCHECKED, "cannot be read"),
        (part("dokploy", quiesced=True), "the application runs", FAIL, "nothing has started it again"),
        (part("dokploy", tasks=[{"state": "failed"}]), "the application runs", FAIL, "tasks that run: 0"),
        ({"dokploy": {"failed": True, "msg": "401 Unauthorized"}},
         "Dokploy takes the key and has the application", FAIL, "401"),
        ({"health": {"failed": True, "healthy": False, "msg": "503"}}, "the API is healthy", FAIL, "503"),
        (part("dumps", latest_stable=None), "there is a dump that can be restored", FAIL, "found"),
        (part("dumps", latest_stable={"age": "2 d", "age_seconds": 172800}), "the newest dump is fresh", FAIL, "2 d"),
        (part("dumps", rejected=[{"path": "/b/x", "reason": "cut off"}]), "no newer dump was rejected", WARN, "cut"),
        (part("restore", plan={"problems": ["no right to create"]}), "a restore could begin", FAIL, "no right"),
        (part("restore", plan={"preflight": [{"name": "slots", "result": "warning", "detail": "two"}]}),
         "a restore could begin", WARN, "slots: two"),
        (part("restore", plan={"disk": {"free": 900, "needed": 1000}}), "there is disk for a restore", FAIL, "900 B"),
        (part("restore", plan={"disk": {"free": 1900, "needed": 1000}}), "there is disk for a restore", WARN, "1.9 kB"),
        (part("restore", plan={"disk": {"free": None, "needed": 1}}), "there is disk for a restore", UNCHECKED, "seen"),
        (part("restore", plan={"verified_database": "v"}), "there is disk for a restore", OK, "v takes over"),
        (part("ledger", failures_in_a_row=1, msg="did not prove"), "a drill has proved a dump in time", FAIL, "did"),
        ({"lock": {"lock": {"playbook": "deploy", "run": "R1"}}}, "nobody else is at work", WARN, "deploy holds it"),
        ({"notify": {"msg": "", "unreached": ["System Admin"]}}, "the contacts can be told", FAIL, "System Admin"),
    ],
)  # fmt: skip
def test_each_lack_is_found(changes: dict[str, Any], name: str, result: str, words: str) -> None:
    probe = judged(**changes)[name]
    assert probe["result"] == result
    assert words in probe["detail"]
    assert bool(probe["fix"]) is (result != OK)


def test_what_matters_most_stands_first() -> None:
    order = [one["name"] for one in judge({**deepcopy(READY), **part("dumps", latest_stable=None, rejected=[
        {"path": "x", "reason": "y"}]), **part("ledger", missed="late")}, Limits())]  # fmt: skip
    assert order[:2] == ["there is a dump that can be restored", "a drill has proved a dump in time"]
    assert order.index("no newer dump was rejected") < order.index("the host answers")


@pytest.mark.parametrize("essential", [probe.name for probe in PROBES if probe.essential])
def test_without_an_essential_it_is_not_half_ready(essential: str) -> None:
    probes = judge(READY, Limits())
    next(one for one in probes if one["name"] == essential)["result"] = FAIL
    assert score(probes) == ESSENTIAL_LACKING


def test_secrets_of_an_answer_are_masked() -> None:
    probes = judged(dokploy={"failed": True, "msg": "x-api-key: abcdefghijkl was refused by postgres://u:pw@h/d"})
    assert "abcdefghijkl" not in str(probes)
    assert "pw@" not in str(probes)


def test_the_module_says_it_in_a_sentence() -> None:
    result = run_module("runbook_readiness", {"answers": {**READY, **part("ledger", missed="late", msg="late")}})
    assert result["score"] < 100
    assert result["msg"] == f"Ready: {result['score']} of 100. To mend: a drill has proved a dump in time."
    assert run_module("runbook_readiness", {"answers": {"ping": NOBODY}})["msg"].startswith("Not ready: 0 of 100.")
