# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the objects of a database, and what they are, with what the statements of its dump promise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ..connect import Session, quote
from ..dump.model import Dump
from ..dump.statements import tokens
from .promised import (
    EXPRESSION,
    Promises,
    foreign_key_fact,
    index_fact,
    promises,
    sequence_fact,
    timing_fact,
    type_fact,
    value_fact,
)

_ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}
_TRIGGER_STATES = {"O": "enable", "D": "disable", "R": "replica", "A": "always"}
_REPLICA_IDENTITIES = {"d": "default", "n": "nothing", "f": "full", "i": "index"}


def _of_relation(table: str, oid: str) -> str:
    return f"{table} JOIN pg_class c ON c.oid = {oid} JOIN pg_namespace n ON n.oid = c.relnamespace"


def _relations(condition: str, fact: str = "''") -> str:
    return f"SELECT {_NAME}, {fact} FROM {_RELATIONS} WHERE {condition}"


def _columns(condition: str, fact: str = "''") -> str:
    return (
        f"SELECT {_NAME} || '.' || a.attname, {fact} FROM {_of_relation('pg_attribute a', 'a.attrelid')}"
        f" WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f', 'v') AND {condition}"
    )


def _constraints(condition: str, facts: str) -> str:
    return f"SELECT {_CONSTRAINT}, {facts} FROM {_of_relation('pg_constraint k', 'k.conrelid')} WHERE {condition}"


def _in_schema(table: str, name: str, namespace: str, fact: str = "''") -> str:
    return f"SELECT n.nspname || '.' || {name}, {fact} FROM {table} t JOIN pg_namespace n ON n.oid = {namespace}"


def _names(keys: str, table: str) -> str:
    """The columns of a key, by name; null for an expression."""
    return (
        f"ARRAY(SELECT a.attname::text FROM unnest({keys}) WITH ORDINALITY u(number, place) LEFT JOIN pg_attribute a"
        f" ON a.attrelid = {table} AND a.attnum = u.number AND u.number > 0 ORDER BY u.place)"
    )


_NAME = "n.nspname || '.' || c.relname"
_RELATIONS = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
_CONSTRAINT = f"{_NAME} || '.' || k.conname"
_TABLES = "c.relkind IN ('r', 'p', 'f')"

