# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is given, decided from what its release offers; and what makes it unfit for backups."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.templated import Templated

OFFERS = """\
{package}:
  Installed: (none)
  Candidate: {version}
  Version table:
     {version} 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
"""
BOOKWORM = {
    "postgresql-client": "15+248+deb12u1",
    "python3-psycopg": "3.1.7-4",
    "python3-requests": "2.28.1+dfsg-1",
    "python3-jsonschema": "4.10.3-1",
}
GIGABYTE = 1 << 30


def host(offers: dict[str, str] | None = None, server: str | None = None, **given: Any) -> Templated:
    offered = BOOKWORM if offers is None else offers
    policy = "".join(OFFERS.format(package=package, version=version) for package, version in offered.items())
    facts = {"platform_postgres_database": "shop", "platform_backup_dir": "/b", "platform_dokploy_url": ""}
    probed = {"database": {"version": server}}
    return Templated("bootstrap", **facts, bootstrap_policy={"stdout": policy}, bootstrap_server=probed, **given)


def test_a_release_that_has_all_of_it() -> None:
    given = host()
    assert given.value("bootstrap_packaged") is True
    assert given.value("bootstrap_python") == "/usr/bin/python3"
    assert given.value("bootstrap_client_major") == 15


@pytest.mark.parametrize(
    ("changes", "too_old"),
    [
        ({"python3-psycopg": "3.0.8-1"}, ["python3-psycopg"]),
        ({"python3-psycopg": "(none)"}, ["python3-psycopg"]),
        ({"python3-jsonschema": "3.2.0-5", "python3-requests": "2.25.1"}, ["python3-requests", "python3-jsonschema"]),
    ],
)
def test_a_release_that_is_too_old(changes: dict[str, str], too_old: list[str]) -> None:
    given = host({**BOOKWORM, **changes})
    assert given.value("bootstrap_too_old") == too_old
    assert given.value("bootstrap_python") == "/opt/vedfinance/python/bin/python"


def test_an_epoch_is_no_version() -> None:
    assert host({**BOOKWORM, "python3-psycopg": "1:3.0.8-1"}).value("bootstrap_too_old") == ["python3-psycopg"]


@pytest.mark.parametrize(
    ("server", "given", "major", "from_elsewhere"),
    [
        (None, {}, 15, False),
        ("14.9", {}, 15, False),
        ("16.14 (Debian 16.14-1)", {}, 16, True),
        (None, {"bootstrap_postgres_major": "17"}, 17, True),
        ("16.14", {"bootstrap_postgres_repository": "never"}, 15, False),
        ("15.3", {"bootstrap_postgres_repository": "always"}, 15, True),
    ],
)
def test_client_tools_are_not_older_than_the_server(
    server: str | None, given: dict[str, str], major: int, from_elsewhere: bool
) -> None:
    told = host(server=server, **given)
    assert told.value("bootstrap_client_major") == major
    assert told.value("bootstrap_uses_repository") is from_elsewhere


def test_only_what_backups_use_is_installed() -> None:
    assert host().value("bootstrap_pack_programs") == ["zstd"]
    offsite = {"backup_offsite": {"remote": "disk:"}, "backup_gpg_recipients": ["x"]}
    assert host(**offsite).value("bootstrap_pack_programs") == ["zstd", "gnupg", "rclone"]
    assert host(platform_scheduler="cron").value("bootstrap_extra_packages") == ["cron"]


@pytest.mark.parametrize(
    ("free", "skew", "mounted", "reasons"),
    [
        (6 * GIGABYTE, 0.4, 0, []),
        (GIGABYTE, 0.4, 0, ["1.00 GB free, less than 5G"]),
        (6 * GIGABYTE, -61.0, 0, ["61 s behind the controller's"]),
        (6 * GIGABYTE, 0.4, 1, ["No disk of its own is mounted at /b"]),
        (GIGABYTE, 61.0, 1, ["1.00 GB free", "61 s ahead of", "No disk of its own"]),
        # Nothing could be asked, as in the plan for a host without libraries.
        (6 * GIGABYTE, None, None, []),
    ],
)
def test_what_makes_it_unfit(free: int, skew: float | None, mounted: int | None, reasons: list[str]) -> None:
    seen = {
        "bootstrap_disk": {"stdout": f"{free} /"},
        "bootstrap_seen": {} if skew is None else {"clock_skew": skew},
        "bootstrap_mounted": {} if mounted is None else {"rc": mounted},
    }
    wrong = host(**seen).value("bootstrap_wrong")
    assert len(wrong) == len(reasons)
    assert all(reason in said for reason, said in zip(reasons, wrong, strict=True))
