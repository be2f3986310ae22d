# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging documents by schemas: the quick way says yes only where jsonschema does, and no value is told."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.check import beside
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.column import Sample
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.judge import Judge, Tally, judge_all
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.quick import quick
from ansible_collections.vedfinance.platform.plugins.module_utils._jsonb.schema import Schema, SchemaRefused

PREFERENCES = {
    "type": "object",
    "required": ["theme"],
    "properties": {"theme": {"enum": ["light", "dark"]}, "digest": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
NAMES = ("a", "b", "c")
SCALARS = (None, True, False, -1, 0, 1, 2, 0.5, 1.0, -2.0, 1e300, "", "a", "aé")
WORDS: dict[str, tuple[Any, ...]] = {
    "type": (*("object", "array", "string", "integer", "number", "boolean", "null"), ["string", "null"]),
    "enum": (["a"], ["a", None], ["", "aé"], [1, True], [[], "a"]),
    "const": ("a", None, 1, False),
    "minimum": (0, 0.5),
    "maximum": (0, 1),
    "exclusiveMinimum": (0, -2.0),
    "exclusiveMaximum": (1, 2.0),
    "multipleOf": (2,),
    "minLength": (1, 2),
    "maxLength": (0, 1),
    "pattern": ("^a", "é$"),
    "minItems": (1, 2),
    "maxItems": (0, 1),
    "uniqueItems": (True,),
    "minProperties": (1, 2),
    "maxProperties": (0, 1),
    "required": (["a"], ["a", "b"]),
    "format": ("email",),
}
PARTS = ("additionalProperties", "items", "not")
LISTS = ("prefixItems", "allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties")
EACH_WORD = (*WORDS, *PARTS, *LISTS, *NAMED)


def some_schema(chance: Random, depth: int = 2) -> Any:
    if depth == 0 or chance.random() < 0.1:
        return chance.choice([True, False, {"type": chance.choice(WORDS["type"])}])
    schema: dict[str, Any] = {}
    for word in chance.sample(EACH_WORD, chance.randint(1, 3)):
        parts = [some_schema(chance, depth - 1) for _number in range(2)]
        if word in WORDS:
            schema[word] = chance.choice(WORDS[word])
        elif word in PARTS:
            schema[word] = parts[0]
        else:
            schema[word] = parts if word in LISTS else dict(zip(NAMES, parts, strict=False))
    return schema


def some_document(chance: Random, depth: int = 2) -> Any:
    kind = chance.randrange(3) if depth else 0
    if kind == 1:
        return [some_document(chance, depth - 1) for _number in range(chance.randrange(3))]
    if kind == 2:
        return {name: some_document(chance, depth - 1) for name in chance.sample(NAMES, chance.randrange(3))}
    return chance.choice(SCALARS)


def test_the_quick_way_says_what_jsonschema_says() -> None:
    chance = Random(6)
    agreed = {True: 0, False: 0}
    for _round in range(1500):
        schema = some_schema(chance)
        accepts = quick(schema)
        if accepts is None:
            continue
        validator = jsonschema.Draft202012Validator(schema)
        for document in [some_document(chance) for _number in range(4)]:
            expected = validator.is_valid(document)
            assert accepts(document) == expected, (schema, document)
            agreed[expected] += 1
    assert min(agreed.values()) > 500


def test_items_are_those_after_the_first() -> None:
    accepts = quick({"prefixItems": [{"type": "string"}], "items": {"type": "null"}})
    assert accepts is not None
    assert accepts(["a", None])
    assert not accepts(["a", "b"])


def test_a_part_of_another_draft_is_judged_by_it() -> None:
    schema = Schema({"items": {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer"}})
    assert schema.complaint([1]) is None
    assert schema.complaint([1.0]) is not None


def test_most_schemas_have_a_quick_way() -> None:
    assert Schema(PREFERENCES).is_quick
    assert Schema({"$schema": "http://json-schema.org/draft-07/schema#", **PREFERENCES}).is_quick
    # To draft 4, 1.0 is no integer; to draft 7, prefixItems is nothing.
    assert not Schema({"$schema": "http://json-schema.org/draft-04/schema#", **PREFERENCES}).is_quick
    seven = Schema(
        {"$schema": "http://json-schema.org/draft-07/schema#", "prefixItems": [True], "items": {"type": "null"}}
    )
    assert seven.complaint([1]) is not None


@pytest.mark.parametrize(
    ("schema", "document", "path", "message"),
    [
        (PREFERENCES, {"theme": "Ann Smith"}, "$.theme", 'is none of "light", "dark"'),
        (PREFERENCES, {"digest": 1}, "$", "lacks the property theme"),
        (PREFERENCES, {"theme": "dark", "digest": "Ann Smith"}, "$.digest", "is string, not integer"),
        (PREFERENCES, {"theme": "dark", "digest": -7}, "$.digest", "is less than 0"),
        (PREFERENCES, {"theme": "dark", "Ann Smith": 1}, "$", "has a property that the schema does not name"),
        (PREFERENCES, None, "$", "is null, not object"),
        ({"additionalProperties": {"type": "boolean"}}, {"Ann Smith": 1}, "$.*", "is integer, not boolean"),
        ({"items": {"pattern": "^x"}}, ["x", "Ann Smith"], "$[1]", 'does not match "^x"'),
        ({"properties": {"a b": {"maxLength": 1}}}, {"a b": "Ann Smith"}, '$["a b"]', "has more than 1 characters"),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, "Ann Smith", "$", "does not fit exactly one of"),
        ({"propertyNames": {"maxLength": 1}}, {"Ann Smith": 1}, "$", "has more than 1 characters"),
    ],
)
def test_what_breaks_a_schema_is_told_without_values(
    schema: dict[str, Any], document: Any, path: str, message: str
) -> None:
    complaint = Schema(schema).complaint(document)
    assert complaint is not None
    assert complaint.path == path
    assert complaint.message.startswith(message)
    assert "Ann Smith" not in f"{complaint}"


def test_values_are_told_when_asked_for() -> None:
    complaint = Schema({"additionalProperties": {"type": "boolean"}}, show_values=True).complaint({"Ann": "Smith"})
    assert complaint is not None
    assert (complaint.path, complaint.message) == ("$.Ann", "is string, not boolean: 'Smith' is not of type 'boolean'")


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "says nothing"),
        ({"title": "Preferences"}, "says nothing"),
        ([], "says nothing"),
        ({"type": "objekt"}, "no JSON Schema: 'objekt'"),
        ({"pattern": "("}, "no JSON Schema"),
        ({"$schema": "https://example.test/mine", "type": "object"}, "unknown dialect"),
        ({"$ref": "https://example.test/user.json"}, "https://example.test/user.json, which is not in it"),
    ],
)
def test_what_cannot_judge_is_refused(schema: Any, reason: str) -> None:
    with pytest.raises(SchemaRefused, match=reason):
        Schema(schema)


def test_a_reference_that_leads_nowhere_is_no_pass() -> None:
    assert Schema({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}).complaint(1) is not None
    with pytest.raises(SchemaRefused, match="cannot be followed"):
        Schema({"$ref": "#/$defs/b"}).complaint(1)


def judged(rows: str, schema: Any = PREFERENCES, **options: Any) -> Tally:
    given = {"nullable": True, "is_text_json": False, "old": (), "most": 2, **options}
    return judge_all(Judge(Schema(schema), **given), [rows.encode()], given["most"])


def test_rows_are_counted_and_the_first_offenders_named() -> None:
    good = '{"theme": "dark"}\tu1\n'
    tally = judged(good * 3 + "\\N\tu4\n[]\tu5\n[]\tu6\\t7\n[]\tu8\n")
    assert (tally.rows, tally.checked, tally.null, tally.invalid, tally.new) == (7, 6, 1, 3, 3)
    assert [one["id"] for one in tally.offenders] == ["u5", "u6\t7"]
    assert judged(good + "\\N\tu4\n", nullable=False).offenders == [{"id": "u4", "path": "$", "message": "is NULL"}]


def test_offenders_that_are_known_are_not_named_again() -> None:
    tally = judged("[]\tu1\n[]\tu2\n", old={"u1"})
    assert (tally.invalid, tally.new, [one["id"] for one in tally.offenders]) == (2, 1, ["u2"])
    assert tally.digest == judged("[]\tu2\n[]\tu1\n").digest
    assert tally.digest != judged("[]\tu3\n[]\tu1\n").digest


@pytest.mark.parametrize(
    ("former", "outcome", "said", "unsaid"),
    [
        ({"outcome": "failed", "invalid": 1, "offenders": [{"id": "2"}]}, "failed", "that did before", "sample"),
        ({"outcome": "could_not_check"}, "failed", "1 of 3 documents does not conform", "before"),
        ({"outcome": "sample_passed", "sampled": True}, "failed", "may have been there before", "that did before"),
        (
            {"outcome": "failed", "offenders_digest": "1:0000000000000007"},
            "no_worse",
            "same 1 document as before does not",
            "that did before",
        ),
    ],
)
def test_no_more_is_said_of_before_than_was_seen(former: Any, outcome: str, said: str, unsaid: str) -> None:
    found, _new, reason = beside(former, Tally(rows=3, checked=3, invalid=1, new=1, digest=7), "")
    assert found == outcome
    assert said in reason
    assert unsaid not in reason


@pytest.mark.parametrize("is_text_json", [False, True])
def test_escapes_of_copy(is_text_json: bool) -> None:
    wanted = {"const": 'a"\\\n'}
    document = json.dumps(wanted["const"]).replace("\\", "\\\\")
    assert judged(f"{document}\t1\n", wanted, is_text_json=is_text_json).invalid == 0
    # Text of json is kept as it was written, line breaks and all.
    assert judged('{"theme":\\n"dark"}\t1\n', is_text_json=True).invalid == 0


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "1" * 100_000])
def test_what_cannot_be_read_is_an_offender(text: str) -> None:
    assert judged(f"{text}\t1\n").invalid == 1


@pytest.mark.parametrize("text", ["0", "0%", "101%", "1.5", "many", "-5", "5 %%"])
def test_what_is_no_sample(text: str) -> None:
    with pytest.raises(PlatformError, match="Option sample"):
        Sample.parse(text)


def test_samples() -> None:
    assert (Sample.parse("10000"), Sample.parse(" 0.5 %")) == (Sample(rows=10000), Sample(percent=0.5))
