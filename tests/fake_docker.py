# SPDX-License-Identifier: GPL-3.0-or-later
"""A program named docker whose containers are this host itself: what is run inside of one really runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

_SCRIPT = """#!/bin/sh
here=$(dirname "$0")
case "$1" in
inspect) cat "$here/inspect-$4.json" 2>/dev/null || { echo "[]"; exit 1; } ;;
ps) cat "$here/ps" ;;
run)
    shift
    echo "run $*" >> "$here/calls"
    while :; do
        case "$1" in
        --rm) shift ;;
        --env-file) while IFS= read -r line; do export "$line"; done < "$2"; shift 2 ;;
        --workdir) cd "$2"; shift 2 ;;
        --*) shift 2 ;;
        *) break ;;
        esac
    done
    shift
    exec "$@" ;;
rm) echo "$*" >> "$here/calls" ;;
exec)
    shift; [ "$1" = -i ] && shift; shift
    [ -e "$here/broken" ] && { echo "OCI runtime exec failed: no sh" >&2; exit 126; }
    exec "$@" ;;
esac
"""


class FakeDocker:
    """Stands in PATH for as long as a test lasts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        program = folder / "docker"
        program.write_text(_SCRIPT)
        program.chmod(0o755)
        self.list()
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    def add(self, name: str, pid: int, service: str = "", ident: str = "0123456789abcdef") -> None:
        """A container, found by its name and by its id."""
        labels = {"com.docker.swarm.service.name": service} if service else None
        details = {"Id": ident, "Name": f"/{name}", "State": {"Pid": pid}, "Config": {"Labels": labels}}
        for key in (name, ident):
            (self._folder / f"inspect-{key}.json").write_text(json.dumps([details]))

    def list(self, *lines: str) -> None:
        """What ``docker ps`` prints, whatever it is asked."""
        (self._folder / "ps").write_text("".join(f"{line}\n" for line in lines))

    def calls(self) -> list[str]:
        """Each ``docker run`` and ``docker rm``."""
        noted = self._folder / "calls"
        return noted.read_text().splitlines() if noted.exists() else []

    def break_exec(self) -> None:
        (self._folder / "broken").touch()
