# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes commits on top of a remote's branch, out of sight, and lets them land there all together or not at all."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .checkout import Checkout, contains
from .push import MovedMeanwhile, send
from .scratch import Scratch, as_author

LAND_ARGUMENTS: dict[str, dict[str, object]] = {
    "push": {"type": "bool", "default": True},
    "hooks": {"type": "bool", "default": True},
    "author_name": {"type": "str"},
    "author_email": {"type": "str"},
    "sign": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
}

#: Somebody who pushes all the time is waited for, but not for ever.
_ATTEMPTS = 3
_LONGEST_DIFF = 100_000

Work = t.TypeVar("Work")


@dataclass(frozen=True)
class Landed(t.Generic[Work]):
    """What was made, and where the branch stood and stands."""

    work: Work
    before: str
    after: str | None
    pushed: bool
    changed: bool
    patch: str

    def to_result(self) -> dict[str, object]:
        return {"before": self.before, "after": self.after, "pushed": self.pushed}

    @property
    def diff(self) -> dict[str, str]:
        return {"prepared": self.patch}


def kept_at(branch: str) -> str:
    """Where commits are kept that are not to be pushed: no branch, so that nobody's branches move."""
    return f"refs/vedfinance/{branch}"


def land(
    checkout: Checkout,
    branch: str,
    work: Callable[[Scratch, str], Work],
    params: Mapping[str, t.Any],
    check_mode: bool,
) -> Landed[Work]:
    """Let the work make commits on what the remote has, and push them; when somebody was quicker, all over again.

    :param work: makes commits in the scratch repository, which stands at the commit that it is told.
    """
    author = as_author(checkout, params["author_name"] or "", params["author_email"] or "")
    attempt = 1
    while True:
        with Scratch(checkout, author) as scratch:
            before = scratch.fetch(branch)
            kept = None if params["push"] else checkout.commit_of(kept_at(branch))
            start = kept if kept and contains(scratch.git, before, kept) else before
            scratch.start_at(start)
            made = work(scratch, start)
            after = scratch.head()
            if after == start:
                return Landed(made, start, start, False, False, "")
            patch = checkout.git.masked(shortened(_patch(scratch, start, after)))
            if check_mode:
                return Landed(made, start, None, False, True, patch)
            scratch.hand_over(after)
            if not params["push"]:
                checkout.git.asked("update-ref", kept_at(branch), after)
                return Landed(made, start, after, False, True, patch)
            try:
                send(checkout, after, branch, before, hooks=params["hooks"])
            except MovedMeanwhile:
                if attempt == _ATTEMPTS:
                    raise
                attempt += 1
            else:
                return Landed(made, start, after, True, True, patch)


def _patch(scratch: Scratch, before: str, after: str) -> str:
    """The messages, and what changes against the branch as it was."""
    messages = scratch.git.asked("log", "--first-parent", "--reverse", "--format=%B", f"{before}..{after}", "--")
    change = scratch.git.asked(
        "diff", "--no-ext-diff", "--no-textconv", "--stat=120", "--patch", "--find-renames", before, after, "--"
    )
    return f"{messages}\n{change}"


def shortened(text: str) -> str:
    if len(text) <= _LONGEST_DIFF:
        return text
    kept = text[:_LONGEST_DIFF].rpartition("\n")[0] + "\n"
    return f"{kept}… and {text.count(chr(10)) - kept.count(chr(10))} lines more\n"
