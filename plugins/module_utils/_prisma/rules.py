# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that need the target database: what stops a migration there although its SQL is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .._postgres.dump.statements import Name, Token
from .catalogue import Relation, Routine, Target
from .change import EXTENSION, FUNCTION, TABLE, TYPE, Change, IndexParts
from .script import Part

NON_IMMUTABLE = "non-immutable-in-index"
ABSENT_TABLE = "absent-table"
ABSENT_EXTENSION = "absent-extension"
ABSENT_TYPE = "absent-type"
CONCURRENTLY = "concurrently-in-multi-statement"

# What these give depends on the session or on the moment, though nobody writes parentheses behind them.
_MOMENTS = (
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user", "session_user",
    "user", "current_role", "current_schema", "current_catalog",
)  # fmt: skip
# Written like calls, and none.
_SYNTAX = {
    "and", "or", "not", "in", "any", "all", "some", "array", "row", "case", "when", "then", "else", "coalesce",
    "nullif", "greatest", "least", "cast", "is", "like", "ilike", "between", "values", "exists", "collate", "numeric",
    "varchar", "char", "decimal", "timestamp", "interval", "where", "on", "xmlelement",
}  # fmt: skip
# An index may be made of what an extension brings. By the names that nobody else uses.
_BROUGHT_BY = {
    "vector": "vector", "halfvec": "vector", "sparsevec": "vector", "hnsw": "vector", "ivfflat": "vector",
    "citext": "citext", "hstore": "hstore", "ltree": "ltree", "geometry": "postgis", "geography": "postgis",
    "uuid_generate_v1": "uuid-ossp", "uuid_generate_v1mc": "uuid-ossp", "uuid_generate_v3": "uuid-ossp",
    "uuid_generate_v4": "uuid-ossp", "uuid_generate_v5": "uuid-ossp", "gen_salt": "pgcrypto", "crypt": "pgcrypto",
    "pgp_sym_encrypt": "pgcrypto", "similarity": "pg_trgm", "word_similarity": "pg_trgm", "unaccent": "unaccent",
    "gin_trgm_ops": "pg_trgm", "gist_trgm_ops": "pg_trgm", "vector_l2_ops": "vector", "vector_ip_ops": "vector",
    "vector_cosine_ops": "vector",
}  # fmt: skip
_USES_TYPES = ("create table", "alter table", "create index", "create function", "create type", "create domain")
_CAST_NAMES = {
    "timestamptz": "timestamptz", "timestamp": "timestamp", "date": "date", "text": "text", "int": "int4",
    "integer": "int4", "bigint": "int8", "boolean": "bool",
}  # fmt: skip


_TIMES = ("date", "time", "timetz", "timestamp", "timestamptz")


@dataclass(frozen=True)
class Found:
    """What a rule has to say about a statement."""

    rule: str
    message: str
    help: str


def functions_in(change: Change) -> set[str]:
    """The names of what the expressions of an index may call."""
    if change.index is None:
        return set()
    return {call.name for expression in _expressions(change.index) for call in _calls(expression)}


def against(target: Target, part: Part, change: Change, alone: bool) -> Iterator[Found]:
    """What of this statement the target database would refuse.

    :param alone: whether it is the only statement of its migration.
    """
    yield from _concurrently(change, alone)
    yield from _absent(target, part, change)
    if change.index is not None:
        yield from _changing(target, change.index)


def then(target: Target, change: Change) -> None:
    """The target as the statement leaves it."""
    for kind, name in change.drops:
        if kind == TABLE:
            target.relations.pop(name, None)
        elif kind == TYPE:
            target.types.discard(name.name)
        elif kind == EXTENSION:
            target.extensions.discard(name.name)
    for kind, name in change.creates:
        if kind == TABLE:
            target.relations.setdefault(name, Relation(0, 0))
            target.types.add(name.name)
        elif kind == TYPE:
            target.types.add(name.name)
        elif kind == EXTENSION:
            target.extensions.add(name.name)
        elif kind == FUNCTION:
            target.routines.setdefault(name.name, []).append(Routine(change.volatility, variadic=True))
    if change.table is not None:
        kinds = target.columns.setdefault(change.table, {})
        kinds.update({each.name: _plain(each.type.value) for each in change.columns if each.type is not None})


def _plain(word: str) -> str:
    return _CAST_NAMES.get(word, word)


# -- CONCURRENTLY ----------------------------------------------------------------------------------------------------


def _concurrently(change: Change, alone: bool) -> Iterator[Found]:
    if change.concurrently and not alone:
        yield Found(
            CONCURRENTLY,
            "CONCURRENTLY stands in a migration of several statements, which PostgreSQL runs as one transaction, and so"
            " refuses it (25001).",
            "Give it a migration of its own, with this statement alone.",
        )


# -- what is absent --------------------------------------------------------------------------------------------------


def _absent(target: Target, part: Part, change: Change) -> Iterator[Found]:
    if change.kind == "create extension":
        for _kind, name in change.creates:
            if name.name not in target.available | target.extensions:
                yield Found(
                    ABSENT_EXTENSION,
                    f"The server cannot make the extension {name}: its files are not installed there.",
                    "Use an image that has it, such as pgvector/pgvector for vector, before this is deployed.",
                )
    for extension, words in _missing_extensions(target, part, change).items():
        yield Found(
            ABSENT_EXTENSION,
            f"{', '.join(words)} comes with the extension {extension}, which this database does not have.",
            f'Write CREATE EXTENSION IF NOT EXISTS "{extension}"; before it, or have an administrator run that.',
        )
    for kind, name in change.needs:
        if kind == TABLE and name not in target.relations and (kind, name) not in change.creates:
            yield Found(
                ABSENT_TABLE,
                f"The table {name} is neither in this database nor made by an earlier pending migration.",
                "Is this the right database? If it is, the schema has drifted: compare it by 'prisma migrate diff'.",
            )
        elif kind == TYPE and name.name not in target.types:
            yield _absent_type(name.name)
    for column in change.columns:
        # Quoted, it is a type of the schema's own; another may be written in many ways.
        if column.type is not None and column.type.kind == "quoted" and column.type.value not in target.types:
            yield _absent_type(column.type.value)


