# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates as data: what must hold before a release begins."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._errors import PlatformError
from .._redact import redact_text, secret_values

PASSED, FAILED, SKIPPED, MISSING_TOOL, TIMED_OUT = "passed", "failed", "skipped", "missing_tool", "timed_out"
#: Nothing was asked: an earlier gate had failed, or it was a dry run.
NOT_RUN, WOULD_RUN = "not_run", "would_run"

COMMAND, CI_STATUS = "command", "ci_status"
CLEAN_TREE, BRANCH, COMMIT_MESSAGE = "clean_tree", "branch", "commit_message"

GATE: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "kind": {
        "type": "str",
        "choices": [COMMAND, CLEAN_TREE, BRANCH, COMMIT_MESSAGE, CI_STATUS],
        "default": COMMAND,
    },
    "command": {"type": "raw"},
    "chdir": {"type": "str", "default": "."},
    "timeout": {"type": "float", "default": 600.0},
    "optional": {"type": "bool", "default": False},
    "never_skip": {"type": "bool", "default": False},
    "environment": {"type": "dict", "default": {}},
    "lock_file": {"type": "str"},
    "get_tool": {"type": "str"},
    "hint": {"type": "str"},
    "branch": {"type": "str", "default": "main"},
    "remote": {"type": "str", "default": "origin"},
    "pattern": {"type": "str", "default": r'^(?:(?:Revert|Reapply) ")?\(ved-[0-9a-z.]+\) \S'},
    "pending_exit_codes": {"type": "list", "elements": "int", "default": [8, 75]},
    "interval": {"type": "float", "default": 10.0},
}
# Words that a shell knows itself, so that no program of that name is looked for.
_SHELL_WORDS = frozenset(
    (
        ".",
        "alias",
        "case",
        "cd",
        "command",
        "eval",
        "exec",
        "exit",
        "export",
        "for",
        "if",
        "read",
        "set",
    )
) | frozenset(("test", "time", "trap", "true", "type", "ulimit", "umask", "unset", "until", "wait", "while"))
# Another PATH is known only to the shell, ...
_ASSIGNMENT = re.compile(r"(?!PATH=)\w+=")
# ... and so is the meaning of anything else than a plain word, such as (cd, $TOOL or a;b.
_PLAIN_WORD = re.compile(r"[\w./@+-]+")
_LONGEST_LOG_NAME = 50


@dataclass(frozen=True)
class Gate:
    """One thing that must hold; ``shell`` is set when a shell reads the command."""

    name: str
    kind: str = COMMAND
    command: Sequence[str] = ()
    shell: str = ""
    chdir: str = "."
    timeout: float = 600.0
    optional: bool = False
    never_skip: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    lock_file: str = ""
    get_tool: str = ""
    hint: str = ""
    branch: str = "main"
    remote: str = "origin"
    pattern: str = ""
    pending_exit_codes: frozenset[int] = frozenset()
    interval: float = 10.0

    @property
    def argv(self) -> list[str]:
        return ["/bin/sh", "-c", self.shell] if self.shell else list(self.command)

    @property
    def tool(self) -> str:
        """The program that must be there; empty when a shell does the first step itself."""
        if self.kind not in (COMMAND, CI_STATUS):
            return "git"
        if not self.shell:
            return self.command[0]
        first = next((word for word in _words(self.shell) if not _ASSIGNMENT.match(word)), "")
        return first if _PLAIN_WORD.fullmatch(first) and first not in _SHELL_WORDS else ""

    @property
    def log_name(self) -> str:
        return re.sub(r"[^\w.-]+", "_", self.name)[:_LONGEST_LOG_NAME]

    @property
    def what(self) -> str:
        """What it does, for people."""
        of_git = {
            CLEAN_TREE: "nothing uncommitted",
            BRANCH: f"on branch {self.branch}",
            COMMIT_MESSAGE: f"commits to push match {self.pattern}",
        }
        return of_git.get(self.kind) or redact_text(self.shell or shlex.join(self.command))


@dataclass(frozen=True)
class Result:
    """How a gate ended."""

    gate: Gate
    outcome: str
    reason: str = ""
    hint: str = ""
    seconds: float = 0.0
    log: str | None = None
    tail: Sequence[str] = ()
    exit_code: int | None = None

    @property
    def stops(self) -> bool:
        """Whether the release must not begin."""
        return not self.gate.optional and self.outcome not in (PASSED, SKIPPED, WOULD_RUN)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.gate.name,
            "kind": self.gate.kind,
            "what": self.gate.what,
            "optional": self.gate.optional,
            "outcome": self.outcome,
            "reason": self.reason,
            "hint": self.hint,
            "seconds": round(self.seconds, 2),
            "exit_code": self.exit_code,
            "log": self.log,
            "tail": list(self.tail),
        }


