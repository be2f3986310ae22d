# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets programs write a dump, no faster than is allowed, and ends them when anything goes wrong."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from ..._errors import PlatformError
from ..._redact import clip, redact_text
from .command import clean_environment

_CHUNK = 1 << 18
_WORDS = 1 << 16
_LOOK_EVERY = 0.5
_LONGEST_SLEEP = 0.5
_BURST = 1.0

#: Is told how many bytes have come since the last time; raises to stop the work.
Watch = Callable[[int], None]


class Pace:
    """Keeps a stream below a rate; what was missed for longer than a second is not made up for."""

    def __init__(
        self,
        rate: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._due = clock()

    @property
    def chunk(self) -> int:
        """How much to read at once, so that no single pause is long."""
        return _CHUNK if not self._rate else max(1 << 10, min(_CHUNK, self._rate // 8))

    def passed(self, count: int) -> None:
        """That many bytes have passed; returns when the next may."""
        if not self._rate:
            return
        self._due = max(self._due, self._clock() - _BURST) + count / self._rate
        while (early := self._due - self._clock()) > 0:
            self._sleep(min(early, _LONGEST_SLEEP))


@dataclass(frozen=True)
class Ended:
    """A program that ended by itself."""

    status: int
    said: str


def streamed(
    command: Sequence[str],
    environment: Mapping[str, str],
    filters: Sequence[Sequence[str]],
    target: int,
    pace: Pace,
    watch: Watch,
) -> Ended:
    """Write what a program prints into an open file, through filters.

    :raises PlatformError: when a filter failed, or the file cannot be written.
    """
    with ExitStack() as running:
        producer = running.enter_context(_started(command, environment, target, stdout=subprocess.PIPE))
        behind: list[_Running] = []
        for at, words in enumerate(filters):
            given = _output(behind[-1]) if behind else subprocess.PIPE
            out = target if at == len(filters) - 1 else subprocess.PIPE
            each = _started(words, clean_environment(), target, stdin=given, stdout=out)
            behind.append(running.enter_context(each))
            if at:
                # Else the one in front would never learn that nobody reads any more.
                _close(behind[-2].process.stdout)
        listening = _pump(_output(producer), _input(behind[0]) if behind else target, pace, watch)
        if behind:
            _close(behind[0].process.stdin)
        if not listening:
            producer.process.kill()
        ended = producer.ended()
        # The last one first: those in front of a broken pipe only tell that it is broken.
        for each_running, words in reversed(list(zip(behind, filters))):
            done = each_running.ended()
            if done.status != 0:
                raise _filter_failed(words, done)
        if not listening:
            raise PlatformError("A program that the dump was written through stopped reading.", "Run it again.")
        return ended


def written(
    command: Sequence[str], environment: Mapping[str, str], target: int, size: Callable[[], int], watch: Watch
) -> Ended:
    """Let a program write its own files.

    :param target: holds the lock of what it writes.
    :param size: of what it has written so far.
    """
    with _started(command, environment, target) as running:
        seen = 0
        while True:
            with suppress(subprocess.TimeoutExpired):
                running.process.wait(_LOOK_EVERY)
            now = size()
            watch(max(0, now - seen))
            seen = now
            if running.process.returncode is not None:
                return running.ended()


def filtered(source: str, command: Sequence[str], target: int, watch: Watch) -> None:
    """Write a file through a program into an open one."""
    with _started(command, clean_environment(), target, stdin=subprocess.PIPE, stdout=target) as running:
        with open(source, "rb", buffering=0) as file:
            listening = _pump(file.fileno(), _input(running), Pace(None), watch)
        _close(running.process.stdin)
        done = running.ended()
        if done.status != 0 or not listening:
            raise _filter_failed(command, done)


class _Running:
    def __init__(self, process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
        self.process = process
        self._words = words

    def ended(self) -> Ended:
        status = self.process.wait()
        self._words.seek(0)
        return Ended(status, self._words.read(_WORDS).decode("utf-8", "replace"))


@contextmanager
def _started(
    command: Sequence[str],
    environment: Mapping[str, str],
    lock: int,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[_Running]:
    """A program that is killed if it still runs at the end. Its words go to a file, so that nobody waits for them."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=stdin, stdout=stdout, stderr=words, pass_fds=(lock,)
        )
        try:
            yield _Running(process, words)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                _close(pipe)


def _pump(source: int, sink: int, pace: Pace, watch: Watch) -> bool:
    """From one descriptor to another, to the end; false when the sink takes no more."""
    while chunk := os.read(source, pace.chunk):
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(sink, view) :]
        except BrokenPipeError:
            return False
        except OSError as error:
            raise PlatformError(
                f"The dump cannot be written: {error.strerror}.", "Make room in its folder, then run it again."
            ) from None
        watch(len(chunk))
        pace.passed(len(chunk))
    return True


def _filter_failed(command: Sequence[str], done: Ended) -> PlatformError:
    name = os.path.basename(command[0])
    said = " / ".join(line.strip() for line in redact_text(done.said).splitlines()[-3:] if line.strip())
    return PlatformError(
        f"The program {name} failed (status {done.status}): {clip(said, 300) or 'it said nothing'}.",
        "Is there room in the folder, and are the recipients' public keys right?",
    )


def _output(running: _Running) -> int:
    if running.process.stdout is None:
        raise RuntimeError("started without a pipe")
    return running.process.stdout.fileno()


def _input(running: _Running) -> int:
    if running.process.stdin is None:
        raise RuntimeError("started without a pipe")
    return running.process.stdin.fileno()


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(OSError):
            pipe.close()
