# SPDX-License-Identifier: GPL-3.0-or-later
"""Play one playbook of the collection as AWX does, and tell as a timeline what was done on which host.

    python run_playbook.py vedfinance.platform.disaster_recovery --inventory inventory/production \\
        --answers answers.json --check

Needs ansible-runner. Copy it and change it, or import ``play`` from it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import ansible_runner

# Where the playbooks ask whether there is a host at all; it is not one that something was done on.
CONTROLLER = "localhost"
OUTCOMES = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
}
COUNTERS = ("ok", "changed", "failures", "dark", "rescued")


@dataclass(frozen=True)
class Step:
    """One task on one host."""

    began: datetime
    seconds: float
    host: str
    task: str
    #: ok, changed, failed, ignored or unreachable.
    outcome: str

    def __str__(self) -> str:
        return f"{self.began:%H:%M:%S} {self.seconds:7.1f} s  {self.outcome:11} {self.host}  {self.task}"


@dataclass
class Played:
    status: str = "unstarted"
    returncode: int = 1
    timeline: list[Step] = field(default_factory=list)
    #: Host → counter of the recap.
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    output: str = ""

    @property
    def problem(self) -> str:
        """Why this is no success, or nothing.

        "successful" is not enough: so ends also a run whose inventory does not parse, and one that met no host.
        """
        if self.returncode != 0 or self.status != "successful":
            return f"The run ended {self.status} (exit status {self.returncode})."
        if not self.hosts.keys() - {CONTROLLER}:
            return "Nothing was done: no host was processed. Look at the inventory, its groups and the limit."
        return ""


def step_of(event: Mapping[str, Any]) -> Step | None:
    """The task that has ended on a host with this event; none for what was skipped, and for all that is no end."""
    data = event.get("event_data", {})
    outcome = OUTCOMES.get(str(event.get("event")))
    if outcome is None or "start" not in data:
        return None
    if outcome == "failed" and data.get("ignore_errors"):
        outcome = "ignored"
    if outcome == "ok" and (data.get("res") or {}).get("changed"):
        outcome = "changed"
    began = datetime.fromisoformat(data["start"])
    return Step(began, float(data["duration"]), str(data["host"]), str(data["task"]), outcome)


def hosts_of(stats: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    return {
        host: {counter: int(stats.get(counter, {}).get(host, 0)) for counter in COUNTERS}
        for host in stats.get("processed", {})
    }


def play(
    playbook: str,
    inventory: str | None = None,
    answers: Mapping[str, Any] | None = None,
    *,
    check: bool = False,
    project: str | Path = ".",
    environment: Mapping[str, str] | None = None,
    seconds: int = 3600,
    on_step: Callable[[Step], None] = lambda _step: None,
) -> Played:
    """``answers`` are those of a survey: whatever ``-e`` takes. The files that ansible-runner makes are removed."""
    played = Played()

    def note(event: dict[str, Any]) -> bool:
        played.output += event.get("stdout", "") + "\n"
        if step := step_of(event):
            played.timeline.append(step)
            on_step(step)
        if event.get("event") == "playbook_on_stats":
            played.hosts = hosts_of(event["event_data"])
        return False  # none of it is kept on disk

    # The answers are written into it, and only their owner may read it.
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        run = ansible_runner.run(
            private_data_dir=folder,
            project_dir=str(Path(project).resolve()),
            playbook=playbook,
            # A path that does not exist would be taken for the content of an inventory.
            inventory=None if inventory is None else str(Path(project, inventory).resolve(strict=True)),
            extravars=dict(answers or {}),
            envvars=dict(environment or {}),
            cmdline="--check" if check else None,
            event_handler=note,
            timeout=seconds,
            quiet=True,
        )
    played.status, played.returncode = str(run.status), int(run.rc)
    return played


def main() -> int:
    parser = argparse.ArgumentParser(description="Play one playbook and tell what was done as a timeline.")
    parser.add_argument("playbook", help="a path, or a name such as vedfinance.platform.disaster_recovery")
    parser.add_argument("-i", "--inventory", help="instead of the one of ansible.cfg")
    parser.add_argument("--answers", type=Path, metavar="FILE", help='variables, as JSON: {"name": "value"}')
    parser.add_argument("--check", action="store_true", help="plan only")
    parser.add_argument("--output", action="store_true", help="print what ansible-playbook printed too, at the end")
    wanted = parser.parse_args()
    answers = json.loads(wanted.answers.read_text()) if wanted.answers else {}
    played = play(wanted.playbook, wanted.inventory, answers, check=wanted.check, on_step=print)
    if wanted.output:
        print(played.output)
    print(played.problem or f"Done on {', '.join(sorted(played.hosts.keys() - {CONTROLLER}))}.")
    return 1 if played.problem else 0


if __name__ == "__main__":
    sys.exit(main())
