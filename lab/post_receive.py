# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook of the lab's origin. What does not answer is told of, and the push has succeeded all the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lab import client
from lab.git import FRONTEND_FILE, Commit, Git, GitError

HEADS = "refs/heads/"
PATIENCE_SECONDS = 5.0
_NOTHING = "0" * 40


def tell(state: Path, lines: Iterable[str]) -> Iterator[str]:
    """A line for each that was told; `lines` are git's: what a ref was, what it is, its name."""
    try:
        description = json.loads((state / "lab.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    for line in lines:
        before, after, ref = line.split()
        if not ref.startswith(HEADS) or after == _NOTHING:
            continue
        commits = _commits(Git(Path(description["git"]["origin"])), before, after)
        for who, told in (("Dokploy", _tell_dokploy), ("Cloudflare Pages", _tell_pages)):
            try:
                answer = told(description, ref, before, commits)
            except client.Unreachable as error:
                answer = str(error)
            if answer:
                yield f"{who}: {answer}"


def _commits(git: Git, before: str, after: str) -> list[Commit]:
    """What the push brought, newest first; of a new branch its head alone, as of one that was set back."""
    brought = git.log(f"{before}..{after}") if before != _NOTHING else []
    return brought or git.log("--max-count=1", after)


def _tell_dokploy(description: dict[str, Any], ref: str, before: str, commits: list[Commit]) -> str:
    """The webhook is set for what is built from the repository, and for nothing else."""
    dokploy = description["dokploy"]
    status, application = client.call(
        f"{dokploy['url']}/api/application.one?applicationId={dokploy['application_id']}",
        headers={"x-api-key": dokploy["api_key"]},
        timeout=PATIENCE_SECONDS,
    )
    if status != 200:
        return f"{status} to the question for its webhook"
    if application["sourceType"] != "git":
        return ""
    told = [{"id": commit.sha, "message": commit.message} for commit in commits]
    push = {"ref": ref, "before": before, "after": commits[0].sha, "commits": told}
    status, answer = client.call(
        f"{dokploy['url']}/api/deploy/{application['refreshToken']}",
        push,
        {"X-Gitea-Event": "push"},
        timeout=PATIENCE_SECONDS,
    )
    return f"{status} {answer['message'] if isinstance(answer, dict) else ''}".strip()


def _tell_pages(description: dict[str, Any], ref: str, _before: str, commits: list[Commit]) -> str:
    pages = description["pages"]
    push = {
        "branch": ref.removeprefix(HEADS),
        "commit": commits[0].sha,
        "message": commits[0].message,
        "behaviour": _frontend(Git(Path(description["git"]["origin"])), commits[0].sha),
    }
    status, _answer = client.call(f"{pages['url']}/lab/push", push, timeout=PATIENCE_SECONDS)
    return str(status)


def _frontend(git: Git, commit: str) -> str:
    try:
        return git("show", f"{commit}:{FRONTEND_FILE}").strip()
    except GitError:
        return "ok"


if __name__ == "__main__":
    for told_line in tell(Path(sys.argv[1]), sys.stdin):
        print(told_line)
