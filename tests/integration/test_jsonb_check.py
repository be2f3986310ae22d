# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of a real database against schemas: what is found, what cannot be checked, and what is never written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.integration.world import Live
from tests.modules import run_module

MODULE = "jsonb_check"
SCHEMAS = ROOT / "lab" / "jsonb"
ROWS = 2000
THEME = {"type": "object", "required": ["theme"], "properties": {"theme": {"enum": ["light", "dark"]}}}
DOCUMENTS = f"""
CREATE TABLE users (id text PRIMARY KEY, preferences jsonb, "Old settings" json);
INSERT INTO users SELECT 'u' || lpad(n::text, 5, '0'), jsonb_build_object('theme', CASE n % 2 WHEN 0 THEN 'dark' ELSE
    'light' END, 'n', n, 'note', E'tab \\t and \\\\ slash'), E'{{"theme":\\n"dark"}}' FROM generate_series(1, {ROWS}) n;
CREATE VIEW learners AS SELECT id, preferences FROM users;
CREATE TABLE marks ("userId" text, lesson int, mark jsonb NOT NULL, PRIMARY KEY (lesson, "userId"));
INSERT INTO marks VALUES ('ann', 1, '1'), ('bob', 2, '"two"');
CREATE TABLE loose (doc jsonb);
INSERT INTO loose VALUES ('1'), ('null'), (NULL);
"""
BEHAVIOR = """{"ms": 7, "ua": "App/3.4", "path": "/courses/4/lessons/1", "flags": [true, false, "exp-3"],
    "trace": "0123456789abcdef0123456789abcdef", "screen": {"h": 720, "w": 1280}}"""
#: What the lab writes into each of its columns, and changes that the lab's schemas must find.
LAB: dict[str, tuple[str, list[str]]] = {
    "users.preferences": (
        '{"theme": "dark", "digest": 2, "tips": false}',
        ["d - 'tips'", 'd || \'{"theme": "blue"}\'', "d || '{\"digest\": 1.5}'", "d || '{\"x\": 1}'", "'null'"],
    ),
    "quiz_attempts.answers": (
        '{"q1": 3, "q2": 0, "q3": [1, 2, "why: 7"]}',
        ["d #- '{q3,2}'", "jsonb_set(d, '{q3,2}', '\"7\"')", "jsonb_set(d, '{q3,3}', '0')", 'd || \'{"q1": "3"}\''],
    ),
    "transactions.metadata": (
        '{"ip": "10.0.3.4", "channel": "ios"}',
        ["d - 'ip'", 'd || \'{"ip": "localhost"}\'', "d || '{\"channel\": null}'", "'[]'"],
    ),
    "notifications.payload": (
        '{"kind": "nudge", "text": "loan tax", "n": 12}',
        ['d || \'{"text": ""}\'', "d || '{\"n\": 0}'", 'd || \'{"kind": "shove"}\'', "'{}'"],
    ),
    "behavior_logs.metadata": (
        BEHAVIOR,
        [
            "jsonb_set(d, '{screen,w}', '\"1280\"')",
            "d #- '{screen,h}'",
            "jsonb_set(d, '{flags,0}', '1')",
            'd || \'{"path": "/"}\'',
            'd || \'{"trace": "x"}\'',
            "d - 'ms'",
        ],
    ),
}


def column(table: str, name: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"table": table, "column": name, "schema": schema or THEME, **more}


PREFERENCES = column("public.users", "preferences")


@pytest.fixture
def documents(live: Live) -> Live:
    live.execute(DOCUMENTS)
    live.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO platform_operator")
    live.administer("VACUUM ANALYZE", database=live.name)
    return live


def check(live: Live, *schemas: dict[str, Any], **options: Any) -> dict[str, Any]:
    login = {name: value for name, value in live.login.items() if name != "client_bin_dir"}
    return run_module(MODULE, {"database": live.name, **login, "schemas": list(schemas), **options})


def outcomes(result: dict[str, Any]) -> list[str]:
    return [one["outcome"] for one in result["columns"]]


def test_documents_that_conform(documents: Live) -> None:
    before = documents.content()
    result = check(
        documents,
        *(PREFERENCES, column("users", "Old settings"), column("learners", "preferences")),
        column("loose", "doc", {"type": ["integer", "null"]}),
    )
    assert result["passed"] is True, result["msg"]
    assert result["changed"] is False
    assert set(outcomes(result)) == {"passed"}
    assert [(one["rows"], one["checked"], one["null"]) for one in result["columns"]] == [(ROWS, ROWS, 0)] * 3 + [
        (3, 2, 1)
    ]
    assert documents.content() == before


