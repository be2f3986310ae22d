# SPDX-License-Identifier: GPL-3.0-or-later
"""Throws broken dumps at the reader: it may read them or reject them, and nothing else, however the bytes arrive.

python tests/fuzz/reader.py --seconds 20            random mutations of a real dump
python tests/fuzz/reader.py --atheris CORPUS        guided by coverage, where atheris is installed
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent.parent
for entry in (ROOT, ROOT / "collections"):
    if str(entry) not in sys.path:
        sys.path.insert(0, str(entry))

from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.checksum import crc32
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.data import plain_range
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.judge import judge
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.model import (
    Dump,
    DumpRejected,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.dump.script import Rows

from tests.unit.plugins.module_utils.postgres.given import SCHOOL, events, in_chunks

CHUNKS = (5, 61, 1021)
LONGEST_SECONDS = 20
MOST_MUTATIONS = 6
#: Bytes that mean something to psql or to COPY.
MEANINGFUL = (
    b"'", b'"', b"$", b"$$", b"$a$", b";", b"\\", b"\\.", b"\n\\.\n", b"\n\\.\r\n", b"\\\n", b"--", b"/*", b"*/",
    b"(", b")", b"E'", b"begin atomic ", b" end", b" case ", b"\0", b"\r", b"\xff", b"\n", b"COPY t FROM stdin;\n",
    b"COPY t (a) FROM", b"SET standard_conforming_strings = off;", b"SET client_encoding = 'LATIN1';",
    b"INSERT INTO t VALUES (1);", b"INSERT", b"CREATE TABLE ", b"CREATE FUNCTION f() ",
    b"ALTER TABLE t ADD CONSTRAINT", b"GRANT ", b"COMMENT ON ", b"SELECT ", b"ALTER ", b"DROP ", b"SET ",
    b"SET SESSION AUTHORIZATION x;", b"RESET SESSION AUTHORIZATION;", b"CREATE POLICY p ON t TO ",
    b"ALTER DEFAULT PRIVILEGES ", b"\\restrict x\n", b"\\unrestrict KEY\n", b"\\connect x\n",
    b"-- PostgreSQL database dump\n", b"\n-- PostgreSQL database dump complete\n",
    b"-- Started on 2026-01-01 00:00:00\n", b"-- Started on 2026-99-99 99:99:99\n",
)  # fmt: skip


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A dump with some bytes changed, put in, taken out, doubled or cut off."""
    for _round in range(chance.randint(1, MOST_MUTATIONS)):
        at, to = sorted((chance.randint(0, len(content)), chance.randint(0, len(content))))
        to = min(to, at + 2 ** chance.randint(0, 12))
        how = chance.randrange(6)
        if how == 0 and content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
        elif how == 1:
            content = content[:at] + content[to:]
        elif how == 2:
            content = content[:to] + content[at:to] + content[to:]
        elif how == 3 and chance.random() < 0.2:
            content = content[:at]
        else:
            content = content[:at] + chance.choice(MEANINGFUL) + content[at:]
    return content


def outcome(content: bytes, size: int) -> object:
    """All that the reader says, or why it rejects."""
    try:
        return events(in_chunks(content, size))
    except DumpRejected as rejected:
        return rejected.code, rejected.msg


def check(content: bytes, folder: Path) -> Dump | None:
    """The law; whatever else is raised, or takes too long, is a defect."""
    whole = outcome(content, len(content) + 1)
    for size in CHUNKS:
        if outcome(content, size) != whole:
            raise AssertionError(f"in chunks of {size} the reader says something else")
    path = folder / "dump.sql"
    path.write_bytes(content)
    try:
        dump = judge(str(path))
    except DumpRejected:
        return None
    if dump.format.kind == "plain" and not dump.format.layers:
        for item in dump.script:
            if isinstance(item, Rows):
                data = b"".join(plain_range(str(path), item.begin, item.end))
                if crc32(data) != item.checksum:
                    raise AssertionError(f"the data of {item.table} are not where the judge says")
    return dump


def at_random(seconds: float, seed: int, folder: Path) -> tuple[int, int]:
    """How many dumps were tried, and how many of them were accepted."""
    deadline = time.monotonic() + seconds
    tried = accepted = 0
    while time.monotonic() < deadline:
        content = mutated(SCHOOL, random.Random(f"{seed}.{tried}"))
        signal.alarm(LONGEST_SECONDS)
        try:
            accepted += check(content, folder) is not None
        except BaseException:
            failed = Path(f"failed-{seed}.{tried}.sql")
            failed.write_bytes(content)
            print(f"The dump that broke the law is {failed}.", file=sys.stderr)
            raise
        finally:
            signal.alarm(0)
        tried += 1
    return tried, accepted


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise AssertionError(f"the reader took more than {LONGEST_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", metavar="CORPUS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.atheris:
            import atheris

            atheris.instrument_all()
            atheris.Setup([sys.argv[0], options.atheris], lambda content: check(content, folder) and None)
            atheris.Fuzz()
            return
        signal.signal(signal.SIGALRM, _too_long)
        tried, accepted = at_random(options.seconds, options.seed, folder)
    print(f"{tried} dumps tried, {accepted} accepted; the reader kept the law.")


if __name__ == "__main__":
    main()
