# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that tells why a build failed, in logs of all kinds; and what is new in a log that grows."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.build_log import (
    LONGEST_LINE,
    failing_line,
    lines_of,
    new_lines,
)

from tests.contract.captured import body_of

LAST_WORDS = "\nError occurred ❌, check the logs for details.\n"


@pytest.mark.parametrize(
    ("capture", "line"),
    [
        ("12-deployment.readLogs-sourceless", "Error: ❌ Github Provider not found"),
        (
            "32-deployment.readLogs-failure",
            "The command '/bin/sh -c echo compiling && false' returned a non-zero code: 1",
        ),
        (
            "52-readLogs-missing-image",
            "Error response from daemon: manifest for 127.0.0.1:5000/lab/api:nosuchtag not found",
        ),
        (
            "84-readLogs-invalid-yaml",
            "❌ Has occurred an error: Flow sequence in block collection must be sufficiently",
        ),
        ("c3-readLogs-badbranch", "fatal: Remote branch nosuch not found in upstream origin"),
    ],
)
def test_captured_logs(capture: str, line: str) -> None:
    assert str(failing_line(lines_of(body_of(capture)))).startswith(line)


BUILDKIT = """\
#10 [build 4/6] RUN pnpm install --frozen-lockfile
#10 3.211 Lockfile is up to date, resolution step is skipped
#10 CACHED
#12 [build 6/6] RUN pnpm --filter api build
#12 0.812 > api@1.4.0 build /app/apps/api
#12 0.812 > nest build
#12 9.402 src/main.ts:12:5 - error TS2322: Type 'string' is not assignable to type 'number'.
#12 9.402 12     const port: number = 'x';
#12 9.402 Found 1 error(s).
#12 9.611  ELIFECYCLE  Command failed with exit code 1.
#12 ERROR: process "/bin/sh -c pnpm --filter api build" did not complete successfully: exit code: 1
------
 > [build 6/6] RUN pnpm --filter api build:
------
ERROR: failed to solve: process "/bin/sh -c pnpm --filter api build" did not complete successfully: exit code: 1
❌ Docker build failed
"""
PRISMA = """\
> prisma migrate deploy
Environment variables loaded from .env
Prisma schema loaded from prisma/schema.prisma
Error: P1001: Can't reach database server at `db:5432`
Please make sure your database server is running at `db:5432`.
The command '/bin/sh -c npx prisma migrate deploy' returned a non-zero code: 1
"""
NPM = """\
npm warn deprecated inflight@1.0.6: This module is not supported
npm error code ERESOLVE
npm error ERESOLVE unable to resolve dependency tree
npm error Found: react@19.0.0
npm error A complete log of this run can be found in: /root/.npm/_logs/debug.log
❌ Docker build failed
"""
NIXPACKS = """\
╔══════ Nixpacks v1.39.0 ══════╗
║ build      │ npm run build   ║
╚══════════════════════════════╝
#11 5.120 ./app/page.tsx:3:24
#11 5.120 Module not found: Can't resolve '@/lib/money'
#11 5.200 npm error Lifecycle script `build` failed with error:
Error: Docker build failed
"""
MODULE = """\
node:internal/modules/cjs/loader:1228
  throw err;
Error: Cannot find module '@nestjs/core'
Require stack:
"""
MEMORY = """\
<--- Last few GCs --->
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
Aborted (core dumped)
error Command failed with exit code 134.
"""
DISK = "writing layer\nfailed to copy: write /var/lib/docker/x: no space left on device\nERROR: failed to solve\n"
GIT = "Cloning into 'code'...\ngit@github.com: Permission denied (publickey).\nfatal: Could not read from remote\n"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (BUILDKIT, "src/main.ts:12:5 - error TS2322: Type 'string' is not assignable to type 'number'."),
        (PRISMA, "Error: P1001: Can't reach database server at `db:5432`"),
        (NPM, "npm error code ERESOLVE"),
        (NIXPACKS, "Module not found: Can't resolve '@/lib/money'"),
        (MODULE, "Error: Cannot find module '@nestjs/core'"),
        (MEMORY, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"),
        (DISK, "failed to copy: write /var/lib/docker/x: no space left on device"),
        (GIT, "git@github.com: Permission denied (publickey)."),
        ("a\nsomething odd", "something odd"),
        ("", None),
    ],
)
def test_logs_of_all_kinds(log: str, line: str | None) -> None:
    assert failing_line(lines_of(log + LAST_WORDS)) == line


def test_lines_are_as_a_terminal_shows_them_at_last() -> None:
    text = "remote: Counting  50%\rremote: Counting 100%, done.   \n\n\x1b[31mred\x1b[0m\ncontext  60.93kB\r\r\n"
    assert lines_of(text) == ["remote: Counting 100%, done.", "red", "context  60.93kB"]
    assert len(lines_of("x" * 5000)[0]) < LONGEST_LINE + 30


def test_secrets_do_not_show() -> None:
    text = (
        "DATABASE_URL=postgresql://u:p4ss@db/x\n-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nthe-key\n"
    )
    shown = "\n".join(lines_of(text, ("the-key",)))
    assert not any(secret in shown for secret in ("p4ss", "abc", "the-key"))


@pytest.mark.parametrize(
    ("seen", "lines", "new"),
    [
        ([], ["a", "b"], ["a", "b"]),
        (["a"], ["a", "b"], ["b"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "b", "c"], ["b", "c", "d"], ["d"]),
        (["x", "x"], ["x", "x", "x"], ["x"]),
        (["a"], ["y", "z"], ["y", "z"]),
        (["a"], [], []),
    ],
)
def test_what_is_new(seen: list[str], lines: list[str], new: list[str]) -> None:
    assert new_lines(seen, lines) == new
