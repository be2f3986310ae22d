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
_KIND, _RETURN_KIND = "deploy", "rollback"
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


@dataclass(frozen=True)
class Return:
    """One rollback that succeeded.

    :param release: the run of the release that it returned to; empty when none was named.
    :param place: deployment, commit and image of what it returned to.
    :param revert: the newest commit of the branch, once all that came after the release was reverted on it.
    """

    began: float
    application: str = ""
    release: str = ""
    place: Mapping[str, t.Any] = field(default_factory=dict)
    revert: str | None = None


class Releases(list[Release]):
    """Newest first.

    :ivar unreadable: entries of the journal that tell nothing, and why.
    :ivar returns: the rollbacks, oldest first.
    """

    def __init__(
        self, releases: Iterable[Release] = (), unreadable: Sequence[str] = (), returns: Sequence[Return] = ()
    ) -> None:
        super().__init__(releases)
        self.unreadable = list(unreadable)
        self.returns = list(returns)

    def of(self, application: str | None) -> Releases:
        """Those of one application; without any, all."""
        if not application:
            return self
        return Releases(
            [release for release in self if release.application == application],
            self.unreadable,
            [one for one in self.returns if one.application == application],
        )


_RECORDED = {one.name for one in fields(Release)}


def read_releases(folder: str) -> Releases:
    """Every deployment of the journal, newest first; entries of before there were releases tell less."""
    unreadable: list[str] = []
    found = _read(folder, _KIND, release_of, unreadable)
    returns = _read(folder, _RETURN_KIND, _return_of, unreadable)
    # Two runs of one second differ in when they began.
    found.sort(key=lambda release: release.began, reverse=True)
    told = sorted((one for one in returns if one is not None), key=lambda one: one.began)
    return Releases(found, unreadable, told)


_Told = t.TypeVar("_Told")


def _read(
    folder: str, kind: str, told_by: t.Callable[[Mapping[str, t.Any], str], _Told], unreadable: list[str]
) -> list[_Told]:
    found = []
    for name in names_in(folder, kind):
        path = os.path.join(folder, name)
        try:
            found.append(told_by(read_entry(path), path))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            unreadable.append(f"{name} is no {'release' if kind == _KIND else 'rollback'}: {error}")
    return found


def _return_of(entry: Mapping[str, t.Any], _path: str) -> Return | None:
    if entry["outcome"] != SUCCEEDED:
        return None
    release = _mapping(entry, "release")
    return Return(
        began=float(entry["began"]),
        application=str(_mapping(entry, "application").get("id") or ""),
        release=str(release.get("run") or ""),
        place=_mapping(entry, "to"),
        revert=release.get("revert") or None,
    )


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


def chosen(
    releases: Sequence[Release], name: str, serving: Mapping[str, t.Any], returns: Sequence[Return] = ()
) -> Release:
    """The release to return to.

    :param releases: newest first.
    :param name: a run, a deployment, a commit, or ``previous``: what served before the newest that succeeded.
    :param serving: deployment, commit and image of what runs, as far as they are known.
    :param returns: the rollbacks, oldest first.
    """
    good = [release for release in releases if release.outcome == SUCCEEDED]
    if name == PREVIOUS:
        return _previous(_Past(good, returns), serving)
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


def serving_release(
    releases: Sequence[Release], place: Mapping[str, t.Any], returns: Sequence[Return]
) -> Release | None:
    """The release whose code runs; None when no play has deployed it, or it is not known."""
    return _Past([release for release in releases if release.outcome == SUCCEEDED], returns).serving(place)


def _previous(past: _Past, serving: Mapping[str, t.Any]) -> Release:
    good, now = past.good, past.serving(serving)
    if good and now is None:
        # Something that no play has deployed came after it.
        return past.standing[0]
    if now is not None and now in past.standing and not past.same(now, good[0]):
        # It was returned to before.
        return now
    found = next((release for release in past.standing if not past.same(release, good[0])), None)
    if found is None:
        raise PlatformError("The journal has no release that succeeded before the one that serves now.", _NO_RELEASE)
    return found


class _Past:
    """What succeeded, and what of it was rolled back.

    :ivar good: newest first.
    :ivar standing: those that no rollback has left for an older one since.
    """

    def __init__(self, good: Sequence[Release], returns: Sequence[Return]) -> None:
        self.good = self.standing = list(good)
        self._reverted_to: dict[str, str] = {}
        left: set[str] = set()
        for one in returns:
            target = next((release for release in good if release.run == one.release), None)
            target = target or self.serving(one.place)
            if target is None:
                continue
            left |= {release.run for release in good if target.began < release.began < one.began}
            left -= {target.run, *(release.run for release in good if self.same(release, target))}
            if one.revert and target.commit:
                self._reverted_to[one.revert] = self._code(target.commit)
        self.standing = [release for release in good if release.run not in left]

    def _code(self, commit: str) -> str:
        """A branch on which all since a release was reverted has the code of that release."""
        return next((code for revert, code in self._reverted_to.items() if _alike(revert, commit)), commit)

    def serving(self, place: Mapping[str, t.Any]) -> Release | None:
        """The release that runs: by Dokploy's record; by its commit; by its image only where no commit is known."""
        if place.get("deployment"):
            found = next((release for release in self.good if release.deployment == place["deployment"]), None)
            if found is not None:
                return found
        if place.get("commit"):
            code = self._code(place["commit"])
            return next(
                (release for release in self.good if release.commit and _alike(self._code(release.commit), code)), None
            )
        if place.get("image"):
            return next((release for release in self.good if release.image == place["image"]), None)
        return None

    def same(self, release: Release, other: Release) -> bool:
        """The same thing deployed once more is no other release."""
        if release.commit and other.commit:
            return _alike(self._code(release.commit), self._code(other.commit))
        return bool(release.deployment) and release.deployment == other.deployment


def _alike(commit: str, other: str) -> bool:
    """A run that was told the first digits of a commit may have kept no more of it."""
    return commit == other or (
        min(len(commit), len(other)) >= _DIGITS and (commit.startswith(other) or other.startswith(commit))
    )


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
