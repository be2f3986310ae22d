# SPDX-License-Identifier: GPL-3.0-or-later
"""Cores, by the files in which Linux tells of them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server, ServerError, Session
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.restore import cores


class Asked:
    """A session that answers with what a test says, in turn."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)

    def value(self, query: str, parameters: object = None) -> object:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def counted(server: Server, *answers: object) -> tuple[int, str]:
    return cores.cores(cast(Session, Asked(*answers)), server)


@pytest.mark.parametrize(
    ("cpu_max", "limit"),
    [("150000 100000\n", 1.5), ("max 100000\n", None), ("-1 100000", None), ("", None), ("1 0", None)],
)
def test_a_limit(cpu_max: str, limit: float | None) -> None:
    assert cores.quota(cpu_max) == limit


def test_the_control_groups_of_a_process() -> None:
    assert cores.groups("0::/system.slice/docker-ab.scope\n") == ("/system.slice/docker-ab.scope", None)
    assert cores.groups("4:memory:/m\n3:cpu,cpuacct:/docker/ab:c\n2:cpuset:/s\n0::/\n") == ("/", "/docker/ab:c")
    assert cores.groups("") == (None, None)


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_limit_counts(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group, inner = "0::/a/b\n", tmp_path / "a" / "b"
    if version == 1:
        group, inner = "1:cpu:/a/b\n", tmp_path / "cpu" / "a" / "b"
    inner.mkdir(parents=True)
    for folder, quota in ((inner, 350000), (inner.parent, 250000)):
        (folder / "cpu.max").write_text(f"{quota} 100000\n")
        (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (folder / "cpu.cfs_period_us").write_text("100000\n")
    read = cores._read
    monkeypatch.setattr(cores, "_CGROUPS", str(tmp_path))
    monkeypatch.setattr(cores, "_read", lambda path: group if path.startswith("/proc/") else read(path))
    monkeypatch.setattr(cores, "_on_this_host", lambda: 6)
    assert counted(Server(host="127.0.0.1"), 50) == (3, "this host")


def test_a_server_elsewhere_that_tells() -> None:
    told = "processor\t: 0\nmodel name\t: processor: x\n\nprocessor\t: 1\n\nprocessor\t: 2\n"
    assert counted(Server(host="db.example.org"), told, 50) == (3, "the server's /proc/cpuinfo")


def test_a_server_elsewhere_that_does_not() -> None:
    found, known_from = counted(Server(host="db.example.org"), ServerError("permission denied"), 50)
    assert found == 2
    assert known_from.startswith("a guess: the server is on another host")


def test_no_more_than_are_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_on_this_host", lambda: 64)
    monkeypatch.setattr(cores, "_quota_of", lambda pid: None)
    assert counted(Server(), 50) == (8, "this host, of which 8 are used")
    assert counted(Server(), 6) == (3, "this host, of which 8 are used, but only 3 connections are left")
