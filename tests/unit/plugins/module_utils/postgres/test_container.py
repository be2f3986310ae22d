# SPDX-License-Identifier: GPL-3.0-or-later
"""Which container is meant, and by which way its server is reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres import container as containers
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import Server

from tests.fake_docker import FakeDocker


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    return FakeDocker(tmp_path, monkeypatch)


def test_a_container_by_name_or_id(docker: FakeDocker) -> None:
    docker.add("vedfinance-db.1.abc", 42, "vedfinance-db")
    assert containers.find("vedfinance-db.1.abc") == containers.find("0123456789abcdef")
    assert containers.find("vedfinance-db.1.abc").root == "/proc/42/root"


def test_a_service_by_its_label(docker: FakeDocker) -> None:
    docker.add("vedfinance-db.1.abc", 42, "vedfinance-db")
    docker.list("0123456789abcdef")
    assert containers.find("vedfinance-db").pid == 42
    docker.list("0123456789abcdef", "fedcba9876543210")
    with pytest.raises(PlatformError, match="has 2 containers"):
        containers.find("vedfinance-db")


def test_dokploys_own_database_only_by_its_full_name(docker: FakeDocker) -> None:
    docker.add("dokploy-postgres.1.xyz", 42, "dokploy-postgres")
    docker.list("0123456789abcdef")
    assert containers.find("dokploy-postgres").pid == 42
    assert containers.find("dokploy-postgres.1.xyz").pid == 42
    with pytest.raises(PlatformError, match="Dokploy's own database"):
        containers.find("0123456789abcdef")


def test_what_is_not_there_or_not_running(docker: FakeDocker) -> None:
    docker.add("stopped", 0)
    with pytest.raises(PlatformError, match="stopped is not running"):
        containers.find("stopped")
    with pytest.raises(PlatformError, match=r"no container 'typo'.*Running here: none"):
        containers.find("typo")


def test_no_docker_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="docker is not on this host"):
        containers.find("any")


def test_a_docker_that_lets_nobody_in(docker: FakeDocker, tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho permission denied: /var/run/docker.sock >&2\nexit 1\n")
    with pytest.raises(PlatformError, match=r"permission denied.*group docker"):
        containers.find("any")


def test_the_containers_own_socket_for_root(
    docker: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.add("db", os.getpid())
    monkeypatch.setattr(containers, "_SOCKETS", str(tmp_path).lstrip("/"))
    (tmp_path / ".s.PGSQL.5433").touch()
    server = containers.in_container(Server(port=5433), "db")
    assert server.way == "container's socket"
    assert server.host == f"/proc/{os.getpid()}/root{tmp_path}"


def test_an_exec_that_fails_says_why(docker: FakeDocker) -> None:
    docker.add("db", os.getpid())
    docker.break_exec()
    with pytest.raises(PlatformError, match="OCI runtime exec failed: no sh"):
        containers.in_container(Server(port=1), "db")