def _absent_type(name: str) -> Found:
    return Found(
        ABSENT_TYPE,
        f"The type {name} is neither in this database nor made by an earlier pending migration.",
        "Is this the right database? If it is, the schema has drifted: compare it by 'prisma migrate diff'.",
    )


def _missing_extensions(target: Target, part: Part, change: Change) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if change.kind not in _USES_TYPES:
        return found
    known = target.types | set(target.routines)
    # A name of the statement's own is no use of what is called so.
    named = {column.name for column in change.columns}
    for before, token in zip(part.tokens, part.tokens[1:]):
        extension = _BROUGHT_BY.get(token.value) if token.kind == "word" else None
        if extension is None or extension in target.extensions or token.value in known:
            continue
        if token.value in named and before.value in (",", "("):
            continue
        words = found.setdefault(extension, [])
        if token.value not in words:
            words.append(token.value)
    return found


# -- what an index may not be made of --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    name: str
    arguments: tuple[tuple[Token, ...], ...]


def _expressions(index: IndexParts) -> Iterator[Sequence[Token]]:
    yield from index.elements
    if index.predicate:
        yield index.predicate


def _calls(items: Sequence[Token]) -> Iterator[_Call]:
    for at, token in enumerate(items[:-1]):
        if not token.is_name or items[at + 1].value != "(" or (token.kind == "word" and token.value in _SYNTAX):
            continue
        if at and items[at - 1].value == ":":
            continue  # a cast to a type with a length
        arguments = _arguments(items[at + 2 :])
        if token.says("extract") and len(arguments) == 1:
            # EXTRACT(field FROM value)
            yield _Call("date_part", (arguments[0][:1], arguments[0][2:]))
        else:
            yield _Call(token.value, arguments)


def _arguments(items: Sequence[Token]) -> tuple[tuple[Token, ...], ...]:
    found: list[tuple[Token, ...]] = []
    depth = 0
    current: list[Token] = []
    for token in items:
        if token.value == ")" and depth == 0:
            break
        if token.value == "," and depth == 0:
            found.append(tuple(current))
            current = []
            continue
        depth += {"(": 1, ")": -1}.get(token.value, 0) if token.kind == "other" else 0
        current.append(token)
    if current:
        found.append(tuple(current))
    return tuple(found)


def _changing(target: Target, index: IndexParts) -> Iterator[Found]:
    kinds = target.columns.get(index.table, {})
    said: set[str] = set()
    for expression in _expressions(index):
        for what, reason in _what_changes(target, expression, kinds):
            if what not in said:
                said.add(what)
                yield Found(
                    NON_IMMUTABLE,
                    f"{what} in the index on {index.table} {reason}, and PostgreSQL refuses it there (42P17).",
                    "Index the plain column, or a column that is filled with the value; or wrap it into a function"
                    " that is truly IMMUTABLE, such as one with a fixed time zone.",
                )


def _what_changes(target: Target, items: Sequence[Token], kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    for token in items:
        if token.says(*_MOMENTS):
            yield token.value.upper(), "gives another value at another time or for another session"
    for call in _calls(items):
        found = _fitting(target.routines.get(call.name, []), call, kinds)
        if found and all(routine.volatility != "i" for routine in found):
            yield f"{call.name}()", "is not IMMUTABLE"
    plain = _without_parentheses(items)
    for at, token in enumerate(plain[:-3]):
        if token.is_name and plain[at + 1].value == ":" and plain[at + 2].value == ":":
            source, result = kinds.get(token.value, ""), _plain(plain[at + 3].value)
            # A cast without a function goes through text, and how a time is written depends on the settings.
            through_text = "s" if source and source != result and (source in _TIMES or result in _TIMES) else "i"
            if target.casts.get((source, result), through_text) != "i":
                yield f"{token.value}::{plain[at + 3].value}", "depends on the time zone or other settings"


def _without_parentheses(items: Sequence[Token]) -> list[Token]:
    """The tokens, with a column that stands alone in its parentheses freed of them."""
    found = list(items)
    at = 0
    while at < len(found) - 2:
        called = at > 0 and found[at - 1].is_name
        if found[at].value == "(" and not called and found[at + 1].is_name and found[at + 2].value == ")":
            found[at : at + 3] = [found[at + 1]]
        else:
            at += 1
    return found


def _fitting(routines: Iterable[Routine], call: _Call, kinds: dict[str, str]) -> list[Routine]:
    """The functions that can be meant, by the number of arguments and by the types of plain columns."""
    found = [routine for routine in routines if routine.takes(len(call.arguments))]
    for position, argument in enumerate(call.arguments):
        known = kinds.get(argument[0].value) if len(argument) == 1 and argument[0].is_name else None
        if known is not None:
            exact = [each for each in found if position < len(each.types) and each.types[position] == known]
            found = exact or found
    return found


def size_of(target: Target, tables: Iterable[Name]) -> tuple[Name | None, Relation]:
    """The largest of these tables."""
    known = [(name, target.relations[name]) for name in tables if name in target.relations]
    if not known:
        return None, Relation(0, 0)
    return max(known, key=lambda each: (each[1].rows, each[1].bytes))
