# SPDX-License-Identifier: GPL-3.0-or-later
"""The double as a program: SIGTERM ends it."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from lab.pages.server import Double


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.pages", description="A double of Cloudflare Pages.")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder with pages.json, as lab.pages.model.seed makes it"
    )
    parser.add_argument("--port", type=int, required=True, help="port on the loopback")
    parser.add_argument("--tempo", type=float, default=1.0, help="0.1 makes every build ten times faster")
    given = parser.parse_args()
    # Blocked before the threads start, so that they inherit it and the signals are only taken here.
    awaited = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    with Double(given.state.resolve(), given.port, given.tempo):
        signal.sigwait(awaited)


if __name__ == "__main__":
    main()
