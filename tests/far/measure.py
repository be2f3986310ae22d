# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a playbook takes on this machine itself, over ssh, and over ssh with pipelining; for docs/ssh.md.

``PYTHONPATH=collections python -m tests.far.measure [ROUNDS]``, as root.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from lab import processes
from tests.far import CannotBe, FarHost, lacking, this_machine
from tests.integration.test_over_ssh import SshLab
from tests.recovery import BRISK, RECOVER, Play

PLAYBOOKS = {
    "backup.yml --check": ("playbooks/backup.yml", "--check"),
    "disaster_recovery.yml --check": (RECOVER, "--check", *BRISK),
}


def ways(lab: SshLab) -> dict[str, Callable[..., Play]]:
    def locally(*arguments: str) -> Play:
        with lab.far.network():
            return lab.play(*arguments, "-e", json.dumps({"platform_public_api_url": ""}))

    return {
        "local": locally,
        "ssh": lambda *arguments: lab.over_ssh(*arguments, pipelining=False),
        "ssh, pipelining": lab.over_ssh,
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if reason := lacking():
        raise SystemExit(reason)
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="far-")))
        far = ends.enter_context(FarHost(folder / "far", this_machine(folder)))
        try:
            measure(SshLab(folder, far), rounds)
        finally:
            processes.end_all(folder / "lab")


def measure(lab: SshLab, rounds: int) -> None:
    seconds: dict[tuple[str, str], list[float]] = {}
    for _round in range(rounds):
        for name, arguments in PLAYBOOKS.items():
            for way, play in ways(lab).items():
                began = time.monotonic()
                play(*arguments).succeeded()
                seconds.setdefault((name, way), []).append(time.monotonic() - began)
    for (name, way), taken in seconds.items():
        print(f"{name:32} {way:16} {min(taken):6.1f} s at best of {rounds}")


if __name__ == "__main__":
    try:
        main()
    except CannotBe as reason:
        raise SystemExit(str(reason)) from None
