# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load will do, in which order, on how many connections, and why: told from the dump alone.

1. *before*: what stands before the data, in the dump's order on one connection.
2. *tasks*: data, indexes, and statistics, side by side; an index is built as soon as its table is loaded.
3. *then*: what else stands behind the data, in the dump's order on one connection; foreign keys are not yet validated.
4. *finish*: foreign keys are validated and the last statistics gathered, side by side.
5. *last*: materialised views are filled, and event triggers made, which would fire on all of the above.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from ..connect import quote
from ..dump.model import Dump
from ..dump.reader import codec_of, in_utf8
from ..dump.script import Bulk, Item, Rows, Script, Step
from ..dump.statements import BULK_FUNCTIONS, Name, Phase, Token, target_table, tokens
from .costs import analyze_seconds, copy_seconds, index_seconds, validate_seconds, worth_a_program_each, worth_splitting
from .schedule import Hold, Task, seconds_for

PLAIN, ARCHIVE, STREAM = "plain", "archive", "stream"

#: The settings that a statement was written for, by the steps that made them.
Settings = tuple[Step, ...]

_FROM_STDIN = re.compile(rb"\sfrom\s+stdin\s*$", re.IGNORECASE)
_NAME = rb'(?:"(?:[^"]|"")+"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)'
_NAMES = rb"\(" + _NAME + rb"(?:, " + _NAME + rb")*\)"
# As pg_dump writes it; what looks different is run as it stands.
_UNIQUE = re.compile(
    rb"ALTER TABLE (?:ONLY )?(?P<table>" + _NAME + rb"(?:\." + _NAME + rb")?)\s+"
    rb"ADD CONSTRAINT (?P<name>" + _NAME + rb") (?P<kind>PRIMARY KEY|UNIQUE)(?P<nulls> NULLS NOT DISTINCT)?"
    rb" (?P<columns>" + _NAMES + rb")(?P<include> INCLUDE " + _NAMES + rb")?"
    rb"(?P<storage> WITH \([\w.]+='?[\w.]+'?(?:, [\w.]+='?[\w.]+'?)*\))?"
    rb"(?P<deferrable> DEFERRABLE(?: INITIALLY DEFERRED)?)?"
)
# Between the data of one table and the next, these change nothing that the data of another could see.
_HARMLESS = BULK_FUNCTIONS | {
    "set", "set_config", "setval", "begin", "commit", "comment on large", "alter large", "grant", "revoke",
}  # fmt: skip
_STATISTICS = ("pg_restore_", "pg_clear_")
_EVENT_TRIGGERS = {"event trigger", "alter event", "comment on event"}


@dataclass(frozen=True)
class Outstanding:
    """An index that was left out, to be built when the database serves again.

    :param statements: what builds it, and whatever in the dump depends on it, in order.
    :param settings: the session's settings that the statements were written for.
    """

    index: str
    table: str
    statements: tuple[str, ...]
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Ordered:
    """A statement or data, with the settings that it was written for.

    :param text: what to run instead of the step's own text.
    """

    item: Item
    settings: Settings
    text: bytes | None = None


@dataclass
class Copy(Task):
    """The rows of one table, or one share of them.

    :param frozen: written by the transaction that empties the table, so that no row has to be looked at again.
    :param shares: how many connections take the rows of the blocks.
    """

    blocks: tuple[Ordered, ...] = ()
    target: bytes = b""
    frozen: bool = False
    shares: int = 1


@dataclass
class Run(Task):
    """Statements, one after the other on one connection."""

    items: tuple[Ordered, ...] = ()


@dataclass
class TablePlan:
    """How the data of a table are loaded, for people."""

    table: str
    bytes: int
    rows: int | None
    how: str
    why: str


@dataclass
class Plan:
    """See the head of this file."""

    jobs: int
    way: str
    before: list[Ordered] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    then: list[Ordered] = field(default_factory=list)
    finish: list[Task] = field(default_factory=list)
    last: list[Ordered] = field(default_factory=list)
    analyze_last: list[Ordered] = field(default_factory=list)
    outstanding: list[Outstanding] = field(default_factory=list)
    tables: list[TablePlan] = field(default_factory=list)
    in_order: str | None = None
    cleaned: bool = False

    @property
    def seconds(self) -> float:
        """By estimate, of what runs side by side; good for comparing plans, not for promises."""
        return seconds_for(self.tasks, self.jobs) + seconds_for(self.finish, self.jobs)

    def as_dict(self) -> dict[str, Any]:
        loads = sorted(self.tables, key=lambda table: -table.bytes)
        return {
            "jobs": self.jobs,
            "reading": _READING[self.way],
            "in_dump_order": self.in_order,
            "tables": [vars(table) for table in loads],
            "side_by_side": len(self.tasks) + len(self.finish),
            "deferred_indexes": [left_out.index for left_out in self.outstanding],
        }


