# SPDX-License-Identifier: GPL-3.0-or-later
"""A JSON Schema, made ready once, and what it says of a document without saying what stands in it."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._errors import PlatformError
from .._redact import clip
from .quick import Accepts, quick

try:
    import jsonschema
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import validator_for

    # What it had not before 4.0.
    NEWEST = jsonschema.Draft202012Validator
except (ImportError, AttributeError):
    HAS_JSONSCHEMA = False
    JSONSCHEMA_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_JSONSCHEMA = True
    JSONSCHEMA_IMPORT_ERROR = None

_LONGEST = 300
_MISSING_PROPERTY = re.compile(r"^'(.*)' is a required property$", re.DOTALL)
# From draft 6 on, 1.0 is one.
_WITH_ANOTHER_INTEGER = ("draft-03", "draft-04")
_REMARKS = frozenset(("$schema", "$id", "$comment", "title", "description", "default", "examples"))
_LIMITS = {
    "minimum": "is less than {}",
    "maximum": "is more than {}",
    "exclusiveMinimum": "is not more than {}",
    "exclusiveMaximum": "is not less than {}",
    "multipleOf": "is no multiple of {}",
    "minLength": "has fewer than {} characters",
    "maxLength": "has more than {} characters",
    "pattern": "does not match {}",
    "format": "is no {}",
    "minItems": "has fewer than {} items",
    "maxItems": "has more than {} items",
    "minProperties": "has fewer than {} properties",
    "maxProperties": "has more than {} properties",
    "const": "is not {}",
    "uniqueItems": "has an item twice",
    "anyOf": "fits none of the alternatives",
    "oneOf": "does not fit exactly one of the alternatives",
    "not": "fits what it must not fit",
    "contains": "has too few or too many of the items that it must contain",
    "unevaluatedProperties": "has a property that the schema does not name",
    "dependentRequired": "lacks a property that goes with another",
}


@dataclass(frozen=True)
class Complaint:
    """Where a document breaks its schema, and how."""

    path: str
    message: str


class SchemaRefused(PlatformError):
    """Nothing can be judged by this schema."""


class Schema:
    """Judges documents.

    :param show_values: tell what stands in the documents, and all names in them.
    :raises SchemaRefused: when it is no schema, or reaches beyond itself.
    """

    def __init__(self, schema: Any, *, show_values: bool = False) -> None:
        self._show_values = show_values
        if not isinstance(schema, Mapping) or not schema.keys() - _REMARKS:
            raise SchemaRefused("the schema says nothing, and would accept every document", "Write what is expected.")
        _stays_inside(schema)
        dialect = schema.get("$schema")
        validator = validator_for(schema, default=None)
        if validator is None:
            if dialect:
                raise SchemaRefused(f"the schema is of an unknown dialect, {dialect}", "Use draft 2020-12 or 7.")
            validator = NEWEST
        try:
            validator.check_schema(schema)
        except SchemaError as error:
            where = "/".join(str(part) for part in error.path)
            raise SchemaRefused(
                f"this is no JSON Schema: {clip(error.message, _LONGEST)}{' at ' + where if where else ''}",
                "Correct it.",
            ) from None
        self._validator = validator(schema)
        self._names = frozenset(_names_in(schema))
        self._accepts: Accepts | None = quick(schema) if validator is NEWEST or _reads_alike(schema) else None

    @property
    def is_quick(self) -> bool:
        return self._accepts is not None

    def complaint(self, document: Any) -> Complaint | None:
        """The error that tells most, None for a document that conforms."""
        if self._accepts is not None and self._accepts(document):
            return None
        try:
            error = best_match(self._validator.iter_errors(document))
        except RecursionError:
            return Complaint("$", "is nested too deeply to be judged")
        except Exception as error:
            # A reference that leads nowhere; the library has changed its class twice.
            raise SchemaRefused(f"the schema cannot be followed: {type(error).__name__}", "Look at its $ref.") from None
        return None if error is None else Complaint(self._path(error.absolute_path), self._message(error))

    def _path(self, parts: Any) -> str:
        """Names that the schema does not know may be somebody's data."""
        shown = "$"
        for part in parts:
            if isinstance(part, int):
                shown += f"[{part}]"
            elif self._show_values or part in self._names:
                shown += f".{part}" if re.fullmatch(r"\w+", part) else f"[{json.dumps(part, ensure_ascii=False)}]"
            else:
                shown += ".*"
        return shown

    def _message(self, error: Any) -> str:
        message = self._words(error.validator, error.validator_value, error.instance, error.message)
        return f"{message}: {clip(error.message, _LONGEST)}" if self._show_values else message

    def _words(self, word: str, expected: Any, found: Any, said: str) -> str:
        if word == "type":
            types = [expected] if isinstance(expected, str) else expected
            return f"is {_kind(found)}, not {' or '.join(types)}"
        if word == "required":
            missing = _MISSING_PROPERTY.match(said)
            return f"lacks the property {missing.group(1)}" if missing else "lacks a property"
        if word == "enum":
            return clip(f"is none of {', '.join(json.dumps(one, ensure_ascii=False) for one in expected)}", _LONGEST)
        if word == "additionalProperties":
            return "has a property that the schema does not name"
        if word in _LIMITS:
            return clip(_LIMITS[word].format(json.dumps(expected, ensure_ascii=False)), _LONGEST)
        return f"breaks the schema's {word or 'false'}"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    kinds = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return kinds.get(type(value), type(value).__name__)


def _within(schema: Any) -> Iterator[Mapping[str, Any]]:
    pending = [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            yield item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _reads_alike(schema: Mapping[str, Any]) -> bool:
    """Whether an older draft means the same by it as the newest does."""
    if any(draft in str(schema.get("$schema")) for draft in _WITH_ANOTHER_INTEGER):
        return False
    return not any("prefixItems" in part for part in _within(schema))


def _stays_inside(schema: Any) -> None:
    """No judgement asks the network, nor follows what may lead there."""
    for part in _within(schema):
        for word in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = part.get(word)
            if isinstance(target, str) and not target.startswith("#"):
                raise SchemaRefused(
                    f"the schema refers to {clip(target, _LONGEST)}, which is not in it", "Put it in under $defs."
                )


def _names_in(schema: Any) -> Iterator[str]:
    for part in _within(schema):
        properties = part.get("properties")
        if isinstance(properties, Mapping):
            yield from properties
