# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes branches and takes them away, here and on the remote, without losing a commit."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._errors import PlatformError
from .checkout import CHECKOUT_ARGUMENTS, Checkout, Commit, commits_between, contains, require_branch_name, short
from .push import refused, run_push, send
from .runner import Runner, run_program
from .scratch import Scratch

BRANCH_ARGUMENTS: dict[str, dict[str, object]] = {
    **CHECKOUT_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "pushed", "absent"], "default": "present"},
    "from": {"type": "str", "default": "main"},
    "switch": {"type": "bool", "default": False},
    "forward": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "hooks": {"type": "bool", "default": True},
}


@dataclass(frozen=True)
class Places:
    """Where a branch is, here and on the remote, and what is checked out."""

    local: str | None
    remote: str | None
    checked_out: str | None

    def to_result(self) -> dict[str, object]:
        return {"local": self.local, "remote": self.remote, "checked_out": self.checked_out}


@dataclass(frozen=True)
class Kept:
    before: Places
    after: Places
    lost: list[Commit] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def to_result(self) -> dict[str, object]:
        return {
            "before": self.before.to_result(),
            "after": self.after.to_result(),
            "lost": [commit.to_result() for commit in self.lost],
        }


def keep_branch(params: Mapping[str, t.Any], check_mode: bool, run: Runner = run_program) -> Kept:
    """Bring the branch into the wanted state."""
    name = require_branch_name(params["name"], "name")
    origin = require_branch_name(params["from"], "from")
    if name == origin and params["state"] != "present":
        raise PlatformError(
            f"Options name and from are both {name!r}.", "Name the branch, and another that it comes from."
        )
    checkout = Checkout.at(params, run)
    keeper = _Keeper(checkout, name, origin, params, check_mode)
    return keeper.absent() if params["state"] == "absent" else keeper.present(pushed=params["state"] == "pushed")