_READING = {
    PLAIN: "each table by its place in the file",
    ARCHIVE: "each table by a pg_restore of its own",
    STREAM: "one pass, in the dump's order",
}


def opening(script: Script) -> list[Ordered]:
    """What every plan of a dump that begins like this runs first, and outside of transactions."""
    return list(
        takewhile(
            lambda ordered: isinstance(ordered.item, Step) and ordered.item.understood.kind != "begin",
            _Parts(script).before,
        )
    )


def way_to_read(dump: Dump) -> str:
    """Whether the data of a table can be had without those before it."""
    if dump.format.layers:
        return STREAM
    if dump.format.kind == "plain":
        return PLAIN
    # Large objects and INSERTs of an archive can be had only by reading all of it.
    bulk = any(isinstance(item, Bulk) for item in dump.script)
    return ARCHIVE if not bulk and worth_a_program_each(dump) else STREAM


def plan(dump: Dump, jobs: int, defer_indexes: bool = False, way: str | None = None) -> Plan:
    """The plan that takes the least time, of those that split no table and those that split the largest ones.

    :param way: how the data will be read; by default, the best that the dump's format permits.
    """
    way = way or way_to_read(dump)
    parts = _Parts(dump.script)
    best = _Planner(dump, parts, jobs, defer_indexes, way, frozenset()).plan()
    for table in worth_splitting(dump, jobs):
        split = frozenset({table, *(found.table for found in best.tables if found.how == "split")})
        other = _Planner(dump, parts, jobs, defer_indexes, way, split).plan()
        if other.seconds < best.seconds:
            best = other
    return best


class _Parts:
    """The dump's script, cut at its data."""

    def __init__(self, script: Script) -> None:
        self.before: list[Ordered] = []
        #: From the first block of rows on.
        self.data: list[Ordered] = []
        self.after: list[Ordered] = []
        self.cleaned = False
        settings: dict[str, Step] = {}
        behind = False
        for item in script:
            phase = item.understood.phase if isinstance(item, Step) else None
            if isinstance(item, Step) and phase is Phase.CLEAN:
                self.cleaned = self.cleaned or item.understood.kind.startswith("drop")
                continue
            if isinstance(item, Step) and phase is Phase.SETTING:
                settings[str(item.understood.name)] = item
                continue
            ordered = Ordered(item, tuple(settings.values()))
            behind = behind or phase in (Phase.INDEX, Phase.FOREIGN_KEY, Phase.REFRESH)
            if isinstance(item, Rows) or (isinstance(item, Bulk) and behind):
                self.data.append(ordered)
            elif behind or (isinstance(item, Step) and item.understood.kind.startswith(_STATISTICS)):
                self.after.append(ordered)
            else:
                (self.data or self.before).append(ordered)


