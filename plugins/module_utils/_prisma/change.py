# SPDX-License-Identifier: GPL-3.0-or-later
"""What one statement of a migration does to the schema: what it makes, drops and needs, and what it does to old code.

It knows the statements that Prisma writes and those that people add by hand. What it does not know is never called
additive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from .._postgres.dump.statements import Cursor, Name, Token

TABLE, TYPE, EXTENSION, FUNCTION, INDEX, SCHEMA, SEQUENCE = (
    "table", "type", "extension", "function", "index", "schema", "sequence",
)  # fmt: skip
_ALIASES = {"materialized view": TABLE, "view": TABLE, "foreign table": TABLE, "domain": TYPE, "procedure": FUNCTION}
_CREATABLE = {
    "table", "view", "materialized view", "foreign table", "type", "domain", "extension", "function", "procedure",
    "index", "schema", "sequence", "trigger", "policy", "rule", "aggregate", "cast", "collation", "statistics",
    "operator", "publication", "event",
}  # fmt: skip
_MODIFIERS = ("or", "replace", "global", "local", "temporary", "temp", "unlogged", "recursive", "unique", "constraint")
_CHANGES_OLD_WRITES = ("trigger", "policy", "rule", "event", "publication")
_HARMLESS = {
    "set", "reset", "begin", "start", "commit", "end", "comment", "grant", "analyze", "vacuum", "reindex", "refresh",
    "cluster", "lock", "show",
}  # fmt: skip
_SERIALS = ("serial", "bigserial", "smallserial", "serial4", "serial8", "serial2")
_TABLE_ELEMENTS = ("constraint", "primary", "unique", "check", "foreign", "exclude", "like")
_QUIET_ALTERS = ("validate", "set", "cluster", "replica", "reset")
_QUIET_COLUMN_SETTINGS = ("storage", "statistics", "compression")
# What these set decides which objects the names of later statements mean, or how those are read.
_CHANGES_MEANING = ("search_path", "schema", "role", "authorization", "standard_conforming_strings")
_BEHIND_DEFAULT = ("not", "null", "check", "references", "unique", "primary", "constraint", "collate")
_IN_EXPRESSIONS = ("and", "or", "not", "is", "null", "in", "between", "like", "any", "array", "true", "false")
# As Prisma and most people call an index that forbids nothing.
_PLAIN_INDEX = re.compile(r"(?:^|_)(?:idx|index|ix)(?:_|$)")
_UNIQUE_INDEX = re.compile(r"(?:^|_)(?:key|pkey|uniq|unique|uq|uk)(?:_|$)")


@dataclass(frozen=True)
class Act:
    """Something that a statement does, as the code from before it sees it.

    :param columns: of ``table``, the ones that it is about, where it is harmless as long as these are new.
    """

    kind: str
    additive: bool
    reason: str
    table: Name | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column that is made: its name and the word of its type.

    :param maybe_old: whether it may have been there before.
    :param may_repeat: whether rows that leave it out may get the same value, other than NULL.
    """

    name: str
    type: Token | None
    maybe_old: bool = False
    may_repeat: bool = False


@dataclass(frozen=True)
class IndexParts:
    """The expressions of an index and its predicate, as tokens; and the words that only an extension may know."""

    table: Name
    elements: tuple[tuple[Token, ...], ...]
    predicate: tuple[Token, ...]
    method: str = ""


@dataclass
class Change:
    """All that one statement is about. Names have their schema."""

    kind: str
    table: Name | None = None
    acts: list[Act] = field(default_factory=list)
    creates: list[tuple[str, Name]] = field(default_factory=list)
    drops: list[tuple[str, Name]] = field(default_factory=list)
    needs: list[tuple[str, Name]] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    index: IndexParts | None = None
    concurrently: bool = False
    tolerant: bool = False
    volatility: str = "v"

    def act(self, kind: str, additive: bool, reason: str, columns: Sequence[str] = ()) -> None:
        self.acts.append(Act(kind, additive, reason, self.table, tuple(columns)))


def change_of(items: Sequence[Token], schema: str) -> Change:
    """Read one statement.

    :param schema: where names without a schema are.
    """
    cursor = Cursor(iter(items), schema)
    first = cursor.take()
    verb = first.value if first is not None and first.kind == "word" else "?"
    reader = _READERS.get(verb)
    if reader is not None:
        return reader(cursor)
    change = Change(verb)
    if verb in _HARMLESS:
        change.concurrently = verb in ("reindex", "refresh") and any(each.says("concurrently") for each in items)
        if verb == "set" and any(each.value.lower() in _CHANGES_MEANING for each in items[1:4]):
            change.act(verb, False, "nobody can say what the statements behind it mean")
        else:
            change.act(verb, True, "changes nothing that code reads or writes")
    else:
        change.act(verb, False, "nobody can say what it does without running it")
    return change


