# SPDX-License-Identifier: GPL-3.0-or-later
"""Lints the pending migrations: Squawk's rules and our own, as severe as the tables they touch are large."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._postgres.connect import Session
from .._postgres.dump.statements import Name
from . import rules
from .catalogue import Relation, Target, read_target
from .change import Change, change_of
from .files import Migration
from .rules import Found
from .script import Part, Unreadable, parts_of
from .squawk import PASSED_OVER, Linter

ERROR, WARNING = "error", "warning"
UNREADABLE = "unreadable"
BAD_ESCAPE, UNUSED_ESCAPE = "escape-without-reason", "unused-escape"

# These stop the migration, or hurt, whatever the table's size.
_ALWAYS = {
    "syntax-error", UNREADABLE, BAD_ESCAPE, "ban-drop-database", "ban-uncommitted-transaction", rules.NON_IMMUTABLE,
    rules.ABSENT_TABLE, rules.ABSENT_EXTENSION, rules.ABSENT_TYPE, rules.CONCURRENTLY,
    "ban-concurrent-index-creation-in-transaction",
}  # fmt: skip
# These fail, or lose something, as soon as there is a row.
_WITH_ROWS = {
    "adding-required-field", "adding-not-nullable-field", "ban-drop-table", "ban-drop-column", "ban-truncate-cascade",
    "changing-column-type", "renaming-table", "renaming-column",
}  # fmt: skip
# The same in Squawk's words and in ours; ours knows what stands in the file.
_OURS_INSTEAD = {"ban-concurrent-index-creation-in-transaction"}
_ESCAPE = re.compile(r"--\s*lint:\s*(.*)", re.IGNORECASE)
_ALLOW = re.compile(r"allow\s+([\w-]+)(?:\s+because\s+(\S.*?))?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """From when on a table is large."""

    rows: int = 100_000
    bytes: int = 100_000_000

    def large(self, relation: Relation) -> bool:
        return relation.rows >= self.rows or relation.bytes >= self.bytes


@dataclass(frozen=True)
class Finding:
    """Something that a linter has to say about one statement."""

    migration: str
    line: int
    rule: str
    severity: str
    message: str
    help: str
    statement: str
    table: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Escape:
    """A finding that somebody allows in the file itself."""

    migration: str
    line: int
    rule: str
    reason: str
    #: The lines of the statement that it stands before.
    lines: tuple[int, int]


@dataclass(frozen=True)
class Linted:
    findings: tuple[Finding, ...]
    allowed: tuple[Escape, ...]

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == ERROR]

    def as_result(self) -> dict[str, Any]:
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "allowed": [
                {"migration": each.migration, "line": each.line, "rule": each.rule, "reason": each.reason}
                for each in self.allowed
            ],
        }


@dataclass(frozen=True)
class _Script:
    migration: Migration
    parts: tuple[tuple[Part, Change], ...]
    trailing: tuple[tuple[int, str], ...] = ()
    broken: Unreadable | None = None

    @property
    def alone(self) -> bool:
        return len(self.parts) == 1

    def at(self, line: int) -> tuple[Part, Change] | None:
        return next((each for each in self.parts if each[0].first <= line <= each[0].last), None)


def lint(
    pending: Sequence[Migration],
    session: Session,
    schema: str,
    limits: Limits,
    squawk: Linter | None,
    passed_over: Iterable[str] = PASSED_OVER,
    own: bool = True,
) -> Linted:
    """Read the pending migrations one after the other, against the database as each of them will find it.

    :param squawk: None to do without.
    """
    scripts = [_read(migration, schema) for migration in pending]
    called = {name for script in scripts for _part, change in script.parts for name in rules.functions_in(change)}
    target = read_target(session, called)
    skipped = set(passed_over)
    findings: list[Finding] = []
    allowed: list[Escape] = []
    for script in scripts:
        sizes = dict(target.relations)
        found = list(_own(script, target, own))
        if squawk is not None and script.broken is None:
            found += _squawks(script, squawk, target.version, own, skipped)
        one = [_weighed(script, line, what, Target(relations=sizes), limits) for line, what in found]
        escapes, bad = _escapes(script)
        kept, used = _without(one, escapes)
        findings += [*kept, *bad]
        if squawk is not None and own:
            findings += _unused(script, escapes, used)
        allowed += used
    return Linted(tuple(sorted(findings, key=lambda each: (each.migration, each.line))), tuple(allowed))


def _read(migration: Migration, schema: str) -> _Script:
    try:
        parts, trailing = parts_of(migration.sql or "")
    except Unreadable as error:
        return _Script(migration, (), (), error)
    return _Script(migration, tuple((part, change_of(part.tokens, schema)) for part in parts), tuple(trailing))


def _own(script: _Script, target: Target, own: bool) -> Iterator[tuple[int, Found]]:
    """Also brings the target to where this migration leaves it."""
    if script.broken is not None:
        yield (
            script.broken.line,
            Found(UNREADABLE, script.broken.msg, "Mend the file; the server would stop there too."),
        )
    for part, change in script.parts:
        if own:
            for found in rules.against(target, part, change, script.alone):
                yield part.first, found
        rules.then(target, change)


def _squawks(
    script: _Script, squawk: Linter, version: int, own: bool, skipped: set[str]
) -> Iterator[tuple[int, Found]]:
    # PostgreSQL runs the statements of one call as one transaction.
    complaints = squawk.complaints(script.migration.name, script.migration.sql or "", version, not script.alone)
    for complaint in complaints:
        if complaint.rule in skipped or (own and complaint.rule in _OURS_INSTEAD):
            continue
        yield complaint.line, Found(complaint.rule, complaint.message, complaint.help)


def _weighed(script: _Script, line: int, found: Found, before: Target, limits: Limits) -> Finding:
    """The finding, as severe as it is for the tables of its statement as they are now."""
    at = script.at(line)
    part, change = at if at is not None else (None, None)
    tables = [change.table] if change is not None and change.table is not None else []
    tables += [name for kind, name in (change.drops if change is not None else []) if kind == "table"]
    name, relation = rules.size_of(before, tables)
    return Finding(
        script.migration.name,
        line,
        found.rule,
        _severity(found.rule, name, relation, limits),
        found.message,
        found.help,
        part.shown if part is not None else "",
        str(name) if name is not None else None,
        relation.rows if name is not None else None,
    )


def _severity(rule: str, name: Name | None, relation: Relation, limits: Limits) -> str:
    if rule in _ALWAYS:
        return ERROR
    if name is None:
        # A new table: nobody uses it yet, and nothing is in it.
        return WARNING
    if rule in _WITH_ROWS and relation.rows > 0:
        return ERROR
    return ERROR if limits.large(relation) else WARNING


# -- escapes ---------------------------------------------------------------------------------------------------------


def _escapes(script: _Script) -> tuple[list[Escape], list[Finding]]:
    escapes: list[Escape] = []
    bad: list[Finding] = []
    places = [(part.comments, (part.first, part.last)) for part, _change in script.parts]
    for comments, lines in [*places, (script.trailing, (0, -1))]:
        for line, text in comments:
            asked = _ESCAPE.match(text)
            if asked is None:
                continue
            allow = _ALLOW.fullmatch(asked.group(1))
            if allow is None or not allow.group(2):
                bad.append(
                    Finding(
                        script.migration.name,
                        line,
                        BAD_ESCAPE,
                        ERROR,
                        "This escape is refused: it does not name a rule and a reason.",
                        "Write it as: -- lint: allow <rule> because <reason>",
                        " ".join(text.split()),
                    )
                )
            else:
                escapes.append(Escape(script.migration.name, line, allow.group(1).lower(), allow.group(2), lines))
    return escapes, bad


def _without(findings: Iterable[Finding], escapes: Sequence[Escape]) -> tuple[list[Finding], list[Escape]]:
    kept: list[Finding] = []
    used: list[Escape] = []
    for finding in findings:
        escape = next((each for each in escapes if _covers(each, finding)), None)
        if escape is None:
            kept.append(finding)
        elif escape not in used:
            used.append(escape)
    return kept, used


def _covers(escape: Escape, finding: Finding) -> bool:
    first, last = escape.lines
    return escape.rule == finding.rule and first <= finding.line <= last


def _unused(script: _Script, escapes: Sequence[Escape], used: Sequence[Escape]) -> Iterator[Finding]:
    for escape in escapes:
        if escape not in used:
            yield Finding(
                script.migration.name,
                escape.line,
                UNUSED_ESCAPE,
                WARNING,
                f"This escape allows {escape.rule}, which nobody has found in the statement behind it.",
                "Delete it, or see whether it stands before the right statement.",
                "",
            )