class _Keeper:
    def __init__(
        self, checkout: Checkout, name: str, origin: str, params: Mapping[str, t.Any], check_mode: bool
    ) -> None:
        self._checkout = checkout
        self._git = checkout.git
        self._name = name
        self._origin = origin
        self._switch: bool = params["switch"]
        self._forward: bool = params["forward"]
        self._force: bool = params["force"]
        self._hooks: bool = params["hooks"]
        self._check = check_mode
        branches = checkout.remote_branches(name, origin)
        if origin not in branches:
            checkout.require_remote_branch(origin)
        self._origin_commit = branches[origin]
        self._before = Places(checkout.local_branch(name), branches.get(name), checkout.current_branch())

    def present(self, pushed: bool) -> Kept:
        before = self._before
        switches = self._switch and before.checked_out != self._name
        local = self._forwarded() or before.local or before.remote or self._origin_commit
        moves_files = before.local not in (None, local) and before.checked_out == self._name
        if switches or moves_files:
            self._checkout.refuse_changes(f"bringing it to {self._name}")
        if before.local is not None and (switches or (local != before.local and not moves_files)):
            self._refuse_used_elsewhere(self._name)
        remote = local if pushed else before.remote
        self._refuse_to_push_backward(local, before.remote if pushed else None)
        after = Places(local, remote, self._name if switches else before.checked_out)
        if not self._check:
            if local != before.local:
                self._fetch()
            if before.local is None:
                self._git.asked("branch", "--no-track", self._name, local)
            elif local != before.local and not moves_files:
                self._git.asked("update-ref", f"refs/heads/{self._name}", local, before.local)
            if remote != before.remote:
                send(self._checkout, local, self._name, before.remote, hooks=self._hooks)
            if switches:
                self._git.asked("switch", "--quiet", "--no-guess", self._name)
            if moves_files:
                self._git.asked("merge", "--quiet", "--ff-only", local)
        return Kept(before, after)

    def _forwarded(self) -> str | None:
        """Where the remote has it, when that is a step forward from where it is here."""
        here, there = self._before.local, self._before.remote
        if not self._forward or here is None or there is None or here == there:
            return None
        with Scratch(self._checkout, {}) as scratch:
            there = scratch.fetch(self._name)
            if contains(scratch.git, here, there):
                return there
            if contains(scratch.git, there, here):
                return None
        raise PlatformError(
            f"{self._name} is at {short(here)} in {self._checkout.folder} and at {short(there)} on "
            f"{self._checkout.remote}, and each has commits of its own.",
            f"In {self._checkout.folder}, on {self._name}: git pull --rebase {self._checkout.remote} {self._name}.",
        )

    def _fetch(self) -> None:
        # As git fetch does it, so that the checkout knows where its remote stands.
        source = self._name if self._before.remote else self._origin
        tracked = f"+refs/heads/{source}:refs/remotes/{self._checkout.remote}/{source}"
        self._git.asked("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._checkout.remote, tracked)

    def _refuse_to_push_backward(self, local: str, remote: str | None) -> None:
        if remote is None or remote == local:
            return
        if self._checkout.commit_of(remote) is None or not contains(self._git, remote, local):
            raise PlatformError(
                f"{self._name} of {self._checkout.remote} is at {short(remote)}, which {short(local)} in "
                f"{self._checkout.folder} does not hold.",
                f"In {self._checkout.folder}, on {self._name}: git pull --rebase {self._checkout.remote} {self._name}.",
            )

    def absent(self) -> Kept:
        before = self._before
        lost = self._not_merged()
        if lost and not self._force:
            first = f"{short(lost[0].commit)} ({lost[0].subject})"
            raise PlatformError(
                f"{self._name} has {len(lost)} commit{'s' if len(lost) > 1 else ''} that {self._origin} of "
                f"{self._checkout.remote} does not hold, such as {first}.",
                "Merge it first; option force=true deletes it all the same.",
                lost=[commit.to_result() for commit in lost],
            )
        leaves = before.local is not None and before.checked_out == self._name
        if leaves:
            self._refuse_to_leave()
        elif before.local is not None:
            self._refuse_used_elsewhere(self._name)
        after = Places(None, None, self._origin if leaves else before.checked_out)
        if not self._check:
            if before.remote:
                self._delete_remotely(before.remote)
            if leaves:
                self._git.asked("switch", "--quiet", "--guess", self._origin)
            if before.local:
                self._git.asked("branch", "--quiet", "-D", self._name)
        return Kept(before, after, lost)

    def _refuse_to_leave(self) -> None:
        if not self._switch:
            raise PlatformError(
                f"{self._name} is checked out in {self._checkout.folder}.",
                f"Check out another branch, or let this one switch to {self._origin} with option switch=true.",
            )
        self._checkout.refuse_changes(f"switching to {self._origin}")
        self._refuse_used_elsewhere(self._origin)

    def _refuse_used_elsewhere(self, name: str) -> None:
        # Its files would not move with it, and look as if somebody had taken the new commits back.
        if folder := self._checkout.working_tree_of(name):
            raise PlatformError(
                f"{name} is checked out in {folder}, another working tree of {self._checkout.folder}.",
                f"Switch to another branch there, or let it go: git -C {folder} switch --detach.",
            )

    def _not_merged(self) -> list[Commit]:
        """What only this branch holds, here or there."""
        tips = {tip for tip in (self._before.local, self._before.remote) if tip}
        if not tips:
            return []
        if all(self._checkout.commit_of(commit) for commit in (*tips, self._origin_commit)):
            return commits_between(self._git, *sorted(tips), "--not", self._origin_commit)
        with Scratch(self._checkout, {}) as scratch:
            if self._before.remote:
                scratch.fetch(self._name, keep="source")
            return commits_between(scratch.git, *sorted(tips), "--not", scratch.fetch(self._origin))

    def _delete_remotely(self, commit: str) -> None:
        """Only as long as nobody has pushed to it meanwhile."""
        lease = f"--force-with-lease=refs/heads/{self._name}:{commit}"
        done = run_push(self._checkout, f":refs/heads/{self._name}", lease, hooks=self._hooks)
        if self._checkout.remote_branch(self._name) is not None:
            raise refused(self._checkout, self._name, done, self._hooks)
