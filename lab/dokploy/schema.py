# SPDX-License-Identifier: GPL-3.0-or-later
"""Validates input as Dokploy's zod schemas do, with their words; unknown fields are dropped without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.dokploy.errors import invalid

Issue = dict[str, Any]
Fields = Mapping[str, "Field"]


@dataclass(frozen=True)
class Field:
    """One field of an input. `nonoptional` is zod's word for an optional field that this call requires."""

    type: str
    required: bool = True
    nullable: bool = False
    nonoptional: bool = False
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    options: tuple[str, ...] = ()


ID = Field("string", minimum=1)
KEY = Field("string")
OPTIONAL_TEXT = Field("string", required=False)
TEXT = Field("string", required=False, nullable=True)
NAME = Field("string", required=False, minimum=1)
NUMBER = Field("number", required=False)
NULLABLE_NUMBER = Field("number", required=False, nullable=True)
FLAG = Field("boolean", required=False)
NULLABLE_FLAG = Field("boolean", required=False, nullable=True)
LIST = Field("array", required=False, nullable=True)
OBJECT = Field("object", required=False, nullable=True)
NEEDED_TEXT = Field("string", nullable=True, nonoptional=True)
NEEDED_LIST = Field("array", nullable=True, nonoptional=True)
NEEDED_FLAG = Field("boolean", nonoptional=True)


def choice(*options: str, required: bool = False, nullable: bool = False) -> Field:
    return Field("string", required=required, nullable=nullable, options=options)


def validate(fields: Fields, given: Any, *, query: bool = False) -> dict[str, Any]:
    """The known fields of `given`, coerced; raises with all issues. In a query an empty value counts as missing."""
    if not isinstance(given, dict):
        raise invalid([_wrong_type("object", given, [], present=given is not None)])
    issues: list[Issue] = []
    values: dict[str, Any] = {}
    for name, field in fields.items():
        present = name in given and not (query and given[name] == "")
        if not present:
            if field.nonoptional:
                issues.append(_nonoptional(name))
            elif field.required:
                issues.append(_missing(field, name))
            elif field.default is not None:
                values[name] = field.default
            continue
        value, issue = _coerced(field, name, given[name])
        if issue:
            issues.append(issue)
        else:
            values[name] = value
    if issues:
        raise invalid(issues)
    return values


def _coerced(field: Field, name: str, value: Any) -> tuple[Any, Issue | None]:
    if value is None and field.nullable:
        return None, None
    if field.options:
        return value, None if value in field.options else _not_an_option(field, name)
    if field.type in ("number", "integer"):
        return _number(field, name, value)
    if _type_of(value) != field.type:
        return value, _wrong_type(field.type, value, [name])
    if field.type == "string" and field.minimum is not None and len(value) < field.minimum:
        expectation = f"expected string to have >={field.minimum} characters"
        return value, _size("small", "string", field.minimum, name, expectation)
    if field.type == "string" and field.maximum is not None and len(value) > field.maximum:
        expectation = f"expected string to have <={field.maximum} characters"
        return value, _size("big", "string", field.maximum, name, expectation)
    return value, None


def _number(field: Field, name: str, value: Any) -> tuple[Any, Issue | None]:
    if isinstance(value, str):
        if not re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value):
            return value, {
                "expected": "number",
                "code": "invalid_type",
                "received": "NaN",
                "path": [name],
                "message": "Invalid input: expected number, received NaN",
            }
        value = float(value) if "." in value else int(value)
    if _type_of(value) != "number":
        return value, _wrong_type("number", value, [name])
    if field.minimum is not None and value < field.minimum:
        return value, _size("small", "number", field.minimum, name, f"expected number to be >={field.minimum}")
    if field.maximum is not None and value > field.maximum:
        return value, _size("big", "number", field.maximum, name, f"expected number to be <={field.maximum}")
    return value, None


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {"str": "string", "list": "array"}.get(type(value).__name__, "object")


def _wrong_type(expected: str, value: Any, path: list[str], *, present: bool = True) -> Issue:
    received = _type_of(value) if present else "undefined"
    message = f"Invalid input: expected {expected}, received {received}"
    return {"expected": expected, "code": "invalid_type", "path": path, "message": message}


def _missing(field: Field, name: str) -> Issue:
    return _not_an_option(field, name) if field.options else _wrong_type(field.type, None, [name], present=False)


def _nonoptional(name: str) -> Issue:
    message = "Invalid input: expected nonoptional, received undefined"
    return {"code": "invalid_type", "expected": "nonoptional", "path": [name], "message": message}


def _not_an_option(field: Field, name: str) -> Issue:
    listed = "|".join(f'"{option}"' for option in field.options)
    message = f"Invalid option: expected one of {listed}"
    return {"code": "invalid_value", "values": list(field.options), "path": [name], "message": message}


def _size(which: str, origin: str, limit: int, name: str, expectation: str) -> Issue:
    bound = "minimum" if which == "small" else "maximum"
    return {
        "origin": origin,
        "code": f"too_{which}",
        bound: limit,
        "inclusive": True,
        "path": [name],
        "message": f"Too {which}: {expectation}",
    }
