# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a folder of dumps and at the ledger, and deletes what the plan lets go."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import fnmatch
from typing import Any

from ..._errors import PlatformError
from ..._ledger import Ledger, condemned, newest_proof, of_database, read_ledger
from ..dump.judge import created_by_name, judge
from ..dump.model import UNREADABLE, UNSUPPORTED, DumpRejected
from ..dump.report import in_units
from ..dump.source import is_archive
from ..dump.tools import Tools
from . import files
from .backup import require_folder
from .manifest import Manifest, ManifestError, manifest_of
from .offsite import Remote
from .retention import Held, Plan, Policy, Verdict, guardians, plan

# What a key is missing for, or a program, says nothing about the dump.
_NOT_TOLD = (UNREADABLE, UNSUPPORTED)


@dataclass(frozen=True)
class Options:
    """What the user asked for; the module's documentation says what each means."""

    folder: str
    database: str
    policy: Policy
    patterns: tuple[str, ...] = ()
    ledger: str | None = None
    check_content: bool = True
    remote: Remote | None = None


@dataclass
class Report:
    """The module's result."""

    database: str
    changed: bool = False
    msg: str = ""
    stopped: str | None = None
    kept: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    freed_bytes: int = 0
    newest_proved: str | None = None
    notes: list[str] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=dict)

    def as_result(self) -> dict[str, Any]:
        result = dict(vars(self))
        diff = result.pop("diff")
        return {**result, **({"diff": diff} if diff else {})}


def prune(options: Options, tools: Tools, now: datetime, *, check: bool) -> Report:
    """Delete what the policy no longer keeps. In check mode: say what would go, and why.

    :raises PlatformError: with the report so far among its details.
    """
    return _Prune(options, tools, now).run(check)