class _Planner:
    def __init__(
        self, dump: Dump, parts: _Parts, jobs: int, defer_indexes: bool, way: str, split: frozenset[str]
    ) -> None:
        self._dump = dump
        self._parts = parts
        self._jobs = jobs
        self._defer = defer_indexes
        self._split = split
        self._plan = Plan(jobs, way, cleaned=parts.cleaned)
        self._own = _own_functions(dump)
        self._created = {
            str(ordered.item.understood.name): ordered
            for ordered in parts.before
            if isinstance(ordered.item, Step) and ordered.item.understood.kind == "table"
        }
        #: Their policies hide rows from their owner too, as soon as the dump has switched these on.
        self._forced = {
            str(ordered.item.understood.name)
            for ordered in (*parts.before, *parts.after)
            if isinstance(ordered.item, Step) and ordered.item.understood.kind == "force row level security"
        }
        #: By table, the tasks that write it.
        self._loads: dict[str, list[int]] = {}
        self._builds: dict[str, list[int]] = {}
        self._codec = codec_of(dump.encoding)

    def plan(self) -> Plan:
        self._plan.in_order = self._reason_for_order()
        if self._plan.in_order:
            self._plan.before = [*self._parts.before, *self._parts.data]
        else:
            self._plan.before = list(self._parts.before)
            self._data()
        self._behind_the_data()
        self._statistics()
        return self._plan

    # -- data ----------------------------------------------------------------------------------------------------

    def _reason_for_order(self) -> str | None:
        """Why the data must be loaded one after the other, exactly as the dump has them."""
        for ordered in self._parts.before:
            kind = ordered.item.understood.kind if isinstance(ordered.item, Step) else ""
            if kind in ("trigger", "rule"):
                return f"a {kind} exists before the data"
        open_transaction = False
        for ordered in self._parts.data:
            kind = ordered.item.understood.kind if isinstance(ordered.item, Step) else ""
            if isinstance(ordered.item, Step) and kind not in _HARMLESS:
                return f"a statement of the kind '{kind}' stands between the data"
            if kind in ("begin", "commit"):
                open_transaction = kind == "begin"
            elif isinstance(ordered.item, Rows) and open_transaction:
                return "a transaction of the dump holds data of tables"
        domain = any(
            isinstance(ordered.item, Step)
            and ordered.item.understood.kind == "domain"
            and self._calls_own(_behind(tokens(ordered.item.text), "check"))
            for ordered in self._parts.before
        )
        return "a domain's check calls a function of the dump, which may read any table" if domain else None

    def _data(self) -> None:
        blocks: dict[str, list[Ordered]] = {}
        for ordered in self._parts.data:
            if isinstance(ordered.item, Rows):
                blocks.setdefault(ordered.item.table, []).append(ordered)
        others = {
            table for ordered in self._parts.data if isinstance(ordered.item, Bulk) for table in ordered.item.tables
        }
        one_by_one = self._plan.way == STREAM
        last: list[int] = []
        fence: list[int] = []
        segment: list[Ordered] = []
        done: set[str] = set()
        numbers: list[int] = []
        for ordered in self._parts.data:
            if not isinstance(ordered.item, Rows):
                segment.append(ordered)
                continue
            if segment and one_by_one:
                last = self._statements(segment, last)
                segment = []
            table = ordered.item.table
            if table in done:
                continue
            together = blocks[table]
            if (one_by_one and not _adjacent(together, self._parts.data)) or table not in self._created:
                together = [ordered]
            else:
                done.add(table)
            reader = self._reads_others(table)
            before = [*fence, *(last if one_by_one else ()), *(numbers if reader else ())]
            loads = self._copies(table, together, before, alone=reader or table in others)
            numbers += loads
            last = loads
            fence = loads if reader else fence
        if segment:
            self._statements(segment, last if one_by_one else [])

    def _copies(self, table: str, blocks: list[Ordered], after: list[int], alone: bool) -> list[int]:
        dump = self._dump
        size = sum(block.item.end - block.item.begin for block in blocks if isinstance(block.item, Rows))
        rows = sum(block.item.rows for block in blocks if isinstance(block.item, Rows))
        frozen, why = True, "written once, needs no second look at its rows"
        if alone:
            frozen, why = False, "its rows are checked against others"
        elif table not in self._created:
            frozen, why = False, "not a plain table that this dump creates"
        elif table in dump.catalogue.partitioned:
            frozen, why = False, "its rows go to partitions"
        elif not all(isinstance(block.item, Rows) and _FROM_STDIN.search(block.item.statement) for block in blocks):
            frozen, why = False, "its COPY statement is not as pg_dump writes it"
        elif copy_seconds(size, True) > copy_seconds(size, False):
            frozen, why = False, "so small that to empty it first would take longer than it gains"
        shares = 1
        if table in self._split and not alone:
            frozen, shares = False, self._jobs
            why = f"so large that {shares} connections are faster, by estimate"
        how = "split" if shares > 1 else "frozen" if frozen else "copied"
        self._plan.tables.append(TablePlan(table, size, rows, how, why))
        seconds = copy_seconds(size, frozen) / shares
        hold = Hold.ALONE if frozen else Hold.WRITE
        target = self._sql(table, blocks)
        label = f"data of {table}"
        numbers = [
            self._add(Copy(label, table, hold, seconds, list(after), tuple(blocks), target, frozen, shares))
            for _share in range(shares)
        ]
        self._loads.setdefault(table, []).extend(numbers)
        return numbers

    def _statements(self, items: list[Ordered], after: list[int]) -> list[int]:
        size = sum(ordered.item.end - ordered.item.begin for ordered in items if isinstance(ordered.item, Bulk))
        number = self._add(Run("other data", "", Hold.WRITE, copy_seconds(size, False) * 10, list(after), tuple(items)))
        for ordered in items:
            if isinstance(ordered.item, Bulk):
                for table in ordered.item.tables:
                    self._loads.setdefault(table, []).append(number)
        return [number]

    def _sql(self, table: str, blocks: list[Ordered]) -> bytes:
        first = blocks[0].item
        name = None
        if isinstance(first, Rows):
            name = target_table(in_utf8(first.statement, self._dump.encoding), first.schema)
        return self._encoded(name or Name("", table))

    def _encoded(self, name: Name) -> bytes:
        return sql_name(name).encode(self._codec, "surrogateescape")

    def _reads_others(self, table: str) -> bool:
        """Whether a check or a generated column of a table calls a function that might look at other tables."""
        created = self._created.get(table)
        if created is None or not self._own or not isinstance(created.item, Step):
            return False
        return self._calls_own(_behind(tokens(created.item.text), "check", "generated"))

    def _calls_own(self, words: Iterable[Token]) -> bool:
        before: Token | None = None
        operator = False
        for word in words:
            if word.value == "(" and before is not None and before.is_name:
                if before.value in self._own:
                    return True
                operator = before.says("operator")
            elif operator and word.is_name:
                operator = False
                if word.value != "pg_catalog":
                    return True
            before = word
        return False

    # -- behind the data -----------------------------------------------------------------------------------------

    def _behind_the_data(self) -> None:
        late_views: set[Name] = set()
        deferred = self._deferred() if self._defer else {}
        for ordered in self._parts.after:
            step = ordered.item
            if not isinstance(step, Step):
                self._plan.then.append(ordered)
                continue
            understood = step.understood
            if understood.kind == "materialized view" and understood.name is not None:
                late_views.add(understood.name)
            if id(step) in deferred:
                continue
            if (
                understood.phase is Phase.INDEX
                and understood.table not in late_views
                and self._side_by_side(understood.table)
            ):
                self._index(ordered)
            elif understood.phase is Phase.REFRESH or understood.kind in _EVENT_TRIGGERS:
                self._plan.last.append(ordered)
            elif understood.phase is Phase.FOREIGN_KEY and self._may_validate_later(step):
                self._plan.then.append(Ordered(step, ordered.settings, step.text + b" NOT VALID"))
                self._validation(ordered)
            else:
                self._plan.then.append(ordered)
        # Views are filled before event triggers are made.
        self._plan.last.sort(
            key=lambda item: isinstance(item.item, Step) and item.item.understood.phase is not Phase.REFRESH
        )

    def _side_by_side(self, table: Name | None) -> bool:
        """Not on partitioned tables, whose indexes are but names that the partitions' own are attached to."""
        return table is not None and str(table) not in self._dump.catalogue.partitioned

    def _index(self, ordered: Ordered) -> None:
        step = ordered.item
        if not isinstance(step, Step) or step.understood.table is None:
            raise TypeError("an index without a table")
        table = str(step.understood.table)
        data = self._dump.data.get(table)
        seconds = index_seconds(step.text, data)
        label = f"index {step.understood.name}"
        parts = as_unique_index(step.text)
        if parts is not None:
            items = [Ordered(step, ordered.settings, parts[0])]
            self._plan.then.append(Ordered(step, ordered.settings, parts[1]))
        else:
            items = [ordered]
        alone = parts is None and step.understood.kind != "index"
        after = self._all_loads() if self._needs_all_data(step, table) else self._loads.get(table, [])
        hold = Hold.ALONE if alone else Hold.BUILD
        number = self._add(Run(label, table, hold, seconds, list(after), tuple(items)))
        self._builds.setdefault(table, []).append(number)

    def _needs_all_data(self, step: Step, table: str) -> bool:
        """A function in an index may look at any table; what is loaded through its root may land in any partition."""
        through_roots = any(root in self._loads for root in self._dump.catalogue.partitioned)
        return through_roots or (bool(self._own) and self._calls_own(tokens(step.text)))

    def _all_loads(self) -> list[int]:
        return [number for numbers in self._loads.values() for number in numbers]

    def _may_validate_later(self, step: Step) -> bool:
        """Not where policies would hide rows from the query, nor where either side is partitioned.

        Of partitioned tables, PostgreSQL does not validate the keys of the partitions.
        """
        key = step.understood
        if key.table is None or key.name is None or f"{key.table}.{key.name.name}" in self._dump.catalogue.not_valid:
            return False
        return not {str(key.table), str(key.references)} & (self._dump.catalogue.partitioned | self._forced)

    def _validation(self, ordered: Ordered) -> None:
        step = ordered.item
        if not isinstance(step, Step) or step.understood.table is None or step.understood.name is None:
            raise TypeError("a constraint without table or name")
        key = step.understood
        table = str(key.table)
        constraint = quote(step.understood.name.name).encode(self._codec, "surrogateescape")
        text = b"ALTER TABLE " + self._encoded(step.understood.table) + b" VALIDATE CONSTRAINT " + constraint
        seconds = validate_seconds(self._dump.data.get(table), self._dump.data.get(str(key.references)))
        items = (Ordered(step, ordered.settings, text),)
        self._plan.finish.append(Run(f"foreign key {key.name}", table, Hold.MAINTAIN, seconds, [], items))

    # -- indexes that can wait -----------------------------------------------------------------------------------

    def _deferred(self) -> dict[int, Step]:
        """The steps that are left out, by identity."""
        found: dict[int, Step] = {}
        indexes = {
            ordered.item.understood.name: ordered
            for ordered in self._parts.after
            if isinstance(ordered.item, Step) and self._can_wait(ordered.item)
        }
        followers: dict[Name, list[Step]] = {name: [] for name in indexes if name is not None}
        bare = {name.name for name in followers}
        for ordered in self._parts.after:
            step = ordered.item
            if not isinstance(step, Step) or (
                step.understood.name in followers and step.understood.phase is Phase.INDEX
            ):
                continue
            words = list(tokens(in_utf8(step.text, self._dump.encoding)))
            for named in bare & {word.value for word in words if word.is_name or word.kind == "string"}:
                self._follow(step, words, named, followers)
        for name, depending in followers.items():
            ordered = indexes[name]
            steps = [ordered.item, *depending]
            found.update({id(step): step for step in steps if isinstance(step, Step)})
            self._plan.outstanding.append(
                Outstanding(
                    str(name),
                    str(ordered.item.understood.table) if isinstance(ordered.item, Step) else "",
                    tuple(self._decoded(step.text) for step in steps if isinstance(step, Step)),
                    tuple(
                        self._decoded(setting.text)
                        for setting in ordered.settings
                        # The statements are text now, to be sent in whatever encoding that session has.
                        if str(setting.understood.name) != "client_encoding"
                    ),
                )
            )
        return found

    def _follow(self, step: Step, words: list[Token], named: str, followers: dict[Name, list[Step]]) -> None:
        """Note a statement that depends on an index; if it is not understood, the index is not left out."""
        target = _depends_on_index(words)
        for name in [name for name in followers if name.name == named]:
            if target is not None and target.name == named:
                if target.schema in ("", name.schema):
                    followers[name].append(step)
            elif step.understood.kind.startswith(_STATISTICS):
                # Statistics of an index that is not there; it gets its own when it is built.
                pass
            elif _may_mean_index(words, named):
                del followers[name]

    def _can_wait(self, step: Step) -> bool:
        understood = step.understood
        if understood.phase is not Phase.INDEX or understood.kind != "index" or understood.name is None:
            return False
        unique = next(iter(list(tokens(step.text))[1:2]), None)
        return (
            str(understood.table) in self._created
            and self._side_by_side(understood.table)
            and not (unique is not None and unique.says("unique"))
        )

    def _decoded(self, text: bytes) -> str:
        return text.decode(self._codec, "surrogateescape")

    # -- statistics ----------------------------------------------------------------------------------------------

    def _statistics(self) -> None:
        late = self._tables_with_late_statistics()
        abroad = self._tables_with_foreign_parts()
        for table, created in self._created.items():
            if table in abroad:
                continue
            seconds = analyze_seconds(self._dump.data.get(table))
            items = (self._analyze(created),)
            task = Run(f"statistics of {table}", table, Hold.MAINTAIN, seconds, [], items)
            if table in late or late is _ALL:
                self._plan.finish.append(task)
            else:
                task.after = [*self._loads.get(table, []), *self._builds.get(table, [])]
                self._add(task)
        for ordered in (*self._parts.before, *self._parts.after):
            if isinstance(ordered.item, Step) and ordered.item.understood.kind == "materialized view":
                self._plan.analyze_last.append(self._analyze(ordered))

    def _tables_with_foreign_parts(self) -> set[str]:
        """Their statistics would be gathered on other servers too, which no restore may need."""
        foreign = [
            ordered.item
            for ordered in (*self._parts.before, *self._parts.after)
            if isinstance(ordered.item, Step) and ordered.item.understood.kind == "foreign table"
        ]
        if not foreign:
            return set()
        named = {word.value for step in foreign for word in _behind(tokens(step.text), "inherits") if word.is_name}
        parents = {table for table in self._created if table.rsplit(".", 1)[-1] in named}
        return parents | self._dump.catalogue.partitioned

    def _analyze(self, created: Ordered) -> Ordered:
        name = created.item.understood.name if isinstance(created.item, Step) else None
        return Ordered(created.item, created.settings, b"ANALYZE " + self._encoded(name or Name("", "")))

    def _tables_with_late_statistics(self) -> frozenset[str]:
        """Those for which something that ANALYZE must know is said only behind the indexes, or of other tables."""
        late = set(self._dump.catalogue.partitioned)
        for ordered in self._parts.after:
            if isinstance(ordered.item, Step) and ordered.item.understood.kind in ("statistics", "alter statistics"):
                return _ALL
            if isinstance(ordered.item, Step) and ordered.item.understood.kind == "alter index":
                return _ALL
        for created in self._created.values():
            if isinstance(created.item, Step) and any(word.says("inherits") for word in tokens(created.item.text)):
                return _ALL
        return frozenset(late)

    def _add(self, task: Task) -> int:
        self._plan.tasks.append(task)
        return len(self._plan.tasks) - 1


