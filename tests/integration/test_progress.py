# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play shows of a long module while it runs, that it changes nothing else, and that both end together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

from tests.conftest import ROOT

# A module of the kind that is shown: it works until it is told to end, and writes down how it ended.
MODULE = """
from __future__ import annotations
import os, time
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress

module = AnsibleModule(
    {
        "folder": {"type": "path", "required": True},
        "name": {"required": True},
        "wait": {"type": "bool"},
        "seconds": {"type": "float", "default": 0},
        "fail": {"type": "bool"},
        "secret": {"no_log": True},
        "progress_file": {"type": "path"},
        "progress_interval": {"type": "float", "default": 5},
    },
    supports_check_mode=True,
)
go_on = os.path.join(module.params["folder"], module.params["name"])
with guard(module), ended_with_the_play(), Progress(module.params["progress_file"]) as progress:
    progress.begin("load", 100000000)
    progress.doing("lessons")
    progress.add(43000000, 4000)
    try:
        with open(go_on + ".pid", "w") as file:
            file.write(str(os.getpid()))
        time.sleep(module.params["seconds"])
        while module.params["wait"] and not os.path.exists(go_on):
            time.sleep(0.02)
    except KeyboardInterrupt:
        with open(go_on + ".tidied", "w"):
            raise
    with open(go_on + ".swapped", "w"):
        pass
    if module.params["fail"]:
        raise PlatformError("It failed.", "Try again.", live_untouched=True)
module.warn("be careful")
module.exit_json(changed=True, check=module.check_mode, uid=os.geteuid(), diff={"before": "a", "after": "b"})
"""
ACTION = """
from __future__ import annotations
from ansible_collections.vedfinance.platform.plugins.plugin_utils._progress import ProgressAction

class ActionModule(ProgressAction):
    def title(self):
        return "restore " + self._task.args["name"]
"""
PATIENCE = 60.0
SHOWN = "load 43 % · lessons · 43 of 100 MB · 4,000 rows · "


def task(name: str, options: dict[str, Any] | None = None, **keywords: Any) -> dict[str, Any]:
    long = {"folder": "{{ folder }}", "name": name, "secret": "hush", "progress_interval": 0.2}
    return {"name": name, "long": {**long, **(options or {})}, **keywords}


# Those with wait go on when a line of theirs was seen, and so would never end without one.
TASKS = [
    task("shown", {"wait": True}),
    task("silent", {"progress_interval": 0, "seconds": 1}),
    task("planned", {"wait": True}, check_mode=True),
    task("failing", {"wait": True, "fail": True}, ignore_errors=True),
    task("hidden", {"seconds": 1}, no_log=True),
    task("background", {"seconds": 0.5}, **{"async": 30, "poll": 1}),
    task("become", {"wait": True}, become=True, become_method="su"),
]
# su asks nobody but root for no password.
POSSIBLE = TASKS if os.geteuid() == 0 else TASKS[:-1]


def project(folder: Path, tasks: list[dict[str, Any]]) -> Path:
    for path, text in {"library/long.py": MODULE, "action_plugins/long.py": ACTION}.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(f"#!/usr/bin/python\n{text}")
    (folder / "shared").mkdir()
    variables = {"folder": str(folder), "ansible_python_interpreter": sys.executable}
    play = {"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}
    (folder / "play.yml").write_text(json.dumps([play]))
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_ASYNC_DIR": str(folder / "async"),
        "ANSIBLE_REMOTE_TMP": str(folder / "tmp"),
        "ANSIBLE_SYSTEM_TMPDIRS": str(folder / "shared"),
        "ANSIBLE_BECOME_ALLOW_SAME_USER": "true",
    }


