# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases, read from the journal: what each deployment brought, and what served before it."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone

from ._errors import PlatformError
from ._journal import names_in, read_entry

UNDER_WAY, SUCCEEDED, FAILED, INTERRUPTED = OUTCOMES = ("under_way", "succeeded", "failed", "interrupted")
PREVIOUS = "previous"
_KIND = "deploy"
#: Fewer digits of a commit may be those of another one.
_DIGITS = 7


@dataclass(frozen=True)
class Release:
    """One deployment: commit, image, schema, dump and frontend, and how it ended.

    :param began: seconds since the epoch; ``ended`` is None while it is under way, or was interrupted.
    :param application: the id of what was deployed, in Dokploy.
    :param deployed: whether something was deployed, or the wanted version served already.
    :param deployment: the id of Dokploy's record.
    :param migrations: the names that its code knows; empty when they are not known.
    :param applied_migrations: those that this very run has applied.
    :param dump: path, sha256 and bytes of the dump that was made before it.
    :param pages: deployment, url and commit of the frontend, and ``previous``, what was canonical before.
    :param asked_for: what the run was told to deploy.
    :param before: what served before: the way back.
    :param rolled_back: what a failed run went back to.
    :param phases: seconds by phase.
    """

    run: str
    path: str
    outcome: str
    began: float
    ended: float | None = None
    host: str = ""
    user: str = ""
    message: str = ""
    application: str = ""
    deployed: bool = False
    commit: str | None = None
    subject: str | None = None
    version: str | None = None
    image: str | None = None
    deployment: str | None = None
    migration_head: str | None = None
    migrations: Sequence[str] = ()
    applied_migrations: Sequence[str] = ()
    dump: Mapping[str, t.Any] | None = None
    pages: Mapping[str, t.Any] | None = None
    health_before: Mapping[str, t.Any] | None = None
    health_after: Mapping[str, t.Any] | None = None
    asked_for: Mapping[str, t.Any] = field(default_factory=dict)
    before: Mapping[str, t.Any] = field(default_factory=dict)
    rolled_back: Mapping[str, t.Any] | None = None
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float | None:
        return None if self.ended is None else round(max(0.0, self.ended - self.began), 1)

    def bears(self, name: str) -> bool:
        """Whether it is meant by a run, the id of a deployment, or the first digits of a commit."""
        digits = name.lower()
        by_commit = len(name) >= _DIGITS and bool(self.commit) and str(self.commit).lower().startswith(digits)
        return by_commit or name in (self.run, self.deployment)

    def to_result(self) -> dict[str, t.Any]:
        began = datetime.fromtimestamp(self.began, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {**vars(self), "began_at": began, "seconds": self.seconds}


class Releases(list[Release]):
    """Newest first.

    :ivar unreadable: entries of the journal that tell nothing, and why.
    """

    def __init__(self, releases: Iterable[Release] = (), unreadable: Sequence[str] = ()) -> None:
        super().__init__(releases)
        self.unreadable = list(unreadable)


_RECORDED = {one.name for one in fields(Release)}


def read_releases(folder: str) -> Releases:
    """Every deployment of the journal, newest first; entries of before there were releases tell less."""
    found, unreadable = [], []
    for name in names_in(folder, _KIND):
        path = os.path.join(folder, name)
        try:
            found.append(release_of(read_entry(path), path))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            unreadable.append(f"{name} is no release: {error}")
    # Two runs of one second differ in when they began.
    found.sort(key=lambda release: release.began, reverse=True)
    return Releases(found, unreadable)


def release_of(entry: Mapping[str, t.Any], path: str) -> Release:
    """What an entry of the journal tells of its release."""
    recorded = _mapping(entry, "release")
    to, asked_for = _mapping(entry, "to"), _mapping(entry, "asked_for")
    known = {name: value for name, value in recorded.items() if name in _RECORDED and value is not None}
    return Release(
        **{
            "commit": to.get("commit") or asked_for.get("commit") or None,
            "version": to.get("version") or asked_for.get("version") or None,
            "image": to.get("image") or None,
            "deployment": to.get("deployment") or None,
            **known,
            "run": str(entry["run"]),
            "path": path,
            "outcome": str(entry["outcome"]),
            "began": float(entry["began"]),
            "ended": None if entry["ended"] is None else float(entry["ended"]),
            "host": str(entry.get("host") or ""),
            "user": str(entry.get("user") or ""),
            "message": str(entry.get("message") or ""),
            "application": str(_mapping(entry, "application").get("id") or ""),
            "deployed": entry.get("deployed") is True,
            "asked_for": asked_for,
            "before": _mapping(entry, "from"),
            "rolled_back": _mapping(entry, "rolled_back") or None,
            "phases": _mapping(entry, "phases") or _mapping(entry, "seconds"),
        }
    )


def _mapping(entry: Mapping[str, t.Any], key: str) -> dict[str, t.Any]:
    found = entry.get(key) or {}
    if not isinstance(found, dict):
        raise ValueError(f"its {key} is no mapping")
    return dict(found)


def chosen(releases: Sequence[Release], name: str, serving: Mapping[str, t.Any]) -> Release:
    """The release to return to.

    :param releases: newest first.
    :param name: a run, a deployment, a commit, or ``previous``: what served before the newest that succeeded.
    :param serving: deployment, commit and image of what runs, as far as they are known.
    """
    good = [release for release in releases if release.outcome == SUCCEEDED]
    if name == PREVIOUS:
        return _previous(good, serving)
    meant = [release for release in good if release.bears(name)]
    if meant:
        commits = {release.commit for release in meant}
        if len(commits) > 1:
            raise PlatformError(
                f"{name!r} fits {len(meant)} releases: {_told(meant)}.", "Name one of these runs, or more digits."
            )
        return meant[0]
    ended_badly = next((release for release in releases if release.bears(name)), None)
    if ended_badly is not None:
        raise PlatformError(
            f"Release {ended_badly.run} has not succeeded: its outcome is {ended_badly.outcome}.",
            f"Choose one that has: {_told(good)}.",
        )
    raise PlatformError(
        f"The journal has no release {name!r}.", f"Choose one of these: {_told(good)}." if good else _NO_RELEASE
    )


def _previous(good: Sequence[Release], serving: Mapping[str, t.Any]) -> Release:
    now = _serving(good, serving)
    if good and now is None:
        # Something that no play has deployed came after it.
        return good[0]
    if now is not None and not _same(now, good[0]):
        # It was returned to before.
        return now
    found = next((release for release in good if not _same(release, now)), None)
    if found is None:
        raise PlatformError("The journal has no release that succeeded before the one that serves now.", _NO_RELEASE)
    return found


def _serving(good: Sequence[Release], place: Mapping[str, t.Any]) -> Release | None:
    """The release that runs: by Dokploy's record; by its commit; by its image only where no commit is known."""
    for key in ("deployment", "commit", "image"):
        if place.get(key):
            found = next((release for release in good if getattr(release, key) == place[key]), None)
            if found is not None or key == "commit":
                return found
    return None


def _same(release: Release, other: Release | None) -> bool:
    """The same thing deployed once more is no other release."""
    if other is None:
        return False
    if release.commit and other.commit:
        return release.commit == other.commit
    return bool(release.deployment) and release.deployment == other.deployment


def dump_for(releases: Sequence[Release], release: Release) -> tuple[Mapping[str, t.Any], str] | None:
    """The newest dump with the schema of a release, and the run that made it; None when there is none.

    Each dump was made before its own release, so it is the one of the next release that migrated.

    :param releases: newest first.
    """
    later = [one for one in releases if one.began > release.began]
    for one in reversed(later):
        if one.dump:
            return one.dump, one.run
        if one.applied_migrations:
            break
    return (release.dump, release.run) if release.dump else None


_NO_RELEASE = (
    "Each deployment by playbooks/deploy.yml leaves one; without it, playbooks/rollback.yml --tags list shows what"
    " Dokploy keeps."
)


def _told(releases: Sequence[Release]) -> str:
    shown = [f"{release.run} ({(release.commit or release.image or 'unknown')[:12]})" for release in releases[:5]]
    return ", ".join(shown) or "there is none"
