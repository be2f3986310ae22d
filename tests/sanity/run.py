# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity on a mirror of what ships, since it refuses a checkout that is reached through a link.

What ``build_ignore`` of galaxy.yml leaves out of the collection, lab and tests above all, is for ruff and mypy.
Its virtual environments stay in ``.build/home``, so that only the first run has to build them.
``CORES="2.17 2.18"`` names other releases of ansible-core; each gets an environment of its own in ``.build/cores``.
"""

from __future__ import annotations

import configparser
import fnmatch
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
MIRROR = BUILD / "ansible_collections" / "vedfinance" / "platform"
HOME = BUILD / "home"
PIP_SETTINGS = HOME / ".config" / "pip" / "pip.conf"
BIN = Path(sys.executable).parent

# ansible-test downloads get-pip.py of the version it wants unless it finds this file; Python carries a pip of its own.
GET_PIP = [HOME / ".ansible" / "test" / "cache" / f"get_pip_{version}.py" for version in ("23_1_2", "24_2")]
GET_PIP_STAND_IN = """\
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", *wanted])
"""


def git(*arguments: str, cwd: Path = ROOT) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def shipped(name: str, left_out: list[str]) -> bool:
    return not any(fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern}/") for pattern in left_out)


def mirror() -> None:
    shutil.rmtree(MIRROR, ignore_errors=True)
    left_out = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    for name in filter(None, git("ls-files", "-co", "--exclude-standard", "-z").split("\0")):
        source, target = ROOT / name, MIRROR / name
        if shipped(name, left_out) and (source.is_symlink() or source.is_file()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    git("init", "--quiet", cwd=MIRROR)


def pass_pip_settings_on() -> None:
    """ansible-test hides the user's home and environment from pip: what they say about indexes goes into a file."""
    settings = configparser.RawConfigParser()
    settings.read(Path(os.environ.get("USER_HOME", "~")).expanduser() / ".config" / "pip" / "pip.conf")
    if not settings.has_section("global"):
        settings.add_section("global")
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            settings.set("global", name.removeprefix("PIP_").lower().replace("_", "-"), value)
    settings.set("global", "quiet", "2")
    PIP_SETTINGS.parent.mkdir(parents=True, exist_ok=True)
    PIP_SETTINGS.touch(mode=0o600)
    with PIP_SETTINGS.open("w") as file:
        settings.write(file)


def programs_of(core: str) -> Path:
    """Where the ansible-test of a release of ansible-core is; it is installed if it must be."""
    folder = BUILD / "cores" / core
    if not (folder / "bin" / "ansible-test").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        wanted = f"ansible-core=={core}.*"
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", wanted], check=True)
    return folder / "bin"


def sanity(programs: Path, name: str) -> bool:
    environment = {**os.environ, "HOME": str(HOME), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [programs / "ansible-test", "sanity", "--local", "--python", python, "--color", "no", *sys.argv[1:]]
    done = subprocess.run(command, cwd=MIRROR, env=environment, stdin=subprocess.DEVNULL, check=False)
    print(f"sanity: {'FAILED' if done.returncode else 'passed'} ({name}, Python {python})", flush=True)
    return done.returncode == 0


def main() -> int:
    mirror()
    for stand_in in GET_PIP:
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(GET_PIP_STAND_IN)
    pass_pip_settings_on()
    cores = os.environ.get("CORES", "").split()
    results = [sanity(programs_of(core), f"ansible-core {core}") for core in cores] or [sanity(BIN, "the core of make")]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
