# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a kind on a database at a time. The lock is the server's own, so it is free when its owner is dead."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..._errors import PlatformError
from ..connect import Server, Session

#: The kinds. A nightly verification must never keep a recovery waiting.
RESTORE, VERIFICATION, COMPLETION = "restore", "verification", "completion"
_POLL = 0.5
_TRY = "SELECT pg_try_advisory_lock(hashtextextended('vedfinance.platform ' || %s || ' of ' || %s, 0))"
_OWNER = """
SELECT a.application_name, a.usename, a.pid, date_trunc('second', a.backend_start)::text
FROM pg_locks l
JOIN pg_stat_activity a USING (pid), hashtextextended('vedfinance.platform ' || %s || ' of ' || %s, 0) AS key
WHERE l.locktype = 'advisory' AND l.granted AND ((l.classid::bigint << 32) | l.objid::bigint) = key
"""


@contextmanager
def exclusive(server: Server, database: str, kind: str, timeout: float) -> Iterator[Session]:
    """Hold a lock of a database; the session that holds it serves the maintenance database.

    :param timeout: seconds to wait for another run of the kind to end.
    """
    purpose = f"lock {socket.gethostname()[:20]}:{os.getpid()}"
    with server.connect(purpose=purpose) as session:
        deadline = time.monotonic() + timeout
        while not try_lock(session, database, kind):
            if time.monotonic() >= deadline:
                raise PlatformError(
                    f"Another {kind} of {database} is running: {_owner(session, database, kind)}.",
                    "Wait for it to end, or end it; its lock is free as soon as it is gone.",
                )
            time.sleep(_POLL)
        yield session


def try_lock(session: Session, database: str, kind: str) -> bool:
    """Take a lock for as long as the session lives, if nobody has it."""
    return bool(session.value(_TRY, (kind, database)))


def _owner(session: Session, database: str, kind: str) -> str:
    rows = session.rows(_OWNER, (kind, database))
    if not rows:
        return "it has just ended"
    name, user, pid, since = rows[0]
    return f"{name} (role {user}, server process {pid}, since {since})"