# -- CREATE ----------------------------------------------------------------------------------------------------------


def _create(cursor: Cursor) -> Change:
    words = set()
    while cursor.token is not None and cursor.token.says(*_MODIFIERS):
        words.add(cursor.token.value)
        cursor.take()
    kind = cursor.token.value if cursor.token is not None and cursor.token.kind == "word" else "?"
    cursor.take()
    if kind == "materialized" or (kind == "foreign" and cursor.token is not None and cursor.token.says("table")):
        kind = f"{kind} {cursor.token.value}" if cursor.token is not None else kind
        cursor.take()
    change = Change(f"create {kind}", concurrently=cursor.skip("concurrently"))
    # One that only this session sees may have the name of another.
    change.tolerant = cursor.skip("if", "not", "exists") or bool(words & {"temporary", "temp"})
    if kind == INDEX:
        _create_index(cursor, change, "unique" in words)
    elif kind not in _CREATABLE:
        change.act(change.kind, False, "nobody can say what it does without running it")
    else:
        _create_other(cursor, change, kind, "replace" in words)
    return change


def _create_other(cursor: Cursor, change: Change, kind: str, replaces: bool) -> None:
    name = cursor.name() if kind in (EXTENSION, SCHEMA) else cursor.named()
    if name is not None and kind not in _CHANGES_OLD_WRITES:
        change.creates.append((_ALIASES.get(kind, kind), name))
    if kind in _CHANGES_OLD_WRITES:
        if cursor.until("on"):
            change.table = cursor.named()
            if change.table is not None and kind != "event":
                change.needs.append((TABLE, change.table))
        change.act(change.kind, False, "it acts on what the older code reads or writes")
        return
    if kind == TABLE:
        change.table = name
        _create_table(cursor, change)
    if kind in (FUNCTION, "procedure"):
        change.volatility = _volatility(cursor)
    if replaces:
        change.act(change.kind, False, "it may replace what the older code uses")
    else:
        change.act(change.kind, True, "new, and unknown to the older code")


def _volatility(cursor: Cursor) -> str:
    found = cursor.until("immutable", "stable", "volatile")
    return found[0] if found else "v"


def _create_table(cursor: Cursor, change: Change) -> None:
    if cursor.token is not None and cursor.token.value == "(":
        cursor.take()
        for element in _comma_separated(cursor):
            _note_references(element, change)
            if element[0].is_name and not element[0].says(*_TABLE_ELEMENTS):
                change.columns.append(Column(element[0].value, element[1] if len(element) > 1 else None))
    elif cursor.token is not None and cursor.token.says("partition"):
        cursor.skip("partition", "of")
        parent = cursor.named()
        if parent is not None:
            change.needs.append((TABLE, parent))


def _create_index(cursor: Cursor, change: Change, unique: bool) -> None:
    name = None if cursor.token is not None and cursor.token.says("on") else cursor.name()
    cursor.skip("on", "only")
    change.table = cursor.named()
    if change.table is None:
        change.act(change.kind, False, "it cannot be read")
        return
    if name is not None:
        change.creates.append((INDEX, Name(change.table.schema, name.name)))
    change.needs.append((TABLE, change.table))
    method = ""
    if cursor.skip("using"):
        method = cursor.token.value if cursor.token is not None else ""
        cursor.take()
    elements: list[tuple[Token, ...]] = []
    if cursor.token is not None and cursor.token.value == "(":
        cursor.take()
        elements = [tuple(element) for element in _comma_separated(cursor)]
    rest = list(_rest(cursor))
    where = next((at for at, token in enumerate(rest) if token.says("where")), len(rest))
    predicate = tuple(rest[where + 1 :])
    change.index = IndexParts(change.table, tuple(elements), predicate, method)
    if unique:
        columns = [element[0].value for element in elements if len(element) == 1]
        # An expression is never new as a whole.
        about = columns if len(columns) == len(elements) and not _has(rest, "nulls", "not") else ()
        change.act("create unique index", False, "the older code may write what is not unique", about)
    else:
        change.act(change.kind, True, "an index changes no result")


# -- ALTER -----------------------------------------------------------------------------------------------------------


