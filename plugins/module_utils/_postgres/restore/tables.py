# SPDX-License-Identifier: GPL-3.0-or-later
"""The stored tables of a database, looked at one by one, on several connections at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

from ..connect import ServerError, Session, quote
from .crew import Crew
from .schedule import Hold, Task

#: Opens one more session like the one at hand.
Connect = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Table:
    """A table that holds rows of its own, or a partitioned one, whose rows are those of its partitions."""

    schema: str
    name: str
    partitioned: bool
    #: Its policies hide rows from its owner too.
    forced: bool
    #: It came with an extension, with rows that no dump holds.
    of_extension: bool

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"

    @contextmanager
    def whole(self, session: Session) -> Iterator[None]:
        """A transaction, rolled back at the end, in which no policy hides a row: what would hide one is an error."""
        session.run("BEGIN")
        try:
            session.run("SET LOCAL row_security TO off")
            if self.forced:
                session.run(f"ALTER TABLE {self.sql} NO FORCE ROW LEVEL SECURITY")
            yield
        finally:
            with suppress(ServerError):
                # In bytes, as the client's encoding may now be one that Python does not know.
                session.run(b"ROLLBACK")

    def rows(self, session: Session) -> int:
        with self.whole(session):
            return int(session.value(f"SELECT count(*) FROM {'' if self.partitioned else 'ONLY '}{self.sql}"))


def stored_tables(session: Session, roots: Collection[str]) -> list[Table]:
    """Every table of the connected database that is not PostgreSQL's own.

    :param roots: partitioned tables among these (``schema.name``) are listed too.
    """
    found = session.rows(
        "SELECT n.nspname, c.relname, c.relkind = 'p', c.relrowsecurity AND c.relforcerowsecurity,"
        " EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%' ORDER BY 1, 2"
    )
    tables = [Table(*row) for row in found]
    return [table for table in tables if not table.partitioned or str(table) in roots]


def count_rows(
    session: Session, roots: Collection[str], connect: Connect | None = None, jobs: int = 1
) -> dict[str, int]:
    """Rows by table (``schema.name``) of the connected database; partitions count for themselves.

    :param roots: what the dump holds data of; partitioned tables are counted too, with all their partitions, and
        tables of extensions only then, as not everybody may read them.
    """
    tables = {
        str(table): table for table in stored_tables(session, roots) if str(table) in roots or not table.of_extension
    }
    counts = dict.fromkeys(tables, 0)
    sizes = {
        f"{schema}.{name}": float(pages)
        for schema, name, pages in session.rows(
            "SELECT n.nspname, c.relname, pg_relation_size(c.oid) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
        )
    } if connect is not None else {}  # fmt: skip

    def count(worker: Session, name: str) -> None:
        counts[name] = tables[name].rows(worker)

    in_parallel(session, connect, jobs, {name: sizes.get(name, 0.0) for name in tables}, count)
    return counts


def in_parallel(
    session: Session,
    connect: Connect | None,
    jobs: int,
    sizes: Mapping[str, float],
    work: Callable[[Session, str], None],
) -> None:
    """Work on each of these names, the largest first; the first error stops all.

    :param connect: without it, the one session does everything.
    """
    if connect is None:
        for name in sizes:
            work(session, name)
        return
    with ExitStack() as opened:
        crew = Crew(session, lambda: opened.enter_context(connect()), jobs)
        tasks = [Task(name, name, Hold.BUILD, size) for name, size in sizes.items()]
        crew.run(tasks, lambda worker, task, _board: work(worker, task.label))
