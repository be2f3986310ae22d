# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates as data, and what is said of them: whatever needs no process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.gates import GATE, Gate, gates_of, skips_of
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.preflight import told_of_lock
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.processes import readable


def gates(*entries: dict[str, Any]) -> list[Gate]:
    checked = ArgumentSpecValidator({"gates": {"type": "list", "elements": "dict", "options": GATE}}).validate(
        {"gates": list(entries)}
    )
    assert not checked.error_messages, checked.error_messages
    return gates_of(checked.validated_parameters["gates"])


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([], "nothing would be proved"),
        ([{"name": " ", "command": "true"}], "empty name"),
        ([{"name": "a", "command": "true"}] * 2, "'a' twice"),
        (
            [{"name": "a b", "command": "true"}, {"name": "a/b", "command": "true"}],
            "'a b' and 'a/b' .* same log, a_b.log",
        ),
        ([{"name": "a" * 200, "command": "true"}, {"name": "a" * 201, "command": "true"}], "the same log"),
        ([{"name": "a"}], "no command"),
        ([{"name": "a", "command": [""]}], "no command"),
        ([{"name": "a", "command": {"x": 1}}], "no command"),
        ([{"name": "a", "kind": "branch", "command": "git status"}], "takes no command"),
        ([{"name": "a", "command": "true", "timeout": 0}], "timeout 0"),
        ([{"name": "a", "kind": "commit_message", "pattern": "("}], "no regular expression"),
        ([{"name": "a", "command": "true", "environment": {"API_TOKEN": "abcdefgh"}}], "API_TOKEN, which looks like"),
        ([{"name": "a", "command": "true", "environment": {"X": "postgres://u:pw@h/d"}}], "X, which looks like"),
    ],
)
def test_what_is_no_gate_is_refused(entries: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(PlatformError, match=complaint) as caught:
        gates(*entries)
    assert caught.value.hint
    assert "abcdefgh" not in str(caught.value)
    assert "pw@" not in str(caught.value)


def test_a_short_value_is_no_secret() -> None:
    (gate,) = gates({"name": "a", "command": "true", "environment": {"TOKEN_LIMIT": "5", "NODE_ENV": "test"}})
    assert gate.environment == {"TOKEN_LIMIT": "5", "NODE_ENV": "test"}


@pytest.mark.parametrize(
    ("command", "tool", "argv"),
    [
        ("pnpm test && echo done", "pnpm", ["/bin/sh", "-c", "pnpm test && echo done"]),
        ("NODE_ENV=test pnpm test", "pnpm", ["/bin/sh", "-c", "NODE_ENV=test pnpm test"]),
        ("cd apps && pnpm test", "", ["/bin/sh", "-c", "cd apps && pnpm test"]),
        ("echo 'open", "echo", ["/bin/sh", "-c", "echo 'open"]),
        (["bd", "sync", 1], "bd", ["bd", "sync", "1"]),
        # Only the shell knows what these begin with.
        *(
            (line, "", ["/bin/sh", "-c", line])
            for line in ("(cd web && lint)", "~/bin/check", "# tests\ntrue", "true;false", "$TOOL x", "ulimit -n 9; x")
        ),
        ("A=1 PATH=$PWD/bin:$PATH lint", "", ["/bin/sh", "-c", "A=1 PATH=$PWD/bin:$PATH lint"]),
    ],
)
def test_a_command_is_words_or_a_line_for_the_shell(command: Any, tool: str, argv: list[str]) -> None:
    (gate,) = gates({"name": "a", "command": command})
    assert (gate.tool, gate.argv) == (tool, argv)


@pytest.mark.parametrize(
    ("skipped", "complaint"),
    [
        ({"lnit": "why"}, "'lnit', which is no gate.* lint, tree"),
        ({"lint": "  "}, "without a reason"),
        ({"lint": None}, "without a reason"),
        ({"tree": "in a hurry"}, "never be skipped"),
    ],
)
def test_a_gate_is_not_skipped_in_silence(skipped: dict[str, Any], complaint: str) -> None:
    known = gates({"name": "lint", "command": "true"}, {"name": "tree", "kind": "clean_tree", "never_skip": True})
    with pytest.raises(PlatformError, match=complaint):
        skips_of(skipped, known)
    assert skips_of({"lint": " see ved-3 "}, known) == {"lint": "see ved-3"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"\x1b[32m\xe2\x9c\x93\x1b[39m ok\r", "✓ ok"),
        (b"10 %\r50 %\r100 %", "100 %"),
        (b"\x1b]0;title\x07tests\x00", "tests�"),
    ],
)
def test_lines_are_as_a_terminal_leaves_them(line: bytes, text: str) -> None:
    assert readable(line) == text


def test_a_lock_is_explained_by_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "daemon.lock"
    assert told_of_lock(str(lock), "daemon.lock") == ""
    lock.write_text('{"pid": 4194999, "version": "0.30"}')
    assert "process 4194999, which is gone: remove the file" in told_of_lock(str(lock), "daemon.lock")
    lock.write_text(f"{os.getpid()}\n")
    assert "nobody holds it" in told_of_lock(str(lock), "daemon.lock")
    with lock.open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert f"held by process {os.getpid()}" in told_of_lock(str(lock), "daemon.lock")
