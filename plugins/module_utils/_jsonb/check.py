# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the documents of columns in one moment of a database, by several processes when there are many."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from .._errors import PlatformError
from .._postgres.connect import Server, ServerError, Session
from .._progress import Progress
from .column import Column, Sample, Wanted, find_column
from .judge import Judge, Tally
from .schema import Schema, SchemaRefused

# Below this, another process costs more than it helps.
_WORTH_A_PROCESS = 4096
_REPORT_EVERY = 20_000
_LOCK_TIMEOUT = 10
_IN_MESSAGE = 3
PASSED, SAMPLE_PASSED, NO_WORSE, FAILED = "passed", "sample_passed", "no_worse", "failed"
COULD_NOT_CHECK = "could_not_check"


@dataclass(frozen=True)
class Options:
    """How columns are judged."""

    database: str
    jobs: int
    sample: Sample | None
    max_offenders: int
    statement_timeout: float
    #: A former result, by table and column.
    baseline: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A column that cannot be judged, as it was given, and why."""

    table: str
    column: str
    reason: str


@dataclass
class Judged:
    """What became of a column."""

    column: Column
    tally: Tally = field(default_factory=Tally)
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Task:
    column: int
    query: str


def check_columns(
    server: Server, options: Options, wanted: Sequence[Wanted | Refused], progress: Progress
) -> list[dict[str, Any]]:
    """The result of each column, in the order in which they were given."""
    with server.connect(options.database, "jsonb") as holder:
        holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = str(holder.value("SELECT pg_export_snapshot()"))
        reader = _Reader(server, options, snapshot)
        with reader:
            found = [_find(reader, one, options) for one in wanted]
            version = reader.version
        judged = {place: Judged(one) for place, one in enumerate(found) if isinstance(one, Column)}
        tasks = [_Task(place, query) for place, one in judged.items() for query in one.column.pieces(version)]
        progress.begin("documents", sum(one.column.estimate for one in judged.values()), "documents")
        _read(reader, judged, tasks, options, progress)
    return [
        _as_refused(one) if isinstance(one, Refused) else _as_result(judged[place], options)
        for place, one in enumerate(found)
    ]


def _find(reader: _Reader, wanted: Wanted | Refused, options: Options) -> Column | Refused:
    if isinstance(wanted, Refused):
        return wanted
    try:
        with reader.transaction() as session:
            return find_column(session, wanted, options.sample)
    except PlatformError as error:
        return Refused(wanted.table, wanted.column, str(error))


def _read(
    reader: _Reader, judged: dict[int, Judged], tasks: Sequence[_Task], options: Options, progress: Progress
) -> None:
    pages = sum(one.column.pages for one in judged.values())
    jobs = min(options.jobs, len(tasks), max(1, pages // _WORTH_A_PROCESS + 1))
    work = _Work(reader, {place: one.column for place, one in judged.items()}, tasks, options)

    def take(place: int, tally: Tally, reason: str, seconds: float) -> None:
        one = judged[place]
        one.tally.add(tally, options.max_offenders)
        one.reason = one.reason or reason
        one.seconds += seconds
        progress.add(tally.rows)

    if jobs <= 1:
        for tally in work.do(range(len(tasks))):
            take(*tally)
    else:
        _by_processes(work, jobs, tasks, take)


class _Reader:
    """Reads in the exported moment, by a session that is made when it is needed, and anew after an error."""

    def __init__(self, server: Server, options: Options, snapshot: str) -> None:
        self._server = server
        self._options = options
        self._snapshot = snapshot
        self._session: Session | None = None
        self.version = 0

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_error: object) -> None:
        self.forget()

    def forget(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """The session in the exported moment, in which nothing can be written."""
        session = self._session = self._session or self._open()
        try:
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            session.run(f"SET TRANSACTION SNAPSHOT '{self._snapshot}'")
            yield session
            session.run("COMMIT")
        except BaseException:
            self.forget()
            raise

    def _open(self) -> Session:
        session = self._server.open(self._options.database, "jsonb")
        self.version = session.server_version
        for setting in (
            "default_transaction_read_only TO on",
            # What row security hides would be left out in silence; now it is an error.
            "row_security TO off",
            f"statement_timeout TO {int(self._options.statement_timeout * 1000)}",
            f"lock_timeout TO '{_LOCK_TIMEOUT}s'",
        ):
            session.run(f"SET {setting}")
        return session


class _Work:
    """The pieces of all columns, each of which can be judged by any process."""

    def __init__(
        self, reader: _Reader, columns: Mapping[int, Column], tasks: Sequence[_Task], options: Options
    ) -> None:
        self._reader = reader
        self._columns = columns
        self._tasks = tasks
        self._most = options.max_offenders
        self._old = {place: _known(options, column.wanted) for place, column in columns.items()}

    def do(self, numbers: Sequence[int]) -> Iterator[tuple[int, Tally, str, float]]:
        """What each piece holds, told more than once for a long one, with the reason when it could not be judged."""
        judges: dict[int, Judge] = {}
        with self._reader:
            for number in numbers:
                task = self._tasks[number]
                judge = judges.get(task.column) or self._judge(task.column)
                judges[task.column] = judge
                began = time.monotonic()
                try:
                    with self._reader.transaction() as session:
                        tally = Tally()
                        for piece in session.copy_out(task.query.encode()):
                            tally.add(judge.judge(piece), self._most)
                            if tally.rows >= _REPORT_EVERY:
                                yield task.column, tally, "", time.monotonic() - began
                                tally, began = Tally(), time.monotonic()
                    yield task.column, tally, "", time.monotonic() - began
                except (SchemaRefused, ServerError) as error:
                    yield task.column, Tally(), _explained(error), time.monotonic() - began

    def _judge(self, place: int) -> Judge:
        column = self._columns[place]
        return Judge(
            column.wanted.schema,
            nullable=column.wanted.nullable,
            is_text_json=column.is_text_json,
            old=self._old[place],
            most=self._most,
        )


def _explained(error: PlatformError) -> str:
    state = getattr(error, "sqlstate", None)
    hint = {
        "57014": "It took longer than statement_timeout: raise that, or take a sample.",
        "55P03": "Somebody holds a lock on the table, a migration perhaps: wait for its end.",
        "42501": "GRANT SELECT ON the table TO the role that connects, or use another.",
    }.get(str(state))
    return f"{error.msg} {hint}" if hint else str(error)


def _known(options: Options, wanted: Wanted) -> frozenset[str]:
    former = options.baseline.get((wanted.table, wanted.column), {})
    return frozenset(str(one["id"]) for one in former.get("offenders", ()))


# -- several processes -------------------------------------------------------------------------------------------------


def _by_processes(work: _Work, jobs: int, tasks: Sequence[_Task], take: Any) -> None:
    # A forked process has the schemas as they are; a fresh one could not even find this module in Ansible's archive.
    context = multiprocessing.get_context("fork")
    children: list[tuple[Any, Connection, list[int]]] = []
    try:
        for number in range(jobs):
            mine = list(range(number, len(tasks), jobs))
            ours, theirs = context.Pipe(duplex=False)
            child = context.Process(target=_child, args=(work, mine, ours, theirs, os.getpid()), daemon=True)
            child.start()
            theirs.close()
            children.append((child, ours, mine))
        finished = _collect({ours: mine for _child_process, ours, mine in children}, take)
    finally:
        for child, ours, _mine in children:
            child.terminate()
            child.join()
            ours.close()
    for _child_process, ours, mine in children:
        if ours not in finished:
            for place in sorted({tasks[number].column for number in mine}):
                take(place, Tally(), "a process that read it died, of too little memory perhaps: lower jobs", 0.0)


def _collect(pipes: dict[Connection, list[int]], take: Any) -> set[Connection]:
    """Hand on what the processes say; those that said that they are through."""
    finished: set[Connection] = set()
    open_pipes = set(pipes)
    while open_pipes:
        for pipe in wait(list(open_pipes)):
            if not isinstance(pipe, Connection):
                continue
            try:
                said = pipe.recv()
            except EOFError:
                open_pipes.discard(pipe)
                continue
            if said is None:
                finished.add(pipe)
            else:
                take(*said)
    return finished


def _child(work: _Work, numbers: Sequence[int], ours: Connection, theirs: Connection, parent: int) -> None:
    # What the parent does when it is told to end is not this process's business.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    ours.close()
    with suppress(BrokenPipeError):
        for told in work.do(numbers):
            if os.getppid() != parent:
                return
            theirs.send(told)
        theirs.send(None)


# -- results -----------------------------------------------------------------------------------------------------------


def _as_refused(refused: Refused) -> dict[str, Any]:
    return {
        "table": refused.table,
        "column": refused.column,
        "outcome": COULD_NOT_CHECK,
        "reason": refused.reason,
        **_figures(Tally(), 0.0),
        "rows_estimated": False,
        "sampled": False,
    }


def _as_result(judged: Judged, options: Options) -> dict[str, Any]:
    column, tally = judged.column, judged.tally
    outcome, new, reason = _outcome(judged, options)
    figures = _figures(tally, judged.seconds)
    estimated = column.sampled and not column.counted
    return {
        "table": column.wanted.table,
        "column": column.wanted.column,
        "outcome": outcome,
        "reason": reason,
        **figures,
        "new_invalid": new,
        "offenders": tally.offenders if new else [],
        "rows": column.estimate if column.sampled else tally.rows,
        "rows_estimated": estimated,
        "sampled": column.sampled,
    }


def _figures(tally: Tally, seconds: float) -> dict[str, Any]:
    return {
        "rows": tally.rows,
        "checked": tally.checked,
        "null": tally.null,
        "invalid": tally.invalid,
        "new_invalid": tally.new,
        "offenders": tally.offenders,
        "offenders_digest": f"{tally.invalid}:{tally.digest:016x}",
        "seconds": round(seconds, 3),
        "rows_per_second": round(tally.rows / seconds) if seconds > 0 else None,
    }


def _outcome(judged: Judged, options: Options) -> tuple[str, int, str]:
    """How it ended, how many offenders are new, and why."""
    wanted, tally = judged.column.wanted, judged.tally
    if judged.reason:
        return COULD_NOT_CHECK, tally.new, judged.reason
    part = "of the sample " if judged.column.sampled else ""
    if not tally.invalid:
        reason = f"a sample of {_documents(tally.checked)}; the others were not looked at" if part else ""
        return SAMPLE_PASSED if part else PASSED, 0, reason
    return beside(options.baseline.get((wanted.table, wanted.column)), tally, part)


def beside(former: Mapping[str, Any] | None, tally: Tally, part: str) -> tuple[str, int, str]:
    """The same for documents that do not conform, beside what a former run has found."""
    if former is None or former.get("outcome") == COULD_NOT_CHECK:
        return (
            FAILED,
            tally.new,
            f"{tally.invalid} of {_documents(tally.checked)} {part}{_do(tally.invalid)} not conform",
        )
    if former.get("offenders_digest") == _figures(tally, 0.0)["offenders_digest"]:
        return NO_WORSE, 0, f"the same {_documents(tally.invalid)} as before {_do(tally.invalid)} not conform"
    if not tally.new:
        return NO_WORSE, 0, f"{_documents(tally.invalid)} that did not conform before still {_do(tally.invalid)} not"
    new = f"{_documents(tally.new)} {part}{_do(tally.new)}"
    if former.get("sampled"):
        reason = f"{new} not conform that the former result does not name"
        return FAILED, tally.new, f"{reason}; that was a sample, so that they may have been there before"
    untold = int(former.get("invalid", 0)) - len(former.get("offenders", ()))
    doubt = f"; the former result does not name {untold} of its own, which may be among them" if untold > 0 else ""
    return FAILED, tally.new, f"{new} not conform that did before{doubt}"


def _documents(number: int) -> str:
    return f"{number} document{'' if number == 1 else 's'}"


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def wanted_of(entry: Mapping[str, Any], schema: Any, *, show_values: bool) -> Wanted | Refused:
    """What an entry of the options asks for; a schema that is none is told with the others' results."""
    nullable = entry.get("nullable")
    try:
        return Wanted(
            table=entry["table"],
            column=entry["column"],
            schema=Schema(schema, show_values=show_values),
            ids=tuple(entry.get("id") or ()),
            where=(entry.get("where") or "").strip(),
            nullable=True if nullable is None else nullable,
        )
    except SchemaRefused as error:
        return Refused(entry["table"], entry["column"], str(error))


