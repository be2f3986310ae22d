# SPDX-License-Identifier: GPL-3.0-or-later
"""What a checkout holds, beside what its remote holds."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from .._errors import PlatformError
from .checkout import CHECKOUT_ARGUMENTS, Checkout, commits_between, require_branch_name, subject_of
from .runner import Runner, run_program
from .scratch import Scratch

INFO_ARGUMENTS: dict[str, dict[str, object]] = {
    **CHECKOUT_ARGUMENTS,
    "branch": {"type": "str"},
    "ask_remote": {"type": "bool", "default": True},
    "limit": {"type": "int", "default": 100},
}


def look_at(params: Mapping[str, t.Any], run: Runner = run_program) -> dict[str, object]:
    """All that RV() of the module promises; nothing is written, neither here nor there."""
    asks = params["ask_remote"]
    checkout = Checkout.at({**params, "remote": params["remote"] if asks else ""}, run)
    head = checkout.commit_of("HEAD")
    if head is None:
        raise PlatformError(f"{checkout.folder} has no commit yet.", "Commit something first.")
    current = checkout.current_branch()
    changed = checkout.changed_files()
    result: dict[str, object] = {
        "checkout": checkout.folder,
        "commit": head,
        "subject": subject_of(checkout.git, head),
        "branch": current,
        "clean": not changed,
        "changed_files": changed,
        "remote_branch": None,
        "remote_commit": None,
        "ahead": None,
        "behind": None,
        "commits_to_push": [],
    }
    if asks:
        result.update(_beside_the_remote(checkout, head, params["branch"] or current, params["limit"]))
    return result


def _beside_the_remote(checkout: Checkout, head: str, branch: str | None, limit: int) -> dict[str, object]:
    if branch is None:
        raise PlatformError(
            f"{checkout.folder} has no branch checked out, so it is not known what to compare it with.",
            "Name the remote's branch in option branch, or set ask_remote to false.",
        )
    theirs = checkout.remote_branch(require_branch_name(branch, "branch"))
    result: dict[str, object] = {"remote_branch": branch, "remote_commit": theirs}
    if theirs is None:
        new = commits_between(checkout.git, head, "--not", f"--remotes={checkout.remote}", limit=limit)
        return {**result, "commits_to_push": [commit.to_result() for commit in new]}
    if checkout.commit_of(theirs) is not None:
        return {**result, **_compared(checkout, head, theirs, limit)}
    # The remote has what is not here yet.
    with Scratch(checkout, {}) as scratch:
        theirs = scratch.fetch(branch)
        return {**result, "remote_commit": theirs, **_compared(checkout.read_by(scratch.git), head, theirs, limit)}


def _compared(checkout: Checkout, head: str, theirs: str, limit: int) -> dict[str, object]:
    ahead, behind = checkout.git.asked("rev-list", "--left-right", "--count", f"{head}...{theirs}", "--").split()
    new = commits_between(checkout.git, f"{theirs}..{head}", limit=limit)
    return {"ahead": int(ahead), "behind": int(behind), "commits_to_push": [commit.to_result() for commit in new]}
