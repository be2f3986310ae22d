# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the contestants in turn, round after round, and tells the best and the median of each."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from dataclasses import asdict
from pathlib import Path

from lab.postgres import Server
from tests.bench.contestants import BASELINE, CONTESTANTS, Contestant, Measured
from tests.bench.data import DATABASE, SCALES, Dumps, dumps_of, production_server
from tests.conftest import ROOT

FOLDER = ROOT / ".build" / "bench"
_MEGABYTE = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--size", choices=list(SCALES), default="small", help="a dump of 5, 85 or 780 MB")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="contestants whose names contain one of these; and the baseline"
    )
    arguments = parser.parse_args()
    wanted = arguments.only or [""]
    chosen = [one for one in CONTESTANTS if one is BASELINE or any(text in one.name for text in wanted)]
    runs: dict[str, list[Measured]] = {one.name: [] for one in chosen}
    with production_server(FOLDER / "server") as server:
        dumps = dumps_of(server, arguments.size, FOLDER / "dumps")
        for number in range(arguments.rounds):
            # Another one begins each round, so that no one always follows the same neighbour.
            for contestant in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
                measured = run(server, contestant, dumps)
                runs[contestant.name].append(measured)
                print(f"{number + 1}/{arguments.rounds} {contestant.name}: {measured.seconds:.2f} s", flush=True)
        about = {
            "size": arguments.size,
            "megabytes": round(dumps.plain.stat().st_size / _MEGABYTE),
            "rounds": arguments.rounds,
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
            "python": platform.python_version(),
            "server": version(server),
        }
    print(f"\n{table(runs)}\n\n{about}")
    results = {"about": about, "runs": {name: [asdict(one) for one in found] for name, found in runs.items()}}
    (FOLDER / f"results-{arguments.size}.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def run(server: Server, contestant: Contestant, dumps: Dumps) -> Measured:
    """One restore into a new, empty database, from the same state of the server each time."""
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER {server.settings.app_user} TEMPLATE template0".encode())
        connection.execute("CHECKPOINT")
    measured = contestant.run(server, dumps)
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)".encode())
    return measured


def table(runs: dict[str, list[Measured]]) -> str:
    """As Markdown; ratios are the baseline's time by the contestant's, so more is better."""
    baseline = runs[BASELINE.name]
    lines = [
        "| | best | ratio | median | ratio | server CPU | client CPU | client memory |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, found in runs.items():
        best, median = _seconds(found)
        base_best, base_median = _seconds(baseline)
        server = min(one.server_cpu for one in found)
        client = min(one.client.cpu for one in found)
        shown = name.replace("|", "\\|")
        resident = max(one.client.resident for one in found) / _MEGABYTE
        lines.append(
            f"| {shown} | {best:.2f} s | {base_best / best:.2f}x | {median:.2f} s | {base_median / median:.2f}x"
            f" | {server:.2f} s | {client:.2f} s | {resident:.0f} MB |"
        )
    return "\n".join(lines)


def _seconds(found: list[Measured]) -> tuple[float, float]:
    seconds = [one.seconds for one in found]
    return min(seconds), statistics.median(seconds)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version(server: Server) -> str:
    with server.connect() as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return f"PostgreSQL {row[0] if row else '?'}"


main()
