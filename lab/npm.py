# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages from npm, pinned by a package-lock.json and installed once for each set of pins."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".build" / "cache" / "npm"
# Wrong pins are our fault; whatever else keeps npm from installing is the machine's.
OUR_FAULT = re.compile(r"npm (?:error|ERR!) code (EINTEGRITY|EUSAGE|ETARGET|EJSONPARSE)")
CHOSEN = re.compile(r"^npm_config_|_proxy$|^node_extra_ca_certs$")
PINS = ("package.json", "package-lock.json")
OLDEST_NODE = 18
LONGEST = 300


class NotInstalled(Exception):
    """This machine cannot install them; the message says why."""


def install(
    pins: Path, oldest_node: int = OLDEST_NODE, names: Sequence[str] = PINS, options: Sequence[str] = ()
) -> Path:
    """The folder into which npm installed what the lock of this folder names, with the named files of it.

    :raises NotInstalled: when this machine cannot.
    :raises RuntimeError: when the pins are wrong.
    """
    if not shutil.which("npm") or not shutil.which("node"):
        raise NotInstalled("node and npm are not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < oldest_node:
        raise NotInstalled(f"node {version} is older than {oldest_node}")
    files = [pins / name for name in names]
    contents = b"".join(file.name.encode() + file.read_bytes() for file in files)
    folder = CACHE / hashlib.sha256(" ".join(options).encode() + contents).hexdigest()[:16]
    if not folder.exists():
        _install(files, folder, options)
    return folder


def _install(files: Sequence[Path], folder: Path, options: Sequence[str]) -> None:
    partial = folder.with_suffix(f".{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        for file in files:
            shutil.copy(file, partial)
        # Whoever chose a registry or a proxy did so by the environment, or in their own home, which `make` replaces.
        chosen = {name: value for name, value in os.environ.items() if CHOSEN.search(name.lower())}
        home = os.environ.get("USER_HOME", os.environ["HOME"])
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--cache={CACHE / 'downloads'}", *options],
            cwd=partial,
            env={"PATH": os.environ["PATH"], "NO_COLOR": "1", **chosen, "HOME": home},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
        if OUR_FAULT.search(done.stderr):
            raise RuntimeError(done.stderr)
        if done.returncode:
            reasons = [line for line in done.stderr.splitlines() if line.startswith(("npm error", "npm ERR!"))]
            raise NotInstalled(f"npm could not: {' '.join(reasons[:2])}")
        # Another process may have been faster.
        with contextlib.suppress(OSError):
            partial.rename(folder)
        assert folder.exists()
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"npm was not done within {LONGEST} s") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