def gates_of(entries: Sequence[Mapping[str, Any]]) -> list[Gate]:
    """The gates that the data describe, or what is wrong with them."""
    if not entries:
        raise PlatformError("Option gates is empty, so that nothing would be proved.", "Name at least one gate.")
    gates = [_gate_of(entry) for entry in entries]
    names = [gate.name for gate in gates]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PlatformError(f"Option gates names {twice[0]!r} twice.", "Give each gate a name of its own.")
    logs: dict[str, str] = {}
    for gate in gates:
        if gate.log_name in logs:
            raise PlatformError(
                f"The gates {logs[gate.log_name]!r} and {gate.name!r} would write the same log, {gate.log_name}.log.",
                "Let their names differ in letters or digits of the first 50.",
            )
        logs[gate.log_name] = gate.name
    return gates


def _gate_of(entry: Mapping[str, Any]) -> Gate:
    name = entry["name"].strip()
    if not name:
        raise PlatformError("A gate has an empty name.", "Name each of them; the name is what skipped refers to.")
    where = f"Gate {name!r}"
    command, shell = _command_of(entry, where)
    if entry["timeout"] <= 0:
        raise PlatformError(f"{where} has the timeout {entry['timeout']:g}.", "Give the seconds that it may take.")
    try:
        re.compile(entry["pattern"])
    except re.error as error:
        raise PlatformError(f"{where}: pattern is no regular expression: {error}.", "Correct it.") from None
    return Gate(
        name=name,
        kind=entry["kind"],
        command=command,
        shell=shell,
        chdir=entry["chdir"],
        timeout=entry["timeout"],
        optional=entry["optional"],
        never_skip=entry["never_skip"],
        environment=_environment_of(entry["environment"] or {}, where),
        lock_file=entry["lock_file"] or "",
        get_tool=entry["get_tool"] or "",
        hint=entry["hint"] or "",
        branch=entry["branch"],
        remote=entry["remote"],
        pattern=entry["pattern"],
        pending_exit_codes=frozenset(entry["pending_exit_codes"]) - {0},
        interval=max(1.0, entry["interval"]),
    )


def _command_of(entry: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], str]:
    command = entry["command"]
    if entry["kind"] not in (COMMAND, CI_STATUS):
        if command:
            raise PlatformError(f"{where} is of kind {entry['kind']}, which takes no command.", "Leave command out.")
        return (), ""
    if isinstance(command, str) and command.strip():
        return (), command.strip()
    if isinstance(command, (list, tuple)) and command and str(command[0]).strip():
        return tuple(str(word) for word in command), ""
    raise PlatformError(f"{where} has no command.", "Give a list of words, or a line for the shell.")


def _environment_of(given: Mapping[str, Any], where: str) -> dict[str, str]:
    environment = {str(name): "" if value is None else str(value) for name, value in given.items()}
    if hidden := secret_values(environment):
        names = sorted(name for name, value in environment.items() if value in hidden)
        raise PlatformError(
            f"{where}: environment holds {', '.join(names)}, which looks like a secret, and would be shown.",
            "Put it into secret_environment, which is shown nowhere.",
        )
    return environment


def skips_of(skipped: Mapping[str, Any], gates: Sequence[Gate]) -> dict[str, str]:
    """The reasons by gate; a gate is never skipped in silence."""
    by_name = {gate.name: gate for gate in gates}
    reasons = {str(name): str(reason or "").strip() for name, reason in skipped.items()}
    for name, reason in reasons.items():
        if name not in by_name:
            raise PlatformError(
                f"Option skipped names {name!r}, which is no gate.", f"The gates are: {', '.join(by_name)}."
            )
        if not reason:
            raise PlatformError(
                f"Gate {name!r} cannot be skipped without a reason.",
                "Say why; the reason is kept in the record of the release.",
            )
        if by_name[name].never_skip:
            raise PlatformError(
                f"Gate {name!r} can never be skipped (never_skip).", "Mend what it complains of, or change its entry."
            )
    return reasons


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote: the shell will complain of it
        return line.split()
