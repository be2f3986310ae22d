# SPDX-License-Identifier: GPL-3.0-or-later
"""A long work ends when the play that wants it is gone: nobody shall learn of its result any more.

A killed ansible-playbook kills a module on the same machine, but over ssh with pipelining the module would go on and
change things behind the back of whoever pressed Ctrl-C. What is left of the controller on the host is the other end of
the module's stdout: ssh closes it when the client is gone, and keeps it open while the network is only slow.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ._errors import PlatformError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STDOUT = 1
# sudo and an orphaned ssh client hold their end of stdout open until they have to write. Ansible skips empty lines.
_KNOCK_EVERY = 2.0
_KNOCK = b"\n"
_GRACE = 30.0


class HungUp(KeyboardInterrupt):
    """Raised in the main thread, wherever it is. A KeyboardInterrupt, since psycopg cancels a query for no other."""

    def as_error(self) -> PlatformError:
        """To be told to whoever may be listening still, with what the work knows."""
        return PlatformError(
            f"Ended before the work was done ({self}), by hand or because the play was gone.",
            "What was begun was tidied up; run it again.",
        )


@contextmanager
def ended_with_the_play(grace: float = _GRACE) -> Iterator[None]:
    """Around the whole work, and only the work: the result is printed outside.

    A signal, or the end of whoever reads stdout, raises :class:`HungUp` in the main thread, so that what was begun is
    tidied up; what does not end within ``grace`` seconds ends all the same.

    :raises PlatformError: for an end that was heeded.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hang_up(number: int, _frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)  # no second signal disturbs the tidying up
        # The kernel's own clock: it ends even what hangs in a library.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, grace)
        raise HungUp(signal.Signals(number).name)

    # What was started with nohup stays deaf to what it shall not hear; to SIGTERM nothing is deaf.
    before = {
        number: signal.getsignal(number)
        for number in _SIGNALS
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, hang_up)
    try:
        with _reader_watched():
            yield
    except HungUp as ended:
        raise ended.as_error() from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _reader_watched() -> Iterator[None]:
    if not _may_lose_its_reader(_STDOUT):
        yield
        return
    over, end = os.pipe()
    watcher = threading.Thread(target=_watch, args=(over,), name="hangup", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.close(end)
        watcher.join()
        os.close(over)


def _may_lose_its_reader(descriptor: int) -> bool:
    with suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
    return False


def _watch(over: int) -> None:
    poller = select.poll()
    poller.register(over, select.POLLIN)
    poller.register(_STDOUT, 0)  # only its end
    while True:
        happened = dict(poller.poll(_KNOCK_EVERY * 1000))
        if over in happened:
            return
        if _STDOUT in happened or not _knock():
            main = threading.main_thread().ident
            if main is not None:
                signal.pthread_kill(main, signal.SIGTERM)
            return


def _knock() -> bool:
    try:
        os.write(_STDOUT, _KNOCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True