#: Queries by kind: the name of each object as the dump's statements give it, and what its fact is made of.
_PRESENT = {
    "table": _relations(_TABLES),
    "index": _relations("c.relkind IN ('i', 'I')"),
    "sequence": _relations("c.relkind = 'S'"),
    "view": _relations("c.relkind IN ('v', 'm')"),
    "filled materialized view": _relations("c.relkind = 'm' AND c.relispopulated"),
    "persistence of table": _relations(_TABLES, "CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'logged' END"),
    "replica identity of table": _relations(_TABLES, "c.relreplident::text"),
    "owner of relation": _relations("true", "pg_get_userbyid(c.relowner)"),
    "row level security": (
        f"SELECT {_NAME} || s.state, '' FROM {_RELATIONS}, LATERAL (VALUES (' (enabled)', c.relrowsecurity),"
        " (' (forced)', c.relforcerowsecurity)) s(state, holds) WHERE s.holds"
    ),
    "column": _columns("c.relkind <> 'v'"),
    "type of column": _columns("true", "format_type(a.atttypid, a.atttypmod)"),
    "NOT NULL of column": _columns("a.attnotnull"),
    "default of column": _columns("a.atthasdef AND a.attgenerated = ''"),
    "generated column": _columns("a.attgenerated <> ''"),
    "identity of column": _columns(
        "a.attidentity <> ''", "CASE a.attidentity WHEN 'a' THEN 'always' ELSE 'by default' END"
    ),
    "constraint": f"""
        SELECT {_CONSTRAINT} || ' (' || CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique'
            WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check' WHEN 'x' THEN 'exclude' ELSE k.contype::text END || ')',
            '' FROM {_of_relation("pg_constraint k", "k.conrelid")}""",
    "definition of key": _constraints("k.contype IN ('p', 'u')", _names("k.conkey", "k.conrelid")),
    "definition of foreign key": f"""
        SELECT {_CONSTRAINT}, {_names("k.conkey", "k.conrelid")}, fn.nspname || '.' || f.relname,
            {_names("k.confkey", "k.confrelid")}, k.confupdtype::text, k.confdeltype::text
        FROM {_of_relation("pg_constraint k", "k.conrelid")} JOIN pg_class f ON f.oid = k.confrelid
        JOIN pg_namespace fn ON fn.oid = f.relnamespace WHERE k.contype = 'f'""",
    "timing of constraint": _constraints(
        "true",
        "CASE WHEN k.condeferred THEN 'initially deferred' WHEN k.condeferrable THEN 'deferrable' ELSE '' END",
    ),
    "definition of index": f"""
        SELECT n.nspname || '.' || i.relname, {_NAME}, am.amname, x.indnkeyatts, {_names("x.indkey", "x.indrelid")},
            x.indisunique, x.indpred IS NOT NULL
        FROM {_of_relation("pg_index x", "x.indrelid")} JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_am am ON am.oid = i.relam""",
    "inheritance": f"""
        SELECT {_NAME} || ' from ' || pn.nspname || '.' || p.relname, ''
        FROM {_of_relation("pg_inherits i", "i.inhrelid")} JOIN pg_class p ON p.oid = i.inhparent
        JOIN pg_namespace pn ON pn.oid = p.relnamespace""",
    "steps of sequence": f"""
        SELECT {_NAME}, s.seqincrement, s.seqcycle FROM {_of_relation("pg_sequence s", "s.seqrelid")}""",
    "owned sequence": f"""
        SELECT {_NAME} || ' by ' || tn.nspname || '.' || t.relname || '.' || a.attname, ''
        FROM {_of_relation("pg_depend d", "d.objid")} JOIN pg_class t ON t.oid = d.refobjid
        JOIN pg_namespace tn ON tn.oid = t.relnamespace
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
            AND d.deptype = 'a'""",
    "function": """
        SELECT n.nspname || '.' || proname || ' #' || row_number() OVER (PARTITION BY n.nspname, proname), ''
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace""",
    "trigger": f"SELECT {_NAME} || '.' || t.tgname, '' FROM {_of_relation('pg_trigger t', 't.tgrelid')}",
    "state of trigger": (
        f"SELECT {_NAME} || '.' || t.tgname, t.tgenabled::text FROM {_of_relation('pg_trigger t', 't.tgrelid')}"
    ),
    "policy": f"SELECT {_NAME} || '.' || p.polname, '' FROM {_of_relation('pg_policy p', 'p.polrelid')}",
    "rule": f"SELECT {_NAME} || '.' || r.rulename, '' FROM {_of_relation('pg_rewrite r', 'r.ev_class')}",
    "type": _in_schema("pg_type", "typname", "typnamespace"),
    "owner of type": _in_schema("pg_type", "typname", "typnamespace", "pg_get_userbyid(typowner)"),
    "labels of enum": """
        SELECT n.nspname || '.' || typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = typnamespace GROUP BY 1""",
    "schema": "SELECT nspname, '' FROM pg_namespace",
    "owner of schema": "SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace",
    "extension": "SELECT extname, '' FROM pg_extension",
    "event trigger": "SELECT evtname, '' FROM pg_event_trigger",
    "publication": "SELECT pubname, '' FROM pg_publication",
    "foreign server": "SELECT srvname, '' FROM pg_foreign_server",
    "foreign data wrapper": "SELECT fdwname, '' FROM pg_foreign_data_wrapper",
    "access method": "SELECT amname, '' FROM pg_am",
    "collation": _in_schema("pg_collation", "collname", "collnamespace"),
    "statistics object": _in_schema("pg_statistic_ext", "stxname", "stxnamespace"),
    "operator class": _in_schema("pg_opclass", "opcname", "opcnamespace"),
    "operator family": _in_schema("pg_opfamily", "opfname", "opfnamespace"),
    "conversion": _in_schema("pg_conversion", "conname", "connamespace"),
    "text search configuration": _in_schema("pg_ts_config", "cfgname", "cfgnamespace"),
    "text search dictionary": _in_schema("pg_ts_dict", "dictname", "dictnamespace"),
}
_GRANTS = f"""
    SELECT 'relation', {_NAME}, CASE g.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(g.grantee) END, g.privilege_type
    FROM {_RELATIONS}, aclexplode(coalesce(c.relacl,
        acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) g
    UNION ALL
    SELECT 'schema', nspname, CASE g.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(g.grantee) END, g.privilege_type
    FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) g"""


def _type(written: str) -> str:
    return type_fact(list(tokens(written.encode())))


