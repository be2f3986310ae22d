# SPDX-License-Identifier: GPL-3.0-or-later
"""What the statements of a dump promise about the database that they make: objects, and facts about them.

Only what every server from 12 to 18 says in the same words is a promise. Expressions are none (of defaults, checks,
views, partial indexes, functions): PostgreSQL writes them anew in the words of its own version, so that a faithful
restore may differ from its dump there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..dump.model import Dump
from ..dump.reader import in_utf8
from ..dump.script import Step
from ..dump.statements import Phase, Token, tokens

#: By kind of object, and by name: what is said of it; an empty text when its being there is all.
Facts = dict[str, dict[str, str]]

EXPRESSION = "an expression"
_TABLE_CONSTRAINTS = {"constraint", "check", "unique", "primary", "exclude", "foreign", "like"}
_BEHIND_A_TYPE = {"collate", "default", "not", "null", "generated", "constraint", "options"}
_KINDS_OF_RELATIONS = {"table", "sequence", "view", "materialized", "foreign"}
# Names alone are compared of these; the value is the kind in the words of `catalogue.py`.
_NAMED = {
    "collation": "collation", "statistics": "statistics object", "publication": "publication",
    "event trigger": "event trigger", "server": "foreign server", "foreign data wrapper": "foreign data wrapper",
    "operator class": "operator class", "operator family": "operator family", "conversion": "conversion",
    "text search configuration": "text search configuration", "text search dictionary": "text search dictionary",
    "access method": "access method",
}  # fmt: skip


@dataclass
class Promises:
    """What a dump promises.

    :param grants: privileges by kind of object, object and role; ``ALL`` is one of its own.
    :param denied: the same of what was revoked, before anything was granted.
    """

    facts: Facts = field(default_factory=dict)
    grants: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    denied: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)

    def note(self, kind: str, name: str, fact: str = "") -> None:
        self.facts.setdefault(kind, {})[name] = fact


def promises(dump: Dump, renamed: Mapping[str, str]) -> Promises:
    """Everything that a dump promises.

    :param renamed: roles that have another name on this server.
    """
    promised = _of_the_judge(dump)
    # What is revoked from a role that is not here must not be taken from the one that stands in for it.
    stand_ins = renamed.keys() - dump.owners
    for step in dump.script:
        if isinstance(step, Step) and step.understood.phase is not Phase.CLEAN:
            words = list(tokens(in_utf8(step.text, dump.encoding)))
            _Statement(words, promised, renamed, stand_ins).note(step.understood.kind)
    return promised


def _of_the_judge(dump: Dump) -> Promises:
    objects, promised = dump.catalogue, Promises()
    named = {
        "table": objects.tables, "index": objects.indexes, "sequence": objects.sequences, "view": objects.views,
        "trigger": objects.triggers, "type": objects.types, "policy": objects.policies,
        "extension": objects.extensions, "schema": objects.schemas,
        "column": [f"{table}.{column}" for table, columns in objects.tables.items() for column in columns],
        "function": [f"{name} #{n + 1}" for name, count in objects.functions.items() for n in range(count)],
    }  # fmt: skip
    promised.facts = {kind: dict.fromkeys(names, "") for kind, names in named.items()}
    promised.facts["state of trigger"] = dict.fromkeys(objects.triggers, "enable")
    promised.facts["constraint"] = {f"{name} ({kind})": "" for name, kind in objects.constraints.items()}
    return promised


class _Statement:
    """One statement, as its tokens from left to right."""

    def __init__(
        self, words: list[Token], promised: Promises, renamed: Mapping[str, str], stand_ins: Collection[str]
    ) -> None:
        self._words = words
        self._at = 0
        self._promised = promised
        self._renamed = renamed
        self._stand_ins = stand_ins

    def note(self, kind: str) -> None:
        if self._skip("create"):
            self._create(kind)
        elif self._skip("alter"):
            self._alter()
        elif self._skip("grant"):
            self._grant()
        elif self._skip("revoke"):
            self._revoke()
        elif self._skip("refresh"):
            self._skip("materialized", "view", "concurrently")
            self._promised.note("filled materialized view", self._name())
        elif kind == "setval":
            self._setval()

    # -- walking -------------------------------------------------------------------------------------------------

    def _says(self, *words: str) -> bool:
        return self._at < len(self._words) and self._words[self._at].says(*words)

    def _is(self, value: str) -> bool:
        token = self._words[self._at] if self._at < len(self._words) else None
        return token is not None and token.kind == "other" and token.value == value

    def _skip(self, *words: str) -> bool:
        """Step over these words, each of which may be missing."""
        begun = self._at
        for word in words:
            self._at += self._says(word)
        return self._at > begun

    def _to(self, *words: str) -> bool:
        """Go behind the next of these words that stands outside of parentheses; stay where it is without one."""
        depth = 0
        for at in range(self._at, len(self._words)):
            token = self._words[at]
            if token.kind == "other":
                depth += {"(": 1, ")": -1}.get(token.value, 0)
            elif depth == 0 and token.says(*words):
                self._at = at + 1
                return True
        return False

    def _name(self) -> str:
        """A possibly qualified name."""
        return ".".join(self._parts())

    def _parts(self) -> list[str]:
        parts = []
        while self._at < len(self._words) and self._words[self._at].is_name:
            parts.append(self._words[self._at].value)
            self._at += 1
            if not self._is("."):
                break
            self._at += 1
        return parts

    def _elements(self) -> Iterator[list[Token]]:
        """The comma-separated elements of the parentheses that open here; goes behind them."""
        if not self._is("("):
            return
        depth, element = 0, list[Token]()
        for token in self._words[self._at + 1 :]:
            self._at += 1
            if token.kind == "other":
                depth += {"(": 1, ")": -1}.get(token.value, 0)
            if depth < 0:
                break
            if depth == 0 and token.kind == "other" and token.value == ",":
                yield element
                element = []
            else:
                element.append(token)
        self._at += 1
        if element:
            yield element

    def _column_names(self) -> list[str]:
        return [element[0].value if _is_column(element) else EXPRESSION for element in self._elements()]

    # -- CREATE --------------------------------------------------------------------------------------------------

    def _create(self, kind: str) -> None:
        unique, unlogged = self._skip_to_kind()
        if kind == "index":
            self._index(unique)
        elif kind == "table":
            self._to("table")
            self._table(unlogged)
        elif kind == "sequence":
            self._to("sequence")
            self._sequence(self._name())
        elif kind == "type":
            self._to("type")
            self._enum(self._name())
        elif kind == "rule":
            self._to("rule")
            rule = self._name()
            self._to("to")
            self._promised.note("rule", f"{self._name()}.{rule}")
        elif kind in _NAMED:
            self._to(kind.rsplit(" ", 1)[-1])
            self._promised.note(_NAMED[kind], self._name())

    def _skip_to_kind(self) -> tuple[bool, bool]:
        self._skip("or", "replace")
        return self._skip("unique"), self._skip("unlogged")

    def _index(self, unique: bool) -> None:
        self._to("index")
        index = self._name()
        self._to("on")
        self._skip("only")
        table = self._parts()
        self._skip("using")
        method = self._name()
        keys = self._column_names()
        included = self._column_names() if self._skip("include") else []
        self._promised.note(
            "definition of index", ".".join((*table[:-1], index)),
            index_fact(".".join(table), method, keys, included, unique=unique, partial=self._to("where")),
        )  # fmt: skip

    def _table(self, unlogged: bool) -> None:
        table = self._name()
        self._promised.note("persistence of table", table, "unlogged" if unlogged else "logged")
        for element in self._elements():
            if element[0].is_name and not element[0].says(*_TABLE_CONSTRAINTS):
                self._column(f"{table}.{element[0].value}", element[1:])
        if self._skip("inherits"):
            for parent in self._elements():
                self._promised.note("inheritance", f"{table} from {''.join(token.value for token in parent)}")

    def _column(self, column: str, words: Sequence[Token]) -> None:
        behind = next((at for at, word in enumerate(words) if word.says(*_BEHIND_A_TYPE)), len(words))
        self._promised.note("type of column", column, type_fact(words[:behind]))
        rest, depth = words[behind:], 0
        for at, word in enumerate(rest):
            if word.kind == "other":
                depth += {"(": 1, ")": -1}.get(word.value, 0)
            elif depth == 0 and word.says("default"):
                self._promised.note("default of column", column)
            elif depth == 0 and word.says("generated"):
                self._promised.note("generated column", column)
            elif depth == 0 and word.says("null") and rest[at - 1].says("not"):
                self._promised.note("NOT NULL of column", column)

    def _sequence(self, sequence: str) -> None:
        step = self._words[self._at :]
        self._promised.note("steps of sequence", sequence, sequence_fact(_number_behind(step, "by"), _cycles(step)))

    def _enum(self, name: str) -> None:
        if self._skip("as", "enum"):
            labels = [element[0].value for element in self._elements() if element[0].kind == "string"]
            if labels:
                self._promised.note("labels of enum", name, ", ".join(labels))

    def _setval(self) -> None:
        opening = next(at for at, word in enumerate(self._words) if word.value == "(")
        sequence, _comma, *value = self._words[opening + 1 :]
        called = any(word.says("true") for word in value)
        name = ".".join(
            token.value for token in tokens(sequence.value.encode("utf-8", "surrogateescape")) if token.is_name
        )
        self._promised.note("value of sequence", name, value_fact(_signed(value), called))

    # -- ALTER ---------------------------------------------------------------------------------------------------

    def _alter(self) -> None:
        kind = self._words[self._at].value if self._at < len(self._words) else ""
        self._at += 1
        if kind in _KINDS_OF_RELATIONS:
            self._skip("table", "view", "if", "exists", "only")
            self._alter_relation(self._name())
        elif kind == "index":
            index = self._name()
            if self._skip("attach"):
                self._skip("partition")
                self._promised.note("inheritance", f"{self._name()} from {index}")
        elif kind in ("schema", "type", "domain"):
            name = self._name()
            if self._skip("owner"):
                self._owner(kind.replace("domain", "type"), name)

    def _alter_relation(self, relation: str) -> None:
        if self._skip("owner"):
            self._owner("relation", relation)
        elif self._skip("owned"):
            self._skip("by")
            self._promised.note("owned sequence", f"{relation} by {self._name()}")
        elif self._skip("attach"):
            self._skip("partition")
            self._promised.note("inheritance", f"{self._name()} from {relation}")
        elif self._skip("add"):
            self._add_constraint(relation)
        elif self._skip("alter"):
            self._skip("column")
            self._alter_column(f"{relation}.{self._name()}")
        elif self._skip("replica"):
            self._skip("identity")
            self._promised.note("replica identity of table", relation, "index" if self._says("using") else self._name())
        elif self._says("enable", "disable", "force"):
            self._switch(relation, self._words[self._at].value)

    def _owner(self, kind: str, name: str) -> None:
        self._skip("to")
        role = self._name()
        self._promised.note(f"owner of {kind}", name, self._renamed.get(role, role))

    def _alter_column(self, column: str) -> None:
        if self._skip("set"):
            if self._skip("default"):
                self._promised.note("default of column", column)
            elif self._skip("not"):
                self._promised.note("NOT NULL of column", column)
        elif self._skip("add"):
            always = self._to("always", "default") and self._words[self._at - 1].says("always")
            self._promised.note("identity of column", column, "always" if always else "by default")
            if self._to("identity"):
                self._at += 1
                self._skip("sequence", "name")
                self._sequence(self._name())

    def _switch(self, table: str, state: str) -> None:
        self._at += 1
        state = self._name() if self._says("replica", "always") else state
        if self._skip("trigger"):
            self._promised.note("state of trigger", f"{table}.{self._name()}", state)
        elif self._skip("row"):
            self._promised.note("row level security", f"{table} ({state}d)")

    def _add_constraint(self, table: str) -> None:
        if not self._skip("constraint"):
            return
        constraint = f"{table}.{self._name()}"
        kind = self._words[self._at].value if self._at < len(self._words) else ""
        if kind == "foreign":
            self._skip("foreign", "key")
            columns = self._column_names()
            self._skip("references")
            other, others = self._name(), self._column_names()
            rest = [word.value for word in self._words[self._at :]]
            actions = {event: _action(rest, event) for event in ("update", "delete")}
            self._promised.note(
                "definition of foreign key", constraint, foreign_key_fact(columns, other, others, **actions)
            )
        elif kind in ("primary", "unique"):
            while self._at < len(self._words) and not self._is("("):
                self._at += 1
            self._promised.note("definition of key", constraint, ", ".join(self._column_names()))
        if kind in ("foreign", "primary", "unique"):
            self._promised.note("timing of constraint", constraint, timing_fact(self._rest()))

    def _rest(self) -> str:
        return " ".join(word.value for word in self._words[self._at :])

    # -- GRANT ---------------------------------------------------------------------------------------------------

    def _grant(self) -> None:
        for target, privileges in self._privileges("to"):
            self._promised.grants.setdefault(target, set()).update(privileges)

    def _revoke(self) -> None:
        for target, privileges in self._privileges("from"):
            if "OPTION" not in privileges:
                self._promised.denied.setdefault(target, set()).update(privileges)

    def _privileges(self, towards: str) -> list[tuple[tuple[str, str, str], set[str]]]:
        """Object and role with the privileges; none for columns, functions and all else that is not looked at."""
        begun = self._at
        if not self._to("on"):
            return []
        named = self._words[begun : self._at - 1]
        kind = self._words[self._at].value if self._says("table", "sequence", "schema") else ""
        if not kind or any(word.value == "(" for word in named):
            return []
        self._at += 1
        target = self._name()
        self._to(towards)
        role = self._name() if not self._says("public") else ""
        if towards == "from" and role in self._stand_ins:
            return []
        privileges = {word.value.upper() for word in named if word.kind == "word" and not word.says("privileges")}
        return [(("schema" if kind == "schema" else "relation", target, self._renamed.get(role, role)), privileges)]


def _is_column(element: Sequence[Token]) -> bool:
    return element[0].is_name and (len(element) == 1 or element[1].value not in ("(", "."))


def _number_behind(words: Sequence[Token], word: str) -> int:
    at = next((at for at, token in enumerate(words) if token.says(word)), None)
    return 1 if at is None else _signed(words[at + 1 :])


def _signed(words: Sequence[Token]) -> int:
    sign = -1 if words[0].value == "-" else 1
    return sign * int(words[1 if sign < 0 else 0].value)


def _cycles(words: Sequence[Token]) -> bool:
    return any(word.says("cycle") and not before.says("no") for before, word in zip(words, words[1:]))


def _action(rest: Sequence[str], event: str) -> str:
    for at, word in enumerate(rest):
        if word == "on" and rest[at + 1 : at + 2] == [event]:
            action = rest[at + 2]
            return f"{action} {rest[at + 3]}" if action in ("set", "no") else action
    return "no action"


# -- facts in words, the same for what is promised and what is there -----------------------------------------------


def index_fact(
    table: str, method: str, keys: Sequence[str], included: Sequence[str], *, unique: bool, partial: bool
) -> str:
    return "".join(
        (
            "unique " if unique else "", f"{method} on {table} ({', '.join(keys)})",
            f" include ({', '.join(included)})" if included else "", " partial" if partial else "",
        )
    )  # fmt: skip


def type_fact(words: Sequence[Token]) -> str:
    return " ".join(word.value for word in words)


def sequence_fact(increment: int, cycles: bool) -> str:
    return f"by {increment}{' in a cycle' if cycles else ''}"


def value_fact(last: int, called: bool) -> str:
    return f"{last}" if called else f"{last}, not used yet"


def foreign_key_fact(columns: Sequence[str], other: str, others: Sequence[str], update: str, delete: str) -> str:
    return f"({', '.join(columns)}) to {other} ({', '.join(others)}) on update {update} on delete {delete}"


def timing_fact(clauses: str) -> str:
    if "initially deferred" in clauses:
        return "deferred"
    return "deferrable" if "deferrable" in clauses else "immediate"
