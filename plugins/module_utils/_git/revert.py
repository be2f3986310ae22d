# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes commits back on a branch of the remote, each once."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._errors import PlatformError
from .checkout import (
    CHECKOUT_ARGUMENTS,
    Checkout,
    Commit,
    commits_between,
    contains,
    require_branch_name,
    short,
    subject_of,
)
from .land import LAND_ARGUMENTS, Landed, land
from .reverts import Ledger, ends_of_range, message_for, newest_that_is_no_revert, relative_to_head
from .runner import Runner, run_program
from .scratch import Scratch

REVERT_ARGUMENTS: dict[str, dict[str, object]] = {
    **CHECKOUT_ARGUMENTS,
    **LAND_ARGUMENTS,
    "branch": {"type": "str", "default": "main"},
    "commits": {"type": "list", "elements": "str", "required": True},
    "mainline": {"type": "int"},
    "reason": {"type": "str", "default": ""},
}

_MOST = 200
_LOOKED_BACK = 1000


@dataclass(frozen=True)
class Taken:
    """One of the commits, and its revert."""

    commit: Commit
    revert: str | None

    def to_result(self) -> dict[str, object]:
        return {**self.commit.to_result(), "revert": self.revert}


@dataclass(frozen=True)
class Parent:
    """What a commit's revert leads back to.

    :param mainline: its number, for a merge.
    """

    commit: str
    mainline: int | None = None


@dataclass
class Reverts:
    reverted: list[Taken] = field(default_factory=list)
    already: list[Taken] = field(default_factory=list)


def revert(params: Mapping[str, t.Any], check_mode: bool, run: Runner = run_program) -> Landed[Reverts]:
    """Revert what the options name, newest first, all or nothing."""
    branch = require_branch_name(params["branch"], "branch")
    if not params["commits"]:
        raise PlatformError("Option commits is empty.", "Name what to revert, such as HEAD or a1b2c3d.")
    checkout = Checkout.at(params, run)

    def work(scratch: Scratch, start: str) -> Reverts:
        return _Reverting(checkout, scratch, branch, start, params, check_mode).all()

    return land(checkout, branch, work, params, check_mode)