def _alter(cursor: Cursor) -> Change:
    kind = cursor.token.value if cursor.token is not None and cursor.token.kind == "word" else "?"
    cursor.take()
    if kind == "materialized":
        cursor.skip("view")
    change = Change(f"alter {kind}")
    change.tolerant = cursor.skip("if", "exists")
    if kind == TABLE:
        _alter_table(cursor, change)
    elif kind == TYPE:
        _alter_type(cursor, change)
    elif kind == INDEX or (kind == SEQUENCE and cursor.name() and _says_next(cursor, "owned")):
        change.act(change.kind, True, "code names no index, and a sequence goes on")
    else:
        change.act(change.kind, False, "it changes what the older code may use")
    return change


def _says_next(cursor: Cursor, *words: str) -> bool:
    return cursor.token is not None and cursor.token.says(*words)


def _alter_type(cursor: Cursor, change: Change) -> None:
    name = cursor.named()
    if name is not None and not change.tolerant:
        change.needs.append((TYPE, name))
    if cursor.skip("add") and cursor.skip("value"):
        change.act(
            "add enum value", True, "the older code runs, but fails on rows in which the newer one wrote the new value"
        )
    elif cursor.skip("rename") and cursor.skip("to"):
        new = cursor.named()
        if name is not None and new is not None:
            change.drops.append((TYPE, name))
            change.creates.append((TYPE, new))
        change.act("rename type", False, "the older code knows it by its old name")
    else:
        change.act(change.kind, False, "the older code uses the type as it was")


def _alter_table(cursor: Cursor, change: Change) -> None:
    cursor.skip("only")
    change.table = cursor.named()
    if change.table is None:
        change.act(change.kind, False, "it cannot be read")
        return
    if cursor.token is not None and cursor.token.value == "*":
        cursor.take()
    if not change.tolerant:
        change.needs.append((TABLE, change.table))
    for action in _comma_separated(cursor):
        _note_references(action, change)
        _table_action(Cursor(iter(action), change.table.schema), action, change)


def _table_action(cursor: Cursor, action: Sequence[Token], change: Change) -> None:
    first = cursor.take()
    verb = first.value if first is not None and first.kind == "word" else "?"
    if verb == "add":
        _add(cursor, action, change)
    elif verb == "drop":
        _drop_part(cursor, change)
    elif verb == "alter":
        _alter_column(cursor, change)
    elif verb == "rename":
        _rename(cursor, change)
    elif verb in _QUIET_ALTERS and not cursor.skip("schema"):
        change.act(f"alter table {verb}", True, "changes nothing that code reads or writes")
    else:
        change.act(f"alter table {verb}", False, "it changes what the older code reads or writes")


def _add(cursor: Cursor, action: Sequence[Token], change: Change) -> None:
    if _says_next(cursor, *_TABLE_ELEMENTS):
        if cursor.skip("constraint"):
            cursor.name()
        kind = cursor.token.value if cursor.token is not None else "?"
        about_columns = kind in ("unique", "foreign", "primary") and not _has(action, "nulls", "not")
        columns = _columns_of_constraint(cursor) if about_columns else ()
        named = {"foreign": "foreign key", "primary": "primary key"}.get(kind, kind)
        change.act(f"add {named} constraint", False, "the older code may write what it forbids", columns)
        return
    cursor.skip("column")
    tolerant = cursor.skip("if", "not", "exists")
    name = cursor.name()
    if name is None:
        change.act("alter table add", False, "it cannot be read")
        return
    of_type, rest = cursor.token, list(_rest(cursor))
    default = _default_of(rest)
    generated = any(each.says("generated") for each in rest)
    computed = generated and not any(each.says("identity") for each in rest)
    may_repeat = computed or (bool(default) and not _calls(default))
    change.columns.append(Column(name.name, of_type, tolerant, may_repeat))
    required = _has(rest, "not", "null") or _has(rest, "primary", "key")
    filled = default or generated or (rest and rest[0].says(*_SERIALS))
    unique = any(each.says("unique", "primary") for each in rest)
    if required and not filled:
        change.act("add required column", False, "the older code inserts rows without it, and has no default")
    elif unique and (may_repeat or _has(rest, "nulls", "not")):
        change.act("add unique column", False, "the older code leaves it out, and rows may get the same value")
    elif _checks_others(rest, name.name):
        change.act("add checked column", False, "the older code may write what its CHECK forbids")
    else:
        change.act("add column", True, "the older code does not read it, and may leave it out")