def _index(table: str, method: str, keys: int, columns: Sequence[str | None], unique: bool, partial: bool) -> str:
    names = [column or EXPRESSION for column in columns]
    return index_fact(table, method, names[:keys], names[keys:], unique=unique, partial=partial)


def _foreign_key(columns: Sequence[str], other: str, others: Sequence[str], update: str, delete: str) -> str:
    return foreign_key_fact(columns, other, others, _ACTIONS[update], _ACTIONS[delete])


#: How a fact is told from the columns behind the name; the one column there is, unless said here.
_FACTS: dict[str, Callable[..., str]] = {
    "type of column": _type,
    "definition of index": _index,
    "definition of foreign key": _foreign_key,
    "definition of key": ", ".join,
    "timing of constraint": timing_fact,
    "state of trigger": _TRIGGER_STATES.__getitem__,
    "replica identity of table": _REPLICA_IDENTITIES.__getitem__,
    "steps of sequence": sequence_fact,
}


def differences(session: Session, dump: Dump, deferred: Collection[str], renamed: Mapping[str, str]) -> list[str]:
    """What a database lacks of its dump, and what in it is something else.

    :param deferred: indexes that are built later.
    :param renamed: roles that have another name on this server.
    """
    promised = promises(dump, renamed)
    session.run("BEGIN READ ONLY")
    try:
        # As pg_dump has it, so that every name is written with its schema.
        session.run("SET LOCAL search_path TO ''")
        problems = [
            f"{kind} {name} is {f'{present[name]}, in the dump {fact}' if name in present else 'missing'}"
            for kind, wanted in promised.facts.items()
            for present in (_present(session, kind, wanted),)
            for name, fact in sorted(wanted.items())
            if present.get(name) != fact and not (present.get(name) is None and _is_deferred(kind, name, deferred))
        ]
        return problems + _wrong_grants(session, promised)
    finally:
        session.run("ROLLBACK")


def _is_deferred(kind: str, name: str, deferred: Collection[str]) -> bool:
    if kind == "inheritance":
        return not set(name.split(" from ")).isdisjoint(deferred)
    return kind in ("index", "definition of index") and name in deferred


def _present(session: Session, kind: str, wanted: Collection[str]) -> dict[str, str]:
    if kind == "value of sequence":
        return _sequence_values(session, wanted)
    told = _FACTS.get(kind, str)
    # PostgreSQL's own catalogue has thousands of these.
    return {row[0]: told(*row[1:]) for row in session.rows(_PRESENT[kind]) if row[0] in wanted}


def _sequence_values(session: Session, wanted: Collection[str]) -> dict[str, str]:
    present = session.rows(f"SELECT {_NAME}, n.nspname, c.relname FROM {_RELATIONS} WHERE c.relkind = 'S'")
    return {
        sequence: value_fact(*session.rows(f"SELECT last_value, is_called FROM {quote(schema)}.{quote(name)}")[0])
        for sequence, schema, name in present
        if sequence in wanted
    }


def _wrong_grants(session: Session, promised: Promises) -> list[str]:
    present: dict[tuple[str, str, str], set[str]] = {}
    for kind, name, role, privilege in session.rows(_GRANTS):
        present.setdefault((kind, name, role), set()).add(privilege)
    problems = []
    for target in {**promised.grants, **promised.denied}:
        kind, name, role = target
        held, wanted = present.get(target, set()), promised.grants.get(target, set())
        denied = promised.denied.get(target, set())
        # What ALL is depends on the version.
        lacking = {"ALL"} - held if "ALL" in wanted and not held else wanted - held - {"ALL"}
        beyond = set() if "ALL" in wanted else (held if "ALL" in denied else held & denied) - wanted
        for privileges, what in ((lacking, "missing"), (beyond, "not in the dump")):
            if privileges:
                problems.append(
                    f"grant of {', '.join(sorted(privileges))} on {kind} {name} to {role or 'PUBLIC'} is {what}"
                )
    return problems


def invalid(session: Session, dump: Dump) -> list[str]:
    """Indexes that PostgreSQL does not use, and constraints that rows may break though the dump has them validated."""
    indexes = session.rows(
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        " WHERE NOT indisvalid AND c.relkind = 'i'"
    )
    constraints = session.rows(_constraints("NOT k.convalidated", "''"))
    return [f"index {row[0]} is not valid" for row in indexes] + [
        f"constraint {row[0]} is not validated" for row in constraints if row[0] not in dump.catalogue.not_valid
    ]