_ALL: frozenset[str] = frozenset({"all tables"})


def as_unique_index(statement: bytes) -> tuple[bytes, bytes] | None:
    """A primary key or unique constraint as an index, which locks no one out, and the constraint that takes it over."""
    found = _UNIQUE.fullmatch(statement.strip())
    if found is None:
        return None
    part = {name: value or b"" for name, value in found.groupdict().items()}
    index = (
        b"CREATE UNIQUE INDEX " + part["name"] + b" ON " + part["table"] + b" USING btree " + part["columns"]
        + part["include"] + part["nulls"] + part["storage"]
    )  # fmt: skip
    constraint = (
        b"ALTER TABLE " + part["table"] + b" ADD CONSTRAINT " + part["name"] + b" " + part["kind"]
        + b" USING INDEX " + part["name"] + part["deferrable"]
    )  # fmt: skip
    return index, constraint


def sql_name(name: Name) -> str:
    return f"{quote(name.schema)}.{quote(name.name)}" if name.schema else quote(name.name)


def _own_functions(dump: Dump) -> frozenset[str]:
    """The names of the functions that the dump creates, without their schemas."""
    return frozenset(name.rsplit(".", 1)[-1] for name in dump.catalogue.functions)


def _behind(words: Iterable[Token], *keywords: str) -> Iterable[Token]:
    """The tokens behind the first of these keywords."""
    found = False
    for word in words:
        if found:
            yield word
        found = found or word.says(*keywords)


