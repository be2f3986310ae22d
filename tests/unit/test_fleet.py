# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/fleet.md says of each playbook with several platforms is what the playbook does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+\.yml)` \| ([^|]+) \| ([^|]+) \| (yes|no) \|$", re.MULTILINE)
AT_ONCE = {
    "forks, each at its own pace": ("the others go on", {"strategy": "host_pinned"}),
    "forks, step by step": ("the others go on", {}),
    "one": ("no other begins", {"serial": 1}),
}
# Each would end a play in its midst, or take the choice away from the row.
ORDERING = {"strategy", "serial", "max_fail_percentage", "any_errors_fatal", "throttle", "order"}


def plays_on_platforms() -> dict[str, list[dict[str, Any]]]:
    plays = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "playbooks").glob("*.yml")}
    return {name: found for name, found in plays.items() if "target" in str(found[-1].get("hosts"))}


ROWS = {
    name: (at_once, after, named) for name, at_once, after, named in ROW.findall((ROOT / "docs/fleet.md").read_text())
}


def test_every_playbook_for_platforms_has_a_row() -> None:
    assert set(ROWS) == set(plays_on_platforms())


@pytest.mark.parametrize("name", ROWS)
def test_a_playbook_does_what_its_row_says(name: str) -> None:
    at_once, after, named = ROWS[name]
    check, *_between, play = plays_on_platforms()[name]
    says, order = AT_ONCE[at_once]
    assert after == says
    assert {key: value for key, value in play.items() if key in ORDERING} == order
    assert check["ansible.builtin.import_playbook"] == "has_hosts.yml"
    assert check.get("vars", {}).get("has_hosts_must_be_named", False) is (named == "yes")


def test_both_settings_of_ansible_enable_the_summary() -> None:
    for settings in ("ansible.cfg", "playbooks/ansible.cfg"):
        assert "\ncallbacks_enabled = vedfinance.platform.summary\n" in (ROOT / settings).read_text(), settings
