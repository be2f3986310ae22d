# SPDX-License-Identifier: GPL-3.0-or-later
"""The module reads, the controller makes the pages, the module writes them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.vedfinance.platform.plugins.action.platform_report import ActionModule

from tests.modules import run_module
from tests.reports import night, recovery, write

MODULE = "platform_report"


def options(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "dest": str(folder / "reports"), "ledger_dir": str(folder / "ledger"), "journal_dir": str(folder / "journal"),
        "databases": ["vedfinance"], "max_age": "52w", **more,
    }  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The action with the real module behind it."""

    def execute(module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        assert module_name == f"vedfinance.platform.{MODULE}"
        assert task_vars["inventory_hostname"] == "vps"
        return run_module(MODULE, module_args, check=check)

    monkeypatch.setattr(ActionBase, "run", lambda *_given: {})
    action: Any = ActionModule.__new__(ActionModule)
    action._task = SimpleNamespace(args=arguments)
    action._execute_module = execute
    return dict(action.run(None, {"inventory_hostname": "vps"}))


def test_pages_are_made_and_led_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, [night(0), night(1)], [recovery()])
    result = run(monkeypatch, options(tmp_path))
    assert result["changed"]
    assert result["index"] == str(tmp_path / "reports" / "index.html")
    assert set(result["pages"]) == {
        "20261123T033000Z_vedfinance", "20261122T033000Z_vedfinance", "20261123T054500Z_disaster_recovery",
    }  # fmt: skip
    assert all(Path(path).is_file() for path in result["pages"].values())
    assert "<h1>Backups of vps</h1>" in Path(result["index"]).read_text()
    assert "source" not in result


def test_a_page_is_written_once_unless_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, [night(0)])
    run(monkeypatch, options(tmp_path))
    page = tmp_path / "reports" / "20261123T033000Z_vedfinance.html"
    page.write_text("as an older version made it")
    run(monkeypatch, options(tmp_path))
    assert page.read_text() == "as an older version made it"
    assert str(page) in run(monkeypatch, options(tmp_path, rebuild=True))["written"]


def test_check_mode_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, [night(0)])
    result = run(monkeypatch, options(tmp_path), check=True)
    assert result["changed"]
    assert not (tmp_path / "reports").exists()


def test_nothing_at_all_is_a_page_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = run(monkeypatch, options(tmp_path))
    assert result["verdict"] == "bad"
    assert result["msg"].startswith("Worry. There has never been a drill")


def test_a_host_that_cannot_be_read_is_the_whole_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("")
    result = run(monkeypatch, options(tmp_path))
    assert result["failed"]
    assert "The ledger" in result["msg"]


@pytest.mark.parametrize("option", ["max_age", "rpo_target", "rto_target"])
def test_a_target_that_is_no_duration_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str) -> None:
    result = run(monkeypatch, options(tmp_path, **{option: "soon"}))
    assert result["failed"]
    assert option in result["msg"]
