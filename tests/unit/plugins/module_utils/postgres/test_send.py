# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to have been sent elsewhere has been, and what nobody knows of is named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup import offsite
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.manifest import (
    Manifest,
    Offsite,
    manifest_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.backup.send import send_missing
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

THERE = Offsite("remote:", "remote:/a", "2026-11-23T00:00:00Z", "sha256")


@dataclass
class Remote:
    """Takes everything."""

    remote: str = "remote:"
    taken: list[str] = field(default_factory=list)

    def require(self) -> None:
        pass

    def path_of(self, dump: str) -> str:
        return f"{self.remote}/{dump}"

    def deliver(self, path: str, manifest: Manifest) -> Manifest:
        self.taken.append(Path(path).name)
        return manifest.with_offsite(THERE)


def given(folder: Path, name: str, offsite: Offsite | None = None, database: str = "academy") -> Path:
    dump = folder / name
    dump.write_bytes(b"a dump")
    sha256 = hashlib.sha256(b"a dump").hexdigest()
    moments = {"began": "2026-11-23T00:00:00Z", "ended": "2026-11-23T00:00:01Z"}
    manifest = Manifest(name, sha256, 6, "plain", "none", database, **moments, offsite=offsite)
    manifest.write(manifest_of(str(dump)))
    return dump


def sent(folder: Path, wanted: str | None = None, *, check: bool = False) -> tuple[list[str], str, list[str]]:
    remote = Remote()
    report = send_missing(cast(offsite.Remote, remote), "academy", str(folder), wanted, Progress(None), check=check)
    return remote.taken, report.msg, report.notes


def test_what_is_not_there_yet_is_sent(tmp_path: Path) -> None:
    given(tmp_path, "a.sql")
    given(tmp_path, "b.sql", THERE)
    given(tmp_path, "c.sql", database="other")
    assert sent(tmp_path, check=True)[0] == []
    assert sent(tmp_path)[0] == ["a.sql"]
    taken, msg, notes = sent(tmp_path, "b.sql")
    assert (taken, notes) == ([], [])
    assert "has been sent elsewhere" in msg


def test_a_dump_of_which_nobody_knows_is_named(tmp_path: Path) -> None:
    Path(manifest_of(str(given(tmp_path, "a.sql")))).write_text("{}")
    given(tmp_path, "b.sql").unlink()
    taken, msg, notes = sent(tmp_path)
    assert taken == []
    assert "whose manifest can be believed" in msg
    assert [note.split(" is ")[0].split(" has ")[0] for note in notes] == ["a.sql.manifest.json", "b.sql"]


@pytest.mark.parametrize(
    ("name", "why"), [("a.sql", "no manifest"), ("b.sql", "has no dump"), ("c.sql", "a dump of other")]
)
def test_a_dump_that_was_asked_for_and_cannot_be_sent(tmp_path: Path, name: str, why: str) -> None:
    Path(manifest_of(str(given(tmp_path, "a.sql")))).write_text("{}")
    given(tmp_path, "b.sql").unlink()
    given(tmp_path, "c.sql", database="other")
    with pytest.raises(PlatformError, match=why):
        sent(tmp_path, name)
