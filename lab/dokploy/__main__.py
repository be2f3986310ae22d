# SPDX-License-Identifier: GPL-3.0-or-later
"""The double as a program: SIGHUP restarts Dokploy alone, SIGTERM or the loss of its folder ends it and its tasks."""

from __future__ import annotations

import argparse
import shlex
import signal
from pathlib import Path

from lab.dokploy.server import Double
from lab.dokploy.swarm import TASK_COMMAND
from lab.dokploy.versions import CURRENT

LOOK_SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.dokploy", description=f"A double of Dokploy {CURRENT}.")
    parser.add_argument("--state", type=Path, required=True, help="folder with dokploy.json and the processes")
    parser.add_argument("--port", type=int, required=True, help="port on the loopback")
    parser.add_argument("--tempo", type=float, default=1.0, help="0.1 makes every wait ten times shorter")
    parser.add_argument(
        "--task-command",
        type=shlex.split,
        default=TASK_COMMAND,
        metavar="COMMAND",
        help="what a swarm task runs; {port} stands for PORT of the application's environment",
    )
    parser.add_argument("--version", default=CURRENT, help="the version of Dokploy that it says it is")
    given = parser.parse_args()
    # Blocked before the threads start, so that they inherit it and the signals are only taken here.
    awaited = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    with Double(given.state.resolve(), given.port, given.tempo, given.task_command, given.version) as double:
        while not double.swarm.bereft:
            received = signal.sigtimedwait(awaited, LOOK_SECONDS)
            if received and received.si_signo != signal.SIGHUP:
                break
            if received:
                double.restart()


if __name__ == "__main__":
    main()
