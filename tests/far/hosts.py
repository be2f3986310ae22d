# SPDX-License-Identifier: GPL-3.0-or-later
"""Far hosts for tests: brought up, or the test is skipped with the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.far import Base, CannotBe, FarHost, bare_debian, lacking, this_machine
from tests.recovery import Play, recap_of


def far_host(folder: Path, *shared: Path) -> AbstractContextManager[FarHost]:
    """One like this machine, which sees the shared folders at the same place."""
    return _host(folder, this_machine, shared, "far")


def bare_host(folder: Path, *shared: Path) -> AbstractContextManager[FarHost]:
    """One with a Debian as a provider hands it over."""
    return _host(folder, bare_debian, shared, "bare")


@contextmanager
def _host(folder: Path, base: Callable[..., Base], shared: Sequence[Path], name: str) -> Iterator[FarHost]:
    if reason := lacking():
        pytest.skip(reason)
    try:
        host = FarHost(folder, base(*shared), name)
    except CannotBe as cannot:
        pytest.skip(str(cannot))
    with host:
        yield host


def play_on(folder: Path, playbook: str, hosts: Mapping[str, Mapping[str, Any]], *arguments: str) -> Play:
    """A play whose inventory is these hosts and nothing else."""
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"platform": {"hosts": hosts}}))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), playbook, *arguments],
        cwd=ROOT,
        env=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Play(done.returncode, done.stdout, recap_of(done.stdout))


def write_inventory(folder: Path, platform: Mapping[str, Mapping[str, Any]], like: Path) -> Path:
    """An inventory of these hosts, with the variables of another one's groups."""
    folder.mkdir()
    (folder / "group_vars").symlink_to(like / "group_vars")
    (folder / "hosts.json").write_text(json.dumps({"platform": {"hosts": platform}}))
    return folder