class _Prune:
    def __init__(self, options: Options, tools: Tools, now: datetime) -> None:
        self._options = options
        self._tools = tools
        self._now = now
        self._report = Report(options.database)
        self._manifests: dict[str, Manifest] = {}
        self._sums: dict[str, str] = {}

    def run(self, check: bool) -> Report:
        options, report = self._options, self._report
        options.policy.require()
        require_folder(options.folder)
        ledger = self._ledger()
        if options.remote is not None:
            options.remote.require()
        held = [self._with_drills(one, ledger) for one in self._held()]
        if options.check_content:
            held = self._looked_into(held)
        found = plan(held, options.policy, self._now)
        self._tell(found)
        if not check:
            self._delete(found)
        return report

    # -- looking -------------------------------------------------------------------------------------------------

    def _ledger(self) -> Ledger:
        ledger = read_ledger(self._options.ledger) if self._options.ledger else Ledger()
        self._report.notes += ledger.problems
        return Ledger(of_database(ledger, self._options.database))

    def _held(self) -> Iterator[Held]:
        folder, links = self._options.folder, files.links(self._options.folder)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_symlink() or entry.name.endswith(files.MANIFEST):
                continue
            status = entry.stat(follow_symlinks=False)
            time = datetime.fromtimestamp(status.st_mtime, timezone.utc)
            if entry.name.startswith(files.PARTIAL):
                # One that is being made just now is no failure.
                name = entry.name[len(files.PARTIAL) :]
                if files.is_dead(entry.path) and (name.startswith(self._options.database) or self._is_ours(name)):
                    yield Held(entry.name, time, partial=True)
            elif not entry.name.startswith("."):
                one = self._recognised(entry.path, entry.name, status, time)
                yield replace(one, links=tuple(sorted(links.get(entry.name, ()))))

    def _recognised(self, path: str, name: str, status: os.stat_result, time: datetime) -> Held:
        named = created_by_name(name, time)
        time = named[0] if named else time
        if stat.S_ISDIR(status.st_mode):
            if not is_archive(path):
                return Held(name, time, foreign="it is a folder, and no dump")
            if any(not entry.is_file(follow_symlinks=False) for entry in os.scandir(path)):
                return Held(name, time, foreign="it holds more than the files of a dump")
        elif not stat.S_ISREG(status.st_mode):
            return Held(name, time, foreign="it is no file")
        size = files.size_of(path)
        if not os.path.lexists(manifest_of(path)):
            ours = self._is_ours(name)
            return Held(name, time, size, foreign=None if ours else "no manifest, and none of the patterns is its name")
        try:
            manifest = Manifest.read(manifest_of(path))
        except ManifestError as error:
            self._report.notes.append(error.msg)
            return Held(name, time, size, foreign=error.msg)
        if manifest.database != self._options.database:
            return Held(name, manifest.began_at, size, foreign=f"it is of database {manifest.database}")
        self._manifests[name] = manifest
        bad = None if size == manifest.bytes else f"it has {size} bytes, and its manifest says {manifest.bytes}"
        return Held(name, manifest.began_at, size, bad=bad)

    def _is_ours(self, name: str) -> bool:
        """By its name alone; what has a manifest of its own needs no pattern."""
        return any(fnmatch(name, pattern) for pattern in self._options.patterns)

    def _with_drills(self, one: Held, ledger: Ledger) -> Held:
        """What the drills say about this very content."""
        if one.foreign or one.partial or one.bad:
            return one
        manifest = self._manifests.get(one.name)
        # Without a manifest the content is read, if a drill had a dump of this name.
        by_name = any(drill.dump.get("name") == one.name for drill in ledger)
        checksum = manifest.sha256 if manifest else self._sum(one) if by_name else None
        if checksum is None:
            return one
        against, proof = condemned(ledger, checksum), newest_proof(ledger, checksum)
        if against is not None:
            return replace(one, bad=f"the drill of {against.began} failed: {against.reason}")
        return replace(one, proved=f"{proof.verify}, {proof.ended}") if proof is not None else one

    def _looked_into(self, held: list[Held]) -> list[Held]:
        """The content of those that all others depend on: the newest ones, and the proved ones that guard the rest."""
        policy = self._options.policy
        known = {one.name: one for one in held}
        seen: set[str] = set()
        while True:
            newest_first = sorted(known.values(), key=lambda one: (one.time, one.name), reverse=True)
            good = [one for one in newest_first if one.good]
            newest = [one for one in newest_first if not one.foreign][: policy.stop_when_newest_bad]
            wanted = [*good[:1], *(one for one in newest if one.good), *guardians(newest_first, policy.min_proved)]
            unseen = next((one for one in wanted if one.name not in seen), None)
            if unseen is None:
                return list(known.values())
            seen.add(unseen.name)
            known[unseen.name] = replace(unseen, bad=self._damage(unseen))

    def _damage(self, one: Held) -> str | None:
        manifest = self._manifests.get(one.name)
        if manifest is not None:
            changed = self._sum(one) != manifest.sha256
            return "its content has changed since it was made: the checksum differs" if changed else None
        try:
            judge(os.path.join(self._options.folder, one.name), self._tools)
        except DumpRejected as rejected:
            if rejected.code not in _NOT_TOLD:
                return f"it is no dump that can be restored: {rejected.reason}"
            self._report.notes.append(f"{one.name} could not be judged: {rejected.reason}")
        return None

    def _sum(self, one: Held) -> str:
        if one.name not in self._sums:
            self._sums[one.name] = files.sha256_of(os.path.join(self._options.folder, one.name))
        return self._sums[one.name]

    # -- telling -------------------------------------------------------------------------------------------------

    def _tell(self, found: Plan) -> None:
        report = self._report
        report.stopped = found.stopped
        report.kept = [self._row(verdict) for verdict in found.kept]
        report.deleted = [self._row(verdict) for verdict in found.deleted]
        report.freed_bytes = sum(verdict.held.bytes for verdict in found.deleted)
        newest = guardians((verdict.held for verdict in found.verdicts), 1)
        report.newest_proved = newest[0].name if newest else None
        report.changed = bool(found.deleted)
        names = [[verdict.held.name for verdict in some] for some in (found.verdicts, found.kept)]
        if report.changed:
            report.diff = {"before": _lines(names[0]), "after": _lines(names[1])}
        said = f"{len(report.deleted)} of {len(found.verdicts)} go ({in_units(report.freed_bytes)})."
        report.msg = f"Nothing goes: {found.stopped}." if found.stopped else said
        if found.stopped is None and report.newest_proved:
            report.msg += f" The newest proved one, {report.newest_proved}, stays."

    def _row(self, verdict: Verdict) -> dict[str, Any]:
        one = verdict.held
        return {
            "name": one.name,
            "path": os.path.join(self._options.folder, one.name),
            "time": one.time.isoformat(timespec="seconds"),
            "bytes": one.bytes,
            "proved": one.proved,
            "bad": one.bad,
            "reasons": list(verdict.reasons),
        }

    # -- deleting ------------------------------------------------------------------------------------------------

    def _delete(self, found: Plan) -> None:
        """The oldest first: whatever ends this, what is left is the newest."""
        report = self._report
        planned, report.deleted, report.freed_bytes = report.deleted, [], 0
        folder = os.open(self._options.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for row in reversed(planned):
                self._delete_one(folder, row["name"])
                report.deleted.insert(0, row)
                report.freed_bytes += row["bytes"]
            for name in self._orphans():
                os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        except (OSError, PlatformError) as error:
            report.changed = bool(report.deleted)
            said = error.msg if isinstance(error, PlatformError) else f"{error.strerror}."
            details = {name: value for name, value in report.as_result().items() if name not in ("msg", "diff")}
            raise PlatformError(
                f"Not all that was to go could be deleted: {said}",
                "What is kept was not touched; run it again.",
                **details,
            ) from None
        finally:
            os.close(folder)

    def _orphans(self) -> Iterator[str]:
        """Manifests of dumps that are gone: whoever deleted one was ended before this."""
        names = set(os.listdir(self._options.folder))
        for name in sorted(name for name in names if name.endswith(files.MANIFEST) and not name.startswith(".")):
            dump = name[: -len(files.MANIFEST)]
            in_the_making = any(other.startswith(files.PARTIAL + dump) for other in names)
            # In this order, as a dump that is just being made gets its name behind its manifest.
            if in_the_making or os.path.lexists(os.path.join(self._options.folder, dump)):
                continue
            with suppress(ManifestError):
                if Manifest.read(os.path.join(self._options.folder, name)).database == self._options.database:
                    yield name

    def _delete_one(self, folder: int, name: str) -> None:
        """The copy elsewhere goes first: when that fails, the dump here still tells of it.

        All happens in the folder that was opened, and no link is followed.
        """
        manifest = self._manifests.get(name)
        remote = self._options.remote
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if remote is not None and manifest is not None and manifest.offsite is not None:
            if manifest.offsite.remote == remote.remote:
                remote.delete(name, is_folder=manifest.format == "directory")
            else:
                self._report.notes.append(f"The copy of {name} is not in {remote.remote} and was left.")
        if stat.S_ISDIR(mode):
            # From here on it is no dump, and whatever is left of it the next backup removes.
            aside = files.PARTIAL + name
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
            inside = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                for file in os.listdir(inside):
                    os.unlink(file, dir_fd=inside)
            finally:
                os.close(inside)
            os.rmdir(aside, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
        if manifest is not None:
            os.unlink(name + files.MANIFEST, dir_fd=folder)


def _lines(names: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in names)
