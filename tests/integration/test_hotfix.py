# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of the hotfix on real repositories, one for each case, without a platform to deploy to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.recovery import Play, recap_of
from tests.repositories import ALONE, Repositories

pytestmark = pytest.mark.slow

BRANCH = "hotfix/login-loop"
GATES = [
    {"name": "branch", "kind": "branch", "branch": "{{ hotfix_branch }}"},
    {"name": "clean tree", "kind": "clean_tree"},
    {"name": "commit messages", "kind": "commit_message"},
    {"name": "tests", "command": ["sh", "test.sh"]},
    {"name": "lint", "command": ["false"]},
]
REASON = "the linter is down, see ved-311"


class Case:
    """A host of its own with a checkout of its own."""

    def __init__(self, folder: Path, name: str, **variables: Any) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.world = Repositories(self.folder)
        self.here = self.world.here
        self.here.commit("(ved-1) Tests", test_sh="exit 0\n")
        self.here.push()
        self.journal = self.folder / "journal"
        self.variables = {
            "platform_checkout": str(self.here.folder),
            "platform_journal_dir": str(self.journal),
            **variables,
        }

    def branch(self, message: str = "(ved-2) Mend the login", **files: str) -> str:
        self.here.git("switch", "--quiet", "--create", BRANCH)
        return self.here.commit(message, **(files or {"fix_txt": "x\n"}))

    def merge(self) -> None:
        done = self.world.run("git_merge", source=BRANCH, into="main")
        assert done["pushed"], done

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.journal.glob("*_hotfix.json"))]

    def fingerprint(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.folder)): path.read_text(errors="replace")
            for path in self.folder.rglob("*")
            if path.is_file()
        }


Played = Callable[..., Play]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)

    def run(cases: list[Case], *arguments: str) -> Play:
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(tmp_path / "tmp"),
            "platform_preflight_log_dir": str(tmp_path / "logs"),
            "hotfix_deploy": False,
            "hotfix_gates": GATES,
        }
        hosts = {case.name: case.variables for case in cases}
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        command = ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), "-e", "target=all", "playbooks/hotfix.yml"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=False,
        )
        return Play(done.returncode, done.stdout + done.stderr, recap_of(done.stdout))

    return run


def said(play: Play) -> str:
    return " ".join(play.text.split())


def test_a_hotfix_begins(tmp_path: Path, play: Played) -> None:
    fresh = Case(tmp_path, "fresh", hotfix_name="login-loop", hotfix_share=True)
    dirty = Case(tmp_path, "dirty", hotfix_name=BRANCH)
    nameless = Case(tmp_path, "nameless")
    (dirty.here.folder / "new.txt").write_text("under way")
    text = said(play([fresh, dirty, nameless], "--tags", "start").failed())
    main = fresh.world.at()
    assert (fresh.here.git("branch", "--show-current"), fresh.world.at(BRANCH)) == (BRANCH, main)
    assert (dirty.here.git("branch", "--show-current"), dirty.here.head(BRANCH)) == ("main", dirty.world.at())
    assert dirty.world.at(BRANCH) is None
    assert "not switched, since there are changes that are not committed: new.txt" in text
    assert "--tags finish -e hotfix_name=login-loop" in text
    assert "hotfix_name is not given, and main is checked out." in text


def test_a_hotfix_reaches_the_users(tmp_path: Path, play: Played) -> None:
    """A good one, one whose play died after the push, one whose play died at the very end, and one that fails."""
    good = Case(tmp_path, "good", hotfix_skipped={"lint": REASON})
    merged = Case(tmp_path, "merged", hotfix_name="login-loop")
    over = Case(tmp_path, "over", hotfix_name="login-loop")
    failing = Case(tmp_path, "failing", hotfix_name="login-loop", hotfix_skipped={"lint": REASON})
    for case in (good, merged, over):
        case.branch()
        case.here.push(BRANCH)
    failing.branch(test_sh="echo the login fails still; exit 1\n")
    for case in (merged, over):
        case.merge()
    over.here.git("switch", "--quiet", "main")
    over.here.git("branch", "--quiet", "-D", BRANCH)
    over.here.push(f":{BRANCH}")
    over.here.git("pull", "--quiet", "--ff-only", "origin", "main")
    untested = failing.here.head()
    failing.here.git("switch", "--quiet", "main")

    cases = [good, merged, over, failing]
    before = [case.fingerprint() for case in cases]
    text = said(play([good, failing], "--tags", "finish", "--check").failed())
    assert [case.fingerprint() for case in cases] == before
    assert f"lint (SKIPPED: {REASON})" in text
    assert "(ved-2) Mend the login" in text
    assert "This was a dry run: nothing was touched." in text
    assert f"which are not those of {BRANCH} at {untested[:12]}" in text

    failing.here.git("switch", "--quiet", BRANCH)
    played = play(cases, "--tags", "finish").failed()
    text = said(played)
    for case in (good, merged, over):
        assert case.world.log().count(f"Merge branch '{BRANCH}'") == 1
        assert case.world.at(BRANCH) is None
        assert case.here.git("branch", "--format=%(refname:short)").splitlines() == ["main"]
        assert (case.here.head(), case.here.git("status", "--porcelain")) == (case.world.at(), "")
    assert played.recap["over"]["changed"] == 0

    (entry,) = good.entries()
    assert (entry["outcome"], entry["merge"], entry["deleted"]) == ("succeeded", good.world.at(), True)
    assert {gate["name"]: gate["outcome"] for gate in entry["gates"]} == {
        "branch": "passed", "clean tree": "passed", "commit messages": "passed", "tests": "passed", "lint": "skipped",
    }  # fmt: skip
    assert entry["skipped"] == {"lint": REASON}
    assert f"SKIPPED lint: {REASON}" in text
    for case in (merged, over):
        (entry,) = case.entries()
        assert (entry["outcome"], entry["merged_before"], entry["merge"]) == ("succeeded", True, case.world.at())

    assert "the login fails still" in text
    assert """-e '{"hotfix_skipped": {"tests": "the reason""" in text
    assert "nothing was merged or pushed; main of origin is as it was" in text
    (entry,) = failing.entries()
    assert entry["outcome"] == "failed"
    assert {gate["name"]: gate["outcome"] for gate in entry["gates"]}["tests"] == "failed"
    assert (failing.world.log()[0], failing.here.git("branch", "--show-current")) == ("(ved-1) Tests", BRANCH)


def test_one_of_two_tags_is_named(tmp_path: Path, play: Played) -> None:
    case = Case(tmp_path, "any")
    assert "--tags finish runs the gates" in said(play([case]).failed())