def _default_of(items: Sequence[Token]) -> list[Token]:
    """The expression behind DEFAULT; nothing for NULL. ON DELETE SET DEFAULT has none."""
    for before, (at, token) in zip([None, *items], enumerate(items)):
        if token.says("default") and not (before is not None and before.says("set")):
            return list(takewhile(lambda each: not each.says(*_BEHIND_DEFAULT), items[at + 1 :]))
    return []


def _calls(items: Sequence[Token]) -> bool:
    return any(True for _function in _called(items))


def _called(items: Sequence[Token]) -> Iterator[int]:
    """Where the names of functions stand."""
    for at, (one, two) in enumerate(zip(items, items[1:])):
        # A cast to a type with a length calls nothing.
        if one.is_name and two.value == "(" and not (at and items[at - 1].value == ":"):
            yield at


def _checks_others(items: Sequence[Token], column: str) -> bool:
    """Whether a CHECK asks for anything but the column itself."""
    for at, token in enumerate(items):
        if token.says("check"):
            inside = next(_comma_separated(Cursor(iter(items[at + 2 :]))), [])
            functions = set(_called(inside))
            for place, one in enumerate(inside):
                known = one.value == column or one.says(*_IN_EXPRESSIONS) or place in functions
                if one.is_name and not known and not (place and inside[place - 1].value == ":"):
                    return True
    return False


def _columns_of_constraint(cursor: Cursor) -> tuple[str, ...]:
    while cursor.token is not None and cursor.token.value != "(":
        cursor.take()
    cursor.take()
    return tuple(element[0].value for element in _comma_separated(cursor))


def _drop_part(cursor: Cursor, change: Change) -> None:
    if cursor.skip("constraint"):
        change.act("drop constraint", False, "the older code may upsert by it, or rely on what it forbids or deletes")
        return
    cursor.skip("column", "if", "exists")
    name = cursor.name()
    change.act("drop column", False, "the older code reads and writes it", [name.name] if name else ())


def _alter_column(cursor: Cursor, change: Change) -> None:
    if _says_next(cursor, "constraint"):
        change.act("alter constraint", False, "it changes when writes are checked")
        return
    cursor.skip("column")
    name = cursor.name()
    columns = [name.name] if name else []
    if cursor.skip("set"):
        if cursor.skip("not"):
            change.act("set not null", False, "the older code may leave it empty", columns)
        elif cursor.skip("default"):
            if _says_next(cursor, "null"):
                change.act("drop default", False, "the older code may leave it out", columns)
                return
            change.act("set default", True, "the older code may leave it out, as before")
        elif cursor.skip("data") or _says_next(cursor, TYPE):
            change.act("alter column type", False, "the older code reads and writes the old type", columns)
        elif _says_next(cursor, *_QUIET_COLUMN_SETTINGS) or (cursor.token is not None and cursor.token.value == "("):
            change.act("alter column", True, "changes only how it is stored")
        else:
            change.act("alter column", False, "it changes what the older code reads or writes", columns)
    elif cursor.skip("drop"):
        if cursor.skip("not"):
            change.act(
                "drop not null", False, "the older code may read an empty value that it does not expect", columns
            )
        elif _says_next(cursor, "expression", "identity"):
            change.act("alter column", False, "the older code leaves it to the database", columns)
        else:
            change.act("drop default", False, "the older code may leave it out", columns)
    elif cursor.skip("type"):
        change.act("alter column type", False, "the older code reads and writes the old type", columns)
    else:
        change.act("alter column", False, "it changes what the older code reads or writes", columns)


def _rename(cursor: Cursor, change: Change) -> None:
    if cursor.skip("constraint"):
        change.act("rename constraint", True, "code names no constraint")
    elif cursor.skip("to"):
        new = cursor.named()
        if change.table is not None and new is not None:
            change.drops.append((TABLE, change.table))
            change.creates.append((TABLE, new))
        change.act("rename table", False, "the older code knows it by its old name")
    else:
        cursor.skip("column")
        name = cursor.name()
        columns = [name.name] if name else []
        change.act("rename column", False, "the older code knows it by its old name", columns)


# -- DROP, and the rows ----------------------------------------------------------------------------------------------


