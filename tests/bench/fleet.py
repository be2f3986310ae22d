# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run over many platforms costs: seconds of a core and of the clock for each, and the controller's memory."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import fleet
from lab.platform import Wanted
from tests.bench.processes import waited_for
from tests.conftest import ROOT

FOLDER = ROOT / ".build" / "bench"
PLAYBOOKS = {
    "disaster_recovery": ("-e", "target=platform", "-e", "disaster_recovery_force=true"),
    "backup": (),
    "verify_backup": (),
}
COLUMNS = ("playbook", "platforms", "forks", "clock", "clock each", "cores each", "main each", "memory", "failed")
_LOOK_EVERY = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """Of one run.

    :param cpu: seconds of a core of all that the play has started, on the controller and on the hosts.
    :param main: those of ansible-playbook itself, without its workers.
    :param memory: the most that ansible-playbook and its workers have had at one time, in bytes; shared pages once.
    """

    playbook: str
    platforms: int
    forks: int
    seconds: float
    cpu: float
    main: float
    memory: int
    failed: int


class Controller(threading.Thread):
    """Looks at ansible-playbook and its workers while they live. The modules, which run on the hosts, are left out."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.main = 0.0
        self.memory = 0
        self.start()

    def run(self) -> None:
        while (used := _own_seconds(self._pid)) is not None:
            self.main = used
            self.memory = max(self.memory, sum(map(_memory, [self._pid, *_workers(self._pid)])))
            time.sleep(_LOOK_EVERY)


def _own_seconds(pid: int) -> float | None:
    """None when it is gone, or nobody has waited for it yet."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS if fields and fields[0] not in "ZX" else None


def _workers(pid: int) -> list[int]:
    children = map(int, _read(f"/proc/{pid}/task/{pid}/children").split())
    return [child for child in children if "ansible-playbook" in _read(f"/proc/{child}/cmdline")]


def _memory(pid: int) -> int:
    found = _PSS.search(_read(f"/proc/{pid}/smaps_rollup"))
    return int(found.group(1)) * 1024 if found else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def measure(inventory: Path, playbook: str, platforms: int, forks: int) -> Cost:
    FOLDER.mkdir(parents=True, exist_ok=True)
    limit = f"platform[0:{platforms - 1}]"
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), "-f", str(forks)]
    command += ["--limit", limit, f"playbooks/{playbook}.yml", *PLAYBOOKS[playbook]]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    log = FOLDER / f"fleet-{playbook}-{platforms}-{forks}.log"
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    controller = Controller(process.pid)
    cpu = waited_for(process)
    seconds = time.monotonic() - begun
    controller.join()
    failed = len(re.findall(r"(?:failed|unreachable)=[1-9]", log.read_text(encoding="utf-8")))
    return Cost(playbook, platforms, forks, seconds, cpu, controller.main, controller.memory, failed)


def row(cost: Cost) -> str:
    each = [cost.seconds / cost.platforms, cost.cpu / cost.platforms, cost.main / cost.platforms]
    figures = [f"{cost.seconds:.0f} s", *(f"{value:.1f} s" for value in each), f"{cost.memory / 1e6:.0f} MB"]
    cells = [cost.playbook, str(cost.platforms), str(cost.forks), *figures, str(cost.failed)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    add = parser.add_argument
    add("--count", type=int, default=20, help="platforms, each a lab of its own (default: %(default)s)")
    add("--platforms", type=int, nargs="+", help="how many of them take part, run by run (default: all)")
    add("--forks", type=int, nargs="+", default=[1, 5, 20], help="default: 1 5 20")
    add("--playbook", choices=list(PLAYBOOKS), nargs="+", default=list(PLAYBOOKS), help="default: all, in this order")
    add("--state", type=Path, default=FOLDER / "fleet", help="where the platforms are; they stay up if they were")
    options = parser.parse_args()
    was_up = (options.state / fleet.INVENTORY).is_dir()
    try:
        wanted = Wanted(scale=fleet.SCALE, tempo=0.1, rate_limit="off")
        inventory = fleet.up(options.state.resolve(), options.count, wanted)
        print(f"\n| {' | '.join(COLUMNS)} |\n| :--- |{' ---: |' * (len(COLUMNS) - 1)}")
        costs = []
        for playbook in options.playbook:
            for platforms in options.platforms or [options.count]:
                for forks in options.forks:
                    costs.append(measure(inventory, playbook, platforms, forks))
                    print(row(costs[-1]), flush=True)
        results = FOLDER / "results-fleet.json"
        results.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n", encoding="utf-8")
    finally:
        if not was_up:
            fleet.down(options.state.resolve())


if __name__ == "__main__":
    main()
