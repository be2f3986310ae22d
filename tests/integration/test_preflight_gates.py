# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates on real checkouts, with real programs: what passes, what hangs, and what is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.gates import Gate
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.preflight import (
    Preflight,
    World,
    checkout_at,
    run_gates,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.processes import Processes
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

from tests.modules import result_of, run_module, start_module

MODULE = "preflight_gates"
TREE = {"name": "tree", "kind": "clean_tree"}
BRANCH = {"name": "branch", "kind": "branch"}
MESSAGES = {"name": "messages", "kind": "commit_message"}


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.test", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with one commit that is pushed, and one that is not."""
    origin, folder = tmp_path / "origin.git", tmp_path / "checkout"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(origin)], check=True)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True, capture_output=True)
    git(folder, "switch", "-c", "main")
    commit(folder, "before there were rules")
    git(folder, "push", "--quiet", "origin", "main")
    commit(folder, "(ved-a1.2) keep balances positive")
    return folder


def commit(folder: Path, subject: str) -> None:
    (folder / "file").write_text(subject)
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "-m", subject)


def preflight(checkout: Path, *gates: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
    return run_module(MODULE, {"checkout": str(checkout), "gates": list(gates), **options}, check=check)


def outcomes(result: dict[str, Any]) -> dict[str, str]:
    return {gate["name"]: gate["outcome"] for gate in result["gates"]}


def alive(word: str) -> list[str]:
    """Processes that were called with this word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if word.encode() in arguments:
            found.append(folder.name)
    return found


def test_a_checkout_that_may_be_released(checkout: Path, tmp_path: Path) -> None:
    result = preflight(
        checkout,
        *(TREE, BRANCH, MESSAGES),
        {"name": "unit tests", "command": "printf '\\033[32m214 passed\\033[0m\\n'; test \"$CI\" = true"},
        {"name": "audit", "command": ["false"], "optional": True},
        {"name": "lint", "command": ["no-such-linter"], "chdir": "apps/gone"},
        skipped={"lint": "eslint is being replaced, see ved-311"},
        log_dir=str(tmp_path / "logs"),
    )
    assert result["passed"] is True, result["msg"]
    assert result["changed"] is False
    assert list(outcomes(result).values()) == ["passed"] * 4 + ["failed", "skipped"]
    assert "Optional ones did not: audit." in result["msg"]
    assert "lint (eslint is being replaced, see ved-311)" in result["msg"]
    tests = result["gates"][3]
    assert tests["tail"] == ["214 passed"]
    log = Path(tests["log"])
    assert re.fullmatch(r"\d{8}T\d{6}Z_unit_tests\.log", log.name)
    assert (log.read_text(), log.stat().st_mode & 0o777) == ("214 passed\n", 0o640)


def test_what_git_complains_of(checkout: Path) -> None:
    commit(checkout, "quick fix")
    git(checkout, "switch", "--quiet", "-c", "hotfix/login")
    (checkout / "scratch").touch()
    result = preflight(checkout, TREE, BRANCH, MESSAGES, keep_going=True)
    assert result["failed"]
    assert result["passed"] is False
    assert set(outcomes(result).values()) == {"failed"}
    for complaint in (
        "scratch",
        "on hotfix/login, not on main",
        "1 of 2 commits to push does not match",
        "'quick fix'",
    ):
        assert complaint in result["msg"]


def test_a_branch_that_the_remote_never_saw(checkout: Path) -> None:
    git(checkout, "update-ref", "-d", "refs/remotes/origin/main")
    result = preflight(checkout, MESSAGES)
    assert "1 of 2 commits to push does not match" in result["msg"]
    git(checkout, "push", "--quiet", "origin", "main:elsewhere")
    assert preflight(checkout, MESSAGES)["passed"] is True


def test_in_order_it_stops_at_the_first_failure(checkout: Path) -> None:
    bad = {"name": "bad", "command": "echo to stderr >&2; exit 3"}
    after = {"name": "after", "command": "touch was-run"}
    result = preflight(checkout, bad, after)
    assert outcomes(result) == {"bad": "failed", "after": "not_run"}
    assert (result["gates"][0]["exit_code"], result["gates"][0]["tail"]) == (3, ["to stderr"])
    assert not (checkout / "was-run").exists()
    assert outcomes(preflight(checkout, bad, after, keep_going=True))["after"] == "passed"


def test_a_missing_tool_is_found_before_anything_runs(checkout: Path) -> None:
    first = {"name": "first", "command": "touch was-run"}
    beads = {"name": "beads", "command": ["bd", "sync", "--no-daemon"], "environment": {"PATH": "/nowhere"}}
    result = preflight(checkout, first, beads)
    assert outcomes(result) == {"first": "not_run", "beads": "missing_tool"}
    assert "bd is not installed. bd: brew install beads" in result["msg"]
    assert not (checkout / "was-run").exists()
    shell = preflight(checkout, {"name": "later", "command": "cd . && no-such-tool", "get_tool": "ask Ann"})
    assert outcomes(shell) == {"later": "missing_tool"}
    assert "no-such-tool: ask Ann." in shell["msg"]


def test_a_plan_runs_nothing(checkout: Path) -> None:
    gates = [{"name": "first", "command": "touch was-run"}, {"name": "gone", "command": ["no-such-tool"]}, TREE]
    result = preflight(checkout, *gates, check=True, skipped={"tree": "only a look"})
    assert outcomes(result) == {"first": "would_run", "gone": "missing_tool", "tree": "skipped"}
    assert result["passed"] is None
    assert "no-such-tool is not installed" in result["msg"]
    assert not (checkout / "was-run").exists()


def test_gates_at_the_same_time(checkout: Path) -> None:
    """Each waits for the other, so that they pass only together."""
    gates = [
        {"name": one, "timeout": 20, "command": f"touch {one}; until test -e {other}; do sleep 0.02; done"}
        for one, other in (("a", "b"), ("b", "a"))
    ]
    assert preflight(checkout, *gates, parallel=2)["passed"] is True


def test_what_hangs_is_ended_with_all_that_it_started(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = "ansible_collections.vedfinance.platform.plugins.module_utils._preflight"
    monkeypatch.setattr(f"{package}.processes._GRACE", 0.2)
    (checkout / ".beads").mkdir()
    (checkout / ".beads" / "daemon.lock").write_text('{"pid": 4194999}')
    command = "setsid sleep 98761.5 & sleep 98761.5 & trap '' TERM; sleep 98761.5"
    hanging = {"name": "beads", "command": command, "timeout": 0.3, "lock_file": ".beads/daemon.lock"}
    result = preflight(checkout, hanging)
    assert outcomes(result) == {"beads": "timed_out"}
    assert "left behind by process 4194999, which is gone" in result["msg"]
    assert alive("98761.5") == []


def test_a_daemon_does_not_outlive_its_gate(checkout: Path) -> None:
    result = preflight(checkout, {"name": "sync", "command": "setsid sleep 98762.5 & echo done", "timeout": 30})
    assert result["passed"] is True
    # It may have no name of its own yet.
    assert "ended what it had left behind: " in result["gates"][0]["reason"]
    assert result["gates"][0]["tail"] == ["done"]
    assert alive("98762.5") == []


@pytest.fixture
def killed(checkout: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A checkout with what a run that was killed has left, and the gate that it was at."""
    gate = {"name": "tests", "command": "touch begun; sleep 98763.5"}
    process = start_module(MODULE, {"checkout": str(checkout), "gates": [gate]})
    deadline = time.monotonic() + 30
    while not (checkout / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    yield checkout, gate
    for pid in alive("98763.5"):
        os.kill(int(pid), signal.SIGKILL)


def test_the_next_run_ends_what_a_killed_one_left(killed: tuple[Path, dict[str, Any]]) -> None:
    checkout, gate = killed
    assert alive("98763.5")
    assert preflight(checkout, {**gate, "command": "true"})["passed"] is True
    assert alive("98763.5") == []


def test_the_end_of_the_play_ends_its_gates(checkout: Path) -> None:
    gates = [{"name": name, "command": f"touch {name}; sleep 98764.5"} for name in ("one", "two")]
    process = start_module(MODULE, {"checkout": str(checkout), "gates": gates, "parallel": 2})
    deadline = time.monotonic() + 30
    while not all((checkout / name).exists() for name in ("one", "two")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    assert "Ended before the work was done" in result_of(process)["msg"]
    assert alive("98764.5") == []


def test_ci_is_asked_until_it_knows(checkout: Path) -> None:
    ask = 'test "$PREFLIGHT_BRANCH" = main || exit 9; echo x >> ../asked; test $(wc -l < ../asked) -ge 2 || exit 8'
    ci = {"name": "ci", "kind": "ci_status", "command": ask, "timeout": 30, "interval": 1}
    result = preflight(checkout, ci)
    assert result["passed"] is True, result
    late = preflight(checkout, {**ci, "command": "exit 8", "timeout": 0.5})
    assert outcomes(late) == {"ci": "timed_out"}
    assert outcomes(preflight(checkout, {**ci, "command": "exit 1"})) == {"ci": "failed"}


def test_secrets_are_masked(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "inherited-token-1")
    gate = {"name": "loud", "command": 'echo "$PGPASSWORD then $DEPLOY_TOKEN"; echo api_key=looks-secret; exit 1'}
    result = preflight(checkout, gate, secret_environment={"PGPASSWORD": "hunter2-hunter2"}, log_dir=str(tmp_path))
    said = Path(result["gates"][0]["log"]).read_text()
    assert said == "*** then ***\napi_key=***\n"
    for secret in ("hunter2", "inherited-token", "looks-secret"):
        assert secret not in str(result["gates"])
        assert secret not in result["msg"]
    shouts = 'BEGIN { for (i = 0; i < 9000; i++) printf "[%s:%d] ", ENVIRON["PGPASSWORD"], i }'
    endless = {"name": "endless line", "command": ["awk", shouts]}
    result = preflight(checkout, endless, secret_environment={"PGPASSWORD": "hunter2-hunter2"}, log_dir=str(tmp_path))
    said = Path(result["gates"][0]["log"]).read_text()
    assert said.replace("\n", "") == "".join(f"[***:{number}] " for number in range(9000))


def test_a_full_disk_is_no_verdict_on_the_code(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def full(path: Any, flags: int, *mode: int) -> int:
        return opened("/dev/full" if str(path).endswith("_loud.log") else path, flags, *mode)

    monkeypatch.setattr(os, "open", full)
    world = World(Processes(str(checkout)), lambda: checkout_at(str(checkout)), SystemClock(), Progress())
    gate = Gate("loud", command=["sh", "-c", "echo tested; echo well"])
    (result,) = run_gates(Preflight([gate], str(checkout), log_dir=str(tmp_path), environment=os.environ), world)
    assert result.outcome == "passed"
    assert result.tail == ["tested", "… the log cannot be written any more: No space left on device", "well"]


def test_old_logs_are_forgotten(checkout: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for day in range(10, 25):
        (logs / f"202601{day}T000000Z_lint.log").touch()
    (logs / "of-somebody-else_lint.log").touch()
    preflight(checkout, {"name": "lint", "command": ["true"]}, log_dir=str(logs))
    assert len(list(logs.glob("20*_lint.log"))) == 10
    assert (logs / "20260124T000000Z_lint.log").exists()
    assert (logs / "of-somebody-else_lint.log").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"checkout": "/nowhere/at/all"}, "no folder"),
        ({"gates": [{"name": "a", "command": ["true"], "chdir": "apps/mobile"}]}, "apps/mobile"),
        ({"parallel": 0}, "parallel is 0"),
    ],
)
def test_what_cannot_be_run_is_refused(checkout: Path, options: dict[str, Any], complaint: str) -> None:
    arguments = {"checkout": str(checkout), "gates": [{"name": "a", "command": ["true"]}], **options}
    result = run_module(MODULE, arguments)
    assert result["failed"]
    assert complaint in result["msg"]


def test_a_checkout_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))  # the tests may be played inside a clone
    result = preflight(tmp_path, TREE)
    assert outcomes(result) == {"tree": "failed"}
    assert "the folder is no git checkout" in result["msg"]
