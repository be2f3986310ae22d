# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the gates, in order or several at once, and says of each how it ended."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from .._clock import Clock
from .._errors import PlatformError
from .._git.checkout import Checkout, commits_between, short
from .._progress import Progress
from .._redact import clip, redact_text, secret_values
from .gates import (
    BRANCH,
    CI_STATUS,
    CLEAN_TREE,
    COMMAND,
    COMMIT_MESSAGE,
    FAILED,
    MISSING_TOOL,
    NOT_RUN,
    PASSED,
    SKIPPED,
    TIMED_OUT,
    WOULD_RUN,
    Gate,
    Result,
)
from .processes import Command, Processes

_TAIL = 20
_LONGEST_LINE = 300
_LONGEST_LOG = 20_000_000
_LOGS_KEPT = 10
_NAMED = 5
_COMMITS = 1000
_NOT_FOUND = 127
_MISSING = re.compile(r"(?:^|[\s:])([\w./@+-]+): (?:command )?not found")
_RUN = re.compile(r"\d{8}T\d{6}Z")
_GIT_TIMEOUT = 60.0
_TOOLS = {
    "pnpm": "corepack enable pnpm (Node.js brings corepack), or npm install --global pnpm@9",
    "npm": "install Node.js (https://nodejs.org), which brings npm",
    "npx": "install Node.js (https://nodejs.org), which brings npx",
    "node": "install Node.js (https://nodejs.org)",
    "bd": "brew install beads, or npm install --global @beads/bd (https://github.com/gastownhall/beads)",
    "gh": "https://cli.github.com, then gh auth login",
    "git": "apt-get install git",
}


@dataclass(frozen=True)
class Preflight:
    """What shall be proved, and how."""

    gates: Sequence[Gate]
    checkout: str
    skipped: Mapping[str, str] = field(default_factory=dict)
    parallel: int = 1
    keep_going: bool = False
    log_dir: str | None = None
    run: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    #: What nobody shall read, whatever prints it.
    secrets: Collection[str] = ()


@dataclass(frozen=True)
class World:
    """All that a gate touches."""

    processes: Processes
    checkout: Callable[[], Checkout]
    clock: Clock
    progress: Progress


def run_gates(preflight: Preflight, world: World, *, check: bool = False) -> list[Result]:
    """How each gate ended, in their order."""
    _usable(preflight)
    results = {gate.name: found for gate in preflight.gates if (found := _without_running(gate, preflight, check))}
    if not check:
        world.processes.end_orphans()
        if preflight.keep_going or not any(found.stops for found in results.values()):
            _run_rest(preflight, world, results)
    waiting = Result(preflight.gates[0], NOT_RUN, "an earlier gate has failed, or misses its tool")
    return [results.get(gate.name) or replace(waiting, gate=gate) for gate in preflight.gates]


def checkout_at(folder: str) -> Checkout:
    """The checkout, of whose remotes none is asked."""
    return Checkout.at({"checkout": folder, "remote": "", "timeout": _GIT_TIMEOUT})


def _usable(preflight: Preflight) -> None:
    if not os.path.isdir(preflight.checkout):
        raise PlatformError(
            f"The checkout {preflight.checkout} is no folder.", "Name the folder of the git checkout on this host."
        )
    for gate in preflight.gates:
        if gate.name not in preflight.skipped and not os.path.isdir(_folder(gate, preflight)):
            raise PlatformError(
                f"Gate {gate.name!r} shall run in {gate.chdir}, which is no folder of {preflight.checkout}.",
                "Correct its chdir.",
            )


def _without_running(gate: Gate, preflight: Preflight, check: bool) -> Result | None:
    if gate.name in preflight.skipped:
        return Result(gate, SKIPPED, preflight.skipped[gate.name])
    folder = _folder(gate, preflight)
    search = {**preflight.environment, **gate.environment}.get("PATH", os.defpath)
    if gate.tool and not shutil.which(
        gate.tool if "/" not in gate.tool else os.path.join(folder, gate.tool), path=search
    ):
        return _missing(gate, gate.tool)
    return Result(gate, WOULD_RUN) if check else None


def _missing(gate: Gate, tool: str) -> Result:
    where = gate.get_tool or _TOOLS.get(os.path.basename(tool), "install it, or correct PATH or the command")
    return Result(gate, MISSING_TOOL, f"{tool} is not installed", f"{tool}: {where}.")


def _folder(gate: Gate, preflight: Preflight) -> str:
    return os.path.normpath(os.path.join(preflight.checkout, gate.chdir))


def _run_rest(preflight: Preflight, world: World, results: dict[str, Result]) -> None:
    waiting = deque(gate for gate in preflight.gates if gate.name not in results)
    world.progress.begin("gates", len(waiting), "gates")
    with _pool(preflight.parallel, world.processes) as pool:
        running: dict[Future[Result], Gate] = {}
        going_on = True
        while running or (waiting and going_on):
            while waiting and going_on and len(running) < preflight.parallel:
                gate = waiting.popleft()
                running[pool.submit(_one, gate, preflight, world)] = gate
            done, _others = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                result = results[running.pop(future).name] = future.result()
                going_on = going_on and (preflight.keep_going or not result.stops)