def _adjacent(blocks: Sequence[Ordered], data: Sequence[Ordered]) -> bool:
    first = next(at for at, ordered in enumerate(data) if ordered is blocks[0])
    return all(found is wanted for found, wanted in zip(data[first:], blocks))


def _depends_on_index(words: Sequence[Token]) -> Name | None:
    """The index that a statement is about: a comment on it, a change of it, or a table that is clustered on it."""
    said = [word.value if word.kind == "word" else "" for word in words]
    if said[:3] == ["comment", "on", "index"]:
        return _name_at(words, 3)
    if said[:2] == ["alter", "index"] and "attach" not in said:
        return _name_at(words, 2)
    if said[:2] == ["alter", "table"] and said[-3:-1] == ["cluster", "on"]:
        return Name("", words[-1].value)
    return None


def _name_at(words: Sequence[Token], at: int) -> Name | None:
    if len(words) > at + 2 and words[at + 1].value == ".":
        return Name(words[at].value, words[at + 2].value)
    return Name("", words[at].value) if len(words) > at else None


def _may_mean_index(words: Sequence[Token], named: str) -> bool:
    """Columns, tables and strings may share a name with an index; only ALTER statements can mean the index by it."""
    return words[0].says("alter") and any(word.is_name and word.value == named for word in words)
