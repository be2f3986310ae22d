# SPDX-License-Identifier: GPL-3.0-or-later
"""The git repositories of the lab: a url has refs, branches and tags alike, and a ref its commits, newest last.

A commit is a row of `sha`, `message` and `version`; `behaviour` and `build_seconds` tell how it builds and runs, and
`compose_file` is what a compose service finds in it.
"""

from __future__ import annotations

from lab.dokploy.model import Model, Row


def push(model: Model, url: str, commit: Row, branch: str = "main") -> None:
    with model.change():
        model.tables["repositories"].setdefault(url, {}).setdefault(branch, []).append(commit)


def tag(model: Model, url: str, name: str, sha: str) -> None:
    with model.change():
        refs = model.tables["repositories"][url]
        refs[name] = [next(commit for commits in refs.values() for commit in commits if commit["sha"] == sha)]


def head(model: Model, url: str, ref: str) -> Row | None:
    """What `git clone --branch` finds: by the name of a branch or a tag, and never by a sha."""
    commits = model.tables["repositories"].get(url, {}).get(ref)
    return dict(commits[-1]) if commits else None