class _Reverting:
    """One attempt, on the branch as it was found."""

    def __init__(
        self, checkout: Checkout, scratch: Scratch, branch: str, start: str, params: Mapping[str, t.Any], check: bool
    ) -> None:
        self._checkout = checkout
        self._scratch = scratch
        self._git = scratch.git
        self._branch = branch
        self._start = start
        self._mainline: int | None = params["mainline"]
        self._reason: str = params["reason"]
        self._signing: str = params["sign"]
        self._names: Sequence[str] = params["commits"]
        self._check = check
        said = self._git.asked(
            "log",
            "-z",
            "--format=%H%n%B",
            "--extended-regexp",
            "--grep=^ *This reverts commit [0-9a-f]{7,}",
            start,
            "--",
        )
        self._messages = [entry.partition("\n")[::2] for entry in said.split("\0") if entry]
        self._ledger = Ledger(self._messages)

    def all(self) -> Reverts:
        outcome = Reverts()
        named = self._in_order([commit for name in self._names for commit in self._meant_by(name)])
        wanted = [Commit(commit, subject_of(self._git, commit)) for commit in named]
        stays = {commit: self._parent_that_stays(commit) for commit in wanted}
        for commit in wanted:
            self._revert(commit, stays[commit], outcome)
        return outcome

    # --- what is meant ----------------------------------------------------------------------------------------------

    def _meant_by(self, name: str) -> list[str]:
        ends = ends_of_range(name)
        if ends is None:
            return [self._commit(name, name)]
        begin, end = (self._commit(part, name) for part in ends)
        # What a merge brought goes with the merge.
        along = ["--first-parent"] if self._mainline else []
        within = self._git.asked("rev-list", *along, f"--max-count={_MOST + 1}", f"{begin}..{end}", "--").split()
        if not within and self._moves_with_the_branch(ends[1]) and contains(self._git, begin, self._start):
            return []
        if not within or len(within) > _MOST:
            how_many = (
                f"more than {_MOST} commits" if within else f"no commit: nothing in {ends[1]} came after {short(begin)}"
            )
            raise PlatformError(
                f"Option commits holds {name!r}, which holds {how_many}.",
                "A range a..b is what b has and a has not; b is the newer one.",
            )
        return within

    def _moves_with_the_branch(self, part: str) -> bool:
        return relative_to_head(part, self._branch, self._checkout.remote) is not None

    def _commit(self, part: str, name: str) -> str:
        suffix = relative_to_head(part, self._branch, self._checkout.remote)
        if suffix is not None:
            lately = self._git.asked("rev-list", "--first-parent", f"--max-count={_LOOKED_BACK}", self._start).split()
            part = lately[newest_that_is_no_revert(lately, self._ledger)] + suffix
        found = self._checkout.commit_of(part) or self._checkout.read_by(self._git).commit_of(part)
        if found is None:
            partial = (
                " The clone is shallow, which may be why: git fetch --unshallow." if self._checkout.shallow else ""
            )
            raise PlatformError(
                f"Option commits holds {name!r}, and {self._checkout.folder} knows no such commit.",
                f"Check its spelling; a tag may have to be fetched.{partial}",
            )
        return found

    def _in_order(self, wanted: Sequence[str]) -> list[str]:
        """Newest first, each once."""
        order = {
            commit: at for at, commit in enumerate(self._git.asked("rev-list", "--topo-order", self._start).split())
        }
        for commit in wanted:
            if commit not in order:
                raise PlatformError(
                    f"Commit {short(commit)} ({subject_of(self._git, commit)}) is not on {self._branch} of "
                    f"{self._checkout.remote}, so there is nothing to revert.",
                    "Name the commit that brought the change there; a rebase or a squash gives it another name.",
                )
        return sorted(set(wanted), key=order.__getitem__)

    def _parent_that_stays(self, commit: Commit) -> Parent:
        parents = self._git.asked("rev-list", "--parents", "--max-count=1", commit.commit).split()[1:]
        which = f"Commit {short(commit.commit)} ({commit.subject})"
        if not parents:
            raise PlatformError(
                f"{which} is the first one, so there is nothing to go back to.",
                "Delete its files in a commit of your own, if that is what you mean.",
            )
        if len(parents) == 1:
            return Parent(parents[0])
        if self._mainline is not None and 1 <= self._mainline <= len(parents):
            return Parent(parents[self._mainline - 1], self._mainline)
        missing = (
            "it is not said which of its parents stays"
            if self._mainline is None
            else f"it has no parent {self._mainline}"
        )
        listed = "; ".join(
            f"{number} is {short(parent)} ({subject_of(self._git, parent)})" for number, parent in enumerate(parents, 1)
        )
        raise PlatformError(
            f"{which} is a merge, and {missing}.",
            f"Set mainline to its number: {listed}. It is 1 for a branch that was merged into {self._branch}.",
            parents=parents,
        )

    # --- reverting --------------------------------------------------------------------------------------------------

    def _revert(self, commit: Commit, stays: Parent, outcome: Reverts) -> None:
        which = ["--mainline", str(stays.mainline)] if stays.mainline else []
        done = self._git.done("revert", "--no-commit", *which, commit.commit)
        earlier = self._ledger.of(commit.commit)
        if done.status == 0 and self._scratch.changes_something() and (not earlier or self._is_back(commit, stays)):
            message = message_for(commit.subject, commit.commit, stays.commit if stays.mainline else None, self._reason)
            made = self._scratch.commit(message, self._signing)
            self._messages.insert(0, (made, message))
            self._ledger = Ledger(self._messages)
            outcome.reverted.append(Taken(commit, None if self._check else made))
            return
        conflicts = self._scratch.conflicts()
        self._git.asked("reset", "--quiet", "--hard")
        if done.status != 0 and earlier is None:
            raise self._conflict(commit, conflicts) if conflicts else self._git.failure(done, "revert")
        outcome.already.append(Taken(commit, earlier))

    def _is_back(self, commit: Commit, stays: Parent) -> bool:
        """Whether what was reverted once has come again as a whole, as by a cherry-pick."""
        now = self._git.asked("diff", "--cached", "--no-ext-diff", "--full-index", "--no-renames", "HEAD", "--")
        then = self._git.asked(
            "diff", "--no-ext-diff", "--full-index", "--no-renames", commit.commit, stays.commit, "--"
        )
        first, second = (self._git.asked("patch-id", "--stable", given=patch).split()[:1] for patch in (now, then))
        return first == second

    def _conflict(self, commit: Commit, files: Sequence[str]) -> PlatformError:
        later = commits_between(self._git, f"{commit.commit}..{self._scratch.head()}", "--", *files, limit=5)
        since = "; ".join(f"{short(each.commit)} ({each.subject})" for each in later)
        return PlatformError(
            f"Commit {short(commit.commit)} ({commit.subject}) cannot be reverted on {self._branch}: it conflicts in "
            f"{', '.join(files)}. Nothing was changed.",
            f"The same lines were changed later, by {since or 'a merge'}. Revert that as well, or mend it by hand.",
            conflicts=list(files),
            commit=commit.commit,
        )