@contextmanager
def _pool(parallel: int, processes: Processes) -> Iterator[ThreadPoolExecutor]:
    """Threads whose programs are ended when this one is told to end."""
    with ThreadPoolExecutor(parallel, "gate") as pool:
        try:
            yield pool
        except BaseException:
            processes.end_all()
            raise


def _one(gate: Gate, preflight: Preflight, world: World) -> Result:
    world.progress.say([f"begins   {gate.name}: {clip(gate.what, 120)}"])
    began = world.clock.monotonic()
    try:
        result = _KINDS[gate.kind](gate, preflight, world)
    except PlatformError as error:
        result = Result(gate, FAILED, error.msg, error.hint or "")
    result = replace(result, seconds=world.clock.monotonic() - began)
    world.progress.add(1)
    word = result.outcome.replace("_", " ")
    world.progress.say(
        [f"{word:8} {gate.name} ({result.seconds:.1f} s){': ' + result.reason if result.reason else ''}"]
    )
    return result


# -- git --------------------------------------------------------------------------------------------------------------


def _clean_tree(gate: Gate, preflight: Preflight, world: World) -> Result:
    files = world.checkout().changed_files()
    if not files:
        return Result(gate, PASSED)
    reason = f"{len(files)} {'file is' if len(files) == 1 else 'files are'} not committed: {_some(files)}"
    return Result(gate, FAILED, reason, gate.hint or "Commit or stash them: what is deployed is what is committed.")


def _branch(gate: Gate, preflight: Preflight, world: World) -> Result:
    branch = world.checkout().current_branch()
    if branch == gate.branch:
        return Result(gate, PASSED)
    reason = f"the checkout is on {branch or 'no branch (a detached head)'}, not on {gate.branch}"
    return Result(gate, FAILED, reason, gate.hint or f"git switch {gate.branch}")


def _commit_message(gate: Gate, preflight: Preflight, world: World) -> Result:
    checkout = world.checkout()
    # What the checkout last saw of the remote; where it never saw the branch, no branch of the remote may have them.
    known = checkout.commit_of(f"refs/remotes/{gate.remote}/{gate.branch}") or f"--remotes={gate.remote}"
    commits = commits_between(checkout.git, "--no-merges", "HEAD", "--not", known, limit=_COMMITS)
    rule = re.compile(gate.pattern, re.IGNORECASE)
    wrong = [f"{short(one.commit)} {clip(one.subject, 80)!r}" for one in commits if not rule.search(one.subject)]
    to_push = f"{len(commits)} commit{'' if len(commits) == 1 else 's'} to push"
    if not wrong:
        return Result(gate, PASSED, to_push)
    reason = f"{len(wrong)} of {to_push} {'does' if len(wrong) == 1 else 'do'} not match {gate.pattern}: {_some(wrong)}"
    return Result(gate, FAILED, redact_text(reason), gate.hint or "Reword them: git commit --amend, or git rebase -i.")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


# -- commands ---------------------------------------------------------------------------------------------------------


def _command(gate: Gate, preflight: Preflight, world: World) -> Result:
    with _Log(gate, preflight) as log:
        return _judged(gate, preflight, world, log, gate.timeout, {})


def _ci_status(gate: Gate, preflight: Preflight, world: World) -> Result:
    """Asked again while it says that it is not known yet."""
    checkout = world.checkout()
    about = {
        "PREFLIGHT_COMMIT": checkout.commit_of("HEAD") or "",
        "PREFLIGHT_BRANCH": checkout.current_branch() or "",
    }
    deadline = world.clock.monotonic() + gate.timeout
    with _Log(gate, preflight) as log:
        while True:
            result = _judged(gate, preflight, world, log, max(1.0, deadline - world.clock.monotonic()), about)
            if result.exit_code not in gate.pending_exit_codes:
                return result
            if world.clock.monotonic() + gate.interval >= deadline:
                return replace(
                    result, outcome=TIMED_OUT, reason=f"CI was still at work after {gate.timeout:g} s",
                    hint=gate.hint or "Wait for it, and run this again.",
                )  # fmt: skip
            world.clock.sleep(gate.interval)


