# SPDX-License-Identifier: GPL-3.0-or-later
"""One restore of a database at a time. The lock is the server's own, so it is free as soon as its owner is dead."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..._errors import PlatformError
from ..connect import Server, Session

_POLL = 0.5
_TRY = "SELECT pg_try_advisory_lock(hashtextextended('vedfinance.platform restore of ' || %s, 0))"
_OWNER = """
SELECT a.application_name, a.usename, a.pid, date_trunc('second', a.backend_start)::text
FROM pg_locks l
JOIN pg_stat_activity a USING (pid), hashtextextended('vedfinance.platform restore of ' || %s, 0) AS key
WHERE l.locktype = 'advisory' AND l.granted AND ((l.classid::bigint << 32) | l.objid::bigint) = key
"""


@contextmanager
def exclusive(server: Server, database: str, timeout: float) -> Iterator[Session]:
    """Hold the lock of a database; the session that holds it serves the maintenance database.

    :param timeout: seconds to wait for another restore to end.
    """
    purpose = f"lock {socket.gethostname()[:20]}:{os.getpid()}"
    with server.connect(purpose=purpose) as session:
        deadline = time.monotonic() + timeout
        while not session.value(_TRY, (database,)):
            if time.monotonic() >= deadline:
                raise PlatformError(
                    f"Another restore of {database} is running: {_owner(session, database)}.",
                    "Wait for it to end, or end it; its lock is free as soon as it is gone.",
                )
            time.sleep(_POLL)
        yield session


def _owner(session: Session, database: str) -> str:
    rows = session.rows(_OWNER, (database,))
    if not rows:
        return "it has just ended"
    name, user, pid, since = rows[0]
    return f"{name} (role {user}, server process {pid}, since {since})"
