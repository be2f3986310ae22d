# SPDX-License-Identifier: GPL-3.0-or-later
"""Merges one branch into another of the remote, with a merge commit, once."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from .._errors import PlatformError
from .checkout import CHECKOUT_ARGUMENTS, Checkout, Commit, commits_between, contains, require_branch_name, short
from .land import LAND_ARGUMENTS, Landed, land
from .runner import Git, Runner, run_program
from .scratch import Scratch

MERGE_ARGUMENTS: dict[str, dict[str, object]] = {
    **CHECKOUT_ARGUMENTS,
    **LAND_ARGUMENTS,
    "source": {"type": "str", "required": True},
    "into": {"type": "str", "default": "main"},
    "commit_message": {"type": "str", "default": ""},
    "commit": {"type": "str"},
}


@dataclass(frozen=True)
class Merge:
    """What was merged.

    :param commit: the merge commit; None in check mode, and where the branch was merged in another way.
    """

    source: str
    commit: str | None
    commits: list[Commit]

    def to_result(self) -> dict[str, object]:
        return {
            "source": self.source,
            "merge": self.commit,
            "commits": [commit.to_result() for commit in self.commits],
        }


def merge(params: Mapping[str, t.Any], check_mode: bool, run: Runner = run_program) -> Landed[Merge]:
    """Merge what the options name into the remote's branch, all or nothing."""
    source = require_branch_name(params["source"], "source")
    into = require_branch_name(params["into"], "into")
    if source == into:
        raise PlatformError(f"Options source and into are both {into!r}.", "Name two branches.")
    checkout = Checkout.at(params, run)
    remote_source = checkout.remote_branch(source)
    local_source = checkout.local_branch(source)
    message = params["commit_message"].strip() or f"Merge branch '{source}'" + (
        "" if into == "main" else f" into {into}"
    )

    def work(scratch: Scratch, start: str) -> Merge:
        commit = _agreed(checkout, scratch, source, local_source, remote_source)
        if commit is None:
            return _merged_before(checkout, scratch.git, source, into, start, message)
        if contains(scratch.git, commit, start):
            return Merge(commit, _merge_of(scratch.git, commit, start), [])
        if params["commit"] and commit != (wanted := checkout.commit_of(params["commit"])):
            raise PlatformError(
                f"{source} is at {short(commit)}, and not at {short(wanted) if wanted else params['commit']} as option "
                "commit says. Nothing was changed.",
                f"See what came: git log {source}. Test it as well, and merge again.",
            )
        brought = commits_between(scratch.git, f"{start}..{commit}")
        return Merge(
            commit, _merged(checkout, scratch, source, into, commit, message, params["sign"], check_mode), brought
        )

    return land(checkout, into, work, params, check_mode)


def _agreed(checkout: Checkout, scratch: Scratch, source: str, local: str | None, remote: str | None) -> str | None:
    """Where the branch is, here and there."""
    if local is None:
        return scratch.fetch(source, keep="source") if remote else None
    if remote is None or remote == local:
        return local
    scratch.fetch(source, keep="source")
    if contains(scratch.git, remote, local):
        return local
    raise PlatformError(
        f"{source} of {checkout.remote} is at {short(remote)}, and {short(local)} in {checkout.folder} lacks that.",
        f"In {checkout.folder}: git pull --rebase {checkout.remote} {source}, test again, and merge again.",
    )


def _merge_of(git: Git, commit: str, start: str) -> str | None:
    """The merge commit that brought it."""
    rows = git.asked("rev-list", "--first-parent", "--merges", "--parents", f"{commit}..{start}", "--").splitlines()
    return next((merge for merge, _first, *others in map(str.split, rows) if commit in others), None)


def _merged_before(checkout: Checkout, git: Git, source: str, into: str, start: str, message: str) -> Merge:
    """The branch is gone, as it is after its merge.

    :raises PlatformError: when it never was merged either.
    """
    # As git makes a subject of a first paragraph.
    title = " ".join(line.rstrip() for line in re.split(r"\n\s*\n", message)[0].splitlines())
    rows = git.asked("log", "-z", "--first-parent", "--merges", "--format=%H %P\n%s", start, "--").split("\0")
    for row in filter(None, rows):
        commits, _newline, subject = row.partition("\n")
        if subject == title:
            found, _first, merged = commits.split()[:3]
            return Merge(merged, found, [])
    raise PlatformError(
        f"There is no branch {source!r} in {checkout.folder} or on {checkout.remote}, and no merge of it in {into}.",
        "Check its spelling.",
    )


def _merged(
    checkout: Checkout, scratch: Scratch, source: str, into: str, commit: str, message: str, signing: str, check: bool
) -> str | None:
    done = scratch.git.done("merge", "--no-ff", "--no-commit", commit)
    if conflicts := scratch.conflicts() if done.status != 0 else []:
        raise PlatformError(
            f"{source} cannot be merged into {into}: it conflicts in {', '.join(conflicts)}. Nothing was changed.",
            f"In {checkout.folder}, on {source}: git pull --no-rebase {checkout.remote} {into}, mend the files, test "
            "again, and merge again.",
            conflicts=conflicts,
        )
    if done.status != 0:
        raise scratch.git.failure(done, "merge")
    made = scratch.commit(f"{message}\n", signing)
    return None if check else made