class Seen:
    """All lines of progress, as they came, and the result of each task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.everything = ""

    def __call__(self, event: dict[str, Any]) -> bool:
        self.everything += json.dumps(event)
        if event["event"] == "verbose" and "restore " in event["stdout"]:
            self.lines.append(event["stdout"])
            (self.folder / event["stdout"].split(" · ")[1].removeprefix("restore ")).touch()
        elif event["event"] in ("runner_on_ok", "runner_on_failed"):
            self.results[event["event_data"]["task"]] = event["event_data"]["res"]
        return True

    def of(self, name: str) -> list[str]:
        return [line for line in self.lines if f"restore {name} " in line]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One play through ansible-runner, as AWX does it."""
    folder = project(tmp_path_factory.mktemp("progress"), POSSIBLE)
    seen = Seen(folder)
    outcome = ansible_runner.run(
        private_data_dir=str(tmp_path_factory.mktemp("runner")),
        project_dir=str(folder),
        playbook="play.yml",
        inventory="vps1 ansible_connection=local",
        envvars=environment(folder),
        event_handler=seen,
        quiet=True,
        timeout=int(PATIENCE),
    )
    assert (outcome.rc, set(seen.results)) == (0, {entry["name"] for entry in POSSIBLE})
    return seen


def test_lines_come_while_the_module_works(seen: Seen) -> None:
    (first, *_more) = seen.of("shown")
    assert first.startswith(f"  vps1 · restore shown · {SHOWN}")
    assert first.endswith(" left")


@pytest.mark.parametrize("name", ["planned", "failing", "become"])
def test_lines_come_in_check_mode_before_a_failure_and_with_become(seen: Seen, name: str) -> None:
    if name not in seen.results:
        pytest.skip("only root becomes root without a password")
    assert SHOWN in seen.of(name)[0]


@pytest.mark.parametrize("name", ["silent", "hidden", "background"])
def test_no_line_when_switched_off_or_no_log_or_async(seen: Seen, name: str) -> None:
    assert (seen.folder / f"{name}.swapped").exists()
    assert seen.of(name) == []


def test_the_result_is_what_it_is_without(seen: Seen) -> None:
    shown, silent = (dict(seen.results[name]) for name in ("shown", "silent"))
    arguments = shown.pop("invocation")["module_args"]
    assert arguments["progress_file"] is None
    assert arguments.keys() == silent.pop("invocation")["module_args"].keys()
    assert shown == silent
    assert (shown["changed"], shown["diff"]["after"], shown["warnings"]) == (True, "b", ["be careful"])


def test_a_failure_is_told_with_its_details(seen: Seen) -> None:
    failure = seen.results["failing"]
    assert (failure["msg"], failure["live_untouched"]) == ("It failed. Try again.", True)


def test_check_mode_and_async_reach_the_module(seen: Seen) -> None:
    assert seen.results["planned"]["check"] is True
    assert seen.results["background"]["check"] is False
    assert seen.results["background"]["ansible_job_id"]


def test_no_secret_and_no_file_is_left(seen: Seen) -> None:
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in seen.everything
    assert "hush" not in seen.everything
    assert list((seen.folder / "shared").iterdir()) == []


# -- the end of a play -------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    return False


@pytest.mark.parametrize(("how", "interval"), [("Ctrl-C", 0.2), ("killed", 0)])
def test_a_module_ends_with_its_play(tmp_path: Path, how: str, interval: float) -> None:
    project(tmp_path, [task("endless", {"wait": True, "progress_interval": interval})])
    play = subprocess.Popen(
        ["ansible-playbook", "-i", "vps1,", "-c", "local", "play.yml"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        noted = tmp_path / "endless.pid"
        module = int(wait_for(lambda: noted.exists() and noted.read_text(), "the module"))
        assert lives(module)
        if how == "Ctrl-C":
            os.killpg(play.pid, signal.SIGINT)
        else:
            play.kill()
        play.wait(PATIENCE)
        wait_for(lambda: not lives(module), "the end of the module")
    finally:
        play.kill()
        (tmp_path / "endless").touch()
    assert (tmp_path / "endless.tidied").exists()
    assert not (tmp_path / "endless.swapped").exists()