def _drop(cursor: Cursor) -> Change:
    kind = cursor.token.value if cursor.token is not None and cursor.token.kind == "word" else "?"
    cursor.take()
    if kind in ("materialized", "foreign", "event"):
        kind = f"{kind} {cursor.token.value}" if cursor.token is not None else kind
        cursor.take()
    change = Change(f"drop {kind}", concurrently=cursor.skip("concurrently"))
    change.tolerant = cursor.skip("if", "exists")
    plain = _ALIASES.get(kind, kind)
    while (name := cursor.name() if plain in (EXTENSION, SCHEMA) else cursor.named()) is not None:
        change.drops.append((plain, name))
        if not change.tolerant and plain in (TABLE, TYPE):
            change.needs.append((plain, name))
        if plain == INDEX and _PLAIN_INDEX.search(name.name) and not _UNIQUE_INDEX.search(name.name):
            change.act(change.kind, True, "an index changes no result")
        elif plain == INDEX:
            change.act(change.kind, False, "by its name it may be a unique one, by which the older code upserts")
        else:
            table = name if plain == TABLE else None
            change.acts.append(Act(change.kind, False, "the older code may use it", table))
        if cursor.token is None or cursor.token.value != ",":
            break
        cursor.take()
    if not change.drops:
        change.act(change.kind, False, "the older code may use it")
    return change


def _insert(cursor: Cursor) -> Change:
    cursor.skip("into")
    change = Change("insert", table=cursor.named())
    if change.table is not None:
        change.needs.append((TABLE, change.table))
    rest = list(_rest(cursor))
    if _has(rest, "do", "update"):
        change.act("insert", False, "it overwrites rows that the older code may have written")
    else:
        change.act("insert", True, "new rows, which the older code reads like its own")
    return change


def _update(cursor: Cursor) -> Change:
    cursor.skip("only")
    change = Change("update", table=cursor.named())
    if change.table is not None:
        change.needs.append((TABLE, change.table))
    columns: list[str] = []
    if cursor.until("set"):
        for assignment in _comma_separated(cursor):
            columns.append(assignment[0].value)
            # The value may be … IS DISTINCT FROM …
            plain = [
                two for one, two in zip(assignment, assignment[1:]) if not (two.says("from") and one.says("distinct"))
            ]
            if _says_outside(plain, "from", "where"):
                break
    change.act("update", False, "it changes rows that the older code reads", columns)
    return change


def _delete(cursor: Cursor) -> Change:
    cursor.skip("from", "only")
    return _emptied(cursor, "delete")


def _truncate(cursor: Cursor) -> Change:
    cursor.skip("table", "only")
    return _emptied(cursor, "truncate")


def _emptied(cursor: Cursor, kind: str) -> Change:
    change = Change(kind, table=cursor.named())
    if change.table is not None:
        change.needs.append((TABLE, change.table))
    if kind == "truncate" and any(each.value in (",", "cascade") for each in _rest(cursor)):
        change.acts.append(Act(kind, False, "rows of several tables are gone, and no code brings them back"))
    else:
        change.act(kind, False, "rows are gone, and no code brings them back")
    return change


def _select(cursor: Cursor) -> Change:
    change = Change("select")
    items = list(_rest(cursor))
    calls = any(one.is_name and two.value == "(" for one, two in zip(items, items[1:]))
    if calls:
        change.act("select", False, "it calls a function, and nobody can say what that does")
    else:
        change.act("select", True, "it only reads")
    return change


_READERS = {
    "create": _create, "alter": _alter, "drop": _drop, "insert": _insert, "update": _update, "delete": _delete,
    "truncate": _truncate, "select": _select,
}  # fmt: skip


# -- tokens ----------------------------------------------------------------------------------------------------------


def _comma_separated(cursor: Cursor) -> Iterator[list[Token]]:
    """The elements up to the closing parenthesis, or to the end."""
    depth = 0
    element: list[Token] = []
    while (token := cursor.take()) is not None:
        if token.kind == "other":
            if token.value == ")" and depth == 0:
                break
            if token.value == "," and depth == 0:
                if element:
                    yield element
                element = []
                continue
            depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(token.value, 0)
        element.append(token)
    if element:
        yield element


def _rest(cursor: Cursor) -> Iterator[Token]:
    while (token := cursor.take()) is not None:
        yield token


def _has(items: Sequence[Token], *words: str) -> bool:
    """Whether these words stand next to each other."""
    return any(
        all(items[at + offset].says(word) for offset, word in enumerate(words))
        for at in range(len(items) - len(words) + 1)
    )


def _says_outside(items: Sequence[Token], *words: str) -> bool:
    """Whether one of these words stands outside of parentheses."""
    return Cursor(iter(items)).until(*words) is not None


def _note_references(element: Sequence[Token], change: Change) -> None:
    """Tables that a foreign key points to."""
    for at, token in enumerate(element):
        if token.says("references"):
            schema = change.table.schema if change.table is not None else ""
            table = Cursor(iter(element[at + 1 :]), schema).named()
            if table is not None:
                change.needs.append((TABLE, table))
