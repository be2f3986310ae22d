# SPDX-License-Identifier: GPL-3.0-or-later
"""The example alarms and the dashboard speak of metrics that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._metrics import METRICS, PREFIX

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "monitoring"
KNOWN = {PREFIX + name for name in METRICS}
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alert-rules.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\bvedfinance_\w+", text))


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_can_fire_and_be_understood(rule: dict[str, Any]) -> None:
    named = metrics_in(rule["expr"])
    assert named
    assert named <= KNOWN
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert {"summary", "description"} <= rule["annotations"].keys()
    assert re.fullmatch(r"(\d+[smhd])?", rule.get("for", ""))
    # What grows while nobody writes must be reckoned from a time.
    assert not any(name.endswith("_age_seconds") and "max_age" not in name for name in named)


def test_alarms_have_names_of_their_own() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_every_way_to_go_wrong_has_an_alarm() -> None:
    assert {"BackupTooOld", "DrillFailed", "DrillMissed", "LastProofTooOld"} <= {rule["alert"] for rule in RULES}


def test_the_dashboard_is_whole() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert all(metrics_in(expression) and metrics_in(expression) <= KNOWN for expression in expressions)
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert used - {"__all"} <= variables
    cells = [
        (column, row)
        for panel in panels
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(column for column, _row in cells) < 24
