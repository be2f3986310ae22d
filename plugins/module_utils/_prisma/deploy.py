# SPDX-License-Identifier: GPL-3.0-or-later
"""``prisma migrate deploy``: what stands in its way is seen before, and what it did is read from the table after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .._errors import PlatformError
from .._hangup import HungUp
from .._postgres.connect import ServerError, Session
from .codes import explain
from .files import Folder
from .runner import Done, OneOff, Runner
from .script import Unreadable, parts_of
from .status import FAILED, Status, status_of
from .table import History, lock_holder, read_history

_TAIL = 4000


@dataclass(frozen=True)
class Wish:
    """How a deploy is to be made.

    :param dump: the dump from before, for messages.
    :param restore_command: how it is restored, for messages.
    """

    schema: str
    generate: bool = False
    dump: str = ""
    restore_command: str = ""


@dataclass
class Outcome:
    """What is known of a deploy, at any moment of it."""

    before: History
    status: Status
    changed: bool = False
    plan: list[dict[str, Any]] = field(default_factory=list)
    applied: list[dict[str, Any]] = field(default_factory=list)
    head_after: str | None = None
    seconds: float = 0.0
    output: str = ""
    generated: bool | None = None
    notes: list[str] = field(default_factory=list)
    explained: dict[str, Any] | None = None

    def as_result(self) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "plan": self.plan,
            "applied": self.applied,
            "head_before": self.before.head,
            "head_after": self.head_after,
            "seconds": round(self.seconds, 1),
            "output": self.output,
            "generated": self.generated,
            "notes": self.notes,
            "failure": self.explained,
            **self.status.as_result(),
        }


def plan_of(folder: Folder, status: Status) -> list[dict[str, Any]]:
    """What a deploy would apply."""
    found = []
    for name in status.pending:
        migration = folder.find(name)
        try:
            statements: int | None = len(parts_of((migration.sql if migration else None) or "")[0])
        except Unreadable:
            statements = None
        found.append({"name": name, "statements": statements})
    return found


def deploy(session: Session, folder: Folder, runner: Runner, wish: Wish, check: bool = False) -> Outcome:
    """Apply what is pending.

    :raises PlatformError: when it cannot begin, or did not end well; the details hold the outcome.
    """
    before = read_history(session, wish.schema)
    status = status_of(folder, before)
    outcome = Outcome(before, status, plan=plan_of(folder, status), head_after=before.head)
    _refuse(session, status, outcome)
    if not status.pending:
        # Whoever applied them may have been interrupted before this.
        if wish.generate and not check:
            _generate(runner, outcome)
        return outcome
    if isinstance(runner, OneOff):
        _clear(runner, outcome, check)
    outcome.changed = True
    if check:
        return outcome
    try:
        done = runner.prisma("migrate", "deploy")
        outcome.seconds, outcome.output = done.seconds, done.output[-_TAIL:]
        after = read_history(session, wish.schema)
    except (HungUp, ServerError) as error:
        cause = error.as_error() if isinstance(error, HungUp) else error
        raise PlatformError(
            f"{cause.msg} How far the migrations came is not known. {_way_back(wish)}",
            "Look with state=checked before anything else.",
            **outcome.as_result(),
        ) from None
    outcome.status = status_of(folder, after)
    outcome.head_after = after.head
    outcome.applied = [
        {"name": row.name, "seconds": row.seconds}
        for row in after.rows
        if row.applied and row.name not in before.applied
    ]
    outcome.changed = after.rows != before.rows
    _judge(done, outcome, wish)
    if wish.generate:
        _generate(runner, outcome)
    return outcome


def _refuse(session: Session, status: Status, outcome: Outcome) -> None:
    """Stop at whatever would make Prisma stop, in words that help."""
    if status.blocking:
        first = status.blocking[0]
        logs = next((each.logs for each in status.migrations if each.name == first.name and each.logs), None)
        told = f" It was: {explain(logs)}" if logs and first.kind == FAILED else ""
        # The dump of this run was made after the failure, and would bring it back.
        raise PlatformError(f"Nothing was deployed. {first.problem}{told}", first.remedy, **outcome.as_result())
    holder = lock_holder(session)
    if holder is not None and status.pending:
        raise PlatformError(
            f"Nothing was deployed. Prisma's lock 72707369 in {session.database} is held by {holder}: another migration"
            " runs, or was killed and has left its session behind (P1002).",
            "Wait for it. If it is dead for certain, remove its container, or end the session with SELECT"
            f" pg_terminate_backend({holder.pid}).",
            **outcome.as_result(),
            lock={"pid": holder.pid, "application": holder.application, "client": holder.client, "since": holder.since},
        )


def _clear(runner: OneOff, outcome: Outcome, check: bool) -> None:
    """Containers of earlier migrations: a running one may be at work, a dead one is only in the way."""
    for one in runner.leftovers():
        if one.state == "running":
            raise PlatformError(
                f"Nothing was deployed. The container {one.name} of an earlier migration is still running"
                f" ({one.status}).",
                f"Wait for it. If it hangs: docker rm --force {one.name}",
                **outcome.as_result(),
            )
        outcome.notes.append(f"The container {one.name} of an earlier migration ({one.status}) is removed.")
        if not check:
            runner.remove(one.name)


def _judge(done: Done, outcome: Outcome, wish: Wish) -> None:
    """By the table, never by the exit status alone."""
    status = outcome.status
    failed = [each for each in status.migrations if each.state == FAILED]
    if not failed and not status.pending:
        if done.code != 0:
            outcome.notes.append(f"Prisma ended with {_ending(done)}, but the table says that everything was applied.")
        return
    logs = failed[0].logs if failed else None
    explained = explain(logs or done.output)
    outcome.explained = {
        "migration": failed[0].name if failed else None,
        "code": explained.code,
        "sqlstate": explained.sqlstate,
        "said": explained.said,
        "meaning": explained.meaning,
        "remedy": explained.remedy,
    }
    applied = [each["name"] for each in outcome.applied]
    stands = f"Applied before that: {', '.join(applied)}." if applied else "Nothing was applied before that."
    if failed:
        what = f"{failed[0].name} failed. {explained} {stands}"
    elif done.code is None:
        what = f"Prisma was ended after {done.seconds:.0f} s. {stands} Pending: {', '.join(status.pending)}."
    elif done.code == 0:
        what = (
            f"Prisma ended well and has not applied {', '.join(status.pending)}. {stands} Most likely it ran other code"
            " than the files that were looked at, or another database."
        )
    else:
        what = f"Prisma failed with {_ending(done)}. {explained} {stands}"
    remedy = " ".join(each for each in (explained.remedy, failed[0].remedy if failed else None) if each)
    raise PlatformError(f"{what} {_way_back(wish)}", remedy, **outcome.as_result())


def _ending(done: Done) -> str:
    return "no exit status, as it took too long" if done.code is None else f"exit status {done.code}"


def _way_back(wish: Wish) -> str:
    if not wish.dump:
        return "No dump from before is known."
    how = f", restored by: {wish.restore_command}" if wish.restore_command else ""
    return f"The dump from before is {wish.dump}{how}."


def _generate(runner: Runner, outcome: Outcome) -> None:
    done = runner.prisma("generate")
    outcome.generated = done.code == 0
    outcome.seconds += done.seconds
    if not outcome.generated:
        outcome.output = done.output[-_TAIL:]
        raise PlatformError(
            f"The migrations are applied. 'prisma generate' failed with {_ending(done)}:"
            f" {(done.output.strip().splitlines() or ['it said nothing'])[-1]}",
            "Mend what it says and run it again; the database needs nothing.",
            **outcome.as_result(),
        )
