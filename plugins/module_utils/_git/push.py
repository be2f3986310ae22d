# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a branch of the remote forward, and believes only what the remote says afterwards."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._errors import PlatformError
from .checkout import CHECKOUT_ARGUMENTS, Checkout, Commit, commits_between, contains, require_branch_name, short
from .runner import Done, GitError, Runner, run_program

PUSH_ARGUMENTS: dict[str, dict[str, object]] = {
    **CHECKOUT_ARGUMENTS,
    "branch": {"type": "str"},
    "commit": {"type": "str"},
    "hooks": {"type": "bool", "default": True},
    "limit": {"type": "int", "default": 100},
}

_MOVED = re.compile(r"\((fetch first|non-fast-forward|stale info|remote ref updated since checkout)\)|cannot lock ref")


class MovedMeanwhile(GitError):
    """Somebody else was quicker."""


@dataclass(frozen=True)
class Pushed:
    branch: str
    before: str | None
    after: str
    commits: list[Commit] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def to_result(self) -> dict[str, object]:
        return {
            "branch": self.branch,
            "before": self.before,
            "after": self.after,
            "commits": [commit.to_result() for commit in self.commits],
        }


def push(params: Mapping[str, t.Any], check_mode: bool, run: Runner = run_program) -> Pushed:
    """Bring a branch of the remote to a commit of the checkout.

    :raises PlatformError: when that is no step forward, or the remote refuses it.
    """
    checkout = Checkout.at(params, run)
    branch = params["branch"] or checkout.current_branch()
    if branch is None:
        raise PlatformError(
            f"{checkout.folder} has no branch checked out, so it is not known which one to push.",
            "Name it in option branch.",
        )
    require_branch_name(branch, "branch")
    wanted = params["commit"] or f"refs/heads/{branch}"
    commit = checkout.commit_of(wanted)
    if commit is None:
        option = "commit" if params["commit"] else "branch"
        raise PlatformError(f"{checkout.folder} has no {option} {params[option] or branch!r}.", "Check its spelling.")
    before = checkout.remote_branch(branch)
    if before == commit:
        return Pushed(branch, before, before)
    if before is not None and (checkout.commit_of(before) is None or not contains(checkout.git, before, commit)):
        if checkout.commit_of(before) is not None and contains(checkout.git, commit, before):
            raise PlatformError(
                f"{branch} of {checkout.remote} is at {short(before)}, which holds {short(commit)} and more already.",
                f"There is nothing to push; git pull brings {checkout.folder} up to it.",
                before=before,
            )
        raise _not_forward(checkout, branch, before, commit)
    base = [before] if before else [f"--remotes={checkout.remote}"]
    new = commits_between(checkout.git, commit, "--not", *base, limit=params["limit"])
    if not check_mode:
        send(checkout, commit, branch, before, hooks=params["hooks"])
    return Pushed(branch, before, commit, new)


def _not_forward(checkout: Checkout, branch: str, before: str, commit: str) -> PlatformError:
    return PlatformError(
        f"{branch} of {checkout.remote} is at {short(before)}, which {short(commit)} does not hold; pushing would lose "
        "commits of others, and is never forced here.",
        f"In {checkout.folder}: git pull --rebase {checkout.remote} {branch}, test again, and push again.",
        before=before,
    )


def send(checkout: Checkout, commit: str, branch: str, before: str | None, *, hooks: bool) -> None:
    """Push one commit to one branch, from the checkout, where its hooks expect to run.

    :raises MovedMeanwhile: when the remote's branch is not at C(before) any more.
    :raises GitError: with the remote's own words, when it refuses.
    """
    try:
        done = run_push(checkout, f"{commit}:refs/heads/{branch}", hooks=hooks)
    except GitError:
        if checkout.remote_branch(branch) == commit:
            return  # the remote had taken it before the time was over
        raise
    now = checkout.remote_branch(branch)
    if now == commit:
        return  # also when the connection broke after the remote had taken it
    said = f"{done.out}\n{done.err}"
    if now != before and (done.status == 0 or _MOVED.search(said)):
        raise MovedMeanwhile(
            f"{branch} of {checkout.remote} was moved by somebody else meanwhile, to {short(now)}.",
            "Run it again.",
            said=checkout.git.shown(said),
        )
    raise refused(checkout, branch, done, hooks)


def run_push(checkout: Checkout, refspec: str, *words: str, hooks: bool) -> Done:
    settings = () if hooks else (f"core.hooksPath={os.devnull}",)
    return checkout.git.done(
        "push", "--porcelain", "--no-follow-tags", *words, checkout.remote, refspec, settings=settings
    )


def refused(checkout: Checkout, branch: str, done: Done, hooks: bool) -> GitError:
    """Why a push did not happen: by its hook, by the remote's, or on the way."""
    words = remote_words(done.err)
    refusal = next((line.split("\t")[-1] for line in done.out.splitlines() if line.startswith("!\t")), "")
    said = checkout.git.shown(done.err)
    if refusal:
        told = f" It says: {checkout.git.in_a_line(words)}." if words else ""
        return GitError(
            f"The remote {checkout.remote} refuses to change {branch}: {checkout.git.shown(refusal)}.{told}",
            "Its own rules say so (a protected branch, or a hook): meet them, or ask who may push there.",
            said=said,
        )
    failure = checkout.git.failure(done, "push")
    if hooks and failure.hint is None and "fatal:" not in done.err:
        told = checkout.git.in_a_line(failure.said) or "it says nothing"
        return GitError(
            f"The pre-push hook of {checkout.folder} refuses the push of {branch}: {told}.",
            "Mend what it complains of; option hooks=false pushes without it.",
            said=said,
        )
    return failure


def remote_words(err: str) -> str:
    """What the remote's hooks have printed."""
    return "\n".join(line[len("remote:") :].strip() for line in err.splitlines() if line.startswith("remote:"))
