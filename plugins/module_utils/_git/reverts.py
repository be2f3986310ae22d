# SPDX-License-Identifier: GPL-3.0-or-later
"""What the messages of reverts say: whom they revert, whether that still holds, and how a new one is worded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .._errors import PlatformError

_TRAILER = re.compile(r"^\s*This reverts commit ([0-9a-f]{7,64})\b", re.MULTILINE)
_QUOTED = re.compile(r'(Revert|Reapply) "(.*)"', re.DOTALL)
_RELATIVE = re.compile(r"((?:\^\d*|~\d*)*)")


def reverted_by(message: str) -> list[str]:
    """The commits, as a message spells them, that its commit reverts."""
    return _TRAILER.findall(message)


def message_for(subject: str, commit: str, mainline_parent: str | None, reason: str) -> str:
    """git's own words; a revert of a revert says C(Reapply), as git does since 2.43.

    :param mainline_parent: for a merge, the parent that stays.
    """
    quoted = _QUOTED.fullmatch(subject)
    if quoted and quoted[1] == "Revert":
        title = f'Reapply "{quoted[2]}"'
    elif quoted:
        title = f'Revert "{quoted[2]}"'
    else:
        title = f'Revert "{subject}"'
    merge = f", reversing\nchanges made to {mainline_parent}" if mainline_parent else ""
    why = f"\n{reason.strip()}\n" if reason.strip() else ""
    return f"{title}\n\nThis reverts commit {commit}{merge}.\n{why}"


class Ledger:
    """The reverts of a branch.

    :param reverts: newest first, each commit that says that it reverts something, with its message.
    """

    def __init__(self, reverts: Iterable[tuple[str, str]]) -> None:
        self._reverts = [(commit, reverted_by(message)) for commit, message in reverts]

    def of(self, commit: str) -> str | None:
        """The newest revert of a commit that has not been reverted itself."""
        return next(
            (
                revert
                for revert, names in self._reverts
                if revert != commit and any(commit.startswith(name) for name in names) and self.of(revert) is None
            ),
            None,
        )

    def has(self, commit: str) -> bool:
        return any(commit == revert for revert, _names in self._reverts)


def newest_that_is_no_revert(first_parents: Sequence[str], ledger: Ledger) -> int:
    """How many reverts stand at the head of a branch, whose first parents are given newest first."""
    return next((number for number, commit in enumerate(first_parents) if not ledger.has(commit)), 0)


def relative_to_head(name: str, branch: str, remote: str) -> str | None:
    """What follows a name that moves with the branch, such as C(~2) of C(HEAD~2); None for other names."""
    for moving in (
        f"refs/remotes/{remote}/{branch}",
        f"refs/heads/{branch}",
        f"{remote}/{branch}",
        branch,
        "HEAD",
        "@",
    ):
        if name.startswith(moving) and _RELATIVE.fullmatch(name[len(moving) :]):
            return name[len(moving) :]
    return None


def ends_of_range(name: str) -> tuple[str, str] | None:
    """The two ends of C(a..b), where an empty one is HEAD; None for what is no range.

    :raises PlatformError: for what git knows and would be misread here.
    """
    if "..." in name or name.startswith(("^", "-")) or name.count("..") > 1:
        raise PlatformError(
            f"Option commits holds {name!r}, which cannot be reverted.",
            "Name commits, or ranges such as a1b2c3d..HEAD.",
        )
    begin, separator, end = name.partition("..")
    return (begin or "HEAD", end or "HEAD") if separator else None
