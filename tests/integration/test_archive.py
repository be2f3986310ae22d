# SPDX-License-Identifier: GPL-3.0-or-later
"""What users download; that it works from there is seen by a recovery in test_recovery.py."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import archive
from tests.conftest import ROOT
from tests.unit.test_house import project_files

OF_A_CHECKOUT = {"lab", "tests", "molecule", "collections", "Makefile", "ansible.cfg", "pyproject.toml"}
OF_USERS = {
    "COPYING",
    "README.md",
    "CHANGELOG.md",
    "bindep.txt",
    "requirements.txt",
    "meta/runtime.yml",
    "meta/execution-environment.yml",
    "docs/installation.md",
    "docs/runner/run_playbook.py",
    "inventory/production/group_vars/platform/main.yml",
    "inventory/production/group_vars/platform/contacts.yml",
    "inventory/production/group_vars/platform/vault.yml.example",
    "playbooks/disaster_recovery.yml",
    "plugins/modules/pg_restore_from_dump.py",
    "roles/disaster_recovery/tasks/main.yml",
}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tarfile.TarFile]:
    with tarfile.open(archive.build(tmp_path_factory.mktemp("archive"))) as content:
        yield content


def test_the_archive_holds_files_of_the_project_and_nothing_of_a_checkout(content: tarfile.TarFile) -> None:
    assert not [member.name for member in content.getmembers() if not (member.isfile() or member.isdir())]
    files = {member.name for member in content.getmembers() if member.isfile()}
    assert files <= {*project_files(), "MANIFEST.json", "FILES.json"}
    assert files >= OF_USERS
    tops = {member.name.partition("/")[0] for member in content.getmembers()}
    assert not tops & OF_A_CHECKOUT
    assert not [top for top in tops if top.startswith(".")]


def test_the_archive_names_no_host_and_holds_no_vault(content: tarfile.TarFile) -> None:
    address = re.search(r"ansible_host: (\S+)", (ROOT / "inventory" / "production" / "hosts.yml").read_text())
    assert address is not None
    inventories = [
        member for member in content.getmembers() if member.name.startswith("inventory/") and member.isfile()
    ]
    assert inventories
    for member in inventories:
        file = content.extractfile(member)
        assert file is not None
        text = file.read().decode()
        assert address[1] not in text, member.name
        assert not text.startswith("$ANSIBLE_VAULT"), member.name
        assert Path(member.name).name not in {"hosts.yml", "vault.yml"}
