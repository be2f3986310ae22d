# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends elsewhere what was dumped here and is not there yet, as after a night without network."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..._errors import PlatformError
from ..._progress import Progress
from ..dump.report import in_units
from . import files
from .backup import Report, require_folder
from .manifest import Manifest, ManifestError, is_plain_name, manifest_of
from .offsite import Remote


def send_missing(
    remote: Remote, database: str, folder: str, wanted: str | None, progress: Progress, *, check: bool
) -> Report:
    """Send every dump whose manifest knows of no copy elsewhere, the newest first; or the one that is named.

    :raises PlatformError: when one cannot be sent; those before it are there.
    """
    report = Report(database)
    with report.kept_on_failure():
        require_folder(folder)
        remote.require()
        missing = _missing(database, folder, wanted, report)
        size = in_units(sum(manifest.bytes for manifest in missing))
        report.plan = {"estimated_bytes": sum(manifest.bytes for manifest in missing), "offsite": remote.remote}
        report.diff = {"before": "", "after": "".join(f"{remote.path_of(one.dump)}\n" for one in missing)}
        if not missing:
            known = " whose manifest can be believed" if report.notes else ""
            report.msg = f"Every dump of {database} in {folder}{known} has been sent elsewhere."
        elif check:
            report.changed = True
            report.msg = f"Would send {_named(missing)} to {remote.remote}, {size}."
        else:
            for manifest in missing:
                _send(remote, manifest, folder, report, progress)
            report.msg = (
                f"{_named(missing)} was sent to {remote.remote}, {size}; the checksum of what arrived is right."
            )
    return report


def _missing(database: str, folder: str, wanted: str | None, report: Report) -> list[Manifest]:
    counted = [_wanted(database, folder, wanted)] if wanted is not None else _counted(database, folder, report)
    missing = [manifest for manifest in counted if manifest.offsite is None]
    return sorted(missing, key=lambda manifest: (manifest.began_at, manifest.dump), reverse=True)


def _wanted(database: str, folder: str, dump: str) -> Manifest:
    if not is_plain_name(dump):
        raise PlatformError(f"Option dump is {dump!r}.", "Write the file name of one dump.")
    path = os.path.join(folder, dump)
    if not os.path.lexists(path) or not os.path.lexists(manifest_of(path)):
        raise PlatformError(
            f"The folder {folder} has no dump {dump} with a manifest.",
            "Check path and dump; without one, none counts.",
        )
    manifest = Manifest.read(manifest_of(path))
    if manifest.database != database:
        raise PlatformError(f"{path} is a dump of {manifest.database}, not of {database}.", "Check database and dump.")
    return manifest


def _counted(database: str, folder: str, report: Report) -> Iterator[Manifest]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if not entry.name.endswith(files.MANIFEST) or entry.name.startswith("."):
            continue
        try:
            manifest = Manifest.read(entry.path)
        except ManifestError as error:
            report.note(f"{error.msg} Whether its dump has been sent is not known.")
            continue
        if manifest.database != database:
            continue
        if os.path.exists(os.path.join(folder, manifest.dump)):
            yield manifest
        elif manifest.offsite is None:
            report.note(f"{manifest.dump} has a manifest and is not there; it was sent nowhere.")


def _send(remote: Remote, manifest: Manifest, folder: str, report: Report, progress: Progress) -> None:
    path = os.path.join(folder, manifest.dump)
    with report.phase(f"offsite {manifest.dump}"):
        progress.begin("offsite", 0)
        if files.sha256_of(path) != manifest.sha256:
            raise PlatformError(
                f"{path} is not what its manifest says: the checksum differs.",
                "It has changed on this disk: move it away, make a new backup, and look at the disk.",
            )
        sent = remote.deliver(path, manifest)
    report.changed = True
    if report.dump is None:
        report.dump, report.manifest_path = path, manifest_of(path)
        report.manifest, report.rows = sent.as_dict(), sent.rows


def _named(manifests: list[Manifest]) -> str:
    more = f" (and {len(manifests) - 1} older)" if len(manifests) > 1 else ""
    return manifests[0].dump + more