def verdict_of(columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The module's result, whose sentence says no more than was proved."""
    by_outcome = {
        outcome: [one for one in columns if one["outcome"] == outcome]
        for outcome in (COULD_NOT_CHECK, FAILED, NO_WORSE, SAMPLE_PASSED, PASSED)
    }
    parts = [_complaint(one) for outcome in (COULD_NOT_CHECK, FAILED) for one in by_outcome[outcome]]
    parts += [f"{one['table']}.{one['column']}: {one['reason']}." for one in by_outcome[NO_WORSE]]
    if sampled := by_outcome[SAMPLE_PASSED]:
        judged = sum(one["checked"] for one in sampled)
        parts.append(f"{_columns(sampled)}: nothing wrong in a sample of {judged} documents; the others are unknown.")
    if passed := by_outcome[PASSED]:
        verb = "conforms" if len(passed) == 1 else "conform"
        parts.append(f"{_columns(passed)} {verb}, {sum(one['checked'] for one in passed)} documents.")
    return {"msg": " ".join(parts), "passed": len(passed) == len(columns), "columns": list(columns)}


def _complaint(column: Mapping[str, Any]) -> str:
    name, reason = f"{column['table']}.{column['column']}", column["reason"].rstrip(".")
    if column["outcome"] == COULD_NOT_CHECK:
        return f"{name} could not be checked: {reason}."
    named = [f"{one['id']} at {one['path']} {one['message']}" for one in column["offenders"][:_IN_MESSAGE]]
    return f"{name}: {reason}: {'; '.join(named)}."


def _columns(columns: Sequence[Mapping[str, Any]]) -> str:
    return f"{len(columns)} column{'' if len(columns) == 1 else 's'}"
