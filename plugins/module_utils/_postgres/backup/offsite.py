# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy elsewhere, by rclone: sent, checked there by checksum, fetched back, deleted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from ..._errors import PlatformError
from ..._redact import clip, redact_text
from .command import clean_environment, program
from .files import MANIFEST, hashes_of
from .manifest import Manifest, ManifestError, Offsite, manifest_of

# A remote of the configuration, and a folder there. rclone also takes a whole configuration in place of the name,
# secrets included, which would be seen in the list of processes.
_REMOTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@ -]*:[^\0\n]*")
# The strongest first.
_ALGORITHMS = ("sha256", "md5", "sha1")
_NO_FOLDER = "directory not found"
#: The option of the modules.
OFFSITE: dict[str, Any] = {
    "type": "dict",
    "options": {"remote": {"type": "str", "required": True}, "rclone_config": {"type": "path"}},
}


@dataclass(frozen=True)
class Remote:
    """A folder of an rclone remote.

    :param bandwidth: bytes a second.
    """

    remote: str
    config: str | None = None
    bandwidth: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any] | None, bandwidth: int | None = None) -> Remote | None:
        """What the option offsite names."""
        if not given:
            return None
        if not _REMOTE.fullmatch(given["remote"]):
            raise PlatformError(
                "Option offsite.remote is no remote of rclone's configuration.",
                "Write name, colon and folder, as in offsite:backups/postgres; secrets belong in rclone_config.",
            )
        return cls(given["remote"], given["rclone_config"], bandwidth)

    def require(self) -> None:
        """Is rclone there, and does it know the remote? Asks nobody over a network."""
        known = self._run("listremotes").splitlines()
        name = self.remote.partition(":")[0]
        if f"{name}:" not in known:
            raise PlatformError(
                f"rclone knows no remote {name!r}.",
                f"Known: {', '.join(known) or 'none'}. Check offsite.remote and offsite.rclone_config.",
            )

    def path_of(self, name: str) -> str:
        return self.remote + name if self.remote.endswith((":", "/")) else f"{self.remote}/{name}"

    def deliver(self, path: str, manifest: Manifest) -> Manifest:
        """Copy a dump there, and its manifest last: over there, too, a dump counts when that is there.

        :raises PlatformError: unless every file there has the checksum of the one here.
        """
        sent = manifest.with_offsite(self._send(path, manifest.dump))
        with tempfile.TemporaryDirectory(prefix="pg-backup-") as folder:
            aside = manifest_of(os.path.join(folder, sent.dump))
            sent.write(aside)
            self._run("copyto", "--", aside, self.path_of(sent.dump + MANIFEST))
            self._compare(aside, sent.dump + MANIFEST)
        # Here it says so when all is there, so that whatever failed before is sent again.
        sent.write(manifest_of(path))
        return sent

    def _send(self, path: str, name: str) -> Offsite:
        limit = [f"--bwlimit={self.bandwidth}B"] if self.bandwidth else []
        self._run("copyto", *limit, "--", path, self.path_of(name))
        checked_by = self._compare(path, name)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return Offsite(self.remote, name, now, checked_by)

    def manifests(self, wanted: str | None = None) -> list[Manifest]:
        """What is there, by the manifests; one that cannot be believed is passed over, unless it is the wanted one.

        :param wanted: the name of one dump.
        """
        with tempfile.TemporaryDirectory(prefix="pg-backup-") as folder:
            which = f"/{_literally(wanted)}{MANIFEST}" if wanted else f"/*{MANIFEST}"
            try:
                self._run("copy", "--max-depth=1", f"--include={which}", "--", self.remote, folder)
            except RcloneError as error:
                if _NO_FOLDER not in error.said:
                    raise
            paths = sorted(entry.path for entry in os.scandir(folder))
            return [Manifest.read(path) for path in paths] if wanted else [*_readable(paths)]

    def fetch(self, name: str, folder: str) -> str:
        """Copy a dump into a folder; its path there."""
        limit = [f"--bwlimit={self.bandwidth}B"] if self.bandwidth else []
        path = os.path.join(folder, name)
        self._run("copyto", *limit, "--", self.path_of(name), path)
        return path

    def delete(self, name: str, *, is_folder: bool) -> None:
        """A dump and its manifest there; the manifest first, so that half a dump never counts."""
        for verb, what in (("deletefile", name + MANIFEST), ("purge" if is_folder else "deletefile", name)):
            if self._exists(what):
                self._run(verb, "--", self.path_of(what))

    def _exists(self, name: str) -> bool:
        try:
            return bool(self._run("lsf", "--", self.path_of(name)).strip())
        except RcloneError as error:
            if _NO_FOLDER in error.said or "object not found" in error.said:
                return False
            raise

    def _compare(self, path: str, name: str) -> str:
        """What the copy was compared by."""
        algorithm, options = self._own_algorithm or "sha256", () if self._own_algorithm else ("--download",)
        here, there = hashes_of(path, algorithm), self._hashes(algorithm, name, *options)
        # Of a single file, some remotes give the name with its folder.
        if here != there and (os.path.isdir(path) or [*here.values()] != [*there.values()]):
            raise PlatformError(
                f"The copy {self.path_of(name)} is not what was sent: its {algorithm} is another.",
                "Look at the remote's own log and free space, then send it again.",
            )
        return self._own_algorithm or "download"

    @cached_property
    def _own_algorithm(self) -> str | None:
        """The strongest that the remote makes of what it holds; None when it makes none."""
        features = json.loads(self._run("backend", "features", self.remote))
        known = {str(name).replace("-", "").lower() for name in features.get("Hashes") or ()}
        return next((algorithm for algorithm in _ALGORITHMS if algorithm in known), None)

    def _hashes(self, algorithm: str, name: str, *options: str) -> dict[str, str]:
        """By file."""
        lines = self._run("hashsum", algorithm, *options, "--", self.path_of(name)).splitlines()
        pairs = (line.split("  ", maxsplit=1) for line in lines if "  " in line)
        return {file: checksum for checksum, file in pairs}

    def _run(self, *words: str) -> str:
        config = ["--config", self.config] if self.config else []
        command = [program("rclone", "offsite"), *config, "--ask-password=false", *words]
        done = subprocess.run(
            command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RcloneError(words[0], done.stderr)
        return done.stdout


class RcloneError(PlatformError):
    """rclone did not do it."""

    def __init__(self, verb: str, said: str) -> None:
        self.said = redact_text(said)
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        reason = clip(" / ".join(lines[-2:]) or "it said nothing", 300)
        super().__init__(
            f"rclone {verb} failed: {reason}.",
            "Check offsite.remote, offsite.rclone_config and the network; try 'rclone lsf' on that remote.",
        )


def _readable(paths: Iterable[str]) -> Iterator[Manifest]:
    for path in paths:
        with suppress(ManifestError):
            yield Manifest.read(path)


def _literally(name: str) -> str:
    """A name in rclone's patterns."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", name)