def _judged(
    gate: Gate, preflight: Preflight, world: World, log: _Log, timeout: float, about: Mapping[str, str]
) -> Result:
    environment = {"CI": "true", **preflight.environment, **gate.environment, **about}
    command = Command(gate.argv, _folder(gate, preflight), environment, timeout)
    try:
        ended = world.processes.run(command, log.write)
    except OSError as error:
        return Result(gate, FAILED, f"it cannot be started: {error.strerror or error}", gate.hint, log=log.path)
    result = Result(gate, PASSED, log=log.path, tail=log.tail, exit_code=ended.exit_code)
    left = f"ended what it had left behind: {_some(ended.left_behind)}" if ended.left_behind else ""
    if ended.exit_code is None:
        reason = f"it did not end within {timeout:.0f} s, and was ended with all that it had started"
        return replace(result, outcome=TIMED_OUT, reason=reason, hint=_hint(gate, preflight))
    if ended.exit_code == 0:
        return replace(result, reason=left)
    missing = _MISSING.search("\n".join(log.tail)) if ended.exit_code == _NOT_FOUND else None
    if missing:
        found = _missing(gate, missing.group(1))
        return replace(result, outcome=MISSING_TOOL, reason=found.reason, hint=found.hint)
    return replace(
        result,
        outcome=FAILED,
        hint=_hint(gate, preflight),
        reason="; ".join(filter(None, [_how(ended.exit_code), left])),
    )


def _how(exit_code: int) -> str:
    return f"exit status {exit_code}" if exit_code >= 0 else f"ended by signal {-exit_code}"


def _hint(gate: Gate, preflight: Preflight) -> str:
    path = os.path.join(preflight.checkout, gate.lock_file) if gate.lock_file else ""
    return " ".join(filter(None, [told_of_lock(path, gate.lock_file) if path else "", gate.hint]))


def told_of_lock(path: str, name: str) -> str:
    """Who holds a lock file, as far as the kernel and the file itself tell; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            pid = re.search(r'"pid"\s*:\s*(\d+)|^\s*(\d+)\s*$', file.read(4096))
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                held = True
            else:
                held = False
    except OSError:
        return ""
    number = next((group for group in pid.groups() if group), "") if pid else ""
    if held:
        whose = f"process {number}" if number else "a process"
        return f"{name} is held by {whose}, probably a daemon: end it (bd daemon --stop), then try again."
    if number and not _lives(int(number)):
        return f"{name} was left behind by process {number}, which is gone: remove the file, then try again."
    return f"{name} is there, and nobody holds it: if no daemon runs, remove the file, then try again."


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


_KINDS: dict[str, Callable[[Gate, Preflight, World], Result]] = {
    COMMAND: _command,
    CI_STATUS: _ci_status,
    CLEAN_TREE: _clean_tree,
    BRANCH: _branch,
    COMMIT_MESSAGE: _commit_message,
}


# -- logs -------------------------------------------------------------------------------------------------------------


class _Log:
    """What a gate said, without secrets: the whole of it in a file, the last lines in the result."""

    def __init__(self, gate: Gate, preflight: Preflight) -> None:
        self._secrets = preflight.secrets
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._file: TextIO | None = None
        self._left = _LONGEST_LOG
        self.path: str | None = None
        if preflight.log_dir:
            self.path = os.path.join(preflight.log_dir, f"{preflight.run}_{gate.log_name}.log")
            _forget_old(preflight.log_dir, gate.log_name)

    def __enter__(self) -> _Log:
        if self.path:
            try:
                os.makedirs(os.path.dirname(self.path), mode=0o750, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
                self._file = os.fdopen(os.open(self.path, flags, 0o640), "w", encoding="utf-8")
            except OSError as error:
                raise PlatformError(
                    f"The log {self.path} cannot be written: {error.strerror}.", "Correct log_dir, or its rights."
                ) from None
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    @property
    def tail(self) -> list[str]:
        return list(self._tail)

    def write(self, line: str) -> None:
        line = redact_text(line, self._secrets)
        self._tail.append(clip(line, _LONGEST_LINE))
        if self._file is None or self._left <= 0:
            return
        self._left -= len(line) + 1
        try:
            self._file.write(f"{line}\n" if self._left > 0 else "… the rest is left out\n")
            self._file.flush()
        except OSError as error:
            # A full disk is no verdict on the code.
            self._left = 0
            self._tail.append(f"… the log cannot be written any more: {error.strerror}")


def _forget_old(folder: str, name: str) -> None:
    """Logs of this gate but the newest."""
    with suppress(OSError):
        logs = [path for path in Path(folder).glob(f"*_{name}.log") if _RUN.fullmatch(path.name[: -len(name) - 5])]
        for path in sorted(logs)[: -(_LOGS_KEPT - 1)]:
            path.unlink()


def preflight_of(params: Mapping[str, Any], gates: Sequence[Gate], skipped: Mapping[str, str], run: str) -> Preflight:
    """The work that the module's options describe."""
    if not 1 <= params["parallel"] <= 32:
        raise PlatformError(f"Option parallel is {params['parallel']}.", "Write a number from 1 to 32.")
    hidden = {str(name): str(value) for name, value in (params["secret_environment"] or {}).items()}
    environment = {**os.environ, **hidden}
    # Output is masked by line.
    secrets = {line for value in (*hidden.values(), *secret_values(environment)) for line in value.splitlines() if line}
    return Preflight(
        gates=gates,
        checkout=os.path.abspath(params["checkout"]),
        skipped=skipped,
        parallel=params["parallel"],
        keep_going=params["keep_going"],
        log_dir=params["log_dir"],
        run=run,
        environment=environment,
        secrets=secrets,
    )
