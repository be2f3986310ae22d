# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a dump and its manifest back from the copy elsewhere, for a recovery."""

from __future__ import annotations

import os
from contextlib import ExitStack

from ..._errors import PlatformError
from ..._progress import Progress
from ..dump.report import in_units
from . import files
from .backup import Report, require_folder
from .manifest import Manifest, ManifestError, is_plain_name, manifest_of
from .offsite import Remote


def fetch(
    remote: Remote,
    database: str,
    folder: str,
    wanted: str | None,
    disk_floor: int,
    progress: Progress,
    *,
    check: bool,
) -> Report:
    """Have a dump here that is there, the newest of the database unless one is named.

    :raises PlatformError: when what has come is not what its manifest says.
    """
    report = Report(database)
    with report.kept_on_failure():
        require_folder(folder)
        remote.require()
        manifest = _chosen(remote, database, wanted)
        report.manifest, report.rows = manifest.as_dict(), manifest.rows
        path = os.path.join(folder, manifest.dump)
        if _is_here(path, manifest):
            report.dump, report.manifest_path = path, manifest_of(path)
            report.msg = f"{path} is here already, as its manifest says."
            return report
        _require_room(folder, manifest, disk_floor)
        report.plan = {"path": path, "estimated_bytes": manifest.bytes, "offsite": remote.path_of(manifest.dump)}
        report.diff = {"before": "", "after": f"{manifest.dump}\n{manifest.dump}{files.MANIFEST}\n"}
        report.changed = True
        if check:
            report.msg = f"Would fetch {remote.path_of(manifest.dump)}, {in_units(manifest.bytes)}, to {path}."
            return report
        report.changed = False
        with report.phase("fetch"):
            _bring(remote, manifest, folder, report, progress)
        report.changed = True
        report.dump, report.manifest_path = path, manifest_of(path)
        report.msg = f"{path} was fetched from {remote.path_of(manifest.dump)}; its checksum is right."
    return report


def _chosen(remote: Remote, database: str, wanted: str | None) -> Manifest:
    if wanted is not None and not is_plain_name(wanted):
        raise PlatformError(f"Option dump is {wanted!r}.", "Write the file name of one dump.")
    found = [manifest for manifest in remote.manifests(wanted) if manifest.database == database]
    if not found:
        what = f"dump {wanted}" if wanted else "dump"
        raise PlatformError(
            f"{remote.remote} holds no {what} of {database} with a manifest.",
            "Check offsite.remote, database and dump; what has no manifest was never sent whole.",
        )
    return max(found, key=lambda manifest: (manifest.began_at, manifest.dump))


def _is_here(path: str, manifest: Manifest) -> bool:
    if not os.path.lexists(path):
        return False
    if os.path.islink(path) or files.sha256_of(path) != manifest.sha256:
        raise PlatformError(
            f"{path} exists already and is another one than {manifest.dump} elsewhere.",
            "Move it away, then run this again.",
        )
    try:
        return Manifest.read(manifest_of(path)).sha256 == manifest.sha256
    except ManifestError:
        return False


def _require_room(folder: str, manifest: Manifest, disk_floor: int) -> None:
    free, needed = files.free_bytes(folder), manifest.bytes + disk_floor
    if free < needed:
        raise PlatformError(
            f"The folder {folder} has {in_units(free)} free, and the dump needs {in_units(needed)}.",
            "Make room, or name another folder.",
        )


def _bring(remote: Remote, manifest: Manifest, folder: str, report: Report, progress: Progress) -> None:
    report.removed_partials = files.remove_dead(folder)[0]
    path = os.path.join(folder, manifest.dump)
    with ExitStack() as unfinished:
        # rclone renames what it writes, so the lock is that of a folder around it.
        around = unfinished.enter_context(files.Partial(folder, f"{manifest.dump}.fetched", is_folder=True))
        progress.begin("fetch")
        fetched = remote.fetch(manifest.dump, around.path)
        if os.path.islink(fetched) or files.sha256_of(fetched) != manifest.sha256:
            raise PlatformError(
                f"What was fetched as {manifest.dump} is not what its manifest says: the checksum differs.",
                "Fetch an older dump by its name (option dump), and find out who changed this one.",
            )
        files.sync(fetched)
        manifest.write(manifest_of(path))
        if not os.path.lexists(path):
            os.rename(fetched, path)
            files.sync(folder, deep=False)