def test_offenders_are_named_and_no_value_is_told(documents: Live) -> None:
    documents.execute("""UPDATE users SET preferences = '{"theme": "Ann Smith"}' WHERE id >= 'u01998'""")
    result = check(
        documents,
        PREFERENCES,
        column("marks", "mark", {"type": "integer"}),
        column("loose", "doc", {"type": ["integer", "null"]}, nullable=False),
        max_offenders=2,
    )
    assert result["failed"]
    assert result["passed"] is False
    users, marks, loose = result["columns"]
    assert (users["invalid"], [one["id"] for one in users["offenders"]]) == (3, ["u01998", "u01999"])
    assert users["offenders"][0] == {"id": "u01998", "path": "$.theme", "message": 'is none of "light", "dark"'}
    assert marks["offenders"] == [{"id": "2, bob", "path": "$", "message": "is string, not integer"}]
    assert loose["offenders"] == [{"id": "(0,3)", "path": "$", "message": "is NULL"}]
    assert "3 of 2000 documents do not conform" in result["msg"]
    assert "Ann Smith" not in json.dumps(result)
    shown = check(documents, PREFERENCES, show_values=True)
    assert "Ann Smith" in json.dumps(shown["columns"])


def test_by_processes_the_same_is_found(documents: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is a page here, and every page is worth a process."""
    package = "ansible_collections.vedfinance.platform.plugins.module_utils._jsonb"
    documents.execute("""UPDATE users SET preferences = '{}' WHERE id LIKE '%77'""")
    alone = check(documents, PREFERENCES, max_offenders=30, jobs=1)["columns"][0]
    monkeypatch.setattr(f"{package}.column._PIECE_PAGES", 1)
    monkeypatch.setattr(f"{package}.check._WORTH_A_PROCESS", 1)
    together = check(documents, PREFERENCES, column("nowhere", "x"), max_offenders=30, jobs=3)["columns"]
    assert together[1]["outcome"] == "could_not_check"
    for said in ("rows", "checked", "invalid", "offenders_digest", "outcome", "reason"):
        assert together[0][said] == alone[said], said
    assert {one["id"] for one in together[0]["offenders"]} == {one["id"] for one in alone["offenders"]}
    assert alone["invalid"] == 20


def test_a_process_that_dies_is_no_pass(documents: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    package = "ansible_collections.vedfinance.platform.plugins.module_utils._jsonb"
    monkeypatch.setattr(f"{package}.column._PIECE_PAGES", 1)
    monkeypatch.setattr(f"{package}.check._WORTH_A_PROCESS", 1)
    monkeypatch.setattr(f"{package}.check.Judge.judge", lambda *_arguments: os._exit(9))
    result = check(documents, PREFERENCES, jobs=2)
    assert outcomes(result) == ["could_not_check"]
    assert "a process that read it died" in result["msg"]


def test_what_cannot_be_checked_never_passes(documents: Live) -> None:
    documents.administer(
        "CREATE TABLE hidden (id int PRIMARY KEY, doc jsonb)",
        "ALTER TABLE hidden ENABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON hidden TO platform_operator",
        "CREATE TABLE closed (id int PRIMARY KEY, doc jsonb)",
        "CREATE TABLE listed (id int, docs jsonb[])",
        database=documents.name,
    )
    cannot = {
        "there is no table public.absent": column("absent", "doc"),
        "there is no table public.Users": column("Users", "preferences"),
        "there is no column nothing": column("users", "nothing"),
        "it is of type text": column("users", "id"),
        "it is of type jsonb[]": column("listed", "docs"),
        "permission denied for table closed": column("closed", "doc"),
        "row-level security": column("hidden", "doc"),
        "names no table": column("a.b.c", "doc"),
        "no JSON Schema": column("users", "preferences", {"type": "objekt"}),
        "schema cannot be followed": column("users", "preferences", {"$ref": "#/$defs/gone"}),
        'column "nope" does not exist': {**PREFERENCES, "where": "nope"},
        "read-only transaction": {**PREFERENCES, "where": "pg_catalog.lo_create(0) > 0"},
    }
    result = check(documents, *cannot.values(), PREFERENCES)
    assert result["failed"]
    assert result["passed"] is False
    *bad, good = result["columns"]
    assert (good["outcome"], good["checked"]) == ("passed", ROWS)
    for reason, one in zip(cannot, bad, strict=True):
        assert one["outcome"] == "could_not_check", reason
        assert reason in one["reason"]


def test_a_statement_that_takes_too_long(documents: Live) -> None:
    result = check(documents, {**PREFERENCES, "where": "pg_sleep(10) IS NOT NULL"}, statement_timeout=0.2)
    assert outcomes(result) == ["could_not_check"]
    assert "statement_timeout: raise that" in result["msg"]


def test_a_sample_proves_nothing_about_the_others(documents: Live) -> None:
    for sample in ("100", "20%"):
        result = check(documents, PREFERENCES, column("learners", "preferences"), sample=sample)
        assert outcomes(result) == ["sample_passed"] * 2, result["msg"]
        assert result["passed"] is False
        assert "the others are unknown" in result["msg"]
        assert all(0 < one["checked"] < ROWS and one["rows"] in (ROWS, 0) for one in result["columns"])
    # As many as there are: the whole.
    assert outcomes(check(documents, PREFERENCES, sample=str(ROWS))) == ["passed"]
    assert check(documents, {**PREFERENCES, "where": "id < 'u00050' -- the first"}, sample="60")["passed"] is True
    documents.execute("UPDATE users SET preferences = '1'")
    result = check(documents, PREFERENCES, sample="20%")
    assert outcomes(result) == ["failed"]
    assert "of the sample do not conform" in result["msg"]


def test_only_what_conformed_before_is_held_against_a_migration(documents: Live) -> None:
    documents.execute("UPDATE users SET preferences = '1' WHERE id <= 'u00003'")
    before = check(documents, PREFERENCES)["columns"]
    cut = check(documents, PREFERENCES, max_offenders=1)["columns"]
    same = [check(documents, PREFERENCES, baseline=one) for one in (before, cut)]
    assert [outcomes(one) for one in same] == [["no_worse"]] * 2
    assert [one["passed"] for one in same] == [False, False]
    documents.execute("UPDATE users SET preferences = '{\"theme\": \"dark\"}' WHERE id = 'u00001'")
    assert outcomes(check(documents, PREFERENCES, baseline=before)) == ["no_worse"]
    documents.execute("UPDATE users SET preferences = '2' WHERE id = 'u00009'")
    worse = check(documents, PREFERENCES, baseline=before)
    assert worse["columns"][0]["offenders"][0]["id"] == "u00009"
    assert (worse["columns"][0]["invalid"], worse["columns"][0]["new_invalid"]) == (3, 1)
    assert "does not name 2 of its own" in check(documents, PREFERENCES, baseline=cut)["msg"]


def test_a_schema_of_a_file(documents: Live, tmp_path: Path) -> None:
    path = tmp_path / "theme.json"
    path.write_text(json.dumps(THEME))
    entry = {"table": "users", "column": "preferences", "schema_file": str(path)}
    assert check(documents, entry)["passed"] is True
    path.write_text("{")
    assert "is no JSON" in check(documents, entry)["msg"]
    path.unlink()
    assert "cannot be read: No such file" in check(documents, entry)["msg"]


def test_the_schemas_of_the_lab_find_each_change(live: Live) -> None:
    assert set(LAB) == {path.stem for path in SCHEMAS.glob("*.json")}
    entries = []
    for name, (document, changes) in LAB.items():
        table = name.replace(".", "_")
        broken = ", ".join(f"({number}, {change})" for number, change in enumerate(changes, 1))
        live.execute(
            f"CREATE TABLE {table} AS SELECT c.id, c.doc FROM (SELECT jsonb '{document}' AS d) one,"
            f" LATERAL (VALUES (0, d), {broken}) c (id, doc); ALTER TABLE {table} ADD PRIMARY KEY (id);"
            f" GRANT SELECT ON {table} TO platform_operator"
        )
        entries.append(column(table, "doc", json.loads((SCHEMAS / f"{name}.json").read_text())))
    result = check(live, *entries)
    for (name, (_document, changes)), one in zip(LAB.items(), result["columns"], strict=True):
        assert [int(offender["id"]) for offender in one["offenders"]] == list(range(1, len(changes) + 1)), name
