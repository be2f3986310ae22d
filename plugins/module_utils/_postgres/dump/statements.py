# SPDX-License-Identifier: GPL-3.0-or-later
"""What one statement of a dump does: which object it makes, or why it must not run.

The vocabulary is pg_dump's own (versions 9.6 to 18). What pg_dump never writes is refused, because nobody can say what
it would do to the server: a filter of forbidden words would have to know them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from .model import LEAVES_DATABASE, RUNS_PROGRAM, UNKNOWN_STATEMENT, UNSUPPORTED, Catalogue, DumpRejected


class Phase(Enum):
    """When a statement may run, relative to the others."""

    IN_ORDER = "in order"
    SETTING = "setting"
    INSERT = "insert"
    INDEX = "index"
    FOREIGN_KEY = "foreign key"
    EXTENSION = "extension"
    REFRESH = "refresh"
    CLEAN = "clean"


@dataclass(frozen=True)
class Name:
    """The name of an object, unquoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Understood:
    """A statement and what it is about."""

    phase: Phase
    kind: str
    name: Name | None = None
    table: Name | None = None
    #: Of a foreign key: the table that it points to.
    references: Name | None = None


_TOKEN = re.compile(
    rb"""
      (?P<space>\s+|--[^\n]*\n?)
    | (?P<comment>/\*)
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*')
    | (?P<dollar>\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)
    | (?P<word>[A-Za-z_\x80-\xff][\w$\x80-\xff]*)
    | (?P<other>\d+(?:\.\d+)?|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
# A doubled quote ends one string and begins the next, which comes to the same; not so behind a backslash.
_ESCAPED = rb"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'"
_STRING = re.compile(rb"[eE]" + _ESCAPED + rb"|'[^']*'", re.DOTALL)
_STRING_WITH_ESCAPES = re.compile(_ESCAPED, re.DOTALL)
_TO_VALUES = re.compile(rb"""(?:"[^"]*"|[^"'])*?\bvalues\b""", re.IGNORECASE)
_AROUND_LITERALS = b" \t\r\n(),.+-0123456789"
# The last are the beginnings of strings, and exponents.
_LITERAL_WORDS = re.compile(rb"(?:VALUES|NULL|DEFAULT|true|false|[eEbBxX])*(?:ONCONFLICTDONOTHING)?", re.IGNORECASE)
# Enough for every head that is looked at; column lists and role lists are read to their end.
_HEAD = 16

_HARMLESS_FUNCTIONS = {
    "set_config", "setval", "lo_create", "lo_open", "lo_close", "lo_unlink", "lowrite", "loread", "lo_from_bytea",
    "lo_put", "pg_restore_relation_stats", "pg_restore_attribute_stats", "pg_restore_extended_stats",
    "pg_clear_relation_stats", "pg_clear_attribute_stats", "pg_extension_config_dump",
}  # fmt: skip
#: Of these, the ones that carry data.
BULK_FUNCTIONS = {"lo_create", "lo_open", "lo_close", "lowrite", "lo_from_bytea", "lo_put"}
#: Statements about the database itself that pg_dump before 11 writes into every dump.
DATABASES_OWN = {"comment on database", "security label on database"}
_CREATES = {
    "access method", "aggregate", "cast", "collation", "constraint trigger", "conversion", "default conversion",
    "domain", "event trigger", "extension", "foreign data wrapper", "foreign table", "function", "index", "language",
    "materialized view", "operator", "operator class", "operator family", "policy", "procedure", "publication", "rule",
    "schema", "sequence", "server", "statistics", "table", "text search configuration", "text search dictionary",
    "text search parser", "text search template", "transform", "trigger", "type", "unique index", "unlogged sequence",
    "unlogged table", "user mapping", "view", "procedural language", "trusted language",
    "trusted procedural language", "recursive view",
}  # fmt: skip
# Of these, the ones whose names stand in no schema, or not in one of their own.
_WITHOUT_SCHEMA = {
    "access method", "cast", "event trigger", "extension", "foreign data wrapper", "index", "language", "policy",
    "procedural language", "publication", "rule", "schema", "server", "transform", "trigger", "trusted language",
    "trusted procedural language", "unique index", "user mapping",
}  # fmt: skip
_FIRST_WORDS = {kind.split(" ", 1)[0] for kind in _CREATES}
_ALTERS = (_FIRST_WORDS - {"user"}) | {"large"}
_DROPS = _FIRST_WORDS | {"subscription"}
_CLUSTER_WIDE = {"database", "role", "user", "group", "tablespace", "system"}
_SETTINGS = {
    "check_function_bodies", "client_encoding", "client_min_messages", "default_table_access_method",
    "default_tablespace", "default_with_oids", "escape_string_warning", "idle_in_transaction_session_timeout",
    "idle_session_timeout", "lock_timeout", "row_security", "search_path", "standard_conforming_strings",
    "statement_timeout", "transaction_timeout", "xmloption",
}  # fmt: skip
# The role that every owner of a database is in that database; pg_dump --schema=public says so of the schema.
_WHOEVER_OWNS_IT = "pg_database_owner"
# A superuser's session becomes the owner before it loads; nothing in the dump may turn it back.
_WHO_AND_HOW = {"role", "authorization", "session_authorization", "transaction"}
_CONSTRAINT_KINDS = {"primary": "primary key", "unique": "unique", "foreign": "foreign key", "check": "check"}
_NOT_COLUMNS = {"constraint", "check", "unique", "primary", "exclude", "foreign", "like"}


@dataclass(frozen=True)
class Token:
    """One token: a bare word is lower-cased, as the server would."""

    kind: str
    value: str

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.value in words


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of a statement, without white space and comments."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return
        kind, at = match.lastgroup, match.end()
        if kind == "comment":
            at = _after_comment(text, match.start())
        elif kind == "dollar":
            end = text.find(match.group(), at)
            at = len(text) if end < 0 else end + len(match.group())
            yield Token("string", "")
        elif kind == "quoted":
            yield Token(kind, match.group()[1:-1].decode("utf-8", "surrogateescape").replace('""', '"'))
        elif kind == "word":
            yield Token(kind, match.group().decode("utf-8", "surrogateescape").lower())
        elif kind == "string":
            yield Token(kind, _string_value(match.group().decode("utf-8", "surrogateescape")))
        elif kind == "other":
            yield Token(kind, match.group().decode("latin-1"))


def _string_value(literal: str) -> str:
    """What a string literal stands for; of the escapes, pg_dump writes only the doubled backslash."""
    if literal[0] in "eE":
        return literal[2:-1].replace("''", "'").replace("\\\\", "\\")
    return literal[1:-1].replace("''", "'")


def _after_comment(text: bytes, start: int) -> int:
    depth, at = 0, start
    while found := _COMMENT_EDGE.search(text, at):
        depth += 1 if found.group() == b"/*" else -1
        at = found.end()
        if depth == 0:
            return at
    return len(text)


class Cursor:
    """Walks over tokens.

    :param schema: where names without a schema are.
    """

    def __init__(self, items: Iterator[Token], schema: str = "") -> None:
        self._items = items
        self._schema = schema
        self._next: Token | None = next(items, None)

    @property
    def token(self) -> Token | None:
        return self._next

    def take(self) -> Token | None:
        token, self._next = self._next, next(self._items, None)
        return token

    def skip(self, *words: str) -> bool:
        """Step over these words if they come next, one after the other; each may be missing."""
        stepped = False
        for word in words:
            if self._next is not None and self._next.says(word):
                self.take()
                stepped = True
        return stepped

    def name(self) -> Name | None:
        """A possibly qualified name."""
        parts = []
        while (token := self._next) is not None and token.is_name:
            parts.append(token.value)
            self.take()
            if self._next is None or self._next.value != ".":
                break
            self.take()
        if not parts:
            return None
        return Name(".".join(parts[:-1]), parts[-1])

    def named(self) -> Name | None:
        """The name of what lies in a schema."""
        name = self.name()
        return Name(self._schema, name.name) if name is not None and not name.schema else name

    def until(self, *words: str) -> str | None:
        """Go behind the next of these words that stands outside of parentheses; says which it was."""
        depth = 0
        while (token := self.take()) is not None:
            if token.kind == "other":
                depth += {"(": 1, ")": -1}.get(token.value, 0)
            elif depth == 0 and token.says(*words):
                return token.value
        return None


def target_table(text: bytes, schema: str = "") -> Name | None:
    """The table of ``COPY table`` and ``INSERT INTO table``.

    :param schema: where a name without a schema is.
    """
    cursor = Cursor(tokens(text), schema)
    cursor.skip("copy", "insert", "into")
    return cursor.named()


def understand(text: bytes, place: str, catalogue: Catalogue, owners: set[str], roles: set[str]) -> Understood:
    """Classify a statement and note what it makes; raises :class:`DumpRejected` for what must not run.

    :param place: where the statement stands, for messages.
    """
    cursor = Cursor(tokens(text), catalogue.search_schema)
    first = cursor.take()
    word = first.value if first is not None and first.kind == "word" else ""
    if word == "insert":
        return _insert(cursor, text, place, catalogue.search_schema)
    if word == "create":
        return _create(cursor, text, place, catalogue, roles)
    if word == "alter":
        return _alter(cursor, text, place, catalogue, owners, roles)
    if word == "set":
        return _set(cursor, place, catalogue, roles)
    if word == "reset":
        return _reset(cursor, place)
    if word == "select":
        return _select(cursor, place)
    if word in ("grant", "revoke"):
        return _grant(cursor, place, roles)
    if word == "comment":
        return _comment(cursor, place)
    if word == "refresh":
        cursor.skip("materialized", "view", "concurrently")
        return Understood(Phase.REFRESH, "refresh", cursor.named())
    if word == "drop":
        return _drop(cursor, place)
    if word == "security":
        return _security_label(cursor, place)
    if word in ("begin", "commit"):
        return Understood(Phase.IN_ORDER, word)
    if word == "copy":
        raise DumpRejected(
            RUNS_PROGRAM,
            "COPY in a form that pg_dump never writes: it may use a file or a program of the server",
            place,
        )
    if word in ("do", "load", "call"):
        raise DumpRejected(RUNS_PROGRAM, f"{word.upper()} would run code; pg_dump never writes it", place)
    raise DumpRejected(
        UNKNOWN_STATEMENT,
        f"pg_dump never writes a statement that begins with '{_beginning(text)}'",
        place,
        "Use a dump as pg_dump made it; this one was edited, damaged or made by another program.",
    )


def _beginning(text: bytes) -> str:
    return text[:30].decode("utf-8", "replace").split("\n", maxsplit=1)[0].strip()


def _leaves(what: str, place: str) -> DumpRejected:
    return DumpRejected(
        LEAVES_DATABASE,
        f"{what} reaches beyond the one database that is restored",
        place,
        "Use a dump of pg_dump without --create; a pg_dumpall script must be split first.",
    )


def _set(cursor: Cursor, place: str, catalogue: Catalogue, roles: set[str]) -> Understood:
    cursor.skip("local")
    name = cursor.name()
    if name is not None and name.name == "session" and cursor.skip("authorization"):
        # A name, and no string: so pg_dump begins the grants of another role; the judge sees that nothing else follows.
        if cursor.token is None or not cursor.token.is_name or cursor.token.says("default"):
            raise role_changed(place)
        roles.add(cursor.token.value)
        return Understood(Phase.IN_ORDER, "become role", Name("", cursor.token.value))
    if name is not None and name.name == "session":
        name = cursor.name()
    if name is None or name.name.lower() in _WHO_AND_HOW:
        raise role_changed(place)
    if name.name not in _SETTINGS:
        raise DumpRejected(UNKNOWN_STATEMENT, f"pg_dump never sets {name}", place)
    if name.name == "search_path":
        cursor.take()
        first = cursor.take()
        known = first is not None and first.is_name and first.value != "pg_catalog"
        catalogue.search_schema = first.value if known and first is not None else ""
    return Understood(Phase.SETTING, "set", name)


def _reset(cursor: Cursor, place: str) -> Understood:
    if cursor.skip("session") and cursor.skip("authorization") and cursor.token is None:
        return Understood(Phase.IN_ORDER, "become owner")
    raise role_changed(place)


def role_changed(place: str) -> DumpRejected:
    """The rejection of a dump that would run as somebody else than the database's owner."""
    return DumpRejected(
        UNSUPPORTED,
        "the dump changes the role or the transaction that it runs in",
        place,
        "Make the dump without --use-set-session-authorization.",
    )


def _insert(cursor: Cursor, text: bytes, place: str, schema: str) -> Understood:
    if cursor.until("values", "select", "with", "table") != "values":
        raise DumpRejected(RUNS_PROGRAM, "INSERT takes its rows from a query, which pg_dump never writes", place)
    return Understood(Phase.INSERT, "insert", table=target_table(text, schema))


def only_literals(insert: bytes, conforming: bool) -> bool:
    """Whether the rows of an INSERT are numbers, strings and the like, as pg_dump writes them, and call no function.

    :param conforming: whether a backslash in a string without an E before it is only a backslash.
    """
    at = insert.find(b" VALUES")
    if at < 0 or insert.count(b'"', 0, at) % 2:
        found = _TO_VALUES.match(insert)
        at = found.end() if found else 0
    rest = (_STRING if conforming else _STRING_WITH_ESCAPES).sub(b"", insert[at:])
    # In a comment, a quote would begin no string.
    if b"--" in rest:
        return False
    return _only_known_words(rest.translate(None, _AROUND_LITERALS))


@lru_cache(maxsize=1000)
def _only_known_words(words: bytes) -> bool:
    return _LITERAL_WORDS.fullmatch(words) is not None


def _select(cursor: Cursor, place: str) -> Understood:
    # pg_dump 18 writes statistics as SELECT * FROM pg_restore_…_stats().
    if cursor.token is not None and cursor.token.value == "*":
        cursor.take()
        cursor.skip("from")
    function = cursor.name()
    opened = cursor.take()
    called = function is not None and opened is not None and opened.value == "("
    if not (called and function and function.schema == "pg_catalog" and function.name in _HARMLESS_FUNCTIONS):
        raise DumpRejected(
            RUNS_PROGRAM, f"SELECT calls {function or 'an expression'}, which pg_dump never writes", place
        )
    setting = cursor.token
    if function.name == "set_config" and (setting is None or setting.value != "search_path"):
        raise DumpRejected(RUNS_PROGRAM, "set_config of another setting than search_path", place)
    if function.name == "lo_unlink":
        # Left out, whatever follows: pg_dump --clean --if-exists asks the catalogue for the object.
        return Understood(Phase.CLEAN, function.name)
    while (token := cursor.take()) is not None and token.value != ")":
        if token.value == "(":
            raise DumpRejected(RUNS_PROGRAM, f"the arguments of {function} are no plain values", place)
    if cursor.token is not None:
        raise DumpRejected(RUNS_PROGRAM, f"something follows the call of {function}", place)
    if function.name == "set_config":
        return Understood(Phase.SETTING, "set_config", Name("", "search_path"))
    return Understood(Phase.IN_ORDER, function.name)


def _kind(cursor: Cursor, known: set[str]) -> str:
    """The longest run of words that names a kind of object."""
    words: list[str] = []
    while cursor.token is not None and cursor.token.kind == "word" and len(words) < 3:
        longer = " ".join([*words, cursor.token.value])
        if not any(kind == longer or kind.startswith(longer + " ") for kind in known):
            break
        words.append(cursor.token.value)
        cursor.take()
    return " ".join(words)


def _create(cursor: Cursor, text: bytes, place: str, catalogue: Catalogue, roles: set[str]) -> Understood:
    replaces = cursor.skip("or", "replace")
    kind = _kind(cursor, _CREATES)
    if kind not in _CREATES:
        what = cursor.token.value if cursor.token else "?"
        if what in _CLUSTER_WIDE or kind in _CLUSTER_WIDE:
            raise _leaves(f"CREATE {(kind or what).upper()}", place)
        if what == "subscription":
            raise DumpRejected(
                LEAVES_DATABASE, "CREATE SUBSCRIPTION", place, "Make the dump with pg_dump --no-subscriptions."
            )
        raise DumpRejected(UNKNOWN_STATEMENT, f"pg_dump never writes CREATE {what.upper()}", place)
    kind = kind.replace("unlogged ", "").replace("recursive ", "").replace("constraint trigger", "trigger")
    cursor.skip("concurrently")
    cursor.skip("if", "not", "exists")
    name = cursor.name() if kind in _WITHOUT_SCHEMA else cursor.named()
    if kind in ("index", "unique index"):
        cursor.until("on")
        cursor.skip("only")
        table = cursor.named()
        if name is not None and table is not None:
            name = Name(table.schema, name.name)
            catalogue.indexes.add(str(name))
        return Understood(Phase.INDEX, "index", name, table)
    if kind == "view" and replaces and str(name) not in catalogue.views:
        # So pg_dump --clean cuts the ties of a view before it drops it.
        return Understood(Phase.CLEAN, kind, name)
    if name is not None:
        _note_created(kind, name, cursor, place, catalogue, roles)
    return Understood(Phase.EXTENSION if kind == "extension" else Phase.IN_ORDER, kind, name)


def _note_created(kind: str, name: Name, cursor: Cursor, place: str, catalogue: Catalogue, roles: set[str]) -> None:
    if kind in ("table", "foreign table"):
        _note_table(name, cursor, place, catalogue)
    elif kind in ("function", "procedure", "aggregate"):
        catalogue.functions[str(name)] = catalogue.functions.get(str(name), 0) + 1
    elif kind in ("view", "materialized view"):
        catalogue.views.add(str(name))
    elif kind == "trigger":
        if cursor.until("on") and (table := cursor.named()) is not None:
            catalogue.triggers.add(f"{table}.{name.name}")
    elif kind == "policy":
        cursor.skip("on")
        table = cursor.named()
        catalogue.policies.add(f"{table}.{name.name}")
        if cursor.until("to"):
            roles.update(_role_list(cursor))
    elif kind in ("type", "domain"):
        catalogue.types.add(str(name))
    elif kind == "sequence":
        catalogue.sequences.add(str(name))
    elif kind == "schema":
        catalogue.schemas.add(name.name)
    elif kind == "extension":
        catalogue.extensions.add(name.name)


def _note_table(table: Name, cursor: Cursor, place: str, catalogue: Catalogue) -> None:
    columns: list[str] = []
    if cursor.token is not None and cursor.token.value == "(":
        cursor.take()
        for element in _elements(cursor):
            if element[0].says("constraint") and len(element) > 2 and element[2].says("check"):
                catalogue.constraints[f"{table}.{element[1].value}"] = "check"
            elif element[0].is_name and not element[0].says(*_NOT_COLUMNS):
                columns.append(element[0].value)
    catalogue.tables[str(table)] = tuple(columns)
    clause = cursor.until("partition", "as")
    if clause == "as":
        raise DumpRejected(RUNS_PROGRAM, f"CREATE TABLE {table} AS runs a query, which pg_dump never writes", place)
    if clause:
        catalogue.partitioned.add(str(table))


def _elements(cursor: Cursor) -> Iterator[list[Token]]:
    """The comma-separated elements up to the closing parenthesis."""
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
            depth += {"(": 1, ")": -1}.get(token.value, 0)
        if len(element) < _HEAD:
            element.append(token)
    if element:
        yield element


def _alter(
    cursor: Cursor, text: bytes, place: str, catalogue: Catalogue, owners: set[str], roles: set[str]
) -> Understood:
    what = cursor.take()
    kind = what.value if what is not None and what.kind == "word" else ""
    if kind in _CLUSTER_WIDE:
        raise _leaves(f"ALTER {kind.upper()}", place)
    if kind not in _ALTERS:
        raise DumpRejected(UNKNOWN_STATEMENT, f"pg_dump never writes ALTER {kind.upper() or '?'}", place)
    if kind == "default":
        return _default_privileges(cursor, roles)
    if kind == "domain":
        cursor.skip("if", "exists")
        domain = cursor.named()
        if cursor.skip("drop"):
            return Understood(Phase.CLEAN, "drop constraint", domain)
    if kind == "table":
        cursor.skip("if", "exists", "only")
        table = cursor.named()
        if table is not None and cursor.skip("add"):
            return _add_constraint(cursor, text, table, catalogue)
        if table is not None and cursor.skip("drop"):
            if not cursor.skip("constraint"):
                raise DumpRejected(UNKNOWN_STATEMENT, "pg_dump never drops a part of a table but a constraint", place)
            return Understood(Phase.CLEAN, "drop constraint", table)
        if cursor.skip("force"):
            return Understood(Phase.IN_ORDER, "force row level security", table)
        if cursor.skip("alter"):
            cursor.skip("column")
            cursor.name()
            if cursor.skip("drop"):
                return Understood(Phase.CLEAN, "drop default", table)
            _note_identity(cursor, catalogue)
    found = re.search(rb'\sowner\s+to\s+("(?:[^"]|"")*"|[^\s;]+)\s*$', text, re.IGNORECASE)
    if found:
        owner = next(tokens(found.group(1)), None)
        if owner is not None and owner.value != _WHOEVER_OWNS_IT:
            owners.add(owner.value)
            roles.add(owner.value)
    return Understood(Phase.IN_ORDER, f"alter {kind}")


def _note_identity(cursor: Cursor, catalogue: Catalogue) -> None:
    if cursor.until("identity") and cursor.token is not None and cursor.token.value == "(":
        cursor.take()
        cursor.skip("sequence", "name")
        if (name := cursor.named()) is not None:
            catalogue.sequences.add(str(name))


def _add_constraint(cursor: Cursor, text: bytes, table: Name, catalogue: Catalogue) -> Understood:
    if not cursor.skip("constraint"):
        return Understood(Phase.IN_ORDER, "alter table")
    name = cursor.name()
    word = cursor.take()
    kind = _CONSTRAINT_KINDS.get(word.value if word else "", word.value if word else "")
    if name is None or kind == "not":
        return Understood(Phase.IN_ORDER, "alter table")
    key = f"{table}.{name.name}"
    catalogue.constraints[key] = kind
    if re.search(rb"\snot\s+valid\s*$", text, re.IGNORECASE):
        catalogue.not_valid.add(key)
    full = Name(table.schema, name.name)
    if kind == "foreign key":
        referenced = cursor.named() if cursor.until("references") else None
        return Understood(Phase.FOREIGN_KEY, kind, full, table, referenced)
    if kind in ("primary key", "unique", "exclude"):
        catalogue.indexes.add(str(full))
        return Understood(Phase.INDEX, kind, full, table)
    return Understood(Phase.IN_ORDER, kind, full, table)


def _default_privileges(cursor: Cursor, roles: set[str]) -> Understood:
    cursor.skip("privileges")
    if cursor.skip("for"):
        cursor.skip("role", "user")
        roles.update(_role_list(cursor))
    if cursor.until("to", "from"):
        roles.update(_role_list(cursor))
    return Understood(Phase.IN_ORDER, "alter default privileges")


def _role_list(cursor: Cursor) -> set[str]:
    found = set()
    while cursor.token is not None and cursor.token.is_name:
        token = cursor.take()
        if token is not None and not token.says("public", "group"):
            found.add(token.value)
        if cursor.token is None or cursor.token.value != ",":
            break
        cursor.take()
    return found


def _grant(cursor: Cursor, place: str, roles: set[str]) -> Understood:
    if not cursor.until("on"):
        raise _leaves("GRANT of a role", place)
    kind = cursor.token.value if cursor.token else ""
    if kind in ("database", "tablespace", "parameter"):
        raise _leaves(f"GRANT ON {kind.upper()}", place)
    if cursor.until("to", "from"):
        roles.update(_role_list(cursor))
    return Understood(Phase.IN_ORDER, "grant")


def _comment(cursor: Cursor, place: str) -> Understood:
    cursor.skip("on")
    kind = cursor.token.value if cursor.token else ""
    if kind == "database":
        # In every dump of pg_dump before 11; the restored database keeps the comment of the one that it replaces.
        return Understood(Phase.CLEAN, "comment on database")
    if kind in ("role", "tablespace"):
        raise _leaves(f"COMMENT ON {kind.upper()}", place)
    return Understood(Phase.EXTENSION if kind == "extension" else Phase.IN_ORDER, f"comment on {kind}")


def _security_label(cursor: Cursor, place: str) -> Understood:
    cursor.until("on")
    kind = cursor.token.value if cursor.token else ""
    if kind == "database":
        return Understood(Phase.CLEAN, "security label on database")
    if kind in ("role", "tablespace"):
        raise _leaves(f"SECURITY LABEL ON {kind.upper()}", place)
    return Understood(Phase.IN_ORDER, "security label")


def _drop(cursor: Cursor, place: str) -> Understood:
    kind = cursor.token.value if cursor.token else ""
    cursor.take()
    if kind == "user" and cursor.skip("mapping"):
        return Understood(Phase.CLEAN, "drop user mapping")
    if kind in _CLUSTER_WIDE:
        raise _leaves(f"DROP {kind.upper()}", place)
    if kind not in _DROPS:
        raise DumpRejected(UNKNOWN_STATEMENT, f"pg_dump never writes DROP {kind.upper() or '?'}", place)
    return Understood(Phase.CLEAN, f"drop {kind}")
