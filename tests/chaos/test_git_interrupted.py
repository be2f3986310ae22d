# SPDX-License-Identifier: GPL-3.0-or-later
"""A module dies at each call of git that it makes; the same module again ends as if nothing had happened.

Commits are made at a given time, so that "as if" is meant to the last bit: the same commits, on the same branches.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.modules import result_of, start_module
from tests.repositories import ALONE, Repositories, git

pytestmark = pytest.mark.slow

# In the place of git: it ends the module that has called it, before git begins, or leaving git to go on alone. What git
# itself starts are programs of its own folder.
SHIM = """\
#!/bin/sh
echo "$*" >> "$NOTED"
if [ "$(wc -l < "$NOTED")" = "$DIES_AT" ]; then
  kill -KILL "$PPID"
  [ "$HOW" = alone ] || exit 1
fi
exec {git} "$@"
"""
BRANCH = "hotfix/login-loop"
WAYS = ("before", "alone")


def _revert(world: Repositories) -> dict[str, Any]:
    world.here.commit("(ved-2) Bad", app_txt="one\nBAD\nthree\n")
    world.here.commit("(ved-3) Worse", other_txt="worse\n")
    world.here.push()
    return {"commits": ["HEAD~2..main"], "reason": "it was bad"}


def _merge(world: Repositories) -> dict[str, Any]:
    _hotfix(world)
    world.somebody_else().commit("(ved-4) Others go on", more_txt="x\n")
    world.somebody_else().push()
    return {"source": BRANCH}


def _start(world: Repositories) -> dict[str, Any]:
    world.somebody_else().commit("(ved-4) Others go on", more_txt="x\n")
    world.somebody_else().push()
    return {"name": BRANCH, "switch": True, "state": "pushed"}


def _follow(world: Repositories) -> dict[str, Any]:
    _hotfix(world)
    world.done("git_merge", source=BRANCH)
    return {"name": "main", "switch": True, "forward": True}


def _delete(world: Repositories) -> dict[str, Any]:
    _hotfix(world)
    world.here.push(BRANCH)
    world.done("git_merge", source=BRANCH)
    world.done("git_branch", name="main", switch=False, forward=True)
    return {"name": BRANCH, "state": "absent", "switch": True}


def _push(world: Repositories) -> dict[str, Any]:
    world.here.commit("(ved-2) Mend", fix_txt="x\n")
    return {}


def _hotfix(world: Repositories) -> None:
    world.here.git("switch", "--quiet", "--create", BRANCH)
    world.here.commit("(ved-2) Mend the login", fix_txt="x\n")


# Name → the module, and what makes its repositories and gives its options.
WORKS: dict[str, tuple[str, Callable[[Repositories], dict[str, Any]]]] = {
    "revert": ("git_revert", _revert),
    "merge": ("git_merge", _merge),
    "start": ("git_branch", _start),
    "follow": ("git_branch", _follow),
    "delete": ("git_branch", _delete),
    "push": ("git_push", _push),
}
#: Of these, `make test` plays the last call that writes; CHAOS=all plays every call.
EVERY = os.environ.get("CHAOS") == "all"


@dataclass
class Case:
    """One pair of repositories, and the module that works on them."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.noted = self.folder / "noted"
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "git").write_text(SHIM.format(git=shutil.which("git")))
        (programs / "git").chmod(0o755)
        (self.folder / "world").mkdir()
        self.world = Repositories(self.folder / "world")
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def run(self, module: str, options: dict[str, Any], dies_at: int = 0, how: str = "") -> dict[str, Any] | None:
        """The module's result; None when it died."""
        self.noted.write_text("")
        arguments = {"checkout": str(self.world.here.folder), **options}
        with self.monkeypatch.context() as patch:
            settings = {
                "PATH": self.path,
                "NOTED": self.noted,
                "DIES_AT": dies_at,
                "HOW": how,
                "TMPDIR": self.temporary,
            }
            for name, value in settings.items():
                patch.setenv(name, str(value))
            process = start_module(module, arguments)
            if not dies_at:
                return result_of(process)
            process.communicate()
        return None

    def calls(self) -> list[str]:
        return self.noted.read_text().splitlines()

    def standing(self) -> tuple[Any, ...]:
        here = self.world.here
        return (
            git(self.world.origin, "for-each-ref"),
            here.git("for-each-ref", "refs/heads"),
            here.git("status", "--porcelain", "--branch"),
            here.git("stash", "list"),
            {name: text for name, text in here.fingerprint().items() if not name.startswith(".git")},
            [path for path in here.folder.rglob("*.lock") if ".git" in path.parts],
            here.git("worktree", "list").count("\n"),
            sorted(path.name for path in self.temporary.iterdir()),
        )


@pytest.mark.parametrize("work", WORKS)
def test_after_a_kill_the_same_module_ends_as_if_there_had_been_none(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    module, prepare = WORKS[work]
    whole = Case(tmp_path / "whole", monkeypatch)
    done = whole.run(module, prepare(whole.world))
    assert done is not None
    assert done["changed"], done
    expected = whole.standing()
    assert expected[-1] == []
    writing = [number for number, call in enumerate(whole.calls(), start=1) if _writes(call)]
    deaths = (
        [(number, how) for number in range(1, len(whole.calls()) + 1) for how in WAYS]
        if EVERY
        else [(writing[-1], "alone")]
    )
    for number, how in deaths:
        case = Case(tmp_path / f"{number}-{how}", monkeypatch)
        options = prepare(case.world)
        assert case.run(module, options, number, how) is None
        assert len(case.calls()) == number
        again = case.run(module, options)
        assert again is not None
        assert not again.get("failed"), (number, how, again)
        assert case.standing() == expected, (number, how, whole.calls()[number - 1])
        shutil.rmtree(case.folder)


def _writes(call: str) -> bool:
    return any(f" {verb} " in f" {call} " for verb in ("push", "switch", "branch", "update-ref", "commit"))
