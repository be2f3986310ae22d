# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick yes: functions that accept a document as jsonschema would, ten times faster.

A document that they do not accept is judged by jsonschema itself, so that every complaint is its own. A schema with a
word that is not known here has no such function, and is judged by jsonschema alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Accepts = Callable[[Any], bool]

#: Words that judge nothing. ``format`` is among them: by the standard it is a remark, unless a validator is told else.
_REMARKS = frozenset(
    (
        *("$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly"),
        *("writeOnly", "format", "contentEncoding", "contentMediaType", "$defs", "definitions"),
    )
)
_OBJECTS = frozenset(("properties", "required", "additionalProperties", "minProperties", "maxProperties"))
_ARRAYS = frozenset(("items", "prefixItems", "minItems", "maxItems"))
_STRINGS = frozenset(("minLength", "maxLength", "pattern"))
_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_MIXED = frozenset(("type", "enum", "const", "allOf", "anyOf", "oneOf"))
_KNOWN = _REMARKS | _OBJECTS | _ARRAYS | _STRINGS | _NUMBERS | _MIXED


class Unknown(Exception):
    """The schema says something that only jsonschema judges."""


def _is_integer(value: Any) -> bool:
    kind = type(value)
    return kind is int or (kind is float and value.is_integer())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


_TYPES: dict[str, Accepts] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": _is_integer,
    "number": _is_number,
}


def quick(schema: Any) -> Accepts | None:
    """A function for a schema of a draft to which 1.0 is an integer; None when there is none."""
    if isinstance(schema, Mapping):
        # Further inside, it makes a part one of another draft.
        schema = {word: said for word, said in schema.items() if word != "$schema"}
    try:
        return _accepts(schema)
    except (Unknown, re.error):
        return None


def _accepts(schema: Any) -> Accepts:
    if schema is True:
        return lambda _value: True
    if schema is False:
        return lambda _value: False
    if not isinstance(schema, Mapping) or not schema.keys() <= _KNOWN:
        raise Unknown
    checks = [
        check
        for check in (
            _for_objects(schema),
            _for_arrays(schema),
            _for_strings(schema),
            _for_numbers(schema),
            _for_values(schema),
        )
        if check is not None
    ]
    checks += [_combined(word, schema[word]) for word in ("allOf", "anyOf", "oneOf") if word in schema]
    types = _types(schema)
    return _typed(types, checks) if types is not None else _all(checks)


def _types(schema: Mapping[str, Any]) -> Sequence[str] | None:
    if "type" not in schema:
        return None
    named = schema["type"]
    types = [named] if isinstance(named, str) else list(named)
    if not all(one in _TYPES for one in types):
        raise Unknown
    return types


def _typed(types: Sequence[str], checks: Sequence[Accepts]) -> Accepts:
    if len(types) == 1:
        return _all([_TYPES[types[0]], *checks])
    of_type = [_TYPES[one] for one in types]
    return _all([lambda value: any(check(value) for check in of_type), *checks])


def _all(checks: Sequence[Accepts]) -> Accepts:
    if not checks:
        return lambda _value: True
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda value: first(value) and second(value)

    def every(value: Any) -> bool:
        # A generator would cost more than what it calls.
        for check in checks:
            if not check(value):
                break
        else:
            return True
        return False

    return every


def _for_objects(schema: Mapping[str, Any]) -> Accepts | None:
    if not schema.keys() & _OBJECTS:
        return None
    properties = {name: _accepts(one) for name, one in schema.get("properties", {}).items()}
    required = frozenset(schema.get("required", ()))
    others = _accepts(schema.get("additionalProperties", True))
    least, most = schema.get("minProperties", 0), schema.get("maxProperties", float("inf"))
    find = properties.get

    def accepts(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        if not required <= value.keys() or not least <= len(value) <= most:
            return False
        for name, item in value.items():
            if not find(name, others)(item):
                break
        else:
            return True
        return False

    return accepts


def _for_arrays(schema: Mapping[str, Any]) -> Accepts | None:
    if not schema.keys() & _ARRAYS:
        return None
    if isinstance(schema.get("items"), list):
        raise Unknown  # an older draft
    first = [_accepts(one) for one in schema.get("prefixItems", ())]
    rest = _accepts(schema.get("items", True))
    least, most = schema.get("minItems", 0), schema.get("maxItems", float("inf"))

    def accepts(value: Any) -> bool:
        if not isinstance(value, list):
            return True
        return (
            least <= len(value) <= most
            and all(check(item) for check, item in zip(first, value))
            and all(map(rest, value[len(first) :] if first else value))
        )

    return accepts


def _for_strings(schema: Mapping[str, Any]) -> Accepts | None:
    if not schema.keys() & _STRINGS:
        return None
    least, most = schema.get("minLength", 0), schema.get("maxLength", float("inf"))
    search = re.compile(schema["pattern"]).search if "pattern" in schema else None

    def accepts(value: Any) -> bool:
        if not isinstance(value, str):
            return True
        return least <= len(value) <= most and (search is None or search(value) is not None)

    return accepts


def _for_numbers(schema: Mapping[str, Any]) -> Accepts | None:
    if not schema.keys() & _NUMBERS:
        return None
    if any(isinstance(schema.get(word), bool) for word in ("exclusiveMinimum", "exclusiveMaximum")):
        raise Unknown  # an older draft
    least, most = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")

    def accepts(value: Any) -> bool:
        if type(value) not in (int, float):
            return True
        return bool(least <= value <= most and (above is None or value > above) and (below is None or value < below))

    return accepts


def _for_values(schema: Mapping[str, Any]) -> Accepts | None:
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is None:
        return None
    # Only what nothing else equals: to Python, 1 is True.
    if ("enum" in schema and "const" in schema) or not all(one is None or isinstance(one, str) for one in allowed):
        raise Unknown
    values = frozenset(allowed)
    return lambda value: (value is None or isinstance(value, str)) and value in values


def _combined(word: str, schemas: Sequence[Any]) -> Accepts:
    checks = [_accepts(one) for one in schemas]
    if word == "allOf":
        return _all(checks)
    if word == "anyOf":
        return lambda value: any(check(value) for check in checks)
    return lambda value: sum(check(value) for check in checks) == 1
