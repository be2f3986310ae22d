# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity on a mirror of what ships, since it refuses a checkout that is reached through a link.

What ``build_ignore`` of galaxy.yml leaves out of the collection, lab and tests above all, is for ruff and mypy.
Its virtual environments stay in ``.build/home``, so that only the first run has to build them.
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

# ansible-test downloads get-pip.py unless it finds this file; the interpreter carries a pip of its own.
GET_PIP = HOME / ".ansible" / "test" / "cache" / "get_pip_24_2.py"
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


def main() -> int:
    mirror()
    GET_PIP.parent.mkdir(parents=True, exist_ok=True)
    GET_PIP.write_text(GET_PIP_STAND_IN)
    pass_pip_settings_on()
    environment = {**os.environ, "HOME": str(HOME), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [str(BIN / "ansible-test"), "sanity", "--local", "--python", python, "--color", "no", *sys.argv[1:]]
    result = subprocess.run(command, cwd=MIRROR, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    print(f"sanity: {'passed' if result == 0 else 'FAILED'} (Python {python})")
    return result


if __name__ == "__main__":
    sys.exit(main())
