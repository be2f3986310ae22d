# SPDX-License-Identifier: GPL-3.0-or-later
"""Several platforms on one machine, each a whole lab of its own, and an inventory of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lab import platform
from lab.platform import MARKER, ROOT, LabError, Say, Wanted

DEFAULT_STATE = ROOT / ".build" / "fleet"
INVENTORY = "inventory"
#: Small, as there are many.
SCALE = 0.002


def up(state: Path, count: int, wanted: Wanted, say: Say = print) -> Path:
    """Bring them up, those that are not; what a failed start began goes down again. Returns the inventory."""
    begun = time.monotonic()
    labs = {f"platform{number:02}": state / f"platform{number:02}" for number in range(1, count + 1)}
    before = [lab for lab in _labs_in(state) if platform.describe(lab)]
    if more := sorted(set(before) - set(labs.values())):
        raise LabError(f"{more[0]} is up beside them: run `python -m lab fleet down` first")
    try:
        _each(list(labs.values()), partial(_bring_up, wanted=wanted, say=say))
    except BaseException:
        _take_down([lab for lab in _labs_in(state) if lab not in before])
        raise
    inventory = _write_inventory(state / INVENTORY, labs)
    say(f"{count} platforms are up after {time.monotonic() - begun:.0f} s")
    say(f"ansible-playbook -i {_from_here(inventory)} playbooks/…")
    return inventory


def down(state: Path, say: Say = print) -> None:
    """End every process of every platform, and remove their data; logs and journals stay to be read."""
    labs = _labs_in(state)
    _take_down(labs)
    say(f"{len(labs)} platforms are down; their logs and journals stay" if labs else f"no fleet in {state}")


def _take_down(labs: list[Path]) -> None:
    _each(labs, lambda lab: platform.down(lab, lambda _line: None))


def _labs_in(state: Path) -> list[Path]:
    """Running or not: of one that is down, logs and journal are left."""
    return sorted(marker.parent for marker in state.glob(f"*/{MARKER}"))


def _each(labs: list[Path], work: Callable[[Path], None]) -> None:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            for done in [pool.submit(work, lab) for lab in labs]:
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _bring_up(lab: Path, wanted: Wanted, say: Say) -> None:
    description = platform.up(lab, wanted, lambda _line: None)
    port = description["postgres"]["port"]
    say(f"{lab.name}: API {(description['api'] or {}).get('url', 'none')}, PostgreSQL on port {port}")


def _write_inventory(folder: Path, labs: dict[str, Path]) -> Path:
    """Each host differs from the lab's own one by its folder alone."""
    folder.mkdir(exist_ok=True)
    variables = folder / "group_vars"
    variables.unlink(missing_ok=True)
    variables.symlink_to(ROOT / "inventory" / "lab" / "group_vars")
    hosts = {name: {"ansible_connection": "local", "lab_state": str(lab)} for name, lab in labs.items()}
    (folder / "hosts.yml").write_text(json.dumps({"platform": {"hosts": hosts}}, indent=2) + "\n", encoding="utf-8")
    return folder


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
